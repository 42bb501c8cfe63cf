//! `verify`: checks that everything in a store can be read back.
//!
//! Three steps for a history: its small files and the structure of the others (`structure`), the pages and the digest
//! of every image (`pages`), and the snapshots that are affected by the faults found (`losses`).
mod losses;
mod names;
mod pages;
mod report;
mod sets;
mod structure;

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use super::input::operand::Operand;
use super::read::losses::Losses;
use super::save::heal;
use super::{Note, Progress, find_history};
use crate::error::{Cause, Error, FileInStore, Result};
use crate::store::{History, STORE_NAME, SnapName, Store};
use crate::sys::open;
use report::Check;
pub use report::{Fault, Options, Report};
use structure::Structure;

/// How long a repair waits for another writer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Checks one image, one target, or without `what` the store of the working directory.
///
/// # Errors
/// When there is nothing to check, or it cannot be read. Damage is not an error: it is in the report.
pub fn verify(what: Option<&Operand>, options: &Options, progress: &dyn Progress) -> Result<Report> {
    let mut report = Report::default();
    let Chosen { damaged, histories, only } = choose(what, options, &mut report)?;
    let mut readable = false;
    for history in histories {
        let check = Check { history: &history, only, options, progress };
        readable |= check.run(&mut report)?;
    }
    if let Some(what) = what.filter(|_| report.targets == 0 && report.notes.is_empty()) {
        let file = FileInStore::new(&what.path, options.store.as_deref());
        return Err(Error::missing(format!("{} has no snapshots yet", what.path.display()), Cause::NoSnapshots(file)));
    }
    if options.repair {
        // Its line names what a newer version requires, and this one cannot know that.
        let newer = report.faults.iter().any(|fault| fault.newer);
        if let Some(store) = damaged.filter(|_| readable && !newer) {
            let made = store.renew_format().map_err(|e| e.to_string());
            mark_repaired(&store.format_path(), made, &mut report.faults);
        }
        let left = report.faults.iter_mut().filter(|fault| !fault.repaired && fault.unrepaired.is_empty());
        left.for_each(|fault| {
            let (why, cause) = why_not(fault, newer);
            (fault.unrepaired, fault.cause) = (why.into(), cause);
        });
    }
    Ok(report)
}

/// Marks the faults of this file as repaired, or records why they are not.
fn mark_repaired(path: &Path, made: Result<(), String>, faults: &mut [Fault]) {
    for fault in faults.iter_mut().filter(|fault| fault.path == path) {
        fault.repaired = made.is_ok();
        fault.unrepaired = made.clone().err().unwrap_or_default();
    }
}

/// Why no repair of this file was tried.
fn why_not(fault: &Fault, newer: bool) -> (&'static str, Cause) {
    let why = match fault.path.file_name().and_then(|name| name.to_str()) {
        _ if fault.newer => "only the version of memsnap that made it, or a newer one, can",
        Some("format") if newer => "only the version of memsnap that made the store, or a newer one, can",
        Some("format") => "no snapshot can be read that shows the format of the store",
        Some("target") => return ("this needs the name of the file", Cause::NoLabel),
        _ => "its content is not stored anywhere else",
    };
    (why, Cause::Stated)
}

/// What is to be checked.
struct Chosen {
    /// The store, if its `format` is damaged.
    damaged: Option<Store>,
    histories: Vec<History>,
    /// The one snapshot, if only that is meant.
    only: Option<SnapName>,
}

/// Finds it; reports faults of the store itself.
fn choose(what: Option<&Operand>, options: &Options, report: &mut Report) -> Result<Chosen> {
    let chosen = options.store.as_deref();
    if let Some(what) = what {
        let target = super::resolve(&what.path)?;
        let place = Store::place(chosen, &target);
        let (history, damaged) = match find_history(chosen, &what.path) {
            // The file `format` is damaged: a fault like any other; the history is still there.
            Err(e @ Error::Damaged { .. }) => {
                report.faults.push(Fault::of(&e, &place));
                let (store, _) = Store::open_despite(&place)?;
                (store.history(&target)?.ok_or(e)?, Some(store))
            }
            history => (history?, None),
        };
        let only = what.at.as_ref().map(|at| history.resolve(at)).transpose()?;
        return Ok(Chosen { damaged, histories: vec![history], only });
    }
    let (store, fault) = Store::open_despite(chosen.unwrap_or(Path::new(STORE_NAME)))?;
    report.files += 1;
    let is_damaged = fault.is_some();
    report.faults.extend(fault.map(|e| Fault::of(&e, store.dir())));
    let (histories, faults) = store.histories()?;
    report.faults.extend(faults.iter().map(|e| Fault::of(e, store.dir())));
    sets::check(&store, report)?;
    Ok(Chosen { damaged: is_damaged.then_some(store), histories, only: None })
}

impl Check<'_> {
    /// Adds what it finds to the report. Returns whether a snapshot could be read.
    fn run(&self, report: &mut Report) -> Result<bool> {
        let before = (report.snapshots, report.faults.len());
        let found: Structure = self.structure(report)?;
        // A history may be there before its first snapshot.
        report.targets += u64::from((report.snapshots, report.faults.len()) != before);
        let mut bad = Losses { broken: found.broken, ..Losses::default() };
        let mut wrong = Vec::new();
        if !self.options.quick {
            self.progress.begin("verifying", found.bytes);
            let read = self.pages(&found.sound, &mut bad, report);
            self.progress.end();
            wrong = read?;
        }
        let (mut faults, lost) = self.losses(&found.sound, &bad)?;
        let newer: Vec<_> = found.newer.iter().map(|pack| self.history.packs().pack_path(*pack)).collect();
        faults.iter_mut().for_each(|fault| fault.newer = newer.contains(&fault.path));
        let first = report.faults.len();
        report.faults.extend(faults);
        let whole = wrong.into_iter().filter(|name| !lost.contains(&name.number));
        report.faults.extend(whole.map(|name| {
            let path = self.history.snapshot_path(&name);
            let fault = Fault::new(&path, "its pages do not match its image digest");
            Fault { snapshots: vec![name.number], ..fault }
        }));
        let damaged = bad.broken.keys().chain(bad.pages.keys()).filter(|pack| !found.newer.contains(pack));
        let numbers: Vec<u32> = damaged.copied().collect();
        if !self.options.repair {
            numbers.iter().for_each(|pack| heal::suspect(self.history.packs(), *pack));
            if found.leftovers > 0 {
                self.history.ask_for_sweep();
            }
            return Ok(!found.sound.is_empty());
        }
        if !self.history.is_labelled() {
            // Taking the write lock rewrites the label.
            let made = self.history.write_lock(PATIENCE).map(drop).map_err(|e| e.to_string());
            mark_repaired(&self.history.dir().join("target"), made, &mut report.faults);
        }
        if !numbers.is_empty() {
            self.repair(&numbers, &mut report.faults[first..], &mut report.notes)?;
        }
        if found.leftovers > 0 {
            self.clear(found.leftovers, report)?;
        }
        Ok(!found.sound.is_empty())
    }

    /// Removes the leftover files that were found, as far as they are still there and unused under the lock.
    fn clear(&self, leftovers: u64, report: &mut Report) -> Result<()> {
        let writing = self.history.write_lock(PATIENCE)?;
        self.history.sweep(&writing)?;
        report.garbage -= leftovers;
        let files = if leftovers == 1 { "1 file".into() } else { format!("{leftovers} files") };
        report.notes.push(Note::new(format!("removed {files} left by an interrupted command")));
        Ok(())
    }

    /// Stores damaged pages again where possible, and marks the faults that are repaired.
    fn repair(&self, numbers: &[u32], faults: &mut [Fault], notes: &mut Vec<Note>) -> Result<()> {
        let target = self.history.target();
        let writing = self.history.write_lock(PATIENCE)?;
        let admitted = |live: File| self.history.admit(&live).map(|()| live);
        let live = match open::target_read(target).and_then(admitted) {
            Ok(live) => live,
            Err(e) => {
                notes.push(Note::warning(format!("nothing can be repaired: {e}")));
                let paths: Vec<_> = numbers.iter().map(|pack| self.history.packs().pack_path(*pack)).collect();
                let ours = faults.iter_mut().filter(|fault| paths.contains(&fault.path));
                ours.for_each(|fault| fault.unrepaired = e.to_string());
                return Ok(());
            }
        };
        for &pack in numbers {
            let healed = heal::heal(self.history, &writing, &[pack], &live)?;
            let path = self.history.packs().pack_path(pack);
            let whole = !healed.broken && healed.lost.is_empty();
            for fault in faults.iter_mut().filter(|fault| fault.path == path) {
                fault.repaired = whole;
                fault.unrepaired = match (whole, healed.broken) {
                    (true, _) => String::new(),
                    (_, true) => "without its index it is not known which pages it held".into(),
                    _ if healed.unread => "it cannot be read, and the file no longer holds all of its pages".into(),
                    (_, false) => "the file no longer holds these pages".into(),
                };
            }
            if healed.pages > 0 && !whole {
                let what = format!("{}: only {} pages could be stored again", path.display(), healed.pages);
                notes.push(Note::warning(what));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "verify_test.rs"]
mod tests;
