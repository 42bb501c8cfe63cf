//! `diff --elements`: the elements in which two images of persistent vectors differ.

use std::io;
use std::path::Path;

use super::Progress;
use super::compare::compare;
use super::diff::{Options, Side as Named, sides};
use super::operand::Operand;
use super::sides::Side;
use crate::error::{Error, Result};
use crate::page::PageSet;
use crate::vec::{Content, ELEMENTS, ElementType, VecSource};

/// Bytes of elements compared at once, about.
const BLOCK: u64 = 256 << 10;

/// What was found.
#[derive(Clone, Debug)]
pub struct Report {
    /// The first image; its length is in elements.
    pub a: Named,
    /// The second, likewise.
    pub b: Named,
    /// What the elements of both are.
    pub kind: ElementType,
    /// Elements that differ; those that only one has count.
    pub changed: u64,
    /// Ranges of such elements.
    pub ranges: u64,
}

/// Compares the elements of two images of persistent vectors, chosen as by [`diff`](super::diff::diff). Calls `each` with
/// the indexes of elements that differ, as (start, end), ascending and as long as they can be.
///
/// # Errors
/// When either cannot be read; [`Error::Refused`] when one is no persistent vector, or their elements are of two types.
pub fn diff_elements(
    a: &Operand,
    b: Option<&Operand>,
    options: &Options,
    progress: &dyn Progress,
    each: &mut dyn FnMut(u64, u64),
) -> Result<Report> {
    let (a, b) = sides(a, b, options)?;
    let (first, second) = (Half::open(&a)?, Half::open(&b)?);
    let kind = *first.content.element_type();
    if kind != *second.content.element_type() {
        let (one, other) = (kind.describe(), second.content.element_type().describe());
        let what = format!("{} has {one}, {} has {other}: they cannot be compared one by one", a.name(), b.name());
        return Err(Error::refused(what, "compare pages, without --elements"));
    }
    let set = compare(&a, &b, &options.reading, progress)?;
    let mut found = Found { open: None, changed: 0, ranges: 0, each };
    let common = first.content.len().min(second.content.len());
    for (start, end) in candidates(&set, &first.content, &second.content, common) {
        found.look(&first, &second, start, end)?;
    }
    found.add(common, first.content.len().max(second.content.len()));
    found.close();
    let named = |half: &Half<'_>| Named { name: half.side.name().into(), len: half.content.len(), image: None };
    Ok(Report { a: named(&first), b: named(&second), kind, changed: found.changed, ranges: found.ranges })
}

/// Elements below `common` that may differ: those in pages that differ, and those in either log.
fn candidates(set: &PageSet, a: &Content, b: &Content, common: u64) -> Vec<(u64, u64)> {
    let size = a.element_type().size;
    let paged =
        set.runs().map(|run| (run.offset().saturating_sub(ELEMENTS), run.end_offset().saturating_sub(ELEMENTS)));
    let logged = a.in_log().chain(b.in_log()).map(|(offset, len)| (offset, offset + len));
    let mut all: Vec<(u64, u64)> = paged
        .chain(logged)
        .map(|(start, end)| (start / size, end.div_ceil(size).min(common)))
        .filter(|(start, end)| start < end)
        .collect();
    all.sort_unstable();
    all.dedup_by(|next, kept| {
        let joined = next.0 <= kept.1;
        if joined {
            kept.1 = kept.1.max(next.1);
        }
        joined
    });
    all
}

struct Half<'a> {
    side: &'a Side,
    content: Content,
}

impl<'a> Half<'a> {
    fn open(side: &'a Side) -> Result<Half<'a>> {
        Ok(Half { side, content: Content::read(&source(side), side.len())? })
    }

    fn read(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.content.read_at(&source(self.side), buf, offset)
    }
}

/// The bytes of a side, wherever they are.
fn source(side: &Side) -> VecSource<'_> {
    VecSource::new(Path::new(side.name()), |buf, offset| {
        if offset.checked_add(buf.len() as u64).is_none_or(|end| end > side.len()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        side.read(buf, offset).map_err(io::Error::other)
    })
}

struct Found<'a> {
    /// The range that may go on.
    open: Option<(u64, u64)>,
    changed: u64,
    ranges: u64,
    each: &'a mut dyn FnMut(u64, u64),
}

impl Found<'_> {
    /// Compares elements `start..end`, which both have.
    fn look(&mut self, a: &Half<'_>, b: &Half<'_>, start: u64, end: u64) -> Result<()> {
        let size = a.content.element_type().size;
        let step = (BLOCK / size).max(1);
        let mut at = start;
        while at < end {
            let n = step.min(end - at);
            let (mut x, mut y) = (vec![0; (n * size) as usize], vec![0; (n * size) as usize]);
            a.read(&mut x, at * size)?;
            b.read(&mut y, at * size)?;
            let pairs = x.chunks_exact(size as usize).zip(y.chunks_exact(size as usize));
            for (i, _) in pairs.enumerate().filter(|(_, (x, y))| x != y) {
                self.add(at + i as u64, at + i as u64 + 1);
            }
            at += n;
        }
        Ok(())
    }

    fn add(&mut self, start: u64, end: u64) {
        if start == end {
            return;
        }
        self.changed += end - start;
        match &mut self.open {
            Some((_, last)) if *last == start => *last = end,
            _ => {
                self.close();
                self.open = Some((start, end));
            }
        }
    }

    fn close(&mut self) {
        if let Some((start, end)) = self.open.take() {
            self.ranges += 1;
            (self.each)(start, end);
        }
    }
}
