//! Step 6: records the intent, and sets the change marker on the target, for other stores; and withdraws both.

use super::check::flush;
use super::hold::Work;
use crate::error::Result;
use crate::page::PageSet;
use crate::planted::{Bug, planted};
use crate::store::{ChangeMarker, Image, Intent, SetChange, SetChanges};

/// A change that is decided on, of one target.
pub(crate) struct Step<'s> {
    /// Its record.
    pub(crate) intent: &'s Intent,
    /// The record that is there already; it is there again when nothing is written.
    pub(crate) recorded: Option<&'s Intent>,
    /// What the target holds, if nothing was interrupted; none of a change without undo, and where there is no file.
    pub(crate) from: Option<&'s Image>,
    /// What the target is to hold; `None`: there is to be no file.
    pub(crate) to: Option<&'s Image>,
    /// The pages to be written.
    pub(crate) pages: &'s PageSet,
}

/// A target that is held, and what is done to it.
pub(crate) struct Part<'p, 'w> {
    /// The target.
    pub(crate) work: &'p mut Work<'w>,
    /// What is done.
    pub(crate) step: Step<'p>,
}

/// The record of a change of several targets.
pub(crate) struct SetStep<'s> {
    /// The record.
    pub(crate) change: &'s SetChange,
    /// The one that is there already.
    pub(crate) recorded: Option<&'s SetChange>,
}

/// Makes the records of a change: from now on each target may be half changed. That of several comes first: while a
/// member has none of its own, nothing is written.
pub(crate) fn record(parts: &mut [Part<'_, '_>], set: Option<&SetStep<'_>>) -> Result<()> {
    if !planted(Bug::SetIntentLate) {
        record_set(parts, set)?;
    }
    for Part { work, step } in parts {
        if step.recorded != Some(step.intent) {
            work.history.begin_change(work.writing, step.intent)?;
            if !work.is_new {
                ChangeMarker::set(work.target.file, work.target.path, work.history, step.intent);
            }
        }
    }
    Ok(())
}

/// Makes the record of a change of several.
pub(crate) fn record_set(parts: &[Part<'_, '_>], set: Option<&SetStep<'_>>) -> Result<()> {
    match set {
        Some(set) if set.recorded != Some(set.change) => sets(parts).begin(set.change),
        _ => Ok(()),
    }
}

/// The records of changes of several targets in the store of `parts`.
pub(crate) fn sets(parts: &[Part<'_, '_>]) -> SetChanges {
    parts[0].work.history.set_changes()
}

/// Durably withdraws the records of a change of which no byte was written.
pub(crate) fn withdraw(parts: &mut [Part<'_, '_>], set: Option<&SetStep<'_>>) -> Result<()> {
    if let Some(SetStep { change, recorded: Some(recorded) }) = set
        && change != recorded
    {
        return sets(parts).begin(recorded);
    }
    for part in parts.iter_mut() {
        withdraw_one(part)?;
    }
    match set {
        Some(SetStep { change, recorded: None }) => sets(parts).withdraw(&change.id),
        _ => Ok(()),
    }
}

fn withdraw_one(Part { work, step }: &mut Part<'_, '_>) -> Result<()> {
    if step.recorded == Some(step.intent) {
        return Ok(());
    }
    if let Some(recorded) = step.recorded {
        work.history.begin_change(work.writing, recorded)?;
        ChangeMarker::set(work.target.file, work.target.path, work.history, recorded);
        return Ok(());
    }
    // The marker first: without its record it would keep the file from every verb.
    if !work.is_new {
        ChangeMarker::remove(work.target.file, work.target.path)?;
        flush(work.target)?;
    }
    work.history.end_change(work.writing, None)
}

/// Withdraws what was recorded before an error of [`record`]; what cannot be withdrawn is there for recovery.
pub(crate) fn withdraw_some(parts: &mut [Part<'_, '_>], set: &SetStep<'_>) {
    parts.iter_mut().for_each(|part| {
        let _ = withdraw_one(part);
    });
    if set.recorded.is_none() && parts.iter().all(|part| matches!(part.work.history.intent(), Ok(None))) {
        let _ = sets(parts).withdraw(&set.change.id);
    }
}
