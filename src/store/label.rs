//! The label of a history: the file `target` names the target, and the name of the directory proves it.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use super::Store;
use super::file_names::{SnapName, stored_id};
use super::history::{History, check_private};
use crate::error::{Error, Result};
use crate::sys::{create, no_follow};

const LABEL: &str = "target";
/// Announces the new target while the history is moved to it. After a move that did not happen it is a leftover file.
const NEXT: &str = "tmp-target";
/// More than the longest path.
const MOST_PATH: usize = 64 << 10;

/// Reads the key of the target of the history at `dir`. `proven`: whether the name of the directory fits a key. After
/// an interrupted move it fits the announced key.
fn read(dir: &Path, proven: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>> {
    let label = create::read_small(&dir.join(LABEL), MOST_PATH)?;
    let next = || create::read_small(&dir.join(NEXT), MOST_PATH).ok();
    let key = if proven(&label) { Some(label) } else { next().filter(|key| proven(key)) };
    key.ok_or_else(|| Error::damaged(&dir.join(LABEL), "it does not name the target that its directory is for"))
}

impl History {
    /// Opens the history in the directory `name`.
    pub(super) fn open_named(store: &Store, name: &OsStr) -> Result<History> {
        let dir = store.dir().join(name);
        let owner = check_private(&dir)?;
        Ok(History::at(store, read(&dir, |key| History::name_of(key).as_str() == name)?, owner))
    }

    /// Whether `dir` is a history that has no label yet, and therefore no snapshot.
    pub(super) fn is_unfinished(dir: &Path) -> bool {
        let names = || no_follow::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.file_name());
        matches!(no_follow::metadata_if_any(&dir.join(LABEL)), Ok(None))
            && !names().any(|name| SnapName::parse(&name).is_some() || stored_id(&name).is_some())
    }

    /// Whether its label names its target.
    pub(crate) fn is_labelled(&self) -> bool {
        self.names_target(LABEL)
    }

    /// Whether its move to this target was interrupted; the next writer completes it.
    pub(crate) fn is_moved(&self) -> bool {
        !self.is_labelled() && self.names_target(NEXT)
    }

    /// Writes the label.
    pub(super) fn put_label(&self) -> Result<()> {
        // The rename fails if another process has done it already.
        if self.names_target(NEXT) && no_follow::rename(&self.dir().join(NEXT), &self.dir().join(LABEL)).is_ok() {
            return create::sync_dir(self.dir());
        }
        self.put_small(LABEL, self.key())?;
        let _ = self.forget_announced();
        Ok(())
    }

    /// Announces the move to the target of `next`.
    pub(super) fn announce(&self, next: &History) -> Result<()> {
        self.put_small(NEXT, next.key())
    }

    /// Removes the announcement.
    pub(super) fn forget_announced(&self) -> io::Result<()> {
        no_follow::remove_file(&self.dir().join(NEXT))
    }

    fn names_target(&self, name: &str) -> bool {
        create::read_small(&self.dir().join(name), MOST_PATH).is_ok_and(|key| key == self.key())
    }
}
