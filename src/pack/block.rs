//! The parts of an index block of a pack, for the writer and the reader.

use super::frame::FrameKind;
use crate::page::{Digest, PageNo};

/// Most pages in an index block: 16 MiB of the target, 128 KiB of digests.
pub const BLOCK_ENTRIES: usize = 4096;
/// Bytes of a block before its runs.
pub(super) const BLOCK_HEAD: usize = 24;

/// The index entry of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameEntry {
    /// The place of its first page in the list of the block.
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

/// The check of coded bytes: the first 8 bytes of their BLAKE3. Bits of a zstd frame may flip without changing the
/// decoded pages. Raw pages need no check beside their digests.
pub(super) fn coded_check(kind: FrameKind, bytes: &[u8]) -> u64 {
    if kind == FrameKind::Raw {
        return 0;
    }
    let hash = blake3::hash(bytes);
    u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("8 bytes"))
}

/// The key of a block: the hash of its list of (page, digest).
pub(super) fn block_key(entries: &[(PageNo, Digest)]) -> Digest {
    // Hashing each entry by itself takes four times as long.
    let mut list = Vec::with_capacity(entries.len() * 40);
    for (page, digest) in entries {
        list.extend_from_slice(&page.to_le_bytes());
        list.extend_from_slice(&digest.0);
    }
    Digest::of(&list)
}
