//! The source from which a persistent vector is read: a file, a stored image, or bytes in memory.

use crate::sys::ext::FileExt;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;

use crate::{Cause, Error, Result};

/// Fills a buffer with the bytes from an offset on.
type ReadAt<'a> = dyn Fn(&mut [u8], u64) -> io::Result<()> + 'a;

/// A source of bytes, with its name for errors.
pub struct VecSource<'a> {
    name: &'a Path,
    read: Box<ReadAt<'a>>,
}

impl<'a> VecSource<'a> {
    /// A source that `read` reads. It fills a buffer from an offset on, or fails with
    /// [`io::ErrorKind::UnexpectedEof`]. An [`Error`] in an [`io::Error`] is returned as it is.
    pub fn new(name: &'a Path, read: impl Fn(&mut [u8], u64) -> io::Result<()> + 'a) -> VecSource<'a> {
        VecSource { name, read: Box::new(read) }
    }

    /// An open file.
    pub(crate) fn of_file(file: &'a File, name: &'a Path) -> VecSource<'a> {
        VecSource::new(name, |buf, offset| file.read_exact_at(buf, offset))
    }

    /// The bytes of a file, in memory.
    pub fn of_bytes(bytes: &'a [u8]) -> VecSource<'a> {
        VecSource::new(Path::new("(memory)"), |buf, offset| {
            let from = usize::try_from(offset).ok().and_then(|at| bytes.get(at..)?.get(..buf.len()));
            buf.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    /// Fills `buf` from `offset` on.
    pub(super) fn read(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        (self.read)(buf, offset).map_err(|e| self.unread(e))
    }

    /// The error for a failed read.
    pub(super) fn unread(&self, e: io::Error) -> Error {
        match e.downcast::<Error>() {
            Ok(e) => e,
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => self.damaged("it was truncated while it was read"),
            Err(source) => Error::Io { doing: "reading", path: self.name.into(), source },
        }
    }

    /// The error for bytes that do not fit the format.
    pub(super) fn damaged(&self, what: impl Into<String>) -> Error {
        Error::damaged(self.name, what)
    }

    /// The error for another format.
    pub(super) fn version(&self, what: String) -> Error {
        Error::Version { path: self.name.into(), what }
    }

    /// The error for a file that is valid, but of another type than required.
    pub(super) fn refused(&self, what: impl fmt::Display, cause: impl Into<Cause>) -> Error {
        Error::refused(format!("{}: {what}", self.name.display()), cause)
    }
}

impl fmt::Debug for VecSource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VecSource").field("name", &self.name).finish_non_exhaustive()
    }
}
