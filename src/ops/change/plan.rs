//! What a change is asked to do, what it will do, and what it did.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::metadata::MetadataChange;
use crate::error::{Cause, Error};
use crate::ops::options::options;
use crate::ops::{Note, Reading, Reserve};
use crate::pack::Compress;
use crate::page::{Digest, PageRange, PageSet};

/// Ranges that a plan lists.
const LISTED: usize = 1000;

options! {
    /// How to change a target.
    Options {
        /// Sets the store; by default it is the one beside the file.
        store: Option<PathBuf> = None, into;
        /// Sets how the target is read.
        reading: Reading = Reading::default();
        /// Sets whether the change is made although other processes have the target open.
        live: bool = false;
        /// Sets whether the safety checks are overridden: a log beside the target, or (undo) content that was changed
        /// since.
        force: bool = false;
        /// Sets how pages are stored.
        compress: Compress = Compress::default();
        /// Sets how much of the disk stays free.
        reserve: Reserve = Reserve::default();
    }
}

/// What a change does to a target.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
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
    /// Changes of mode, owner and attributes.
    pub metadata: Vec<MetadataChange>,
    /// Where there is no snapshot yet, all of the target is stored first, for undo: bytes of data, before they are
    /// compressed.
    pub stores_first: Option<u64>,
    /// Whether the current content is not stored, and cannot be restored afterwards.
    pub no_undo: bool,
    /// Why the change will be refused as things are.
    pub obstacle: Option<Obstacle>,
    /// What single edits replace; only of `edit`.
    pub edits: Vec<Replaced>,
    /// The verb of an interrupted change that is finished first: this is what remains of it, and not yet what was asked
    /// for.
    pub finishes: Option<String>,
    /// Whether the file stays, is made or is removed.
    #[doc(hidden)]
    pub fate: Fate,
    /// Where several files are changed, what happens to each: this is their sum.
    #[doc(hidden)]
    pub members: Vec<Summary>,
}

/// What becomes of the file itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(hidden)]
pub enum Fate {
    /// It stays, whatever it holds.
    Stays,
    /// There is none, and one is made.
    Made,
    /// It is removed.
    Removed,
}

/// What one edit replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replaced {
    /// Where, in bytes from the start of the target.
    pub at: u64,
    /// How many bytes.
    pub len: u64,
    /// The first bytes that were there; fewer, or none, past the end of the target.
    pub old: Vec<u8>,
    /// The first bytes that replace them.
    pub new: Vec<u8>,
}

impl Summary {
    /// Writes `pages`; `from` and `to` are the names and lengths of the current and the new content.
    pub(crate) fn new(path: &Path, from: (&str, u64), to: (&str, u64), pages: &PageSet) -> Summary {
        let len = to.1;
        Summary {
            path: path.into(),
            from: from.0.into(),
            to: to.0.into(),
            from_len: from.1,
            to_len: len,
            pages: pages.len(),
            bytes: pages.runs().map(|r| r.end_offset().min(len) - r.offset().min(len)).sum(),
            ranges: pages.runs().take(LISTED).collect(),
            ranges_total: pages.runs().count() as u64,
            metadata: Vec::new(),
            stores_first: None,
            no_undo: false,
            obstacle: None,
            edits: Vec::new(),
            finishes: None,
            fate: Fate::Stays,
            members: Vec::new(),
        }
    }

    /// A file of `len` bytes is made, of which `pages` are written.
    pub(crate) fn made(path: &Path, to: &str, len: u64, pages: &PageSet) -> Summary {
        Summary { fate: Fate::Made, ..Summary::new(path, ("no file", 0), (to, len), pages) }
    }

    /// The file, of `len` bytes, is removed.
    pub(crate) fn removed(path: &Path, len: u64) -> Summary {
        Summary { fate: Fate::Removed, ..Summary::new(path, ("now", len), ("no file", 0), &PageSet::new()) }
    }

    /// Several files are changed; `path` is what was named, and `to` what all are brought to.
    pub(crate) fn several(path: &Path, to: &str, members: Vec<Summary>) -> Summary {
        let sum = |of: fn(&Summary) -> u64| members.iter().map(of).sum();
        Summary {
            from_len: sum(|m| m.from_len),
            to_len: sum(|m| m.to_len),
            pages: sum(|m| m.pages),
            bytes: sum(|m| m.bytes),
            ranges_total: sum(|m| m.ranges_total),
            obstacle: members.iter().find_map(|m| m.obstacle.clone()),
            members,
            ..Summary::new(path, ("now", 0), (to, 0), &PageSet::new())
        }
    }

    /// None: the target, of `len` bytes, is already what `to` names.
    pub(crate) fn none(path: &Path, to: &str, len: u64) -> Summary {
        Summary::new(path, ("now", len), (to, len), &PageSet::new())
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        let same = self.pages == 0 && self.from_len == self.to_len && self.metadata.is_empty();
        same && self.fate == Fate::Stays && self.members.iter().all(Summary::is_empty)
    }

    /// The error when it was not agreed to finish an interrupted change first.
    pub(crate) fn to_finish_first(&self) -> Option<Error> {
        let what =
            format!("an interrupted {} of {} is to be finished first", self.finishes.as_ref()?, self.path.display());
        Some(Error::refused(what, Cause::FinishFirst))
    }
}

/// Why a change will be refused, unless its options allow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// A hot log lies beside the file, which [`Options::force`] overrides: what it is.
    Log(String),
    /// Processes have the file open, which [`Options::live`] allows: which ones.
    Open(String),
}

/// What was done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// What was to be done.
    pub changes: Summary,
    /// Whether there was anything to do.
    pub needed: bool,
    /// Whether it was done: not where the plan was dropped.
    pub done: bool,
    /// The snapshot that `undo` returns to.
    pub undo: Option<(u64, Digest)>,
    /// What the user should know.
    pub notes: Vec<Note>,
    /// Bytes written to the target.
    pub bytes_written: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// Where several files were changed, the report of each.
    #[doc(hidden)]
    pub members: Vec<Report>,
}

impl Report {
    /// Nothing was done yet.
    pub(crate) fn of(changes: Summary) -> Report {
        let needed = !changes.is_empty();
        Report {
            changes,
            needed,
            done: false,
            undo: None,
            notes: Vec::new(),
            bytes_written: 0,
            elapsed: Duration::ZERO,
            members: Vec::new(),
        }
    }

    /// What was done to several files.
    pub(crate) fn several(changes: Summary, members: Vec<Report>) -> Report {
        let bytes_written = members.iter().map(|member| member.bytes_written).sum();
        let (needed, done) = (members.iter().any(|m| m.needed), members.iter().any(|m| m.done));
        Report { needed, done, bytes_written, members, ..Report::of(changes) }
    }

    /// All was done.
    pub(crate) fn done(changes: Summary, bytes_written: u64) -> Report {
        Report { needed: true, done: true, bytes_written, ..Report::of(changes) }
    }
}
