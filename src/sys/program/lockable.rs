//! What the verb `lock` locks: a file, a directory, or a descriptor given by its number, as a whole or a range of
//! bytes.
//!
//! A descriptor given by its number ([`inherited`]) may belong to any code in this process. Hence it is wrapped in a
//! [`Lockable`], through which nothing can be read, written or closed.
#![cfg_attr(target_os = "linux", allow(unsafe_code, reason = "OFD locks have no safe wrapper"))]

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::descriptor;
use crate::sys::kernel_locks::{self, Lock, LockKind, Locks};
use crate::sys::lock::LockMode;
use crate::sys::open::OpenMode;

/// The part of a file that is locked, and the family of locks, which do not conflict with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// The whole file, by flock(2).
    Whole,
    /// Bytes, by an OFD lock of fcntl(2), which also conflicts with those of processes (POSIX).
    Bytes {
        /// The first byte.
        start: u64,
        /// The length; 0: to the end of the file, wherever that will be.
        len: u64,
    },
}

/// A file, or a descriptor of this process, to be locked. It gives no access to the descriptor, and so not to its
/// bytes, its position and its length.
///
/// ```compile_fail,E0277
/// let held = memsnap::program::lockable::inherited(0).unwrap();
/// rustix::fs::ftruncate(&held, 0); // no access to the descriptor
/// ```
#[derive(Debug)]
pub struct Lockable(File);

/// The locks held on `file` that conflict with one of `span`, except those of its own open file description. There may
/// be others unless [`Locks::complete`].
pub fn conflicting(file: &Lockable, span: Span, mode: LockMode) -> Locks {
    let mut found = kernel_locks::of_others(&file.0);
    let meets = |l: &Lock| match (span, l.kind) {
        (Span::Whole, LockKind::Flock) => true,
        (Span::Bytes { start, len }, LockKind::Ofd | LockKind::Posix) => {
            l.end.is_none_or(|end| start < end) && (len == 0 || l.start < start.saturating_add(len))
        }
        _ => false,
    };
    found.locks.retain(|l| !l.waiting && meets(l) && (mode == LockMode::Exclusive || l.exclusive));
    found
}

/// Takes, converts or (without `mode`) releases a lock of the open file description: one system call. With `wait`, in
/// the kernel's queue, until it is taken or a signal handler has run.
///
/// # Errors
/// `WouldBlock` when another lock conflicts and `wait` is false, `Interrupted` after a handler; as flock(2) and
/// fcntl(2).
pub fn ask(file: &Lockable, span: Span, mode: Option<LockMode>, wait: bool) -> io::Result<()> {
    let Span::Bytes { start, len } = span else {
        return match (mode, wait) {
            (Some(LockMode::Shared), true) => file.0.lock_shared(),
            (Some(LockMode::Shared), false) => Ok(file.0.try_lock_shared()?),
            (Some(LockMode::Exclusive), true) => file.0.lock(),
            (Some(LockMode::Exclusive), false) => Ok(file.0.try_lock()?),
            (None, _) => file.0.unlock(),
        };
    };
    imp::ask(&file.0, start, len, mode, wait)
}

/// Opens or creates a file, or opens a directory, in order to lock it. For flock(2) the access does not matter; an
/// exclusive OFD lock needs writing, and on NFS, which maps all to POSIX locks, both. Close-on-exec unless `inherited`,
/// by which a command gets the descriptor and the lock. Does not wait for the other end of a FIFO.
///
/// # Errors
/// As open(2).
pub fn open(path: &Path, access: OpenMode, inherited: bool) -> io::Result<Lockable> {
    let access = access.flags();
    let base = OFlags::NOCTTY | if inherited { OFlags::empty() } else { OFlags::CLOEXEC };
    let once = |flags| retry_on_intr(|| rustix::fs::open(path, base | flags, Mode::from_raw_mode(0o666)));
    let opened = match once(access | OFlags::CREATE | OFlags::NONBLOCK) {
        // A directory cannot be opened for writing.
        Err(Errno::ISDIR) => once(OFlags::RDONLY | OFlags::NONBLOCK),
        // In a sticky directory, a file of another user may be opened, but not with O_CREAT (fs.protected_regular).
        Err(Errno::ACCESS) => once(access | OFlags::NONBLOCK).map_err(|_| Errno::ACCESS),
        // A lease of another process: it gives it back, or the kernel breaks it after some seconds.
        Err(Errno::AGAIN) => once(access),
        opened => opened,
    }?;
    let flags = rustix::fs::fcntl_getfl(&opened)?;
    rustix::fs::fcntl_setfl(&opened, flags - OFlags::NONBLOCK)?;
    Ok(Lockable(opened.into()))
}

/// A descriptor that this process was started with: the duplicate is of the same open file description, so the other
/// processes that have it keep a lock taken through it.
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

    pub(super) fn ask(file: &File, start: u64, len: u64, mode: Option<LockMode>, wait: bool) -> io::Result<()> {
        let number = |n| libc::off_t::try_from(n).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL));
        let of_mode = match mode {
            Some(LockMode::Shared) => libc::F_RDLCK,
            Some(LockMode::Exclusive) => libc::F_WRLCK,
            None => libc::F_UNLCK,
        };
        // SAFETY: `flock` is a C struct of integers; all zero is a valid one (OFD locks require that no process is
        // named).
        let mut lock: libc::flock = unsafe { std::mem::zeroed() };
        lock.l_type = of_mode as libc::c_short;
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

    pub(super) fn ask(_file: &File, _start: u64, _len: u64, _mode: Option<LockMode>, _wait: bool) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
