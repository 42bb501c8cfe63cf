//! Holes: finding the data between them, and punching them.

use std::fs::File;
use std::io;

/// Bytes `start..end` of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataRange {
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

/// The next range of data at or after `from` in a file of `len` bytes, as `(start, end)`; none when only holes follow.
/// Where the file system has no holes, all of it is data. A file that shrank below `from` has only holes: compare the
/// length afterwards.
///
/// lseek(2) moves the offset that all duplicates of this descriptor share: only one thread may call this at a time, and
/// all others must read at explicit offsets.
///
/// # Errors
/// As lseek(2).
pub fn next_data(file: &File, from: u64, len: u64) -> io::Result<Option<(u64, u64)>> {
    if from >= len {
        return Ok(None);
    }
    imp::next_data(file, from, len)
}

/// All data of a file of `len` bytes, in order; see [`next_data`].
///
/// # Errors
/// As lseek(2).
pub fn data_ranges(file: &File, len: u64) -> io::Result<Vec<DataRange>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some((start, end)) = next_data(file, at, len)? {
        found.push(DataRange { start, end });
        at = end;
    }
    Ok(found)
}

/// Punches a hole of `len` bytes at `off` (partial blocks become zeros); the length stays. False when this file system
/// has no holes and the caller must write zeros.
///
/// # Errors
/// As fallocate(2).
pub fn punch(file: &File, off: u64, len: u64) -> io::Result<bool> {
    Ok(len == 0 || imp::change(file, Space::Hole, off, len)?)
}

/// Allocates space for `len` bytes at `off`, so that writing them will not fail; a file that ends before them grows,
/// and holes become zeros that take space. False when this file system does not support it.
///
/// # Errors
/// As fallocate(2): no space, or a file too large. The file may have grown partly.
pub fn allocate(file: &File, off: u64, len: u64) -> io::Result<bool> {
    Ok(len == 0 || imp::change(file, Space::Grow, off, len)?)
}

/// As [`allocate`], but the length stays: blocks past the end are reserved too.
///
/// # Errors
/// As fallocate(2).
pub fn reserve(file: &File, off: u64, len: u64) -> io::Result<bool> {
    Ok(len == 0 || imp::change(file, Space::Keep, off, len)?)
}

/// What becomes of the space of a range of a file.
#[derive(Clone, Copy)]
enum Space {
    /// It is given back.
    Hole,
    /// It is allocated, and the file grows up to there.
    Grow,
    /// It is allocated; the length stays.
    Keep,
}

#[cfg(unix)]
mod imp {
    use super::{File, Space, io};
    use rustix::fs::{SeekFrom, seek};
    use rustix::io::Errno;

    pub(super) fn next_data(file: &File, from: u64, len: u64) -> io::Result<Option<(u64, u64)>> {
        let start = match seek(file, SeekFrom::Data(from)) {
            Ok(start) if start >= len => return Ok(None),
            Ok(start) => start.max(from),
            Err(Errno::NXIO) => return Ok(None),
            Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Some((from, len))),
            Err(e) => return Err(e.into()),
        };
        match seek(file, SeekFrom::Hole(start)) {
            Ok(end) if end > start => Ok(Some((start, end.min(len)))),
            // Truncated or punched between the two calls: reading will show what is no longer there.
            Ok(_) | Err(Errno::NXIO | Errno::INVAL) => Ok(Some((start, len))),
            Err(e) => Err(e.into()),
        }
    }

    #[cfg(target_os = "linux")]
    pub(super) fn change(file: &File, space: Space, off: u64, len: u64) -> io::Result<bool> {
        use rustix::fs::{FallocateFlags, fallocate};
        let flags = match space {
            Space::Hole => FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
            Space::Grow => FallocateFlags::empty(),
            Space::Keep => FallocateFlags::KEEP_SIZE,
        };
        match rustix::io::retry_on_intr(|| fallocate(file, flags, off, len)) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(false),
            done => Ok(done.map(|()| true)?),
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn change(_file: &File, _space: Space, _off: u64, _len: u64) -> io::Result<bool> {
        Ok(false)
    }
}

#[cfg(not(unix))]
mod imp {
    use super::{File, Space, io};

    /// As of a file without holes.
    pub(super) fn next_data(_file: &File, from: u64, len: u64) -> io::Result<Option<(u64, u64)>> {
        Ok(Some((from, len)))
    }

    pub(super) fn change(_file: &File, _space: Space, _off: u64, _len: u64) -> io::Result<bool> {
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileExt, MetadataExt};

    #[test]
    fn holes_are_found_and_made() {
        let file = tempfile::tempfile().unwrap();
        let len = 1 << 20;
        file.set_len(len).unwrap();
        if next_data(&file, 0, len).unwrap().is_some() {
            return crate::sys::skipped("no sparse files here");
        }
        file.write_all_at(&[7; 65536], 262_144).unwrap();
        file.write_all_at(&[7; 10], len - 10).unwrap();
        let all = data_ranges(&file, len).unwrap();
        assert_eq!(all[0], DataRange { start: 262_144, end: 327_680 });
        assert_eq!(all[1].end, len);
        assert_eq!(next_data(&file, 300_000, len).unwrap(), Some((300_000, 327_680)));
        assert_eq!(next_data(&file, 0, 262_144 + 5).unwrap(), Some((262_144, 262_149)));
        assert_eq!(next_data(&file, 0, 1000).unwrap(), None);
        assert_eq!(next_data(&file, len, len).unwrap(), None);

        if !punch(&file, 262_144, 65536).unwrap() {
            return crate::sys::skipped("no punching here");
        }
        assert_eq!(data_ranges(&file, len).unwrap().len(), 1);
        let mut page = [1; 4096];
        file.read_exact_at(&mut page, 262_144).unwrap();
        assert_eq!(page, [0; 4096]);
        assert_eq!(file.metadata().unwrap().size(), len);
        assert!(punch(&file, 0, 0).unwrap());
    }

    #[test]
    fn a_pipe_has_no_holes() {
        let (reader, _writer) = std::io::pipe().unwrap();
        let file = File::from(std::os::fd::OwnedFd::from(reader));
        assert!(next_data(&file, 0, 10).is_err());
    }
}
