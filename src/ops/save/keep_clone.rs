//! Keeping the clone that was read, so that the next snapshot need not read what both share.

use super::capture::CapturedImage;
use super::clone::{Cloned, Clones};
use super::state::Read;
use crate::ops::Note;
use crate::page::Digest;
use crate::store::{History, KeptClone, WriteLock};
use crate::sys::id;

/// What may be kept of a capture.
pub(crate) struct ToKeep {
    wanted: bool,
    cloned: Result<Cloned, String>,
    read: Read,
    image: Digest,
    len: u64,
}

impl ToKeep {
    /// Takes the clone from `taken`.
    pub(crate) fn of(taken: &mut CapturedImage, clones: Clones) -> ToKeep {
        let missing = taken.not_cloned.take().unwrap_or_else(|| "there is none".into());
        let cloned = match taken.cloned.take() {
            Some(Cloned { not_kept: Some(why), .. }) => Err(why),
            Some(cloned) => Ok(cloned),
            None => Err(missing),
        };
        ToKeep { wanted: clones == Clones::Keep, cloned, read: taken.read.clone(), image: taken.image, len: taken.len }
    }

    /// Keeps it, if that is wanted, as the clone of the snapshot that `id` names, which may be `new`. Returns a warning
    /// if it cannot be.
    pub(crate) fn settle(self, history: &History, lock: &WriteLock, (id, new): (Option<Digest>, bool)) -> Option<Note> {
        match id {
            Some(id) if self.wanted => self.keep(history, lock, &id),
            // One of an earlier snapshot is of no use, and would hold on to what is overwritten.
            Some(_) if new => {
                KeptClone::remove(history, lock);
                None
            }
            _ => None,
        }
    }

    /// Keeps it as the clone of snapshot `id`. Returns a warning if there is none.
    fn keep(self, history: &History, lock: &WriteLock, id: &Digest) -> Option<Note> {
        let before = KeptClone::open(history);
        let same = before.as_ref().is_some_and(|kept| kept.is_of(id, &self.image, self.len));
        if same && self.read.bytes == Some(0) {
            return None;
        }
        let read_ns = match (self.read.bytes, &before) {
            (Some(_), Some(before)) => before.read_ns(),
            _ => id::now_ns(),
        };
        let kept = self.cloned.and_then(|cloned| {
            let of = (id, &self.image, self.len);
            KeptClone::keep(history, lock, cloned.file, of, read_ns).map_err(|e| e.to_string())
        });
        if kept.is_err() {
            KeptClone::remove(history, lock);
        }
        kept.err().map(|why| Note::warning(format!("no clone is kept, so the next snapshot reads all of it: {why}")))
    }
}
