//! The pages that a view changed.

use std::io;
use std::ops::{Range, RangeBounds};

use super::checkpoints::Unit;
use super::root::Root;
use super::view::View;
use crate::page::{PageNo, PageRange, PageSet};

/// A page of a view whose bytes changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DirtyPage<'a> {
    /// Its number: its offset in the view divided by [`View::page_size`].
    pub number: PageNo,
    /// Its bytes now. The last page of a view may be short.
    pub now: &'a [u8],
    /// Its bytes before, as many.
    pub before: &'a [u8],
}

impl<S: Root> View<S> {
    /// Returns the byte ranges of pages of this view: one for each run, ascending.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let snapshot = memsnap::mem::Snapshot::zeroed(20_000)?;
    /// let mut view = snapshot.view()?;
    /// view[4095..4097].fill(1);
    /// view[19_999] = 1;
    /// let ranges: Vec<_> = view.byte_ranges(&view.dirty()).collect();
    /// assert_eq!(ranges, [0..8192, 16_384..20_000]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn byte_ranges<'a>(&self, pages: &'a PageSet) -> impl Iterator<Item = Range<usize>> + use<'a, S> {
        let (unit, len) = (self.page_size(), self.len());
        let end =
            move |page: u64| usize::try_from(page).ok().and_then(|page| page.checked_mul(unit)).unwrap_or(len).min(len);
        pages.runs().map(move |run| end(run.start)..end(run.end)).filter(|range| !range.is_empty())
    }

    /// Returns the pages whose bytes differ from those at the last checkpoint or, without one, from the snapshot's.
    /// This is exact: a page that was written and has the same bytes is not included. Pages have [`View::page_size`]
    /// bytes;
    /// [`View::byte_ranges`] converts them to bytes.
    pub fn dirty(&self) -> PageSet {
        self.dirty_since(self.checkpoints())
    }

    /// Returns the pages whose bytes differ from those at any checkpoint; 0 is the snapshot.
    ///
    /// # Panics
    /// When there is no such checkpoint.
    pub fn dirty_since(&self, checkpoint: usize) -> PageSet {
        self.check(checkpoint);
        set(&self.changed(checkpoint, 0..self.len()))
    }

    /// As [`View::dirty`], for the pages that hold any of these bytes: only those are compared.
    ///
    /// # Errors
    /// `InvalidInput` when the range is not within the view.
    pub fn dirty_within(&self, range: impl RangeBounds<usize>) -> io::Result<PageSet> {
        let range = self.bounds(range)?;
        Ok(set(&self.changed(self.checkpoints(), range)))
    }

    /// Returns the pages that may be dirty: all of [`View::dirty`], and others that the kernel names. These were
    /// written with the bytes they had, or are zeros that were only read (the kernel maps its page of zeros there,
    /// which counts as private), or the kernel moved them in memory. Nothing is compared, so it is quick: for callers
    /// that compare or copy the pages anyway.
    pub fn maybe_dirty(&self) -> PageSet {
        set(&self.candidates(self.checkpoints(), 0..self.len()))
    }

    /// Returns the pages of a set with their numbers and current bytes, ascending; `page_bytes(&view.dirty())` are the
    /// dirty ones. The last page of a view may be short; pages past it are left out.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let snapshot = memsnap::mem::Snapshot::zeroed(10_000)?;
    /// let mut view = snapshot.view()?;
    /// view[5000] = 7;
    /// view[9999] = 8;
    /// let dirty = view.dirty();
    /// let pages: Vec<(u64, &[u8])> = view.page_bytes(&dirty).collect();
    /// assert_eq!(pages.len(), 2);
    /// assert_eq!((pages[0].0, pages[0].1[904]), (1, 7));
    /// assert_eq!((pages[1].0, pages[1].1.len()), (2, 10_000 - 8192));
    /// # Ok(())
    /// # }
    /// ```
    pub fn page_bytes<'a>(&'a self, pages: &'a PageSet) -> impl Iterator<Item = (PageNo, &'a [u8])> {
        let (unit, all) = (self.page_size(), self.as_slice());
        self.byte_ranges(pages).flat_map(move |range| {
            let first = range.start / unit;
            all[range].chunks(unit).enumerate().map(move |(i, bytes)| ((first + i) as PageNo, bytes))
        })
    }

    /// Returns the dirty pages with their bytes now and at the last checkpoint, ascending.
    pub fn dirty_pages(&self) -> impl Iterator<Item = DirtyPage<'_>> {
        self.dirty_pages_since(self.checkpoints())
    }

    /// As [`View::dirty_pages`], against any checkpoint; 0 is the snapshot.
    ///
    /// # Panics
    /// When there is no such checkpoint.
    pub fn dirty_pages_since(&self, checkpoint: usize) -> impl Iterator<Item = DirtyPage<'_>> {
        self.check(checkpoint);
        let pages = self.candidates(checkpoint, 0..self.len());
        pages.into_iter().filter_map(move |page| {
            let now = self.checkpoints.page(self.as_slice(), page);
            let before = self.checkpoints.held(page, checkpoint, self.image.as_slice());
            (now != before).then_some(DirtyPage { number: page as PageNo, now, before })
        })
    }

    /// Returns the pages that differ between two checkpoints; 0 is the snapshot.
    ///
    /// # Panics
    /// When there is no such checkpoint.
    pub fn diff(&self, a: usize, b: usize) -> PageSet {
        self.check(a.max(b));
        let base = self.image.as_slice();
        let mut pages = self.checkpoints.between(a, b);
        pages.retain(|page| self.checkpoints.held(*page, a, base) != self.checkpoints.held(*page, b, base));
        set(&pages)
    }

    fn check(&self, checkpoint: usize) {
        let last = self.checkpoints();
        assert!(checkpoint <= last, "there is no checkpoint {checkpoint}: the last is {last}");
    }
}

fn set(pages: &[Unit]) -> PageSet {
    let runs = pages.chunk_by(|a, b| a + 1 == *b);
    runs.map(|run| PageRange::new(run[0] as PageNo, run[run.len() - 1] as PageNo + 1)).collect()
}
