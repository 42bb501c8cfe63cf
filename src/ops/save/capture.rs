//! Captures the image of a live target: the scan, the new pack, and the draft of a snapshot. Nothing appears in the
//! store before [`CapturedImage::commit`].

use std::time::{Duration, Instant};

use crate::capture::{Base, CaptureWatch, NoBase, Patience, ScannedWindow, Watched, grade, scan, settled};
use crate::error::{At, Cause, Error, Result};
use crate::ops::change::metadata::{Metadata, MetadataChange};
use crate::ops::input::Target;
use crate::ops::save::coded_window::{CodedWindow, prepare};
use crate::ops::save::heal::{Healed, heal, suspects};
use crate::ops::save::new_pack::NewPack;
use crate::ops::{Progress, Reading, Reserve, head};
use crate::pack::{Changed, Compress, FrameCounts, Grade, Meta, PackSummary, SnapshotKind, Source, fits_time};
use crate::page::{Digest, ImageHasher, MAX_LEN, pages_of};
use crate::store::{
    ChangeMarker, DigestCache, DigestCacheUpdate, FileId, History, Image, ImageBase, SnapName, UpdateRuns, WriteLock,
    commit,
};
use crate::sys::create::Pending;
use crate::sys::open::{self, Stamp};
use crate::sys::{id, xattr};

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
    /// Damaged pages of earlier snapshots that were stored again.
    pub(crate) repaired: u64,
    /// Damage to earlier snapshots that was seen and could not be repaired.
    pub(crate) damage: Vec<String>,
    /// It was written while it was read.
    was_written: bool,
    stamp: Stamp,
    attrs: Vec<(Vec<u8>, Vec<u8>)>,
    draft: UpdateRuns,
    pack: Option<(Pending, PackSummary)>,
    cache: DigestCacheUpdate,
}

/// Takes an image of `target`, compared with what `history` last knew of it.
pub(crate) fn take(
    history: &History,
    writing: &WriteLock,
    target: Target<'_>,
    how: &CaptureOptions<'_>,
    progress: &dyn Progress,
) -> Result<CapturedImage> {
    let mut parent = head(history)?;
    let known = parent.is_some();
    let mut damage = damaged_latest(history, parent.as_ref().map(|(image, _)| image.name))?;
    let healed = match &parent {
        Some((image, _)) => heal(history, writing, &suspects(image)?, target.file)?,
        None => Healed::default(),
    };
    if healed.broken {
        // No snapshot may use a pack that is missing or has a damaged index: all pages are stored again.
        parent = None;
    }
    let mut taken = Capture { history, target, how, progress }.quiet(&parent)?;
    taken.repaired = healed.pages;
    if known && taken.parent.is_none() {
        damage.push("earlier snapshots use a pack that is missing or damaged: all pages were stored again".into());
    }
    let lost: u64 = healed.lost.iter().map(|(_, pages)| pages.len()).sum();
    if lost > 0 {
        let also = if healed.unread { ", or that cannot be read" } else { "" };
        damage.push(format!("damaged pages of earlier snapshots that the file holds no more{also}: {lost}"));
    }
    taken.damage = damage;
    history.remember_file(writing, FileId::of(&taken.stamp));
    Ok(taken)
}

/// That the latest snapshot is damaged, and so not the one to compare with: otherwise a user who only runs snap would
/// not know.
fn damaged_latest(history: &History, head: Option<SnapName>) -> Result<Vec<String>> {
    let Some(latest) = history.snapshots()?.pop().filter(|latest| Some(*latest) != head) else { return Ok(Vec::new()) };
    match history.image(latest) {
        Err(Error::Damaged { .. }) => Ok(vec![format!("snapshot @{} is damaged", latest.number)]),
        Err(newer @ Error::Version { .. }) => Err(newer),
        _ => Ok(Vec::new()),
    }
}

/// The capture of one target.
#[derive(Clone, Copy)]
struct Capture<'a> {
    history: &'a History,
    target: Target<'a>,
    how: &'a CaptureOptions<'a>,
    progress: &'a dyn Progress,
}

impl Capture<'_> {
    /// Reads the target; again while it is written meanwhile, as long as there is patience. The last full reading
    /// counts if no other begins.
    fn quiet(&self, parent: &Option<(Image, Option<DigestCache>)>) -> Result<CapturedImage> {
        let until = Instant::now() + self.how.patience;
        let mut last = None;
        loop {
            let mut watch = if self.how.exclusive { None } else { Some(self.watch(until)?) };
            if let Some(taken) = last.take().filter(|_| watch.as_ref().is_some_and(|watch| !watch.sees())) {
                return Ok(taken);
            }
            let taken = self.read(parent, &mut watch)?;
            if !taken.was_written || Instant::now() >= until {
                return Ok(taken);
            }
            last = Some(taken);
        }
    }

    fn watch(&self, until: Instant) -> Result<CaptureWatch<'_>> {
        let Target { file, path } = self.target;
        let (reading, dirs) = (self.how.reading, [path.parent().unwrap_or(path), self.history.dir()]);
        CaptureWatch::begin(file, path, &dirs, Patience { lock: reading.lock.then_some(reading.wait), until })
    }

    /// Reads it once, compared with `parent`.
    fn read(
        &self,
        parent: &Option<(Image, Option<DigestCache>)>,
        watch: &mut Option<CaptureWatch<'_>>,
    ) -> Result<CapturedImage> {
        if let Some((image, Some(cache))) = parent {
            match self.attempt(Some(image), cache, Some(cache), watch) {
                // The cache is damaged, and was removed: once more without it.
                Err(e) if DigestCache::is_cause(self.history, &e) => {}
                taken => return taken,
            }
        }
        if let Some((image, _)) = parent {
            match self.attempt(Some(image), &ImageBase::new(image), None, watch) {
                // The index of a pack is damaged, so it is not known what its snapshots hold: all pages are stored
                // again.
                Err(Error::Damaged { .. }) => {}
                taken => return taken,
            }
        }
        self.attempt(None, &NoBase, None, watch)
    }

    fn attempt(
        &self,
        parent: Option<&Image>,
        base: &dyn Base,
        cache: Option<&DigestCache>,
        watch: &mut Option<CaptureWatch<'_>>,
    ) -> Result<CapturedImage> {
        let Capture { history, target, how, progress } = *self;
        // Only now: the previous holder of the lock may have changed the file.
        let before = open::stamp(target.file, target.path)?;
        if before.len > MAX_LEN {
            let what = format!(
                "{} is {} bytes long, and no image may be longer than {MAX_LEN}",
                target.path.display(),
                before.len
            );
            return Err(Error::refused(what, "cut it: the end of a file of that length can only be a hole"));
        }
        if !fits_time(before.mtime_ns) || !fits_time(before.atime_ns) {
            let what = format!("the times of {} are beyond what a snapshot can hold", target.path.display());
            return Err(Error::refused(what, Cause::OddTimes(target.path.into())));
        }
        let mut attrs = xattr::list(target.file).at("reading the attributes of", target.path)?;
        attrs.retain(|(name, _)| !ChangeMarker::is_name(name));
        let mut taking = WindowCollector {
            history,
            len: before.len,
            parent_pages: parent.map(Image::pages),
            hasher: ImageHasher::new(before.len),
            draft: UpdateRuns::new(history),
            cache: DigestCacheUpdate::new(history, cache),
            pack: NewPack::new(history, how.reserve),
            changed: Changed::default(),
        };
        progress.begin("reading", before.len);
        let prepare = |found: ScannedWindow| Ok(prepare(found, how.compress, before.len));
        let advance = |bytes: u64| progress.advance(bytes);
        let read = (target.file, target.path, before.len);
        let scanned = scan(read, base, how.reading.how(true), &advance, &prepare, |part| taking.take(part));
        progress.end();
        scanned?;
        let watched = watch.take().map_or(Watched::Excluded, |watch| watch.end(target.file));
        let moved = !settled(target.file, target.path, &before)?.same_state(&before);
        let was_written = moved || matches!(watched, Watched::Written(_));
        let (grade, reason) = grade(target.file, target.path, how.reading.lock, watched, moved);
        Ok(CapturedImage {
            parent: parent.cloned(),
            image: taking.hasher.finish(),
            len: before.len,
            changed: taking.changed,
            grade,
            reason,
            repaired: 0,
            damage: Vec::new(),
            was_written,
            stamp: before,
            attrs,
            draft: taking.draft,
            pack: taking.pack.finish()?,
            cache: taking.cache,
        })
    }
}

/// Collects the windows of an image, in page order.
struct WindowCollector<'a> {
    history: &'a History,
    len: u64,
    /// Pages of the parent.
    parent_pages: Option<u64>,
    hasher: ImageHasher,
    draft: UpdateRuns,
    cache: DigestCacheUpdate,
    pack: NewPack<'a>,
    changed: Changed,
}

impl WindowCollector<'_> {
    fn take(&mut self, part: CodedWindow) -> Result<()> {
        part.groups.iter().for_each(|(group, digest)| self.hasher.push(*group, digest));
        self.cache.put(&part.leaves);
        self.changed.pages += part.changed.pages;
        self.changed.bytes += part.changed.bytes;
        let runs = part.runs(self.parent_pages.unwrap_or(0), pages_of(self.len));
        for run in runs {
            let run = run.map_err(|e| e.of(self.history.dir()))?;
            // Without a parent, pages without a run are holes.
            if self.parent_pages.is_some() || run.source != Source::Hole {
                self.draft.push(run, self.history)?;
            }
        }
        for (pages, frame) in &part.frames {
            self.pack.push(pages, frame)?;
        }
        Ok(())
    }
}

impl CapturedImage {
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
    pub(crate) fn unchanged(self) {
        if let Some(parent) = &self.parent {
            self.cache.keep(&parent.name.id, &self.image, self.len);
        }
    }

    /// Makes it a snapshot.
    pub(crate) fn commit(
        self,
        history: &History,
        writing: &mut WriteLock,
        kind: SnapshotKind,
        message: &str,
    ) -> Result<(SnapName, Meta)> {
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
            ..blank_meta(history, kind)
        };
        let done = commit(history, writing, self.parent.as_ref(), meta, self.draft, self.pack)?;
        self.cache.finish(&done.0.id, &done.1.image, done.1.len);
        Ok(done)
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
        members: Vec::new(),
    }
}
