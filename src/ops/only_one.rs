//! That only one process captures a file again and again.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use crate::error::{At, Error, Result};
use crate::store::{Store, refuse_stored};
use crate::sys::lock::{self, LockMode};
use crate::sys::open;

/// Held by the process that captures a file again and again; the lock is on the directory of the history, so that those
/// who read and write the history meet others.
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
        refuse_stored(&path)?;
        open::target_read(&path)?;
        let history = Store::find_or_create(store, &path)?.make_history(&path)?;
        let dir = File::open(history.dir()).at("opening", history.dir())?;
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
