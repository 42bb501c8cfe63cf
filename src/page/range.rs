//! Ranges of pages.

use super::{GROUP_PAGES, PAGE64, PageNo, pages_of};

/// The pages `start..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageRange {
    /// First page.
    pub start: PageNo,
    /// One past the last page.
    pub end: PageNo,
}

impl PageRange {
    /// Creates the range `start..end`.
    ///
    /// # Panics
    /// When `start` is past `end`.
    #[doc(hidden)]
    pub fn new(start: PageNo, end: PageNo) -> PageRange {
        assert!(start <= end, "a page range cannot end before it starts");
        PageRange { start, end }
    }

    /// All pages of an image of `len` bytes.
    #[doc(hidden)]
    pub fn of_len(len: u64) -> PageRange {
        PageRange { start: 0, end: pages_of(len) }
    }

    /// The pages that hold any of the bytes `start..end`.
    #[doc(hidden)]
    pub fn of_bytes(start: u64, end: u64) -> PageRange {
        if start >= end {
            let at = start / PAGE64;
            return PageRange { start: at, end: at };
        }
        PageRange { start: start / PAGE64, end: pages_of(end) }
    }

    /// The pages of group `group`.
    #[doc(hidden)]
    pub fn of_group(group: u64) -> PageRange {
        PageRange { start: group * GROUP_PAGES, end: (group + 1) * GROUP_PAGES }
    }

    /// Returns the number of pages.
    pub fn len(&self) -> u64 {
        self.end - self.start
    }

    /// Whether it is empty.
    #[doc(hidden)]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Byte offset of the first page.
    #[doc(hidden)]
    pub fn offset(&self) -> u64 {
        self.start * PAGE64
    }

    /// Byte offset past the last page.
    #[doc(hidden)]
    pub fn end_offset(&self) -> u64 {
        self.end * PAGE64
    }

    /// Whether `page` is in the range.
    #[doc(hidden)]
    pub fn contains(&self, page: PageNo) -> bool {
        self.start <= page && page < self.end
    }

    /// Returns the pages that are in both ranges, or an empty range at the later start.
    #[doc(hidden)]
    pub fn intersect(&self, other: &PageRange) -> PageRange {
        let start = self.start.max(other.start);
        PageRange { start, end: self.end.min(other.end).max(start) }
    }
}
