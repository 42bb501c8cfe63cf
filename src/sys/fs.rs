//! Which file system a file is on, and how much space is left there.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::io::Errno;

use crate::error::{At, Result};

/// The file systems that memsnap distinguishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FsKind {
    /// ext2, ext3 or ext4.
    Ext4,
    /// XFS.
    Xfs,
    /// btrfs.
    Btrfs,
    /// F2FS.
    F2fs,
    /// Files in memory.
    Tmpfs,
    /// Layers over another file system, as in containers.
    Overlay,
    /// A file system in user space.
    Fuse,
    /// NFS.
    Nfs,
    /// SMB.
    Cifs,
    /// Ceph.
    Ceph,
    /// 9P, as between a virtual machine and its host.
    Plan9,
    /// Any other, with its number in statfs(2).
    Other(i64),
}

impl FsKind {
    /// Whether a granted lease proves that no process writes. Overlayfs and FUSE grant it wrongly; a network file
    /// system does not know of other machines.
    ///
    /// On tmpfs it proves only that no process has the file open or mapped: pages that a program has pinned for the
    /// kernel to write to (fixed buffers of io_uring) stay writable after that, and nothing shows that a page is
    /// pinned. On the others no page of a file can be pinned for long.
    pub fn lease_proves_no_writes(&self) -> bool {
        matches!(self, FsKind::Ext4 | FsKind::Xfs | FsKind::Btrfs | FsKind::F2fs)
    }

    /// Whether no process can open or map a file for writing while a lease is held.
    pub fn lease_blocks_opening(&self) -> bool {
        self.lease_proves_no_writes() || *self == FsKind::Tmpfs
    }

    /// Whether files have the length that the system reports. Those that the kernel generates when they are read (as in
    /// /proc and /sys) have none, or a meaningless one.
    pub fn has_lengths(&self) -> bool {
        // proc, sysfs, cgroup, cgroup2, debugfs, tracefs, securityfs, configfs.
        const GENERATED: [i64; 8] =
            [0x9fa0, 0x6265_6572, 0x0027_e0eb, 0x6367_7270, 0x6462_6720, 0x7472_6163, 0x7363_6673, 0x6265_6570];
        !matches!(self, FsKind::Other(magic) if GENERATED.contains(magic))
    }

    /// Whether the same files may be used where a flock is not seen: on other machines, depending on how it is mounted
    /// there and here (NFS with `local_lock`, CIFS with `nobrl`), or behind a FUSE program.
    pub fn may_hide_locks(&self) -> bool {
        matches!(self, FsKind::Nfs | FsKind::Cifs | FsKind::Ceph | FsKind::Plan9 | FsKind::Fuse)
    }

    /// Its name in messages.
    pub fn name(&self) -> &'static str {
        match self {
            FsKind::Ext4 => "ext4",
            FsKind::Xfs => "xfs",
            FsKind::Btrfs => "btrfs",
            FsKind::F2fs => "f2fs",
            FsKind::Tmpfs => "tmpfs",
            FsKind::Overlay => "overlayfs",
            FsKind::Fuse => "fuse",
            FsKind::Nfs => "nfs",
            FsKind::Cifs => "cifs",
            FsKind::Ceph => "ceph",
            FsKind::Plan9 => "9p",
            FsKind::Other(_) => "another file system",
        }
    }

    /// From the magic number of statfs(2); all have 32 bits, whatever type the system uses.
    #[cfg(target_os = "linux")]
    fn of_magic(magic: u32) -> FsKind {
        match magic {
            0x0000_EF53 => FsKind::Ext4,
            0x5846_5342 => FsKind::Xfs,
            0x9123_683E => FsKind::Btrfs,
            0xF2F5_2010 => FsKind::F2fs,
            0x0102_1994 => FsKind::Tmpfs,
            0x794C_7630 => FsKind::Overlay,
            0x6573_5546 => FsKind::Fuse,
            0x0000_6969 => FsKind::Nfs,
            0xFF53_4D42 | 0xFE53_4D42 | 0x0000_517B => FsKind::Cifs,
            0x00C3_6400 => FsKind::Ceph,
            0x0102_1997 => FsKind::Plan9,
            other => FsKind::Other(i64::from(other)),
        }
    }
}

/// The file system that `file` is on.
///
/// # Errors
/// As fstatfs(2).
#[cfg(target_os = "linux")]
pub fn kind(file: &File) -> io::Result<FsKind> {
    Ok(FsKind::of_magic(rustix::fs::fstatfs(file)?.f_type as u32))
}

/// The file system that `file` is on: unknown on this system.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn kind(_file: &File) -> io::Result<FsKind> {
    Ok(FsKind::Other(0))
}

/// Space on a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that an unprivileged user can still write; a quota may be tighter.
    pub free: u64,
    /// Bytes in all.
    pub total: u64,
}

/// Space on the file system of `dir`.
///
/// # Errors
/// As statvfs(3).
pub fn space(dir: &Path) -> Result<Space> {
    let stat = rustix::fs::statvfs(dir).at("reading the free space of", dir)?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Ok(Space { free: bytes(stat.f_bavail), total: bytes(stat.f_blocks) })
}

/// Whether a system reports this error for a disk that has lost bytes.
pub(crate) fn means_lost_bytes(error: &io::Error) -> bool {
    #[cfg(target_os = "linux")]
    const LOST: [Errno; 6] = [Errno::IO, Errno::NODATA, Errno::ILSEQ, Errno::BADMSG, Errno::UCLEAN, Errno::REMOTEIO];
    #[cfg(not(target_os = "linux"))]
    const LOST: [Errno; 3] = [Errno::IO, Errno::ILSEQ, Errno::BADMSG];
    Errno::from_io_error(error).is_some_and(|errno| LOST.contains(&errno))
}

/// Whether this process may write up to byte `end` of a file (`ulimit -f`).
///
/// # Errors
/// That of a write past the limit.
pub fn may_write_to(end: u64) -> io::Result<()> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
    if limit.is_some_and(|limit| end > limit) { Err(Errno::FBIG.into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_places() {
        let Ok(shm) = File::open("/dev/shm") else {
            return crate::sys::skipped("no /dev/shm");
        };
        assert_eq!(kind(&shm).unwrap(), FsKind::Tmpfs);
        assert!(!kind(&shm).unwrap().lease_proves_no_writes() && kind(&shm).unwrap().lease_blocks_opening());
        let proc = kind(&File::open("/proc").unwrap()).unwrap();
        assert_eq!(proc, FsKind::Other(0x9FA0));
        assert!(FsKind::of_magic(0xFE53_4D42).may_hide_locks() && FsKind::of_magic(0x6969).may_hide_locks());
        assert!(!kind(&shm).unwrap().may_hide_locks() && !proc.may_hide_locks());
        assert!(
            !proc.lease_proves_no_writes()
                && !FsKind::Overlay.lease_proves_no_writes()
                && !FsKind::Fuse.lease_proves_no_writes()
        );
        assert!(
            FsKind::Ext4.lease_blocks_opening()
                && !FsKind::Overlay.lease_blocks_opening()
                && !FsKind::Fuse.lease_blocks_opening()
        );
    }

    #[test]
    fn there_is_room() {
        let space = space(&std::env::temp_dir()).unwrap();
        assert!(space.total >= space.free && space.total > 0);
        assert!(super::space(Path::new("/none/such")).is_err());
    }
}
