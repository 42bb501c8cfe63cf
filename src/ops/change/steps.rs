//! Steps 4 to 11 in their order, for a change of one target or of several, whose images are stored.
//!
//! Of several targets each step is done for all before the next begins. A file that is to be made is written completely
//! before anything is recorded, and gets its name when its turn comes to be written; one that is to go loses its name
//! then.
//!
//! A lease that is broken before the first byte is written ends the verb: nothing is written, and the intent and the
//! change marker are withdrawn. From the first byte on the lease is kept: a program that opens the file waits until
//! the change is complete. If the kernel revokes the lease meanwhile, the verb fails, and reports whether what it wrote
//! reads back.

use super::check::{flush, read_back};
use super::finish::{finish, unfinished};
use super::hold::Work;
use super::plan::{Report, Summary};
use super::prove::prove_both;
use super::record::{Part, SetStep, Step, record, record_set, withdraw, withdraw_some};
use super::space::Space;
use super::write::write;
use super::{metadata, set_uid};
use crate::error::{At, Error, Result};
use crate::ops::Progress;
use crate::ops::restore::fill;
use crate::page::{Digest, PageRange};
use crate::planted::{Bug, planted};
use crate::store::{Image, Intent};
use crate::sys::create::Published;
use crate::sys::open::Stamp;
use crate::sys::{create, id, no_follow, open};

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
        let proven = prove_both(work, Some(from), Some(to), &pages, progress);
        work.if_alone(proven)?;
        let (from_ids, to_ids) = ((from.name.id, from.digest()), (to.name.id, to.digest()));
        let intent = new_intent(work, verb, from_ids, to_ids)?;
        let step = Step { intent: &intent, recorded: None, from: Some(from), to: Some(to), pages: &pages };
        report = Report::done(report.changes, carry_out_one(work, step, progress)?);
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
        set: None,
    })
}

/// As [`carry_out`], for one target.
pub(crate) fn carry_out_one(work: &mut Work<'_>, step: Step<'_>, progress: &dyn Progress) -> Result<u64> {
    let mut part = Part { work, step };
    Ok(carry_out(std::slice::from_mut(&mut part), None, progress)?[0])
}

/// Brings each target to what its step says, in this order; returns the number of bytes written to each. `set` is the
/// record of a change of several, which a file that is made or removed needs, too.
///
/// # Errors
/// [`Error::Busy`] when another process opened one before the first byte: nothing was written, nothing is recorded. The
/// same when the kernel gave it to another process before the last byte was read back; then the change is complete, or,
/// where what was written does not read back, the error is in an [`Error::Unfinished`]. So is every other error from
/// the first byte on.
pub(crate) fn carry_out(
    parts: &mut [Part<'_, '_>],
    set: Option<&SetStep<'_>>,
    progress: &dyn Progress,
) -> Result<Vec<u64>> {
    begin(parts, set, progress)?;
    let before = narrow_all(parts)?;
    // What was reserved is not released then: the program that opened the target may have written there.
    let kept = |part: &Part<'_, '_>| part.work.lease.as_ref().is_none_or(|lease| lease.keep());
    if let Some(lost) = parts.iter().position(|part| !kept(part)) {
        let withdrawn = put_all_back(parts, set, &before);
        give_way(parts);
        return withdrawn.and_then(|()| Err(parts[lost].work.opened()));
    }
    let written = write_all(parts, set, progress);
    if written.is_err() && take_back(parts) && put_all_back(parts, set, &before).is_ok() {
        give_way(parts);
        return written.map_err(|(_, e)| e);
    }
    let lost: Vec<bool> = parts.iter().map(|p| p.work.lease.as_ref().is_some_and(|lease| lease.is_broken())).collect();
    let result = match written {
        Ok(bytes) => finish(parts, set).map(|()| bytes),
        // A program that got the file by force may have written to it.
        Err((n, Error::Changed { .. })) if lost[n] => Err(unfinished(parts[n].work, parts[n].work.taken(None))),
        Err((n, e)) => Err(unfinished(parts[n].work, e)),
    };
    give_way(parts);
    parts.iter_mut().for_each(|part| part.work.notes.append(&mut part.work.cautions));
    let bytes = result?;
    if let Some((part, _)) = parts.iter().zip(lost).find(|(_, lost)| *lost) {
        return Err(part.work.taken(part.step.to));
    }
    for part in parts.iter().filter(|part| part.step.to.is_some()) {
        part.work.still_named()?;
    }
    Ok(bytes)
}

/// All that comes before the first byte and can fail: space, the files that will be made, the records.
fn begin(parts: &mut [Part<'_, '_>], set: Option<&SetStep<'_>>, progress: &dyn Progress) -> Result<()> {
    let mut spaces = Vec::with_capacity(parts.len());
    let mut reserve = || {
        for Part { work, step } in parts.iter() {
            spaces.push(Space::none(work.target)?);
            if let (Some(to), false, Some(space)) = (step.to, work.is_new, spaces.last_mut()) {
                space.reserve(to, step.pages)?;
            }
        }
        Ok(())
    };
    let mut begun = reserve();
    for part in parts.iter_mut() {
        begun = begun.and_then(|()| prepare(part, progress));
    }
    begun = begun.and_then(|()| {
        record(parts, set).inspect_err(|e| {
            if let Some(set) = set.filter(|_| !may_be_of_flush(e)) {
                withdraw_some(parts, set);
            }
        })
    });
    if begun.is_err() {
        spaces.iter().zip(&*parts).for_each(|(space, part)| space.release(part.work.lease.as_ref()));
    }
    begun
}

/// Whether a flush may have failed. Then nothing is flushed again: what is recorded stays, and recovery withdraws it.
fn may_be_of_flush(e: &Error) -> bool {
    use std::io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let known = [PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull];
    matches!(e, Error::Io { source, .. } if !known.contains(&source.kind()))
}

/// Writes a file that is to be made, which has no name yet: all of it is on the disk and proven before any target
/// changes.
fn prepare(Part { work, step }: &mut Part<'_, '_>, progress: &dyn Progress) -> Result<()> {
    let Some(to) = step.to.filter(|_| work.is_new) else { return Ok(()) };
    fill(to, work.target.file, work.target.path, progress)?;
    let notes = metadata::give_all(work.target.file, to, work.target.path)?;
    work.notes.extend(notes);
    flush(work.target)
}

/// Removes the permissions that the new content does not give; returns what each target was before.
fn narrow_all(parts: &mut [Part<'_, '_>]) -> Result<Vec<Stamp>> {
    let mut before = Vec::with_capacity(parts.len());
    // Before the last check of the lease: a program that opens the target after it waits, with the permissions of now.
    for Part { work, step } in parts {
        let stamp = open::stamp(work.target.file, work.target.path)?;
        let written = |to: &&Image| !work.is_new && (!step.pages.is_empty() || stamp.len != to.len());
        if let Some(to) = step.to.filter(written)
            && !set_uid::has_any(work.target)?
        {
            metadata::narrow(work.target, to).map_err(|e| unfinished(work, e))?;
        }
        before.push(stamp);
    }
    Ok(before)
}

/// Undoes [`narrow_all`], and withdraws the records, as nothing was written.
fn put_all_back(parts: &mut [Part<'_, '_>], set: Option<&SetStep<'_>>, before: &[Stamp]) -> Result<()> {
    for (part, before) in parts.iter().zip(before).filter(|(part, _)| part.step.to.is_some() && !part.work.is_new) {
        metadata::put_back(part.work.target, before);
    }
    withdraw(parts, set)
}

fn give_way(parts: &[Part<'_, '_>]) {
    parts.iter().filter_map(|part| part.work.lease.as_ref()).for_each(|lease| lease.give_way());
}

/// Writes one after the other; returns the bytes written to each, or which one failed.
fn write_all(
    parts: &mut [Part<'_, '_>],
    set: Option<&SetStep<'_>>,
    progress: &dyn Progress,
) -> Result<Vec<u64>, (usize, Error)> {
    let mut bytes = Vec::with_capacity(parts.len());
    for n in 0..parts.len() {
        bytes.push(write_one(&mut parts[n], progress).map_err(|e| (n, e))?);
        if n == 0 && planted(Bug::SetIntentLate) {
            record_set(parts, set).map_err(|e| (n, e))?;
        }
    }
    Ok(bytes)
}

/// Writes the target and reads it back; a new file gets its name, and one that is to go loses it. Returns the bytes
/// written.
fn write_one(Part { work, step }: &mut Part<'_, '_>, progress: &dyn Progress) -> Result<u64> {
    let path = work.target.path;
    let Some(to) = step.to else {
        if !work.is_new {
            work.still_named()?;
            work.touched = true;
            no_follow::remove_file(path).at("removing", path)?;
            create::sync_dir(no_follow::parent(path))?;
        }
        return Ok(0);
    };
    let Some(new) = work.vacant.take() else {
        work.touched = true;
        let written = write(work, to, step.pages, progress)?;
        flush(work.target)?;
        read_back(work, step.from, to, step.pages)?;
        return Ok(written);
    };
    if new.publish(path.file_name().unwrap_or_default())? == Published::Existed {
        return Err(Error::busy(path, "a file has appeared there", "run it again to change that file"));
    }
    work.made = true;
    // After a flush that failed it is not taken back, as that needs another.
    create::sync_dir(no_follow::parent(path)).inspect_err(|_| work.touched = true)?;
    Ok(step.pages.runs().map(|run| run.end_offset().min(to.len()) - run.offset()).sum())
}

/// Removes the files that were made, if no target was changed or removed: then nothing has happened. Whether it is so.
fn take_back(parts: &mut [Part<'_, '_>]) -> bool {
    let untouched = parts.iter().all(|part| !part.work.touched);
    let remove = |part: &mut Part<'_, '_>| {
        let path = part.work.target.path;
        let removed = part.work.still_named().and_then(|()| no_follow::remove_file(path).at("removing", path));
        removed.and_then(|()| create::sync_dir(no_follow::parent(path))).is_ok()
    };
    untouched && parts.iter_mut().filter(|part| part.work.made).all(remove)
}
