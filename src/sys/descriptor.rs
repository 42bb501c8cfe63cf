//! Descriptors that this process was started with, named by a path (`/dev/stdout`, `/dev/fd/3`).
//!
//! Such a path is not opened again: that would lose the position, fail for a socket, and replace what is meant to be
//! written through. The descriptor is duplicated. As a number may belong to any code in this process, only a program
//! uses them.

use std::fs::{File, Metadata, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use super::id;
#[cfg(feature = "program")]
use super::program::descriptor::inherited;
use crate::error::{At, Result};

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

/// A library uses no descriptor by its number.
#[cfg(not(feature = "program"))]
fn inherited(_number: i32) -> std::io::Result<File> {
    Err(std::io::Error::new(std::io::ErrorKind::Unsupported, "descriptors are used by their number in programs only"))
}

/// A stream to read: the descriptor that `path` names, or a FIFO, opened once a process writes to it. None for anything
/// else.
///
/// # Errors
/// When there is no such descriptor, or the FIFO cannot be opened.
pub fn source(path: &Path) -> Result<Option<File>> {
    match duplicate(path)? {
        None if is_fifo(path) => File::open(path).at("opening", path).map(Some),
        found => Ok(found),
    }
}

/// A stream to write: the descriptor that `path` names, or a FIFO of this user, opened once a process reads from it.
/// None for anything else, such as a FIFO of another user.
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

/// Whether [`sink`] returns a stream for `path`, or an error. Opens nothing.
pub fn is_sink(path: &Path) -> bool {
    number(path).is_some() || std::fs::symlink_metadata(path).is_ok_and(|found| is_our_fifo(&found))
}

fn is_our_fifo(found: &Metadata) -> bool {
    found.file_type().is_fifo() && found.uid() == id::euid()
}

fn is_fifo(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo())
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
