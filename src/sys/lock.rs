//! flock(2) with a time limit, whose error names the holder.
//!
//! A lock belongs to an open file description, not to a process: children inherit it, and the process in /proc/locks
//! may have ended long ago, so the holders are looked up among all descriptors ([`kernel_locks`]). If they are our own
//! ancestors, as in `flock F memsnap snap F`, the lock protects us already, and waiting for it would never end.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use super::kernel_locks::{self, Lock, LockKind, Process};
use crate::error::{At, Cause, Error, Result};

/// The mode of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LockMode {
    /// Any number may hold it.
    Shared,
    /// One may hold it.
    Exclusive,
}

/// Who holds the lock after [`flock`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Held {
    /// The given descriptor, until it is closed.
    ByUs,
    /// An ancestor of this process, which has to keep it as long as we run. It does not exclude its other children.
    ByAncestor,
}

/// How often the holders are looked up: /proc/locks is read in pieces, and a lock that is released meanwhile makes it
/// skip another (fs/locks.c, `locks_next`).
const LOOKS: usize = 5;

/// Locks `file`, waiting up to `wait` (zero: not at all) while another process holds it. `path` is for the message.
///
/// # Errors
/// `Busy`, naming the holder; without waiting when an ancestor holds it shared and an exclusive lock is wanted, as it
/// would never release it. As flock(2) otherwise.
pub fn flock(file: &File, path: &Path, mode: LockMode, wait: Duration) -> Result<Held> {
    if try_flock(file, path, mode)? {
        return Ok(Held::ByUs);
    }
    let start = Instant::now();
    let mut in_the_way = conflicting(file, mode);
    for _ in 1..LOOKS {
        if in_the_way.iter().any(|lock| !lock.holders.is_empty()) {
            break;
        }
        if try_flock(file, path, mode)? {
            return Ok(Held::ByUs); // released meanwhile
        }
        in_the_way = conflicting(file, mode);
    }
    match by_ancestors(&in_the_way, mode) {
        Some(true) => Ok(Held::ByAncestor),
        Some(false) => Err(busy(path, &in_the_way, Cause::LentShared)),
        None => flock_ours(file, path, mode, wait.saturating_sub(start.elapsed())).map(|()| Held::ByUs),
    }
}

/// As [`flock`], but the lock of an ancestor does not count.
///
/// # Errors
/// `Busy`, naming the holder; as flock(2) otherwise.
pub fn flock_ours(file: &File, path: &Path, mode: LockMode, wait: Duration) -> Result<()> {
    if try_flock(file, path, mode)? {
        return Ok(());
    }
    let start = Instant::now();
    let mut sleep = Duration::from_millis(1);
    while let Some(left) = wait.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) {
        std::thread::sleep(sleep.min(left));
        if try_flock(file, path, mode)? {
            return Ok(());
        }
        sleep = (sleep * 2).min(Duration::from_millis(50));
    }
    Err(busy(path, &conflicting(file, mode), "try again when it has finished"))
}

fn try_flock(file: &File, path: &Path, mode: LockMode) -> Result<bool> {
    // There a second lock of one descriptor is not a conversion of the first, but waits for it.
    #[cfg(windows)]
    let _ = file.unlock();
    loop {
        let done = match mode {
            LockMode::Shared => file.try_lock_shared(),
            LockMode::Exclusive => file.try_lock(),
        };
        match done {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Interrupted => {}
            Err(TryLockError::Error(e)) => return Err(e).at("locking", path),
        }
    }
}

fn conflicting(file: &File, mode: LockMode) -> Vec<Lock> {
    let mut found = kernel_locks::of_others(file).locks;
    found.retain(|l| !l.waiting && l.kind == LockKind::Flock && (mode == LockMode::Exclusive || l.exclusive));
    found
}

/// None: no ancestor holds it. Otherwise whether its lock is as strong as the one that is wanted.
fn by_ancestors(in_the_way: &[Lock], mode: LockMode) -> Option<bool> {
    let ancestors = super::process::ancestors();
    let theirs = in_the_way.iter().filter(|l| ancestors.iter().any(|pid| l.is_held_by(*pid)));
    theirs.map(|l| l.exclusive || mode == LockMode::Shared).max()
}

fn busy(path: &Path, in_the_way: &[Lock], cause: impl Into<Cause>) -> Error {
    let mut seen: Vec<_> = in_the_way.iter().flat_map(|l| &l.holders).collect();
    seen.sort();
    seen.dedup_by_key(|process| process.pid);
    let name =
        |p: &Process| p.command.as_ref().filter(|c| !c.is_empty()).map(|c| format!(" ({c})")).unwrap_or_default();
    let holder = match seen.as_slice() {
        [] => "locked by a process not visible here".into(),
        [one] => format!("locked by PID {}{}", one.pid, name(one)),
        [one, others @ ..] => format!("locked by PID {}{} and {} more", one.pid, name(one), others.len()),
    };
    Error::busy(path, holder, cause)
}

#[cfg(all(test, target_os = "linux"))]
#[path = "lock_test.rs"]
mod tests;
