//! Reading an image from front to back, every page proven.

use crate::sys::ext::FileExt;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::capture::Rate;
use crate::error::{At, Error, Result};
use crate::ops::Progress;
use crate::ops::read::losses::Salvage;
use crate::ops::read::{MOST_PAGES, PackSpan, gather, hash_groups, slots, touch};
use crate::pack::{Cursor, Run, Source};
use crate::page::{Digest, GROUP_PAGES, ImageHasher, PAGE, PAGE64, PageNo, PageRange, groups_of};
use crate::store::{Image, PageReader};
use crate::sys::create;

/// Pages that go to a stream at once: so much is held in memory.
const WINDOW: u64 = 4096;
/// Pages that go to a file before they are read back: still in the page cache, and so many that images of thousands of
/// packs have several of each.
const STRETCH: u64 = 128 << 10;

/// Reads the image from front to back.
pub(super) struct Reader<'a> {
    pub(super) image: &'a Image,
    pub(super) rate: Mutex<Option<Rate>>,
    pub(super) progress: &'a dyn Progress,
    pub(super) hasher: ImageHasher,
    pub(super) written: u64,
    /// The digests of all groups that are not zeros, if they are wanted.
    pub(super) groups: Option<Vec<(u64, Digest)>>,
    /// What to pass over, instead of failing.
    pub(super) salvage: Option<Mutex<Salvage>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(image: &'a Image, rate: Option<u64>, progress: &'a dyn Progress) -> Reader<'a> {
        let hasher = ImageHasher::new(image.len());
        let rate = Mutex::new(rate.map(Rate::new));
        Reader { image, rate, progress, hasher, written: 0, groups: None, salvage: None }
    }

    fn spend(&self, bytes: u64) {
        if let Some(rate) = self.rate.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            rate.spend(bytes);
        }
    }

    /// Reads pages of a pack, each proven by its digest.
    fn read(&self, reader: &mut PageReader<'_>, (pack, page): (u32, PageNo), out: &mut [u8]) -> Result<()> {
        match (reader.read_run(pack, page, out), &self.salvage) {
            (Err(e), Some(salvage)) => {
                let mut salvage = salvage.lock().unwrap_or_else(PoisonError::into_inner);
                salvage.read(self.image.packs(), reader, (pack, page), out, e)
            }
            (done, _) => done,
        }
    }

    /// The list of pages to skip, if there is one; no other thread reads at this time.
    fn salvaged(&mut self) -> Option<&mut Salvage> {
        self.salvage.as_mut().map(|salvage| salvage.get_mut().unwrap_or_else(PoisonError::into_inner))
    }

    /// Calls `each` with windows of `pages` pages, and what they are made of.
    /// `sparse`: those in which there are only holes are passed over, however many they are.
    fn windows(
        &mut self,
        pages: u64,
        sparse: bool,
        mut each: impl FnMut(&mut Self, PageRange, &[Run]) -> Result<()>,
    ) -> Result<()> {
        let mut runs = Cursor::new(self.image.runs());
        let (mut start, all) = (0, self.image.pages());
        while start < all {
            if sparse {
                let data =
                    runs.data_from(start, |source| source == Source::Hole).map_err(|e| e.of(self.image.path()))?;
                start = start.max(data.min(all) / pages * pages);
                if start == all {
                    break;
                }
            }
            let window = PageRange { start, end: all.min(start + pages) };
            let runs = runs.all_in(window).map_err(|e| e.of(self.image.path()))?;
            each(self, window, &runs)?;
            if let Some(salvage) = self.salvaged() {
                salvage.end_part(&runs);
            }
            start = window.end.max(start + pages);
        }
        let lossy = self.salvaged().is_some_and(|salvage| !salvage.is_whole());
        if lossy || self.hasher.finish() == self.image.digest() {
            return Ok(());
        }
        Err(Error::damaged(self.image.path(), "the restored pages do not match its image digest"))
    }

    /// Adds the groups from page `first` on to the image digest.
    fn fold(&mut self, first: u64, digests: &[Digest]) {
        for (group, digest) in (first / GROUP_PAGES..).zip(digests).filter(|(_, digest)| !digest.is_zero()) {
            self.hasher.push(group, digest);
            if let Some(groups) = &mut self.groups {
                groups.push((group, *digest));
            }
        }
    }

    pub(super) fn stream_to(&mut self, out: &mut dyn Write, to: &Path) -> Result<u64> {
        let len = self.image.len();
        let mut buf = vec![0; (WINDOW.min(groups_of(len) * GROUP_PAGES) * PAGE64) as usize];
        self.windows(WINDOW, false, |this, window, runs| {
            let pieces = slots(&mut buf, window.start, runs);
            gather(self.image.packs(), pieces, &|reader, piece| {
                this.spend(piece.pages * PAGE64);
                this.read(reader, (piece.pack, piece.page), piece.place)
            })?;
            let (there, past) = buf.split_at_mut((window.len() * PAGE64) as usize);
            past.fill(0);
            let bytes = window.end_offset().min(len) - window.offset();
            out.write_all(&there[..bytes as usize]).at("writing", to)?;
            let (touched, mut digests) = groups(window, runs);
            hash_groups(&buf, &touched, &mut digests);
            this.fold(window.start, &digests);
            this.progress.advance(bytes);
            Ok(())
        })?;
        out.flush().at("writing", to)?;
        Ok(len)
    }

    pub(super) fn write_to(&mut self, file: &File, path: &Path) -> Result<u64> {
        let len = self.image.len();
        file.set_len(len).at("writing", path)?;
        let write = |bytes: &[u8], at: u64| {
            let n = (len - at).min(bytes.len() as u64) as usize;
            file.write_all_at(&bytes[..n], at).at("writing", path)
        };
        self.windows(STRETCH, true, |this, window, runs| {
            gather(this.image.packs(), pieces(runs, &write)?, &|reader, piece: PackSpan<u64>| {
                this.spend(piece.pages * PAGE64);
                let mut bytes = vec![0; (piece.pages * PAGE64) as usize];
                this.read(reader, (piece.pack, piece.page), &mut bytes)?;
                this.progress.advance(bytes.len() as u64);
                write(&bytes, piece.place)
            })?;
            let written = runs.iter().filter(|run| run.source != Source::Hole);
            this.written += written.map(|r| r.pages.end_offset().min(len) - r.pages.offset()).sum::<u64>();
            let zeros = runs.iter().filter(|run| run.source.is_zeros());
            this.progress.advance(zeros.map(|r| r.pages.len() * PAGE64).sum());
            let digests = read_back(file, path, len, window, runs)?;
            this.fold(window.start, &digests);
            create::start_writeback(file, window.offset(), window.len() * PAGE64);
            Ok(())
        })?;
        Ok(self.written)
    }
}

/// What is to be read, and its offset in the file; writes zeros that are no holes.
fn pieces(runs: &[Run], write: &dyn Fn(&[u8], u64) -> Result<()>) -> Result<Vec<PackSpan<u64>>> {
    let mut out = Vec::new();
    let zeros = vec![0; (MOST_PAGES * PAGE64) as usize];
    for run in runs {
        for start in (run.pages.start..run.pages.end).step_by(MOST_PAGES as usize) {
            let part = run.clip(&PageRange { start, end: run.pages.end.min(start + MOST_PAGES) });
            let (pages, place) = (part.pages.len(), part.pages.offset());
            match part.source {
                Source::Hole => break,
                Source::Zero => write(&zeros[..(pages * PAGE64) as usize], place)?,
                Source::Pack(pack, page) => out.push(PackSpan { pack, page, pages, place }),
            }
        }
    }
    Ok(out)
}

/// Which groups of `window` hold anything, and a place for their digests.
fn groups(window: PageRange, runs: &[Run]) -> (Vec<bool>, Vec<Digest>) {
    let n = window.len().div_ceil(GROUP_PAGES) as usize;
    let mut touched = vec![false; n];
    runs.iter().filter(|run| !run.source.is_zeros()).for_each(|run| touch(&mut touched, window.start, &run.pages));
    (touched, vec![Digest::ZERO; n])
}

/// The digests of the groups of `window` as the file has them now. Holes are not read: that would fill the page cache
/// with zeros.
fn read_back(file: &File, path: &Path, len: u64, window: PageRange, runs: &[Run]) -> Result<Vec<Digest>> {
    let (touched, mut digests) = groups(window, runs);
    let per = (WINDOW / GROUP_PAGES) as usize;
    let mut buf = vec![0; (WINDOW.min(touched.len() as u64 * GROUP_PAGES) * PAGE64) as usize];
    for (i, (touched, digests)) in touched.chunks(per).zip(digests.chunks_mut(per)).enumerate() {
        if !touched.contains(&true) {
            continue;
        }
        let start = window.start + i as u64 * WINDOW;
        let part = PageRange { start, end: window.end.min(start + WINDOW) };
        buf.fill(0);
        let first = runs.partition_point(|run| run.pages.end <= part.start);
        for run in runs[first..].iter().take_while(|run| run.pages.start < part.end) {
            if !run.source.is_zeros() {
                let run = run.clip(&part).pages;
                let (from, to) = (run.offset(), run.end_offset().min(len));
                let place = &mut buf[(from - part.offset()) as usize..(to - part.offset()) as usize];
                file.read_exact_at(place, from).at("reading back", path)?;
            }
        }
        hash_groups(&buf, touched, digests);
    }
    Ok(digests)
}

const _: () = assert!(WINDOW.is_multiple_of(GROUP_PAGES) && STRETCH.is_multiple_of(WINDOW) && PAGE == PAGE64 as usize);
