//! What a sound reading leaves, so that the target need not be read again as long as it does not change.

use std::time::Duration;

use crate::capture::{Watched, remember};
use crate::error::Result;
use crate::ops::input::Target;
use crate::ops::input::known::dirs;
use crate::page::Digest;
use crate::store::{DigestCacheUpdate, Evidence, History, Image, Means};
use crate::sys::open::Stamp;
use crate::sys::{id, seen};

/// When a reading began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Began {
    /// Nanoseconds since 1970.
    wall_ns: i64,
    /// Since the start of the system; none where that is not known.
    boot: Option<Duration>,
}

impl Began {
    /// Now.
    pub(crate) fn now() -> Began {
        Began { wall_ns: id::now_ns(), boot: seen::since_start() }
    }
}

/// What made a reading sound.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sound {
    means: Means,
    /// No process had the target open for writing, so that nothing was in flight. (A store to a page may have moved
    /// ctime before the target was cloned, and reach the page after that.)
    is_alone: bool,
}

impl Sound {
    /// That of a reading that was watched so; none if nothing did.
    pub(super) fn of(watched: &Watched) -> Option<Sound> {
        let (means, is_alone) = match watched {
            Watched::Excluded => (Means::Excluded, true),
            Watched::Cloned => (Means::Excluded, false),
            Watched::Quiet(_) => (Means::Quiet, false),
            Watched::Written(_) | Watched::Unknown(_) => return None,
        };
        Some(Sound { means, is_alone })
    }
}

/// The evidence of a sound reading of `target` that began then, before and after which its state was `stamp`; of a
/// snapshot that is still to be named. Where not all of it was read, the last reading of all counts on. None where it
/// would prove nothing.
///
/// # Errors
/// When the target cannot be flushed to the disk.
pub(super) fn evidence(
    history: &History,
    target: Target<'_>,
    stamp: &Stamp,
    Sound { means, is_alone }: Sound,
    (began, is_whole): (Began, bool),
) -> Result<Option<Evidence>> {
    let since = (!is_alone).then_some(began.wall_ns);
    let seen = remember((target.file, target.path), &dirs(history, target), stamp.ctime_ns, since)?;
    Ok(seen.and_then(|seen| {
        let before = || history.evidence().filter(|before| before.seen.boot == seen.boot).map(|before| before.read);
        let read = if is_whole { began.boot } else { before() };
        Some(Evidence { snapshot: Digest::ZERO, seen, means, read: read? })
    }))
}

/// What is kept of a captured image beside its snapshot. All of it is disposable.
#[derive(Debug)]
pub(crate) struct Traces {
    /// None where nothing was read.
    pub(super) cache: Option<DigestCacheUpdate>,
    /// None where nothing would show that the target did not change.
    pub(super) evidence: Option<Evidence>,
}

impl Traces {
    /// Keeps them for the new snapshot `id`, of that image.
    pub(crate) fn finish(self, history: &History, id: &Digest, image: &Digest, len: u64) {
        match self.cache {
            Some(cache) => cache.finish(id, image, len),
            None => DigestCacheUpdate::rename(history, id, image, len),
        }
        put(history, self.evidence, id);
    }

    /// Keeps them for the snapshot that was there.
    pub(super) fn keep(self, history: &History, parent: &Image) {
        if let Some(cache) = self.cache {
            cache.keep(&parent.name.id, &parent.digest(), parent.len());
        }
        put(history, self.evidence, &parent.name.id);
    }
}

fn put(history: &History, evidence: Option<Evidence>, id: &Digest) {
    if let Some(evidence) = evidence.filter(|evidence| evidence.snapshot != *id) {
        history.put_evidence(&Evidence { snapshot: *id, ..evidence });
    }
}
