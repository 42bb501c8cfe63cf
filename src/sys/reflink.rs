//! Whether the file system of a file can share blocks between files.
#![cfg_attr(target_os = "linux", allow(unsafe_code, reason = "ioctls that have no safe wrapper"))]

use std::fs::File;

/// Whether files can share blocks (reflinks) on the file system of `file`; none where only trying it would show.
/// Nothing is written.
pub fn possible(file: &File) -> Option<bool> {
    imp::possible(file)
}

#[cfg(target_os = "linux")]
mod imp {
    use super::File;
    use crate::sys::fs::{self, FsKind};
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
    pub(super) fn possible(_file: &super::File) -> Option<bool> {
        None
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
        }
    }
}
