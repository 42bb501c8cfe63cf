//! Steps 4 to 11 in their order, for a change whose images are both stored.
//!
//! A lease that is broken before the first byte is written ends the verb: nothing is written, and the intent and the
//! change marker are withdrawn. From the first byte on the lease is kept: a program that opens the file waits until
//! the change is complete. If the kernel revokes the lease meanwhile, the verb fails, and reports whether what it wrote
//! reads back.

use super::check::{flush, read_back};
use super::finish::finish;
use super::hold::Work;
use super::plan::{Report, Summary};
use super::prove::prove_both;
use super::record::{Step, record, withdraw};
use super::space::Space;
use super::write::write;
use super::{metadata, set_uid};
use crate::error::{Error, Result};
use crate::ops::Progress;
use crate::page::{Digest, PageRange};
use crate::store::{Image, Intent};
use crate::sys::{id, open};

/// Brings the target, which holds `from`, to `to`. Only pages that differ are written.
///
/// # Errors
/// As [`carry_out`].
pub(crate) fn bring(
    work: &mut Work<'_>,
    verb: &str,
    from: &Image,
    to: &Image,
    progress: &dyn Progress,
) -> Result<Report> {
    let pages = from.changed(to, PageRange::of_len(to.len()))?;
    let name = |image: &Image| format!("@{}", image.name.number);
    let mut changes = Summary::new(work.target.path, (&name(from), from.len()), (&name(to), to.len()), &pages);
    changes.metadata = metadata::changes(from, to, !changes.is_empty());
    let mut report = Report::of(changes);
    if !report.changes.is_empty() {
        let proven = prove_both(work, from, to, &pages, progress);
        work.if_alone(proven)?;
        let (from_ids, to_ids) = ((from.name.id, from.digest()), (to.name.id, to.digest()));
        let intent = new_intent(work, verb, from_ids, to_ids)?;
        let step = Step { intent: &intent, recorded: None, from: Some(from), to, pages: &pages };
        report = Report::done(report.changes, carry_out(work, &step, progress)?);
    }
    report.undo = Some((from.name.number, from.name.id));
    Ok(report)
}

/// The record of a change of the target as it is now, between two snapshots: the id and the image digest of each.
pub(crate) fn new_intent(work: &Work<'_>, verb: &str, from: (Digest, Digest), to: (Digest, Digest)) -> Result<Intent> {
    let stamp = open::stamp(work.target.file, work.target.path)?;
    Ok(Intent {
        from: from.0,
        from_image: from.1,
        to: to.0,
        to_image: to.1,
        file: (stamp.dev, stamp.ino),
        time_ns: id::now_ns(),
        verb: verb.into(),
    })
}

/// Brings the target to `step.to`; returns the number of bytes written.
///
/// # Errors
/// [`Error::Busy`] when another process opened it before the first byte: nothing was written, nothing is recorded. The
/// same when the kernel gave it to another process before the last byte was read back; then the change is complete, or,
/// where what was written does not read back, the error is in an [`Error::Unfinished`]. So is every other error from
/// the first byte on.
pub(crate) fn carry_out(work: &mut Work<'_>, step: &Step<'_>, progress: &dyn Progress) -> Result<u64> {
    let mut space = Space::none(work.target)?;
    if let Err(e) = space.reserve(step.to, step.pages).and_then(|()| record(work, step)) {
        space.release(work.lease.as_ref());
        return Err(e);
    }
    // Before the last check of the lease: a program that opens the target after it waits, with the permissions of now.
    let before = open::stamp(work.target.file, work.target.path)?;
    let writes = !step.pages.is_empty() || before.len != step.to.len();
    if writes && !set_uid::has_any(work.target)? {
        metadata::narrow(work.target, step.to).map_err(unfinished(work))?;
    }
    // What was reserved is not released then: the program that opened the target may have written there.
    if !work.lease.as_ref().is_none_or(|lease| lease.keep()) {
        metadata::put_back(work.target, &before);
        withdraw(work, step)?;
        return Err(work.opened());
    }
    let written = write_and_check(work, step, progress);
    let lost = work.lease.as_ref().is_some_and(|lease| lease.is_broken());
    let result = match written {
        Ok(bytes) => finish(work, step.intent, step.to).map(|()| bytes).map_err(unfinished(work)),
        // A program that got the file by force may have written to it.
        Err(Error::Changed { .. }) if lost => Err(unfinished(work)(work.taken(None))),
        Err(e) => Err(unfinished(work)(e)),
    };
    if let Some(lease) = &work.lease {
        lease.give_way();
    }
    work.notes.append(&mut work.cautions);
    if lost && result.is_ok() {
        return Err(work.taken(Some(step.to)));
    }
    result.and_then(|bytes| work.still_named().map(|()| bytes))
}

fn write_and_check(work: &mut Work<'_>, step: &Step<'_>, progress: &dyn Progress) -> Result<u64> {
    let written = write(work, step.to, step.pages, progress)?;
    flush(work.target)?;
    read_back(work, step.from, step.to, step.pages)?;
    Ok(written)
}

/// The error of a change that stopped on its way.
fn unfinished(work: &Work<'_>) -> impl FnOnce(Error) -> Error + use<> {
    let path = work.target.path.to_path_buf();
    move |source| Error::Unfinished { path, source: Box::new(source) }
}
