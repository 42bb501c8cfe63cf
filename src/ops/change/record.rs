//! Step 6: records the intent, and sets the change marker on the target, for other stores; and withdraws both.

use super::check::flush;
use super::hold::Work;
use crate::error::Result;
use crate::page::PageSet;
use crate::store::{ChangeMarker, Image, Intent};

/// A change that is decided on.
pub(crate) struct Step<'s> {
    /// Its record.
    pub(crate) intent: &'s Intent,
    /// The record that is there already; it is there again when nothing is written.
    pub(crate) recorded: Option<&'s Intent>,
    /// What the target holds, if nothing was interrupted; none of a change without undo.
    pub(crate) from: Option<&'s Image>,
    /// What the target is to hold.
    pub(crate) to: &'s Image,
    /// The pages to be written.
    pub(crate) pages: &'s PageSet,
}

/// Makes the records of a change: from now on the target may be half changed.
pub(crate) fn record(work: &mut Work<'_>, step: &Step<'_>) -> Result<()> {
    if step.recorded != Some(step.intent) {
        work.history.begin_change(work.writing, step.intent)?;
        ChangeMarker::set(work.target.file, work.target.path, work.history, step.intent);
    }
    Ok(())
}

/// Durably withdraws the records of a change of which no byte was written.
pub(crate) fn withdraw(work: &mut Work<'_>, step: &Step<'_>) -> Result<()> {
    if step.recorded == Some(step.intent) {
        return Ok(());
    }
    if let Some(recorded) = step.recorded {
        work.history.begin_change(work.writing, recorded)?;
        ChangeMarker::set(work.target.file, work.target.path, work.history, recorded);
        return Ok(());
    }
    // The marker first: without its record it would keep the file from every verb.
    ChangeMarker::remove(work.target.file, work.target.path)?;
    flush(work.target)?;
    work.history.end_change(work.writing, None)
}
