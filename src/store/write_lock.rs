//! The lock of a history, and the right to write that it gives.

use crate::sys::ext::FileExt;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{At, Error, Result};
use crate::sys::create::{Owner, Pending};
use crate::sys::open::{self, OpenMode};
use crate::sys::{create, meta, no_follow};

/// The content of the lock file while a process writes, and after it was killed.
pub(super) const CRASHED: &[u8] = b"w";

/// The right to write in a history. While it is held the lock file holds a byte, so that the next writer sees when this
/// one was killed, and clears up after it.
#[derive(Debug)]
pub struct WriteLock {
    file: File,
    dir: PathBuf,
    done: bool,
}

impl WriteLock {
    /// Begins, with `lock` locked, in the history at `dir`; `is_clean`: no writer before was killed.
    pub(super) fn begin(lock: File, dir: &Path, is_clean: bool) -> WriteLock {
        let writing = WriteLock { file: lock, dir: dir.into(), done: is_clean };
        writing.mark(true);
        writing
    }

    fn mark(&self, on: bool) {
        // Losing the mark costs some disk until the next sweep, no more.
        let _ = if on { self.file.write_all_at(CRASHED, 0) } else { self.file.set_len(0) };
    }

    /// Makes a file appear under `name`, complete and on disk, in the place of one that is there already. Until
    /// [`WriteLock::committed`] it counts as garbage.
    pub fn publish(&mut self, file: Pending, name: &str) -> Result<()> {
        self.done = false;
        // Files are named by what they hold, so one of that name says the same; if it is sound.
        file.replace(OsStr::new(name))
    }

    /// Asked before anything becomes a snapshot, and before a target is written: whether the lock still has its name.
    /// When it was removed or replaced, another writer may hold the new one, and has the right to write.
    ///
    /// # Errors
    /// [`Error::Busy`] when it has not.
    pub(super) fn check(&self) -> Result<()> {
        let path = self.dir.join("lock");
        let held = open::stamp(&self.file, &path)?;
        if open::stamp_path(&path).is_ok_and(|now| now.same_file(&held)) {
            return Ok(());
        }
        let holder = "its lock was removed or replaced while we held it, so another writer may be at work";
        Err(Error::busy(&path, holder, "try again, and leave the files of the store alone"))
    }

    /// Whether nothing has been published that no snapshot names yet.
    pub(super) fn is_clean(&self) -> bool {
        self.done
    }

    /// What was published is named by a snapshot now.
    pub fn committed(&mut self) {
        self.done = true;
    }

    /// Puts the directory's names on disk.
    pub fn sync(&self) -> Result<()> {
        create::sync_dir(&self.dir)
    }
}

impl Drop for WriteLock {
    fn drop(&mut self) {
        if self.done {
            self.mark(false);
        }
    }
}

/// Whether a process holds the right to write in the history at `dir`.
pub(super) fn is_being_written(dir: &Path) -> bool {
    let lock = create::open_own(&dir.join("lock"));
    lock.is_ok_and(|file| matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
}

/// Opens the file `lock` at `path`, making it, for `owner`, when there is none.
pub(super) fn open_lock(path: &Path, owner: Owner) -> Result<File> {
    let refused = |what: &str| {
        let what = format!("{} {what}: it is no lock of memsnap", path.display());
        Error::refused(what, "move it away and try again: a new one is made")
    };
    // Looked at first, as opening a device can act on it; proven below.
    if let Ok(found) = fs::symlink_metadata(path).map(|found| found.file_type())
        && !found.is_file()
    {
        return Err(refused(if found.is_symlink() { "is a symbolic link" } else { "is not a regular file" }));
    }
    let open = || no_follow::open(path, OpenMode::Both);
    let file = match open() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let made = Pending::owned(no_follow::parent(path), owner)?;
            // One that another writer made meanwhile is as good.
            let _ = made.publish(path.file_name().unwrap_or_default())?;
            open()
        }
        found => found,
    };
    let file = match file {
        Err(e) if no_follow::is_link_error(&e) => return Err(refused("is a symbolic link")),
        file => file.at("opening", path)?,
    };
    // It will be written to: whatever else has this name is not ours to change.
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
