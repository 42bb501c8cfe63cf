//! Whether a file still is what it was when it was read, without reading it.
//!
//! What [`Seen`] has of the file is remembered when it was read soundly. Later: it is the same; no page is dirty or
//! under writeback; fdatasync; it is the same. [`sys::quiet`](crate::sys::quiet) says why that shows a
//! change, docs/design.md when it does not.
//!
//! A page that was mapped and dirty when the file was read could be stored to later without moving ctime. There is none:
//! a lease is granted only when nothing maps the file for writing, so that the next store to a page that is dirty
//! faults; a clone and a quiet window begin with a flush. The pages must be clean all the same: what is on the disk then
//! is what was read, and an error of the disk cannot bring back what was there before.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::quiet::{NotQuiet, is_clean};
use crate::error::{At, Result};
use crate::planted::{Bug, planted};
use crate::sys::seen::Seen;
use crate::sys::{cache, id, quiet};

/// How old a change must be when the file is read while a process has it open: what began before may still be in flight.
const SETTLED: Duration = Duration::from_secs(30);
/// How old it must be when no process could write: longer than two changes may share a time stamp, if the inode leaves
/// the memory between them. A younger one is waited for.
const TICK: Duration = Duration::from_millis(11);
/// Dirty bytes that are flushed, so that the next reading need not be a reading.
const MOST_FLUSHED: u64 = 16 << 20;

/// What is to be remembered of `file`, which was read soundly, and has not changed since `ctime_ns`. `open_since`: when
/// the reading began (nanoseconds since 1970), if a process may have had it open for writing. None if it would prove
/// nothing. `dirs` as for [`quiet::check`].
///
/// # Errors
/// When the file cannot be flushed to the disk.
pub(crate) fn remember(
    (file, path): (&File, &Path),
    dirs: &[PathBuf],
    ctime_ns: i128,
    open_since: Option<i64>,
) -> Result<Option<Seen>> {
    let since = |now: i64| i128::from(now) - ctime_ns;
    let is_old = open_since.is_none_or(|began| since(began) >= SETTLED.as_nanos().cast_signed());
    if !is_old || quiet::check(file, dirs).is_err() {
        return Ok(None);
    }
    match TICK.as_nanos().cast_signed() - since(id::now_ns()) {
        ..=0 => {}
        rest if rest <= TICK.as_nanos().cast_signed() => std::thread::sleep(TICK),
        _ => return Ok(None), // it was written in the future
    }
    let Ok(counts) = cache::try_count(file, 0, u64::MAX) else { return Ok(None) };
    if counts.unwritten() > MOST_FLUSHED {
        return Ok(None);
    }
    if counts.unwritten() > 0 {
        quiet::flush(file).at("bringing to the disk", path)?;
        if !matches!(is_clean(file), Ok(true)) {
            return Ok(None);
        }
    }
    Ok(Seen::of(file).filter(|seen| seen.ctime_ns == ctime_ns))
}

/// Whether `file` is what it was when `seen` was remembered; otherwise why that is not known. `dirs` as for
/// [`quiet::check`].
///
/// # Errors
/// When the file cannot be flushed to the disk: what it holds is not known then, and the kernel says so only once.
pub(crate) fn is_unchanged(
    (file, path): (&File, &Path),
    dirs: &[PathBuf],
    seen: &Seen,
) -> Result<std::result::Result<(), String>> {
    let same = || match Seen::of(file) {
        None => Err("this system does not say whether it was out of sight".into()),
        Some(now) if now == *seen => Ok(()),
        Some(now) if now.boot != seen.boot => Err("the system was started anew since".into()),
        Some(now) if now.mount != seen.mount => Err("its file system was mounted anew since".to_string()),
        Some(now) if (now.dev, now.ino) != (seen.dev, seen.ino) => Err("another file has its name".into()),
        Some(_) => Err("it was written, or its metadata changed, since".into()),
    };
    let clean = || match is_clean(file) {
        Ok(true) => Ok(()),
        Ok(false) if planted(Bug::NoDirtyLook) => Ok(()),
        Ok(false) | Err(NotQuiet::Written) => Err("it is being written".into()),
        Err(NotQuiet::Blind(why)) => Err(why),
    };
    let blind = || quiet::check(file, dirs).map_err(|why| why.to_string());
    // Before the flush: on a file system that an error has made read-only a page stays dirty, and can be stored to.
    if let Err(why) = same().and_then(|()| blind()).and_then(|()| clean()) {
        return Ok(Err(why));
    }
    quiet::flush(file).at("bringing to the disk", path)?;
    // What began to write meanwhile has moved ctime: no page could be stored to without that.
    Ok(same())
}
