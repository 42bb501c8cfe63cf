//! Steps 10 and 11: the change marker is removed, the metadata set, and the intent becomes the record of the last change.

use super::check::flush;
use super::hold::Work;
use super::metadata;
use super::record::{Part, SetStep, sets};
use crate::error::{Error, Result};
use crate::store::ChangeMarker;

/// Ends a change whose pages are written. The change marker goes first: the new mode may take the right to remove it.
/// All of several targets are complete before the change ends for all of them at once, and then for each.
pub(crate) fn finish(parts: &mut [Part<'_, '_>], set: Option<&SetStep<'_>>) -> Result<()> {
    for part in parts.iter_mut() {
        complete(part).map_err(|e| unfinished(part.work, e))?;
    }
    if let Some(set) = set {
        sets(parts).end(&set.change.id).map_err(|e| unfinished(parts[0].work, e))?;
    }
    for Part { work, step } in parts {
        work.history.end_change(work.writing, Some(step.intent)).map_err(|e| unfinished(work, e))?;
    }
    Ok(())
}

/// A file that was made has all of it before it has its name.
fn complete(Part { work, step }: &mut Part<'_, '_>) -> Result<()> {
    let Some(to) = step.to.filter(|_| !work.made) else { return Ok(()) };
    ChangeMarker::remove(work.target.file, work.target.path)?;
    let notes = metadata::bring(work.target, to, work.had_set_uid)?;
    work.notes.extend(notes);
    flush(work.target)
}

/// The error of a change that stopped on its way.
pub(crate) fn unfinished(work: &Work<'_>, source: Error) -> Error {
    Error::Unfinished { path: work.target.path.into(), source: Box::new(source) }
}
