//! What `verify` is asked for and what it reports, for all of its steps.

use std::path::{Path, PathBuf};

use crate::error::{Cause, Error};
use crate::ops::options::options;
use crate::ops::{Note, Progress};
use crate::page::PageRange;
use crate::store::{History, SnapName};

options! {
    /// Options of [`verify`](super::verify).
    Options {
        /// Sets the store; by default it is the one beside the file, or that of the working directory.
        store: Option<PathBuf> = None, into;
        /// Sets whether the pages are left unchecked.
        quick: bool = false;
        /// Sets whether to store damaged pages again from the target, if it still holds them; to write `format` and
        /// `target` again; and to remove files that no snapshot needs.
        repair: bool = false;
    }
}

/// The result of [`verify`](super::verify).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// Targets checked.
    pub targets: u64,
    /// Their snapshots.
    pub snapshots: u64,
    /// Files of the store that were read.
    pub files: u64,
    /// Pages compared with their digests.
    pub pages: u64,
    /// Bytes in those pages.
    pub bytes: u64,
    /// All faults.
    pub faults: Vec<Fault>,
    /// Files that no snapshot needs, and that were not removed.
    pub garbage: u64,
    /// Notes and warnings.
    pub notes: Vec<Note>,
}

/// A fault of a store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Fault {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: String,
    /// The numbers of the snapshots that it affects.
    pub snapshots: Vec<u64>,
    /// The pages of these snapshots that it affects; empty if it affects all of them, or none.
    pub ranges: Vec<PageRange>,
    /// Whether a newer version of memsnap made it, and it is not damaged as far as this version can tell. It is left
    /// alone.
    pub newer: bool,
    /// Whether it was repaired.
    pub repaired: bool,
    /// Why a repair failed; empty if none was tried.
    pub unrepaired: String,
    /// What lies behind that.
    pub cause: Cause,
}

impl Fault {
    pub(super) fn new(path: &Path, what: impl Into<String>) -> Fault {
        Fault {
            path: path.into(),
            what: what.into(),
            snapshots: Vec::new(),
            ranges: Vec::new(),
            newer: false,
            repaired: false,
            unrepaired: String::new(),
            cause: Cause::Stated,
        }
    }

    /// The fault of the file that an error names; of `otherwise` if it names none.
    pub(super) fn of(e: &Error, otherwise: &Path) -> Fault {
        match e {
            Error::Damaged { path, what } => Fault::new(path, what),
            Error::Version { path, what } => Fault { newer: true, ..Fault::new(path, what) },
            Error::Io { doing, path, source } => Fault::new(path, format!("{doing}: {source}")),
            e => Fault::new(otherwise, e.to_string()),
        }
    }
}

/// The check of one history.
pub(super) struct Check<'a> {
    pub(super) history: &'a History,
    pub(super) only: Option<SnapName>,
    pub(super) options: &'a Options,
    pub(super) progress: &'a dyn Progress,
}
