//! The files in the directory of sets. Who writes one holds the flock of the directory, so that what a killed writer left
//! there can be told from what is being written.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

use crate::error::{At, Error, Result};
use crate::sys::create::{self, Owner, TMP_PREFIX};
use crate::sys::ext::OsStrExt;
use crate::sys::lock::{self, LockMode};
use crate::sys::no_follow;

/// How long to wait for another writer, who needs some milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Replaces the small file `name` in the directory of sets atomically and durably.
pub(super) fn put(dir: &Path, owner: Owner, name: &OsStr, bytes: &[u8]) -> Result<()> {
    let held = File::open(dir).at("opening", dir)?;
    match lock::flock_ours(&held, dir, LockMode::Exclusive, PATIENCE) {
        Ok(()) => remove_unfinished(dir),
        Err(busy @ Error::Busy { .. }) => return Err(busy),
        Err(_) => {} // a file system without flock on directories
    }
    create::write_small_for(dir, owner, name, bytes)
}

/// Removes what killed writers left, if nobody writes now.
pub(super) fn sweep(dir: &Path) {
    if let Ok(dir_file) = File::open(dir)
        && dir_file.try_lock().is_ok()
    {
        remove_unfinished(dir);
    }
}

/// They are garbage where they cannot be removed, too.
fn remove_unfinished(dir: &Path) {
    for entry in no_follow::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_name().as_bytes().starts_with(TMP_PREFIX.as_bytes()) {
            let _ = no_follow::remove_file(&dir.join(entry.file_name()));
        }
    }
}
