//! Descriptors that this process was started with: those that a shell opened for it, by their number or by the names that
//! paths have for them (`/dev/stdout`, `/dev/fd/3`).
//!
//! Such a path is not opened again: that would lose the position, fail for a socket, and replace what is meant to be
//! written through. The descriptor is duplicated.
//!
//! A number may belong to anybody in this process. What came through exec(2) is not close-on-exec, and all that this crate
//! opens for itself is: so no descriptor that it relies on, as those of sealed memory, can be had by its number.
#![allow(unsafe_code, reason = "a descriptor that is known by its number alone has no safe wrapper")]

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::id;
use super::program::start;
use crate::{At, Result};

/// The number of the descriptor that `path` names, whether there is such a descriptor or not.
pub fn number(path: &Path) -> Option<i32> {
    if path.as_os_str().as_bytes().ends_with(b"/") {
        return None;
    }
    let name = path.file_name()?.to_str()?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let dir = std::fs::canonicalize(parent).ok()?;
    let own = std::fs::canonicalize("/proc/self/fd").ok();
    if own.is_some_and(|own| own == dir) || dir == Path::new("/dev/fd") {
        return name.parse().ok().filter(|_| name.bytes().all(|byte| byte.is_ascii_digit()));
    }
    let standard = ["stdin", "stdout", "stderr"].iter().position(|standard| *standard == name);
    standard.filter(|_| dir == Path::new("/dev")).map(|at| at as i32)
}

/// A duplicate of the descriptor that `path` names.
///
/// # Errors
/// When there is no such descriptor.
pub fn duplicate(path: &Path) -> Result<Option<File>> {
    number(path).map(|number| inherited(number).at("opening", path)).transpose()
}

/// A duplicate of a descriptor that this process was started with: of the same open file description.
pub(super) fn inherited(number: RawFd) -> io::Result<File> {
    // SAFETY: F_GETFD takes a number, and refuses one that is no open descriptor.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags < 0 || flags & libc::FD_CLOEXEC != 0 || start::was_closed(number) {
        return Err(Errno::BADF.into());
    }
    // SAFETY: F_DUPFD_CLOEXEC takes numbers only, and refuses one that is no open descriptor.
    let copy = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was made just now, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) }.into())
}

/// What can only be read from front to back: the descriptor that `path` names, or a FIFO, opened once somebody writes to
/// it. None: anything else.
///
/// # Errors
/// When there is no such descriptor, or the FIFO cannot be opened.
pub fn source(path: &Path) -> Result<Option<File>> {
    match duplicate(path)? {
        None if is_fifo(path) => File::open(path).at("opening", path).map(Some),
        found => Ok(found),
    }
}

/// What can only be written from front to back: the descriptor that `path` names, or a FIFO of ours, opened once somebody
/// reads from it. None: anything else, such as a FIFO that somebody else has put there.
///
/// # Errors
/// When there is no such descriptor, or the FIFO cannot be opened.
pub fn sink(path: &Path) -> Result<Option<File>> {
    if number(path).is_some() || !is_sink(path) {
        return duplicate(path);
    }
    let no_follow = OFlags::NOFOLLOW.bits().cast_signed();
    let file = OpenOptions::new().write(true).custom_flags(no_follow).open(path).at("opening", path)?;
    Ok(Some(file).filter(|file| file.metadata().is_ok_and(|found| is_our_fifo(&found))))
}

/// Whether [`sink`] gives something for `path`, or an error. Opens nothing.
pub fn is_sink(path: &Path) -> bool {
    number(path).is_some() || std::fs::symlink_metadata(path).is_ok_and(|found| is_our_fifo(&found))
}

fn is_our_fifo(found: &Metadata) -> bool {
    found.file_type().is_fifo() && found.uid() == id::euid()
}

fn is_fifo(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo())
}

/// Whether this process was given a stdin that can be read. (The standard library takes any other for an empty one.)
pub fn stdin_is_open() -> bool {
    !start::was_closed(0) && access(io::stdin()).is_some_and(|access| access != OFlags::WRONLY)
}

/// Whether this process was given a stdout that can be written. (The standard library takes any other for one that takes
/// everything.)
pub fn stdout_is_open() -> bool {
    !start::was_closed(1) && access(io::stdout()).is_some_and(|access| access != OFlags::RDONLY)
}

/// None: neither reading nor writing.
fn access(descriptor: impl AsFd) -> Option<OFlags> {
    let flags = rustix::fs::fcntl_getfl(descriptor).ok()?;
    #[cfg(target_os = "linux")]
    if flags.contains(OFlags::PATH) {
        return None;
    }
    Some(flags & OFlags::RWMODE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_descriptors() {
        for (path, expected) in [
            ("/dev/stdin", Some(0)),
            ("/dev//./stdout", Some(1)),
            ("/dev/../dev/stderr", Some(2)),
            ("/dev/fd/63", Some(63)),
            ("/proc/self/fd/7", Some(7)),
            ("/dev/null", None),
            ("/dev/stdout/", None),
            ("/dev/fd/+1", None),
            ("/dev/fd", None),
            ("stdout", None),
            ("-", None),
            ("", None),
        ] {
            assert_eq!(number(Path::new(path)), expected, "{path}");
        }
        assert!(duplicate(Path::new("/dev/fd/999999")).is_err());
        assert!(duplicate(Path::new("/dev/null")).unwrap().is_none());
    }
}
