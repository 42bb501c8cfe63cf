//! Step 2: captures the content of the target, and makes it an automatic snapshot, for undo, unless a snapshot holds
//! it.

use std::time::Duration;

use super::hold::Work;
use crate::error::{Cause, Result};
use crate::ops::save::capture::{CaptureOptions, CapturedImage};
use crate::ops::save::clone::Clones;
use crate::ops::save::moment::{Member, take_all};
use crate::ops::{Note, Progress};
use crate::pack::SnapshotKind;
use crate::page::Digest;
use crate::store::{Image, KeptClone};

/// The snapshot of what the target holds now: made if there is none.
pub(crate) fn present(work: &mut Work<'_>, progress: &dyn Progress) -> Result<Image> {
    let taken = capture(work, progress)?;
    keep(work, taken)
}

/// What the target holds now; nothing appears in the store.
pub(crate) fn capture(work: &mut Work<'_>, progress: &dyn Progress) -> Result<CapturedImage> {
    Ok(capture_all(std::slice::from_mut(work), progress)?.pop().flatten().expect("it is there"))
}

/// What each target holds now, at one moment; `None` where there is none.
pub(crate) fn capture_all(works: &mut [Work<'_>], progress: &dyn Progress) -> Result<Vec<Option<CapturedImage>>> {
    let there: Vec<_> = works.iter().filter(|work| !work.is_new).collect();
    let Some(options) = there.first().map(|work| work.options) else { return Ok(works.iter().map(|_| None).collect()) };
    let how = CaptureOptions {
        reading: &options.reading,
        compress: options.compress,
        reserve: options.reserve,
        exclusive: there.iter().all(|work| work.lease.is_some()),
        patience: Duration::ZERO,
        freeze: None,
        around: None,
        clones: Clones::Never,
        changed: None,
    };
    let mut members = Vec::with_capacity(there.len());
    for work in &there {
        members.push(Member { history: work.history, writing: &*work.writing, target: work.target });
    }
    let taken = take_all(&members, &how, progress);
    // With a lease the capture counts as proven: only if it is held to this moment.
    there.iter().try_for_each(|work| work.still_alone())?;
    let mut taken = taken?.into_iter();
    Ok(works
        .iter_mut()
        .map(|work| if work.is_new { None } else { taken.next().inspect(|taken| say(work, taken)) })
        .collect())
}

/// What the user should know of a capture.
fn say(work: &mut Work<'_>, taken: &CapturedImage) {
    let warning = |damage: &String| Note::warning(damage).of(Cause::Damage);
    work.notes.extend(taken.damage.iter().map(warning));
    if taken.repaired > 0 {
        let what = "damaged pages of earlier snapshots stored again from the file";
        work.notes.push(Note::warning(format!("{what}: {}; is the disk sound?", taken.repaired)));
    }
}

/// The snapshot of what was taken: made if there is none.
pub(crate) fn keep(work: &mut Work<'_>, taken: CapturedImage) -> Result<Image> {
    keep_with(work, taken, Vec::new())
}

/// As [`keep`], of a database whose logs were taken with it: `logs` are their snapshots.
pub(crate) fn keep_with(work: &mut Work<'_>, taken: CapturedImage, logs: Vec<Digest>) -> Result<Image> {
    let same = |parent: &Image| taken.is(parent) && (logs.is_empty() || parent.meta().companions == logs);
    if let Some(parent) = taken.parent.clone().filter(same) {
        taken.unchanged(work.history);
        return Ok(parent);
    }
    let (snapshot, traces) = taken.prepare(work.history, work.writing, SnapshotKind::Undo, "", logs)?;
    let (name, meta) = snapshot.commit(work.history, work.writing)?;
    traces.finish(work.history, &name.id, &meta.image, meta.len);
    // It is of an earlier snapshot now, and would hold on to what is overwritten.
    KeptClone::remove(work.history, work.writing);
    work.history.image(name)
}
