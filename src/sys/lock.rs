//! flock(2) that waits for so long and no longer, and says who is in the way.
//!
//! A lock is of an open file description, not of a process: children inherit it, and the number in /proc/locks may be of
//! one that is long gone, so the holders are looked for among all descriptors ([`locks`]). Where they are our own
//! ancestors, as in `flock F memsnap snap F`, the lock protects us already and waiting for it would be for ever.
//!
//! A descriptor that is named by its number ([`inherited`]) may belong to anybody in this process. Hence it is given out
//! as a [`Lockable`], through which nothing can be read, written or closed for its owner.
#![allow(unsafe_code, reason = "OFD locks and inherited descriptors have no safe wrapper")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::descriptor;
use super::locks::{self, Lock, LockKind, Process};
use super::open::Access;
use crate::{At, Error, Result};

/// Shared with others of its kind, or alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Any number may hold it.
    Shared,
    /// One may hold it.
    Exclusive,
}

/// What of a file is locked, and in which family of locks: one does not see the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// All of it, by flock(2).
    Whole,
    /// Bytes, by an OFD lock of fcntl(2), which also keeps out those of processes (POSIX).
    Bytes {
        /// The first.
        start: u64,
        /// How many; 0: to the end of the file, wherever that will be.
        len: u64,
    },
}

/// Who holds the lock that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Held {
    /// Our descriptor, until it is closed.
    ByUs,
    /// A process that we run under, which has to keep it as long as we run. Its other children are not kept out.
    ByAncestor,
}

/// A file, or a descriptor of this process, that is there to be locked. It gives out no descriptor: whose ever it is, its
/// bytes, its position and its length stay out of reach.
///
/// ```compile_fail,E0277
/// let held = memsnap::sys::lock::inherited(0).unwrap();
/// rustix::fs::ftruncate(&held, 0); // no descriptor to be had
/// ```
#[derive(Debug)]
pub struct Lockable(File);

/// How often it is looked who is in the way: /proc/locks is read in pieces, and one that is released meanwhile makes it skip
/// another (fs/locks.c, `locks_next`).
const LOOKS: usize = 5;

/// Locks `file`, waiting up to `wait` (zero: not at all) while somebody else holds it. `path` is for the message.
///
/// # Errors
/// `Busy`, naming the holder; at once when an ancestor holds it shared and we want it alone, as it would never let go.
/// What flock(2) says otherwise.
pub fn flock(file: &File, path: &Path, kind: Kind, wait: Duration) -> Result<Held> {
    if try_flock(file, path, kind)? {
        return Ok(Held::ByUs);
    }
    let start = Instant::now();
    let mut in_the_way = conflicting(file, kind);
    for _ in 1..LOOKS {
        if in_the_way.iter().any(|lock| !lock.holders.is_empty()) {
            break;
        }
        if try_flock(file, path, kind)? {
            return Ok(Held::ByUs); // let go while we looked
        }
        in_the_way = conflicting(file, kind);
    }
    match by_ancestors(&in_the_way, kind) {
        Some(true) => Ok(Held::ByAncestor),
        Some(false) => Err(busy(path, &in_the_way, "let the command around memsnap lock it exclusively")),
        None => flock_ours(file, path, kind, wait.saturating_sub(start.elapsed())).map(|()| Held::ByUs),
    }
}

/// As [`flock`], but no other process's lock will do for ours, whoever started us.
///
/// # Errors
/// `Busy`, naming the holder; what flock(2) says otherwise.
pub fn flock_ours(file: &File, path: &Path, kind: Kind, wait: Duration) -> Result<()> {
    if try_flock(file, path, kind)? {
        return Ok(());
    }
    let start = Instant::now();
    let mut sleep = Duration::from_millis(1);
    while let Some(left) = wait.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) {
        std::thread::sleep(sleep.min(left));
        if try_flock(file, path, kind)? {
            return Ok(());
        }
        sleep = (sleep * 2).min(Duration::from_millis(50));
    }
    Err(busy(path, &conflicting(file, kind), "try again when it has finished"))
}

fn try_flock(file: &File, path: &Path, kind: Kind) -> Result<bool> {
    let operation = match kind {
        Kind::Shared => FlockOperation::NonBlockingLockShared,
        Kind::Exclusive => FlockOperation::NonBlockingLockExclusive,
    };
    loop {
        match rustix::fs::flock(file, operation) {
            Ok(()) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Err(e) => return Err(e).at("locking", path),
        }
    }
}

/// The locks held on `file` that one of `span` must wait for: not those of its own open file description.
/// See [`locks::Locks::complete`] for how far to believe that there are no others.
pub fn in_the_way(file: &Lockable, span: Span, kind: Kind) -> locks::Locks {
    others(&file.0, span, kind)
}

fn others(file: &File, span: Span, kind: Kind) -> locks::Locks {
    let mut found = locks::of_others(file);
    let meets = |l: &Lock| match (span, l.kind) {
        (Span::Whole, LockKind::Flock) => true,
        (Span::Bytes { start, len }, LockKind::Ofd | LockKind::Posix) => {
            l.end.is_none_or(|end| start < end) && (len == 0 || l.start < start.saturating_add(len))
        }
        _ => false,
    };
    found.locks.retain(|l| !l.waiting && meets(l) && (kind == Kind::Exclusive || l.exclusive));
    found
}

fn conflicting(file: &File, kind: Kind) -> Vec<Lock> {
    others(file, Span::Whole, kind).locks
}

/// Takes a lock of the open file description, changes it, or (no `kind`) drops it: one system call. With `wait`, in the
/// kernel's queue, until it is ours or a signal handler has run.
///
/// # Errors
/// `WouldBlock` when somebody is in the way and `wait` is false, `Interrupted` after a handler; what the system says.
pub fn ask(file: &Lockable, span: Span, kind: Option<Kind>, wait: bool) -> io::Result<()> {
    use FlockOperation::{
        LockExclusive, LockShared, NonBlockingLockExclusive, NonBlockingLockShared, NonBlockingUnlock, Unlock,
    };
    let Span::Bytes { start, len } = span else {
        let operation = match (kind, wait) {
            (Some(Kind::Shared), true) => LockShared,
            (Some(Kind::Shared), false) => NonBlockingLockShared,
            (Some(Kind::Exclusive), true) => LockExclusive,
            (Some(Kind::Exclusive), false) => NonBlockingLockExclusive,
            (None, true) => Unlock,
            (None, false) => NonBlockingUnlock,
        };
        return Ok(rustix::fs::flock(&file.0, operation)?);
    };
    imp::ask(&file.0, start, len, kind, wait)
}

/// Opens, or makes, a file or directory in order to lock it. For flock(2) the access does not matter; an OFD lock that
/// excludes others needs writing, and on NFS, which makes POSIX locks of all, both. Close-on-exec unless `inherited`: else a command that is run
/// has it too, and with it the lock. Does not wait for the other end of a FIFO.
///
/// # Errors
/// What open(2) says.
pub fn open(path: &Path, access: Access, inherited: bool) -> io::Result<Lockable> {
    let access = access.flags();
    let base = OFlags::NOCTTY | if inherited { OFlags::empty() } else { OFlags::CLOEXEC };
    let once = |flags| retry_on_intr(|| rustix::fs::open(path, base | flags, Mode::from_raw_mode(0o666)));
    let opened = match once(access | OFlags::CREATE | OFlags::NONBLOCK) {
        // A directory; that cannot be written to.
        Err(Errno::ISDIR) => once(OFlags::RDONLY | OFlags::NONBLOCK),
        // In a sticky directory, somebody else's file may be opened, but not with O_CREAT (fs.protected_regular).
        Err(Errno::ACCESS) => once(access | OFlags::NONBLOCK).map_err(|_| Errno::ACCESS),
        // Somebody's lease: it is given back, or taken by the kernel after some seconds.
        Err(Errno::AGAIN) => once(access),
        opened => opened,
    }?;
    let flags = rustix::fs::fcntl_getfl(&opened)?;
    rustix::fs::fcntl_setfl(&opened, flags - OFlags::NONBLOCK)?;
    Ok(Lockable(opened.into()))
}

/// A descriptor that this process was started with, to be locked: the copy is of the same open file description, so a lock
/// taken through it stays with whoever else has it when we are gone.
///
/// # Errors
/// When there is no such descriptor.
pub fn inherited(fd: i32) -> io::Result<Lockable> {
    descriptor::inherited(fd).map(Lockable)
}

/// None: no ancestor holds it. Otherwise whether what it holds is as strong as what is wanted.
fn by_ancestors(in_the_way: &[Lock], kind: Kind) -> Option<bool> {
    let ancestors = super::procs::ancestors();
    let theirs = in_the_way.iter().filter(|l| ancestors.iter().any(|pid| l.is_held_by(*pid)));
    theirs.map(|l| l.exclusive || kind == Kind::Shared).max()
}

fn busy(path: &Path, in_the_way: &[Lock], hint: &str) -> Error {
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
    Error::Busy { path: path.into(), holder, hint: hint.into() }
}

#[cfg(target_os = "linux")]
mod imp {
    use super::{AsRawFd, File, Kind, io};

    pub(super) fn ask(file: &File, start: u64, len: u64, kind: Option<Kind>, wait: bool) -> io::Result<()> {
        let number = |n| libc::off_t::try_from(n).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL));
        let of_kind = match kind {
            Some(Kind::Shared) => libc::F_RDLCK,
            Some(Kind::Exclusive) => libc::F_WRLCK,
            None => libc::F_UNLCK,
        };
        // SAFETY: `flock` is a C struct of integers; all zero is a valid one (and OFD locks want no process named).
        let mut lock: libc::flock = unsafe { std::mem::zeroed() };
        lock.l_type = of_kind as libc::c_short;
        lock.l_whence = libc::SEEK_SET as libc::c_short;
        lock.l_start = number(start)?;
        lock.l_len = number(len)?;
        let command = if wait { libc::F_OFD_SETLKW } else { libc::F_OFD_SETLK };
        // SAFETY: the descriptor is open as long as `file` lives, and these commands read a `flock`, which is valid.
        if unsafe { libc::fcntl(file.as_raw_fd(), command, &raw const lock) } == 0 {
            return Ok(());
        }
        match io::Error::last_os_error() {
            // POSIX allows either.
            e if e.raw_os_error() == Some(libc::EACCES) => Err(io::ErrorKind::WouldBlock.into()),
            e => Err(e),
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::{File, Kind, io};

    pub(super) fn ask(_file: &File, _start: u64, _len: u64, _kind: Option<Kind>, _wait: bool) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(all(test, target_os = "linux"))]
#[path = "lock_test.rs"]
mod tests;
