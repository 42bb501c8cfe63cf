//! `revert`, `undo`, `apply` and `edit`: bring the target from image X to image Y, as docs/design.md describes.

use std::path::{Path, PathBuf};

use super::capture::{capture, keep};
use super::hold::{Work, hold, obstacle, of_read_only};
use super::plan::{Options, Report, Summary};
use super::recover::FinishFirst;
use super::request::{Method, Planned};
use super::space::try_length;
use super::steps::bring;
use crate::error::{At, Error, Result};
use crate::ops::input::image::LiveFile;
use crate::ops::input::renamed;
use crate::ops::save::capture::CapturedImage;
use crate::ops::{Note, Progress, has_none, history_of};
use crate::page::Digest;
use crate::store::{History, Image, Intent, Store};
use crate::sys::{open, sparse};

/// What a target is to become, as each verb defines it.
pub(crate) trait Goal {
    /// The verb, for the record.
    fn verb(&self) -> &'static str;

    /// Scans the target, without any lock, and returns what would change; an error when it is not what it must be.
    fn look(&mut self, options: &Options, progress: &dyn Progress) -> Result<Summary>;

    /// Reads what it needs of the target before that is captured. With `confirmed`, false when that is not what
    /// [`Goal::look`] saw.
    fn enter(&mut self, _: &Work<'_>, _confirmed: bool) -> Result<bool> {
        Ok(true)
    }

    /// Whether what was captured is what [`Goal::look`] saw.
    fn holds(&self, _: &Work<'_>, _: &CapturedImage) -> Result<bool> {
        Ok(true)
    }

    /// The name of what the target is to hold, where it does already; an error when it is not what it must be.
    fn already(&self, work: &Work<'_>, taken: &CapturedImage) -> Result<Option<String>>;

    /// Makes the image that the target is to hold; it holds `from`.
    fn make(&mut self, work: &mut Work<'_>, from: &Image) -> Result<Image>;

    /// Whether it can follow the change that was interrupted, once that is finished.
    fn fits(&self, _: &Intent) -> bool {
        true
    }

    /// Whether [`Goal::look`] reads little of the target.
    fn is_cheap(&self) -> bool {
        false
    }

    /// Adds what the verb knows about what was changed.
    fn complete(&self, _: &mut Summary) {}

    /// The length of the image that it composes, as far as that is known.
    fn len(&self) -> Option<u64> {
        None
    }

    /// Adds what the verb knows about an error.
    fn explain(&self, e: Error) -> Error {
        e
    }
}

/// An error unless the target at `path`, which has the image digest `found`, is the expected image.
pub(crate) fn expect(path: &Path, expected: Digest, found: Digest) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::base(path, expected, found))
}

/// A change in place.
pub(crate) struct InPlace<G> {
    goal: G,
    target: PathBuf,
    history: Option<History>,
    options: Options,
    first: FinishFirst,
}

impl<G: Goal> InPlace<G> {
    /// Brings `target`, a resolved path, to `goal`. Makes a history if there is none.
    pub(crate) fn new(goal: G, target: PathBuf, options: &Options) -> Result<InPlace<G>> {
        let history = history_of(options.store.as_deref(), &target)?;
        Ok(InPlace { goal, target, history, options: options.clone(), first: FinishFirst::default() })
    }

    /// The same in a history that is there.
    pub(crate) fn within(history: History, goal: G, options: &Options) -> InPlace<G> {
        let target = history.target().into();
        InPlace { goal, target, history: Some(history), options: options.clone(), first: FinishFirst::default() }
    }

    /// The history, which is begun if there is none; then also what should be known of files that it may belong to.
    fn begin(&mut self) -> Result<(History, Vec<Note>)> {
        let chosen = self.options.store.as_deref();
        if self.history.is_none() {
            self.history = history_of(chosen, &self.target)?;
        }
        if let Some(history) = &self.history {
            return Ok((history.clone(), Vec::new()));
        }
        // A store is not begun for a change that cannot be made.
        self.try_length()?;
        let store = Store::find_or_create(chosen, &self.target).map_err(|e| of_read_only(e, &self.target))?;
        let suspects = renamed::check(&store, &self.target, &open::target_read(&self.target)?)?;
        let history = store.make_history(&self.target)?;
        let warning = |suspect: &renamed::Suspect| suspect.warning(&self.target, &history);
        let notes = suspects.iter().map(warning).collect();
        Ok((self.history.insert(history).clone(), notes))
    }

    fn is_interrupted(&self) -> Result<bool> {
        Ok(self.history.as_ref().map(History::intent).transpose()?.flatten().is_some())
    }

    /// What can never be written is not composed.
    fn try_length(&self) -> Result<()> {
        self.goal.len().map_or(Ok(()), |len| try_length(&self.target, len))
    }

    fn go(&mut self, work: &mut Work<'_>, confirmed: bool, progress: &dyn Progress) -> Result<Option<Report>> {
        let goal = &mut self.goal;
        if !self.first.finish(work, &|intent| goal.fits(intent), confirmed, progress)? {
            return Ok(None);
        }
        work.refuse_hot_log(false)?;
        if !goal.enter(work, confirmed)? {
            return Ok(None);
        }
        goal.len().map_or(Ok(()), |len| try_length(work.target.path, len))?;
        let taken = capture(work, progress)?;
        if confirmed && !goal.holds(work, &taken)? {
            return Ok(None);
        }
        if let Some(name) = goal.already(work, &taken)? {
            let changes = Summary::none(work.target.path, &name, taken.len);
            if taken.parent.as_ref().is_some_and(|parent| taken.is(parent)) {
                taken.unchanged(work.history);
            }
            return Ok(Some(Report::of(changes)));
        }
        let from = keep(work, taken)?;
        let latest = work.history.snapshots()?.last().copied();
        let to = goal.make(work, &from);
        let composed = to.as_ref().ok().map(|to| to.name).filter(|name| Some(*name) > latest);
        let brought = work.if_alone(to).and_then(|to| bring(work, goal.verb(), &from, &to, progress));
        if let (Err(_), Some(name)) = (&brought, composed) {
            // What the target was to hold, and never did. Where it cannot be removed it is a snapshot too many.
            let _ = work.history.remove_unused(work.writing, &name);
        }
        let mut report = brought?;
        goal.complete(&mut report.changes);
        Ok(Some(report))
    }
}

impl<G: Goal> Method for InPlace<G> {
    fn plan(&mut self, progress: &dyn Progress) -> Result<Planned> {
        if let Some(history) = &self.history
            && let Some(draft) = self.first.plan(history, &self.options, &|intent| self.goal.fits(intent), progress)?
        {
            return Ok(draft);
        }
        let mut changes = self.goal.look(&self.options, progress)?;
        if !changes.is_empty() {
            changes.obstacle = obstacle(&self.target, &self.options, &[]);
            changes.stores_first = if self.is_first()? { Some(data_of(&LiveFile::open(&self.target)?)?) } else { None };
        }
        Ok(Planned { notes: self.first.notes.clone(), ..Planned::of(changes) })
    }

    fn commit(&mut self, confirmed: bool, progress: &dyn Progress) -> Result<Option<Report>> {
        if !confirmed && self.goal.is_cheap() && !self.is_interrupted()? {
            // Where nothing is to be done, nothing is locked.
            let changes = self.goal.look(&self.options, progress)?;
            if changes.is_empty() {
                return Ok(Some(Report::of(changes)));
            }
        }
        let (history, mut suspects) = self.begin()?;
        let options = self.options.clone();
        hold(&history, &options, |work| {
            let Some(mut report) = self.go(work, confirmed, progress)? else { return Ok(None) };
            report.notes = std::mem::take(&mut self.first.notes);
            report.notes.append(&mut work.notes);
            report.notes.append(&mut suspects);
            Ok(Some(report))
        })
    }

    fn is_first(&self) -> Result<bool> {
        has_none(self.history.as_ref())
    }

    fn explain(&self, e: Error) -> Error {
        self.goal.explain(e)
    }
}

/// Bytes of data in a file, which the first change stores for undo.
fn data_of(live: &LiveFile) -> Result<u64> {
    let data = sparse::data_ranges(&live.file, live.len).at("looking for holes in", &live.path)?;
    Ok(data.iter().map(|extent| extent.end - extent.start).sum())
}
