//! The logs of a database that were captured with it: they are restored beside it, before it gets its name.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::reader::Reader;
use crate::capture::Companion;
use crate::error::{At, Cause, Error, Result};
use crate::ops::change::metadata;
use crate::ops::output::exists;
use crate::ops::{Note, Progress};
use crate::store::{History, Image, Store};
use crate::sys::create::{Pending, Published};
use crate::sys::ext::{OsStrExt, OsStringExt};
use crate::sys::no_follow;

/// A log that was captured with a snapshot of its database.
pub(crate) struct StoredLog {
    /// What its name has after that of the database.
    suffix: OsString,
    /// The history that has it.
    pub(crate) history: History,
    pub(crate) image: Image,
}

/// The logs of the snapshot `image` of the database of `history`.
///
/// # Errors
/// [`Error::Missing`] when one is not in the store.
pub(crate) fn stored_logs(history: &History, image: &Image) -> Result<Vec<StoredLog>> {
    let wanted = &image.meta().companions;
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let store = Store::open(no_follow::parent(history.dir()))?;
    let mut logs = Vec::new();
    for path in Companion::paths_beside(history.target()) {
        let Some(history_of_log) = store.history(&path)? else { continue };
        let name = history_of_log.snapshots()?.into_iter().find(|name| wanted.contains(&name.id));
        if let Some(name) = name {
            let of_database = history.target().as_os_str().len();
            let suffix = OsString::from_vec(path.as_os_str().as_bytes()[of_database..].to_vec());
            logs.push(StoredLog { suffix, image: history_of_log.image(name)?, history: history_of_log });
        }
    }
    if logs.len() == wanted.len() {
        return Ok(logs);
    }
    let what = format!("a log that belongs to @{} of {} is not in the store", image.name.number, history.label());
    Err(Error::missing(what, Cause::NoSnapshotOfSet))
}

impl StoredLog {
    /// Its path beside `database`.
    pub(super) fn beside(&self, database: &Path) -> PathBuf {
        let mut path = OsString::from(database);
        path.push(&self.suffix);
        path.into()
    }
}

/// Logs that are written, and have no name yet.
pub(super) struct WrittenLogs {
    files: Vec<(PathBuf, Pending)>,
    /// Bytes written.
    pub(super) bytes: u64,
    pub(super) notes: Vec<Note>,
}

impl WrittenLogs {
    /// Writes `logs`, to be beside `database`.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is a file of such a name, and `force` is not set.
    pub(super) fn write(
        logs: &[StoredLog],
        database: &Path,
        force: bool,
        progress: &dyn Progress,
    ) -> Result<WrittenLogs> {
        let mut written = WrittenLogs { files: Vec::new(), bytes: 0, notes: Vec::new() };
        for log in logs {
            let path = log.beside(database);
            check(&path, force)?;
            let file = Pending::new(no_follow::parent(&path))?;
            written.bytes += Reader::new(&log.image, None, progress).write_to(file.file(), &path)?;
            written.notes.extend(metadata::give_all(file.file(), &log.image, &path)?);
            written.files.push((path, file));
        }
        Ok(written)
    }

    /// They get their names. Returns the paths of those that are new.
    ///
    /// # Errors
    /// Then none has.
    pub(super) fn publish(self, force: bool) -> Result<Vec<PathBuf>> {
        let mut new = Vec::new();
        for (path, file) in self.files {
            let name = path.file_name().unwrap_or_default();
            let published = if force {
                file.replace(name).map(|()| None)
            } else {
                file.publish(name).and_then(|published| match published {
                    Published::New => Ok(Some(path.clone())),
                    Published::Existed => Err(exists(&path)),
                })
            };
            match published {
                Ok(path) => new.extend(path),
                Err(e) => {
                    withdraw(&new);
                    return Err(e);
                }
            }
        }
        Ok(new)
    }
}

/// Refuses to replace what is not to be.
pub(super) fn check(path: &Path, force: bool) -> Result<()> {
    match no_follow::metadata_if_any(path)? {
        Some(_) if !force => Err(exists(path)),
        Some(found) if !found.is_file() => {
            Err(Error::refused(format!("{} is not a regular file", path.display()), "name another file"))
        }
        _ => Ok(()),
    }
}

/// Removes the logs of a database that did not get its name.
pub(super) fn withdraw(paths: &[PathBuf]) {
    for path in paths {
        let _ = no_follow::remove_file(path).at("removing", path);
    }
}
