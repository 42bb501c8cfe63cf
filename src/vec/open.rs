//! The content of a persistent vector, read from anything that can be read at an offset: a file, or a stored image.

use crate::sys::ext::FileExt;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;

use super::format::{self, ELEMENTS, ElementType, State};
use super::log::Log;
use crate::page::PAGE;
use crate::{Error, Result};

/// Fills a buffer with the bytes from an offset on.
type ReadAt<'a> = dyn Fn(&mut [u8], u64) -> io::Result<()> + 'a;

/// Where a vector is read from, and its name in errors.
pub struct VecSource<'a> {
    name: &'a Path,
    read: Box<ReadAt<'a>>,
}

impl<'a> VecSource<'a> {
    /// `read` fills a buffer from an offset on; an end before that is [`io::ErrorKind::UnexpectedEof`]. An [`Error`]
    /// within an [`io::Error`] is reported as it is.
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

    /// The error of reading.
    pub(super) fn unread(&self, e: io::Error) -> Error {
        match e.downcast::<Error>() {
            Ok(e) => e,
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => self.damaged("it was truncated while it was read"),
            Err(source) => Error::Io { doing: "reading", path: self.name.into(), source },
        }
    }

    /// It is not what the format says.
    pub(super) fn damaged(&self, what: impl Into<String>) -> Error {
        Error::damaged(self.name, what)
    }

    /// It is of another format.
    pub(super) fn version(&self, what: String) -> Error {
        Error::Version { path: self.name.into(), what }
    }

    /// It is sound, but not what was asked for.
    pub(super) fn refused(&self, what: impl fmt::Display, hint: &str) -> Error {
        Error::refused(format!("{}: {what}", self.name.display()), hint)
    }
}

impl fmt::Debug for VecSource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VecSource").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The content of a file: the elements of its last commit, in place or still in its log.
#[derive(Clone, Debug)]
pub struct Content {
    pub(super) kind: ElementType,
    pub(super) state: State,
    pub(super) log: Log,
    /// Bytes past all that the state names, left by an interrupted commit.
    pub(super) left_over: u64,
}

impl Content {
    /// Reads and checks the first `len` bytes of `from`.
    ///
    /// # Errors
    /// [`Error::Refused`] when it is no persistent vector, or of the other byte order; [`Error::Damaged`] or
    /// [`Error::Version`] when it is one that cannot be used.
    pub fn read(from: &VecSource<'_>, len: u64) -> Result<Content> {
        let mut page = [0; PAGE];
        if len < ELEMENTS {
            let mut first = [0; 8];
            let vec = len >= 8 && from.read(&mut first, 0).is_ok() && format::is_vec(&first);
            let what = format!("it has {len} bytes, too few for a persistent vector, which has at least {ELEMENTS}");
            return Err(match vec {
                true => from.damaged(what),
                false => from.refused(what, "name a file made by `memsnap vec create` or the library"),
            });
        }
        from.read(&mut page, 0)?;
        let (kind, state) = format::read_page(&page, from)?;
        let needed = state.file_len(&kind);
        let Some(left_over) = len.checked_sub(needed) else {
            let count = state.count;
            let what = format!("it was cut short: it has {len} bytes, and its {count} elements and log take {needed}");
            return Err(from.damaged(what));
        };
        let log = match &state.log {
            Some(place) => Log::read(from, place, state.count * kind.size)?,
            None => Log::default(),
        };
        Ok(Content { kind, state, log, left_over })
    }

    /// Returns the type of its elements.
    pub fn element_type(&self) -> &ElementType {
        &self.kind
    }

    /// Returns the number of elements.
    pub fn len(&self) -> u64 {
        self.state.count
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the bytes of all elements.
    pub fn byte_len(&self) -> u64 {
        self.state.count * self.kind.size
    }

    /// Fills `buf` with bytes of elements, from byte `offset` of them on.
    ///
    /// # Errors
    /// [`Error::Refused`] when there are not so many; as [`Content::read`].
    pub fn read_at(&self, from: &VecSource<'_>, buf: &mut [u8], offset: u64) -> Result<()> {
        if offset.checked_add(buf.len() as u64).is_none_or(|end| end > self.byte_len()) {
            return Err(from.refused("it has no such elements", "see its length"));
        }
        // A log is past all elements, so the file has bytes here, even if those of the log replace them.
        from.read(buf, ELEMENTS + offset)?;
        self.log.overlay(from, buf, offset)
    }

    /// Returns the byte ranges of elements that are in the log of an interrupted commit, ascending, as (offset,
    /// length).
    pub fn in_log(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.log.entries.iter().map(|entry| (entry.offset, entry.len))
    }
}

#[cfg(test)]
#[path = "open_test.rs"]
mod tests;
