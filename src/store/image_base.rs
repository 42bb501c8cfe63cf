//! A stored image as the [`Base`] with which a scan compares a target.

use std::sync::{Mutex, PoisonError};

use super::image::{Image, ImageRuns};
use super::pack_cache::PackCache;
use crate::capture::{Base, KnownDigests};
use crate::error::{Error, Result};
use crate::pack::{Bad, Cursor, Run, Source};
use crate::page::{Digest, GROUP_PAGES, PageNo, PageRange, pages_of};

/// The page digests of an image, for one scan from the start.
#[derive(Debug)]
pub struct ImageBase<'a> {
    image: &'a Image,
    runs: Mutex<Cursor<ImageRuns>>,
}

impl<'a> ImageBase<'a> {
    /// The page digests of `image`.
    pub fn new(image: &'a Image) -> ImageBase<'a> {
        ImageBase { image, runs: Mutex::new(Cursor::new(image.runs())) }
    }

    fn with_runs<T>(&self, f: impl FnOnce(&mut Cursor<ImageRuns>) -> Result<T, Bad>) -> Result<T> {
        f(&mut self.runs.lock().unwrap_or_else(PoisonError::into_inner)).map_err(|e| e.of(self.image.path()))
    }
}

/// Sets the digests of the pages of `run`, which lie in `window`.
fn fill(packs: &PackCache, run: &Run, window: &PageRange, digests: &mut [Digest]) -> Result<()> {
    let Source::Pack(pack, mut source) = run.source else {
        return Ok(());
    };
    let mut page = run.pages.start;
    while page < run.pages.end {
        let (_, block) = packs.block(pack, source)?;
        let wanted = run.pages.end - page;
        let mut found = 0;
        for (at, digest) in block.entries_from(source).take(wanted as usize) {
            if at != source + found {
                break;
            }
            digests[(page + found - window.start) as usize] = digest;
            found += 1;
        }
        if found == 0 {
            let path = packs.pack_path(pack);
            return Err(Error::damaged(&path, format!("it does not hold page {source}")));
        }
        page += found;
        source += found;
    }
    Ok(())
}

impl Base for ImageBase<'_> {
    fn known(&self, window: PageRange) -> Result<KnownDigests> {
        if window.start >= pages_of(self.image.len()) {
            return Ok(KnownDigests::Nothing);
        }
        let mut digests: Vec<Digest> = Vec::new();
        for run in self.with_runs(|runs| runs.all_in(window))?.iter().filter(|run| !run.source.is_zeros()) {
            digests.resize(window.len() as usize, Digest::ZERO);
            fill(self.image.packs(), run, &window, &mut digests)?;
        }
        Ok(if digests.is_empty() { KnownDigests::Nothing } else { KnownDigests::Pages(digests) })
    }

    fn pages(&self, _: u64) -> Result<[Digest; GROUP_PAGES as usize]> {
        unreachable!("digests of pages are given at once")
    }

    fn data_from(&self, page: PageNo) -> Result<PageNo> {
        self.with_runs(|runs| runs.data_from(page, Source::is_zeros))
    }
}
