//! Paths whose links were followed once, when they were resolved: a link that has appeared on the way since is not
//! followed. Otherwise a user who may rename a directory on the path could lead us anywhere.

use std::ffi::OsStr;
use std::fs::{File, ReadDir};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, mkdirat, openat, renameat, statat, unlinkat};
use rustix::io::{Errno, retry_on_intr};

use super::open_mode::OpenMode;

/// open(2), by whatever links a relative path has; an absolute one must have none. Fails with ELOOP where one is.
///
/// # Errors
/// As open(2); at once where a lease is in the way.
pub(crate) fn open(path: &Path, access: OpenMode) -> io::Result<File> {
    Ok(open_with(path, access, OFlags::empty())?)
}

/// Whether [`open`] failed for a link.
pub(crate) fn is_link_error(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::LOOP)
}

/// As [`open`], with flags besides.
pub(super) fn open_with(path: &Path, access: OpenMode, more: OFlags) -> Result<File, Errno> {
    let always = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    open_by(path, access.flags() | always | more)
}

fn open_by(path: &Path, flags: OFlags) -> Result<File, Errno> {
    if !path.is_absolute() {
        return retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty())).map(File::from);
    }
    match imp::openat2(path, flags) {
        // Linux before 5.6, and filters that do not know the call; EPERM may also be the file's, and is found again.
        Err(Errno::NOSYS | Errno::PERM) => walk(path, flags),
        opened => opened,
    }
}

/// Opens an absolute path name by name, each in the directory before it, so that no link is followed. Links as they are
/// in /proc, which lead to whatever a process has open, count as well.
fn walk(path: &Path, flags: OFlags) -> Result<File, Errno> {
    let mut dir = retry_on_intr(|| rustix::fs::open("/", imp::THROUGH, Mode::empty()))?;
    // What these endings say, that the last name is of a directory, the components do not.
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
        // What systems say of a link that is not followed differs.
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

    /// How a directory on the way is opened: that needs no more than the right to go through.
    pub(super) const THROUGH: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

    pub(super) fn read_dir(dir: &File, path: &Path) -> io::Result<ReadDir> {
        match std::fs::read_dir(format!("/proc/self/fd/{}", dir.as_raw_fd())) {
            // No /proc here, or no such directory any more.
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

    /// How a directory on the way is opened: it has to be readable for that.
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

/// The names in a directory; what paths they make is up to the caller, who knows that of the directory.
///
/// # Errors
/// What opendir(3) says; ELOOP when a link has appeared on the way.
pub fn read_dir(dir: &Path) -> io::Result<ReadDir> {
    imp::read_dir(&directory(dir)?, dir)
}

/// What is at `path`, be it a link, to ask and set what the system knows of it: needs no permission for it.
#[cfg(target_os = "linux")]
pub(super) fn name(path: &Path) -> Result<File, Errno> {
    open_by(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC)
}

/// What is at `path`; here it has to be readable for that.
#[cfg(not(target_os = "linux"))]
pub(super) fn name(path: &Path) -> Result<File, Errno> {
    open_by(path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC)
}

/// The directory that `path` is in.
pub(super) fn directory_of(path: &Path) -> Result<File, Errno> {
    directory(parent(path))
}

/// The path of the directory that `path` is in.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a directory that only its owner can enter.
pub(super) fn make_dir(dir: &Path) -> Result<(), Errno> {
    mkdirat(directory_of(dir)?, dir.file_name().ok_or(Errno::EXIST)?, Mode::RWXU)
}

/// Removes a file, never what a link leads to.
///
/// # Errors
/// What unlink(2) says; ELOOP when a link has appeared on the way.
pub fn remove_file(path: &Path) -> io::Result<()> {
    let name = path.file_name().ok_or(Errno::ISDIR)?;
    Ok(unlinkat(directory_of(path)?, name, AtFlags::empty())?)
}

/// Removes a directory with all that is in it; no link is followed, there or on the way.
///
/// # Errors
/// What unlink(2) says; ELOOP when a link has appeared on the way.
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
            // What systems say of a directory differs.
            Err(Errno::ISDIR | Errno::PERM) => remove_all(&dir, name)?,
            done => done?,
        }
    }
    unlinkat(above, name, AtFlags::REMOVEDIR)
}

/// Gives a file or directory another path; neither may lead over a link.
///
/// # Errors
/// What rename(2) says; ELOOP when a link has appeared on the way.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let (old, new) = (from.file_name().ok_or(Errno::INVAL)?, to.file_name().ok_or(Errno::INVAL)?);
    Ok(renameat(directory_of(from)?, old, directory_of(to)?, new)?)
}

#[cfg(test)]
#[path = "no_follow_test.rs"]
mod tests;
