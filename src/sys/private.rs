//! Directories that only their owner can enter, and who that owner is.
//!
//! Root may give away what it makes. What it gives away is new and empty, and the directory it is made in is the one
//! that was looked at: whoever may rename directories on the way cannot choose what is given.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Dir, Gid, Uid};
use rustix::io::Errno;

use super::{id, straight};
use crate::error::shell_word;
use crate::{At, Error, Result};

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
    /// As root: gives it `made`. Anybody else keeps it.
    pub(super) fn receive(self, made: &File) -> Result<(), Errno> {
        if id::euid() != 0 {
            return Ok(());
        }
        match rustix::fs::fchown(made, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid))) {
            // A root that may not give away (a container, NFS) keeps it: then nobody else reads it either.
            Err(Errno::PERM | Errno::INVAL) => Ok(()),
            done => done,
        }
    }
}

/// Makes a directory that only its owner, the caller, can enter; false when there was one. Its parent is not synced.
///
/// # Errors
/// When it cannot be made, or something else (also a symbolic link) has the name.
pub fn make_dir(dir: &Path) -> Result<bool> {
    make_dir_for(dir, None)
}

/// As [`make_dir`]; made by root, it belongs to `owner`.
///
/// # Errors
/// As [`make_dir`].
pub fn make_dir_for(dir: &Path, owner: Option<Owner>) -> Result<bool> {
    match straight::make_dir(dir) {
        Err(Errno::EXIST) => {
            must_be_dir(dir)?;
            return Ok(false);
        }
        // Said of a directory that is there, too, where the caller may not make any.
        Err(Errno::ACCESS) if std::fs::symlink_metadata(dir).is_ok() => {
            must_be_dir(dir)?;
            return Ok(false);
        }
        made => made.at("making", dir)?,
    }
    if let Some(owner) = owner {
        let made = straight::folder(dir).at("opening", dir)?;
        // Somebody may have put another one in its place since; one that holds anything is not given away.
        if is_empty(&made).at("listing", dir)? {
            owner.receive(&made).at("setting the owner of", dir)?;
        }
    }
    Ok(true)
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
    let metadata = std::fs::symlink_metadata(dir).at("looking at", dir)?;
    if !metadata.is_dir() {
        let what = if metadata.is_symlink() { "a symbolic link" } else { "a file" };
        let what = format!("{} is {what}, not a folder", dir.display());
        return Err(Error::refused(what, "move it away, or use --store with another folder"));
    }
    Ok(metadata)
}

/// Whether nobody but its owner (us, or root) can write to `dir`: otherwise what it holds is anybody's word. Root may
/// use the folders of all. Gives the owner.
///
/// # Errors
/// `Refused`, with the remedy, when it is not so.
pub fn check_private(dir: &Path) -> Result<Owner> {
    let metadata = must_be_dir(dir)?;
    let (us, owner) = (id::euid(), metadata.uid());
    if us != 0 && owner != us && owner != 0 {
        let what = format!("{} belongs to user {owner}, not to you (user {us})", dir.display());
        return Err(Error::refused(what, "use --store with a folder of your own"));
    }
    if metadata.mode() & 0o022 != 0 {
        let what = format!("others can write to {} (mode {:o})", dir.display(), metadata.mode() & 0o7777);
        return Err(Error::refused(what, format!("chmod go-w {}", shell_word(dir))));
    }
    Ok(Owner::from(&metadata))
}
