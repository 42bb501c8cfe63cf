//! What the kernel shows of an open file that nothing writes to: its ctime, and that none of its pages are dirty.
//!
//! ext4, XFS and btrfs write-protect a page when it is written to the disk. The next store to it through a map faults,
//! and the fault moves ctime before the page becomes writable (`file_update_time` in each `page_mkwrite`); write(2),
//! fallocate(2) and truncate(2) move it when they begin, and no call sets it. A page that is dirty already is stored to
//! without a fault. So a file none of whose pages are dirty, and whose ctime stays the same, is not being written: as
//! far as ctime can show two changes that follow each other, for which Linux 6.13 was the first (multigrain
//! timestamps).
//!
//! `capture::quiet` has the sequence that rests on this, and docs/design.md the ways in which it is wrong.

use std::fs::File;
use std::io;
use std::path::PathBuf;

/// Why ctime and dirty pages show nothing of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blind {
    /// The file system does not write-protect pages that it has written, or is not known to.
    FileSystem(String),
    /// The kernel is too old: this release.
    Kernel(String),
    /// Stores reach the medium directly.
    Dax,
    /// The kernel swaps to it.
    Swap,
    /// Its file system is mounted read-only, perhaps since an error.
    ReadOnly,
    /// The time stamps of its file system are too coarse.
    Coarse,
    /// Whether they are cannot be tried: no file can be made on its file system.
    Untried(String),
}

impl std::fmt::Display for Blind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Blind::FileSystem(kind) => write!(f, "{kind} does not show whether a file is quiet"),
            Blind::Kernel(release) => write!(f, "Linux {release} does not show whether a file is quiet (6.13 does)"),
            Blind::Dax => f.write_str("a DAX file does not show whether it is quiet"),
            Blind::Swap => f.write_str("it is in use as swap space"),
            Blind::ReadOnly => f.write_str("its file system is read-only"),
            Blind::Coarse => f.write_str("the time stamps of its file system are too coarse"),
            Blind::Untried(why) => write!(f, "the time stamps of its file system could not be tried: {why}"),
        }
    }
}

/// Checks that ctime and dirty pages of `file` show each write. `dirs` are directories where an unnamed file may be
/// made to try the time stamps; those on other file systems are passed over.
///
/// # Errors
/// Why they do not.
pub fn check(file: &File, dirs: &[PathBuf]) -> Result<(), Blind> {
    imp::check(file, dirs)
}

/// Writes the content of `file` to the disk, as fdatasync(2).
///
/// # Errors
/// As fdatasync(2). The kernel reports a write that failed once: what the file holds is not known then.
pub fn flush(file: &File) -> io::Result<()> {
    file.sync_data()
}

#[cfg(target_os = "linux")]
mod imp {
    use super::{Blind, File, PathBuf, io};
    use std::collections::BTreeMap;
    use std::ffi::OsString;
    use std::io::Write;
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::fs::MetadataExt;
    use std::sync::{Mutex, PoisonError};

    use rustix::fs::{AtFlags, StatVfsMountFlags, StatxAttributes, StatxFlags, fstatvfs, statx};

    use crate::sys::mount::{self, unescaped};

    /// Those that write-protect a page when they clean it. ext2 and ext3 share the magic number of ext4, and are told
    /// apart by the name of what is mounted.
    const SHOWN: [&str; 3] = ["ext4", "xfs", "btrfs"];
    /// Linux with multigrain timestamps.
    const RELEASE: (u32, u32) = (6, 13);
    /// How often the time stamps are tried.
    const TRIES: usize = 3;

    pub(super) fn check(file: &File, dirs: &[PathBuf]) -> Result<(), Blind> {
        let kind = mount::of(file).map_or_else(|| "an unknown file system".into(), |mount| mount.kind);
        if !SHOWN.contains(&kind.as_str()) {
            return Err(Blind::FileSystem(kind));
        }
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        if parse_release(&release).is_none_or(|release| release < RELEASE) {
            return Err(Blind::Kernel(release));
        }
        // A file system that does not answer is not known to show anything.
        let unknown = |e: io::Error| Blind::FileSystem(format!("{kind} ({e})"));
        if fstatvfs(file).map_err(|e| unknown(e.into()))?.f_flag.contains(StatVfsMountFlags::RDONLY) {
            return Err(Blind::ReadOnly);
        }
        let found = statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS).map_err(|e| unknown(e.into()))?;
        if found.stx_attributes.contains(StatxAttributes::DAX) {
            return Err(Blind::Dax);
        }
        let meta = file.metadata().map_err(unknown)?;
        if is_swap(&meta) {
            return Err(Blind::Swap);
        }
        // Old inodes of ext4 may lack the room for nanoseconds that new ones have.
        if meta.ctime_nsec() == 0 {
            return Err(Blind::Coarse);
        }
        tried(meta.dev(), kind, dirs)
    }

    /// The answers of [`try_stamps`], by device and kind of file system.
    static TRIED: Mutex<BTreeMap<(u64, String), Result<(), Blind>>> = Mutex::new(BTreeMap::new());

    /// Tries the time stamps of a file system once: later it may be frozen, and to make a file would wait for its end.
    fn tried(dev: u64, kind: String, dirs: &[PathBuf]) -> Result<(), Blind> {
        let mut tried = TRIED.lock().unwrap_or_else(PoisonError::into_inner);
        match tried.get(&(dev, kind.clone())) {
            Some(answer) => answer.clone(),
            None => {
                let answer = try_stamps(dev, dirs);
                if !matches!(answer, Err(Blind::Untried(_))) {
                    tried.insert((dev, kind), answer.clone());
                }
                answer
            }
        }
    }

    /// `6.18.0-rc1` is (6, 18).
    pub(super) fn parse_release(release: &str) -> Option<(u32, u32)> {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit());
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }

    /// A swap file whose name was removed may be any file.
    fn is_swap(file: &std::fs::Metadata) -> bool {
        let swaps = std::fs::read("/proc/swaps").unwrap_or_default();
        let paths = swaps.split(|b| *b == b'\n').skip(1).filter_map(|line| line.split(u8::is_ascii_whitespace).next());
        paths.map(unescaped).any(|path| {
            let removed = path.ends_with(b" (deleted)");
            let swap = PathBuf::from(OsString::from_vec(path)).metadata();
            swap.map_or(removed, |swap| (swap.dev(), swap.ino()) == (file.dev(), file.ino()))
        })
    }

    /// Each of several writes that follow a look must move ctime.
    fn try_stamps(dev: u64, dirs: &[PathBuf]) -> Result<(), Blind> {
        let mut why = Blind::Untried("no directory of it is known".into());
        for dir in dirs.iter().filter(|dir| dir.metadata().is_ok_and(|dir| dir.dev() == dev)) {
            match tempfile::tempfile_in(dir).and_then(stamps_are_fine) {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(Blind::Coarse),
                Err(e) => why = Blind::Untried(e.to_string()),
            }
        }
        Err(why)
    }

    fn stamps_are_fine(mut file: File) -> io::Result<bool> {
        let ctime = |file: &File| file.metadata().map(|found| (found.ctime(), found.ctime_nsec()));
        let mut before = ctime(&file)?;
        for _ in 0..TRIES {
            file.write_all(&[1])?;
            let after = ctime(&file)?;
            if after == before {
                return Ok(false);
            }
            before = after;
        }
        Ok(true)
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::{Blind, File, PathBuf};

    pub(super) fn check(_file: &File, _dirs: &[PathBuf]) -> Result<(), Blind> {
        Err(Blind::FileSystem("this system".into()))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn releases() {
        assert_eq!(imp::parse_release("6.18.0-rc1+"), Some((6, 18)));
        assert_eq!(imp::parse_release("6.8-generic"), Some((6, 8)));
        assert_eq!(imp::parse_release("unknown"), None);
    }

    #[test]
    fn memory_shows_nothing() {
        let Ok(file) = tempfile::tempfile_in("/dev/shm") else { return crate::sys::skipped("no /dev/shm") };
        assert_eq!(check(&file, &[PathBuf::from("/dev/shm")]), Err(Blind::FileSystem("tmpfs".into())));
    }
}
