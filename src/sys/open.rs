//! Opening: what is opened is a regular file, and the one that was named.
//!
//! A path may lead to a FIFO (opening would hang), a device (opening may act) or, a moment later, to something
//! else: so the kind is looked at first, the opening follows no link and does not wait, and the descriptor is
//! asked again. From then on everything goes through the descriptor.

use std::fs::{File, FileType, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::fs::OFlags;
use rustix::io::Errno;

pub use super::no_follow::OpenMode;
use super::{no_follow, proc_maps};
use crate::error::{At, Error, Result};

/// How long an opening waits for a lease: a `memsnap` that captures gives way within 50 ms.
const LEASE_PATIENCE: Duration = Duration::from_secs(2);

/// Opens a target for reading, without touching its access time where the system lets us.
///
/// # Errors
/// When it cannot be opened, is not a regular file, or another process keeps a lease on it.
pub fn target_read(path: &Path) -> Result<File> {
    target(path, OpenMode::Read)
}

/// Opens a target for reading and writing.
///
/// # Errors
/// When it cannot be opened, is not a regular file, or another process keeps a lease on it.
pub fn target_write(path: &Path) -> Result<File> {
    target(path, OpenMode::Both)
}

/// Opens a target to ask what the system knows of it, not to read it: needs no permission for the file, and nobody who
/// has a lease on it is disturbed.
///
/// # Errors
/// When it cannot be found, or is not a regular file.
#[cfg(target_os = "linux")]
pub fn target_name(path: &Path) -> Result<File> {
    let file = match no_follow::name(path) {
        Err(Errno::LOOP) => return Err(new_link(path)),
        opened => opened.at("opening", path)?,
    };
    must_be_regular(path, file.metadata().at("inspecting", path)?.file_type())?;
    Ok(file)
}

/// Opens what there is at `path`, a directory or device too, to ask what the system knows of it: nothing happens to it.
///
/// # Errors
/// When it cannot be found.
#[cfg(target_os = "linux")]
pub fn any_name(path: &Path) -> Result<File> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let open = || rustix::fs::open(path, flags, rustix::fs::Mode::empty());
    Ok(File::from(rustix::io::retry_on_intr(open).at("opening", path)?))
}

/// Opens a target to ask what the system knows of it; elsewhere only of files that may be read.
///
/// # Errors
/// As [`target_read`].
#[cfg(not(target_os = "linux"))]
pub fn any_name(path: &Path) -> Result<File> {
    target_read(path)
}

/// Opens a target to ask what the system knows of it. Here it has to be readable for that.
///
/// # Errors
/// As [`target_read`].
#[cfg(not(target_os = "linux"))]
pub fn target_name(path: &Path) -> Result<File> {
    target_read(path)
}

fn target(path: &Path, access: OpenMode) -> Result<File> {
    // Looked at first because opening a device can act on it, and for the better message; proven below.
    must_be_regular(path, std::fs::symlink_metadata(path).at("opening", path)?.file_type())?;
    let file = open_leased(path, access)?;
    must_be_regular(path, file.metadata().at("inspecting", path)?.file_type())?;
    Ok(file)
}

/// open(2) with O_NONBLOCK says EAGAIN while a lease is being broken; the break goes on all the same.
fn open_leased(path: &Path, access: OpenMode) -> Result<File> {
    let start = Instant::now();
    loop {
        match open_quietly(path, access) {
            Err(Errno::AGAIN) if start.elapsed() < LEASE_PATIENCE => std::thread::sleep(Duration::from_millis(5)),
            Err(Errno::AGAIN) => {
                return Err(Error::Busy {
                    path: path.into(),
                    holder: "somebody holds a lease on it and does not give way".into(),
                    hint: "see who has it open with `memsnap stat`, or try again later".into(),
                });
            }
            Err(Errno::TXTBSY) => return Err(executed(path)),
            Err(Errno::PERM) if access == OpenMode::Both => {
                return Err(marked(path).unwrap_or_else(|| io_error("opening", path, Errno::PERM)));
            }
            Err(Errno::LOOP) => return Err(new_link(path)),
            opened => return opened.at("opening", path),
        }
    }
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
    Error::Busy {
        path: path.into(),
        holder: format!("it is being executed by {by}{more}"),
        hint: "end it first, or make a new file and put it in the place of this one with mv(1)".into(),
    }
}

fn open_quietly(path: &Path, access: OpenMode) -> Result<File, Errno> {
    #[cfg(target_os = "linux")]
    {
        // Only the owner may leave the access time alone; all others get EPERM.
        match no_follow::open_with(path, access, OFlags::NOATIME) {
            Err(Errno::PERM) => {}
            opened => return opened,
        }
    }
    no_follow::open_with(path, access, OFlags::empty())
}

/// Why a file that may be written cannot be opened for it, where it is marked so (chattr(1)).
#[cfg(target_os = "linux")]
fn marked(path: &Path) -> Option<Error> {
    use crate::error::shell_word;
    use rustix::fs::IFlags;
    let file = no_follow::open(path, OpenMode::Read).ok()?;
    let flags = rustix::fs::ioctl_getflags(&file).ok()?;
    let (what, letter) = match () {
        () if flags.contains(IFlags::IMMUTABLE) => ("immutable", 'i'),
        () if flags.contains(IFlags::APPEND) => ("for appending only", 'a'),
        () => return None,
    };
    let hint = format!("if it is to be changed all the same: chattr -{letter} {}", shell_word(path));
    Some(Error::refused(format!("{} is marked as {what}", path.display()), hint))
}

#[cfg(not(target_os = "linux"))]
fn marked(_: &Path) -> Option<Error> {
    None
}

fn io_error(doing: &'static str, path: &Path, source: Errno) -> Error {
    Error::Io { doing, path: path.into(), source: source.into() }
}

fn must_be_regular(path: &Path, kind: FileType) -> Result<()> {
    if kind.is_file() {
        return Ok(());
    }
    let hint = match () {
        () if kind.is_symlink() => "name the file that it points to",
        () if kind.is_dir() => "name the files in it one by one",
        () if kind.is_fifo() => {
            "save what comes out of it in a file, and name that: it is read at any place, and twice"
        }
        () => "name a regular file",
    };
    Err(Error::refused(format!("{} is {}; memsnap works on regular files", path.display(), name_of(kind)), hint))
}

fn name_of(kind: FileType) -> &'static str {
    match () {
        () if kind.is_dir() => "a directory",
        () if kind.is_symlink() => "a symbolic link",
        () if kind.is_fifo() => "a FIFO",
        () if kind.is_socket() => "a socket",
        () if kind.is_block_device() => "a block device",
        () if kind.is_char_device() => "a character device",
        () => "something else",
    }
}

/// The absolute path of an existing file, with all symbolic links followed, once.
///
/// # Errors
/// When there is no such file, or a directory on the way cannot be entered.
pub fn resolve(path: &Path) -> Result<PathBuf> {
    std::fs::canonicalize(path).at("finding", path).map_err(|e| match std::fs::metadata(path) {
        // Open here, without a path of its own: a pipe from `<(...)`, a file that was deleted.
        Ok(found) => must_be_regular(path, found.file_type()).err().unwrap_or_else(|| {
            Error::refused(format!("{} is open, but has no path any more", path.display()), "name a file by its path")
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

/// A file, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    /// Device of the file system; after a restart it may be another.
    pub dev: u64,
    /// Inode number; it may be used again as soon as the file is gone.
    pub ino: u64,
    /// When the inode was made, in nanoseconds since 1970, where the file system keeps it.
    pub born_ns: Option<i128>,
}

impl FileId {
    /// That of the file of this stamp.
    pub fn of(stamp: &Stamp) -> FileId {
        FileId { dev: stamp.dev, ino: stamp.ino, born_ns: stamp.born_ns }
    }
}

/// What the system says of a file at one moment. Equal times prove nothing while a process maps it for writing.
///
/// Not comparable as a whole, as the access time moves by reading: [`Stamp::same_file`], [`Stamp::same_state`].
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// Device of the file system.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Length in bytes.
    pub len: u64,
    /// Blocks of 512 bytes that it takes.
    pub blocks: u64,
    /// File type and permissions, as in `st_mode`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Names that it has.
    pub nlink: u64,
    /// Last read, in nanoseconds since 1970.
    pub atime_ns: i128,
    /// Last change of the contents, in nanoseconds since 1970.
    pub mtime_ns: i128,
    /// Last change of contents or metadata, in nanoseconds since 1970.
    pub ctime_ns: i128,
    /// Creation, in nanoseconds since 1970, where the file system keeps it: reveals a reused inode number.
    pub born_ns: Option<i128>,
}

impl Stamp {
    /// Whether both are of the same inode; a reused inode number counts as another where creation times are kept.
    pub fn same_file(&self, other: &Stamp) -> bool {
        FileId::of(self) == FileId::of(other)
    }

    /// Whether nothing shows a change between the two: same file, length, and times of change.
    pub fn same_state(&self, other: &Stamp) -> bool {
        self.same_file(other)
            && self.len == other.len
            && self.mtime_ns == other.mtime_ns
            && self.ctime_ns == other.ctime_ns
    }
}

impl From<&Metadata> for Stamp {
    fn from(m: &Metadata) -> Stamp {
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

fn nanos(seconds: i64, rest: i64) -> i128 {
    i128::from(seconds) * 1_000_000_000 + i128::from(rest)
}

fn since_epoch(t: SystemTime) -> i128 {
    match t.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_nanos().cast_signed(),
        Err(before) => -before.duration().as_nanos().cast_signed(),
    }
}

/// The stamp of an open file; `path` is for the message.
///
/// # Errors
/// When the system does not say.
pub fn stamp(file: &File, path: &Path) -> Result<Stamp> {
    Ok(Stamp::from(&file.metadata().at("inspecting", path)?))
}

/// The stamp of what `path` names; a symbolic link is not followed.
///
/// # Errors
/// As lstat(2).
pub fn stamp_path(path: &Path) -> io::Result<Stamp> {
    Ok(Stamp::from(&std::fs::symlink_metadata(path)?))
}

/// Whether both paths lead to one file, by whatever name or link.
pub fn same_file(a: &Path, b: &Path) -> bool {
    let at = |path: &Path| std::fs::metadata(path).map(|found| Stamp::from(&found));
    matches!((at(a), at(b)), (Ok(a), Ok(b)) if a.same_file(&b))
}

#[cfg(test)]
#[path = "open_test.rs"]
mod tests;
