//! Making a snapshot of what a scan found: the pack and map appear first, the `.snap` that names them last.

use std::io::Write;
use std::sync::Arc;

use super::file_names::SnapName;
use super::history::History;
use super::image::{Clipped, Image};
use super::spool::Spool;
use super::write_lock::WriteLock;
use crate::error::{At, Error, Result};
use crate::pack::{
    Meta, NO_PACK, Overlay, PackSummary, Packs, Run, RunStream, RunsReader, RunsWriter, Section, SnapshotWriter,
    Source, Stored, write_map,
};
use crate::page::{Digest, PageRange};
use crate::planted::{Bug, planted};
use crate::sys::create::Pending;

/// Differences smaller than this are not worth a map of their own.
const SMALL: u64 = 4096;

/// The runs of a snapshot in the making, in page order; pages of its own pack are [`Source::Pack`] of [`NO_PACK`].
#[derive(Debug)]
pub struct UpdateRuns {
    runs: RunsWriter<Spool>,
}

impl UpdateRuns {
    /// Nothing differs yet.
    pub fn new(history: &History) -> UpdateRuns {
        UpdateRuns { runs: RunsWriter::new(Spool::new(history.dir())) }
    }

    /// These pages differ.
    ///
    /// # Errors
    /// When scratch space cannot be written.
    pub fn push(&mut self, run: Run, history: &History) -> Result<()> {
        self.runs.push(run).at("writing scratch space in", history.dir())
    }
}

/// Commits a snapshot: `draft` laid over `parent`. `meta` has all but [`Meta::stored`]. Gives its name and what was
/// stored.
///
/// # Errors
/// When anything cannot be written: then nothing has changed.
pub fn commit(
    history: &History,
    writing: &mut WriteLock,
    parent: Option<&Image>,
    mut meta: Meta,
    draft: UpdateRuns,
    pack: Option<(Pending, PackSummary)>,
) -> Result<(SnapName, Meta)> {
    let packs = history.packs();
    let number = history.next_number()?;
    let scratch =
        |e: std::io::Error| Error::Io { doing: "writing scratch space in", path: history.dir().into(), source: e };
    let own = pack.as_ref().map(|(_, p)| packs.with_packs(|packs| packs.intern(p.id)));
    let (update, order, spool) = draft.runs.finish().map_err(scratch)?;
    let order: Vec<u32> = order.into_iter().map(|n| if n == NO_PACK { own.unwrap_or(n) } else { n }).collect();
    let update = Runs { section: update, spool: Arc::new(spool), packs: order.clone().into() };
    let mut all = Layers { history, parent, update: &update, len: meta.len };
    meta.stored = Stored::default();
    let mut late = None;
    if let Some((pending, summary)) = pack {
        meta.stored.pack = summary.id;
        meta.stored.pack_bytes = summary.bytes;
        let name = format!("{}.pack", summary.id);
        if planted(Bug::SnapBeforePack) {
            late = Some((pending, name));
        } else {
            writing.publish(pending, &name)?;
        }
    }
    let (over, order) = all.place(&mut meta.stored, order, writing)?;
    if !writing.is_clean() {
        writing.sync()?;
    }
    let packs = packs.with_packs(|p: &mut Packs| order.iter().map(|n| p.id(*n)).collect());
    let file = history.pending()?;
    let writer = SnapshotWriter { meta: &meta, packs, over: over.section, update: update.section };
    let mut out = std::io::BufWriter::new(file.file());
    let written = writer.write(&*over.spool, &*update.spool, &mut out).and_then(|done| out.flush().map(|()| done));
    let (id, _) = written.at("writing a snapshot in", history.dir())?;
    drop(out);
    let name = SnapName { number, id };
    writing.check()?;
    writing.publish(file, &name.file_name())?;
    if let Some((pending, name)) = late {
        writing.publish(pending, &name)?;
    }
    history.record_number(number);
    writing.sync()?;
    writing.committed();
    Ok((name, meta))
}

/// Runs on scratch space.
struct Runs {
    section: Section,
    spool: Arc<Spool>,
    packs: Arc<[u32]>,
}

impl Runs {
    fn read(&self) -> RunsReader<Arc<Spool>> {
        RunsReader::new(self.spool.clone(), 0, self.section, self.packs.clone())
    }
}

/// What the new image consists of.
struct Layers<'a> {
    history: &'a History,
    parent: Option<&'a Image>,
    update: &'a Runs,
    len: u64,
}

impl Layers<'_> {
    /// Decides between a difference from the parent's full map and a full map of its own, and writes it. A map is due
    /// when the differences written since the last add up to more than it: then neither outweighs the other, and a
    /// snapshot costs the square root of what a map each would.
    fn place(&mut self, stored: &mut Stored, order: Vec<u32>, writing: &mut WriteLock) -> Result<(Runs, Vec<u32>)> {
        let before = self.parent.map_or(Stored::default(), |p| p.meta().stored);
        let over = self.difference(order.clone())?;
        // What the parent says of sizes is only its word.
        let debt = before.debt.saturating_add(over.0.section.bytes);
        if debt <= before.map_bytes.saturating_add(SMALL) {
            *stored = Stored { map: before.map, map_bytes: before.map_bytes, debt, ..*stored };
            return Ok(over);
        }
        let (map, map_bytes) = self.full(writing)?;
        *stored = Stored { map, map_bytes, debt: 0, ..*stored };
        let none =
            Runs { section: Section::default(), spool: Arc::new(Spool::new(self.history.dir())), packs: [].into() };
        Ok((none, order))
    }

    fn difference(&self, order: Vec<u32>) -> Result<(Runs, Vec<u32>)> {
        let mut writer = RunsWriter::continuing(Spool::new(self.history.dir()), order);
        match self.parent {
            Some(parent) => self.copy(&mut Overlay::new(parent.over(), self.update.read()), &mut writer)?,
            None => self.copy(&mut self.update.read(), &mut writer)?,
        }
        let (section, order, spool) = writer.finish().at("writing scratch space in", self.history.dir())?;
        let packs = order.clone().into();
        Ok((Runs { section, spool: Arc::new(spool), packs }, order))
    }

    fn copy(&self, runs: &mut impl RunStream, writer: &mut RunsWriter<Spool>) -> Result<()> {
        let all = PageRange::of_len(self.len);
        for run in runs {
            let run = run.map_err(|e| e.of(self.history.dir()))?;
            writer.push(run.clip(&all)).at("writing scratch space in", self.history.dir())?;
        }
        Ok(())
    }

    fn full(&self, writing: &mut WriteLock) -> Result<(Digest, u64)> {
        let file = self.history.pending()?;
        let mut out = std::io::BufWriter::new(file.file());
        let all = PageRange::of_len(self.len);
        let holes = (!all.is_empty()).then_some(Ok(Run { pages: all, source: Source::Hole })).into_iter();
        let spool = Spool::new(self.history.dir());
        // The numbers of packs are only looked up once all runs are there, so the pack cache is free while they are
        // read.
        let packs = self.history.packs().with_packs(|p| p.clone());
        let parent: Box<dyn Iterator<Item = _>> = match self.parent {
            Some(parent) => Box::new(parent.runs()),
            None => Box::new(std::iter::empty()),
        };
        let runs = Overlay::new(holes, Overlay::new(parent, self.update.read()));
        let written = write_map(self.len, &mut Clipped { runs, to: all }, &packs, spool, &mut out);
        let (id, bytes) = written.map_err(|e| e.of(self.history.dir()))?;
        out.flush().at("writing a map in", self.history.dir())?;
        drop(out);
        writing.publish(file, &format!("{id}.map"))?;
        Ok((id, bytes))
    }
}
