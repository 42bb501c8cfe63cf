//! `diff`: the pages in which two images differ, and what is in them.

crate::internal! {
    mod elements;
}

use std::ops::Range;
use std::path::PathBuf;

use super::change::metadata::{Metadata, MetadataChange};
use super::compare::range::compare_within;
use super::compare::{compare, compare_live};
use super::input::image::OpenImage;
use super::input::known::HowRead;
use super::input::operand::Operand;
use super::options::options;
use super::{Progress, Reading};
use crate::error::{Error, Result};
use crate::page::{Digest, PageSet};
use crate::store::Ref;

/// Bytes of each side read at once: whole pages.
const BLOCK: u64 = 256 << 10;

options! {
    /// Options of [`diff`].
    Options {
        /// Sets the store; by default it is the one beside the file.
        store: Option<PathBuf> = None, into;
        /// Sets how live files are read.
        reading: Reading = Reading::default();
        /// Sets the bytes that are compared: start, end; all by default.
        range: Option<(u64, u64)> = None, into;
    }
}

/// What was found.
#[derive(Clone, Debug)]
#[non_exhaustive]
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
    /// Whether the bytes of both are equal, lengths included; with [`Options::range`], within that range.
    pub same: bool,
    /// Mode, owner and attributes that differ between two images of one file. Empty with [`Options::range`].
    pub metadata: Vec<MetadataChange>,
    /// How much of the live file was read, if one was compared with a snapshot.
    #[doc(hidden)]
    pub how: Option<HowRead>,
}

/// One of two images compared.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Side {
    /// What it is: `FILE@3`, `FILE now`.
    pub name: String,
    /// Its length in bytes.
    pub len: u64,
    /// Its image digest, of which deltas speak; of a file compared with another file it is not known.
    pub image: Option<Digest>,
}

/// Compares two images; without `b`, a snapshot (the latest, if none is named) with the file as it is now.
///
/// # Errors
/// When either cannot be read; [`Error::Refused`] when the range begins past the end of both.
pub fn diff(a: &Operand, b: Option<&Operand>, options: &Options, progress: &dyn Progress) -> Result<Compared> {
    let (a, b) = sides(a, b, options)?;
    let span = options.range.map_or(0..u64::MAX, |(start, end)| start..end);
    let len = a.len().max(b.len());
    if span.start > 0 && span.start >= len {
        let start = span.start;
        let what = format!("the range begins at byte {start} ({start:#x}), but the longer has only {len} ({len:#x})");
        return Err(Error::refused(what, "name a range that begins before the end"));
    }
    let known = |side: &OpenImage| match side {
        OpenImage::Stored(stored) => Some(stored.image.digest()),
        OpenImage::Live(_) => None,
    };
    let (mut images, mut how) = ([known(&a), known(&b)], None);
    let set = match (options.range, &a, &b) {
        (Some(_), ..) => compare_within((&a, &b), &span, &options.reading, progress)?,
        (None, OpenImage::Stored(stored), OpenImage::Live(live))
        | (None, OpenImage::Live(live), OpenImage::Stored(stored)) => {
            let found = compare_live(live, stored, &options.reading, progress, None)?;
            images = images.map(|image| image.or(Some(found.image)));
            how = Some(found.how);
            found.set
        }
        _ => compare(&a, &b, &options.reading, progress)?,
    };
    Ok(Compared { a, b, images, how, set, span })
}

/// Two images that were compared, still open: what differs can be read.
///
/// Bytes of a live file are those it has when they are read, which may be later than the comparison.
#[derive(Debug)]
pub struct Compared {
    a: OpenImage,
    b: OpenImage,
    images: [Option<Digest>; 2],
    how: Option<HowRead>,
    set: PageSet,
    /// What was compared.
    span: Range<u64>,
}

/// Something in which two images differ.
#[derive(Clone, Debug, PartialEq, Eq)]
#[doc(hidden)]
pub enum Differing<'a> {
    /// Bytes of pages that differ, from offset `at` on: that of a page, or the start of [`Options::range`]. A side that
    /// ends within them has fewer.
    Bytes {
        /// Where they are.
        at: u64,
        /// Those of the first image.
        a: &'a [u8],
        /// Those of the second.
        b: &'a [u8],
    },
    /// Bytes that only the longer image has, all of them zeros.
    Tail(Range<u64>),
}

impl Compared {
    /// What was found.
    pub fn report(&self) -> Report {
        let span = self.span();
        let (mut ranges, mut bytes) = (0, 0);
        for range in self.set.runs() {
            ranges += 1;
            bytes += range.end_offset().clamp(span.start, span.end) - range.offset().clamp(span.start, span.end);
        }
        let side = |side: &OpenImage, image| Side { name: side.name().into(), len: side.len(), image };
        Report {
            pages_changed: self.set.len(),
            ranges,
            bytes_changed: bytes,
            same: self.set.is_empty() && self.ends_together(),
            metadata: self.metadata(),
            how: self.how.clone(),
            a: side(&self.a, self.images[0]),
            b: side(&self.b, self.images[1]),
        }
    }

    /// The metadata that differs. Between different files it need not agree.
    fn metadata(&self) -> Vec<MetadataChange> {
        let is_whole = self.span == (0..u64::MAX);
        if !is_whole || self.a.target() != self.b.target() {
            return Vec::new();
        }
        let of = |side: &OpenImage| match side {
            OpenImage::Stored(side) => Some(Metadata::stored(side.image.meta())),
            OpenImage::Live(side) => Metadata::of(side.target()).ok(),
        };
        of(&self.a).zip(of(&self.b)).map_or(Vec::new(), |(a, b)| a.differences(&b))
    }

    /// The pages that differ; what lies past the end of one counts as zeros.
    pub fn pages(&self) -> &PageSet {
        &self.set
    }

    /// The length of the longer one.
    #[doc(hidden)]
    pub fn len(&self) -> u64 {
        self.a.len().max(self.b.len())
    }

    /// What was compared, as far as the longer one reaches.
    #[doc(hidden)]
    pub fn span(&self) -> Range<u64> {
        let end = self.span.end.min(self.len());
        self.span.start.min(end)..end
    }

    /// Whether, as far as they were compared, neither is longer than the other.
    #[doc(hidden)]
    pub fn ends_together(&self) -> bool {
        let end = |side: &OpenImage| side.len().clamp(self.span.start, self.span.end);
        end(&self.a) == end(&self.b)
    }

    /// Whether neither has a byte.
    #[doc(hidden)]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of `span`, of the first image and of the second, as far as they have them.
    ///
    /// # Errors
    /// When they cannot be read.
    #[doc(hidden)]
    pub fn read(&self, span: Range<u64>) -> Result<[Vec<u8>; 2]> {
        let read = |side: &OpenImage| {
            let mut bytes = vec![0; (span.end.min(side.len()).saturating_sub(span.start)) as usize];
            side.read(&mut bytes, span.start)?;
            Ok::<_, Error>(bytes)
        };
        Ok([read(&self.a)?, read(&self.b)?])
    }

    /// Calls `each` with everything in which they differ, ascending. An error of `each` ends it.
    ///
    /// # Errors
    /// When either cannot be read; what `each` says.
    #[doc(hidden)]
    pub fn pieces<E: From<Error>>(&self, each: &mut dyn FnMut(Differing<'_>) -> Result<(), E>) -> Result<(), E> {
        // From here to the next page that differs the longer one has nothing but zeros.
        let span = self.span();
        let mut tail = self.a.len().min(self.b.len()).max(span.start);
        for run in self.set.runs() {
            let (mut at, end) = (run.offset().max(span.start), run.end_offset().min(span.end));
            if at > tail {
                each(Differing::Tail(tail..at))?;
            }
            while at < end {
                let next = end.min((at / BLOCK + 1) * BLOCK);
                let [a, b] = self.read(at..next)?;
                each(Differing::Bytes { at, a: &a, b: &b })?;
                at = next;
            }
            tail = tail.max(end);
        }
        if span.end > tail { each(Differing::Tail(tail..span.end)) } else { Ok(()) }
    }
}

/// Opens and locks what is to be compared.
pub(super) fn sides(a: &Operand, b: Option<&Operand>, options: &Options) -> Result<(OpenImage, OpenImage)> {
    let store = options.store.as_deref();
    let (mut a, mut b) = match b {
        Some(b) => OpenImage::open_both(a, b, store)?,
        None => {
            let stored = Operand { at: a.at.clone().or(Some(Ref::Latest)), ..a.clone() };
            let live = Operand { at: Some(Ref::Now), ..a.clone() };
            OpenImage::open_both(&stored, &live, store)?
        }
    };
    a.lock(&options.reading)?;
    b.lock(&options.reading)?;
    Ok((a, b))
}
