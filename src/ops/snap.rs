//! `snap`: captures a target and stores what changed.

mod keep;
mod member;
mod set;

#[doc(hidden)]
pub(crate) use set::files_in;
pub use set::{SetReport, snap_directory, snap_set};

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::change::metadata::MetadataChange;
use super::input::Target;
use super::options::options;
use super::save::capture::{CaptureOptions, CapturedImage};
pub use super::save::clone::Clones;
use super::save::keep_clone::ToKeep;
use super::save::moment;
use super::stat::Format;
use super::{Around, Note, Progress, Reading, Reserve};
use crate::error::{At, Cause, Error, Result};
use crate::pack::{Changed, Compress, FrameCounts, Grade, Meta};
use crate::page::{Digest, PAGE64};
use crate::store::{ChangeMarker, History, SnapName, WriteLock, check_tag};
use crate::sys::freeze::Frozen;
use crate::sys::fs::{self, FsKind};
use crate::sys::open;
use keep::Kept;
use member::{Members, with_logs};

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
        /// Sets whether the logs of a database are left out.
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

/// Takes a snapshot of `file`, and of the hot logs of a database with it.
///
/// # Errors
/// When it cannot be read or stored; [`Error::Changed`] when it shrinks or is replaced meanwhile; [`Error::Busy`]
/// when a lock is not free in time. Then there is no new snapshot.
pub fn snap(file: &Path, options: &Options, progress: &dyn Progress) -> Result<Report> {
    let began = Instant::now();
    check(options)?;
    let path = open::resolve(file)?;
    let Captured { mut members, mut taken } = capture(&[path], options, false, progress)?;
    let clones = clones(&mut taken, options);
    let mut reports = store_alone(&mut members, taken, options)?;
    settle(clones, &members, &mut reports);
    let mut report = reports.remove(0);
    report.companions = reports;
    if let Some(id) = report.id {
        let member = &members.list[0];
        report.warnings.extend(tag_all(&member.history, &member.writing, &options.tags, &id)?);
    }
    report.elapsed = began.elapsed();
    Ok(report)
}

/// The clones that were read, of which some may be kept.
fn clones(taken: &mut [CapturedImage], options: &Options) -> Vec<ToKeep> {
    taken.iter_mut().map(|taken| ToKeep::of(taken, options.clones)).collect()
}

/// Keeps clones, after what they are clones of was stored.
fn settle(clones: Vec<ToKeep>, members: &Members, reports: &mut [Report]) {
    for ((clone, member), report) in clones.into_iter().zip(&members.list).zip(reports) {
        report.warnings.extend(clone.settle(&member.history, &member.writing, (report.id, report.new)));
    }
}

/// Members, and the image of each.
struct Captured {
    members: Members,
    taken: Vec<CapturedImage>,
}

/// Captures `paths`, and the logs of those that are databases, at one moment. Begins again when a log comes or goes.
fn capture(paths: &[PathBuf], options: &Options, may_be_new: bool, progress: &dyn Progress) -> Result<Captured> {
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
    let mut tries = 5;
    loop {
        tries -= 1;
        let members = Members::open(with_logs(paths, options)?, options, may_be_new)?;
        let targets = members.list.iter().map(|member| moment::Member {
            history: &member.history,
            writing: &member.writing,
            target: Target { file: &member.live, path: &member.path },
        });
        let taken = moment::take_all(&targets.collect::<Vec<_>>(), &how, progress);
        let is_log = |path: &Path| members.list.iter().any(|m| m.database.is_some() && m.path == *path);
        match taken {
            Err(Error::Changed { path, .. }) if tries > 0 && is_log(&path) => {}
            Ok(taken) if tries > 0 && !taken.iter().all(CapturedImage::was_whole) && members.lacks_log(options) => {}
            taken => {
                let taken = taken?;
                members.refuse_unfinished()?;
                return Ok(Captured { members, taken });
            }
        }
    }
}

/// Makes what was taken of one file and its logs snapshots: the logs come first. Returns their reports in the order of
/// the members.
fn store_alone(members: &mut Members, mut taken: Vec<CapturedImage>, options: &Options) -> Result<Vec<Report>> {
    let logs: Vec<_> = taken[1..].iter().map(|log| (log.grade, log.reason.clone())).collect();
    keep::lower(&mut taken[0], &logs);
    let mut reports = reports(members, &taken);
    if taken[0].grade < options.require {
        return Ok(reports);
    }
    let mut kept = Vec::new();
    for (i, taken) in taken.into_iter().enumerate().rev() {
        let logs: Vec<Digest> = if i == 0 { kept.iter().rev().map(Kept::id).collect() } else { Vec::new() };
        kept.push(keep::keep(&mut members.list[i], taken, logs, options, &mut reports[i])?);
    }
    for (i, kept) in (0..members.list.len()).rev().zip(kept) {
        let member = &mut members.list[i];
        kept.commit(&member.history, &mut member.writing, &mut reports[i])?;
    }
    Ok(reports)
}

fn reports(members: &mut Members, taken: &[CapturedImage]) -> Vec<Report> {
    let report = |(i, taken)| keep::report(members, i, taken);
    taken.iter().enumerate().map(report).collect()
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
