//! From disk to memory and back: a stored image or a file as a snapshot in memory, and what a view of it changed as a
//! stored snapshot, in place, or as a delta.
//!
//! An [`Origin`] remembers the digests of its groups, 40 bytes for 64 KiB that are not zeros. So what a view makes of
//! it has its image digest for the price of the pages that differ, and nothing has to be read again.

mod apply;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::Progress;
use super::change::hold::Work;
use super::change::in_place::{Goal, InPlace, expect};
use super::change::{self, Request, Summary};
use super::compare::digest_of;
use super::delta::changed_pages::{ChangedPage, Refold, dirty_in, numbers, regroup, whole, write_delta};
use super::delta::{self, Stat};
use super::input::image::{LiveFile, OpenImage, StoredImage};
use super::input::operand::Operand;
use super::output::{Named, into, scratch_beside};
use super::read::hash_groups;
use super::restore::{Out, fill};
use super::save::capture::{CapturedImage, blank_meta};
use super::save::compose::{Composer, NewPage, SnapshotBuilder};
use super::snap::{self, check, tag_all};
use crate::error::{At, Cause, Error, Result};
use crate::mem::{Root, Snapshot, View};
use crate::pack::{Changed, DeltaHead, FrameCounts, ImageId, Meta, SnapshotKind};
use crate::page::{Digest, GROUP, PAGE64, PageRange, PageSet};
use crate::store::{Image, Intent, WriteLock};
use crate::sys::open;

pub use self::apply::apply;

/// A snapshot in memory, with its digest and its origin: what views begin with.
///
/// ```
/// use memsnap::{Ref, ops::{Operand, Quiet, memory, snap}};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("state.bin");
/// # std::fs::write(&path, vec![7; 1 << 20])?;
/// snap::snap(&path, &snap::Options::default(), &Quiet)?;
///
/// // The latest snapshot, in memory; a view of it, changed.
/// let latest = Operand::new(path.clone(), Ref::Latest);
/// let origin = memory::open(&latest, None, &Quiet)?;
/// let mut view = origin.snapshot().view()?;
/// view[5000] = 1;
///
/// // The changed page as a snapshot of its own, beside which the file stays as it is.
/// let kept = memory::keep(&origin, &view, &snap::Options::default(), &Quiet)?;
/// assert_eq!((kept.number, kept.pages_changed), (2, 1));
/// assert_eq!(std::fs::read(&path)?[5000], 7);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Origin {
    snapshot: Arc<Snapshot>,
    image: ImageId,
    /// The digests of all groups that are not zeros, ascending.
    groups: Vec<(u64, Digest)>,
    stored: Option<Arc<StoredImage>>,
    name: String,
}

/// Brings what `what` names into memory: a stored image, every page proven by its digest, or, without a reference, a
/// file as it is now. Holes cost nothing.
///
/// # Errors
/// [`Error::Damaged`] when the stored image cannot be read completely; [`Error::Changed`] when a program writes to the
/// file meanwhile; when there is no memory for it.
pub fn open(what: &Operand, store: Option<&Path>, progress: &dyn Progress) -> Result<Origin> {
    match OpenImage::open(what, store)? {
        OpenImage::Stored(side) => Origin::of_stored(*side, progress),
        OpenImage::Live(side) => Origin::of_live(&side, progress),
    }
}

impl Origin {
    /// Any snapshot in memory; `name` is the name that a delta has for it. Hashes all of it.
    pub fn of(snapshot: Arc<Snapshot>, name: &str, progress: &dyn Progress) -> Origin {
        let groups = groups_in(&snapshot, progress);
        let len = snapshot.len() as u64;
        let image = ImageId { len, digest: fold(len, &groups, &[]) };
        Origin { snapshot, image, groups, stored: None, name: name.into() }
    }

    fn of_stored(side: StoredImage, progress: &dyn Progress) -> Result<Origin> {
        let image = &side.image;
        let len = length(image.len(), image.path())?;
        let filled = Snapshot::filled(len, |file| fill(image, file, Path::new("memory"), progress));
        let (snapshot, groups) = filled.at("making a snapshot in memory of", image.path())?;
        let (groups, image) = (groups?, ImageId { len: image.len(), digest: image.digest() });
        let name = side.history.label();
        Ok(Origin { snapshot: Arc::new(snapshot), image, groups, stored: Some(Arc::new(side)), name })
    }

    fn of_live(side: &LiveFile, progress: &dyn Progress) -> Result<Origin> {
        let before = open::stamp(&side.file, &side.path)?;
        let snapshot = Snapshot::from_file(&side.file).at("taking a snapshot of", &side.path)?;
        if !open::stamp(&side.file, &side.path)?.same_state(&before) {
            return Err(Error::Changed { path: side.path.clone(), what: "another process wrote to it".into() });
        }
        let name = side.path.file_name().unwrap_or_default().to_string_lossy();
        Ok(Origin::of(Arc::new(snapshot), &name, progress))
    }

    /// The bytes.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The image digest.
    pub fn digest(&self) -> Digest {
        self.image.digest
    }

    /// Number and id of the stored snapshot that it is, if it is one.
    #[doc(hidden)]
    pub fn stored(&self) -> Option<(u64, Digest)> {
        self.stored.as_ref().map(|side| (side.image.name.number, side.image.name.id))
    }

    /// The image digest with other digests for some groups, ascending.
    pub(super) fn digest_with(&self, groups: &[(u64, Digest)]) -> Digest {
        fold(self.image.len, &self.groups, groups)
    }

    /// The pages that `view` changed, and the digest of what it holds.
    fn changes<'v, S: Root>(&self, view: &'v View<S>) -> Result<(Vec<ChangedPage<'v>>, Digest)> {
        self.check(view)?;
        let pages = dirty_in(view);
        let groups = regroup(&pages, |group| Ok(group_in(&self.snapshot, group)))?;
        let digest = self.digest_with(&groups);
        Ok((pages, digest))
    }

    /// `view` must have begun with these bytes.
    pub(super) fn check<S: Root>(&self, view: &View<S>) -> Result<()> {
        if view.is_of(&self.snapshot) {
            return Ok(());
        }
        Err(Error::refused(
            format!("the view is not one of {}", self.name),
            "make it of the snapshot that was opened, or a clone",
        ))
    }
}

/// Makes what `view` holds a snapshot of the file whose stored image `origin` is, and a child of that image. The file
/// itself is neither read nor written. Of the options, `store` and `reading` say nothing here but for how long to wait
/// for another writer.
///
/// The snapshot has the grade of the image that the view began with, as it is consistent exactly if that is.
///
/// # Errors
/// [`Error::Refused`] when `origin` is no stored image, or `view` none of it; when nothing can be stored.
pub fn keep<S: Root>(
    origin: &Origin,
    view: &View<S>,
    options: &snap::Options,
    progress: &dyn Progress,
) -> Result<snap::Report> {
    let began = Instant::now();
    check(options)?;
    let (pages, digest) = origin.changes(view)?;
    let Some(side) = &origin.stored else {
        return Err(Error::refused(format!("{} was not opened from a store", origin.name), Cause::NotFromStore));
    };
    let (history, from) = (&side.history, side.image.meta());
    let reason = format!("made in memory from @{}", side.image.name.number);
    let changed = Changed { pages: pages.len() as u64, bytes: 0 };
    let mut report = snap::Report::new(history.target(), origin.image.len, changed, (from.grade, &reason));
    history.admit_path()?;
    let mut writing = history.write_lock(options.reading.wait)?;
    if pages.is_empty() && !options.always {
        (report.number, report.id) = (side.image.name.number, Some(side.image.name.id));
        report.reason.clone_from(&from.reason);
    } else if report.grade >= options.require {
        let (image, frames) = store(side, &mut writing, &pages, digest, options, &report.reason, progress)?;
        report.bytes_changed = image.meta().changed.bytes;
        report.stored(history, image.name, image.meta(), Some(from.stored.map), frames)?;
    }
    if let Some(id) = report.id {
        report.warnings.extend(tag_all(history, &writing, &options.tags, &id)?);
    }
    report.elapsed = began.elapsed();
    Ok(report)
}

/// Makes the image of `side` with `pages` in it a snapshot; `digest` is its image digest.
fn store(
    side: &StoredImage,
    writing: &mut WriteLock,
    pages: &[ChangedPage<'_>],
    digest: Digest,
    options: &snap::Options,
    reason: &str,
    progress: &dyn Progress,
) -> Result<(Image, FrameCounts)> {
    let (history, from) = (&side.history, &side.image);
    let mut differing = SnapshotBuilder::new(history, from, options.compress, options.reserve, from.len());
    progress.begin("storing", pages.len() as u64 * PAGE64);
    let put = pages.iter().try_for_each(|dirty| {
        progress.advance(PAGE64);
        differing.put(dirty.page, NewPage::Bytes(&whole(dirty.now)))
    });
    progress.end();
    put?;
    let blank = blank_meta(history, SnapshotKind::Asked);
    let meta = Meta {
        image: digest,
        reason: reason.into(),
        message: options.message.clone(),
        companions: Vec::new(),
        time_ns: blank.time_ns,
        kind: blank.kind,
        path: blank.path,
        host: blank.host,
        version: blank.version,
        ..from.meta().clone()
    };
    differing.commit(writing, meta)
}

/// Brings `file`, which must hold what `origin` does, to what `view` holds: in place, with an undo.
///
/// # Errors
/// [`Error::Refused`] when `view` is none of `origin`; from the plan and the commit, [`Error::Base`] when the file
/// holds anything else.
pub fn write<'a, S: Root>(
    file: &Path,
    origin: &Origin,
    view: &'a View<S>,
    options: &change::Options,
) -> Result<Request<'a>> {
    let target = open::resolve(file)?;
    let (pages, digest) = origin.changes(view)?;
    let goal = Write { target: target.clone(), pages, base: origin.image, digest };
    Ok(Request::new(InPlace::new(goal, target, options)?))
}

/// What a view changed, to be written to a file.
struct Write<'v> {
    target: PathBuf,
    pages: Vec<ChangedPage<'v>>,
    base: ImageId,
    /// The image digest of what the view holds.
    digest: Digest,
}

impl Goal for Write<'_> {
    fn verb(&self) -> &'static str {
        "write"
    }

    fn look(&mut self, options: &change::Options, progress: &dyn Progress) -> Result<Summary> {
        let live = LiveFile::open(&self.target)?;
        expect(&self.target, self.base.digest, digest_of(live.whole(), &options.reading, progress)?)?;
        let len = self.base.len;
        Ok(Summary::new(&self.target, ("now", len), ("the view", len), &numbers(&self.pages)))
    }

    fn already(&self, _: &Work<'_>, taken: &CapturedImage) -> Result<Option<String>> {
        expect(&self.target, self.base.digest, taken.image)?;
        Ok((taken.image == self.digest).then(|| "the view".into()))
    }

    fn make(&mut self, work: &mut Work<'_>, from: &Image) -> Result<Image> {
        let mut composer = Composer::new(work, from, self.base.len);
        self.pages.iter().try_for_each(|dirty| composer.put(dirty.page, NewPage::Bytes(&whole(dirty.now))))?;
        composer.finish("write", Some(self.digest))
    }

    fn fits(&self, intent: &Intent) -> bool {
        intent.to_image == self.base.digest
    }

    fn len(&self) -> Option<u64> {
        Some(self.base.len)
    }
}

/// Writes the delta from what `origin` holds to what `view` holds; [`super::apply()`] takes it. Of the options, `store`
/// and `reading` say nothing here.
///
/// # Errors
/// [`Error::Refused`] when `view` is none of `origin`, or the output is there and not to be replaced; when it cannot be
/// written.
pub fn delta<S: Root>(
    origin: &Origin,
    view: &View<S>,
    out: Out<'_>,
    options: &delta::Options,
    progress: &dyn Progress,
) -> Result<Stat> {
    let (pages, digest) = origin.changes(view)?;
    let head = DeltaHead {
        base: origin.image,
        result: ImageId { digest, ..origin.image },
        reversible: options.reversible,
        name: origin.name.clone().into_bytes(),
    };
    let scratch = scratch_beside(&out);
    // The owner of these bytes is no longer known: no other user may read them.
    let how = Named { force: options.force, apart: &[], logs: &[], mode: 0o600 };
    into(out, &how, |out, path| write_delta(&pages, &head, options.level, (out, path, &scratch), progress))
}

/// The digest of an image of `len` bytes with these groups, some of which have other digests now.
fn fold(len: u64, groups: &[(u64, Digest)], new: &[(u64, Digest)]) -> Digest {
    let mut fold = Refold::new(len, new);
    groups.iter().for_each(|(group, digest)| fold.push(*group, digest));
    fold.finish()
}

/// A length in memory.
fn length(len: u64, path: &Path) -> Result<usize> {
    let too_long = || Error::refused(format!("{} is longer than memory can be", path.display()), "write it to a file");
    usize::try_from(len).map_err(|_| too_long())
}

/// The bytes of a group, filled up with zeros.
pub(super) fn group_in(bytes: &[u8], group: u64) -> Box<[u8; GROUP]> {
    let at = group as usize * GROUP;
    let mut out = Box::new([0; GROUP]);
    let there = &bytes[at..bytes.len().min(at + GROUP)];
    out[..there.len()].copy_from_slice(there);
    out
}

/// The digests of all groups that are not zeros.
fn groups_in(snapshot: &Snapshot, progress: &dyn Progress) -> Vec<(u64, Digest)> {
    const AT_ONCE: usize = 256;
    let span = |r: std::ops::Range<usize>| PageRange::new((r.start / GROUP) as u64, r.end.div_ceil(GROUP) as u64);
    // A set of groups, not of pages.
    let held: PageSet = snapshot.stretches().into_iter().map(span).collect();
    let mut found = Vec::new();
    progress.begin("hashing", held.len() * GROUP as u64);
    for run in held.runs() {
        for first in (run.start..run.end).step_by(AT_ONCE) {
            let count = (run.end - first).min(AT_ONCE as u64) as usize;
            let there = &snapshot[first as usize * GROUP..snapshot.len().min((first as usize + count) * GROUP)];
            let (rest, mut digests) = (there.len() % GROUP, vec![Digest::ZERO; count]);
            hash_groups(&there[..there.len() - rest], &vec![true; count], &mut digests);
            if rest > 0 {
                let last = group_in(snapshot, first + count as u64 - 1);
                hash_groups(&*last, &[true], &mut digests[count - 1..]);
            }
            found.extend((first..).zip(digests).filter(|(_, digest)| !digest.is_zero()));
            progress.advance((count * GROUP) as u64);
        }
    }
    progress.end();
    found
}

#[cfg(test)]
#[path = "memory_test.rs"]
mod tests;
