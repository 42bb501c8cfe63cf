//! Taking the right to write in a history: the lock, the label, and what a killed writer left.

use crate::sys::ext::FileExt;
use std::path::Path;
use std::time::Duration;

use super::history::History;
use super::sweep;
use super::write_lock::{CRASHED, WriteLock, open_lock};
use crate::error::{At, Result};
use crate::planted::{Bug, planted};
use crate::sys::lock::{self, LockMode};
use crate::sys::{create, open};

impl History {
    /// Lets the next writer look for garbage. Only a hint: where it cannot be given, as while a process writes, it is
    /// not.
    pub(crate) fn ask_for_sweep(&self) {
        // Only where there is a lock: looking at a history makes nothing in it.
        let path = self.dir().join("lock");
        if create::open_own(&path).is_ok()
            && let Ok(file) = open_lock(&path, self.owner())
            && file.try_lock().is_ok()
        {
            let _ = file.write_all_at(CRASHED, 0);
        }
    }

    /// Takes the right to write here, waiting at most `wait` for another writer, and clears away what a killed one
    /// left.
    ///
    /// # Errors
    /// [`Error::Busy`] when another writer does not end in time.
    #[doc(hidden)]
    pub fn write_lock(&self, wait: Duration) -> Result<WriteLock> {
        let path = self.dir().join("lock");
        loop {
            let file = open_lock(&path, self.owner())?;
            if !planted(Bug::NoLock) {
                lock::flock_ours(&file, &path, LockMode::Exclusive, wait)?;
            }
            // The file may have been replaced between opening and locking: then it locks nothing.
            let held = open::stamp(&file, &path)?;
            let now = match open::stamp_path(&path) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                now => now.at("inspecting", &path)?,
            };
            if now.same_file(&held) {
                // What a killed one left must be gone before the lock says so.
                let mut writing = WriteLock::begin(file, self.dir(), held.len == 0);
                // New, damaged, or of a move that was cut short: its name proves whose it is. Before the sweep, which
                // takes away what was announced.
                if !self.is_labelled() {
                    self.put_label()?;
                    create::sync_dir(self.dir().parent().unwrap_or(Path::new(".")))?;
                }
                if held.len > 0 {
                    sweep::sweep(self)?;
                    writing.committed();
                }
                return Ok(writing);
            }
        }
    }
}

#[cfg(test)]
#[path = "take_lock_test.rs"]
mod tests;
