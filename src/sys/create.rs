//! Creates files that appear complete, in directories that no other user writes to.
//!
//! A new file has no name until all of it is on the disk (O_TMPFILE; where the file system has none, a name that starts
//! with [`TMP_PREFIX`]). It is readable by its owner only, whatever the umask. The owner is the caller; in a store,
//! root gives it to the owner of the history. A name is durable only after [`sync_dir`] of its directory.
#![cfg_attr(target_os = "linux", allow(unsafe_code, reason = "sync_file_range(2) has no safe wrapper"))]

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, linkat, openat, renameat, unlinkat};
use rustix::io::{Errno, retry_on_intr};

use super::open::{self, OpenMode};
use super::{id, meta, no_follow};
use crate::error::shell_word;
use crate::planted::{Bug, sync_once};
use crate::error::{At, Error, Result};

pub(crate) use super::private::exposed;
pub use super::private::{Owner, check_private, make_dir, make_dir_for};

/// How temporary names start; nothing else in a directory of ours does, so leftover files can be recognised.
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
    /// The directory itself, so that it stays the same one whatever happens to its path.
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
    /// The name was taken before; that file is untouched, ours is gone.
    Existed,
}

impl Pending {
    /// A new, empty file in `dir`, for reading and writing, mode 0600. It belongs to the caller, whatever the owner of
    /// `dir`.
    ///
    /// # Errors
    /// When the directory cannot be opened, or no file be made in it.
    pub fn new(dir: &Path) -> Result<Pending> {
        Pending::within(no_follow::directory(dir).at("opening", dir)?, dir)
    }

    /// As [`Pending::new`], in a directory that belongs to `owner`; made by root, the file does too.
    ///
    /// # Errors
    /// As [`Pending::new`]; `Changed` when the directory belongs to another user by now.
    pub fn owned(dir: &Path, owner: Owner) -> Result<Pending> {
        let directory = no_follow::directory(dir).at("opening", dir)?;
        if id::euid() == 0 && Owner::from(&directory.metadata().at("inspecting", dir)?).uid != owner.uid {
            let what = "it was replaced by a directory of another user".into();
            return Err(Error::Changed { path: dir.into(), what });
        }
        let pending = Pending::within(directory, dir)?;
        owner.receive(&pending.file).at("setting the owner of", &pending.path)?;
        Ok(pending)
    }

    fn within(directory: File, dir: &Path) -> Result<Pending> {
        match imp::unnamed(&directory) {
            Ok(file) => Pending { file, dir: directory, path: dir.join("a new file"), temporary: None }.made_private(),
            // EISDIR, ENOENT: kernels before 3.11; EOPNOTSUPP, EINVAL: the file system has none.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL | Errno::NOSYS) => {
                Pending::named(directory, dir)
            }
            Err(e) => Err(e).at("making a file in", dir),
        }
    }

    fn named(directory: File, dir: &Path) -> Result<Pending> {
        let name = tmp_name();
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file =
            retry_on_intr(|| openat(&directory, name.as_os_str(), flags, PRIVATE)).at("making a file in", dir)?;
        let path = dir.join(&name);
        Pending { file: file.into(), dir: directory, path, temporary: Some(name) }.made_private()
    }

    fn made_private(self) -> Result<Pending> {
        // Where the file system keeps no modes, its readers are checked before anything is stored.
        meta::set_mode_where_kept(&self.file, 0o600).at("setting the mode of", &self.path)?;
        Ok(self)
    }

    /// The file, to be written.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Brings the bytes to the disk and gives the file its name, if the name is free. The directory is not synced.
    ///
    /// # Errors
    /// When the disk or the directory refuses. After a failed fsync nothing has been named.
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

    /// Brings the bytes to the disk and puts the file in the place of `name`, at once; a file there is gone. The
    /// directory is not synced.
    ///
    /// # Errors
    /// When the disk or the directory refuses; what had the name is then untouched.
    pub fn replace(self, name: &OsStr) -> Result<()> {
        sync_once(Bug::NoFileSync, || self.file.sync_all()).at("writing", &self.path)?;
        self.replace_unsynced(name)
    }

    /// As [`Pending::replace`], for what may be lost or torn by a crash: nothing is brought to the disk.
    ///
    /// # Errors
    /// When the directory refuses; what had the name is then untouched.
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
    match rename_no_replace(dir, from, to) {
        // NFS, FUSE and old kernels: a second name never replaces either.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => match linkat(dir, from, dir, to, AtFlags::empty()) {
            Ok(()) => unlinkat(dir, from, AtFlags::empty()),
            Err(Errno::PERM | Errno::NOSYS | Errno::NOTSUP | Errno::MLINK) => rename_claimed(dir, from, to),
            failed => failed,
        },
        done => done,
    }
}

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn rename_no_replace(dir: &File, from: &OsStr, to: &OsStr) -> Result<(), Errno> {
    rustix::fs::renameat_with(dir, from, dir, to, rustix::fs::RenameFlags::NOREPLACE)
}

/// There is no such call here.
#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn rename_no_replace(_dir: &File, _from: &OsStr, _to: &OsStr) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

/// The same where files have one name each: it is claimed by an empty file, which is then replaced. Only that is left
/// if we are killed between the two.
fn rename_claimed(dir: &File, from: &OsStr, to: &OsStr) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    retry_on_intr(|| openat(dir, to, flags, PRIVATE))?;
    renameat(dir, from, dir, to).inspect_err(|_| {
        let _ = unlinkat(dir, to, AtFlags::empty());
    })
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
    let directory = no_follow::directory(dir).at("opening", dir)?;
    match sync_once(Bug::NoDirSync, || directory.sync_all()) {
        // Some network file systems have no such call for directories, and no names that are not durable.
        Err(e) if e.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => Ok(()),
        done => done.at("writing", dir),
    }
}

/// Puts a small file in the place of `name`, all of it or nothing, and durable. It belongs to the caller.
///
/// # Errors
/// When the disk or the directory refuses.
pub fn write_small(dir: &Path, name: &OsStr, bytes: &[u8]) -> Result<()> {
    put_small(Pending::new(dir)?, dir, name, bytes)
}

/// As [`write_small`], in a directory that belongs to `owner`; made by root, the file does too.
///
/// # Errors
/// As [`write_small`], and [`Pending::owned`].
pub fn write_small_for(dir: &Path, owner: Owner, name: &OsStr, bytes: &[u8]) -> Result<()> {
    put_small(Pending::owned(dir, owner)?, dir, name, bytes)
}

fn put_small(pending: Pending, dir: &Path, name: &OsStr, bytes: &[u8]) -> Result<()> {
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
