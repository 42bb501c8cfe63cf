//! `snap`: captures a target and stores what changed.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::change::metadata::MetadataChange;
use super::input::{Target, renamed};
use super::options::options;
use super::save::capture::{CaptureOptions, CapturedImage};
pub use super::save::clone::Clones;
use super::save::keep_clone::ToKeep;
use super::save::moment::take;
use super::stat::Format;
use super::{Around, Note, Progress, Reading, Reserve};
use crate::capture::Companion;
use crate::error::{At, Cause, Error, Result};
use crate::pack::{Changed, Compress, FrameCounts, Grade, Meta, SnapshotKind};
use crate::page::{Digest, PAGE64};
use crate::store::{ChangeMarker, History, KeptClone, Ref, SnapName, Store, WriteLock, check_tag, refuse_stored};
use crate::sys::freeze::Frozen;
use crate::sys::fs::{self, FsKind};
use crate::sys::open;

/// Longest message.
const MOST_MESSAGE: usize = 64 << 10;

options! {
    /// Options of [`snap`].
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
        clones: Clones = Clones::Auto;
        /// Sets the ranges of bytes outside which nothing changed since the last snapshot, as the caller asserts: only
        /// these are read, and a sample of the others.
        changed: Option<Vec<Range<u64>>> = None, into;
        /// Sets how the target is read.
        reading: Reading = Reading::default();
    }
}

/// The result of [`snap`].
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

/// Takes a snapshot of `file`.
///
/// # Errors
/// When it cannot be read or stored; [`Error::Changed`] when it shrinks or is replaced meanwhile; [`Error::Busy`]
/// when a lock is not free in time. Then there is no new snapshot.
pub fn snap(file: &Path, options: &Options, progress: &dyn Progress) -> Result<Report> {
    let began = Instant::now();
    check(options)?;
    let path = open::resolve(file)?;
    refuse_stored(&path)?;
    let live = open::target_read(&path)?;
    // Before anything is created: a new history has no record of an interrupted change.
    if let Some(mark) = ChangeMarker::get(&live, &path, options.store.as_deref()).filter(|mark| !mark.is_busy()) {
        return Err(mark.refusal(&path));
    }
    let store = Store::find_or_create(options.store.as_deref(), &path)?;
    let suspects = match store.history_to_write(&path)? {
        Some(history) if !history.is_new()? => Vec::new(),
        _ if options.new_history => Vec::new(),
        _ => renamed::check(&store, &path, &live)?,
    };
    let history = store.make_history(&path)?;
    let mut writing = history.write_lock(options.reading.wait)?;
    history.admit(&live)?;
    refuse_unfinished(&history, &live)?;
    let how = CaptureOptions {
        reading: &options.reading,
        compress: options.compress,
        reserve: options.reserve,
        exclusive: false,
        patience: options.reading.wait,
        freeze: options.freeze,
        around: options.around.as_deref(),
        clones: options.clones,
        changed: options.changed.as_deref(),
    };
    let target = Target { file: &live, path: &path };
    let is_first = history.is_new()?;
    if is_first {
        preflight(&history, target, options)?;
    }
    let mut taken = take(&history, &writing, target, &how, progress)?;
    // Once more: a change from another store may have been interrupted while we waited for the lock.
    refuse_unfinished(&history, &live)?;
    let mut report = Report {
        metadata: taken.parent.as_ref().map_or_else(Vec::new, |parent| taken.metadata_since(parent)),
        frozen: taken.frozen.clone(),
        repaired: taken.repaired,
        damage: taken.damage.clone(),
        bytes_read: taken.read.bytes,
        read_reason: taken.read.why.clone(),
        format: Format::look(&live, taken.len),
        warnings: Companion::hot_beside(&path).map(companion_warning).into_iter().collect(),
        ..Report::new(&path, taken.len, taken.changed, (taken.grade, &taken.reason))
    };
    if is_first {
        report.warnings.extend(lock_warning(store.dir()));
        report.warnings.extend(suspects.iter().map(|suspect| suspect.warning(&path, &history)));
    }
    let clone = ToKeep::of(&mut taken);
    keep(taken, &history, &mut writing, options, &mut report)?;
    match report.id {
        Some(id) if options.clones == Clones::Keep => report.warnings.extend(clone.keep(&history, &writing, &id)),
        // One of an earlier snapshot is of no use, and would hold on to what is overwritten.
        _ if report.new => KeptClone::remove(&history, &writing),
        _ => {}
    }
    if let Some(id) = report.id {
        report.warnings.extend(tag_all(&history, &writing, &options.tags, &id)?);
    }
    report.elapsed = began.elapsed();
    Ok(report)
}

/// A warning that other machines may not see the store's locks, once for each target.
fn lock_warning(dir: &Path) -> Option<Note> {
    let kind = File::open(dir).and_then(|dir| fs::kind(&dir)).ok().filter(FsKind::may_hide_locks)?;
    Some(Note::warning(format!(
        "the store is on {}, where other machines may not see its locks: let only one machine write to it at a time",
        kind.name()
    )))
}

/// Tags a snapshot. Returns warnings for tags that were moved from other snapshots.
pub(crate) fn tag_all(history: &History, writing: &WriteLock, tags: &[String], id: &Digest) -> Result<Vec<Note>> {
    let mut warnings = Vec::new();
    for tag in tags {
        warnings.extend(moved(history, tag, id)?);
        history.tag(writing, tag, id)?;
    }
    Ok(warnings)
}

pub(crate) fn check(options: &Options) -> Result<()> {
    options.tags.iter().try_for_each(|tag| check_tag(tag))?;
    if options.clones == Clones::Keep && options.changed.is_some() {
        let what = "a clone is kept of what was read, and only what is said to have changed is to be read";
        return Err(Error::refused(what, Cause::KeepOrClaim));
    }
    if options.message.len() > MOST_MESSAGE {
        return Err(Error::refused("the message is longer than 64 KiB", "shorten it"));
    }
    Ok(())
}

/// The warning for a tag that is moved from another snapshot.
fn moved(history: &History, tag: &str, id: &Digest) -> Result<Option<Note>> {
    let before = match history.tagged(tag) {
        Ok(before) => before.filter(|before| before != id),
        // Setting a damaged tag again repairs it.
        Err(Error::Damaged { .. }) => None,
        Err(e) => return Err(e),
    };
    let Some(before) = before else { return Ok(None) };
    let number = history.snapshots()?.into_iter().find(|name| name.id == before).map(|name| name.number);
    let from = number.map_or(before.to_string(), |n| format!("@{n}"));
    Ok(Some(Note::warning(format!("tag {tag} was moved to this snapshot from {from}"))))
}

/// Decides whether the capture becomes a snapshot, and commits it.
fn keep(
    taken: CapturedImage,
    history: &History,
    writing: &mut WriteLock,
    options: &Options,
    report: &mut Report,
) -> Result<()> {
    if let Some(parent) = taken.parent.as_ref().filter(|p| taken.is(p))
        && taken.grade <= parent.meta().grade
        && !parent.meta().kind.is_automatic()
        && !options.always
        // After a revert the file may equal an earlier snapshot: @latest must still be what was captured last.
        && history.resolve(&Ref::Latest)? == parent.name
    {
        report.id = Some(parent.name.id);
        report.number = parent.name.number;
        // The same bytes keep the grade that they had; unless a hot log beside them makes them incomplete.
        if report.warnings.is_empty() {
            report.grade = parent.meta().grade;
            report.reason = parent.meta().reason.clone();
        }
        if !options.message.is_empty() {
            let what = "the message was not stored, because nothing changed";
            report.warnings.push(Note::warning(what).of(Cause::Unchanged));
        }
        taken.unchanged();
        return Ok(());
    }
    if report.grade < options.require {
        return Ok(());
    }
    let old_map = taken.parent.as_ref().map(|p| p.meta().stored.map);
    let frames = taken.frames();
    let (name, meta) = taken.commit(history, writing, SnapshotKind::Asked, &options.message)?;
    report.stored(history, name, &meta, old_map, frames)
}

/// Refuses a half-changed target.
pub(crate) fn refuse_unfinished(history: &History, live: &File) -> Result<()> {
    if history.intent()?.is_some() {
        return Err(ChangeMarker::own(history).refusal(history.target()));
    }
    match ChangeMarker::get(live, history.target(), history.dir().parent()) {
        Some(mark) => Err(mark.refusal(history.target())),
        None => Ok(()),
    }
}

fn companion_warning(log: Companion) -> Note {
    Note::warning(log.reason()).of(Cause::LogBesideSnapshot(log.hot()))
}

/// Fails at once, not after an hour, if the first snapshot of a target will not fit on the disk of the store.
fn preflight(history: &History, target: Target<'_>, options: &Options) -> Result<()> {
    let stamp = open::stamp(target.file, target.path)?;
    let data = stamp.len.min(stamp.blocks * 512);
    let free = options.reserve.available(history.dir())?;
    if data.saturating_add(data / 64) <= free {
        return Ok(());
    }
    let needed = match options.compress {
        Compress::None => data,
        level => estimate(target.file, stamp.len, data, level),
    };
    if needed <= free { Ok(()) } else { Err(options.reserve.refusal(history.dir(), Some(needed))) }
}

/// Estimates the compressed size of `data` bytes, from 64 frames across the target.
fn estimate(file: &File, len: u64, data: u64, compress: Compress) -> u64 {
    use crate::sys::ext::FileExt;
    const SAMPLES: u64 = 64;
    let (mut seen, mut coded) = (1u64, 1u64);
    let mut buf = vec![0; 16 * PAGE64 as usize];
    for i in 0..SAMPLES {
        let at = len / SAMPLES * i / PAGE64 * PAGE64;
        let whole = file.read_exact_at(&mut buf, at).is_ok();
        if whole && !crate::page::is_zero(&buf) {
            seen += buf.len() as u64;
            coded += crate::pack::encode_frame(&buf, compress).bytes.len() as u64;
        }
    }
    (data as f64 * (coded as f64 / seen as f64) * 1.05) as u64
}
