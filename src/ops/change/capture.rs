//! Step 2: captures the content of the target, and makes it an automatic snapshot, for undo, unless a snapshot holds
//! it.

use std::time::Duration;

use super::hold::Work;
use crate::error::{Cause, Result};
use crate::ops::save::capture::{CaptureOptions, CapturedImage};
use crate::ops::save::clone::Clones;
use crate::ops::save::moment::take;
use crate::ops::{Note, Progress};
use crate::pack::SnapshotKind;
use crate::store::{Image, KeptClone};

/// The snapshot of what the target holds now: made if there is none.
pub(crate) fn present(work: &mut Work<'_>, progress: &dyn Progress) -> Result<Image> {
    let taken = capture(work, progress)?;
    keep(work, taken)
}

/// What the target holds now; nothing appears in the store.
pub(crate) fn capture(work: &mut Work<'_>, progress: &dyn Progress) -> Result<CapturedImage> {
    let options = work.options;
    let how = CaptureOptions {
        reading: &options.reading,
        compress: options.compress,
        reserve: options.reserve,
        exclusive: work.lease.is_some(),
        patience: Duration::ZERO,
        freeze: None,
        around: None,
        clones: Clones::Never,
        changed: None,
    };
    let taken = take(work.history, work.writing, work.target, &how, progress);
    // With a lease the capture counts as proven: only if it is held to this moment.
    let taken = work.if_alone(taken)?;
    let warning = |damage: &String| Note::warning(damage).of(Cause::Damage);
    work.notes.extend(taken.damage.iter().map(warning));
    if taken.repaired > 0 {
        let what = "damaged pages of earlier snapshots stored again from the file";
        work.notes.push(Note::warning(format!("{what}: {}; is the disk sound?", taken.repaired)));
    }
    Ok(taken)
}

/// The snapshot of what was taken: made if there is none.
pub(crate) fn keep(work: &mut Work<'_>, taken: CapturedImage) -> Result<Image> {
    if let Some(parent) = taken.parent.clone().filter(|p| taken.is(p)) {
        taken.unchanged(work.history);
        return Ok(parent);
    }
    let (name, _) = taken.commit(work.history, work.writing, SnapshotKind::Undo, "")?;
    // It is of an earlier snapshot now, and would hold on to what is overwritten.
    KeptClone::remove(work.history, work.writing);
    work.history.image(name)
}
