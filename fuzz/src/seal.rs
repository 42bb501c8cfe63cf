//! Checksums put right over bytes that were changed.

use std::ops::Range;

use memsnap::page::{Digest, PAGE, PAGE64, page_digest};

/// Bytes of the tail of a pack, and of the end marker of a delta.
const PACK_TAIL: usize = 64;
pub(super) const DELTA_END: usize = 104;
/// Bytes of a row of a pack's directory.
const ROW: usize = 64;

/// A little-endian number, if all of it is there.
pub(super) fn number(bytes: &[u8], at: usize, len: usize) -> Option<usize> {
    let mut out = [0; 8];
    out[..len].copy_from_slice(bytes.get(at..at.checked_add(len)?)?);
    usize::try_from(u64::from_le_bytes(out)).ok()
}

/// Writes the hash of `covers` to `at`; does nothing where either is not there.
pub(super) fn hash(bytes: &mut [u8], covers: Range<usize>, at: usize) -> Option<()> {
    let digest = Digest::of(bytes.get(covers)?);
    put(bytes, at, &digest.0)
}

fn put(bytes: &mut [u8], at: usize, new: &[u8]) -> Option<()> {
    bytes.get_mut(at..at.checked_add(new.len())?)?.copy_from_slice(new);
    Some(())
}

/// Seals a pack from the inside out: pages that are stored raw, frames, blocks, the directory.
pub(super) fn pack(bytes: &mut [u8]) -> Option<()> {
    let tail = bytes.len().checked_sub(PACK_TAIL)?;
    let (at, rows) = (number(bytes, tail, 8)?, number(bytes, tail + 8, 8)?);
    if at > tail || rows > (tail - at) / ROW {
        return None;
    }
    for row in (at..).step_by(ROW).take(rows) {
        let (offset, len) = (number(bytes, row, 8)?, number(bytes, row + 8, 4)?);
        let sealed = bytes.get_mut(..at).and_then(|body| block(body, offset, len));
        if let Some(key) = sealed {
            put(bytes, row + 32, &key.0)?;
        }
    }
    let covered = [bytes.get(..16)?, bytes.get(at..tail + 24)?].concat();
    put(bytes, tail + 24, &Digest::of(&covered).0)
}

/// Seals the block of `len` bytes at `offset`; gives its key.
fn block(bytes: &mut [u8], offset: usize, len: usize) -> Option<Digest> {
    let end = offset.checked_add(len)?.checked_sub(32)?;
    let (entries, runs) = (number(bytes, offset, 4)?, number(bytes, offset + 4, 4)?);
    let frames = number(bytes, offset + 8, 4)?;
    let pages = pages(bytes, offset + 24, runs, entries);
    let digests = (offset + 24).checked_add(runs.checked_mul(12)?)?;
    let rows = digests.checked_add(entries.checked_mul(32)?)?;
    if rows.checked_add(frames.checked_mul(16)?)? <= end {
        let mut at = number(bytes, offset + 16, 8)?;
        for row in (rows..).step_by(16).take(frames) {
            let stored = number(bytes, row + 4, 4)?;
            frame(bytes, row, at..at.checked_add(stored)?, digests);
            at += stored;
        }
    }
    let mut list = Vec::new();
    for (n, page) in pages.iter().enumerate() {
        list.extend_from_slice(&page.to_le_bytes());
        list.extend_from_slice(bytes.get(digests + n * 32..digests + n * 32 + 32)?);
    }
    hash(bytes, offset..end, end)?;
    Some(Digest::of(&list))
}

/// The pages that the runs at `at` name.
fn pages(bytes: &[u8], at: usize, runs: usize, most: usize) -> Vec<u64> {
    let mut pages = Vec::new();
    for run in (at..).step_by(12).take(runs.min(4096)) {
        let (Some(start), Some(n)) = (number(bytes, run, 8), number(bytes, run + 8, 4)) else { break };
        pages.extend((0..n as u64).map(|i| (start as u64).wrapping_add(i)).take(most.min(4096) - pages.len()));
    }
    pages
}

/// Seals the frame whose row is at `row`: the check of coded bytes, the digests of raw pages.
fn frame(bytes: &mut [u8], row: usize, stored: Range<usize>, digests: usize) -> Option<()> {
    let first = number(bytes, row, 2)?;
    if *bytes.get(row + 3)? != 0 {
        let check = Digest::of(bytes.get(stored)?);
        return put(bytes, row + 8, &check.0[..8]);
    }
    bytes.get(stored.clone())?;
    for (n, at) in stored.step_by(PAGE).enumerate() {
        let digest = page_digest(bytes.get(at..at + PAGE)?.first_chunk()?);
        if !digest.is_zero() && digests + (first + n) * 32 + 32 <= row {
            put(bytes, digests + (first + n) * 32, &digest.0)?;
        }
    }
    Some(())
}

/// Seals a delta: the packs in it, then the end marker.
pub(super) fn delta(bytes: &mut [u8]) -> Option<()> {
    let end = bytes.len().checked_sub(DELTA_END)?;
    let mut at = 104 + number(bytes, 96, 2)?;
    for direction in [end, end + 32] {
        let (len, runs) = (number(bytes, direction, 8)?, number(bytes, direction + 8, 8)?);
        let past = at.checked_add(len)?;
        pack(bytes.get_mut(at..past)?);
        at = past.checked_add(runs)?;
    }
    hash(bytes, 0..end + 64, end + 64)
}

/// Seals the first page of a persistent vector and the logs that it names. Slots are covered together with the header.
pub(super) fn vec(bytes: &mut [u8]) -> Option<()> {
    hash(bytes, 0..64, 64)?;
    for slot in [1024, 2048] {
        let (at, len) = (number(bytes, slot + 16, 8)?, number(bytes, slot + 24, 8)?);
        if at != 0 && at.checked_add(len).is_some_and(|end| end <= bytes.len()) && at as u64 >= PAGE64 {
            hash(bytes, at..at + len, slot + 32)?;
        }
        let covered = [bytes.get(..64)?, bytes.get(slot..slot + 64)?].concat();
        put(bytes, slot + 64, &Digest::of(&covered).0)?;
    }
    Some(())
}
