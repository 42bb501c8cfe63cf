//! A persistent vector, read as a slice.

use std::marker::PhantomData;
use std::ops::Deref;
use std::path::Path;

use zerocopy::FromBytes;

use super::file::VecFile;
use super::format::ELEMENTS;
use super::persistence::PersistenceFile;
use super::typed::{Options, Plain, copy_of, in_memory, must_hold};
use crate::mem::Snapshot;
use crate::{At, Result};

/// The elements of a file, to be read: a `[T]`.
///
/// ```
/// use memsnap::vec::{Options, PersistentVec, VecReader};
///
/// # fn main() -> memsnap::Result<()> {
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("numbers");
/// // SAFETY: nobody else knows the file.
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
    /// Keeps writers out as long as the file itself is mapped.
    _file: Option<VecFile>,
    elements: PhantomData<T>,
}

impl<T: Plain> VecReader<T> {
    /// Maps the file: nothing is copied, however long it is, and no writer gets its lock meanwhile.
    ///
    /// # Errors
    /// As [`VecFile::open`]; [`Error::Refused`](crate::Error::Refused) when its elements are of another type.
    ///
    /// # Safety
    /// While this exists, nobody, in any process, may write to the file or cut it: bytes would change behind `&[T]`,
    /// and reading past a new end kills the process (SIGBUS). Everything in this crate that writes to such files takes
    /// the lock that this holds; other programs need not.
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

    /// Takes a snapshot of the elements: shared blocks where the file system can do that, else a copy. The file is free
    /// for writers afterwards, and what they do does not show here.
    ///
    /// # Errors
    /// As [`VecFile::open`]; [`Error::Refused`](crate::Error::Refused) when its elements are of another type; no room
    /// for the copy.
    pub fn open_copy(path: &Path, options: &Options) -> Result<VecReader<T>> {
        let file = VecFile::open(path, options.wait)?;
        must_hold::<T>(&file, options)?;
        let bytes =
            in_memory(file.byte_len()).and_then(|len| copy_of(&file, len)?.build()).at("copying", &file.path)?;
        Ok(VecReader { bytes, _file: None, elements: PhantomData })
    }

    /// Copies the elements of a file of the crate `persistence` 0.0.5, which must have these magic bytes and this
    /// version of its contents. To move over, extend a new [`PersistentVec`](super::PersistentVec) by them.
    ///
    /// # Errors
    /// As [`PersistenceFile::open`]; no room for the copy.
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
