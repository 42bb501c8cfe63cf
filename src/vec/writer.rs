//! A persistent vector that is changed like a `Vec<T>`, and committed.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut, Range};
use std::path::Path;
use std::sync::Arc;

use zerocopy::FromBytes;

use super::commit::VecFileMut;
use super::format::ELEMENTS;
use super::log::Edit;
use super::typed::{Options, Plain, in_memory, kind_of, must_hold};
use crate::error::{At, Error, Result};
use crate::mem::{self, ArcView, Snapshot, Tracking};
use crate::sys::sealed::Promise;

/// Addresses that are reserved for the vector to grow into, where possible: they take no memory.
const ROOM: u64 = if usize::BITS == 64 { 64 << 30 } else { 256 << 20 };
/// The least that is reserved beyond the existing bytes.
const LEAST: u64 = 1 << 20;

/// A resizable array in a file. Its elements are changed in memory, as those of a `Vec<T>`, and
/// [`commit`](PersistentVec::commit) writes all changes to the file, atomically. Dropping the vector discards what
/// changed since the last commit. After a crash at any moment the file holds the last commit, or the one that was being
/// made.
///
/// ```
/// use memsnap::vec::{Options, PersistentVec};
///
/// # fn main() -> memsnap::Result<()> {
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("numbers");
/// // SAFETY: no other program uses the file.
/// let mut numbers = unsafe { PersistentVec::<f64>::create(&path, &Options::default()) }?;
/// numbers.push(1.5)?;
/// numbers.extend([2.5, 3.5])?;
/// numbers[0] = 0.5;
/// assert_eq!(numbers.commit()?, 1); // one page
/// numbers.clear();
/// drop(numbers); // not committed
///
/// // SAFETY: as before.
/// let numbers = unsafe { PersistentVec::<f64>::open(&path, &Options::default()) }?;
/// assert_eq!(*numbers, [0.5, 2.5, 3.5]);
/// # Ok(())
/// # }
/// ```
///
/// Elements of other types derive the proof that they are plain bytes (with the crate `zerocopy`, version 0.8, and its
/// feature `derive`):
///
/// ```
/// use memsnap::vec::{Options, PersistentVec};
/// use zerocopy::{FromBytes, Immutable, IntoBytes};
///
/// #[derive(FromBytes, IntoBytes, Immutable, Clone, Copy)]
/// #[repr(C)]
/// struct Point {
///     x: f32,
///     y: f32,
/// }
///
/// # fn main() -> memsnap::Result<()> {
/// # let directory = tempfile::tempdir().unwrap();
/// let options = Options::default().tag("point").version(1);
/// // SAFETY: no other program uses the file.
/// let mut points = unsafe { PersistentVec::create(&directory.path().join("points"), &options) }?;
/// points.push(Point { x: 1.0, y: 2.0 })?;
/// points.commit()?;
/// # Ok(())
/// # }
/// ```
pub struct PersistentVec<T> {
    /// Dropped before the file is written, and made again afterwards; `None` after a commit that failed halfway.
    view: Option<ArcView>,
    promise: Promise,
    file: VecFileMut,
    pub(super) len: usize,
    /// Elements for which the view has room.
    pub(super) capacity: usize,
    elements: PhantomData<T>,
}

impl<T: Plain> PersistentVec<T> {
    /// Bytes of an element.
    pub(super) const SIZE: usize = size_of::<T>();

    /// Makes a new file without elements at `path`, mode 0600. It appears complete and durable.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is a file at `path`; [`Error::Io`] when it cannot be made.
    ///
    /// # Safety
    /// As [`PersistentVec::open`].
    #[allow(unsafe_code, unsafe_op_in_unsafe_fn, reason = "the promise is handed on as it is")]
    pub unsafe fn create(path: &Path, options: &Options) -> Result<PersistentVec<T>> {
        PersistentVec::of(VecFileMut::create(path, &kind_of::<T>(options))?)
    }

    /// Opens `path`, and holds its exclusive lock. An interrupted commit is completed if it was sealed, else removed.
    ///
    /// # Errors
    /// As [`VecReader::open_copy`](super::VecReader::open_copy); [`Error::Io`] when completing a commit fails: then
    /// another try may succeed, and nothing is lost.
    ///
    /// # Safety
    /// While this exists, nothing else in any process may write to the file or truncate it: unchanged elements are read
    /// from the mapped file, so bytes would change behind `&[T]`, and reading past a new end ends the process (SIGBUS).
    /// Everything in this crate that writes to such files takes the lock that this holds; other programs need not.
    #[allow(unsafe_code, unsafe_op_in_unsafe_fn, reason = "the promise is handed on as it is")]
    pub unsafe fn open(path: &Path, options: &Options) -> Result<PersistentVec<T>> {
        let file = VecFileMut::open(path, options.wait)?;
        must_hold::<T>(&file, options)?;
        PersistentVec::of(file)
    }

    /// # Safety
    /// As [`PersistentVec::open`]. [`PersistentVec::commit`] itself writes over elements only while nothing is mapped.
    #[allow(unsafe_code, unsafe_op_in_unsafe_fn, reason = "the promise is handed on as it is")]
    unsafe fn of(file: VecFileMut) -> Result<PersistentVec<T>> {
        let promise = Promise::new(file.file.try_clone().at("mapping", &file.path)?);
        let mut vec = PersistentVec { view: None, promise, file, len: 0, capacity: 0, elements: PhantomData };
        vec.remap(0)?;
        vec.len = in_memory(vec.file.len()).at("mapping", &vec.file.path)?;
        Ok(vec)
    }

    /// As [`PersistentVec::create`], with room for `capacity` elements without mapping the file again.
    ///
    /// # Errors
    /// As [`PersistentVec::create`] and [`PersistentVec::reserve`]; nothing is made when a file cannot hold so many.
    ///
    /// # Safety
    /// As [`PersistentVec::open`].
    #[allow(unsafe_code, unsafe_op_in_unsafe_fn, reason = "the promise is handed on as it is")]
    pub unsafe fn with_capacity(path: &Path, options: &Options, capacity: usize) -> Result<PersistentVec<T>> {
        if capacity as u64 > kind_of::<T>(options).most() {
            return Err(too_many(path, capacity));
        }
        let mut vec = PersistentVec::create(path, options)?;
        vec.reserve(capacity)?;
        Ok(vec)
    }

    /// Opens `path`, or makes it when it does not exist. An empty file, such as mkstemp(3) makes, becomes a vector.
    ///
    /// # Errors
    /// As [`PersistentVec::open`] and [`PersistentVec::create`].
    ///
    /// # Safety
    /// As [`PersistentVec::open`].
    #[allow(unsafe_code, unsafe_op_in_unsafe_fn, reason = "the promise is handed on as it is")]
    pub unsafe fn open_or_create(path: &Path, options: &Options) -> Result<PersistentVec<T>> {
        match VecFileMut::open_or_begin(path, &kind_of::<T>(options), options.wait) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            file => {
                let file = file?;
                must_hold::<T>(&file, options)?;
                return PersistentVec::of(file);
            }
        }
        PersistentVec::create(path, options)
    }

    /// Returns the path at which the file was opened, with all links followed.
    #[doc(hidden)]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Returns the number of elements of the last commit.
    #[doc(hidden)]
    pub fn committed_len(&self) -> u64 {
        self.file.len()
    }

    /// Returns the number of elements for which there is room without mapping the file again.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Makes room for `more` elements. When that needs a new mapping, the file is checked.
    ///
    /// # Errors
    /// [`Error::Refused`] when the file was moved or replaced, or an earlier commit failed halfway; [`Error::Damaged`]
    /// when it was truncated; [`Error::Io`] when there are no addresses or no memory for that many.
    pub fn reserve(&mut self, more: usize) -> Result<()> {
        if more > self.capacity - self.len {
            self.grow(more)?;
        }
        Ok(())
    }

    /// Frees the room that is not needed, and the memory of removed elements.
    ///
    /// # Errors
    /// As [`PersistentVec::reserve`].
    pub fn shrink(&mut self) -> Result<()> {
        self.file.check()?;
        let len = in_memory(self.file.byte_len()).at("mapping", self.path())?.max(self.len * Self::SIZE);
        self.move_to(|vec| vec.map(len).at("mapping", &vec.file.path))
    }

    /// Writes all changes to the file: atomic, and durable when it returns. Returns the number of changed pages, of
    /// [`mem::page_size`] bytes. A changed length alone is committed too.
    ///
    /// # Errors
    /// [`Error::Refused`] when the file was moved, replaced or lengthened, [`Error::Damaged`] when it was truncated,
    /// [`Error::Io`] when there is no space: then nothing has changed. When writing fails later, the file is
    /// consistent, but only opening it again shows which of the two commits it holds; this vector may then be empty,
    /// and refuses further commits.
    pub fn commit(&mut self) -> Result<u64> {
        let Some(view) = &self.view else { return Err(self.lost()) };
        let end = self.len * Self::SIZE;
        let dirty = view.dirty_within(..end).at("looking for changes in", &self.file.path)?;
        let edit =
            |range: Range<usize>| Edit { offset: range.start as u64, bytes: &view[range.start..range.end.min(end)] };
        let edits: Vec<Edit<'_>> = view.byte_ranges(&dirty).map(edit).collect();
        if let Some(sealed) = self.file.prepare(&edits, self.len as u64)? {
            // Unmapped before it is overwritten; the bytes come from the log.
            let len = std::mem::take(&mut self.len);
            (self.view, self.capacity) = (None, 0);
            self.file.complete(sealed)?;
            self.remap(0)?;
            self.len = len;
        }
        Ok(dirty.len())
    }

    fn lost(&self) -> Error {
        Error::refused(
            format!("{}: an earlier commit failed halfway", self.path().display()),
            "open it again: it is whole",
        )
    }

    /// Makes room for `more` elements than there are.
    #[cold]
    pub(super) fn grow(&mut self, more: usize) -> Result<()> {
        self.file.check()?;
        let wanted = self.len.checked_add(more).and_then(|len| len.checked_mul(Self::SIZE)).unwrap_or(usize::MAX);
        if wanted as u64 > self.file.element_type().most() * Self::SIZE as u64 {
            return Err(too_many(self.path(), more));
        }
        self.move_to(|vec| vec.remap(wanted as u64))
    }

    /// Moves all elements to a new view, which `make` makes.
    fn move_to(&mut self, make: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let Some(old) = self.view.take() else { return Err(self.lost()) };
        let (capacity, end) = (self.capacity, self.len * Self::SIZE);
        let dirty = old.dirty_within(..end).at("looking for changes in", &self.file.path);
        let moved = dirty.and_then(|dirty| {
            make(self)?;
            let new = self.bytes_mut();
            for range in old.byte_ranges(&dirty) {
                let range = range.start..range.end.min(end);
                new[range.clone()].copy_from_slice(&old[range]);
            }
            Ok(())
        });
        if moved.is_err() {
            (self.view, self.capacity) = (Some(old), capacity);
        }
        moved
    }

    /// Maps the file with much room after it, for at least `least` bytes.
    fn remap(&mut self, least: u64) -> Result<()> {
        let have = self.file.byte_len().max(least);
        let mut room = ROOM.max(have.saturating_mul(3));
        loop {
            let done = in_memory(have.saturating_add(room)).and_then(|len| self.map(len));
            match done {
                Err(_) if room > LEAST => room /= 2,
                done => return done.at("mapping", &self.file.path),
            }
        }
    }

    /// Maps the file into a view of `len` bytes.
    fn map(&mut self, len: usize) -> io::Result<()> {
        let bytes = in_memory(self.file.byte_len())?;
        let snapshot = Snapshot::compose(len).sealed(0, self.promise.sealed()?, ELEMENTS, bytes)?.build()?;
        let snapshot = Arc::new(snapshot);
        // All that is needed is which pages are still the file's, and this method costs writes nothing.
        let options = mem::Options::default().tracking(Tracking::Pagemap);
        self.view = Some(snapshot.view_arc_with(&options).or_else(|_| snapshot.view_arc())?);
        self.capacity = len / Self::SIZE;
        Ok(())
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        self.view.as_ref().map_or(&[], |view| view.as_slice())
    }

    #[inline]
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        self.view.as_mut().map_or(&mut [], |view| view.as_mut_slice())
    }
}

fn too_many(path: &Path, more: usize) -> Error {
    Error::refused(format!("{} cannot hold {more} more elements", path.display()), "use several files")
}

impl<T> fmt::Debug for PersistentVec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersistentVec").field("path", &self.file.path()).field("len", &self.len).finish_non_exhaustive()
    }
}

impl<T: Plain> Deref for PersistentVec<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        if self.len == 0 {
            return &[];
        }
        <[T]>::ref_from_bytes(&self.bytes()[..self.len * Self::SIZE]).expect("whole elements, aligned to a page")
    }
}

impl<T: Plain> DerefMut for PersistentVec<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        if self.len == 0 {
            return &mut [];
        }
        let end = self.len * Self::SIZE;
        <[T]>::mut_from_bytes(&mut self.bytes_mut()[..end]).expect("whole elements, aligned to a page")
    }
}
