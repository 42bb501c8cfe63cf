//! What a verb that changes a target shows before it does so.

use std::path::{Path, PathBuf};

use crate::page::{PageRange, PageSet};

/// Ranges that a plan lists.
const LISTED: usize = 1000;

/// What will be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The target.
    pub path: PathBuf,
    /// What it holds now.
    pub from: String,
    /// What it will hold.
    pub to: String,
    /// Its length now.
    pub from_len: u64,
    /// Its length then.
    pub to_len: u64,
    /// Pages to be written.
    pub pages: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// The first thousand ranges of them.
    pub ranges: Vec<PageRange>,
    /// Number of all ranges.
    pub ranges_total: u64,
    /// What single edits replace; only `edit` tells.
    pub edits: Vec<Replaced>,
}

/// What one edit replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// Where, in bytes from the start of the target.
    pub at: u64,
    /// How many bytes.
    pub len: u64,
    /// The first bytes that were there; fewer, or none, past the end of the target.
    pub old: Vec<u8>,
    /// The first bytes that come in their place.
    pub new: Vec<u8>,
}

impl Plan {
    pub(crate) fn new(path: &Path, from: (String, u64), to: (String, u64), pages: &PageSet) -> Plan {
        let len = to.1;
        let bytes = pages.runs().map(|r| r.end_offset().min(len) - r.offset().min(len)).sum();
        Plan {
            path: path.into(),
            from: from.0,
            to: to.0,
            from_len: from.1,
            to_len: len,
            pages: pages.len(),
            bytes,
            ranges: pages.runs().take(LISTED).collect(),
            ranges_total: pages.runs().count() as u64,
            edits: Vec::new(),
        }
    }

    /// Whether there is nothing to be done.
    pub fn is_empty(&self) -> bool {
        self.pages == 0 && self.from_len == self.to_len
    }
}
