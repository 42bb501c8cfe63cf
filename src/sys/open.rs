//! Opening a target: a regular file, and the one that was named.
//!
//! A path may lead to a FIFO (opening would hang), a device (opening may act) or, a moment later, to another file: so
//! the type is checked first, opening follows no link and does not wait, and the type of the open file is checked
//! again. From then on everything uses the descriptor.

use std::fs::{File, FileType, Metadata};
use std::io;
use std::path::{Path, PathBuf};

pub use super::open_mode::OpenMode;
use crate::error::{At, Cause, Error, Result};

/// Opens a target for reading, without updating its access time where that is permitted.
///
/// # Errors
/// When it cannot be opened, is not a regular file, or another process holds a lease on it.
pub fn target_read(path: &Path) -> Result<File> {
    target(path, OpenMode::Read)
}

/// Opens a target for reading and writing.
///
/// # Errors
/// When it cannot be opened, is not a regular file, or another process holds a lease on it.
pub fn target_write(path: &Path) -> Result<File> {
    target(path, OpenMode::Both)
}

/// Opens a target for its metadata only: needs no permission for the file, and breaks no lease on it. On other systems
/// than Linux it has to be readable.
///
/// # Errors
/// When it cannot be found, or is not a regular file.
pub fn target_name(path: &Path) -> Result<File> {
    imp::target_name(path)
}

/// Opens what is at `path`, possibly a directory or device, for its metadata only: opening has no effect on it. On
/// other systems than Linux it has to be a target that can be read.
///
/// # Errors
/// When it cannot be found.
pub fn any_name(path: &Path) -> Result<File> {
    imp::any_name(path)
}

fn target(path: &Path, access: OpenMode) -> Result<File> {
    // Checked first because opening a device can act on it, and for a better message; checked again below.
    must_be_regular(path, std::fs::symlink_metadata(path).at("opening", path)?.file_type())?;
    let file = imp::open(path, access)?;
    must_be_regular(path, file.metadata().at("inspecting", path)?.file_type())?;
    Ok(file)
}

fn must_be_regular(path: &Path, kind: FileType) -> Result<()> {
    if kind.is_file() {
        return Ok(());
    }
    let hint = match () {
        () if kind.is_symlink() => "name the file that it points to",
        () if kind.is_dir() => "name the files in it one by one",
        () if imp::special(kind) == "a FIFO" => {
            "save its output in a file, and name that: it is read at any offset, and twice"
        }
        () => "name a regular file",
    };
    Err(Error::refused(format!("{} is {}; memsnap works on regular files", path.display(), name_of(kind)), hint))
}

fn name_of(kind: FileType) -> &'static str {
    match () {
        () if kind.is_dir() => "a directory",
        () if kind.is_symlink() => "a symbolic link",
        () => imp::special(kind),
    }
}

/// The absolute path of an existing file, with all symbolic links followed, once.
///
/// # Errors
/// When there is no such file, or a directory on the path cannot be entered.
pub fn resolve(path: &Path) -> Result<PathBuf> {
    std::fs::canonicalize(path).at("finding", path).map_err(|e| match std::fs::metadata(path) {
        // An open file without a path: a pipe from `<(...)`, a file that was deleted.
        Ok(found) => must_be_regular(path, found.file_type()).err().unwrap_or_else(|| {
            Error::refused(format!("{} is open, but has no path", path.display()), "name a file by its path")
        }),
        Err(_) => e,
    })
}

/// The absolute path of a file that may not exist yet: its directory resolved, its name as it is (a link stays one).
///
/// # Errors
/// When the directory does not exist, or the path ends in no name (`/`, `..`).
pub fn resolve_new(path: &Path) -> Result<PathBuf> {
    let Some(name) = path.file_name() else {
        return Err(Error::refused(format!("{} does not end in a file name", path.display()), "name a file"));
    };
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Ok(std::fs::canonicalize(parent).at("finding", parent)?.join(name))
}

/// The identity of a file, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    /// Device of the file system; it may change at a restart.
    pub dev: u64,
    /// Inode number; it may be reused as soon as the file is removed.
    pub ino: u64,
    /// Creation of the inode, in nanoseconds since 1970, where the file system stores it.
    pub born_ns: Option<i128>,
}

impl FileId {
    /// Returns that of the file of this stamp.
    pub fn of(stamp: &Stamp) -> FileId {
        FileId { dev: stamp.dev, ino: stamp.ino, born_ns: stamp.born_ns }
    }
}

/// The metadata of a file at one moment. Equal times prove nothing while a process has it mapped for writing.
///
/// Not comparable as a whole, as reading changes the access time: see [`Stamp::same_file`] and [`Stamp::same_state`].
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// Device of the file system.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Length in bytes.
    pub len: u64,
    /// Allocated blocks of 512 bytes.
    pub blocks: u64,
    /// File type and permissions, as in `st_mode`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Number of names.
    pub nlink: u64,
    /// Last read, in nanoseconds since 1970.
    pub atime_ns: i128,
    /// Last change of the contents, in nanoseconds since 1970.
    pub mtime_ns: i128,
    /// Last change of contents or metadata, in nanoseconds since 1970.
    pub ctime_ns: i128,
    /// Creation, in nanoseconds since 1970, where the file system stores it: distinguishes a reused inode number.
    pub born_ns: Option<i128>,
}

impl Stamp {
    /// Whether both are of the same inode; a reused number counts as another where creation times are stored.
    pub fn same_file(&self, other: &Stamp) -> bool {
        FileId::of(self) == FileId::of(other)
    }

    /// Whether the two show no change: same file, length, and times of change.
    pub fn same_state(&self, other: &Stamp) -> bool {
        self.same_file(other)
            && self.len == other.len
            && self.mtime_ns == other.mtime_ns
            && self.ctime_ns == other.ctime_ns
    }
}

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Stamp {
        imp::stamp(metadata)
    }
}

/// The stamp of an open file; `path` is for the message.
///
/// # Errors
/// As fstat(2).
pub fn stamp(file: &File, path: &Path) -> Result<Stamp> {
    let stamp = Stamp::from(&file.metadata().at("inspecting", path)?);
    Ok(Stamp { born_ns: stamp.born_ns.or_else(|| imp::created(file)), ..stamp })
}

/// The stamp of what `path` names; a symbolic link is not followed.
///
/// # Errors
/// As lstat(2).
pub fn stamp_path(path: &Path) -> io::Result<Stamp> {
    let stamp = Stamp::from(&std::fs::symlink_metadata(path)?);
    Ok(Stamp { born_ns: stamp.born_ns.or_else(|| imp::created_path(path)), ..stamp })
}

/// Whether both paths lead to the same file, links followed.
pub fn same_file(a: &Path, b: &Path) -> bool {
    let at = |path: &Path| std::fs::metadata(path).map(|found| Stamp::from(&found));
    matches!((at(a), at(b)), (Ok(a), Ok(b)) if a.same_file(&b))
}

#[cfg(unix)]
mod imp {
    use super::{At, Cause, Error, File, FileType, Metadata, OpenMode, Path, Result, Stamp};
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    use std::time::{Duration, Instant};

    use rustix::fs::OFlags;
    use rustix::io::Errno;

    use crate::sys::id::since_epoch;
    pub(super) use crate::sys::meta::{created, created_path};
    use crate::sys::{no_follow, proc_maps};

    /// How long opening waits for a lease: a `memsnap` that captures gives its lease back within 50 ms.
    const LEASE_WAIT: Duration = Duration::from_secs(2);

    /// open(2) with O_NONBLOCK fails with EAGAIN while a lease is being broken; the break goes on all the same.
    pub(super) fn open(path: &Path, mode: OpenMode) -> Result<File> {
        let start = Instant::now();
        loop {
            match open_quietly(path, mode) {
                Err(Errno::AGAIN) if start.elapsed() < LEASE_WAIT => std::thread::sleep(Duration::from_millis(5)),
                Err(Errno::AGAIN) => {
                    let holder = "a process holds a lease on it and does not give it back";
                    return Err(Error::busy(path, holder, Cause::Leased));
                }
                Err(Errno::TXTBSY) => return Err(executed(path)),
                Err(Errno::PERM) if mode == OpenMode::Both => {
                    return marked(path).map_or(Err(Errno::PERM).at("opening", path), Err);
                }
                Err(Errno::LOOP) => return Err(new_link(path)),
                opened => return opened.at("opening", path),
            }
        }
    }

    fn open_quietly(path: &Path, mode: OpenMode) -> Result<File, Errno> {
        // Only the owner may use O_NOATIME; all others get EPERM.
        #[cfg(target_os = "linux")]
        match no_follow::open_with(path, mode, OFlags::NOATIME) {
            Err(Errno::PERM) => {}
            opened => return opened,
        }
        no_follow::open_with(path, mode, OFlags::empty())
    }

    fn new_link(path: &Path) -> Error {
        let what = format!("{} is reached by a symbolic link that was not there before", path.display());
        Error::refused(what, "name the file that is meant, in a directory that only you can change")
    }

    /// The error for a program that runs: its file cannot be opened for writing.
    fn executed(path: &Path) -> Error {
        let mappers = target_name(path).map(|file| proc_maps::mappers(&file).list).unwrap_or_default();
        let mut names = mappers.iter().filter(|mapper| mapper.ranges.iter().any(|range| range.executable));
        let by = names.next().map_or("a process not visible here".into(), |m| format!("{} ({})", m.command, m.pid));
        let more = match names.count() {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        Error::busy(path, format!("it is being executed by {by}{more}"), Cause::Executed)
    }

    /// The error for a file that chattr(1) has made immutable or append-only.
    #[cfg(target_os = "linux")]
    fn marked(path: &Path) -> Option<Error> {
        use rustix::fs::IFlags;
        let file = no_follow::open(path, OpenMode::Read).ok()?;
        let flags = rustix::fs::ioctl_getflags(&file).ok()?;
        let (what, letter) = match () {
            () if flags.contains(IFlags::IMMUTABLE) => ("immutable", 'i'),
            () if flags.contains(IFlags::APPEND) => ("for appending only", 'a'),
            () => return None,
        };
        let cause = Cause::Marked { file: path.into(), letter };
        Some(Error::refused(format!("{} is marked as {what}", path.display()), cause))
    }

    #[cfg(not(target_os = "linux"))]
    fn marked(_: &Path) -> Option<Error> {
        None
    }

    #[cfg(target_os = "linux")]
    pub(super) fn target_name(path: &Path) -> Result<File> {
        let file = match no_follow::name(path) {
            Err(Errno::LOOP) => return Err(new_link(path)),
            opened => opened.at("opening", path)?,
        };
        super::must_be_regular(path, file.metadata().at("inspecting", path)?.file_type())?;
        Ok(file)
    }

    #[cfg(target_os = "linux")]
    pub(super) fn any_name(path: &Path) -> Result<File> {
        let open = || rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, rustix::fs::Mode::empty());
        Ok(File::from(rustix::io::retry_on_intr(open).at("opening", path)?))
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) use super::{target_read as any_name, target_read as target_name};

    pub(super) fn special(kind: FileType) -> &'static str {
        match () {
            () if kind.is_fifo() => "a FIFO",
            () if kind.is_socket() => "a socket",
            () if kind.is_block_device() => "a block device",
            () if kind.is_char_device() => "a character device",
            () => "something else",
        }
    }

    pub(super) fn stamp(m: &Metadata) -> Stamp {
        let nanos = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Stamp {
            dev: m.dev(),
            ino: m.ino(),
            len: m.len(),
            blocks: m.blocks(),
            mode: m.mode(),
            uid: m.uid(),
            gid: m.gid(),
            nlink: m.nlink(),
            atime_ns: nanos(m.atime(), m.atime_nsec()),
            mtime_ns: nanos(m.mtime(), m.mtime_nsec()),
            ctime_ns: nanos(m.ctime(), m.ctime_nsec()),
            born_ns: m.created().ok().map(since_epoch),
        }
    }
}

#[cfg(windows)]
mod imp {
    use super::{At, File, FileType, Metadata, OpenMode, Path, Result, Stamp};
    use std::os::windows::fs::OpenOptionsExt;

    use crate::sys::id::since_epoch;

    /// A symbolic link is opened itself, and then refused.
    const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
    const FILE_SHARE_READ_WRITE: u32 = 3;

    pub(super) fn created(_: &File) -> Option<i128> {
        None
    }

    pub(super) fn created_path(_: &Path) -> Option<i128> {
        None
    }

    /// As long as it is open, no process can rename or remove it, so its path leads to it.
    pub(super) fn open(path: &Path, mode: OpenMode) -> Result<File> {
        let mut options = mode.options();
        options.share_mode(FILE_SHARE_READ_WRITE).custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
        options.open(path).at("opening", path)
    }

    pub(super) use super::{target_read as any_name, target_read as target_name};

    pub(super) fn special(_: FileType) -> &'static str {
        "something else"
    }

    /// The standard library has no number of a file here: only its creation time distinguishes it from others.
    pub(super) fn stamp(m: &Metadata) -> Stamp {
        let time = |time: std::io::Result<_>| time.ok().map(since_epoch);
        let modified = time(m.modified()).unwrap_or_default();
        Stamp {
            dev: 0,
            ino: 0,
            len: m.len(),
            blocks: m.len().div_ceil(512),
            mode: if m.permissions().readonly() { 0o444 } else { 0o666 },
            uid: 0,
            gid: 0,
            nlink: 1,
            atime_ns: time(m.accessed()).unwrap_or_default(),
            mtime_ns: modified,
            ctime_ns: modified,
            born_ns: time(m.created()),
        }
    }
}

#[cfg(test)]
#[path = "open_test.rs"]
mod tests;
