//! What `snap` is asked for, and what it reports.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::error::{At, Result};
use crate::ops::change::metadata::MetadataChange;
use crate::ops::options::options;
use crate::ops::save::clone::Clones;
use crate::ops::stat::Format;
use crate::ops::{Around, Note, Reading, Reserve};
use crate::pack::{Changed, Compress, FrameCounts, Grade, Meta};
use crate::page::Digest;
use crate::store::{History, SnapName};
use crate::sys::freeze::Frozen;

options! {
    /// Options of [`snap`](super::snap()).
    Options {
        /// Sets the store; by default it is the one beside the file.
        store: Option<PathBuf> = None, into;
        /// Sets the message.
        message: String = String::new(), into;
        /// Sets the tags of the snapshot.
        tags: Vec<String> = Vec::new(), into;
        /// Sets how pages are stored.
        compress: Compress = Compress::default();
        /// Sets whether one is taken even if nothing changed.
        always: bool = false;
        /// Sets whether a new history begins, also for a renamed file that has one under its old path.
        new_history: bool = false;
        /// Sets whether the logs of a database are left out.
        #[doc(hidden)]
        alone: bool = false;
        /// Sets the required grade: an image of a lower one is not stored. By default any is.
        require: Grade = Grade::Unproven;
        /// Sets how much of the disk stays free.
        reserve: Reserve = Reserve::default();
        /// Sets how long processes that write to the file may be stopped; by default none is.
        #[doc(hidden)]
        freeze: Option<Duration> = None, into;
        /// Sets what is done before and after the moment of capture.
        #[doc(hidden)]
        around: Option<Arc<dyn Around>> = None, into;
        /// Sets when a clone is read in the place of the target.
        #[doc(hidden)]
        clones: Clones = Clones::Auto;
        /// Sets the ranges of bytes outside which nothing changed since the last snapshot, as the caller asserts: only
        /// these are read, and a sample of the others.
        #[doc(hidden)]
        changed: Option<Vec<Range<u64>>> = None, into;
        /// Sets how the target is read.
        reading: Reading = Reading::default();
    }
}

/// The result of [`snap`](super::snap()).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The target.
    pub path: PathBuf,
    /// The snapshot that holds the image; `None` if nothing was stored.
    pub id: Option<Digest>,
    /// Its number.
    pub number: u64,
    /// Whether it is new.
    pub new: bool,
    /// Length of the image.
    pub len: u64,
    /// Pages that differ from the parent snapshot.
    pub pages_changed: u64,
    /// Bytes in those pages.
    pub bytes_changed: u64,
    /// Mode, owner and attributes that differ from the parent snapshot.
    pub metadata: Vec<MetadataChange>,
    /// Bytes written to the store for it.
    pub bytes_stored: u64,
    /// How the frames of those pages were coded.
    #[doc(hidden)]
    pub frames: FrameCounts,
    /// Bytes that were read, in whole groups; `None` for all.
    #[doc(hidden)]
    pub bytes_read: Option<u64>,
    /// Why, where a part was to be read.
    #[doc(hidden)]
    pub read_reason: String,
    /// Whether the image is consistent (point-in-time).
    pub grade: Grade,
    /// The reason for the grade.
    pub reason: String,
    /// Who was stopped while it was read.
    #[doc(hidden)]
    pub frozen: Option<Frozen>,
    /// Damaged pages of earlier snapshots that were stored again.
    pub repaired: u64,
    /// Damage to earlier snapshots that was found and could not be repaired; see `verify`.
    pub damage: Vec<String>,
    /// The kind of file, if this program knows it.
    #[doc(hidden)]
    pub format: Option<Format>,
    /// The snapshots of the logs that belong to it, captured at the same moment.
    pub companions: Vec<Report>,
    /// A log that belongs to it was not captured.
    pub(crate) is_incomplete: bool,
    /// Warnings.
    pub warnings: Vec<Note>,
    /// Time taken.
    pub elapsed: Duration,
}

impl Report {
    /// Nothing is stored yet.
    pub(crate) fn new(path: &Path, len: u64, changed: Changed, (grade, reason): (Grade, &str)) -> Report {
        Report {
            path: path.into(),
            id: None,
            number: 0,
            new: false,
            len,
            pages_changed: changed.pages,
            bytes_changed: changed.bytes,
            metadata: Vec::new(),
            bytes_stored: 0,
            frames: FrameCounts::default(),
            bytes_read: None,
            read_reason: String::new(),
            grade,
            reason: reason.into(),
            frozen: None,
            repaired: 0,
            damage: Vec::new(),
            format: None,
            companions: Vec::new(),
            is_incomplete: false,
            warnings: Vec::new(),
            elapsed: Duration::ZERO,
        }
    }

    /// The snapshot `name` is new: its pages were coded as `frames` says. `old_map` is the map of its parent.
    pub(crate) fn stored(
        &mut self,
        history: &History,
        name: SnapName,
        meta: &Meta,
        old_map: Option<Digest>,
        frames: FrameCounts,
    ) -> Result<()> {
        let path = history.snapshot_path(&name);
        let own = std::fs::metadata(&path).at("inspecting", &path)?.len();
        let map = if old_map == Some(meta.stored.map) { 0 } else { meta.stored.map_bytes };
        (self.number, self.id, self.new, self.frames) = (name.number, Some(name.id), true, frames);
        self.bytes_stored = meta.stored.pack_bytes.saturating_add(map).saturating_add(own);
        Ok(())
    }
}
