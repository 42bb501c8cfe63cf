//! What the verb `lock` locks: any file or directory, or a descriptor that is named by its number, as a whole or bytes
//! of it.
//!
//! A descriptor that is named by its number ([`inherited`]) may belong to any code in this process. Hence it is given
//! out as a [`Lockable`], through which nothing can be read, written or closed for its owner.
#![cfg_attr(target_os = "linux", allow(unsafe_code, reason = "OFD locks have no safe wrapper"))]

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::descriptor;
use crate::sys::lock::LockMode;
use crate::sys::kernel_locks::{self, Lock, LockKind, Locks};
use crate::sys::open::OpenMode;

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

/// A file, or a descriptor of this process, that is there to be locked. It gives out no descriptor: whose ever it is,
/// its bytes, its position and its length stay out of reach.
///
/// ```compile_fail,E0277
/// let held = memsnap::program::lockable::inherited(0).unwrap();
/// rustix::fs::ftruncate(&held, 0); // no descriptor to be had
/// ```
#[derive(Debug)]
pub struct Lockable(File);

/// The locks held on `file` that one of `span` must wait for: not those of its own open file description.
/// See [`Locks::complete`] for how far to believe that there are no others.
pub fn in_the_way(file: &Lockable, span: Span, kind: LockMode) -> Locks {
    let mut found = kernel_locks::of_others(&file.0);
    let meets = |l: &Lock| match (span, l.kind) {
        (Span::Whole, LockKind::Flock) => true,
        (Span::Bytes { start, len }, LockKind::Ofd | LockKind::Posix) => {
            l.end.is_none_or(|end| start < end) && (len == 0 || l.start < start.saturating_add(len))
        }
        _ => false,
    };
    found.locks.retain(|l| !l.waiting && meets(l) && (kind == LockMode::Exclusive || l.exclusive));
    found
}

/// Takes a lock of the open file description, changes it, or (no `kind`) drops it: one system call. With `wait`, in the
/// kernel's queue, until it is ours or a signal handler has run.
///
/// # Errors
/// `WouldBlock` when another lock is in the way and `wait` is false, `Interrupted` after a handler; what the system
/// says.
pub fn ask(file: &Lockable, span: Span, kind: Option<LockMode>, wait: bool) -> io::Result<()> {
    use FlockOperation::{
        LockExclusive, LockShared, NonBlockingLockExclusive, NonBlockingLockShared, NonBlockingUnlock, Unlock,
    };
    let Span::Bytes { start, len } = span else {
        let operation = match (kind, wait) {
            (Some(LockMode::Shared), true) => LockShared,
            (Some(LockMode::Shared), false) => NonBlockingLockShared,
            (Some(LockMode::Exclusive), true) => LockExclusive,
            (Some(LockMode::Exclusive), false) => NonBlockingLockExclusive,
            (None, true) => Unlock,
            (None, false) => NonBlockingUnlock,
        };
        return Ok(rustix::fs::flock(&file.0, operation)?);
    };
    imp::ask(&file.0, start, len, kind, wait)
}

/// Opens, or makes, a file or directory in order to lock it. For flock(2) the access does not matter; an OFD lock that
/// excludes others needs writing, and on NFS, which makes POSIX locks of all, both. Close-on-exec unless `inherited`:
/// else a command that is run has it too, and with it the lock. Does not wait for the other end of a FIFO.
///
/// # Errors
/// What open(2) says.
pub fn open(path: &Path, access: OpenMode, inherited: bool) -> io::Result<Lockable> {
    let access = access.flags();
    let base = OFlags::NOCTTY | if inherited { OFlags::empty() } else { OFlags::CLOEXEC };
    let once = |flags| retry_on_intr(|| rustix::fs::open(path, base | flags, Mode::from_raw_mode(0o666)));
    let opened = match once(access | OFlags::CREATE | OFlags::NONBLOCK) {
        // A directory; that cannot be written to.
        Err(Errno::ISDIR) => once(OFlags::RDONLY | OFlags::NONBLOCK),
        // In a sticky directory, another user's file may be opened, but not with O_CREAT (fs.protected_regular).
        Err(Errno::ACCESS) => once(access | OFlags::NONBLOCK).map_err(|_| Errno::ACCESS),
        // A lease of another process: it is given back, or taken by the kernel after some seconds.
        Err(Errno::AGAIN) => once(access),
        opened => opened,
    }?;
    let flags = rustix::fs::fcntl_getfl(&opened)?;
    rustix::fs::fcntl_setfl(&opened, flags - OFlags::NONBLOCK)?;
    Ok(Lockable(opened.into()))
}

/// A descriptor that this process was started with, to be locked: the copy is of the same open file description, so a
/// lock taken through it stays with the other processes that have it.
///
/// # Errors
/// When there is no such descriptor.
pub fn inherited(fd: i32) -> io::Result<Lockable> {
    descriptor::inherited(fd).map(Lockable)
}

#[cfg(target_os = "linux")]
mod imp {
    use super::{File, LockMode, io};
    use std::os::fd::AsRawFd;

    pub(super) fn ask(file: &File, start: u64, len: u64, kind: Option<LockMode>, wait: bool) -> io::Result<()> {
        let number = |n| libc::off_t::try_from(n).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL));
        let of_kind = match kind {
            Some(LockMode::Shared) => libc::F_RDLCK,
            Some(LockMode::Exclusive) => libc::F_WRLCK,
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
    use super::{File, LockMode, io};

    pub(super) fn ask(_file: &File, _start: u64, _len: u64, _kind: Option<LockMode>, _wait: bool) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
