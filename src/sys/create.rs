//! Making files that nobody sees half-written, in folders that nobody else writes to.
//!
//! A new file has no name until all of it is on the disk (O_TMPFILE; where the file system has none, a name that starts
//! with [`TMP_PREFIX`]). It is readable by its owner only, whatever the umask. Root works for the owner of the folder:
//! what it makes belongs to them. A name is durable only after [`sync_dir`] of its folder.
#![cfg_attr(target_os = "linux", allow(unsafe_code, reason = "sync_file_range(2) has no safe wrapper"))]

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, linkat, openat, renameat, renameat_with, unlinkat};
use rustix::io::{Errno, retry_on_intr};

use super::{id, open, straight};
use crate::error::shell_word;
use crate::planted::{Bug, sync_once};
use crate::{At, Error, Result};

pub use super::cache::drop_pages as drop_cache;

/// How temporary names start; nothing else in a folder of ours does, so litter can be told.
pub const TMP_PREFIX: &str = "tmp-";

/// Read and write for the owner, nothing for others.
const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

/// A temporary name: `tmp-<pid>-<16 hex digits>`.
fn tmp_name() -> OsString {
    let random = u64::from_le_bytes(id::random16()[..8].try_into().unwrap_or_default());
    format!("{TMP_PREFIX}{}-{random:016x}", std::process::id()).into()
}

/// A new file that has no name yet, or a temporary one; gone when dropped.
#[derive(Debug)]
pub struct Pending {
    file: File,
    /// The folder itself, so that it stays the same one whatever happens to its path.
    dir: File,
    path: PathBuf,
    temporary: Option<OsString>,
}

/// What became of [`Pending::publish`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Published {
    /// The name is ours.
    New,
    /// Somebody has had the name before; their file is untouched, ours is gone.
    Existed,
}

impl Pending {
    /// A new, empty file in `dir`, for reading and writing, mode 0600.
    ///
    /// # Errors
    /// When the folder cannot be opened, or no file be made in it.
    pub fn new(dir: &Path) -> Result<Pending> {
        let folder = straight::folder(dir).at("opening", dir)?;
        match imp::unnamed(&folder) {
            Ok(file) => Pending { file, dir: folder, path: dir.join("a new file"), temporary: None }.made_ours(),
            // EISDIR, ENOENT: kernels before 3.11; EOPNOTSUPP, EINVAL: the file system has none.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL | Errno::NOSYS) => {
                Pending::named(folder, dir)
            }
            Err(e) => Err(e).at("making a file in", dir),
        }
    }

    fn named(folder: File, dir: &Path) -> Result<Pending> {
        let name = tmp_name();
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = retry_on_intr(|| openat(&folder, name.as_os_str(), flags, PRIVATE)).at("making a file in", dir)?;
        let path = dir.join(&name);
        Pending { file: file.into(), dir: folder, path, temporary: Some(name) }.made_ours()
    }

    fn made_ours(self) -> Result<Pending> {
        rustix::fs::fchmod(&self.file, PRIVATE).at("setting the mode of", &self.path)?;
        give_to_owner_of(&self.dir, &self.file).at("setting the owner of", &self.path)?;
        Ok(self)
    }

    /// The file, to be written.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// A path for messages; there may be nothing at it.
    pub fn path_hint(&self) -> &Path {
        &self.path
    }

    /// Brings the bytes to the disk and gives the file its name, if the name is free. The folder is not synced.
    ///
    /// # Errors
    /// When the disk or the folder refuses. After a failed fsync nothing has been named.
    pub fn publish(mut self, name: &OsStr) -> Result<Published> {
        sync_once(Bug::NoFileSync, || self.file.sync_all()).at("writing", &self.path)?;
        let result = match &self.temporary {
            None => imp::link_unnamed(&self.file, &self.dir, name),
            Some(temporary) => rename_new(&self.dir, temporary, name),
        };
        match result {
            Ok(()) => {
                self.temporary = None;
                Ok(Published::New)
            }
            Err(Errno::EXIST) => Ok(Published::Existed),
            Err(e) => Err(e).at("naming", &self.path.with_file_name(name)),
        }
    }

    /// Brings the bytes to the disk and puts the file in the place of `name`, at once; a file there is gone. The folder
    /// is not synced.
    ///
    /// # Errors
    /// When the disk or the folder refuses; what had the name is then untouched.
    pub fn replace(self, name: &OsStr) -> Result<()> {
        sync_once(Bug::NoFileSync, || self.file.sync_all()).at("writing", &self.path)?;
        self.replace_unsynced(name)
    }

    /// As [`Pending::replace`], for what may be lost or torn by a crash: nothing is brought to the disk.
    ///
    /// # Errors
    /// When the folder refuses; what had the name is then untouched.
    pub fn replace_unsynced(mut self, name: &OsStr) -> Result<()> {
        let to = self.path.with_file_name(name);
        if self.temporary.is_none() {
            // A free name is taken at once: then there is no moment at which being killed leaves a temporary one.
            match imp::link_unnamed(&self.file, &self.dir, name) {
                Err(Errno::EXIST) => {}
                done => return done.at("naming", &to),
            }
            let temporary = tmp_name();
            imp::link_unnamed(&self.file, &self.dir, &temporary).at("naming", &to)?;
            self.temporary = Some(temporary); // from here on dropping takes it away
        }
        if let Some(temporary) = &self.temporary {
            renameat(&self.dir, temporary.as_os_str(), &self.dir, name).at("replacing", &to)?;
        }
        self.temporary = None;
        Ok(())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(name) = &self.temporary {
            let _ = unlinkat(&self.dir, name.as_os_str(), AtFlags::empty());
        }
    }
}

/// Renames without replacing.
fn rename_new(dir: &File, from: &OsStr, to: &OsStr) -> Result<(), Errno> {
    match renameat_with(dir, from, dir, to, RenameFlags::NOREPLACE) {
        // NFS and old kernels: a second name never replaces either.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            linkat(dir, from, dir, to, AtFlags::empty())?;
            unlinkat(dir, from, AtFlags::empty())
        }
        done => done,
    }
}

/// As root: lets `made` belong to whoever `dir` belongs to.
fn give_to_owner_of(dir: &File, made: &File) -> Result<(), Errno> {
    if id::euid() != 0 {
        return Ok(());
    }
    let owner = rustix::fs::fstat(dir)?;
    let (uid, gid) = (rustix::fs::Uid::from_raw(owner.st_uid), rustix::fs::Gid::from_raw(owner.st_gid));
    match rustix::fs::fchown(made, Some(uid), Some(gid)) {
        // A root that may not give away (a container, NFS) leaves it as it is.
        Err(Errno::PERM | Errno::INVAL) => Ok(()),
        done => done,
    }
}

/// The absolute path of a file to be made, as [`open::resolve_new`]; what can only be a directory is none.
///
/// # Errors
/// As [`open::resolve_new`]; [`Error::Refused`] for a directory, and for a path that ends in a slash.
pub fn resolve_output(path: &Path) -> Result<PathBuf> {
    let bytes = path.as_os_str().as_bytes();
    let shown = path.display();
    // A link to a directory is a name like others; with a slash behind it, it is the directory.
    if std::fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) {
        let hint = format!("name a file in it: {}", shell_word(path.join("NAME")));
        return Err(Error::refused(format!("{shown} is a directory"), hint));
    }
    if bytes.ends_with(b"/") || bytes.ends_with(b"/.") {
        return Err(Error::refused(format!("{shown} is not a directory"), "name a file, without a slash at the end"));
    }
    open::resolve_new(path)
}

/// Makes the names in `dir` durable.
///
/// # Errors
/// When the disk refuses: what was named may not be there after a crash.
pub fn sync_dir(dir: &Path) -> Result<()> {
    let folder = straight::folder(dir).at("opening", dir)?;
    match sync_once(Bug::NoDirSync, || folder.sync_all()) {
        // Some network file systems have no such call for folders, and no names that are not durable.
        Err(e) if e.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => Ok(()),
        done => done.at("writing", dir),
    }
}

/// Makes a folder that only its owner can enter; false when there was one. Its parent is not synced.
///
/// # Errors
/// When it cannot be made, or something else (also a symbolic link) has the name.
pub fn make_dir(dir: &Path) -> Result<bool> {
    match straight::make_dir(dir) {
        Err(Errno::EXIST) => {
            must_be_dir(dir)?;
            return Ok(false);
        }
        made => made.at("making", dir)?,
    }
    let made = straight::folder(dir).at("opening", dir)?;
    let parent = straight::folder_of(dir).at("opening", straight::parent(dir))?;
    give_to_owner_of(&parent, &made).at("setting the owner of", dir)?;
    Ok(true)
}

fn must_be_dir(dir: &Path) -> Result<std::fs::Metadata> {
    let metadata = std::fs::symlink_metadata(dir).at("looking at", dir)?;
    if !metadata.is_dir() {
        let what = if metadata.is_symlink() { "a symbolic link" } else { "a file" };
        let what = format!("{} is {what}, not a folder", dir.display());
        return Err(Error::refused(what, "move it away, or use --store with another folder"));
    }
    Ok(metadata)
}

/// Whether nobody but its owner (us, or root) can write to `dir`: otherwise what it holds is anybody's word. Root may
/// use the folders of all.
///
/// # Errors
/// `Refused`, with the remedy, when it is not so.
pub fn check_private(dir: &Path) -> Result<()> {
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
    Ok(())
}

/// Puts a small file in the place of `name`, all of it or nothing, and durable.
///
/// # Errors
/// When the disk or the folder refuses.
pub fn write_small(dir: &Path, name: &OsStr, bytes: &[u8]) -> Result<()> {
    let pending = Pending::new(dir)?;
    pending.file().write_all(bytes).at("writing", &dir.join(name))?;
    pending.replace(name)?;
    sync_dir(dir)
}

/// Reads a small file of ours, of `max` bytes at most.
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

/// As [`read_small`]; nothing when there is no such file, or none any more.
///
/// # Errors
/// As [`read_small`].
pub fn read_small_if_any(path: &Path, max: usize) -> Result<Option<Vec<u8>>> {
    match read_small(path, max) {
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// Opens a file of ours for reading.
///
/// # Errors
/// When it cannot be opened; `Damaged` when it is no regular file, as we make no others.
pub fn open_own(path: &Path) -> Result<File> {
    // Looked at first, as opening a device can act on it; proven below.
    if !std::fs::symlink_metadata(path).at("opening", path)?.is_file() {
        return Err(Error::damaged(path, "it is not a regular file"));
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match straight::open(path, flags) {
        // A symbolic link (its name on FreeBSD is EMLINK), a socket.
        Err(Errno::LOOP | Errno::MLINK | Errno::NXIO) => return Err(Error::damaged(path, "it is not a regular file")),
        opened => opened.at("opening", path)?,
    };
    if !file.metadata().at("looking at", path)?.is_file() {
        return Err(Error::damaged(path, "it is not a regular file"));
    }
    Ok(file)
}

/// Lets the disk begin with `len` bytes at `off`, so that the fsync at the end has less to wait for; only advice.
pub fn start_writeback(file: &File, off: u64, len: u64) {
    imp::start_writeback(file, off, len);
}

#[cfg(target_os = "linux")]
mod imp {
    use super::{AtFlags, Errno, File, OFlags, OsStr, PRIVATE, linkat, openat, retry_on_intr};
    use std::os::fd::AsRawFd;

    pub(super) fn unnamed(dir: &File) -> Result<File, Errno> {
        retry_on_intr(|| openat(dir, ".", OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, PRIVATE)).map(File::from)
    }

    pub(super) fn link_unnamed(file: &File, dir: &File, name: &OsStr) -> Result<(), Errno> {
        let ours = format!("/proc/self/fd/{}", file.as_raw_fd());
        match linkat(rustix::fs::CWD, ours, dir, name, AtFlags::SYMLINK_FOLLOW) {
            // No /proc here. Root may always do without, others from Linux 6.10 on.
            Err(Errno::NOENT) => linkat(file, "", dir, name, AtFlags::EMPTY_PATH),
            done => done,
        }
    }

    pub(super) fn start_writeback(file: &File, off: u64, len: u64) {
        let (Ok(off), Ok(len)) = (off.try_into(), len.try_into()) else { return };
        // SAFETY: sync_file_range(2) touches no memory of ours; the descriptor is open.
        unsafe { libc::sync_file_range(file.as_raw_fd(), off, len, libc::SYNC_FILE_RANGE_WRITE) };
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::{Errno, File, OsStr};

    pub(super) fn unnamed(_dir: &File) -> Result<File, Errno> {
        Err(Errno::NOSYS)
    }

    pub(super) fn link_unnamed(_file: &File, _dir: &File, _name: &OsStr) -> Result<(), Errno> {
        Err(Errno::NOSYS)
    }

    pub(super) fn start_writeback(_file: &File, _off: u64, _len: u64) {}
}

#[cfg(test)]
#[path = "create_test.rs"]
mod tests;
