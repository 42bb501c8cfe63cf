//! The structure of every file of a history: names, records, snapshots, maps, the indexes of packs.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::report::{Check, Fault, Report};
use crate::error::{Cause, Error, Result};
use crate::ops::Note;
use crate::pack::{Bad, Run};
use crate::page::{Digest, PAGE64};
use crate::store::{DigestCache, Image, Intent, KeptClone, SnapName};

/// The result of the check of the structure.
pub(super) struct Structure {
    /// Snapshots that can be opened, with their maps, in the order of their numbers.
    pub(super) sound: Vec<SnapName>,
    /// Packs that are missing or cannot be opened, and why.
    pub(super) broken: BTreeMap<u32, String>,
    /// Those of them that a newer version made.
    pub(super) newer: BTreeSet<u32>,
    /// Bytes in the pages of the others.
    pub(super) bytes: u64,
    /// Files that no snapshot needs.
    pub(super) leftovers: u64,
}

impl Check<'_> {
    pub(super) fn structure(&self, report: &mut Report) -> Result<Structure> {
        let mut names = self.history.snapshots()?;
        let all = names.len();
        match self.only {
            Some(only) => names.retain(|name| *name == only),
            None => {
                self.names(&names, report)?;
                self.records(report)?;
            }
        }
        report.snapshots += names.len() as u64;
        let mut maps = HashSet::new();
        let sound = self.snapshots(&names, &mut maps, report)?;
        let (broken, newer, bytes) = self.packs(report);
        let mut leftovers = 0;
        if self.only.is_none() {
            let packs = self.history.packs().with_packs(|packs| packs.ids().to_vec());
            maps.extend(packs);
            // A snapshot that cannot be read may need anything.
            let needed = (sound.len() == all).then_some(&maps);
            let (leftover, mut others) = self.history.left_over(needed)?;
            leftovers = leftover.len() as u64;
            report.garbage += leftovers;
            others.sort();
            report.faults.extend(others.iter().map(|path| Fault::new(path, "it is not a regular file")));
        }
        Ok(Structure { sound, broken, newer, bytes, leftovers })
    }

    /// Tags, intents, the target's path, the cache.
    fn records(&self, report: &mut Report) -> Result<()> {
        let dir = self.history.dir();
        if self.history.is_moved() {
            let ends = if self.options.repair { "completed now" } else { "the next snapshot or change completes it" };
            let what = format!("the move to {} was interrupted: {ends}", self.history.target().display());
            report.notes.push(Note::new(what));
        } else if !self.history.is_labelled() {
            report.faults.push(Fault::new(&dir.join("target"), "it does not name the target of this history"));
        }
        let tags = self.history.tags()?;
        let records = [("intent", self.history.intent()), ("undo", self.history.last_change())];
        // Listed after they were read: a concurrent writer commits a snapshot first, and then what names it.
        let names = &self.history.snapshots()?;
        for (tag, id) in tags {
            report.files += 1;
            match id {
                Err(e) => report.faults.push(Fault::of(&e, dir)),
                Ok(id) if names.iter().all(|name| name.id != id) => {
                    report.notes.push(Note::warning(format!("tag {tag} names snapshot {id}, which does not exist")));
                }
                Ok(_) => {}
            }
        }
        for (name, record) in records {
            match record {
                Err(e) => report.faults.push(Fault::of(&e, &dir.join(name))),
                Ok(Some(record)) => self.record(name, &record, names, report),
                Ok(None) => {}
            }
        }
        let cache = dir.join("digests");
        if std::fs::symlink_metadata(&cache).is_ok() && DigestCache::open(self.history).is_none() {
            let what = format!("the digest cache {} is incomplete, and will be written again", cache.display());
            report.notes.push(Note::new(what));
        }
        if KeptClone::is_wrong(self.history) {
            let what =
                format!("the kept clone {} is not the one recorded, and is not used", dir.join("clone").display());
            report.notes.push(Note::new(what));
        }
        Ok(())
    }

    fn record(&self, name: &str, record: &Intent, names: &[SnapName], report: &mut Report) {
        report.files += 1;
        let path = self.history.dir().join(name);
        for id in [record.from, record.to] {
            if (record.is_final() || record.set.is_some()) && id.is_zero() {
                continue; // it was not stored, or there was no file
            }
            if names.iter().all(|name| name.id != id) {
                report.faults.push(Fault::new(&path, format!("it names snapshot {id}, which does not exist")));
            }
        }
        if name == "intent" {
            let what = format!("a change of {} was interrupted", self.history.target().display());
            report.notes.push(Note::warning(what).of(Cause::InterruptedThere));
        }
    }

    /// Opens all snapshots and decodes all runs; those that hold together.
    fn snapshots(&self, names: &[SnapName], maps: &mut HashSet<Digest>, report: &mut Report) -> Result<Vec<SnapName>> {
        let mut sound = Vec::new();
        // One fault a file, however many snapshots need it.
        let mut places: HashMap<_, usize> = HashMap::new();
        for name in names {
            report.files += 1;
            let opened = self.history.image(*name).and_then(|image| self.runs(&image, maps, report));
            let e = match opened {
                Ok(()) => {
                    sound.push(*name);
                    continue;
                }
                Err(Error::Damaged { .. }) if self.is_removed(*name) => {
                    report.files -= 1;
                    report.snapshots -= 1;
                    continue;
                }
                Err(e @ (Error::Damaged { .. } | Error::Version { .. } | Error::Io { .. })) => e,
                Err(e) => return Err(e),
            };
            let fault = Fault::of(&e, &self.history.snapshot_path(name));
            let place = *places.entry(fault.path.clone()).or_insert(report.faults.len());
            if place == report.faults.len() {
                report.faults.push(fault);
            }
            report.faults[place].snapshots.push(name.number);
        }
        Ok(sound)
    }

    /// Decodes the runs of a snapshot, and those of its full map when that has not been seen.
    fn runs(&self, image: &Image, maps: &mut HashSet<Digest>, report: &mut Report) -> Result<()> {
        let through = |runs: &mut dyn Iterator<Item = std::result::Result<Run, Bad>>| {
            for run in runs {
                run.map_err(|e| e.of(image.path()))?;
            }
            Ok(())
        };
        through(&mut image.update())?;
        let map = image.meta().stored.map;
        if !map.is_zero() && maps.insert(map) {
            report.files += 1;
            through(&mut image.runs())
        } else {
            through(&mut image.over())
        }
    }

    /// Opens all packs that were named and decodes their indexes: those that cannot be used, which of them a newer
    /// version made, and the bytes in the pages of the others.
    fn packs(&self, report: &mut Report) -> (BTreeMap<u32, String>, BTreeSet<u32>, u64) {
        let (mut broken, mut newer) = (BTreeMap::new(), BTreeSet::new());
        let mut bytes = 0;
        let packs = self.history.packs().with_packs(|packs| packs.ids().len()) as u32;
        for number in 0..packs {
            report.files += 1;
            let path = self.history.packs().pack_path(number);
            let index = self.history.packs().pack(number).and_then(|pack| {
                (0..pack.blocks()).try_for_each(|i| pack.block(i).map(drop)).map_err(|e| e.of(&path))?;
                Ok(pack.pages() * PAGE64)
            });
            match index {
                Ok(n) => bytes += n,
                Err(e) => {
                    let fault = Fault::of(&e, &path);
                    newer.extend(fault.newer.then_some(number));
                    broken.insert(number, fault.what);
                }
            }
        }
        (broken, newer, bytes)
    }
}
