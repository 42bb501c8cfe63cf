//! The directory of a pack: a row for each block of its index.

use super::block::{BLOCK_ENTRIES, BLOCK_HEAD, FrameEntry};
use super::wire::{Bad, Fields, HEAD, ReadAt};
use crate::page::{Digest, MAX_LEN, PAGE64, PageNo};

/// The last eight bytes of a pack.
pub(super) const TAIL_MAGIC: &[u8; 8] = b"mspkend\n";

/// A row of the directory: one block of the index.
#[derive(Clone, Copy, Debug)]
pub(super) struct DirEntry {
    pub offset: u64,
    /// Bytes of the block.
    pub len: u32,
    /// Number of pages.
    pub entries: u32,
    pub first: PageNo,
    pub last: PageNo,
    /// [`block_key`](super::block::block_key) of the block.
    pub key: Digest,
}

impl DirEntry {
    /// Bytes of a row.
    pub(super) const BYTES: usize = 64;

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.offset.to_le_bytes());
        out.extend_from_slice(&self.len.to_le_bytes());
        out.extend_from_slice(&self.entries.to_le_bytes());
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.last.to_le_bytes());
        out.extend_from_slice(&self.key.0);
    }

    pub(super) fn take(fields: &mut Fields<'_>) -> Result<DirEntry, Bad> {
        Ok(DirEntry {
            offset: fields.u64()?,
            len: fields.u32()?,
            entries: fields.u32()?,
            first: fields.u64()?,
            last: fields.u64()?,
            key: fields.digest()?,
        })
    }
}

/// The id of a pack, from the keys of its blocks.
pub(super) fn pack_id(directory: &[DirEntry], pages: u64) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key("memsnap pack 1");
    hasher.update(&pages.to_le_bytes());
    directory.iter().for_each(|d| {
        hasher.update(&d.key.0);
    });
    Digest(hasher.finalize().into())
}

/// Reads a directory, and checks it together with the head of the pack and the numbers of the tail. A sparse file may
/// claim any size, so it is read in pieces, and rejected at the first row of zeros.
pub(super) fn read(
    file: &impl ReadAt,
    head: &[u8; HEAD],
    (at, bytes): (u64, u64),
    tail: &[u8],
    check: Digest,
) -> Result<Vec<DirEntry>, Bad> {
    const PIECE: u64 = 4096 * DirEntry::BYTES as u64;
    let (mut rows, mut hasher) = (Vec::new(), blake3::Hasher::new());
    hasher.update(head);
    let mut piece = vec![0; bytes.min(PIECE) as usize];
    for start in (0..bytes).step_by(PIECE as usize) {
        let piece = &mut piece[..(bytes - start).min(PIECE) as usize];
        file.read_at(piece, at + start)?;
        hasher.update(piece);
        for row in piece.chunks_exact(DirEntry::BYTES) {
            let row = DirEntry::take(&mut Fields::new(row))?;
            if row.entries == 0 {
                return Err(Bad::new("a row of its directory is impossible"));
            }
            rows.push(row);
        }
    }
    if hasher.update(tail).finalize() != check.0 {
        return Err(Bad::new("its head and directory do not match their check"));
    }
    Ok(rows)
}

/// Checks that the rows can be those of a pack of `pages` pages whose directory begins at `end`.
pub(super) fn check(directory: &[DirEntry], end: u64, pages: u64) -> Result<(), Bad> {
    let (mut at, mut next, mut sum) = (HEAD as u64, 0, 0u64);
    for row in directory {
        let fits = row.offset >= at && row.offset.checked_add(u64::from(row.len)).is_some_and(|e| e <= end);
        let counts = (1..=BLOCK_ENTRIES as u32).contains(&row.entries);
        let size = BLOCK_HEAD as u32 + 32 + row.entries.min(BLOCK_ENTRIES as u32) * 32;
        let most = size + row.entries.min(BLOCK_ENTRIES as u32) * (12 + FrameEntry::BYTES as u32);
        let span = row.first >= next && row.last >= row.first && row.last < MAX_LEN / PAGE64;
        let wide = row.last.wrapping_sub(row.first) >= u64::from(row.entries) - u64::from(counts);
        if !(fits && counts && span && wide && (size..=most).contains(&row.len)) {
            return Err(Bad::new("a row of its directory is impossible"));
        }
        (at, next) = (row.offset + u64::from(row.len), row.last + 1);
        sum += u64::from(row.entries);
    }
    if sum != pages || at != end {
        return Err(Bad::new("its directory does not add up"));
    }
    Ok(())
}
