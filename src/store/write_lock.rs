//! The write lock of a history. Taking it repairs the label, and removes the leftover files of a killed writer.

use crate::sys::ext::FileExt;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::history::History;
use crate::error::{At, Error, Result};
use crate::planted::{Bug, planted};
use crate::sys::create::{Owner, Pending};
use crate::sys::lock::{self, LockMode};
use crate::sys::open::{self, OpenMode};
use crate::sys::{create, meta, no_follow};

/// The content of the lock file while a process writes. It stays if the process is killed.
const DIRTY: &[u8] = b"w";

/// The write lock of a history. While it is held, the lock file contains a byte. The next writer sees the byte if this
/// one was killed, and removes its leftover files.
#[derive(Debug)]
pub struct WriteLock {
    file: File,
    dir: PathBuf,
    is_clean: bool,
}

impl WriteLock {
    /// Takes over `file`, the locked lock file of the history at `dir`; `is_clean`: no earlier writer was killed.
    fn begin(file: File, dir: &Path, is_clean: bool) -> WriteLock {
        // If the byte cannot be written, a crash leaves files until the next sweep.
        let _ = file.write_all_at(DIRTY, 0);
        WriteLock { file, dir: dir.into(), is_clean }
    }

    /// Makes a file appear under `name`, complete and on disk. It is garbage until [`WriteLock::committed`].
    pub fn publish(&mut self, file: Pending, name: &str) -> Result<()> {
        self.is_clean = false;
        // A file of that name has the same content, as the name is a hash, unless it is damaged.
        file.replace(OsStr::new(name))
    }

    /// Fails if the lock file was removed or replaced: then another process may hold the lock on the new one. Checked
    /// before a snapshot appears and before a target is written.
    pub(super) fn check(&self) -> Result<()> {
        let path = self.dir.join("lock");
        let held = open::stamp(&self.file, &path)?;
        if open::stamp_path(&path).is_ok_and(|now| now.same_file(&held)) {
            return Ok(());
        }
        let holder = "its lock was removed or replaced while we held it, so another writer may be at work";
        Err(Error::busy(&path, holder, "try again, and leave the files of the store alone"))
    }

    /// Whether a snapshot names every published file.
    pub(super) fn is_clean(&self) -> bool {
        self.is_clean
    }

    /// Records that a snapshot now names every published file.
    pub fn committed(&mut self) {
        self.is_clean = true;
    }

    /// Flushes the names in the directory to disk.
    pub fn sync(&self) -> Result<()> {
        create::sync_dir(&self.dir)
    }
}

impl Drop for WriteLock {
    fn drop(&mut self) {
        if self.is_clean {
            let _ = self.file.set_len(0);
        }
    }
}

impl History {
    /// Makes the next writer remove garbage, as after a crash. Does nothing if that is not possible, for instance while
    /// another process writes.
    pub(crate) fn ask_for_sweep(&self) {
        // Inspecting a history creates no file in it, so a missing lock stays missing.
        let path = self.dir().join("lock");
        if create::open_own(&path).is_ok()
            && let Ok(file) = open_lock(&path, self.owner())
            && file.try_lock().is_ok()
        {
            let _ = file.write_all_at(DIRTY, 0);
        }
    }

    /// Takes the write lock, and removes the leftover files of a killed writer. Waits up to `wait` for another writer,
    /// then fails with `Error::Busy`.
    #[doc(hidden)]
    pub fn write_lock(&self, wait: Duration) -> Result<WriteLock> {
        let path = self.dir().join("lock");
        loop {
            let file = open_lock(&path, self.owner())?;
            if !planted(Bug::NoLock) {
                lock::flock_ours(&file, &path, LockMode::Exclusive, wait)?;
            }
            // If the file was replaced between opening and locking, the lock is on a file without a name.
            let held = open::stamp(&file, &path)?;
            let now = match open::stamp_path(&path) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                now => now.at("inspecting", &path)?,
            };
            if now.same_file(&held) {
                // The byte in the lock goes only after the leftover files.
                let mut lock = WriteLock::begin(file, self.dir(), held.len == 0);
                // The label is missing in a new history, damaged, or that of an interrupted move. It is written before
                // the sweep, which removes the announcement of a move.
                if !self.is_labelled() {
                    self.put_label()?;
                    create::sync_dir(self.dir().parent().unwrap_or(Path::new(".")))?;
                }
                if held.len > 0 {
                    self.sweep(&lock)?;
                    lock.committed();
                }
                return Ok(lock);
            }
        }
    }
}

/// Whether a process holds the write lock of the history at `dir`.
pub(super) fn is_being_written(dir: &Path) -> bool {
    let lock = create::open_own(&dir.join("lock"));
    lock.is_ok_and(|file| matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
}

/// Opens the file `lock` at `path`, and creates it, owned by `owner`, if there is none.
fn open_lock(path: &Path, owner: Owner) -> Result<File> {
    let refused = |what: &str| {
        let what = format!("{} {what}: it is not a lock of memsnap", path.display());
        Error::refused(what, "move it away and try again: a new one is created")
    };
    // Checked before it is opened, as opening a device can act on it; checked again below.
    if let Ok(found) = fs::symlink_metadata(path).map(|found| found.file_type())
        && !found.is_file()
    {
        return Err(refused(if found.is_symlink() { "is a symbolic link" } else { "is not a regular file" }));
    }
    let open = || no_follow::open(path, OpenMode::Both);
    let file = match open() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            // `publish` does not replace a lock that another process has created meanwhile.
            let _ = Pending::owned(no_follow::parent(path), owner)?.publish(path.file_name().unwrap_or_default())?;
            open()
        }
        found => found,
    };
    let file = match file {
        Err(e) if no_follow::is_link_error(&e) => return Err(refused("is a symbolic link")),
        file => file.at("opening", path)?,
    };
    // The lock file is written to, so any other file of this name must be refused.
    let found = file.metadata().at("inspecting", path)?;
    match () {
        () if !found.is_file() => Err(refused("is not a regular file")),
        () if meta::links(&file).at("inspecting", path)? > 1 => {
            Err(refused("has another name elsewhere (a hard link)"))
        }
        () if found.len() > 1 => Err(refused("holds something that memsnap did not write")),
        () => Ok(file),
    }
}

#[cfg(test)]
#[path = "write_lock_test.rs"]
mod tests;
