//! The image of a target that was captured: what differs from its parent, a new pack, and the draft of a snapshot.
//! Nothing appears in the store before [`CapturedImage::prepare`].

use std::ops::Range;
use std::time::Duration;

use super::clone::{Cloned, Clones};
use super::evidence::Traces;
use super::state::Read;
use crate::error::Result;
use crate::ops::change::metadata::{Metadata, MetadataChange};
use crate::ops::{Around, Reading, Reserve};
use crate::pack::{Changed, Compress, FrameCounts, Grade, Meta, PackSummary, SnapshotKind};
use crate::page::Digest;
use crate::store::{History, Image, UnnamedSnapshot, UpdateRuns, WriteLock, prepare};
use crate::sys::create::Pending;
use crate::sys::freeze::Frozen;
use crate::sys::id;
use crate::sys::open::Stamp;

/// How to take an image.
#[derive(Clone, Debug)]
pub(crate) struct CaptureOptions<'a> {
    pub(crate) reading: &'a Reading,
    pub(crate) compress: Compress,
    pub(crate) reserve: Reserve,
    /// The caller keeps all other processes from writing (a write lease): the capture is proven.
    pub(crate) exclusive: bool,
    /// How long to try again for a reading during which the file is not written.
    pub(crate) patience: Duration,
    /// How long the processes that write to it may be stopped, where they are to be.
    pub(crate) freeze: Option<Duration>,
    /// What is done before and after.
    pub(crate) around: Option<&'a dyn Around>,
    /// When a clone is read in the place of the target.
    pub(crate) clones: Clones,
    /// What the caller says is all that changed since the last snapshot, in bytes.
    pub(crate) changed: Option<&'a [Range<u64>]>,
}

impl CaptureOptions<'_> {
    /// Whether a clone is kept.
    pub(super) fn keeps(&self) -> bool {
        self.clones == Clones::Keep
    }

    /// Why a target is read although it is known what it holds; none if it is not.
    pub(super) fn must_read(&self) -> Option<&'static str> {
        match self.clones {
            _ if self.changed.is_some() => Some("what changed is said by the caller"),
            Clones::Always | Clones::Keep => Some("a clone is wanted"),
            _ => None,
        }
    }
}

/// An image that was taken and not yet committed.
#[derive(Debug)]
pub(crate) struct CapturedImage {
    /// What it is compared with.
    pub(crate) parent: Option<Image>,
    /// The image digest.
    pub(crate) image: Digest,
    /// Its length.
    pub(crate) len: u64,
    /// What differs from the parent.
    pub(crate) changed: Changed,
    /// How far it is proven to be point-in-time.
    pub(crate) grade: Grade,
    /// Why not more.
    pub(crate) reason: String,
    /// Who was stopped meanwhile.
    pub(crate) frozen: Option<Frozen>,
    /// Damaged pages of earlier snapshots that were stored again.
    pub(crate) repaired: u64,
    /// Damage to earlier snapshots that was seen and could not be repaired.
    pub(crate) damage: Vec<String>,
    pub(super) stamp: Stamp,
    pub(super) attrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) draft: UpdateRuns,
    pub(super) pack: Option<(Pending, PackSummary)>,
    pub(super) traces: Traces,
    /// The clone that was read.
    pub(crate) cloned: Option<Cloned>,
    /// Why there is none, where one was wanted.
    pub(crate) not_cloned: Option<String>,
    /// How much of it was read.
    pub(crate) read: Read,
}

impl CapturedImage {
    /// Whether no log of a database was hot at the moment itself: its writers were stopped. One that is hot now came
    /// later.
    pub(crate) fn was_whole(&self) -> bool {
        let stopped = self.frozen.as_ref().is_some_and(|frozen| !frozen.stopped.is_empty());
        stopped && self.grade > Grade::Unproven
    }

    /// Mode, owner and attributes.
    pub(crate) fn metadata(&self) -> Metadata {
        Metadata::new(self.stamp.mode, (self.stamp.uid, self.stamp.gid), &self.attrs)
    }

    /// What of the target's metadata differs from `other`; times do not count.
    pub(crate) fn metadata_since(&self, other: &Image) -> Vec<MetadataChange> {
        Metadata::stored(other.meta()).differences(&self.metadata())
    }

    /// Whether nothing is left to do to bring the target to `other`. Some metadata may differ and not be ours to set.
    pub(crate) fn holds(&self, other: &Image) -> bool {
        let same = self.image == other.digest() && self.len == other.len();
        same && self.metadata().changes(&Metadata::stored(other.meta()), false).is_empty()
    }

    /// Whether image and metadata are those of `other`.
    pub(crate) fn is(&self, other: &Image) -> bool {
        self.image == other.digest() && self.len == other.len() && self.metadata_since(other).is_empty()
    }

    /// How the pages to be stored were coded.
    pub(crate) fn frames(&self) -> FrameCounts {
        self.pack.as_ref().map(|(_, summary)| summary.frames).unwrap_or_default()
    }

    /// Drops it: it is the image of its parent.
    pub(crate) fn unchanged(self, history: &History) {
        if let Some(parent) = &self.parent {
            self.traces.keep(history, parent);
        }
    }

    /// Makes it a snapshot without a name yet; its traces are [finished](Traces::finish) when it has one. `companions`:
    /// the snapshots of its logs.
    pub(crate) fn prepare(
        self,
        history: &History,
        writing: &mut WriteLock,
        kind: SnapshotKind,
        message: &str,
        companions: Vec<Digest>,
    ) -> Result<(UnnamedSnapshot, Traces)> {
        let stamp = self.stamp;
        let meta = Meta {
            len: self.len,
            image: self.image,
            parent: self.parent.as_ref().map_or(Digest::ZERO, |p| p.name.id),
            changed: self.changed,
            mtime_ns: stamp.mtime_ns,
            atime_ns: stamp.atime_ns,
            mode: stamp.mode,
            uid: stamp.uid,
            gid: stamp.gid,
            grade: self.grade,
            attrs: self.attrs,
            reason: self.reason,
            message: message.into(),
            companions,
            ..blank_meta(history, kind)
        };
        let snapshot = prepare(history, writing, self.parent.as_ref(), meta, self.draft, self.pack)?;
        Ok((snapshot, self.traces))
    }
}

/// The metadata that all new snapshots have in common.
pub(crate) fn blank_meta(history: &History, kind: SnapshotKind) -> Meta {
    use crate::sys::ext::OsStrExt;
    Meta {
        len: 0,
        image: Digest::ZERO,
        parent: Digest::ZERO,
        time_ns: id::now_ns(),
        changed: Changed::default(),
        stored: Default::default(),
        mtime_ns: 0,
        atime_ns: 0,
        mode: 0,
        uid: 0,
        gid: 0,
        grade: Grade::Unproven,
        kind,
        path: history.target().as_os_str().as_bytes().to_vec(),
        message: String::new(),
        reason: String::new(),
        host: id::hostname(),
        version: env!("CARGO_PKG_VERSION").into(),
        attrs: Vec::new(),
        companions: Vec::new(),
    }
}
