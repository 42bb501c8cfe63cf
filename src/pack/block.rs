//! What a block of a pack's index consists of, for the writer and the reader.

use super::frame::FrameKind;
use crate::page::{Digest, PageNo};

/// Most pages in a block of the index: 16 MiB of the target, 128 KiB of digests.
pub const BLOCK_ENTRIES: usize = 4096;
/// Bytes of a block before its runs.
pub(super) const BLOCK_HEAD: usize = 24;

/// One frame of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameEntry {
    /// Its first page, as a place in the block's list.
    pub first: u16,
    /// Number of pages.
    pub count: u8,
    /// How it is coded.
    pub kind: FrameKind,
    /// Bytes stored.
    pub stored: u32,
    /// [`coded_check`] of them.
    pub check: u64,
}

impl FrameEntry {
    /// Bytes of a row.
    pub(super) const BYTES: usize = 16;
}

/// Check of coded bytes before they are decoded: the first 8 bytes of their BLAKE3. Raw ones need none, their pages'
/// digests are enough; zstd has bits that may flip without changing what comes out.
pub(super) fn coded_check(kind: FrameKind, bytes: &[u8]) -> u64 {
    if kind == FrameKind::Raw {
        return 0;
    }
    let hash = blake3::hash(bytes);
    u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("8 bytes"))
}

/// Hash of one block's list of (page, digest).
pub(super) fn block_key(entries: &[(PageNo, Digest)]) -> Digest {
    // In one piece: hashed entry by entry it takes four times as long.
    let mut list = Vec::with_capacity(entries.len() * 40);
    for (page, digest) in entries {
        list.extend_from_slice(&page.to_le_bytes());
        list.extend_from_slice(&digest.0);
    }
    Digest::of(&list)
}
