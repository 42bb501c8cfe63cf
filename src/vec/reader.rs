//! A persistent vector that is read as a slice.

use std::marker::PhantomData;
use std::ops::Deref;
use std::path::Path;

use zerocopy::FromBytes;

use super::file::VecFile;
use super::format::ELEMENTS;
use super::persistence::PersistenceFile;
use super::typed::{Options, Plain, copy_of, in_memory, must_hold};
use crate::error::{At, Result};
use crate::mem::Snapshot;

/// The elements of a file, as a `[T]`.
///
/// ```
/// use memsnap::vec::{Options, PersistentVec, VecReader};
///
/// # fn main() -> memsnap::Result<()> {
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("numbers");
/// // SAFETY: no other program uses the file.
/// let mut numbers = unsafe { PersistentVec::<u32>::create(&path, &Options::default()) }?;
/// numbers.extend([3, 1, 2])?;
/// numbers.sort();
/// numbers.commit()?;
/// drop(numbers);
///
/// let numbers = VecReader::<u32>::open_copy(&path, &Options::default())?;
/// assert_eq!(*numbers, [1, 2, 3]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct VecReader<T> {
    bytes: Snapshot,
    /// Holds the lock while the file itself is mapped.
    _file: Option<VecFile>,
    elements: PhantomData<T>,
}

impl<T: Plain> VecReader<T> {
    /// Maps the file without copying it, and holds its shared lock.
    ///
    /// # Errors
    /// As [`VecReader::open_copy`], but for the copy.
    ///
    /// # Safety
    /// While this exists, no process may write to the file or truncate it: bytes would change behind `&[T]`, and
    /// reading past a new end ends the process (SIGBUS). Everything in this crate that writes to such files takes the
    /// lock that this holds; other programs need not.
    #[allow(unsafe_code, unsafe_op_in_unsafe_fn, reason = "the promise is handed on as it is")]
    pub unsafe fn open(path: &Path, options: &Options) -> Result<VecReader<T>> {
        let file = VecFile::open(path, options.wait)?;
        must_hold::<T>(&file, options)?;
        let doing = "mapping";
        let len = in_memory(file.byte_len()).at(doing, &file.path)?;
        let compose = match file.is_unfinished() {
            true => copy_of(&file, len),
            false => {
                let mapped = file.file.try_clone().at(doing, &file.path)?;
                Snapshot::compose(len).share(0, mapped, ELEMENTS, len)
            }
        };
        let bytes = compose.and_then(|compose| compose.build()).at(doing, &file.path)?;
        Ok(VecReader { bytes, _file: Some(file), elements: PhantomData })
    }

    /// Takes a snapshot of the elements: shared blocks where the file system can do that, else a copy. No lock is held
    /// afterwards, and later commits do not show. An interrupted commit is read as done if it was sealed, else as never
    /// begun; nothing is written.
    ///
    /// # Errors
    /// [`Error::Busy`](crate::Error::Busy) while a writer has the file open; [`Error::Refused`](crate::Error::Refused)
    /// when it is no persistent vector, has elements of another type, another byte order, or is half changed by an
    /// interrupted memsnap; [`Error::Damaged`](crate::Error::Damaged) or
    /// [`Error::Version`](crate::Error::Version) when it cannot be used; [`Error::Io`](crate::Error::Io) when it cannot
    /// be read, or there is no memory for the copy.
    pub fn open_copy(path: &Path, options: &Options) -> Result<VecReader<T>> {
        let file = VecFile::open(path, options.wait)?;
        must_hold::<T>(&file, options)?;
        let bytes =
            in_memory(file.byte_len()).and_then(|len| copy_of(&file, len)?.build()).at("copying", &file.path)?;
        Ok(VecReader { bytes, _file: None, elements: PhantomData })
    }

    /// Copies the elements of a file of the crate `persistence` 0.0.5, which must have these magic bytes and this
    /// version of its contents. To migrate, extend a new [`PersistentVec`](super::PersistentVec) by them.
    ///
    /// # Errors
    /// [`Error::Busy`](crate::Error::Busy) while its writer has it open; [`Error::Refused`](crate::Error::Refused) when
    /// it is no such file, or magic bytes, version, byte order or the size of elements differ;
    /// [`Error::Version`](crate::Error::Version) when it is of another format; [`Error::Io`](crate::Error::Io) when it
    /// cannot be read, or there is no memory for the copy.
    pub fn open_persistence(path: &Path, magic: [u8; 8], version: [u8; 3]) -> Result<VecReader<T>> {
        const { assert!(size_of::<T>() > 0, "elements of a persistent vector have bytes") };
        let file = PersistenceFile::open(path, size_of::<T>() as u64, Some(magic), Some(version))?;
        let bytes = file.copy().at("copying", path)?;
        Ok(VecReader { bytes, _file: None, elements: PhantomData })
    }
}

impl<T: Plain> Deref for VecReader<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        if self.bytes.is_empty() {
            return &[];
        }
        <[T]>::ref_from_bytes(&self.bytes).expect("whole elements, aligned to a page")
    }
}
