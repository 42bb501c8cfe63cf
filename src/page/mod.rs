//! Arithmetic of pages, sets of pages, and digests; independent of files, paths and the system.
//!
//! An *image* is all bytes of a target at one moment. It is divided into pages of 4096 bytes and groups of 16 pages. Past
//! its length it counts as zeros, so that the last page and the last group are as long as any other.

mod digest;
mod fold;
mod range;
mod set;

pub use digest::{Digest, ImageHasher, group_digest, is_zero, page_digest};
pub use fold::Refold;
pub use range::PageRange;
pub use set::PageSet;

/// Number of a page: its byte offset in the target divided by [`PAGE`].
pub type PageNo = u64;

/// Bytes in a page, on every machine.
pub const PAGE: usize = 4096;
/// Bytes in a group, the unit of fast scanning: BLAKE3 runs 3.5 times as fast on 64 KiB as on 4 KiB.
pub const GROUP: usize = 65536;
/// Pages in a group.
pub const GROUP_PAGES: u64 = 16;

/// [`PAGE`] for arithmetic on offsets.
pub const PAGE64: u64 = PAGE as u64;
/// [`GROUP`] for arithmetic on offsets.
pub const GROUP64: u64 = GROUP as u64;

/// The longest image there can be: a file offset is a signed 64-bit number, rounded down to a group.
pub const MAX_LEN: u64 = (i64::MAX as u64) / GROUP64 * GROUP64;

/// Pages that an image of `len` bytes has.
pub const fn pages_of(len: u64) -> u64 {
    len.div_ceil(PAGE64)
}

/// Groups that an image of `len` bytes has.
pub const fn groups_of(len: u64) -> u64 {
    len.div_ceil(GROUP64)
}
