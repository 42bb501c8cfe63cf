//! Unreadable pages of packs, and the pages of an image that are lost with them.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::pack::{Run, Source};
use crate::page::{PAGE, PageNo, PageRange, PageSet};
use crate::store::{PackCache, PageReader};

/// Unreadable pages, by the number of their pack.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    /// Packs that are missing or whose index is damaged, and why.
    pub(crate) broken: BTreeMap<u32, String>,
    /// Single pages.
    pub(crate) pages: BTreeMap<u32, PageSet>,
}

impl Losses {
    /// The unreadable pages of `run`, by the number of their pack.
    pub(crate) fn of(&self, run: &Run) -> Vec<(u32, PageRange)> {
        let Source::Pack(pack, from) = run.source else { return Vec::new() };
        if self.broken.contains_key(&pack) {
            return vec![(pack, run.pages)];
        }
        let Some(set) = self.pages.get(&pack) else { return Vec::new() };
        let held = PageRange { start: from, end: from + run.pages.len() };
        let here = |pages: PageRange| {
            let start = run.pages.start + (pages.start - from);
            (pack, PageRange { start, end: start + pages.len() })
        };
        set.runs_within(held).map(here).collect()
    }

    /// Reads pages of a pack one by one, after reading them at once has failed with `error`. Unreadable pages
    /// become zeros. Returns whether there are any.
    ///
    /// # Errors
    /// Those that are no loss of pages by `is_loss`.
    pub(crate) fn read_singly(
        &mut self,
        reader: &mut PageReader<'_>,
        (pack, first): (u32, PageNo),
        out: &mut [u8],
        error: Error,
        is_loss: fn(&Error) -> bool,
    ) -> Result<bool> {
        if !is_loss(&error) {
            return Err(error);
        }
        let mut any = false;
        for (page, place) in (first..).zip(out.as_chunks_mut::<PAGE>().0) {
            match reader.read(pack, page, place) {
                Ok(_) => {}
                Err(e) if is_loss(&e) => {
                    place.fill(0);
                    self.pages.entry(pack).or_default().insert(page);
                    any = true;
                }
                Err(e) => return Err(e),
            }
        }
        Ok(any)
    }
}

/// What a reader of an image skips instead of failing.
#[derive(Debug, Default)]
pub(crate) struct Salvage {
    /// In the part that is being read.
    found: Losses,
    /// The first fault of every damaged pack.
    faults: BTreeMap<u32, String>,
    /// Pages of the image.
    lost: PageSet,
}

impl Salvage {
    /// Continues after an error of reading pages: see [`Losses::read_singly`].
    ///
    /// # Errors
    /// What is not damage, and not a fault of the disk.
    pub(crate) fn read(
        &mut self,
        packs: &PackCache,
        reader: &mut PageReader<'_>,
        (pack, first): (u32, PageNo),
        out: &mut [u8],
        error: Error,
    ) -> Result<()> {
        let what = error.to_string();
        let any = match packs.pack(pack) {
            // None of its pages can be read: they need not be tried one by one.
            Err(e) if is_gone(&e) => {
                out.fill(0);
                let pages = PageRange { start: first, end: first + (out.len() / PAGE) as u64 };
                self.found.pages.entry(pack).or_default().insert_range(pages);
                true
            }
            _ => self.found.read_singly(reader, (pack, first), out, error, is_gone)?,
        };
        if any {
            self.faults.entry(pack).or_insert(what);
        }
        Ok(())
    }

    /// Ends a part of the image, which `runs` are.
    pub(crate) fn end_part(&mut self, runs: &[Run]) {
        let found = std::mem::take(&mut self.found);
        runs.iter().flat_map(|run| found.of(run)).for_each(|(_, pages)| self.lost.insert_range(pages));
    }

    /// Whether nothing was lost so far.
    pub(crate) fn is_whole(&self) -> bool {
        self.lost.is_empty()
    }

    /// The pages of the image that are lost, and the faults by which they are.
    pub(crate) fn into_parts(self) -> (Vec<PageRange>, Vec<String>) {
        (self.lost.runs().collect(), self.faults.into_values().collect())
    }
}

/// Whether an error means that bytes of a file are lost: damage, or an error of the disk.
/// A lack of rights, memory or descriptors is none.
fn is_gone(error: &Error) -> bool {
    match error {
        Error::Damaged { .. } => true,
        Error::Io { source, .. } => crate::sys::fs::means_lost_bytes(source),
        _ => false,
    }
}
