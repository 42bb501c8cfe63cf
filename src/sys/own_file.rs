//! Files of a store: opened without trust in what is there, small ones read and written as a whole.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::create::{Pending, sync_dir};
use super::no_follow;
use super::open_mode::OpenMode;
use super::private::Owner;
use crate::error::{At, Error, Result};

/// Replaces the small file `name` atomically and durably. The directory belongs to `owner`; created by root, the file
/// does too.
///
/// # Errors
/// As [`Pending::owned`], write(2), fsync(2) and rename(2).
pub fn write_small_for(dir: &Path, owner: Owner, name: &OsStr, bytes: &[u8]) -> Result<()> {
    let pending = Pending::owned(dir, owner)?;
    pending.file().write_all(bytes).at("writing", &dir.join(name))?;
    pending.replace(name)?;
    sync_dir(dir)
}

/// Reads a small file of a store, of `max` bytes at most.
///
/// # Errors
/// As [`open_own`]; `Damaged` when it is longer.
pub fn read_small(path: &Path, max: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_own(path)?.take(max as u64 + 1).read_to_end(&mut bytes).at("reading", path)?;
    if bytes.len() > max {
        return Err(Error::damaged(path, format!("it is longer than {max} bytes")));
    }
    Ok(bytes)
}

/// As [`read_small`]; none when there is no such file.
///
/// # Errors
/// As [`read_small`].
pub fn read_small_if_any(path: &Path, max: usize) -> Result<Option<Vec<u8>>> {
    match read_small(path, max) {
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// Opens a file of a store for reading.
///
/// # Errors
/// When it cannot be opened; `Damaged` when it is no regular file, as a store has no others.
pub fn open_own(path: &Path) -> Result<File> {
    // Checked first, as opening a device can act on it; checked again below.
    if !std::fs::symlink_metadata(path).at("opening", path)?.is_file() {
        return Err(Error::damaged(path, "it is not a regular file"));
    }
    let file = match no_follow::open_with(path, OpenMode::Read, OFlags::empty()) {
        // A symbolic link (its name on FreeBSD is EMLINK), a socket.
        Err(Errno::LOOP | Errno::MLINK | Errno::NXIO) => return Err(Error::damaged(path, "it is not a regular file")),
        opened => opened.at("opening", path)?,
    };
    if !file.metadata().at("inspecting", path)?.is_file() {
        return Err(Error::damaged(path, "it is not a regular file"));
    }
    Ok(file)
}
