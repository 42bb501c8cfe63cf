//! That only one process captures a file again and again.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use crate::error::{At, Error, Result};
use crate::store::{Store, refuse_stored};
use crate::sys::lock::{self, LockMode};
use crate::sys::open;

/// Held by the process that captures a file, or a directory, again and again. The lock is on the directory of the
/// history, or on the directory itself, which no other verb locks.
#[derive(Debug)]
pub struct OnlyOne {
    _dir: File,
}

impl OnlyOne {
    /// Takes the lock for `file`, whose history is made if it has none.
    ///
    /// # Errors
    /// [`Error::Busy`] when another process holds it; when the file cannot be opened.
    pub fn new(file: &Path, store: Option<&Path>) -> Result<OnlyOne> {
        let path = open::resolve(file)?;
        let locked = if path.is_dir() {
            path.clone()
        } else {
            refuse_stored(&path)?;
            open::target_read(&path)?;
            Store::find_or_create(store, &path)?.make_history(&path)?.dir().to_path_buf()
        };
        let dir = File::open(&locked).at("opening", &locked)?;
        match lock::flock_ours(&dir, &path, LockMode::Exclusive, Duration::ZERO) {
            Ok(()) => Ok(OnlyOne { _dir: dir }),
            Err(Error::Busy { holder, .. }) => {
                let holder = format!("its snapshots are taken by another process already: {holder}");
                Err(Error::busy(&path, holder, "end that process first"))
            }
            Err(e) => Err(e),
        }
    }
}
