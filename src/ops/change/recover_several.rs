//! Finishing or rolling back a change of several targets that was interrupted: all of them, whichever was named.
//!
//! While a member has no intent of its own, nothing of the change has been written: then its records are withdrawn. Else
//! each member is looked at as a single target is; a file that was to be made, and one that was to be removed, is there
//! as a whole, or is not there.

use std::path::PathBuf;

use super::capture::present;
use super::check::flush;
use super::hold::{Work, hold_all};
use super::interrupted::{Interrupted, Resolution};
use super::metadata::Metadata;
use super::plan::{Options, Report, Summary};
use super::prove::{all_pages, prove_one};
use super::record::{Part, SetStep, Step};
use super::request::{Method, Planned, Request, Task};
use super::several::{include_all, notes_of, sweep};
use super::steps::carry_out;
use super::unstored::named;
use crate::error::{Cause, Error, Result};
use crate::ops::{Note, Progress, compare};
use crate::page::{Digest, PageSet};
use crate::store::{ChangeMarker, History, Image, SetChange, SetChanges, Store};
use crate::sys::open;

/// The recovery of the change of several targets of which that of `history` is one, if there is one.
///
/// # Errors
/// When its record cannot be read; then the change can only be forgotten, for each target.
pub(crate) fn recover_several(
    history: &History,
    how: Option<Resolution>,
    options: &Options,
) -> Result<Option<Request<'static>>> {
    let Ok(intent) = history.intent() else { return Ok(None) };
    let sets = history.set_changes();
    let found = match intent.map(|intent| intent.set) {
        Some(Some(set)) => sets.unfinished(&set),
        // A change of this target alone.
        Some(None) => return Ok(None),
        None => match sets.unfinished_of(history.key())? {
            Some(change) => Ok(Some(change)),
            None => return Ok(None),
        },
    };
    let change = match found {
        Ok(Some(change)) => change,
        // What cannot be read can still be forgotten.
        Ok(None) | Err(Error::Damaged { .. }) if how == Some(Resolution::Abandon) => return Ok(None),
        Ok(None) => {
            let path = history.target();
            let what = "was changed together with other files, the change was interrupted, and its record is gone";
            return Err(Error::refused(format!("{} {what}", path.display()), Cause::RecordGone(path.into())));
        }
        Err(e) => return Err(e),
    };
    let set = change.id;
    let store = Store::open(history.dir().parent().unwrap_or(history.dir()))?;
    let mut histories = Vec::new();
    for member in &change.members {
        match store.history_of_key(&member.key)? {
            Some(history) => histories.push(history),
            None if how == Some(Resolution::Abandon) => {}
            None => {
                let what = format!("the history of {} is gone", store.target(&member.key).display());
                return Err(Error::missing(what, Cause::RecordGone(history.target().into())));
            }
        }
    }
    let (path, options) = (history.target().into(), options.clone());
    Ok(Some(Request::new(RecoverSeveral { path, sets, set, histories, how, options, seen: None })))
}

struct RecoverSeveral {
    /// What was named.
    path: PathBuf,
    sets: SetChanges,
    set: Digest,
    /// Of all members.
    histories: Vec<History>,
    how: Option<Resolution>,
    options: Options,
    /// What the last plan was made of.
    seen: Option<Basis>,
}

/// What a plan was made of: while it is the same, the plan holds.
#[derive(PartialEq, Eq)]
struct Basis {
    change: Option<SetChange>,
    members: Vec<(Summary, Digest)>,
}

/// What there is to recover.
enum Todo {
    /// Nothing: it has ended, and is only noted as the last change of each.
    Nothing,
    /// Nothing was written: its records are withdrawn.
    Withdraw,
    /// The markers and the records are removed.
    Forget,
    /// Each is brought to its end.
    Change(Box<SetChange>, Vec<Ending>),
}

/// A member, and its end.
struct Ending {
    goal: Option<Image>,
    /// The other side of the change.
    other: Option<Image>,
    pages: PageSet,
    /// It holds something that is on neither side.
    strange: bool,
    changes: Summary,
    found: Digest,
}

impl RecoverSeveral {
    fn look(&self, works: &mut [Work<'_>], progress: &dyn Progress) -> Result<(Todo, Basis)> {
        include_all(works);
        let unchanged = |work: &Work<'_>| {
            let len = if work.is_new { 0 } else { open::stamp(work.target.file, work.target.path)?.len };
            Ok((Summary::none(work.target.path, "it is", len), Digest::ZERO))
        };
        let all_unchanged = |works: &[Work<'_>]| works.iter().map(unchanged).collect::<Result<Vec<_>>>();
        if self.how == Some(Resolution::Abandon) {
            return Ok((Todo::Forget, Basis { change: None, members: all_unchanged(works)? }));
        }
        let change = self.sets.unfinished(&self.set)?;
        let mut begun = true;
        for work in works.iter_mut() {
            let intent = work.history.settled_intent(work.writing)?;
            begun &= intent.is_some_and(|intent| intent.set == Some(self.set));
        }
        let Some(change) = change else {
            return Ok((Todo::Nothing, Basis { change: None, members: all_unchanged(works)? }));
        };
        if !begun {
            return Ok((Todo::Withdraw, Basis { change: Some(change), members: all_unchanged(works)? }));
        }
        let look = |work: &mut Work<'_>| Ending::look(work, &change, self.how, progress);
        let endings = works.iter_mut().map(look).collect::<Result<Vec<_>>>()?;
        let members = endings.iter().map(|ending| (ending.changes.clone(), ending.found)).collect();
        let basis = Basis { change: Some(change.clone()), members };
        Ok((Todo::Change(Box::new(change), endings), basis))
    }

    fn go(&self, works: &mut [Work<'_>], todo: Todo, progress: &dyn Progress) -> Result<(Vec<Report>, Vec<Note>)> {
        let set = Some(self.set);
        match todo {
            Todo::Nothing => Ok((Vec::new(), vec![Note::new("no change was interrupted")])),
            Todo::Withdraw => {
                forget(works, |intent| intent == set)?;
                self.sets.withdraw(&self.set)?;
                Ok((Vec::new(), vec![Note::new(UNWRITTEN)]))
            }
            Todo::Forget => {
                forget(works, |intent| intent == set)?;
                self.sets.withdraw(&self.set)?;
                Ok((
                    works.iter().map(|w| Report::done(Summary::none(w.target.path, "it is", 0), 0)).collect(),
                    Vec::new(),
                ))
            }
            Todo::Change(change, endings) => carry(works, &change, endings, self.how, progress),
        }
    }

    fn summary(&self, members: Vec<Summary>, change: Option<&SetChange>) -> Summary {
        let to = change.map_or("it is".into(), |change| format!("the end of an interrupted {}", change.verb));
        Summary::several(&self.path, &to, members)
    }
}

/// The note when none of it was written.
const UNWRITTEN: &str = "nothing of the interrupted change was written: its records are withdrawn";

/// Removes markers and intents.
fn forget(works: &mut [Work<'_>], is_ours: impl Fn(Option<Digest>) -> bool) -> Result<()> {
    for work in works {
        let recorded = match work.history.intent() {
            Ok(intent) => intent.is_some_and(|intent| is_ours(intent.set)),
            Err(Error::Damaged { .. }) => true,
            Err(e) => return Err(e),
        };
        if recorded {
            if !work.is_new {
                ChangeMarker::remove(work.target.file, work.target.path)?;
                flush(work.target)?;
            }
            work.history.end_change(work.writing, None)?;
        }
    }
    Ok(())
}

/// Brings every member to its end.
fn carry(
    works: &mut [Work<'_>],
    change: &SetChange,
    endings: Vec<Ending>,
    how: Option<Resolution>,
    progress: &dyn Progress,
) -> Result<(Vec<Report>, Vec<Note>)> {
    let mut notes = Vec::new();
    for (work, ending) in works.iter_mut().zip(&endings) {
        if let Some(goal) = ending.goal.as_ref() {
            prove_one(goal, &ending.pages, progress)?;
        }
        if ending.strange {
            let number = present(work, progress)?.name.number;
            let what = "the previous content, with what is neither old nor new, is saved as";
            work.notes.push(Note::warning(format!("{what} @{number}")));
        }
    }
    let new = if is_forward(change, how) { change.clone() } else { change.reversed() };
    let mut intents = Vec::with_capacity(works.len());
    for work in works.iter() {
        intents.push((new.intent_of(work.history.key()), work.history.intent()?));
    }
    let mut parts = Vec::with_capacity(works.len());
    for ((work, ending), (intent, recorded)) in works.iter_mut().zip(&endings).zip(&intents) {
        let Some(intent) = intent else { continue };
        let (from, to, pages) = (ending.other.as_ref(), ending.goal.as_ref(), &ending.pages);
        parts.push(Part { work, step: Step { intent, recorded: recorded.as_ref(), from, to, pages } });
    }
    let set = SetStep { change: &new, recorded: Some(change) };
    let bytes = carry_out(&mut parts, Some(&set), progress)?;
    drop(parts);
    let mut reports = Vec::new();
    for ((work, ending), bytes) in works.iter_mut().zip(endings).zip(bytes) {
        let undo = ending.other.filter(|_| !ending.strange).map(|image| (image.name.number, image.name.id));
        reports.push(Report { undo, ..Report::done(ending.changes, bytes) });
        notes.extend(notes_of(work));
    }
    works.iter().take(1).for_each(sweep);
    Ok((reports, notes))
}

/// To finish or to roll back means the change that was begun first, also when its rollback was interrupted.
fn is_forward(change: &SetChange, how: Option<Resolution>) -> bool {
    how.is_none_or(|how| (how == Resolution::Finish) != change.is_rollback())
}

impl Ending {
    /// Compares a member with both sides of the change. Without `how` it must be on one of them, or between the two.
    fn look(
        work: &mut Work<'_>,
        change: &SetChange,
        how: Option<Resolution>,
        progress: &dyn Progress,
    ) -> Result<Ending> {
        let path = work.target.path;
        let intent = change.intent_of(work.history.key()).expect("the histories are those of the members");
        let image = |id: Digest| match id.is_zero() {
            true => Ok(None),
            false => work.history.image(named(work.history, &id)?).map(Some),
        };
        let (from, to) = (image(intent.from)?, image(intent.to)?);
        if from.is_some() && to.is_some() && !work.is_new {
            let change = Interrupted::look(work, &intent, how, progress)?;
            let (pages, strange, changes, found) =
                (change.pages.clone(), change.strange, change.changes.clone(), change.found);
            let (goal, other) = change.ends();
            return Ok(Ending { goal: Some(goal), other: Some(other), pages, strange, changes, found });
        }
        let (goal, other) = if is_forward(change, how) { (to, from) } else { (from, to) };
        if work.is_new {
            // One that was to stay, and is gone.
            if how.is_none() && goal.is_some() && other.is_some() {
                return Err(strange(work, "it is gone"));
            }
            let pages = goal.as_ref().map_or(Ok(PageSet::new()), all_pages)?;
            let changes = match &goal {
                Some(goal) => Summary::made(path, &name(goal, &intent.verb), goal.len(), &pages),
                None => Summary::none(path, "no file", 0),
            };
            return Ok(Ending { goal, other: None, pages, strange: false, changes, found: Digest::ZERO });
        }
        Ending::of_whole(work, (goal, other), &intent.verb, how, progress)
    }

    /// A file that was to be made or removed, and is there: it must be the one image that either side has.
    fn of_whole(
        work: &Work<'_>,
        (goal, other): (Option<Image>, Option<Image>),
        verb: &str,
        how: Option<Resolution>,
        progress: &dyn Progress,
    ) -> Result<Ending> {
        let path = work.target.path;
        let image = goal.as_ref().or(other.as_ref()).expect("a side of it has a file");
        let len = open::stamp(work.target.file, path)?.len;
        let compared = compare::pages_off(work.target, image, &work.options.reading, progress);
        let (off, found) = work.if_alone(compared)?;
        let is_other = found != image.digest() || len != image.len();
        if is_other && how.is_none() {
            return Err(strange(work, "it is neither the old file nor the new one"));
        }
        let (pages, changes) = match &goal {
            None => (PageSet::new(), Summary::removed(path, len)),
            Some(goal) => {
                let mut changes = Summary::new(path, ("now", len), (&name(goal, verb), goal.len()), &off);
                let content = !changes.is_empty();
                changes.metadata = Metadata::of(work.target)?.changes(&Metadata::stored(goal.meta()), content);
                (off, changes)
            }
        };
        let other = Some(image.clone());
        Ok(Ending { goal, other, pages, strange: is_other, changes, found })
    }
}

fn name(goal: &Image, verb: &str) -> String {
    format!("@{} (after an interrupted {verb})", goal.name.number)
}

/// The error for a member that others have changed since.
fn strange(work: &Work<'_>, what: &str) -> Error {
    Error::refused(
        format!("{} was changed by others after its change was interrupted: {what}", work.target.path.display()),
        Cause::WrittenSince,
    )
}

impl Method for RecoverSeveral {
    fn plan(&mut self, progress: &dyn Progress) -> Result<Planned> {
        let histories: Vec<_> = self.histories.iter().collect();
        // The locks are held: another process may be making that change.
        let (todo, seen) = hold_all(&histories, true, &self.options, |works| self.look(works, progress))?;
        let (notes, task) = match &todo {
            Todo::Nothing => (vec![Note::new("no change was interrupted")], Task::CleanUp),
            Todo::Withdraw => (vec![Note::new(UNWRITTEN)], Task::CleanUp),
            Todo::Forget => (Vec::new(), Task::Change),
            Todo::Change(_, endings) if endings.iter().any(|ending| ending.strange) => {
                let what = "a file holds something that is neither old nor new: that becomes a snapshot first";
                (vec![Note::new(what)], Task::Change)
            }
            Todo::Change(..) => (Vec::new(), Task::Change),
        };
        let members = seen.members.iter().map(|(changes, _)| changes.clone()).collect();
        let changes = self.summary(members, seen.change.as_ref());
        self.seen = Some(seen);
        Ok(Planned { changes, notes, task })
    }

    fn commit(&mut self, confirmed: bool, progress: &dyn Progress) -> Result<Option<Report>> {
        let planned = self.seen.take();
        let histories: Vec<_> = self.histories.iter().collect();
        hold_all(&histories, true, &self.options, |works| {
            let (todo, seen) = self.look(works, progress)?;
            if confirmed && planned.as_ref() != Some(&seen) {
                return Ok(None);
            }
            let (reports, notes) = self.go(works, todo, progress)?;
            let members = seen.members.into_iter().map(|(changes, _)| changes).collect();
            let report = Report::several(self.summary(members, seen.change.as_ref()), reports);
            Ok(Some(Report { notes, ..report }))
        })
    }
}
