//! The redo log: what a commit writes over existing elements.
//!
//! It is a table of ranges, followed by their bytes; see docs/persistent-vec.md.

use std::io;

use super::format::{LogPlace, u64_at};
use super::source::VecSource;
use crate::Result;
use crate::page::PAGE64;

const MAGIC: [u8; 8] = *b"memsnapL";
/// Bytes before the table.
const HEAD: u64 = 16;
/// Bytes of an entry of the table.
const ENTRY: u64 = 16;
/// Bytes that are copied at once.
pub(super) const BLOCK: usize = 256 << 10;

/// New bytes of elements.
#[derive(Clone, Copy, Debug)]
pub struct Edit<'a> {
    /// Offset among the elements, in bytes.
    pub offset: u64,
    /// The bytes.
    pub bytes: &'a [u8],
}

impl Edit<'_> {
    /// Returns the offset past its last byte.
    pub fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }
}

/// A range of elements' bytes that is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Offset among the elements.
    pub(super) offset: u64,
    pub(super) len: u64,
    /// Offset of its bytes in the file.
    pub(super) at: u64,
}

/// A log that was proven.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    /// Ascending, disjoint, none empty.
    pub(super) entries: Vec<Entry>,
}

/// Length of the log of `edits`.
pub(super) fn len_of(edits: &[Edit<'_>]) -> u64 {
    HEAD + edits.iter().map(|edit| ENTRY + edit.bytes.len() as u64).sum::<u64>()
}

/// Length of the log of one range of `len` bytes.
pub(super) fn len_of_one(len: u64) -> u64 {
    HEAD + ENTRY + len
}

/// Passes the log of `edits` at `offset` to `put`, a block at a time, and returns its place.
pub(super) fn write<E>(
    edits: &[Edit<'_>],
    offset: u64,
    put: impl FnMut(&[u8], u64) -> Result<(), E>,
) -> Result<LogPlace, E> {
    let table: Vec<(u64, u64)> = edits.iter().map(|edit| (edit.offset, edit.bytes.len() as u64)).collect();
    write_with(&table, |push| edits.iter().try_for_each(|edit| push(edit.bytes)), offset, put)
}

/// As [`write()`], for a table of ranges (offset, length) whose bytes `fill` pushes one after another.
pub(super) fn write_with<E>(
    table: &[(u64, u64)],
    fill: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E>,
    offset: u64,
    mut put: impl FnMut(&[u8], u64) -> Result<(), E>,
) -> Result<LogPlace, E> {
    let mut hasher = blake3::Hasher::new();
    let mut block = Vec::with_capacity(BLOCK);
    let mut at = offset;
    let mut push = |mut bytes: &[u8], last: bool| {
        loop {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK - block.len()));
            block.extend_from_slice(now);
            bytes = later;
            if block.len() == BLOCK || last {
                hasher.update(&block);
                put(&block, at)?;
                at += block.len() as u64;
                block.clear();
            }
            if bytes.is_empty() {
                return Ok(());
            }
        }
    };
    push(&MAGIC, false)?;
    push(&(table.len() as u64).to_le_bytes(), false)?;
    for (offset, len) in table {
        push(&offset.to_le_bytes(), false)?;
        push(&len.to_le_bytes(), false)?;
    }
    fill(&mut |bytes| push(bytes, false))?;
    push(&[], true)?;
    Ok(LogPlace { offset, len: at - offset, digest: hasher.finalize().into() })
}

impl Log {
    /// The log of `edits` at `offset`.
    pub(super) fn of(edits: &[Edit<'_>], offset: u64) -> Log {
        let mut at = offset + HEAD + ENTRY * edits.len() as u64;
        let entry = |edit: &Edit<'_>| {
            let entry = Entry { offset: edit.offset, len: edit.bytes.len() as u64, at };
            at += entry.len;
            entry
        };
        Log { entries: edits.iter().map(entry).collect() }
    }

    /// The log at `offset` of the first `len` bytes of all elements.
    pub(super) fn of_first(len: u64, offset: u64) -> Log {
        Log { entries: vec![Entry { offset: 0, len, at: offset + HEAD + ENTRY }] }
    }

    /// Reads and proves the log at `place` of a vector whose elements take `end` bytes.
    pub(super) fn read(from: &VecSource<'_>, place: &LogPlace, end: u64) -> Result<Log> {
        prove(from, place)?;
        let bad = |what: &str| from.damaged(format!("its log {what}"));
        let mut head = [0; HEAD as usize];
        if place.len < HEAD {
            return Err(bad("is too short"));
        }
        from.read(&mut head, place.offset)?;
        let count = u64_at(&head, 8);
        if head[..8] != MAGIC {
            return Err(bad("does not begin with the right magic bytes"));
        }
        let table =
            count.checked_mul(ENTRY).filter(|table| *table <= place.len - HEAD).ok_or_else(|| bad("is too short"))?;
        let (mut at, mut done) = (place.offset + HEAD + table, 0);
        let (mut entries, mut block) = (Vec::new(), vec![0; BLOCK]);
        for read in (0..table).step_by(BLOCK) {
            let block = &mut block[..(table - read).min(BLOCK as u64) as usize];
            from.read(block, place.offset + HEAD + read)?;
            for entry in block.chunks_exact(ENTRY as usize) {
                let (offset, len) = (u64_at(entry, 0), u64_at(entry, 8));
                let past = offset.checked_add(len).filter(|past| *past <= end && offset >= done && len > 0);
                done = past.ok_or_else(|| bad("names bytes that no element has"))?;
                entries.try_reserve(1).map_err(|_| from.unread(io::ErrorKind::OutOfMemory.into()))?;
                entries.push(Entry { offset, len, at });
                at += len;
            }
        }
        match at == place.offset + place.len {
            true => Ok(Log { entries }),
            false => Err(bad("has another length than its table says")),
        }
    }

    /// Copies the bytes that the log has for `offset` and on into `buf`.
    pub(super) fn overlay(&self, from: &VecSource<'_>, buf: &mut [u8], offset: u64) -> Result<()> {
        let end = offset + buf.len() as u64;
        let first = self.entries.partition_point(|entry| entry.offset + entry.len <= offset);
        for entry in self.entries[first..].iter().take_while(|entry| entry.offset < end) {
            let (start, stop) = (entry.offset.max(offset), (entry.offset + entry.len).min(end));
            let part = &mut buf[(start - offset) as usize..(stop - offset) as usize];
            from.read(part, entry.at + (start - entry.offset))?;
        }
        Ok(())
    }
}

/// Checks all bytes of the log against the digest in the slot.
fn prove(from: &VecSource<'_>, place: &LogPlace) -> Result<()> {
    let mut hasher = blake3::Hasher::new();
    let mut block = vec![0; BLOCK.min(place.len as usize)];
    let mut at = 0;
    while at < place.len {
        let n = (place.len - at).min(BLOCK as u64) as usize;
        from.read(&mut block[..n], place.offset + at)?;
        hasher.update(&block[..n]);
        at += n as u64;
    }
    if *hasher.finalize().as_bytes() != place.digest {
        return Err(from.damaged("the log of its last commit is damaged, and that commit may be half in place"));
    }
    Ok(())
}

/// Returns the offset of the first page at or past `end`.
pub(super) fn place_behind(end: u64) -> u64 {
    end.next_multiple_of(PAGE64)
}
