//! The content of a persistent vector.

use super::format::{self, ELEMENTS, ElementType, State};
use super::log::Log;
use super::source::VecSource;
use crate::page::PAGE;
use crate::{Cause, Result};

/// The content of a file: the elements of its last commit, in place or still in its log.
#[derive(Clone, Debug)]
pub struct Content {
    pub(super) kind: ElementType,
    pub(super) state: State,
    pub(super) log: Log,
    /// Bytes past the elements and the log, left by an interrupted commit.
    pub(super) left_over: u64,
}

impl Content {
    /// Reads and checks the first `len` bytes of `from`.
    pub fn read(from: &VecSource<'_>, len: u64) -> Result<Content> {
        let mut page = [0; PAGE];
        if len < ELEMENTS {
            let mut first = [0; 8];
            let vec = len >= 8 && from.read(&mut first, 0).is_ok() && format::is_vec(&first);
            let what = format!("it has {len} bytes, too few for a persistent vector, which has at least {ELEMENTS}");
            return Err(match vec {
                true => from.damaged(what),
                false => from.refused(what, Cause::ShorterThanVector),
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
    pub fn read_at(&self, from: &VecSource<'_>, buf: &mut [u8], offset: u64) -> Result<()> {
        if offset.checked_add(buf.len() as u64).is_none_or(|end| end > self.byte_len()) {
            return Err(from.refused("it has no such elements", "see its length"));
        }
        // The file has bytes here even if the log replaces them, as the log is past all elements.
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
#[path = "content_test.rs"]
mod tests;
