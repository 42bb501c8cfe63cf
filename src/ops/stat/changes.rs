//! The snapshots of a file, and what changed since the latest.

use std::path::Path;

use super::aspects::{Cell, Options};
use crate::error::{Error, Result};
use crate::ops::input::operand::Operand;
use crate::ops::{HowRead, Progress, diff, find_history};
use crate::page::{Digest, PageRange, PageSet};
use crate::store::Ref;

/// The snapshots of a file, and what changed since the latest.
#[derive(Clone, Debug)]
pub struct SinceLatest {
    /// All snapshots, including those that memsnap took by itself.
    pub snapshots: u64,
    /// The latest that a user asked for.
    pub latest: Latest,
    /// Pages that differ from it.
    pub pages: u64,
    /// Ranges of such pages.
    pub ranges: u64,
    /// Bytes in those pages.
    pub bytes: u64,
    /// How much of the file was read to find them.
    pub how: Option<HowRead>,
    set: PageSet,
}

/// A snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latest {
    /// Its number.
    pub number: u64,
    /// Its id.
    pub id: Digest,
    /// When it was taken, in nanoseconds since 1970.
    pub time_ns: i64,
    /// Length of its image in bytes.
    pub len: u64,
}

impl SinceLatest {
    /// Counts the pages of each cell that changed.
    pub(super) fn mark(&self, cells: &mut [Cell]) {
        for cell in cells {
            let within = PageRange::of_bytes(cell.span.start, cell.span.end);
            cell.changed = Some(self.set.runs_within(within).map(|run| run.len()).sum());
        }
    }
}

/// Compares a file with its latest snapshot; `None` without a snapshot.
pub(super) fn look(path: &Path, options: &Options, progress: &dyn Progress) -> Result<Option<SinceLatest>> {
    let history = match find_history(options.store.as_deref(), path) {
        Err(Error::Missing { .. }) => return Ok(None),
        history => history?,
    };
    let snapshots = history.snapshots()?.len() as u64;
    if snapshots == 0 {
        return Ok(None);
    }
    let name = history.resolve(&Ref::Latest)?;
    let snapshot = history.snapshot(name)?;
    let stored = Operand::new(path, Ref::Number(name.number));
    let how = diff::Options::default().store(options.store.clone()).reading(options.reading.clone());
    let compared = diff::diff(&stored, None, &how, progress)?;
    let found = compared.report();
    Ok(Some(SinceLatest {
        snapshots,
        latest: Latest { number: name.number, id: name.id, time_ns: snapshot.meta().time_ns, len: snapshot.meta().len },
        pages: found.pages_changed,
        ranges: found.ranges,
        bytes: found.bytes_changed,
        how: found.how,
        set: compared.pages().clone(),
    }))
}
