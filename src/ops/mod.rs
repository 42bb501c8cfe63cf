//! What memsnap does, one verb a file: plain options in, a plain report out.
//!
//! Nothing here uses a terminal, the environment or exit codes; long operations report to a [`Progress`].

// The verbs.
mod adopt;
mod apply;
pub mod delta;
pub mod diff;
mod edit;
pub mod log;
pub mod memory;
pub mod restore;
mod revert;
pub mod snap;
mod undo;
pub mod verify;

crate::internal! {
    mod set;
    mod stat;
    mod vec;
    mod view;
}

// What they share.
pub mod change;
mod compare;
#[cfg(test)]
mod fixture;
mod input;
mod note;
mod only_one;
mod options;
mod output;
mod read;
mod save;

pub use adopt::{Adopted, adopt};
pub use apply::apply;
pub use change::metadata::MetadataChange;
#[doc(hidden)]
pub use change::recover::recover_set;
pub use change::recover::{Resolution, recover};
#[doc(hidden)]
pub use edit::delta as delta_of_edits;
pub use edit::{Edit, Patch, edit};
#[doc(hidden)]
pub use input::known::HowRead;
pub use input::operand::Operand;
pub use note::Note;
#[doc(hidden)]
pub use only_one::OnlyOne;
pub use options::{Reading, Reserve};
#[doc(hidden)]
pub use revert::revert_set;
pub use revert::{revert, revert_without_undo};
pub use undo::undo;
#[doc(hidden)]
pub use undo::undo_set;

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::error::{Cause, Error, FileInStore, Result};
use crate::store::{ChangeMarker, DigestCache, History, Image, Store};
use crate::sys::open;

/// Receives the progress of long operations; what is not implemented does nothing.
pub trait Progress: Sync {
    /// Work of about `total` bytes begins.
    fn begin(&self, what: &str, total: u64) {
        let _ = (what, total);
    }
    /// So many bytes are done.
    fn advance(&self, bytes: u64) {
        let _ = bytes;
    }
    /// It is over.
    fn end(&self) {}
}

/// What is done around the moment of capture.
#[doc(hidden)]
pub trait Around: std::fmt::Debug + Send + Sync {
    /// Before the first byte is read, with all locks held; `histories` are their directories.
    ///
    /// # Errors
    /// Then nothing is captured.
    fn begin(&self, histories: &[&Path]) -> Result<()>;
    /// After the last byte was read, or an error.
    fn end(&self);
}

/// Reports no progress.
#[derive(Clone, Copy, Debug)]
pub struct Quiet;

impl Progress for Quiet {}

/// The history of `file`, which may be gone.
///
/// # Errors
/// [`Error::Missing`] when it has no snapshots yet.
pub(crate) fn find_history(store: Option<&Path>, file: &Path) -> Result<History> {
    let target = resolve(file)?;
    let place = Store::place(store, &target);
    let mark = |file: &File| ChangeMarker::get(file, &target, store);
    let none = || match open::target_read(&target).map(|file| mark(&file)) {
        // A directory or a device cannot have any.
        Err(e @ Error::Refused { .. }) => e,
        Ok(Some(mark)) => mark.refusal(&target),
        _ if target.exists() => {
            let what = format!("{} has no snapshots in {}", target.display(), place.display());
            match input::renamed::known_as(store, &target) {
                Some((old, cause)) => Error::missing(format!("{what}: {old}"), cause),
                None => Error::missing(what, Cause::NoHistory(FileInStore::new(file, store))),
            }
        }
        _ => {
            let what = format!("there is no file {}, and no snapshot of it in {}", target.display(), place.display());
            Error::missing(what, Cause::NoFile { store: place.exists().then(|| place.clone()) })
        }
    };
    match std::fs::symlink_metadata(&place) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(none()),
        _ => {}
    }
    let history = Store::find(store, &target)?.history(&target)?.ok_or_else(none)?;
    Ok(history.named(file, store))
}

/// The history that the target, a resolved path, has, if it has one.
pub(crate) fn history_of(store: Option<&Path>, target: &Path) -> Result<Option<History>> {
    match Store::find(store, target) {
        Ok(store) => store.history(target),
        Err(Error::Missing { .. }) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Whether there is no snapshot.
pub(crate) fn has_none(history: Option<&History>) -> Result<bool> {
    history.map_or(Ok(true), History::is_new)
}

/// The path of a target: links followed, where it exists.
pub(crate) fn resolve(file: &Path) -> Result<PathBuf> {
    open::resolve(file).or_else(|e| match e {
        Error::Io { ref source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            open::resolve_new(file).map_err(|_| e)
        }
        e => Err(e),
    })
}

/// The image that the target was last known to hold, and the digest cache if it describes that image: the newest
/// sound snapshot, or the target of a revert.
pub(crate) fn head(history: &History) -> Result<Option<(Image, Option<DigestCache>)>> {
    let names = history.snapshots()?;
    if let Some(cache) = DigestCache::open(history)
        && let Some(name) = names.iter().find(|n| n.id == cache.snapshot)
        && let Ok(image) = history.image(*name)
        && (image.digest(), image.len()) == (cache.image, cache.len)
    {
        return Ok(Some((image, Some(cache))));
    }
    for name in names.iter().rev() {
        match history.image(*name) {
            Ok(image) => return Ok(Some((image, None))),
            Err(Error::Damaged { .. }) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(None)
}
