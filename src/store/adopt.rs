//! Giving a history to another target: it says whose it is to be, the directory is renamed, then it says whose it is.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::Store;
use super::history::History;
use super::write_lock::WriteLock;
use crate::error::{At, Cause, Error, Result};
use crate::sys::{create, no_follow};

impl History {
    /// Makes this the history of `target` in `store`. The rename is the commit: what is left to do after it, the next
    /// writer does. Gives the history under its new name.
    ///
    /// # Errors
    /// [`Error::Refused`] when `target` has snapshots already, or the two stores are on different file systems.
    pub(crate) fn give(&self, _writing: &WriteLock, store: &Store, target: &Path) -> Result<History> {
        let history = History::at(store, store.key(target), self.owner());
        if let Some(there) = History::find(store, store.key(target))? {
            there.clear_out(store)?;
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

    /// Takes away a history that holds no snapshot; half of it is still one.
    fn clear_out(&self, store: &Store) -> Result<()> {
        let _writing = self.write_lock(Duration::from_secs(10))?;
        if !self.snapshots()?.is_empty() {
            return Err(Error::refused(
                format!("{} has snapshots of its own in {}", self.target().display(), store.dir().display()),
                Cause::HasHistory(self.dir().into()),
            ));
        }
        no_follow::remove_dir_all(self.dir()).at("removing", self.dir())
    }
}
