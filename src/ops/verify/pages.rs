//! The pages of all images, each with its digest, and from them the digest of every image.
//!
//! A group is hashed again only where a snapshot changed it. So that neither the images nor their digests need to be in
//! memory, a row of snapshots is read band by band: the band of the first image, then what each snapshot
//! changed in it; the digests of the band's groups are added to that snapshot's.

use std::sync::{Mutex, PoisonError};

use super::report::{Check, Report};
use crate::error::{Error, Result};
use crate::ops::read::losses::Losses;
use crate::ops::read::{gather, hash_groups, slots, touch};
use crate::pack::{Bad, Cursor, Differences, Run, Source};
use crate::page::{Digest, GROUP_PAGES, ImageHasher, PAGE64, PageNo, PageRange, groups_of, pages_of};
use crate::store::{Image, SnapName};

/// Pages in a band: so much is held in memory.
const BAND: u64 = 4096;
/// Most snapshots in a row: each has a hasher of 2 KB.
const MOST_LEGS: usize = 4096;
/// Most runs that a row holds in memory, 40 bytes each.
const MOST_RUNS: usize = 400_000;
/// Most runs of one snapshot that are held in memory; more are read again as they are needed.
const FEW_RUNS: usize = 2000;
/// Most snapshots in a row that are read as they are needed: each has a file open, and a block of runs in memory.
const MOST_STREAMS: usize = 32;
/// Most runs in which two images may differ that were not made one from the other.
const MOST_DIFFERING: usize = 100_000;

/// Runs from a file or from memory.
type Runs = Box<dyn Iterator<Item = std::result::Result<Run, Bad>>>;

/// One snapshot of a row.
struct Leg {
    name: SnapName,
    image: Digest,
    len: u64,
    /// What differs from the one before; of the first in a row, everything.
    runs: Cursor<Runs>,
    hasher: ImageHasher,
}

impl Leg {
    fn new(image: &Image, runs: Runs) -> Leg {
        let len = image.len();
        Leg { name: image.name, image: image.digest(), len, runs: Cursor::new(runs), hasher: ImageHasher::new(len) }
    }
}

/// How much of what is bounded a row has used.
#[derive(Default)]
struct Load {
    runs: usize,
    streams: usize,
}

impl Load {
    fn is_full(&self) -> bool {
        self.runs > MOST_RUNS || self.streams >= MOST_STREAMS
    }
}

impl Check<'_> {
    /// Reads all pages of all images; bad ones go to `bad`. Returns the snapshots whose digest does not match.
    pub(super) fn pages(&self, names: &[SnapName], bad: &mut Losses, report: &mut Report) -> Result<Vec<SnapName>> {
        let mut wrong = Vec::new();
        let mut rest = names;
        while !rest.is_empty() {
            let (row, names) = self.row(rest)?;
            rest = &rest[names..];
            self.check_row(row, bad, report, &mut wrong)?;
        }
        Ok(wrong)
    }

    /// As many snapshots as can be checked at once, and how many names these are; at least one.
    fn row(&self, names: &[SnapName]) -> Result<(Vec<Leg>, usize)> {
        let mut load = Load { streams: 1, ..Load::default() };
        let mut before: Option<Image> = None;
        let mut row = Vec::new();
        for (i, name) in names.iter().enumerate() {
            if row.len() == MOST_LEGS || load.is_full() {
                return Ok((row, i));
            }
            let image = match self.history.image(*name) {
                Err(Error::Damaged { .. }) if self.is_removed(*name) => continue,
                image => image?,
            };
            let runs: Runs = match &before {
                None => Box::new(image.runs()),
                Some(before) => match changes(before, &image, &mut load)? {
                    Some(runs) => runs,
                    None => return Ok((row, i)),
                },
            };
            row.push(Leg::new(&image, runs));
            before = Some(image);
        }
        Ok((row, names.len()))
    }

    /// Whether a snapshot that was listed is gone: a change that ends before its first byte removes the snapshot that
    /// it composed.
    pub(super) fn is_removed(&self, name: SnapName) -> bool {
        self.history.snapshots().is_ok_and(|names| !names.contains(&name))
    }

    fn check_row(&self, row: Vec<Leg>, bad: &mut Losses, report: &mut Report, wrong: &mut Vec<SnapName>) -> Result<()> {
        let mut row = row;
        let pages = row.iter().map(|leg| pages_of(leg.len)).max().unwrap_or(0);
        let mut band = Band::new(self, bad, pages);
        let mut start = 0;
        while start < pages {
            let mut data = pages;
            for leg in &mut row {
                let path = self.history.dir().join(leg.name.file_name());
                data = data.min(leg.runs.data_from(start, |source| source == Source::Hole).map_err(|e| e.of(&path))?);
            }
            // A hole is one step, however long it is.
            start = start.max(data / BAND * BAND);
            band.begin(start);
            let mut before = 0;
            for leg in &mut row {
                band.step(leg, before)?;
                before = leg.len;
            }
            start += BAND;
        }
        report.pages += band.read;
        report.bytes += band.read * PAGE64;
        wrong.extend(row.iter().filter(|leg| leg.hasher.finish() != leg.image).map(|leg| leg.name));
        Ok(())
    }
}

/// What differs between two images; `None` when that is too much to be held. The record of the later one is
/// used where it was made from the earlier and has the same full map; each full map is compared with the last.
fn changes(before: &Image, image: &Image, load: &mut Load) -> Result<Option<Runs>> {
    let of = |e: Bad| e.of(image.path());
    if image.meta().parent == before.name.id && image.meta().stored.map == before.meta().stored.map {
        let mut few = Vec::new();
        for run in image.update() {
            few.push(run.map_err(of)?);
            if few.len() > FEW_RUNS {
                load.streams += 1;
                return Ok(Some(Box::new(image.update())));
            }
        }
        load.runs += few.len();
        return Ok(Some(Box::new(few.into_iter().map(Ok))));
    }
    let mut found = Vec::new();
    for step in Differences::new(before.runs(), image.runs()) {
        let step = step.map_err(of)?;
        if found.len() == MOST_DIFFERING {
            return Ok(None);
        }
        found.push(Run { pages: step.pages, source: step.b });
    }
    load.runs += found.len();
    Ok(Some(Box::new(found.into_iter().map(Ok))))
}

/// A band of the image that is being checked.
struct Band<'a> {
    check: &'a Check<'a>,
    bad: &'a mut Losses,
    start: PageNo,
    buf: Vec<u8>,
    digests: Vec<Digest>,
    /// All of it is zeros.
    clean: bool,
    read: u64,
}

impl<'a> Band<'a> {
    fn new(check: &'a Check<'a>, bad: &'a mut Losses, pages: u64) -> Band<'a> {
        let groups = BAND.min(pages.next_multiple_of(GROUP_PAGES)) / GROUP_PAGES;
        let buf = vec![0; (groups * GROUP_PAGES * PAGE64) as usize];
        Band { check, bad, start: 0, buf, digests: vec![Digest::ZERO; groups as usize], clean: true, read: 0 }
    }

    fn begin(&mut self, start: PageNo) {
        if !self.clean {
            self.buf.fill(0);
            self.digests.fill(Digest::ZERO);
        }
        (self.start, self.clean) = (start, true);
    }

    /// Continues from the image of `before` bytes to that of `leg`.
    fn step(&mut self, leg: &mut Leg, before: u64) -> Result<()> {
        let end = self.start + self.buf.len() as u64 / PAGE64;
        let band = PageRange { start: self.start, end };
        let path = self.check.history.dir().join(leg.name.file_name());
        let mut runs = leg.runs.all_in(band).map_err(|e| e.of(&path))?;
        let (now, then) = (PageRange::of_len(leg.len), PageRange::of_len(before));
        runs.iter_mut().for_each(|run| *run = run.clip(&now));
        let cut = PageRange { start: now.end.min(then.end), end: then.end }.intersect(&band);
        runs.push(Run { pages: cut, source: Source::Hole });
        let needless = |run: &Run| run.pages.is_empty() || self.clean && run.source.is_zeros();
        runs.retain(|run| !needless(run));
        if !runs.is_empty() {
            self.read_runs(&runs)?;
        }
        if !self.clean {
            let groups = self.start / GROUP_PAGES..groups_of(leg.len);
            groups.zip(&self.digests).for_each(|(group, digest)| leg.hasher.push(group, digest));
        }
        Ok(())
    }

    /// Reads `runs` into the band and hashes the groups that they touch.
    fn read_runs(&mut self, runs: &[Run]) -> Result<()> {
        self.clean = false;
        let found = Mutex::new(Losses::default());
        let broken = &self.bad.broken;
        let progress = self.check.progress;
        let pieces = slots(&mut self.buf, self.start, runs);
        self.read += pieces.iter().filter(|p| !broken.contains_key(&p.pack)).map(|p| p.pages).sum::<u64>();
        gather(self.check.history.packs(), pieces, &|reader, piece| {
            progress.advance(piece.pages * PAGE64);
            if broken.contains_key(&piece.pack) {
                piece.place.fill(0);
            } else if let Err(e) = reader.read_run(piece.pack, piece.page, piece.place) {
                let is_loss = |e: &Error| matches!(e, Error::Damaged { .. } | Error::Io { .. });
                let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                found.read_singly(reader, (piece.pack, piece.page), piece.place, e, is_loss)?;
            }
            Ok(())
        })?;
        for (pack, pages) in found.into_inner().unwrap_or_else(PoisonError::into_inner).pages {
            let bad = self.bad.pages.entry(pack).or_default();
            pages.runs().for_each(|range| bad.insert_range(range));
        }
        let mut touched = vec![false; self.digests.len()];
        runs.iter().for_each(|run| touch(&mut touched, self.start, &run.pages));
        hash_groups(&self.buf, &touched, &mut self.digests);
        Ok(())
    }
}
