//! What a persistent vector holds, read from anything that can be read at an offset: a file, or a stored image of one.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::format::{self, ELEMENTS, ElementType, Fault, State};
use super::log::Log;
use crate::page::PAGE;

/// Bytes that can be read at any offset.
pub trait ReadAt {
    /// Fills `buf` from `offset` on; an end before that is [`io::ErrorKind::UnexpectedEof`].
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for File {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buf, offset)
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let from = usize::try_from(offset).ok().and_then(|at| self.get(at..)?.get(..buf.len()));
        buf.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// What is in a file: the elements of its last commit, be they in place or still in its log.
#[derive(Clone, Debug)]
pub struct Content {
    pub(super) kind: ElementType,
    pub(super) state: State,
    pub(super) log: Log,
    /// Bytes behind all that the state names: left by a commit that was cut short.
    pub(super) left_over: u64,
}

impl Content {
    /// Reads and checks what is in `file` of `len` bytes.
    ///
    /// # Errors
    /// [`Fault::Refused`] when it is no persistent vector, or of the other byte order; [`Fault::Damaged`] or
    /// [`Fault::Version`] when it is one that cannot be used.
    pub fn read(file: &dyn ReadAt, len: u64) -> Result<Content, Fault> {
        let mut page = [0; PAGE];
        if len < ELEMENTS {
            let mut first = [0; 8];
            let vec = len >= 8 && file.read_at(&mut first, 0).is_ok() && format::is_vec(&first);
            let what = format!("it has {len} bytes, too few for a persistent vector, which has at least {ELEMENTS}");
            return Err(match vec {
                true => Fault::damaged(what),
                false => Fault::Refused(what, "name a file made by `memsnap vec create` or the library"),
            });
        }
        file.read_at(&mut page, 0)?;
        let (kind, state) = format::read_page(&page)?;
        let needed = state.file_len(&kind);
        let Some(left_over) = len.checked_sub(needed) else {
            let count = state.count;
            let what = format!("it was cut short: it has {len} bytes, and its {count} elements and log take {needed}");
            return Err(Fault::damaged(what));
        };
        let log = match &state.log {
            Some(place) => Log::read(file, place, state.count * kind.size)?,
            None => Log::default(),
        };
        Ok(Content { kind, state, log, left_over })
    }

    /// What its elements are.
    pub fn element_type(&self) -> &ElementType {
        &self.kind
    }

    /// Number of elements.
    pub fn len(&self) -> u64 {
        self.state.count
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of all elements.
    pub fn byte_len(&self) -> u64 {
        self.state.count * self.kind.size
    }

    /// Fills `buf` with bytes of elements, from byte `offset` of them on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] when there are not so many; what the system says.
    pub fn read_at(&self, file: &dyn ReadAt, buf: &mut [u8], offset: u64) -> io::Result<()> {
        if offset.checked_add(buf.len() as u64).is_none_or(|end| end > self.byte_len()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // What only the log has may lie past the end of what is in place: a log is behind all elements, so it does not.
        file.read_at(buf, ELEMENTS + offset)?;
        self.log.overlay(file, buf, offset)
    }

    /// The parts of the elements' bytes that are in the log of a commit that was cut short, ascending, as (offset,
    /// length).
    pub fn in_log(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.log.entries.iter().map(|entry| (entry.offset, entry.len))
    }
}

#[cfg(test)]
#[path = "open_test.rs"]
mod tests;
