//! Files whose bytes do not change: sealed memory, clones without a name, and files for which the caller guarantees it.
//!
//! The invariant of [`Sealed`] makes mapping it sound: its bytes and its length stay the same while it, or anything
//! mapped from it, exists. The kernel seals memory against all processes that have a descriptor of it. A [`Draft`] on a
//! disk and a clone have no name, are created here, and their descriptors never leave these types. For any other file
//! the caller guarantees it, in `unsafe`.
#![allow(unsafe_code, reason = "constructors whose callers guarantee something")]

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::ext::FileExt;
use super::sparse;

/// A file whose bytes and length stay the same while this exists, so that it can be mapped and read as `&[u8]`. Clones
/// share one descriptor.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    file: Arc<File>,
    len: u64,
}

impl Sealed {
    /// The file, only for mapping: writing to it would change what is mapped.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Whether `other` is the same, by its descriptor.
    pub(crate) fn is(&self, other: &Sealed) -> bool {
        Arc::ptr_eq(&self.file, &other.file)
    }

    /// Its length, in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Fills `bytes` from `offset` on.
    ///
    /// # Errors
    /// When the file is shorter, or the disk fails.
    pub(crate) fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(bytes, offset)
    }

    /// A clone of `file` without a name, which shares its blocks until they are written (FICLONE): point-in-time, and
    /// without cost. None where the file system does not support or permit that.
    pub(crate) fn clone_of(file: &File) -> Option<Sealed> {
        let clone = imp::clone_beside(file)?;
        let len = clone.metadata().ok()?.len();
        Some(Sealed { file: Arc::new(clone), len })
    }

    /// The file itself.
    ///
    /// # Errors
    /// As fstat(2).
    ///
    /// # Safety
    /// While this and everything mapped from it exists, no process may write to the file or change its length.
    /// Otherwise bytes change behind references, which is undefined behaviour, and reading past a new end kills the
    /// process (SIGBUS). An advisory lock stops only programs that take it.
    pub(crate) unsafe fn promised(file: Arc<File>) -> io::Result<Sealed> {
        let len = file.metadata()?.len();
        Ok(Sealed { file, len })
    }
}

/// The guarantee that only the holder of this changes a file, and only while no [`Sealed`] of it, and nothing mapped
/// from one, exists.
#[derive(Debug)]
pub(crate) struct Promise {
    file: Arc<File>,
}

impl Promise {
    /// For `file`.
    ///
    /// # Safety
    /// For as long as this exists: no other process, and no other code in this one, writes to the file or changes its
    /// length, and the holder does so only while no [`Sealed`] from [`Promise::sealed`], and nothing mapped from one,
    /// exists.
    pub(crate) unsafe fn new(file: File) -> Promise {
        Promise { file: Arc::new(file) }
    }

    /// The file as it is now, and stays until everything mapped from it is dropped.
    ///
    /// # Errors
    /// As fstat(2).
    pub(crate) fn sealed(&self) -> io::Result<Sealed> {
        let len = self.file.metadata()?.len();
        Ok(Sealed { file: self.file.clone(), len })
    }
}

/// A file in memory, or one without a name on a disk, that is being filled. It is mapped only once it is sealed.
#[derive(Debug)]
pub(crate) struct Draft {
    file: File,
    len: u64,
    sealable: bool,
}

impl Draft {
    /// `len` bytes of zeros, in memory.
    ///
    /// # Errors
    /// When no such file can be created.
    pub(crate) fn in_memory(len: u64) -> io::Result<Draft> {
        Draft::in_memory_filled(len, |_| ()).map(|(draft, ())| draft)
    }

    /// The same, with what `fill` writes into it; also returns the result of `fill`. A descriptor of it that `fill`
    /// keeps cannot write any more once it is sealed (on systems without seals it must keep none). Sealing checks that
    /// it is still `len` bytes long.
    ///
    /// # Errors
    /// When no such file can be created.
    pub(crate) fn in_memory_filled<T>(len: u64, fill: impl FnOnce(&File) -> T) -> io::Result<(Draft, T)> {
        let file = imp::memory()?;
        file.set_len(len)?;
        let result = fill(&file);
        Ok((Draft { file, len, sealable: true }, result))
    }

    /// `len` bytes of zeros on a disk: in a file without a name in the directory `dir`.
    ///
    /// # Errors
    /// When no file can be created there, or it cannot be that long.
    pub(crate) fn on_disk(dir: &Path, len: u64) -> io::Result<Draft> {
        let file = tempfile::tempfile_in(dir)?;
        file.set_len(len)?;
        Ok(Draft { file, len, sealable: false })
    }

    /// Writes `bytes` at `offset`.
    ///
    /// # Errors
    /// As pwrite(2).
    pub(crate) fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    /// Ranges that hold data, in order: byte offsets, start and end.
    ///
    /// # Errors
    /// As lseek(2).
    pub(crate) fn stretches(&self) -> io::Result<Vec<(u64, u64)>> {
        Ok(sparse::data_ranges(&self.file, self.len)?.iter().map(|e| (e.start, e.end)).collect())
    }

    /// Ends writing. Memory is sealed: no process that has a descriptor of it can change it.
    ///
    /// # Errors
    /// When sealing fails, as while it is mapped for writing, or it was truncated.
    pub(crate) fn seal(self) -> io::Result<Sealed> {
        if self.sealable {
            imp::seal(&self.file)?;
        }
        if self.file.metadata()?.len() < self.len {
            return Err(io::Error::other("the file in memory was truncated while it was filled"));
        }
        Ok(Sealed { file: Arc::new(self.file), len: self.len })
    }
}

#[cfg(all(target_os = "linux", not(miri)))]
mod imp {
    use std::fs::File;
    use std::io;
    use std::os::fd::AsRawFd;
    use std::path::Path;

    use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags, fcntl_add_seals, ioctl_ficlone, memfd_create, open};
    use rustix::io::Errno;

    pub(super) fn memory() -> io::Result<File> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        // With vm.memfd_noexec = 2 this flag is required; before Linux 6.3 it is unknown.
        let made = match memfd_create("memsnap", flags | MemfdFlags::NOEXEC_SEAL) {
            Err(Errno::INVAL) => memfd_create("memsnap", flags),
            made => made,
        };
        Ok(made.map_err(|e| io::Error::new(e.kind(), format!("creating a file in memory: {e}")))?.into())
    }

    pub(super) fn seal(file: &File) -> io::Result<()> {
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
        Ok(fcntl_add_seals(file, seals)?)
    }

    pub(super) fn clone_beside(file: &File) -> Option<File> {
        let path = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
        let dir = path.parent().filter(|dir| dir.is_absolute()).unwrap_or(Path::new("/"));
        // O_EXCL: it cannot be given a name.
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::EXCL | OFlags::CLOEXEC;
        let clone: File = open(dir, flags, Mode::RUSR | Mode::WUSR).ok()?.into();
        ioctl_ficlone(&clone, file).ok()?;
        Some(clone)
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod imp {
    use std::fs::File;
    use std::io;

    /// A scratch file that has no name.
    pub(super) fn memory() -> io::Result<File> {
        tempfile::tempfile()
    }

    pub(super) fn seal(_file: &File) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn clone_beside(_file: &File) -> Option<File> {
        None
    }
}

#[cfg(all(test, target_os = "linux", not(miri)))]
mod tests {
    use super::*;

    #[test]
    fn sealed_memory_cannot_be_changed() {
        let (draft, clone) = Draft::in_memory_filled(10_000, |file| file.try_clone().unwrap()).unwrap();
        draft.write_all_at(b"there", 5_000).unwrap();
        assert_eq!(draft.stretches().unwrap(), [(4096, 8192)]);
        let sealed = draft.seal().unwrap();
        assert_eq!(sealed.len(), 10_000);
        let again = File::options()
            .write(true)
            .open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(sealed.file())));
        for again in [again.unwrap(), clone] {
            assert_eq!(again.write_at(b"x", 0).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
            assert!(again.set_len(5).is_err());
            assert!(again.set_len(50_000).is_err());
        }
    }

    #[test]
    fn memory_that_was_cut_or_is_mapped_for_writing_is_not_sealed() {
        let (draft, ()) = Draft::in_memory_filled(10_000, |file| file.set_len(0).unwrap()).unwrap();
        draft.seal().unwrap_err();
        let (draft, map) = Draft::in_memory_filled(10_000, |file| memmap2::MmapRaw::map_raw(file).unwrap()).unwrap();
        draft.seal().unwrap_err();
        drop(map);
    }
}
