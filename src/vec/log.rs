//! The redo log: the bytes that a commit writes over existing elements. It is a table of ranges (offset, length),
//! followed by their bytes; see docs/persistent-vec.md.

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

/// A range of bytes of elements that is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Offset among the elements.
    pub(super) offset: u64,
    pub(super) len: u64,
    /// Offset of its bytes in the file.
    pub(super) at: u64,
}

/// A log that matches its digest.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    /// Ascending, disjoint, none empty.
    pub(super) entries: Vec<Entry>,
}

/// The table of the log of `edits`.
pub(super) fn table_of(edits: &[Edit<'_>]) -> Vec<(u64, u64)> {
    edits.iter().map(|edit| (edit.offset, edit.bytes.len() as u64)).collect()
}

/// Length of the log with this table.
pub(super) fn len_of(table: &[(u64, u64)]) -> u64 {
    HEAD + table.iter().map(|(_, len)| ENTRY + len).sum::<u64>()
}

/// Adds bytes to a log.
pub(super) type Push<'a> = dyn FnMut(&[u8]) -> Result<()> + 'a;

/// Passes a log at `offset` to `put`, one block at a time, and returns its place. `fill` pushes the bytes of the ranges
/// in `table`.
pub(super) fn write(
    table: &[(u64, u64)],
    fill: impl FnOnce(&mut Push<'_>) -> Result<()>,
    offset: u64,
    mut put: impl FnMut(&[u8], u64) -> Result<()>,
) -> Result<LogPlace> {
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
    /// The log at `offset` with this table.
    pub(super) fn of(table: &[(u64, u64)], offset: u64) -> Log {
        let mut at = offset + HEAD + ENTRY * table.len() as u64;
        let entry = |&(offset, len): &(u64, u64)| {
            let entry = Entry { offset, len, at };
            at += len;
            entry
        };
        Log { entries: table.iter().map(entry).collect() }
    }

    /// Reads and checks the log at `place` of a vector whose elements take `end` bytes.
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

    /// Replaces bytes of elements in `buf`, from `offset` on, by those in the log.
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
