//! Where the bytes of a file are on its device, as FIEMAP reports.
#![cfg_attr(target_os = "linux", allow(unsafe_code, reason = "FS_IOC_FIEMAP has no safe wrapper"))]

use std::fs::File;
use std::io;

/// A contiguous run of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Offset in the file.
    pub logical: u64,
    /// Offset on the device; meaningless where [`Extent::is_unplaced`].
    pub physical: u64,
    /// Bytes; may reach past the end of the file.
    pub len: u64,
    /// As in linux/fiemap.h.
    pub flags: u32,
}

impl Extent {
    const LAST: u32 = 0x1;
    const UNKNOWN: u32 = 0x2;
    const DELALLOC: u32 = 0x4;
    const ENCODED: u32 = 0x8;
    const INLINE: u32 = 0x200;
    const UNWRITTEN: u32 = 0x800;
    const MERGED: u32 = 0x1000;
    const SHARED: u32 = 0x2000;

    /// Whether its bytes are just those of the device, from [`Extent::physical`] on: nothing is known of it but that it
    /// is the last one, shared, or joined from several blocks.
    pub fn is_plain(&self) -> bool {
        self.flags & !(Extent::LAST | Extent::MERGED | Extent::SHARED) == 0
    }

    /// Whether other files, or other offsets, share its blocks: reflinks.
    pub fn is_shared(&self) -> bool {
        self.flags & Extent::SHARED != 0
    }

    /// Whether it was allocated and never written: it is read as zeros.
    pub fn is_unwritten(&self) -> bool {
        self.flags & Extent::UNWRITTEN != 0
    }

    /// Whether it has no place on the device yet: written, and not flushed.
    pub fn is_unplaced(&self) -> bool {
        self.flags & (Extent::UNKNOWN | Extent::DELALLOC) != 0
    }

    /// Whether the file system compressed or encrypted it.
    pub fn is_encoded(&self) -> bool {
        self.flags & Extent::ENCODED != 0
    }

    /// Whether it is stored in the inode.
    pub fn is_inline(&self) -> bool {
        self.flags & Extent::INLINE != 0
    }

    /// Whether it is another fragment than `before`: it is neither directly behind it on the device nor, with a hole
    /// between them, where the hole would end.
    pub fn is_apart_from(&self, before: &Extent) -> bool {
        let behind = before.physical.wrapping_add(before.len);
        let beyond = before.physical.wrapping_add(self.logical.wrapping_sub(before.logical));
        self.physical != behind && self.physical != beyond
    }
}

/// Whether `file` has more than `most` extents; none are counted past that.
///
/// # Errors
/// As [`each`].
pub fn are_more_than(file: &File, most: u64) -> io::Result<bool> {
    let mut count = 0;
    imp::each(file, &mut |_| {
        count += 1;
        count <= most
    })?;
    Ok(count > most)
}

/// Calls `each` with every extent of `file`, ascending. Nothing is flushed: what has no place yet is reported as such.
///
/// # Errors
/// `Unsupported` where the file system does not report it, as tmpfs; as ioctl(2).
pub fn each(file: &File, each: &mut dyn FnMut(Extent)) -> io::Result<()> {
    imp::each(file, &mut |extent| {
        each(extent);
        true
    })
}

#[cfg(target_os = "linux")]
mod imp {
    use super::{Extent, File, io};
    use rustix::ioctl::{Opcode, Updater, ioctl, opcode};

    /// Extents asked for in one call: 28 KiB.
    const MANY: usize = 512;
    /// The size encoded in it is that of the head alone.
    const FS_IOC_FIEMAP: Opcode = opcode::read_write::<Head>(b'f', 11);

    #[repr(C)]
    #[derive(Clone, Copy, Default)]
    struct Head {
        start: u64,
        length: u64,
        flags: u32,
        mapped_extents: u32,
        extent_count: u32,
        reserved: u32,
    }

    #[repr(C)]
    #[derive(Clone, Copy, Default)]
    struct Raw {
        logical: u64,
        physical: u64,
        length: u64,
        reserved64: [u64; 2],
        flags: u32,
        reserved: [u32; 3],
    }

    #[repr(C)]
    struct FiemapRequest {
        head: Head,
        extents: [Raw; MANY],
    }

    /// Until `each` returns false.
    pub(super) fn each(file: &File, each: &mut dyn FnMut(Extent) -> bool) -> io::Result<()> {
        let mut start = 0;
        loop {
            let found = ask(file, start)?;
            for raw in &found {
                let extent = Extent { logical: raw.logical, physical: raw.physical, len: raw.length, flags: raw.flags };
                if !each(extent) {
                    return Ok(());
                }
            }
            let Some(last) = found.last() else { return Ok(()) };
            let next = last.logical.saturating_add(last.length);
            // A program may be changing the file: always move on.
            if last.flags & Extent::LAST != 0 || next <= start {
                return Ok(());
            }
            start = next;
        }
    }

    fn ask(file: &File, start: u64) -> io::Result<Vec<Raw>> {
        let head = Head { start, length: u64::MAX - start, extent_count: MANY as u32, ..Head::default() };
        let mut request = Box::new(FiemapRequest { head, extents: [Raw::default(); MANY] });
        // SAFETY: FS_IOC_FIEMAP reads a `fiemap` head and writes it back with at most `extent_count` extents after it;
        // `FiemapRequest` has that layout and room for as many, and any bytes are valid in it.
        let update = unsafe { Updater::<FS_IOC_FIEMAP, FiemapRequest>::new(&mut request) };
        // SAFETY: the operation is the one that the type above was made for; the descriptor is open.
        unsafe { ioctl(file, update) }?;
        Ok(request.extents[..(request.head.mapped_extents as usize).min(MANY)].to_vec())
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    pub(super) fn each(_file: &super::File, _each: &mut dyn FnMut(super::Extent) -> bool) -> super::io::Result<()> {
        Err(super::io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    fn all(file: &File) -> Option<Vec<Extent>> {
        let mut found = Vec::new();
        match each(file, &mut |extent| found.push(extent)) {
            Err(e) if e.kind() == io::ErrorKind::Unsupported => {
                crate::sys::skipped("no FIEMAP here");
                None
            }
            done => done.map(|()| Some(found)).unwrap(),
        }
    }

    #[test]
    fn more_extents_than_one_call_gives() {
        let file = tempfile::tempfile().unwrap();
        // Every other page: no two of them are one extent.
        for i in 0..600 {
            file.write_all_at(&[1; 4096], i * 8192).unwrap();
        }
        file.sync_all().unwrap();
        let Some(found) = all(&file) else { return };
        assert!(found.windows(2).all(|w| w[0].logical + w[0].len <= w[1].logical), "{found:?}");
        if found.len() < 600 {
            return crate::sys::skipped("blocks larger than a page");
        }
        assert_eq!(found.iter().map(|e| e.len).sum::<u64>(), 600 * 4096);
        assert!(are_more_than(&file, 599).unwrap() && !are_more_than(&file, 600).unwrap());
        assert!(!found.iter().any(|e| e.is_shared() || e.is_unplaced()), "{found:?}");
    }

    #[test]
    fn space_that_was_never_written() {
        let file = tempfile::tempfile().unwrap();
        if !crate::sys::sparse::allocate(&file, 0, 1 << 20).unwrap() {
            return crate::sys::skipped("no fallocate here");
        }
        let Some(found) = all(&file) else { return };
        assert!(!found.is_empty() && found.iter().all(Extent::is_unwritten), "{found:?}");
    }

    #[test]
    fn fragments() {
        let at = |logical, physical| Extent { logical, physical, len: 4096, flags: 0 };
        assert!(!at(4096, 104_096).is_apart_from(&at(0, 100_000)));
        assert!(!at(8192, 108_192).is_apart_from(&at(0, 100_000)), "where the hole would end");
        assert!(!at(8192, 104_096).is_apart_from(&at(0, 100_000)), "right behind");
        assert!(at(4096, 0).is_apart_from(&at(0, 100_000)));
    }
}
