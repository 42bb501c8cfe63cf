//! A change without undo: the current content is not stored, as when there is no space for it. It is final: one that is
//! interrupted can only be finished, and only on request, because pages that were not written yet cannot be
//! distinguished from pages that others have written since.

use super::hold::Work;
use super::metadata::Metadata;
use super::plan::{Report, Summary};
use super::prove::prove_one;
use super::record::Step;
use super::steps::{carry_out_one, new_intent};
use crate::error::{Cause, Error, Result};
use crate::ops::{Progress, compare};
use crate::page::{Digest, PageSet};
use crate::store::{History, Image, Intent, SnapName};
use crate::sys::open;

/// All that differs between a target and a snapshot.
pub(crate) struct Unstored {
    to: Image,
    pages: PageSet,
    /// What will be written.
    pub(crate) changes: Summary,
    /// The image digest of the target.
    pub(crate) found: Digest,
}

impl Unstored {
    /// Compares the target with `wanted`. `half`: a change without undo was interrupted.
    pub(crate) fn look(work: &Work<'_>, wanted: SnapName, half: bool, progress: &dyn Progress) -> Result<Unstored> {
        let to = work.history.image(wanted)?;
        let compared = compare::pages_off(work.target, &to, &work.options.reading, progress);
        let (pages, found) = work.if_alone(compared)?;
        let (path, now) = (work.target.path, if half { "half-written" } else { "now" });
        let len = open::stamp(work.target.file, path)?.len;
        let name = format!("@{}", to.name.number);
        let mut changes = Summary::new(path, (now, len), (&name, to.len()), &pages);
        changes.no_undo = true;
        changes.metadata = Metadata::of(work.target)?.changes(&Metadata::stored(to.meta()), !changes.is_empty());
        Ok(Unstored { to, pages, changes, found })
    }

    /// Writes all of it. `recorded` is the record of an interrupted change.
    pub(crate) fn carry(
        self,
        work: &mut Work<'_>,
        verb: &str,
        recorded: Option<&Intent>,
        progress: &dyn Progress,
    ) -> Result<Report> {
        // A change that was recorded has to be ended, even where nothing is left to write.
        if self.changes.is_empty() && recorded.is_none() {
            return Ok(Report::of(self.changes));
        }
        let proven = prove_one(&self.to, &self.pages, progress);
        work.if_alone(proven)?;
        let none = (Digest::ZERO, Digest::ZERO);
        let intent = new_intent(work, verb, none, (self.to.name.id, self.to.digest()))?;
        let intent = recorded.filter(|r| r.to == intent.to && r.file == intent.file).cloned().unwrap_or(intent);
        let step = Step { intent: &intent, recorded, from: None, to: Some(&self.to), pages: &self.pages };
        let bytes = carry_out_one(work, step, progress)?;
        Ok(Report::done(self.changes, bytes))
    }
}

/// The error of a verb that would do anything but finish such a change.
pub(crate) fn only_forward(work: &Work<'_>, intent: &Intent) -> Error {
    Error::refused(
        format!(
            "an interrupted {} of {} was begun without undo: the content before was not stored, so it can only be \
             finished",
            intent.verb,
            work.target.path.display()
        ),
        Cause::OnlyForward,
    )
}

/// The snapshot of that id.
pub(crate) fn named(history: &History, id: &Digest) -> Result<SnapName> {
    let found = history.snapshots()?.into_iter().find(|n| n.id == *id);
    found.ok_or_else(|| Error::missing(format!("snapshot {id} is missing"), Cause::SnapshotGone))
}
