//! The digest cache: the group and page digests of the image that the target was last known to hold. It is disposable.
//!
//! It is used only if its groups fold to the image digest of the snapshot that it names, and a group's page digests
//! only if they match the check beside them. It is the one file that is changed in place: first the head is zeroed,
//! then groups are written, then the head. So a crash in between leaves a cache without a valid head.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use super::history::History;
use crate::capture::{Base, KnownDigests, Leaf};
use crate::error::{At, Error, Result};
use crate::pack::{FileKind, ReadAt};
use crate::page::{Digest, GROUP_PAGES, GROUP64, ImageHasher, PAGE, PageNo, PageRange, Refold, groups_of};
use crate::sys::{create, meta, no_follow, sparse};

pub(super) const NAME: &str = "digests";
/// Bytes of the head and its check, at the start of the first page.
pub(super) const HEAD: usize = 16 + 32 + 32 + 8 + 32;
/// Groups in a stretch, 64 MiB of the target. The file stores the group digests of a stretch side by side.
pub(super) const STRETCH: u64 = 1024;
/// Bytes of the group digests of a stretch.
pub(super) const DIGESTS: usize = STRETCH as usize * 32;
/// Bytes of a leaf: 16 page digests and their check.
const LEAF: usize = 16 * 32 + 32;
/// Bytes of a stretch: the group digests, then the leaves.
pub(super) const STRETCH_BYTES: u64 = DIGESTS as u64 + STRETCH * LEAF as u64;

pub(super) fn stretch_at(group: u64) -> u64 {
    PAGE as u64 + group / STRETCH * STRETCH_BYTES
}

pub(super) fn leaf_at(group: u64) -> u64 {
    stretch_at(group) + DIGESTS as u64 + group % STRETCH * LEAF as u64
}

/// Length of the cache of an image of `len` bytes.
pub(super) fn end_of(len: u64) -> u64 {
    groups_of(len).checked_sub(1).map_or(PAGE as u64, |last| leaf_at(last) + LEAF as u64)
}

/// The head: which snapshot the cache describes.
pub(super) fn encode_head(id: &Digest, image: &Digest, len: u64) -> [u8; HEAD] {
    let mut out = [0; HEAD];
    out[..16].copy_from_slice(&FileKind::DigestCache.head(0));
    out[16..48].copy_from_slice(&id.0);
    out[48..80].copy_from_slice(&image.0);
    out[80..88].copy_from_slice(&len.to_le_bytes());
    let check = Digest::of(&out[..88]);
    out[88..].copy_from_slice(&check.0);
    out
}

pub(super) fn encode_leaf(leaf: &Leaf) -> [u8; LEAF] {
    let mut out = [0; LEAF];
    if leaf.digest.is_zero() {
        return out;
    }
    for (place, digest) in out.chunks_exact_mut(32).zip(&leaf.pages) {
        place.copy_from_slice(&digest.0);
    }
    let check = leaf_check(leaf.group, &leaf.digest, &out[..LEAF - 32]);
    out[LEAF - 32..].copy_from_slice(&check.0);
    out
}

fn leaf_check(group: u64, digest: &Digest, pages: &[u8]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&group.to_le_bytes()).update(&digest.0).update(pages);
    Digest(hasher.finalize().into())
}

/// A digest cache that was checked. While it is open, a shared flock keeps others from changing it.
#[derive(Debug)]
pub struct DigestCache {
    pub(super) file: File,
    pub(super) path: PathBuf,
    /// The id of the snapshot that it describes.
    pub snapshot: Digest,
    /// The image digest of that snapshot.
    pub image: Digest,
    /// The length of that image.
    pub len: u64,
}

impl DigestCache {
    /// Opens and checks the cache of `history`. `None` if there is none, or it cannot be used.
    pub fn open(history: &History) -> Option<DigestCache> {
        let path = history.dir().join(NAME);
        let file = create::open_own(&path).ok()?;
        // A file with other hard links must not be changed in place; it is replaced.
        if meta::links(&file).ok()? > 1 {
            return None;
        }
        file.try_lock_shared().ok()?;
        let mut head = [0; HEAD];
        ReadAt::read_at(&file, &mut head, 0).ok()?;
        let snapshot = Digest::from_slice(&head[16..48]);
        let image = Digest::from_slice(&head[48..80]);
        let len = u64::from_le_bytes(head[80..88].try_into().ok()?);
        let cache = DigestCache { file, path, snapshot, image, len };
        // The fold does not change when only zeros are cut off, but reading them would fail.
        let whole = cache.file.size().ok()? >= end_of(len);
        let sound =
            whole && head == encode_head(&snapshot, &image, len) && cache.fold(len, groups_of(len), &[]).ok()? == image;
        sound.then_some(cache)
    }

    /// Folds the digests of the first `known` groups, replaced by those in `changed` (ascending), into the digest of an
    /// image of `len` bytes.
    pub(super) fn fold(&self, len: u64, known: u64, changed: &[(u64, Digest)]) -> io::Result<Digest> {
        let mut fold = Refold::new(len, changed);
        let size = self.file.size()?;
        let mut page = vec![0; DIGESTS];
        let mut stretch = 0;
        while stretch * STRETCH < known {
            let at = stretch_at(stretch * STRETCH);
            // Stretches of zeros are holes of this file: skip to the next data.
            match sparse::next_data(&self.file, at, size.max(at))? {
                None => break,
                Some((data, _)) if data >= at + STRETCH_BYTES => {
                    stretch = (data - PAGE as u64) / STRETCH_BYTES;
                    continue;
                }
                Some(_) => ReadAt::read_at(&self.file, &mut page, at)?,
            }
            for (digest, group) in page.chunks_exact(32).zip(stretch * STRETCH..known) {
                fold.push(group, &Digest::from_slice(digest));
            }
            stretch += 1;
        }
        Ok(fold.finish())
    }

    /// The first group from `group` on whose digest may not be zero. Moves the file's position.
    fn group_from(&self, group: u64) -> io::Result<u64> {
        let (at, size) = (stretch_at(group), self.file.size()?);
        Ok(match sparse::next_data(&self.file, at, size.max(at))? {
            None => u64::MAX,
            Some((data, _)) if data < at + STRETCH_BYTES => group,
            Some((data, _)) => (data - PAGE as u64) / STRETCH_BYTES * STRETCH,
        })
    }

    /// The digests of `groups` groups from `first` on.
    fn groups(&self, first: u64, groups: u64) -> Result<Vec<Digest>> {
        let mut out = Vec::with_capacity(groups as usize);
        let (mut group, known) = (first, (first + groups).min(groups_of(self.len)));
        while group < known {
            let n = known.min((group / STRETCH + 1) * STRETCH) - group;
            let mut bytes = vec![0; n as usize * 32];
            let at = stretch_at(group) + group % STRETCH * 32;
            ReadAt::read_at(&self.file, &mut bytes, at).at("reading", &self.path)?;
            out.extend(bytes.chunks_exact(32).map(Digest::from_slice));
            group += n;
        }
        out.resize(groups as usize, Digest::ZERO);
        Ok(out)
    }

    /// Adds the digests of `groups` to `hasher`; those past the end of the image are zeros.
    pub fn fold_into(&self, groups: std::ops::Range<u64>, hasher: &mut ImageHasher) -> Result<()> {
        let (mut group, end) = (groups.start, groups.end.min(groups_of(self.len)));
        while group < end {
            // Not for each short gap: looking for the next data takes longer than reading digests.
            if end - group > STRETCH {
                group = self.group_from(group).at("looking for holes in", &self.path)?.min(end);
            }
            let some = (end - group).min(STRETCH);
            for (digest, group) in self.groups(group, some)?.iter().zip(group..) {
                hasher.push(group, digest);
            }
            group += some;
        }
        Ok(())
    }

    /// Folds the digests of all groups, replaced by those in `changed` (ascending), into the digest of an image of
    /// `len` bytes.
    pub fn fold_with(&self, len: u64, changed: &[(u64, Digest)]) -> Result<Digest> {
        let known = groups_of(len).min(groups_of(self.len));
        self.fold(len, known, changed).at("reading", &self.path)
    }

    /// Removes this cache, which has turned out to be damaged, and returns the error.
    fn broken(&self) -> Error {
        let _ = no_follow::remove_file(&self.path);
        Error::damaged(&self.path, "its page digests do not match their check; it is only a cache and was removed")
    }

    /// Whether the digest cache caused `error`: then the scan can be repeated without it.
    pub fn is_cause(history: &History, error: &Error) -> bool {
        matches!(error, Error::Damaged { path, .. } | Error::Io { path, .. } if *path == history.dir().join(NAME))
    }
}

impl Base for DigestCache {
    fn known(&self, window: PageRange) -> Result<KnownDigests> {
        let (first, groups) = (window.start / GROUP_PAGES, window.len() / GROUP_PAGES);
        if first * GROUP64 >= self.len {
            return Ok(KnownDigests::Nothing);
        }
        Ok(KnownDigests::Groups(self.groups(first, groups)?))
    }

    fn data_from(&self, page: PageNo) -> Result<PageNo> {
        let group = page / GROUP_PAGES;
        if group >= groups_of(self.len) {
            return Ok(PageNo::MAX);
        }
        let data = self.group_from(group).at("looking for holes in", &self.path)?;
        Ok(data.saturating_mul(GROUP_PAGES).max(page))
    }

    fn pages(&self, group: u64) -> Result<[Digest; GROUP_PAGES as usize]> {
        let mut out = [Digest::ZERO; GROUP_PAGES as usize];
        let digest = if group < groups_of(self.len) { self.groups(group, 1)?[0] } else { Digest::ZERO };
        if digest.is_zero() {
            return Ok(out);
        }
        let mut leaf = [0; LEAF];
        ReadAt::read_at(&self.file, &mut leaf, leaf_at(group)).map_err(|_| self.broken())?;
        let (pages, check) = leaf.split_at(LEAF - 32);
        if leaf_check(group, &digest, pages).0 != check {
            return Err(self.broken());
        }
        out.iter_mut().zip(pages.chunks_exact(32)).for_each(|(d, bytes)| *d = Digest::from_slice(bytes));
        Ok(out)
    }
}

#[cfg(test)]
#[path = "digest_cache_test.rs"]
mod tests;
