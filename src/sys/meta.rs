//! Mode, owner and times of a file, through its descriptor.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Gid, Mode, Timespec, Timestamps, Uid};
use rustix::io::Errno;

/// Sets the times of last access and last change, in nanoseconds since 1970.
///
/// # Errors
/// As futimens(2); `InvalidInput` for a time that the system cannot represent.
pub fn set_times(file: &File, atime_ns: i128, mtime_ns: i128) -> io::Result<()> {
    let times = Timestamps { last_access: timespec(atime_ns)?, last_modification: timespec(mtime_ns)? };
    Ok(rustix::fs::futimens(file, &times)?)
}

fn timespec(ns: i128) -> io::Result<Timespec> {
    let too_far = |_| io::Error::new(io::ErrorKind::InvalidInput, "a time that the system cannot represent");
    let tv_sec = ns.div_euclid(1_000_000_000).try_into().map_err(too_far)?;
    Ok(Timespec { tv_sec, tv_nsec: ns.rem_euclid(1_000_000_000) as _ })
}

/// Sets the permissions, set-id and sticky bits; the file type in `mode` is ignored.
///
/// # Errors
/// As fchmod(2).
pub fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    Ok(rustix::fs::fchmod(file, Mode::from_raw_mode((mode & 0o7777) as _))?)
}

/// As [`set_mode`]; false where the file system keeps none.
///
/// # Errors
/// As [`set_mode`].
pub fn set_mode_where_kept(file: &File, mode: u32) -> io::Result<bool> {
    match set_mode(file, mode) {
        Err(e) if is_unsupported(&e) => Ok(false),
        done => done.map(|()| true),
    }
}

/// Whether file systems without owners and modes fail like this when these are set.
fn is_unsupported(e: &io::Error) -> bool {
    let unsupported = [Errno::PERM, Errno::NOSYS, Errno::NOTSUP, Errno::INVAL];
    unsupported.iter().any(|errno| e.raw_os_error() == Some(errno.raw_os_error()))
}

/// The number of names of a file. What the system has cached for a FUSE file system may be outdated.
pub fn links(file: &File) -> io::Result<u64> {
    let seen = file.metadata()?.nlink();
    if seen > 1 { imp::links(file).or(Ok(seen)) } else { Ok(seen) }
}

/// The creation time of a file in nanoseconds since 1970, which std knows with the GNU C library alone.
pub(super) fn created(file: &File) -> Option<i128> {
    imp::created(file)
}

/// The same of what `path` names; a symbolic link is not followed.
pub(super) fn created_path(path: &Path) -> Option<i128> {
    imp::created_path(path)
}

#[cfg(target_os = "linux")]
mod imp {
    use super::{File, Path, io};
    use rustix::fs::{AtFlags, CWD, Statx, StatxFlags, statx};

    pub(super) fn created(file: &File) -> Option<i128> {
        nanos(&statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::BTIME).ok()?)
    }

    pub(super) fn created_path(path: &Path) -> Option<i128> {
        nanos(&statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BTIME).ok()?)
    }

    fn nanos(found: &Statx) -> Option<i128> {
        let nanos = i128::from(found.stx_btime.tv_sec) * 1_000_000_000 + i128::from(found.stx_btime.tv_nsec);
        (found.stx_mask & StatxFlags::BTIME.bits() != 0).then_some(nanos)
    }

    /// From the file system itself.
    pub(super) fn links(file: &File) -> io::Result<u64> {
        let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_FORCE_SYNC;
        Ok(statx(file, "", flags, StatxFlags::NLINK)?.stx_nlink.into())
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::{File, Path, io};

    pub(super) fn created(_file: &File) -> Option<i128> {
        None
    }

    pub(super) fn created_path(_path: &Path) -> Option<i128> {
        None
    }

    pub(super) fn links(_file: &File) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// The umask of this process, where the system reports it; else 077.
pub fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    mask.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok()).unwrap_or(0o077)
}

/// Sets owner and group. The system then clears set-id bits, so the mode is set after it.
///
/// # Errors
/// As fchown(2): only root may change the owner.
pub fn set_owner(file: &File, uid: u32, gid: u32) -> io::Result<()> {
    // To the system all ones means "do not change", and no user has this number.
    if uid == u32::MAX || gid == u32::MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no such owner"));
    }
    Ok(rustix::fs::fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::open::Stamp;

    /// A program that is linked with another C library takes files for the same that one with GNU's does.
    #[cfg(target_env = "gnu")]
    #[test]
    fn files_are_created_when_std_says() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let std = Stamp::from(&file.as_file().metadata().unwrap()).born_ns;
        assert_eq!((created(file.as_file()), created_path(file.path())), (std, std));
    }

    #[test]
    fn what_is_set_is_read_back() {
        let file = tempfile::tempfile().unwrap();
        set_times(&file, 1_000_000_001, -1_500_000_000).unwrap();
        set_mode(&file, 0o100640).unwrap();
        let stamp = Stamp::from(&file.metadata().unwrap());
        assert_eq!((stamp.atime_ns, stamp.mtime_ns, stamp.mode & 0o7777), (1_000_000_001, -1_500_000_000, 0o640));
        assert!(set_times(&file, i128::MAX, 0).is_err());
        set_owner(&file, stamp.uid, stamp.gid).unwrap();
        assert!(set_owner(&file, u32::MAX, stamp.gid).is_err());
    }
}
