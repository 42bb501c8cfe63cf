//! Files that share blocks: whether the file system of a file has them, and clones.
#![cfg_attr(target_os = "linux", allow(unsafe_code, reason = "ioctls that have no safe wrapper"))]

use std::fs::File;
use std::io;

/// Whether files can share blocks (reflinks) on the file system of `file`; none where only trying it would show.
/// Nothing is written.
pub fn possible(file: &File) -> Option<bool> {
    imp::possible(file)
}

/// Checks that a clone of `file` would be of one moment, and that its extents would say which bytes it shares: XFS and
/// btrfs wait for all writes in flight and let none begin meanwhile. Through overlayfs, or a network, it is not known
/// what a clone is.
///
/// # Errors
/// Why it would not be.
pub fn check(file: &File) -> Result<(), String> {
    imp::check(file)
}

/// Makes `to`, a new and empty file, a clone of `from`: it shares all its blocks. What was written to `from` is flushed
/// to the disk. A file without copy-on-write (btrfs) gets such a clone.
///
/// # Errors
/// As ioctl_ficlone(2). `to` may then hold a part of it.
pub fn clone(from: &File, to: &File) -> io::Result<()> {
    imp::clone(from, to)
}

#[cfg(target_os = "linux")]
mod imp {
    use super::{File, io};
    use crate::sys::fs::{self, FsKind};
    use crate::sys::mount;
    use rustix::fs::{IFlags, ioctl_ficlone, ioctl_getflags, ioctl_setflags};
    use rustix::io::Errno;
    use rustix::ioctl::{Opcode, Updater, ioctl, opcode};

    /// `struct xfs_fsop_geom`, version 4.
    #[repr(C)]
    #[derive(Default)]
    struct Geometry {
        sizes: [u32; 8],
        blocks: [u64; 4],
        uuid: [u8; 16],
        stripes: [u32; 2],
        version: i32,
        flags: u32,
        sectors: [u32; 4],
    }
    const _: () = assert!(size_of::<Geometry>() == 112);
    const XFS_IOC_FSGEOMETRY_V4: Opcode = opcode::read::<Geometry>(b'X', 124);
    const XFS_FSOP_GEOM_FLAGS_REFLINK: u32 = 1 << 20;

    /// `struct file_dedupe_range` that names no other file.
    #[repr(C)]
    #[derive(Default)]
    struct Dedupe {
        offset: u64,
        length: u64,
        dest_count: u16,
        reserved1: u16,
        reserved2: u32,
    }
    const FIDEDUPERANGE: Opcode = opcode::read_write::<Dedupe>(0x94, 54);

    pub(super) fn possible(file: &File) -> Option<bool> {
        match fs::kind(file).ok()? {
            FsKind::Btrfs => Some(true),
            FsKind::Xfs => xfs_has_it(file),
            // A file system without this operation returns EOPNOTSUPP even if nothing is to be shared; one that has it
            // may still refuse.
            _ => (shares_nothing(file) == Err(Errno::OPNOTSUPP)).then_some(false),
        }
    }

    /// `struct fsxattr`.
    #[repr(C)]
    #[derive(Default)]
    struct XfsFlags {
        flags: u32,
        sizes: [u32; 4],
        reserved: [u8; 8],
    }
    const _: () = assert!(size_of::<XfsFlags>() == 28);
    const FS_IOC_FSGETXATTR: Opcode = opcode::read::<XfsFlags>(b'X', 31);
    const FS_XFLAG_REALTIME: u32 = 1;

    pub(super) fn check(file: &File) -> Result<(), String> {
        let kind = mount::of(file).map_or_else(|| "an unknown file system".into(), |mount| mount.kind);
        match (kind.as_str(), fs::kind(file)) {
            ("btrfs", Ok(FsKind::Btrfs)) => Ok(()),
            ("xfs", Ok(FsKind::Xfs)) if xfs_has_it(file) == Some(false) => {
                Err("this xfs was made without reflinks".into())
            }
            // Two files of which one is on the realtime device may have the same offsets.
            ("xfs", Ok(FsKind::Xfs)) if is_realtime(file) => Err("it is on the realtime device of its xfs".into()),
            ("xfs", Ok(FsKind::Xfs)) => Ok(()),
            _ => Err(format!("{kind} has no clones of one moment")),
        }
    }

    fn is_realtime(file: &File) -> bool {
        let mut found = XfsFlags::default();
        // SAFETY: FS_IOC_FSGETXATTR fills in a struct with the layout of `XfsFlags`, in which any bytes are valid.
        let update = unsafe { Updater::<FS_IOC_FSGETXATTR, XfsFlags>::new(&mut found) };
        // SAFETY: the operation is the one that the type above was made for; the descriptor is open.
        unsafe { ioctl(file, update) }.is_err() || found.flags & FS_XFLAG_REALTIME != 0
    }

    pub(super) fn clone(from: &File, to: &File) -> io::Result<()> {
        // btrfs shares no blocks between a file with copy-on-write and one without. The flag of an empty file can be
        // changed; a new one has that of its directory.
        if let (Ok(wanted), Ok(found)) = (ioctl_getflags(from), ioctl_getflags(to))
            && (wanted ^ found).contains(IFlags::NOCOW)
        {
            ioctl_setflags(to, found ^ IFlags::NOCOW)?;
        }
        Ok(ioctl_ficlone(to, from)?)
    }

    /// It is chosen when the XFS is created.
    fn xfs_has_it(file: &File) -> Option<bool> {
        let mut geometry = Geometry::default();
        // SAFETY: XFS_IOC_FSGEOMETRY_V4 fills in a struct with the layout of `Geometry`, in which any bytes are valid.
        let update = unsafe { Updater::<XFS_IOC_FSGEOMETRY_V4, Geometry>::new(&mut geometry) };
        // SAFETY: the operation is the one that the type above was made for; the descriptor is open, and on an XFS.
        unsafe { ioctl(file, update) }.ok()?;
        Some(geometry.flags & XFS_FSOP_GEOM_FLAGS_REFLINK != 0)
    }

    fn shares_nothing(file: &File) -> Result<(), Errno> {
        let mut request = Dedupe::default();
        // SAFETY: FIDEDUPERANGE reads and writes a `file_dedupe_range` with as many entries after it as `dest_count`
        // says: none.
        let update = unsafe { Updater::<FIDEDUPERANGE, Dedupe>::new(&mut request) };
        // SAFETY: the operation is the one that the type above was made for; the descriptor is open.
        unsafe { ioctl(file, update) }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::{File, io};

    pub(super) fn possible(_file: &File) -> Option<bool> {
        None
    }

    pub(super) fn check(_file: &File) -> Result<(), String> {
        Err("this system has no clones of one moment".into())
    }

    pub(super) fn clone(_from: &File, _to: &File) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::sys::fs::{FsKind, kind};

    #[test]
    fn as_far_as_it_is_known() {
        let file = tempfile::tempfile().unwrap();
        match kind(&file).unwrap() {
            FsKind::Btrfs => assert_eq!(possible(&file), Some(true)),
            FsKind::Ext4 => assert_eq!(possible(&file), Some(false)),
            _ => crate::sys::skipped("not on ext4 or btrfs"),
        }
        if let Ok(memory) = tempfile::tempfile_in("/dev/shm") {
            assert_eq!(possible(&memory), Some(false));
            assert_eq!(check(&memory), Err("tmpfs has no clones of one moment".into()));
            assert!(clone(&memory, &file).is_err());
        }
    }
}
