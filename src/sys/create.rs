//! Creates files that appear complete, in directories that no other user writes to.
//!
//! A new file has no name until all of it is on the disk (O_TMPFILE; where the file system has none, a name that starts
//! with [`TMP_PREFIX`]). It is readable by its owner only, whatever the umask. The owner is the caller; in a store,
//! root gives it to the owner of the history. A name is durable only after [`sync_dir`] of its directory.
#![cfg_attr(target_os = "linux", allow(unsafe_code, reason = "sync_file_range(2) has no safe wrapper"))]

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::ext::OsStrExt;
use super::{id, open};
use crate::error::{At, Cause, Error, Result};
use crate::planted::{Bug, sync_once};
use imp::Dir;

#[cfg(unix)]
pub use super::own_file::{open_own, read_small, read_small_if_any, write_small_for};
#[cfg(unix)]
pub(crate) use super::private::exposed;
#[cfg(unix)]
pub use super::private::{Owner, check_private, make_dir_for};

/// How temporary names start; no other name in a directory of ours does, so leftover files can be recognised.
pub const TMP_PREFIX: &str = "tmp-";

/// A temporary name: `tmp-<pid>-<16 hex digits>`.
fn tmp_name() -> OsString {
    let random = u64::from_le_bytes(id::random16()[..8].try_into().unwrap_or_default());
    format!("{TMP_PREFIX}{}-{random:016x}", std::process::id()).into()
}

/// A new file that has no name yet, or a temporary one; removed when dropped.
#[derive(Debug)]
pub struct Pending {
    file: File,
    dir: Dir,
    path: PathBuf,
    temporary: Option<OsString>,
}

/// What became of [`Pending::publish`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Published {
    /// The file has the name.
    New,
    /// The name existed already; that file is unchanged, and the new one is gone.
    Existed,
}

impl Pending {
    /// A new, empty file in `dir`, for reading and writing, mode 0600. It belongs to the caller, whatever the owner of
    /// `dir`.
    ///
    /// # Errors
    /// When the directory cannot be opened, or no file can be created in it.
    pub fn new(dir: &Path) -> Result<Pending> {
        Pending::within(imp::open_dir(dir).at("opening", dir)?, dir)
    }

    /// As [`Pending::new`], in a directory that belongs to `owner`; created by root, the file does too.
    ///
    /// # Errors
    /// As [`Pending::new`]; `Changed` when the directory belongs to another user by now.
    #[cfg(unix)]
    pub fn owned(dir: &Path, owner: Owner) -> Result<Pending> {
        let directory = imp::open_dir(dir).at("opening", dir)?;
        if id::euid() == 0 && Owner::from(&directory.metadata().at("inspecting", dir)?).uid != owner.uid {
            let what = "it was replaced by a directory of another user".into();
            return Err(Error::Changed { path: dir.into(), what });
        }
        let pending = Pending::within(directory, dir)?;
        owner.receive(&pending.file).at("setting the owner of", &pending.path)?;
        Ok(pending)
    }

    fn within(directory: Dir, dir: &Path) -> Result<Pending> {
        match imp::unnamed(&directory).at("making a file in", dir)? {
            Some(file) => {
                Pending { file, dir: directory, path: dir.join("a new file"), temporary: None }.made_private()
            }
            None => Pending::named(directory, dir),
        }
    }

    fn named(directory: Dir, dir: &Path) -> Result<Pending> {
        let name = tmp_name();
        let file = imp::create(&directory, &name).at("making a file in", dir)?;
        let path = dir.join(&name);
        Pending { file, dir: directory, path, temporary: Some(name) }.made_private()
    }

    fn made_private(self) -> Result<Pending> {
        imp::make_private(&self.file).at("setting the mode of", &self.path)?;
        Ok(self)
    }

    /// The file, to be written.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Flushes the file and gives it its name, if the name is free. The directory is not synced.
    ///
    /// # Errors
    /// As fsync(2) and link(2). After a failed fsync the file has no name.
    pub fn publish(mut self, name: &OsStr) -> Result<Published> {
        sync_once(Bug::NoFileSync, || self.file.sync_all()).at("writing", &self.path)?;
        let result = match &self.temporary {
            None => imp::link_unnamed(&self.file, &self.dir, name),
            Some(temporary) => imp::rename_new(&self.dir, temporary, name),
        };
        match result {
            Ok(()) => {
                self.temporary = None;
                Ok(Published::New)
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(Published::Existed),
            Err(e) => Err(e).at("naming", &self.path.with_file_name(name)),
        }
    }

    /// Flushes the file and atomically replaces `name` by it. The directory is not synced.
    ///
    /// # Errors
    /// As fsync(2) and rename(2); what had the name is then unchanged.
    pub fn replace(self, name: &OsStr) -> Result<()> {
        sync_once(Bug::NoFileSync, || self.file.sync_all()).at("writing", &self.path)?;
        self.replace_unsynced(name)
    }

    /// As [`Pending::replace`], for what may be lost or torn by a crash: nothing is flushed.
    ///
    /// # Errors
    /// As rename(2); what had the name is then unchanged.
    pub fn replace_unsynced(mut self, name: &OsStr) -> Result<()> {
        let to = self.path.with_file_name(name);
        if self.temporary.is_none() {
            // A free name is taken directly: then being killed at no moment leaves a temporary one.
            match imp::link_unnamed(&self.file, &self.dir, name) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                done => return done.at("naming", &to),
            }
            let temporary = tmp_name();
            imp::link_unnamed(&self.file, &self.dir, &temporary).at("naming", &to)?;
            self.temporary = Some(temporary); // from here on it is removed on drop
        }
        if let Some(temporary) = &self.temporary {
            imp::rename(&self.dir, temporary, name).at("replacing", &to)?;
        }
        self.temporary = None;
        Ok(())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(name) = &self.temporary {
            let _ = imp::remove(&self.dir, name);
        }
    }
}

/// The absolute path of a file to be created, as [`open::resolve_new`]; a path that can only be a directory is refused.
///
/// # Errors
/// As [`open::resolve_new`]; [`Error::Refused`] for a directory, and for a path that ends in a slash.
pub fn resolve_output(path: &Path) -> Result<PathBuf> {
    let bytes = path.as_os_str().as_bytes();
    let shown = path.display();
    // A link to a directory is a name like others; with a slash at its end, it is the directory.
    if std::fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) {
        return Err(Error::refused(format!("{shown} is a directory"), Cause::IsDirectory(path.into())));
    }
    if bytes.ends_with(b"/") || bytes.ends_with(b"/.") {
        return Err(Error::refused(format!("{shown} is not a directory"), "name a file, without a slash at the end"));
    }
    open::resolve_new(path)
}

/// Makes the names in `dir` durable.
///
/// # Errors
/// As fsync(2): new names may not be there after a crash.
pub fn sync_dir(dir: &Path) -> Result<()> {
    let directory = imp::open_dir(dir).at("opening", dir)?;
    sync_once(Bug::NoDirSync, || imp::sync_dir(&directory)).at("writing", dir)
}

/// Starts writing `len` bytes at `off` to the disk, so that the fsync at the end takes less time; only advice.
pub fn start_writeback(file: &File, off: u64, len: u64) {
    imp::start_writeback(file, off, len);
}

#[cfg(unix)]
mod imp {
    use super::{File, OsStr, Path, io};
    use rustix::fs::{AtFlags, Mode, OFlags, linkat, openat, renameat, unlinkat};
    use rustix::io::{Errno, retry_on_intr};

    use crate::sys::{meta, no_follow};

    /// The directory itself, so that it stays the same one whatever happens to its path.
    pub(super) type Dir = File;

    /// Read and write for the owner, nothing for others.
    const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

    pub(super) fn open_dir(dir: &Path) -> io::Result<File> {
        Ok(no_follow::directory(dir)?)
    }

    pub(super) fn sync_dir(dir: &File) -> io::Result<()> {
        match dir.sync_all() {
            // Some network file systems have no such call for directories, and no names that are not durable.
            Err(e) if e.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => Ok(()),
            done => done,
        }
    }

    /// Where the file system keeps no modes, who may read it is checked before anything is stored.
    pub(super) fn make_private(file: &File) -> io::Result<()> {
        meta::set_mode_where_kept(file, 0o600).map(drop)
    }

    pub(super) fn create(dir: &File, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(retry_on_intr(|| openat(dir, name, flags, PRIVATE))?.into())
    }

    pub(super) fn rename(dir: &File, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(renameat(dir, from, dir, to)?)
    }

    pub(super) fn remove(dir: &File, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(dir, name, AtFlags::empty())?)
    }

    /// Renames without replacing.
    pub(super) fn rename_new(dir: &File, from: &OsStr, to: &OsStr) -> io::Result<()> {
        match rename_no_replace(dir, from, to) {
            // NFS, FUSE and old kernels: a second name never replaces either.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => match linkat(dir, from, dir, to, AtFlags::empty()) {
                Ok(()) => remove(dir, from),
                Err(Errno::PERM | Errno::NOSYS | Errno::NOTSUP | Errno::MLINK) => rename_claimed(dir, from, to),
                Err(e) => Err(e.into()),
            },
            done => Ok(done?),
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

    /// The same where files have one name each: it is claimed by an empty file, which is then replaced. Only that is
    /// left if the process is killed between the two.
    pub(super) fn rename_claimed(dir: &File, from: &OsStr, to: &OsStr) -> io::Result<()> {
        create(dir, to)?;
        rename(dir, from, to).inspect_err(|_| {
            let _ = remove(dir, to);
        })
    }

    /// None where the file system has no files without names, or this system no way to name them.
    #[cfg(target_os = "linux")]
    pub(super) fn unnamed(dir: &File) -> io::Result<Option<File>> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match retry_on_intr(|| openat(dir, ".", flags, PRIVATE)) {
            // EISDIR, ENOENT: kernels before 3.11; EOPNOTSUPP, EINVAL: the file system has none.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL | Errno::NOSYS) => Ok(None),
            made => Ok(Some(made?.into())),
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn unnamed(_dir: &File) -> io::Result<Option<File>> {
        Ok(None)
    }

    #[cfg(target_os = "linux")]
    pub(super) fn link_unnamed(file: &File, dir: &File, name: &OsStr) -> io::Result<()> {
        use std::os::fd::AsRawFd;
        let ours = format!("/proc/self/fd/{}", file.as_raw_fd());
        match linkat(rustix::fs::CWD, ours, dir, name, AtFlags::SYMLINK_FOLLOW) {
            // No /proc here. Root may always do without, others from Linux 6.10 on.
            Err(Errno::NOENT) => Ok(linkat(file, "", dir, name, AtFlags::EMPTY_PATH)?),
            done => Ok(done?),
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn link_unnamed(_file: &File, _dir: &File, _name: &OsStr) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    #[cfg(target_os = "linux")]
    pub(super) fn start_writeback(file: &File, off: u64, len: u64) {
        use std::os::fd::AsRawFd;
        let (Ok(off), Ok(len)) = (off.try_into(), len.try_into()) else { return };
        // SAFETY: sync_file_range(2) touches no memory of ours; the descriptor is open.
        unsafe { libc::sync_file_range(file.as_raw_fd(), off, len, libc::SYNC_FILE_RANGE_WRITE) };
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn start_writeback(_file: &File, _off: u64, _len: u64) {}
}

#[cfg(not(unix))]
mod imp {
    use super::{File, OsStr, Path, PathBuf, io};

    /// The path of the directory.
    pub(super) type Dir = PathBuf;

    pub(super) fn open_dir(dir: &Path) -> io::Result<PathBuf> {
        std::fs::read_dir(dir).map(|_| dir.into())
    }

    /// A directory cannot be flushed here.
    pub(super) fn sync_dir(_dir: &Path) -> io::Result<()> {
        Ok(())
    }

    /// Its readers follow from those of the directory.
    pub(super) fn make_private(_file: &File) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn create(dir: &Path, name: &OsStr) -> io::Result<File> {
        File::options().read(true).write(true).create_new(true).open(dir.join(name))
    }

    pub(super) fn rename(dir: &Path, from: &OsStr, to: &OsStr) -> io::Result<()> {
        std::fs::rename(dir.join(from), dir.join(to))
    }

    pub(super) fn remove(dir: &Path, name: &OsStr) -> io::Result<()> {
        std::fs::remove_file(dir.join(name))
    }

    /// A second name never replaces.
    pub(super) fn rename_new(dir: &Path, from: &OsStr, to: &OsStr) -> io::Result<()> {
        std::fs::hard_link(dir.join(from), dir.join(to))?;
        remove(dir, from)
    }

    pub(super) fn unnamed(_dir: &Path) -> io::Result<Option<File>> {
        Ok(None)
    }

    pub(super) fn link_unnamed(_file: &File, _dir: &Path, _name: &OsStr) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn start_writeback(_file: &File, _off: u64, _len: u64) {}
}

#[cfg(test)]
#[path = "create_test.rs"]
mod tests;
