//! Plan, then commit: what every verb that changes a target offers its caller.

use std::fmt;
use std::time::Instant;

use super::plan::{Report, Summary};
use crate::error::{Error, Result};
use crate::ops::{Note, Progress};

/// How a verb plans a change and carries it out.
pub(crate) trait Method {
    /// Returns what would be done. Stores and writes nothing.
    fn plan(&mut self, progress: &dyn Progress) -> Result<Planned>;

    /// Takes the locks and does it. With `confirmed`, only if the last plan still holds; otherwise does nothing
    /// and returns `None`.
    fn commit(&mut self, confirmed: bool, progress: &dyn Progress) -> Result<Option<Report>>;

    /// Whether the target has no snapshot, so that all of it is stored first.
    fn is_first(&self) -> Result<bool> {
        Ok(false)
    }

    /// Adds what the verb knows about an error.
    fn explain(&self, e: Error) -> Error {
        e
    }
}

/// A plan, as a [`Method`] makes it.
pub(crate) struct Planned {
    /// What is shown.
    pub(crate) changes: Summary,
    /// What the user should know.
    pub(crate) notes: Vec<Note>,
    /// What a commit has to do.
    pub(crate) task: Task,
}

/// What a commit has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Nothing.
    Nothing,
    /// Something that needs no consent.
    CleanUp,
    /// The change.
    Change,
}

impl Planned {
    /// A plan of `changes`, unless there are none.
    pub(crate) fn of(changes: Summary) -> Planned {
        let task = if changes.is_empty() { Task::Nothing } else { Task::Change };
        Planned { changes, notes: Vec::new(), task }
    }
}

/// A change that a verb asks for. Nothing has been read, stored or written yet.
pub struct Request<'a>(Box<dyn Method + 'a>);

/// What will be done. It can be shown, and then be dropped or committed.
pub struct Plan<'a> {
    request: Request<'a>,
    draft: Planned,
    began: Instant,
}

/// What came of a commit.
#[derive(Debug)]
#[must_use]
pub enum Outcome<'a> {
    /// The change was made.
    Done(Report),
    /// The plan no longer held, so the change was not made: this is what is to be done now.
    Changed(Plan<'a>),
}

impl<'a> Request<'a> {
    /// A request that `method` carries out.
    pub(crate) fn new(method: impl Method + 'a) -> Request<'a> {
        Request(Box::new(method))
    }

    /// Scans the target, and returns what would be done. Stores nothing.
    ///
    /// # Errors
    /// When that cannot be done: [`Error::Base`] when the target is not what it must be, [`Error::Refused`] when it is
    /// half changed, and what that needs.
    pub fn plan(mut self, progress: &dyn Progress) -> Result<Plan<'a>> {
        let began = Instant::now();
        let draft = self.0.plan(progress).map_err(|e| self.0.explain(e))?;
        Ok(Plan { request: self, draft, began })
    }

    /// Plans under the locks and continues at once, whatever the plan is: with one scan, for a caller who has consented
    /// already.
    ///
    /// # Errors
    /// As those of [`Plan::commit`].
    pub fn run(self, progress: &dyn Progress) -> Result<Report> {
        // A store is not begun for a change that cannot be made.
        if self.is_first()? { self.plan(progress)?.run(progress) } else { self.commit_now(progress) }
    }

    /// Whether the target has no snapshot, so that all of it is stored before the change.
    ///
    /// # Errors
    /// When the store cannot be read.
    #[doc(hidden)]
    pub fn is_first(&self) -> Result<bool> {
        self.0.is_first()
    }

    fn commit_now(mut self, progress: &dyn Progress) -> Result<Report> {
        let began = Instant::now();
        let done = self.0.commit(false, progress).map_err(|e| self.0.explain(e))?;
        let report = done.expect("only a confirmed plan can fail to hold");
        Ok(Report { elapsed: began.elapsed(), ..report })
    }
}

impl<'a> Plan<'a> {
    /// What will be done.
    pub fn changes(&self) -> &Summary {
        &self.draft.changes
    }

    /// Whether a commit writes to the target or forgets something, and is to be confirmed.
    #[doc(hidden)]
    pub fn needs_consent(&self) -> bool {
        self.draft.task == Task::Change
    }

    /// Takes the locks and makes the change, if the plan still holds.
    ///
    /// # Errors
    /// [`Error::Busy`] when other processes have the target open, [`Error::Refused`] when a safety check forbids it:
    /// then nothing was written. [`Error::Unfinished`] when the change stopped on its way.
    pub fn commit(mut self, progress: &dyn Progress) -> Result<Outcome<'a>> {
        if self.draft.task == Task::Nothing {
            return Ok(Outcome::Done(self.report()));
        }
        let began = Instant::now();
        let method = &mut self.request.0;
        Ok(match method.commit(true, progress).map_err(|e| method.explain(e))? {
            Some(report) => Outcome::Done(Report { elapsed: began.elapsed(), ..report }),
            None => Outcome::Changed(self.request.plan(progress)?),
        })
    }

    /// Takes the locks and makes the change, whatever the plan is by then.
    ///
    /// # Errors
    /// As those of [`Plan::commit`].
    pub fn run(self, progress: &dyn Progress) -> Result<Report> {
        if self.draft.task == Task::Nothing { Ok(self.report()) } else { self.request.commit_now(progress) }
    }

    /// Drops the plan: the report of a dry run.
    ///
    /// # Errors
    /// [`Error::Refused`] when an interrupted change is to be finished first: what follows is not known then.
    pub fn dismiss(self) -> Result<Report> {
        self.draft.changes.to_finish_first().map_or_else(|| Ok(self.report()), Err)
    }

    fn report(self) -> Report {
        let needed = self.draft.task == Task::Change;
        Report { needed, notes: self.draft.notes, elapsed: self.began.elapsed(), ..Report::of(self.draft.changes) }
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

impl fmt::Debug for Plan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("changes", &self.draft.changes).finish_non_exhaustive()
    }
}
