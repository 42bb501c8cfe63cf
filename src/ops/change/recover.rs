//! `recover`: finish, roll back or forget a change that was interrupted; and verbs that finish one first.

use std::path::{Path, PathBuf};

use super::check::flush;
use super::hold::{Work, hold};
use super::interrupted::Interrupted;
pub use super::interrupted::Resolution;
use super::plan::{Options, Report, Summary};
use super::recover_several::recover_several;
use super::request::{Method, Planned, Request, Task};
use super::unstored::{Unstored, named};
use crate::error::{Error, Result};
use crate::ops::input::Target;
use crate::ops::set::SetEntry;
use crate::ops::{Note, Progress, find_history, history_of, resolve};
use crate::page::{Digest, PageSet};
use crate::store::{ChangeMarker, History, Intent};
use crate::sys::{lock, open};

/// Recovers `file`; without `how` the change is finished, if nothing but the change itself has touched the file.
///
/// # Errors
/// [`Error::Missing`] when there is no history; then the plan's: [`Error::Refused`] when a page is neither the old nor
/// the new one and `how` does not say which to make it.
pub fn recover(file: &Path, how: Option<Resolution>, options: &Options) -> Result<Request<'static>> {
    let (target, options) = (resolve(file)?, options.clone());
    if how == Some(Resolution::Abandon) && history_of(options.store.as_deref(), &target)?.is_none() {
        return Ok(Request::new(Forget { target, options }));
    }
    let history = find_history(options.store.as_deref(), file)?;
    if let Some(request) = recover_several(&history, how, &options)? {
        return Ok(request);
    }
    Ok(Request::new(Recover { history, options, recovery: Recovery { how, seen: None } }))
}

/// Recovers the files of `set`, as [`recover`] does for any of them.
///
/// # Errors
/// As [`recover`]; [`Error::Missing`] when no change of several of them was interrupted.
pub fn recover_set(set: &SetEntry, how: Option<Resolution>, options: &Options) -> Result<Request<'static>> {
    for member in &set.members {
        let history = find_history(options.store.as_deref(), &member.path)?;
        if let Some(request) = recover_several(&history, how, options)? {
            return Ok(request);
        }
    }
    let what = format!("no change of several files of the set {:.12} was interrupted", set.id);
    Err(Error::missing(what, "name the file whose change was interrupted"))
}

struct Recover {
    history: History,
    options: Options,
    recovery: Recovery,
}

impl Method for Recover {
    fn plan(&mut self, progress: &dyn Progress) -> Result<Planned> {
        self.recovery.plan(&self.history, &self.options, progress)
    }

    fn commit(&mut self, confirmed: bool, progress: &dyn Progress) -> Result<Option<Report>> {
        hold(&self.history, &self.options, |work| {
            let Some(mut report) = self.recovery.commit(work, confirmed, progress)? else { return Ok(None) };
            report.notes.append(&mut work.notes);
            Ok(Some(report))
        })
    }
}

/// The note when there is nothing to recover.
const NOTHING: &str = "no change was interrupted";

/// What is done with an interrupted change, whatever it is.
#[derive(Default)]
struct Recovery {
    how: Option<Resolution>,
    /// What the last plan was made of.
    seen: Option<RecoveryBasis>,
}

/// What a plan was made of: while it is the same, the plan holds.
#[derive(PartialEq, Eq)]
struct RecoveryBasis {
    /// The record of the change.
    intent: Option<Intent>,
    /// What will be written.
    changes: Summary,
    /// The image digest of the target, where that counts.
    found: Digest,
}

/// What there is to recover.
enum Todo {
    /// Nothing; but a crash may have brought back the marker of a change that was finished.
    Nothing,
    /// The marker is removed; and the record, where it is one of this history.
    Forget { record: bool },
    /// A change without undo is finished.
    Final(Intent, Box<Unstored>),
    /// A change is finished or rolled back.
    Change(Intent, Box<Interrupted>),
}

impl Recovery {
    fn plan(&mut self, history: &History, options: &Options, progress: &dyn Progress) -> Result<Planned> {
        // The locks are held: another process may be making that change.
        let (todo, seen) = hold(history, options, |work| self.look(work, progress))?;
        let (notes, task) = match &todo {
            Todo::Nothing => (vec![Note::new(NOTHING)], Task::CleanUp),
            Todo::Change(_, change) if change.strange => {
                let what = "it holds something that is neither old nor new: that becomes a snapshot first";
                (vec![Note::new(what)], Task::Change)
            }
            _ => (Vec::new(), Task::Change),
        };
        let changes = self.seen.insert(seen).changes.clone();
        Ok(Planned { changes, notes, task })
    }

    fn commit(&mut self, work: &mut Work<'_>, confirmed: bool, progress: &dyn Progress) -> Result<Option<Report>> {
        let planned = self.seen.take();
        let (todo, seen) = self.look(work, progress)?;
        if confirmed && planned.as_ref() != Some(&seen) {
            return Ok(None);
        }
        Ok(Some(match todo {
            Todo::Nothing => {
                remove_marker(work.target)?;
                Report { notes: vec![Note::new(NOTHING)], ..Report::of(seen.changes) }
            }
            Todo::Forget { record } => {
                remove_marker(work.target)?;
                if record {
                    work.history.end_change(work.writing, None)?;
                }
                Report::done(seen.changes, 0)
            }
            Todo::Final(intent, unstored) => unstored.carry(work, &intent.verb, Some(&intent), progress)?,
            Todo::Change(intent, change) => change.carry(work, &intent, progress)?,
        }))
    }

    fn look(&self, work: &mut Work<'_>, progress: &dyn Progress) -> Result<(Todo, RecoveryBasis)> {
        let (path, abandon) = (work.target.path, self.how == Some(Resolution::Abandon));
        let intent = match work.history.settled_intent(work.writing) {
            // What cannot be read can still be forgotten.
            Err(Error::Damaged { .. }) if abandon => None,
            Ok(None) => match work.marker() {
                Some(_) if abandon => return forget(work.target, false),
                Some(marker) => return Err(marker.refusal(path)),
                None => {
                    let len = open::stamp(work.target.file, path)?.len;
                    let changes = Summary::none(path, "it is", len);
                    return Ok((Todo::Nothing, RecoveryBasis { intent: None, changes, found: Digest::ZERO }));
                }
            },
            intent => intent?,
        };
        let Some(intent) = intent.filter(|_| !abandon) else { return forget(work.target, true) };
        if intent.set.is_some() {
            return Err(ChangeMarker::own(work.history).refusal(path)); // it has begun meanwhile
        }
        if intent.is_final() && self.how == Some(Resolution::Finish) {
            let unstored = Unstored::look(work, named(work.history, &intent.to)?, true, progress)?;
            let (changes, found) = (unstored.changes.clone(), unstored.found);
            return Ok((
                Todo::Final(intent.clone(), Box::new(unstored)),
                RecoveryBasis { intent: Some(intent), changes, found },
            ));
        }
        let change = Interrupted::look(work, &intent, self.how, progress)?;
        let (changes, found) = (change.changes.clone(), change.found);
        Ok((Todo::Change(intent.clone(), Box::new(change)), RecoveryBasis { intent: Some(intent), changes, found }))
    }
}

/// The plan to forget a change.
fn forget(target: Target<'_>, record: bool) -> Result<(Todo, RecoveryBasis)> {
    let changes = forgotten(target)?;
    Ok((Todo::Forget { record }, RecoveryBasis { intent: None, changes, found: Digest::ZERO }))
}

fn forgotten(target: Target<'_>) -> Result<Summary> {
    let len = open::stamp(target.file, target.path)?.len;
    Ok(Summary::new(target.path, ("half-written", len), ("half-written", len), &PageSet::new()))
}

fn remove_marker(target: Target<'_>) -> Result<()> {
    ChangeMarker::remove(target.file, target.path)?;
    flush(target)
}

/// Removes the change marker of a target that has no history: a copy, or its store was removed.
struct Forget {
    target: PathBuf,
    options: Options,
}

impl Forget {
    fn held(&self, f: impl FnOnce(Target<'_>) -> Result<()>) -> Result<Summary> {
        let (file, path) = (open::target_write(&self.target)?, &self.target);
        if ChangeMarker::get(&file, path, self.options.store.as_deref()).is_none() {
            find_history(self.options.store.as_deref(), path)?;
        }
        // A change that is under way holds this lock.
        let _held = lock::flock(&file, path, lock::LockMode::Exclusive, self.options.reading.wait)?;
        let target = Target { file: &file, path };
        let changes = forgotten(target)?;
        f(target).map(|()| changes)
    }
}

impl Method for Forget {
    fn plan(&mut self, _: &dyn Progress) -> Result<Planned> {
        let changes = self.held(|_| Ok(()))?;
        Ok(Planned { changes, notes: Vec::new(), task: Task::Change })
    }

    fn commit(&mut self, _: bool, _: &dyn Progress) -> Result<Option<Report>> {
        self.held(remove_marker).map(|changes| Some(Report::done(changes, 0)))
    }
}

/// For a verb that finishes an interrupted change before its own.
#[derive(Default)]
pub(crate) struct FinishFirst {
    recovery: Recovery,
    /// What has been changed, for a later error.
    so_far: Option<String>,
    /// What the user should know of that.
    pub(crate) notes: Vec<Note>,
}

impl FinishFirst {
    /// The plan to finish an interrupted change, if there is one. `fits`: whether the verb can follow it.
    pub(crate) fn plan(
        &mut self,
        history: &History,
        options: &Options,
        fits: &dyn Fn(&Intent) -> bool,
        progress: &dyn Progress,
    ) -> Result<Option<Planned>> {
        self.recovery.seen = None;
        let Some(intent) = history.intent()? else { return Ok(None) };
        // One of several targets is ended for all of them, on request.
        if intent.set.is_some() || !fits(&intent) {
            return Err(ChangeMarker::own(history).refusal_to_read(history.target()));
        }
        let mut draft = self.recovery.plan(history, options, progress)?;
        draft.changes.finishes = Some(intent.verb);
        if draft.task != Task::Change {
            // Another process was making the change, and has completed it.
            self.recovery.seen = None;
            return Ok(None);
        }
        Ok(Some(draft))
    }

    /// Finishes an interrupted change, if there is one. False where a new plan is due: with `confirmed`, it does no
    /// more than the last plan showed, whether that was to finish a change or not.
    pub(crate) fn finish(
        &mut self,
        work: &mut Work<'_>,
        fits: &dyn Fn(&Intent) -> bool,
        confirmed: bool,
        progress: &dyn Progress,
    ) -> Result<bool> {
        work.so_far = self.so_far.clone().unwrap_or(std::mem::take(&mut work.so_far));
        let Some(intent) = work.history.settled_intent(work.writing)? else {
            let planned = self.recovery.seen.take().is_some();
            return match work.marker() {
                Some(marker) => Err(marker.refusal(work.target.path)),
                None => Ok(!confirmed || !planned),
            };
        };
        // The finished change would not be what the verb needs: nothing is written.
        if intent.set.is_some() || !fits(&intent) {
            return Err(ChangeMarker::own(work.history).refusal(work.target.path));
        }
        if self.recovery.commit(work, confirmed, progress)?.is_none() {
            return Ok(false);
        }
        self.notes.append(&mut work.notes);
        self.notes.push(Note::new(format!("an interrupted {} was finished first", intent.verb)));
        work.so_far = format!("the interrupted {} was finished, and nothing else was changed", intent.verb);
        self.so_far = Some(work.so_far.clone());
        Ok(!confirmed)
    }
}
