//! Steps 10 and 11: the change marker is removed, the metadata set, and the intent becomes the record of the last change.

use super::check::flush;
use super::hold::Work;
use super::metadata;
use crate::error::Result;
use crate::store::{ChangeMarker, Image, Intent};

/// Ends a change whose pages are written. The change marker goes first: the new mode may take the right to remove it.
pub(crate) fn finish(work: &mut Work<'_>, intent: &Intent, to: &Image) -> Result<()> {
    ChangeMarker::remove(work.target.file, work.target.path)?;
    let notes = metadata::bring(work.target, to, work.had_set_uid)?;
    work.notes.extend(notes);
    flush(work.target)?;
    work.history.end_change(work.writing, Some(intent))
}
