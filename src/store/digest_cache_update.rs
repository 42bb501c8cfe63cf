//! Changing the digest cache: in place where there is one, else a new one.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use super::deferred_leaves::DeferredLeaves;
use super::digest_cache::{
    DIGESTS, DigestCache, HEAD, NAME, STRETCH, STRETCH_BYTES, encode_head, encode_leaf, end_of, leaf_at, stretch_at,
};
use super::history::History;
use crate::capture::Leaf;
use crate::pack::ReadAt;
use crate::page::{Digest, groups_of};
use crate::sys::ext::FileExt as _;
use crate::sys::open::{OpenMode, Stamp};
use crate::sys::{create, meta, no_follow};

/// An update of the digest cache, or a new cache, written while a target is scanned. It cannot fail the verb: after an
/// error the cache is removed, and the next scan works without it.
#[derive(Debug)]
pub struct DigestCacheUpdate {
    dir: PathBuf,
    old_len: u64,
    out: Option<Out>,
}

#[derive(Debug)]
enum Out {
    InPlace(InPlace),
    /// Changed in place at the end.
    Later(InPlace, DeferredLeaves),
    New(create::Pending),
}

/// The existing cache, to be changed in place.
#[derive(Debug)]
struct InPlace {
    file: File,
    /// The descriptor that holds the flock.
    lock: File,
    head_is_zeroed: bool,
}

impl InPlace {
    fn open(cache: &DigestCache) -> Option<InPlace> {
        let file = no_follow::open(&cache.path, OpenMode::Both).ok()?;
        let lock = cache.file.try_clone().ok()?;
        // It must be the file that was checked.
        let (found, checked) = (Stamp::from(&file.metadata().ok()?), Stamp::from(&lock.metadata().ok()?));
        if !found.same_file(&checked) || meta::links(&file).ok()? > 1 {
            return None;
        }
        Some(InPlace { file, lock, head_is_zeroed: false })
    }

    /// Zeroes the head before the first change. Fails while another process reads the cache.
    fn begin(&mut self) -> io::Result<()> {
        if !self.head_is_zeroed {
            self.lock.try_lock().map_err(io::Error::from)?;
            self.file.write_all_at(&[0; HEAD], 0)?;
            self.head_is_zeroed = true;
        }
        Ok(())
    }

    fn write(&mut self, leaves: &[Leaf]) -> io::Result<()> {
        self.begin()?;
        write_leaves(&self.file, leaves)
    }
}

impl DigestCacheUpdate {
    /// Begins to change `cache`, which describes the image with which the scan compares, or a new cache.
    pub fn new(history: &History, cache: Option<&DigestCache>) -> DigestCacheUpdate {
        let dir = history.dir().to_path_buf();
        let (old_len, out) = match cache {
            Some(cache) => (cache.len, InPlace::open(cache).map(Out::InPlace)),
            None => (0, history.pending().ok().map(Out::New)),
        };
        DigestCacheUpdate { dir, old_len, out }
    }

    /// As [`DigestCacheUpdate::new`], for a reading that may be discarded: `cache` changes only when this is finished.
    pub fn deferred(history: &History, cache: Option<&DigestCache>) -> DigestCacheUpdate {
        let update = DigestCacheUpdate::new(history, cache);
        let defer = |out| match out {
            Out::InPlace(cache) => Out::Later(cache, DeferredLeaves::new(history.dir())),
            new => new,
        };
        DigestCacheUpdate { out: update.out.map(defer), ..update }
    }

    /// Makes the cache, if it describes that image, describe snapshot `id` of the same image.
    pub fn rename(history: &History, id: &Digest, image: &Digest, len: u64) {
        let there = DigestCache::open(history).filter(|cache| (cache.image, cache.len) == (*image, len));
        if let Some(cache) = there {
            DigestCacheUpdate::new(history, Some(&cache)).finish(id, image, len);
        }
    }

    /// Writes groups, ascending.
    pub fn put(&mut self, leaves: &[Leaf]) {
        let done = match &mut self.out {
            None => return,
            Some(_) if leaves.is_empty() => return,
            Some(Out::InPlace(cache)) => cache.write(leaves),
            Some(Out::Later(_, deferred)) => deferred.push(leaves),
            Some(Out::New(pending)) => write_leaves(pending.file(), leaves),
        };
        if done.is_err() {
            self.remove();
        }
    }

    /// Completes the cache, which describes snapshot `id` from now on.
    pub fn finish(mut self, id: &Digest, image: &Digest, len: u64) {
        let groups = groups_of(len);
        let end = end_of(len);
        let close = |file: &File| {
            // Digests past the end must not reappear when the image grows again.
            if groups < groups_of(self.old_len) {
                file.set_len(end)?;
                let tail = (groups % STRETCH) as usize;
                if tail > 0 {
                    let zeros = [0; DIGESTS];
                    file.write_all_at(&zeros[tail * 32..], stretch_at(groups) + tail as u64 * 32)?;
                }
            }
            file.set_len(end)?;
            file.write_all_at(&encode_head(id, image, len), 0)
        };
        let done = match self.out.take() {
            None => return,
            Some(Out::InPlace(mut cache)) => cache.begin().and_then(|()| close(&cache.file)),
            Some(Out::Later(mut cache, deferred)) => {
                let written = deferred.for_each_batch(|leaves| cache.write(leaves));
                written.and_then(|()| cache.begin()).and_then(|()| close(&cache.file))
            }
            Some(Out::New(pending)) => {
                close(pending.file()).and_then(|()| pending.replace_unsynced(NAME.as_ref()).map_err(io::Error::other))
            }
        };
        if done.is_err() {
            self.remove();
        }
    }

    /// Folds all groups of `cache`, which this update has changed, into the digest of an image of `len` bytes. `None`
    /// after an error.
    pub fn fold(&mut self, cache: &DigestCache, len: u64) -> Option<Digest> {
        let Some(Out::InPlace(changed)) = &mut self.out else { return None };
        changed.begin().ok()?;
        // Its last stretch is read whole.
        let end = stretch_at(groups_of(len).max(1) - 1) + STRETCH_BYTES;
        let size = changed.file.size().ok()?;
        changed.file.set_len(size.max(end)).ok()?;
        cache.fold(len, groups_of(len), &[]).ok()
    }

    /// Completes a new cache of an unchanged target; an existing cache stays as it is.
    pub fn keep(self, id: &Digest, image: &Digest, len: u64) {
        if matches!(self.out, Some(Out::New(_))) {
            self.finish(id, image, len);
        }
    }

    fn remove(&mut self) {
        self.out = None;
        let _ = no_follow::remove_file(&self.dir.join(NAME));
    }
}

/// Writes group digests and leaves; those of adjacent groups in one call.
fn write_leaves(file: &File, leaves: &[Leaf]) -> io::Result<()> {
    let follow = |a: &Leaf, b: &Leaf| a.group + 1 == b.group && a.group / STRETCH == b.group / STRETCH;
    for run in leaves.chunk_by(follow) {
        let first = run[0].group;
        let digests: Vec<u8> = run.iter().flat_map(|l| l.digest.0).collect();
        file.write_all_at(&digests, stretch_at(first) + first % STRETCH * 32)?;
        let bytes: Vec<u8> = run.iter().flat_map(encode_leaf).collect();
        file.write_all_at(&bytes, leaf_at(first))?;
    }
    Ok(())
}
