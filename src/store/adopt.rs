//! The move of a history to another target: the new target is announced in the history, the directory is renamed, then
//! the label is replaced.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::Store;
use super::history::History;
use super::write_lock::WriteLock;
use crate::error::{At, Cause, Error, Result};
use crate::sys::{create, no_follow};

impl History {
    /// Makes this the history of `target` in `store`, and returns it under its new name. The rename is the commit: the
    /// next writer completes the rest. Refused if `target` has snapshots, or the stores are on different file systems.
    pub(crate) fn give(&self, _lock: &WriteLock, store: &Store, target: &Path) -> Result<History> {
        let history = History::at(store, store.key(target), self.owner());
        if let Some(there) = History::find(store, store.key(target))? {
            there.remove_without_snapshots(store)?;
        }
        self.announce(&history)?;
        let moved = no_follow::rename(self.dir(), history.dir());
        if moved.is_err() {
            let _ = self.forget_announced();
        }
        match moved {
            Err(e) if e.kind() == io::ErrorKind::CrossesDevices => {
                return Err(Error::refused(
                    format!("{} and {} are on different file systems", self.dir().display(), store.dir().display()),
                    Cause::OtherFileSystem(self.above().into()),
                ));
            }
            done => done.at("renaming", self.dir())?,
        }
        create::sync_dir(store.dir())?;
        create::sync_dir(self.above())?;
        history.put_label()?;
        Ok(history)
    }

    fn above(&self) -> &Path {
        self.dir().parent().unwrap_or(Path::new("."))
    }

    /// Removes a history that has no snapshot. If that is interrupted, the rest is still such a history.
    fn remove_without_snapshots(&self, store: &Store) -> Result<()> {
        let _lock = self.write_lock(Duration::from_secs(10))?;
        if !self.is_new()? {
            return Err(Error::refused(
                format!("{} has snapshots of its own in {}", self.target().display(), store.dir().display()),
                Cause::HasHistory(self.dir().into()),
            ));
        }
        no_follow::remove_dir_all(self.dir()).at("removing", self.dir())
    }
}
