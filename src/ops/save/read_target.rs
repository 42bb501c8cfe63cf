//! Reading a target once: the scan against its parent, and a new pack with the pages that differ.

use std::fs::File;

use super::coded_window::{CodedWindow, prepare};
use super::new_pack::NewPack;
use crate::capture::{Base, NoBase, ScannedWindow, scan};
use crate::error::{At, Cause, Error, Result};
use crate::ops::Progress;
use crate::ops::input::Target;
use crate::ops::save::capture::CaptureOptions;
use crate::pack::{Changed, PackSummary, Source, fits_time};
use crate::page::{Digest, ImageHasher, MAX_LEN, pages_of};
use crate::store::{ChangeMarker, DigestCache, DigestCacheUpdate, History, Image, ImageBase, UpdateRuns};
use crate::sys::create::Pending;
use crate::sys::freeze::Frozen;
use crate::sys::open::{self, Stamp};
use crate::sys::xattr;

/// What a target is compared with: the last image that is known of it, and its digest cache.
pub(super) type Parent = Option<(Image, Option<DigestCache>)>;

/// One full reading of a target.
pub(super) struct FullReading {
    /// What it was compared with.
    pub(super) parent: Option<Image>,
    pub(super) image: Digest,
    pub(super) changed: Changed,
    /// Of the target, before it was read.
    pub(super) stamp: Stamp,
    pub(super) attrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) draft: UpdateRuns,
    pub(super) pack: Option<(Pending, PackSummary)>,
    pub(super) cache: DigestCacheUpdate,
    /// Who was stopped meanwhile.
    pub(super) frozen: Option<Frozen>,
}

/// The target to read, and how.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) history: &'a History,
    pub(super) target: Target<'a>,
    /// Where its bytes are read.
    pub(super) source: &'a File,
    pub(super) how: &'a CaptureOptions<'a>,
    pub(super) progress: &'a dyn Progress,
}

impl Reader<'_> {
    /// Reads it, compared with `parent`.
    pub(super) fn read(&self, parent: &Parent) -> Result<FullReading> {
        if let Some((image, Some(cache))) = parent {
            match self.attempt(Some(image), cache, Some(cache)) {
                // The cache is damaged, and was removed: once more without it.
                Err(e) if DigestCache::is_cause(self.history, &e) => {}
                taken => return taken,
            }
        }
        if let Some((image, _)) = parent {
            match self.attempt(Some(image), &ImageBase::new(image), None) {
                // The index of a pack is damaged, so it is not known what its snapshots hold: all pages are stored
                // again.
                Err(Error::Damaged { .. }) => {}
                taken => return taken,
            }
        }
        self.attempt(None, &NoBase, None)
    }

    fn attempt(&self, parent: Option<&Image>, base: &dyn Base, cache: Option<&DigestCache>) -> Result<FullReading> {
        let Reader { history, target, source, how, progress } = *self;
        // Only now: the previous holder of the lock may have changed the file.
        let stamp = stamp_of(target)?;
        let mut attrs = xattr::list(target.file).at("reading the attributes of", target.path)?;
        attrs.retain(|(name, _)| !ChangeMarker::is_name(name));
        let mut taking = WindowCollector {
            history,
            len: stamp.len,
            parent_pages: parent.map(Image::pages),
            hasher: ImageHasher::new(stamp.len),
            draft: UpdateRuns::new(history),
            cache: DigestCacheUpdate::new(history, cache),
            pack: NewPack::new(history, how.reserve),
            changed: Changed::default(),
        };
        progress.begin("reading", stamp.len);
        let prepare = |found: ScannedWindow| Ok(prepare(found, how.compress, stamp.len));
        let advance = |bytes: u64| progress.advance(bytes);
        let read = (source, target.path, stamp.len);
        let scanned = scan(read, None, base, how.reading.how(true), &advance, &prepare, |part| taking.take(part));
        progress.end();
        scanned?;
        Ok(FullReading {
            parent: parent.cloned(),
            image: taking.hasher.finish(),
            changed: taking.changed,
            stamp,
            attrs,
            draft: taking.draft,
            pack: taking.pack.finish()?,
            cache: taking.cache,
            frozen: None,
        })
    }
}

/// The stamp of a target, where a snapshot can hold it.
fn stamp_of(target: Target<'_>) -> Result<Stamp> {
    let stamp = open::stamp(target.file, target.path)?;
    if stamp.len > MAX_LEN {
        let what =
            format!("{} is {} bytes long, and no image may be longer than {MAX_LEN}", target.path.display(), stamp.len);
        return Err(Error::refused(what, "cut it: the end of a file of that length can only be a hole"));
    }
    if !fits_time(stamp.mtime_ns) || !fits_time(stamp.atime_ns) {
        let what = format!("the times of {} are beyond what a snapshot can hold", target.path.display());
        return Err(Error::refused(what, Cause::OddTimes(target.path.into())));
    }
    Ok(stamp)
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
