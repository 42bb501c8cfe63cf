//! The options of `stat`, and the result of each aspect.

use std::ops::Range;
use std::path::PathBuf;

use crate::error::Error;
use crate::ops::Reading;
use crate::ops::options::options;

options! {
    /// Options of [`Subject::look`](super::Subject::look).
    Options {
        /// Sets the store; by default it is the one beside the file.
        store: Option<PathBuf> = None, into;
        /// Sets how the file is read, if it is.
        reading: Reading = Reading::default();
        /// Sets which aspects are inspected.
        aspects: Aspects = Aspects::default();
        /// Sets ranges of the file to report one by one, ascending and without overlap.
        cells: Vec<Range<u64>> = Vec::new();
    }
}

/// Which aspects are inspected. The length and other metadata always are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Aspects {
    /// Data and holes, extents.
    pub layout: bool,
    /// The page cache.
    pub cache: bool,
    /// The processes that have it mapped or open: inspects every process.
    pub users: bool,
    /// Whether it is a file of this program, and of which kind.
    pub format: bool,
    /// Zeros, duplicates and compression: reads all of it.
    pub content: bool,
    /// What changed since the latest snapshot: reads all of it.
    pub changes: bool,
}

/// Why an aspect is unknown.
#[derive(Debug)]
pub enum Unseen {
    /// This user may not know, or this system does not report it; in words. Not an error.
    Hidden(String),
    /// An error.
    Failed(Error),
}

/// An aspect, or why it is unknown.
pub type Aspect<T> = std::result::Result<T, Unseen>;

impl From<Error> for Unseen {
    fn from(e: Error) -> Unseen {
        match e {
            Error::Io { ref source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                Unseen::Hidden("no permission".into())
            }
            e => Unseen::Failed(e),
        }
    }
}

/// What is in a range of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The range, in bytes.
    pub span: Range<u64>,
    /// Bytes that are not in holes; `None` if unknown.
    pub data: Option<u64>,
    /// Its pages in memory, and the dirty ones of these; `None` if unknown.
    pub cached: Option<(u64, u64)>,
    /// Pages of 4096 bytes that differ from the latest snapshot; `None` if they were not compared.
    pub changed: Option<u64>,
}
