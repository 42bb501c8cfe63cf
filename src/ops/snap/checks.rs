//! What is checked before and after a capture, and the tags.

use std::fs::File;
use std::path::Path;

use crate::error::{Cause, Error, Result};
use crate::ops::Note;
use crate::ops::input::Target;
use crate::ops::save::clone::Clones;
use crate::pack::Compress;
use crate::page::{Digest, PAGE64};
use crate::store::{ChangeMarker, History, WriteLock, check_tag};
use crate::sys::fs::{self, FsKind};
use crate::sys::open;

use super::report::Options;

/// Longest message.
const MOST_MESSAGE: usize = 64 << 10;

/// A warning that other machines may not see the store's locks, once for each target.
pub(super) fn lock_warning(dir: &Path) -> Option<Note> {
    let kind = File::open(dir).and_then(|dir| fs::kind(&dir)).ok().filter(FsKind::may_hide_locks)?;
    Some(Note::warning(format!(
        "the store is on {}, where other machines may not see its locks: let only one machine write to it at a time",
        kind.name()
    )))
}

/// Tags a snapshot. Returns warnings for tags that were moved from other snapshots.
pub(crate) fn tag_all(history: &History, writing: &WriteLock, tags: &[String], id: &Digest) -> Result<Vec<Note>> {
    let mut warnings = Vec::new();
    for tag in tags {
        warnings.extend(moved(history, tag, id)?);
        history.tag(writing, tag, id)?;
    }
    Ok(warnings)
}

pub(crate) fn check(options: &Options) -> Result<()> {
    options.tags.iter().try_for_each(|tag| check_tag(tag))?;
    if options.clones == Clones::Keep && options.changed.is_some() {
        let what = "a clone is kept of what was read, and only what is said to have changed is to be read";
        return Err(Error::refused(what, Cause::KeepOrClaim));
    }
    if options.message.len() > MOST_MESSAGE {
        return Err(Error::refused("the message is longer than 64 KiB", "shorten it"));
    }
    Ok(())
}

/// The warning for a tag that is moved from another snapshot.
fn moved(history: &History, tag: &str, id: &Digest) -> Result<Option<Note>> {
    let before = match history.tagged(tag) {
        Ok(before) => before.filter(|before| before != id),
        // Setting a damaged tag again repairs it.
        Err(Error::Damaged { .. }) => None,
        Err(e) => return Err(e),
    };
    let Some(before) = before else { return Ok(None) };
    let number = history.snapshots()?.into_iter().find(|name| name.id == before).map(|name| name.number);
    let from = number.map_or(before.to_string(), |n| format!("@{n}"));
    Ok(Some(Note::warning(format!("tag {tag} was moved to this snapshot from {from}"))))
}

/// Refuses a half-changed target.
pub(crate) fn refuse_unfinished(history: &History, live: &File) -> Result<()> {
    if history.intent()?.is_some() {
        return Err(ChangeMarker::own(history).refusal(history.target()));
    }
    match ChangeMarker::get(live, history.target(), history.dir().parent()) {
        Some(mark) => Err(mark.refusal(history.target())),
        None => Ok(()),
    }
}

/// Fails at once, not after an hour, if the first snapshot of a target will not fit on the disk of the store.
pub(super) fn preflight(history: &History, target: Target<'_>, options: &Options) -> Result<()> {
    let stamp = open::stamp(target.file, target.path)?;
    let data = stamp.len.min(stamp.blocks * 512);
    let free = options.reserve.available(history.dir())?;
    if data.saturating_add(data / 64) <= free {
        return Ok(());
    }
    let needed = match options.compress {
        Compress::None => data,
        level => estimate(target.file, stamp.len, data, level),
    };
    if needed <= free { Ok(()) } else { Err(options.reserve.refusal(history.dir(), Some(needed))) }
}

/// Estimates the compressed size of `data` bytes, from 64 frames across the target.
fn estimate(file: &File, len: u64, data: u64, compress: Compress) -> u64 {
    use crate::sys::ext::FileExt;
    const SAMPLES: u64 = 64;
    let (mut seen, mut coded) = (1u64, 1u64);
    let mut buf = vec![0; 16 * PAGE64 as usize];
    for i in 0..SAMPLES {
        let at = len / SAMPLES * i / PAGE64 * PAGE64;
        let whole = file.read_exact_at(&mut buf, at).is_ok();
        if whole && !crate::page::is_zero(&buf) {
            seen += buf.len() as u64;
            coded += crate::pack::encode_frame(&buf, compress).bytes.len() as u64;
        }
    }
    (data as f64 * (coded as f64 / seen as f64) * 1.05) as u64
}
