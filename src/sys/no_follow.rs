//! Paths whose links were followed once, when they were resolved: a link that has appeared in them since is not
//! followed. Otherwise a user who may rename a directory on the path could redirect us anywhere.

use std::ffi::OsStr;
use std::fs::{File, ReadDir};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, mkdirat, openat, renameat, statat, unlinkat};
use rustix::io::{Errno, retry_on_intr};

use super::open_mode::OpenMode;
use crate::error::At;

/// open(2). Links in a relative path are followed; an absolute path must have none, else it fails with ELOOP.
///
/// # Errors
/// As open(2); without waiting where a lease conflicts.
pub(crate) fn open(path: &Path, access: OpenMode) -> io::Result<File> {
    Ok(open_with(path, access, OFlags::empty())?)
}

/// Whether [`open`] failed because of a link.
pub(crate) fn is_link_error(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::LOOP)
}

/// As [`open`], with additional flags.
pub(super) fn open_with(path: &Path, access: OpenMode, more: OFlags) -> Result<File, Errno> {
    let always = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    open_by(path, access.flags() | always | more)
}

fn open_by(path: &Path, flags: OFlags) -> Result<File, Errno> {
    if !path.is_absolute() {
        return retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty())).map(File::from);
    }
    match imp::openat2(path, flags) {
        // Linux before 5.6, and filters that do not know the call; an EPERM of the file itself is returned again.
        Err(Errno::NOSYS | Errno::PERM) => walk(path, flags),
        opened => opened,
    }
}

/// Opens an absolute path component by component, each in the directory before it, so that no link is followed, nor the
/// links in /proc that lead to what a process has open.
fn walk(path: &Path, flags: OFlags) -> Result<File, Errno> {
    let mut dir = retry_on_intr(|| rustix::fs::open("/", imp::THROUGH, Mode::empty()))?;
    // The components do not show these endings, by which the path must be of a directory.
    let is_dir = [&b"/"[..], b"/."].iter().any(|end| path.as_os_str().as_bytes().ends_with(end));
    let names = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name),
        Component::ParentDir => Some(OsStr::new("..")),
        _ => None,
    });
    let mut names = names.chain(is_dir.then_some(OsStr::new(".")));
    let mut name = names.next().unwrap_or(OsStr::new("."));
    for next in names {
        dir = step(&dir, name)?;
        name = next;
    }
    retry_on_intr(|| openat(&dir, name, flags | OFlags::NOFOLLOW, Mode::empty())).map(File::from)
}

/// The directory `name` in `dir`.
fn step(dir: &OwnedFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    match retry_on_intr(|| openat(dir, name, imp::THROUGH | OFlags::NOFOLLOW, Mode::empty())) {
        // The error for a link that is not followed differs between systems.
        Err(e @ (Errno::NOTDIR | Errno::MLINK)) => {
            let found = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW);
            Err(if found.is_ok_and(|found| is_link(&found)) { Errno::LOOP } else { e })
        }
        opened => opened,
    }
}

fn is_link(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode).is_symlink()
}

#[cfg(target_os = "linux")]
mod imp {
    use super::{Errno, File, Mode, OFlags, Path, ReadDir, io, retry_on_intr};
    use rustix::fs::ResolveFlags;
    use std::os::fd::AsRawFd;

    /// The flags for a directory on the path: it need only be searchable.
    pub(super) const THROUGH: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

    pub(super) fn read_dir(dir: &File, path: &Path) -> io::Result<ReadDir> {
        match std::fs::read_dir(format!("/proc/self/fd/{}", dir.as_raw_fd())) {
            // No /proc here, or the directory was removed.
            Err(e) if e.kind() == io::ErrorKind::NotFound => std::fs::read_dir(path),
            listed => listed,
        }
    }

    pub(super) fn openat2(path: &Path, flags: OFlags) -> Result<File, Errno> {
        let resolve = ResolveFlags::NO_SYMLINKS;
        let open = || rustix::fs::openat2(rustix::fs::CWD, path, flags, Mode::empty(), resolve);
        retry_on_intr(open).map(File::from)
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::{Errno, File, OFlags, Path, ReadDir, io};

    /// The flags for a directory on the path: it has to be readable.
    pub(super) const THROUGH: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

    pub(super) fn read_dir(_dir: &File, path: &Path) -> io::Result<ReadDir> {
        std::fs::read_dir(path)
    }

    pub(super) fn openat2(_path: &Path, _flags: OFlags) -> Result<File, Errno> {
        Err(Errno::NOSYS)
    }
}

/// The directory itself, so that it stays the same one whatever happens to its path.
pub(super) fn directory(dir: &Path) -> Result<File, Errno> {
    open_by(dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC)
}

/// The entries of a directory. Only their names can be used, not their paths.
///
/// # Errors
/// As opendir(3); ELOOP when a link has appeared on the path.
pub fn read_dir(dir: &Path) -> io::Result<ReadDir> {
    imp::read_dir(&directory(dir)?, dir)
}

/// What is at `path`, possibly a link, to read and set its metadata: needs no permission for the file.
#[cfg(target_os = "linux")]
pub(super) fn name(path: &Path) -> Result<File, Errno> {
    open_by(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC)
}

/// What is at `path`; here it has to be readable.
#[cfg(not(target_os = "linux"))]
pub(super) fn name(path: &Path) -> Result<File, Errno> {
    open_by(path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC)
}

/// The parent directory of `path`.
pub(super) fn directory_of(path: &Path) -> Result<File, Errno> {
    directory(parent(path))
}

/// Returns the metadata of what is at `path`, or `None` if nothing is there.
pub(crate) fn metadata_if_any(path: &Path) -> Result<Option<std::fs::Metadata>, crate::Error> {
    match std::fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.map(Some).at("inspecting", path),
    }
}

/// The path of the directory that `path` is in.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Creates a directory that only its owner can enter.
pub(super) fn make_dir(dir: &Path) -> Result<(), Errno> {
    mkdirat(directory_of(dir)?, dir.file_name().ok_or(Errno::EXIST)?, Mode::RWXU)
}

/// Removes a file, never what a link leads to.
///
/// # Errors
/// As unlink(2); ELOOP when a link has appeared on the path.
pub fn remove_file(path: &Path) -> io::Result<()> {
    let name = path.file_name().ok_or(Errno::ISDIR)?;
    Ok(unlinkat(directory_of(path)?, name, AtFlags::empty())?)
}

/// Removes a directory with its contents; no link is followed, there or on the path.
///
/// # Errors
/// As unlink(2); ELOOP when a link has appeared on the path.
pub fn remove_dir_all(dir: &Path) -> io::Result<()> {
    let name = dir.file_name().ok_or(Errno::INVAL)?;
    Ok(remove_all(&directory_of(dir)?, name)?)
}

fn remove_all(above: &File, name: &OsStr) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = File::from(retry_on_intr(|| openat(above, name, flags, Mode::empty()))?);
    for entry in Dir::read_from(&dir)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        match unlinkat(&dir, name, AtFlags::empty()) {
            // The error for a directory differs between systems.
            Err(Errno::ISDIR | Errno::PERM) => remove_all(&dir, name)?,
            done => done?,
        }
    }
    unlinkat(above, name, AtFlags::REMOVEDIR)
}

/// Renames a file or directory; neither path may contain a link.
///
/// # Errors
/// As rename(2); ELOOP when a link has appeared on a path.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let (old, new) = (from.file_name().ok_or(Errno::INVAL)?, to.file_name().ok_or(Errno::INVAL)?);
    Ok(renameat(directory_of(from)?, old, directory_of(to)?, new)?)
}

#[cfg(test)]
#[path = "no_follow_test.rs"]
mod tests;
