//! `diff`: the pages in which two images differ.

use std::path::PathBuf;

use super::operand::Operand;
use super::sides::{Side as Open, compare};
use super::{Progress, Reading};
use crate::error::Result;
use crate::page::PageRange;
use crate::store::Ref;

/// How to compare.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The store; `None`: beside the target.
    pub store: Option<PathBuf>,
    /// How live files are read.
    pub reading: Reading,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Report {
    /// The first image.
    pub a: Side,
    /// The second.
    pub b: Side,
    /// Pages that differ.
    pub pages_changed: u64,
    /// Ranges of such pages.
    pub ranges: u64,
    /// Bytes in those pages, as far as the longer image reaches.
    pub bytes_changed: u64,
    /// Whether the two are the same, lengths included.
    pub same: bool,
}

/// One of two images compared.
#[derive(Clone, Debug)]
pub struct Side {
    /// What it is: `FILE@3`, `FILE now`.
    pub name: String,
    /// Its length in bytes.
    pub len: u64,
}

/// Compares two images; without `b`, a snapshot (the latest, if none is named) with the file as it is now. Calls `each`
/// with the ranges that differ, ascending and as long as they can be.
///
/// # Errors
/// When either cannot be read.
pub fn diff(
    a: &Operand,
    b: Option<&Operand>,
    options: &Options,
    progress: &dyn Progress,
    each: &mut dyn FnMut(PageRange),
) -> Result<Report> {
    let (a, b) = sides(a, b, options)?;
    let set = compare(&a, &b, &options.reading, progress)?;
    let len = a.len().max(b.len());
    let (mut ranges, mut bytes) = (0, 0);
    for range in set.runs() {
        ranges += 1;
        bytes += range.end_offset().min(len) - range.offset().min(len);
        each(range);
    }
    let side = |side: &Open| Side { name: side.name().into(), len: side.len() };
    Ok(Report {
        pages_changed: set.len(),
        ranges,
        bytes_changed: bytes,
        same: set.is_empty() && a.len() == b.len(),
        a: side(&a),
        b: side(&b),
    })
}

/// Opens and locks what is to be compared.
pub(super) fn sides(a: &Operand, b: Option<&Operand>, options: &Options) -> Result<(Open, Open)> {
    let store = options.store.as_deref();
    let (mut a, mut b) = match b {
        Some(b) => Open::open_both(a, b, store)?,
        None => {
            let stored = Operand { at: a.at.clone().or(Some(Ref::Latest)), ..a.clone() };
            let live = Operand { at: Some(Ref::Now), ..a.clone() };
            Open::open_both(&stored, &live, store)?
        }
    };
    a.lock(&options.reading)?;
    b.lock(&options.reading)?;
    Ok((a, b))
}
