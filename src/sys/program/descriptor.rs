//! Descriptors that this process was started with, by their number.
//!
//! A number may belong to any code in this process. A descriptor that came through exec(2) is not close-on-exec, and
//! all that this crate opens are: so none that it relies on, such as those of sealed memory, can be duplicated by
//! number.
#![allow(unsafe_code, reason = "a descriptor that is known only by its number has no safe wrapper")]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::start;
pub use crate::sys::descriptor::{duplicate, is_sink, number, source};

/// A duplicate of a descriptor that this process was started with: of the same open file description.
pub(in crate::sys) fn inherited(number: RawFd) -> io::Result<File> {
    // SAFETY: F_GETFD takes a number, and fails for one that is no open descriptor.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags < 0 || flags & libc::FD_CLOEXEC != 0 || start::was_closed(number) {
        return Err(Errno::BADF.into());
    }
    // SAFETY: F_DUPFD_CLOEXEC takes numbers only, and fails for one that is no open descriptor.
    let copy = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new, and no other code has it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) }.into())
}

/// Whether stdin can be read. (The standard library treats any other as empty.)
pub fn stdin_is_open() -> bool {
    !start::was_closed(0) && access(io::stdin()).is_some_and(|access| access != OFlags::WRONLY)
}

/// Whether stdout can be written to. (The standard library silently discards output to any other.)
pub fn stdout_is_open() -> bool {
    !start::was_closed(1) && access(io::stdout()).is_some_and(|access| access != OFlags::RDONLY)
}

/// None: it can neither be read nor written.
fn access(descriptor: impl AsFd) -> Option<OFlags> {
    let flags = rustix::fs::fcntl_getfl(descriptor).ok()?;
    #[cfg(target_os = "linux")]
    if flags.contains(OFlags::PATH) {
        return None;
    }
    Some(flags & OFlags::RWMODE)
}
