//! Directories that only their owner can enter.
//!
//! Root gives what it creates to the owner of the history. It does so only with what is new and empty, in the directory
//! that was checked: a user who may rename directories on the path cannot choose what is given away.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Dir, Gid, Mode, Uid};
use rustix::io::Errno;

use super::{id, mount, no_follow};
use crate::error::{At, Cause, Error, Result};

/// User and group that a file belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

impl From<&Metadata> for Owner {
    fn from(metadata: &Metadata) -> Owner {
        Owner { uid: metadata.uid(), gid: metadata.gid() }
    }
}

impl Owner {
    /// As root, changes the owner of `made`; other users keep it.
    pub(super) fn receive(self, made: &File) -> Result<(), Errno> {
        if id::euid() != 0 {
            return Ok(());
        }
        match rustix::fs::fchown(made, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid))) {
            // A root that may not change owners (in a container, on NFS) keeps it: then no other user reads it either.
            // Where files have no owners, the owner is checked before anything is stored.
            Err(Errno::PERM | Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => Ok(()),
            done => done,
        }
    }
}

/// Creates a directory that only its owner can enter; false when there was one. It belongs to the caller; created by
/// root, to `owner`. Its parent is not synced.
///
/// # Errors
/// When it cannot be created, or something else (also a symbolic link) has the name.
pub fn make_dir_for(dir: &Path, owner: Option<Owner>) -> Result<bool> {
    match no_follow::make_dir(dir) {
        Err(Errno::EXIST) => return found(dir).map(|()| false),
        // Also for a directory that exists, where the caller may not create any.
        Err(Errno::ACCESS) if std::fs::symlink_metadata(dir).is_ok() => return found(dir).map(|()| false),
        made => made.at("making", dir)?,
    }
    if lacks(&must_be_dir(dir)?, ALL) {
        enable(dir)?;
    }
    if let Some(owner) = owner {
        let made = no_follow::directory(dir).at("opening", dir)?;
        // It may have been replaced since; a directory that is not empty is not given away.
        if is_empty(&made).at("listing", dir)? {
            owner.receive(&made).at("setting the owner of", dir)?;
        }
    }
    Ok(true)
}

/// For a directory that exists. An empty one in which nothing can be created was left by a version that applied the
/// umask.
fn found(dir: &Path) -> Result<()> {
    let metadata = must_be_dir(dir)?;
    let unused = || no_follow::directory(dir).and_then(|dir| is_empty(&dir)).unwrap_or(false);
    if lacks(&metadata, ALL) && (lacks(&metadata, ENTER) || unused()) { enable(dir) } else { Ok(()) }
}

/// What the owner needs to create files in a directory.
const ALL: u32 = 0o700;
/// What the owner needs to use it at all.
const ENTER: u32 = 0o500;

/// Whether it belongs to this user, and lacks one of these permissions for its owner.
fn lacks(dir: &Metadata, bits: u32) -> bool {
    dir.mode() & bits != bits && (id::euid() == 0 || id::euid() == dir.uid())
}

/// Lets the owner of a directory use it; other permissions stay.
fn enable(dir: &Path) -> Result<()> {
    let enabled = |file: &File| Ok(Mode::from_raw_mode(rustix::fs::fstat(file)?.st_mode).union(Mode::RWXU));
    let done = match no_follow::directory(dir) {
        Ok(file) => enabled(&file).and_then(|mode| rustix::fs::fchmod(&file, mode)),
        // It cannot be opened for reading yet.
        Err(Errno::ACCESS) => no_follow::name(dir).and_then(|file| imp::chmod(&file, enabled(&file)?)),
        Err(e) => Err(e),
    };
    done.at("setting the mode of", dir)
}

#[cfg(target_os = "linux")]
mod imp {
    use super::{Errno, File, Mode};
    use std::os::fd::AsRawFd;

    /// As fchmod(2), which does not work with O_PATH.
    pub(super) fn chmod(name: &File, mode: Mode) -> Result<(), Errno> {
        rustix::fs::chmod(format!("/proc/self/fd/{}", name.as_raw_fd()), mode)
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::{Errno, File, Mode};

    pub(super) fn chmod(_name: &File, _mode: Mode) -> Result<(), Errno> {
        Err(Errno::ACCESS)
    }
}

fn is_empty(dir: &File) -> Result<bool, Errno> {
    for entry in Dir::read_from(dir)? {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

fn must_be_dir(dir: &Path) -> Result<Metadata> {
    let metadata = std::fs::symlink_metadata(dir).at("inspecting", dir)?;
    if !metadata.is_dir() {
        let what = if metadata.is_symlink() { "a symbolic link" } else { "a file" };
        let what = format!("{} is {what}, not a directory", dir.display());
        return Err(Error::refused(what, Cause::StoreNotDirectory(dir.into())));
    }
    Ok(metadata)
}

/// The error for a directory that others can use; `cause` is why where the file system keeps modes.
pub(crate) fn exposed(dir: &Path, what: String, cause: Cause) -> Error {
    let kind = no_follow::directory(dir).ok().and_then(|dir| mount::of(&dir)).map(|mount| mount.kind);
    match kind.filter(|kind| kind.starts_with("fuse") || MODELESS.contains(&kind.as_str())) {
        Some(kind) => {
            Error::refused(format!("{what}; on {kind}, modes may follow from how it is mounted"), Cause::ModesOfMount)
        }
        None => Error::refused(what, cause),
    }
}

/// File systems whose modes are set by mount options, as with many of FUSE.
const MODELESS: [&str; 8] = ["vfat", "msdos", "exfat", "ntfs", "ntfs3", "cifs", "smb3", "9p"];

/// Checks that only its owner (this user, or root) can write to `dir`: otherwise its content cannot be trusted. Root
/// may use the directories of all users. Returns the owner. The mode stays: [`make_dir_for`] repairs a directory that
/// its owner cannot enter.
///
/// # Errors
/// `Refused`, with a hint, when it is not so.
pub fn check_private(dir: &Path) -> Result<Owner> {
    let metadata = must_be_dir(dir)?;
    let enter = || no_follow::name(&dir.join(".")).and_then(|_| no_follow::directory(dir));
    if lacks(&metadata, ENTER) && enter().is_err_and(|e| e == Errno::ACCESS) {
        let what = format!("{} cannot be entered by its owner (mode {:04o})", dir.display(), metadata.mode() & 0o7777);
        return Err(Error::refused(what, Cause::CannotEnter(dir.into())));
    }
    let (us, owner) = (id::euid(), metadata.uid());
    if us != 0 && owner != us && owner != 0 {
        let what = format!("{} belongs to user {owner}, not to you (user {us})", dir.display());
        return Err(Error::refused(what, Cause::ForeignStore));
    }
    if owner != us && no_follow::name(&dir.join(".")).is_err_and(|e| e == Errno::ACCESS) {
        let what = format!("{} belongs to root, and no other user may enter it", dir.display());
        return Err(Error::refused(what, Cause::ForeignStore));
    }
    if metadata.mode() & 0o022 != 0 {
        let what = format!("others can write to {} (mode {:o})", dir.display(), metadata.mode() & 0o7777);
        return Err(exposed(dir, what, Cause::OthersCanWrite(dir.into())));
    }
    Ok(Owner::from(&metadata))
}
