//! The commit of a snapshot: the pack and the map appear first, then the `.snap` that names them.

use std::io::Write;
use std::sync::Arc;

use super::file_names::{SnapName, part_name};
use super::history::History;
use super::image::{Clipped, Image};
use super::spool::Spool;
use super::write_lock::WriteLock;
use crate::error::{At, Result};
use crate::pack::{
    Meta, NO_PACK, Overlay, PackSummary, Packs, Run, RunStream, RunsReader, RunsWriter, Section, SnapshotWriter,
    Source, Stored, write_map,
};
use crate::page::{Digest, PageRange};
use crate::planted::{Bug, planted};
use crate::sys::create::Pending;

/// A new map is not written for differences of fewer bytes than this.
const SMALL: u64 = 4096;
const SCRATCH: &str = "writing scratch space in";

/// The runs in which a new snapshot differs from its parent, ascending; pages of its own pack are [`Source::Pack`] of
/// [`NO_PACK`].
#[derive(Debug)]
pub struct UpdateRuns {
    runs: RunsWriter<Spool>,
}

impl UpdateRuns {
    /// No runs.
    pub fn new(history: &History) -> UpdateRuns {
        UpdateRuns { runs: RunsWriter::new(Spool::new(history.dir())) }
    }

    /// Adds a run.
    pub fn push(&mut self, run: Run, history: &History) -> Result<()> {
        self.runs.push(run).at(SCRATCH, history.dir())
    }
}

/// A snapshot that is complete but for its name: all that it needs is in the history.
#[derive(Debug)]
pub struct UnnamedSnapshot {
    /// Its number and id.
    pub name: SnapName,
    /// Its metadata.
    pub meta: Meta,
    file: Pending,
    /// A pack that a planted bug publishes too late.
    late: Option<(Pending, String)>,
}

/// Commits a snapshot whose image is `update` over that of `parent`, and returns its name and metadata. `meta` lacks
/// only [`Meta::stored`]. After an error nothing has changed.
pub fn commit(
    history: &History,
    lock: &mut WriteLock,
    parent: Option<&Image>,
    meta: Meta,
    update: UpdateRuns,
    pack: Option<(Pending, PackSummary)>,
) -> Result<(SnapName, Meta)> {
    prepare(history, lock, parent, meta, update, pack)?.commit(history, lock)
}

/// The first part of [`commit`]: pack and map appear, and are garbage until the snapshot does.
pub fn prepare(
    history: &History,
    lock: &mut WriteLock,
    parent: Option<&Image>,
    mut meta: Meta,
    update: UpdateRuns,
    pack: Option<(Pending, PackSummary)>,
) -> Result<UnnamedSnapshot> {
    let packs = history.packs();
    let number = history.next_number()?;
    let own = pack.as_ref().map(|(_, p)| packs.with_packs(|packs| packs.intern(p.id)));
    let (section, order, spool) = update.runs.finish().at(SCRATCH, history.dir())?;
    let order: Vec<u32> = order.into_iter().map(|n| if n == NO_PACK { own.unwrap_or(n) } else { n }).collect();
    let update = Runs { section, spool: Arc::new(spool), packs: order.clone().into() };
    let layers = Layers { history, parent, update: &update, len: meta.len };
    meta.stored = Stored::default();
    let mut late = None;
    if let Some((pending, summary)) = pack {
        meta.stored.pack = summary.id;
        meta.stored.pack_bytes = summary.bytes;
        let name = format!("{}.pack", summary.id);
        if planted(Bug::SnapBeforePack) {
            late = Some((pending, name));
        } else {
            lock.publish(pending, &name)?;
        }
    }
    let (over, order) = layers.place(&mut meta.stored, order, lock)?;
    if !lock.is_clean() {
        lock.sync()?;
    }
    let packs = packs.with_packs(|p: &mut Packs| order.iter().map(|n| p.id(*n)).collect());
    let file = history.pending()?;
    let writer = SnapshotWriter { meta: &meta, packs, over: over.section, update: update.section };
    let mut out = std::io::BufWriter::new(file.file());
    let written = writer.write(&*over.spool, &*update.spool, &mut out).and_then(|done| out.flush().map(|()| done));
    let (id, _) = written.at("writing a snapshot in", history.dir())?;
    drop(out);
    Ok(UnnamedSnapshot { name: SnapName { number, id }, meta, file, late })
}

impl UnnamedSnapshot {
    /// It appears in the history.
    pub fn commit(self, history: &History, lock: &mut WriteLock) -> Result<(SnapName, Meta)> {
        let UnnamedSnapshot { name, meta, file, late } = self;
        lock.check()?;
        lock.publish(file, &name.file_name())?;
        if let Some((pending, name)) = late {
            lock.publish(pending, &name)?;
        }
        history.record_number(name.number);
        lock.sync()?;
        lock.committed();
        Ok((name, meta))
    }

    /// It appears as a member of `set`, and is garbage until that set does.
    pub(super) fn commit_part(self, lock: &mut WriteLock, set: &Digest) -> Result<(SnapName, Meta)> {
        lock.check()?;
        lock.publish(self.file, &part_name(&self.name, set))?;
        lock.sync()?;
        Ok((self.name, self.meta))
    }
}

/// Coded runs in scratch space.
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

/// The layers of a new image.
struct Layers<'a> {
    history: &'a History,
    parent: Option<&'a Image>,
    update: &'a Runs,
    len: u64,
}

impl Layers<'_> {
    /// Writes a difference from the parent's full map, or a full map if the differences since the last map add up to
    /// more bytes than that map: n snapshots then cost about the square root of what n maps would.
    fn place(&self, stored: &mut Stored, order: Vec<u32>, lock: &mut WriteLock) -> Result<(Runs, Vec<u32>)> {
        let before = self.parent.map_or(Stored::default(), |p| p.meta().stored);
        let over = self.difference(order.clone())?;
        // Saturating, as nothing proves the sizes that the parent states.
        let debt = before.debt.saturating_add(over.0.section.bytes);
        if debt <= before.map_bytes.saturating_add(SMALL) {
            *stored = Stored { map: before.map, map_bytes: before.map_bytes, debt, ..*stored };
            return Ok(over);
        }
        let (map, map_bytes) = self.full(lock)?;
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
        let (section, order, spool) = writer.finish().at(SCRATCH, self.history.dir())?;
        let packs = order.clone().into();
        Ok((Runs { section, spool: Arc::new(spool), packs }, order))
    }

    fn copy(&self, runs: &mut impl RunStream, writer: &mut RunsWriter<Spool>) -> Result<()> {
        let all = PageRange::of_len(self.len);
        for run in runs {
            let run = run.map_err(|e| e.of(self.history.dir()))?;
            writer.push(run.clip(&all)).at(SCRATCH, self.history.dir())?;
        }
        Ok(())
    }

    fn full(&self, lock: &mut WriteLock) -> Result<(Digest, u64)> {
        let file = self.history.pending()?;
        let mut out = std::io::BufWriter::new(file.file());
        let all = PageRange::of_len(self.len);
        let holes = (!all.is_empty()).then_some(Ok(Run { pages: all, source: Source::Hole })).into_iter();
        let spool = Spool::new(self.history.dir());
        // A copy, as reading the runs locks the pack cache.
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
        lock.publish(file, &format!("{id}.map"))?;
        Ok((id, bytes))
    }
}
