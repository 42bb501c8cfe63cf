//! The label of a history: the file `target` in it says whose it is, and the directory's name proves that.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;

use super::Store;
use super::file_names::{SnapName, stored_id};
use super::history::{History, check_private};
use crate::error::{Error, Result};
use crate::sys::{create, no_follow};

const LABEL: &str = "target";
/// Says whose the history will be, while it is given to another target. Of a move that never was, it is litter.
const NEXT: &str = "tmp-target";
/// Longest path, with room to spare.
const MOST_PATH: usize = 64 << 10;

/// Whose the history at `dir` is. `proven` says whether the directory's name does: after a move that was cut short, it
/// proves what was announced.
fn read(dir: &Path, proven: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>> {
    let label = create::read_small(&dir.join(LABEL), MOST_PATH)?;
    let next = || create::read_small(&dir.join(NEXT), MOST_PATH).ok();
    let key = if proven(&label) { Some(label) } else { next().filter(|key| proven(key)) };
    key.ok_or_else(|| Error::damaged(&dir.join(LABEL), "it does not name the target that its directory is for"))
}

/// Whether the history at `dir` says nothing.
fn is_missing(dir: &Path) -> bool {
    fs::symlink_metadata(dir.join(LABEL)).is_err_and(|e| e.kind() == io::ErrorKind::NotFound)
}

impl History {
    /// A history by its directory's name: the label in it says whose it is, and the name proves that.
    pub(super) fn open_named(store: &Store, name: &OsStr) -> Result<History> {
        let dir = store.dir().join(name);
        let owner = check_private(&dir)?;
        Ok(History::at(store, read(&dir, |key| History::name_of(key).as_str() == name)?, owner))
    }

    /// Whether `dir` was to be a history, and does not even say of what: without that no snapshot is made in it.
    pub(super) fn is_unfinished(dir: &Path) -> bool {
        let names = || no_follow::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.file_name());
        is_missing(dir) && !names().any(|name| SnapName::parse(&name).is_some() || stored_id(&name).is_some())
    }

    /// Whether it says whose it is.
    pub(crate) fn is_labelled(&self) -> bool {
        self.says(LABEL)
    }

    /// Whether it became its target's by a move that was cut short: the next writer ends it.
    pub(crate) fn is_moved(&self) -> bool {
        !self.is_labelled() && self.says(NEXT)
    }

    /// Writes down whose it is.
    pub(super) fn put_label(&self) -> Result<()> {
        // Where it was announced, a rename leaves nothing over. Another process may do the same.
        if self.says(NEXT) && no_follow::rename(&self.dir().join(NEXT), &self.dir().join(LABEL)).is_ok() {
            return create::sync_dir(self.dir());
        }
        self.put_small(LABEL, self.key())?;
        let _ = self.forget_announced();
        Ok(())
    }

    /// Says that it will be the history of another target.
    pub(super) fn announce(&self, next: &History) -> Result<()> {
        self.put_small(NEXT, next.key())
    }

    /// Takes that back.
    pub(super) fn forget_announced(&self) -> io::Result<()> {
        no_follow::remove_file(&self.dir().join(NEXT))
    }

    fn says(&self, name: &str) -> bool {
        create::read_small(&self.dir().join(name), MOST_PATH).is_ok_and(|key| key == self.key())
    }
}
