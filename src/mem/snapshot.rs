//! A snapshot in memory: immutable bytes, and the views that begin with them.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::Arc;

use super::compose::Compose;
use super::image::Image;
use crate::error::{At, Error};
use crate::sys::ext::{self, AsFd};
use crate::sys::open;
use crate::sys::sealed::Draft;

/// Immutable bytes of any length, readable like a slice. To write, make a view:
///
/// * [`view`](Snapshot::view): a private copy-on-write copy, any number of them;
/// * [`view_arc`](Snapshot::view_arc): the same without a lifetime;
/// * [`view_mut`](Snapshot::view_mut): its changes become the snapshot's own, so there is one at a time.
///
/// A clone shares all bytes and is independent: writing to one through `view_mut` does not change the other.
///
/// ```
/// use memsnap::mem::Snapshot;
///
/// # fn main() -> std::io::Result<()> {
/// let mut snapshot = Snapshot::from_slice(b"Hello, World!")?;
/// let mut view = snapshot.view()?;
/// view[0] = b'J';
/// assert_eq!((&view[..5], &snapshot[..5]), (&b"Jello"[..], &b"Hello"[..]));
/// drop(view);
///
/// snapshot.view_mut()?[7] = b'R';
/// assert_eq!(snapshot[..], *b"Hello, Rorld!");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Snapshot {
    image: Arc<Image>,
}

impl Snapshot {
    pub(super) fn of(image: Image) -> Snapshot {
        Snapshot { image: Arc::new(image) }
    }

    pub(super) fn again(image: &Arc<Image>) -> Snapshot {
        Snapshot { image: image.clone() }
    }

    pub(super) fn image(&self) -> &Arc<Image> {
        &self.image
    }

    pub(super) fn set(&mut self, image: Image) {
        self.image = Arc::new(image);
    }

    /// Makes a snapshot of `len` zeros, which take addresses and no memory.
    ///
    /// # Errors
    /// When there are no addresses for that many.
    pub fn zeroed(len: usize) -> io::Result<Snapshot> {
        Compose::new(len).build()
    }

    /// Copies `bytes`.
    ///
    /// # Errors
    /// When there is no memory for the copy.
    pub fn from_slice(bytes: &[u8]) -> io::Result<Snapshot> {
        Compose::new(bytes.len()).bytes(0, bytes)?.build()
    }

    /// Takes a snapshot of the file at `path`; later writes to the file do not show. On file systems that share blocks
    /// (XFS, btrfs) this is quick and point-in-time. Elsewhere the bytes are copied into memory, without holes, and are
    /// not point-in-time if another program writes meanwhile (`memsnap snap` finds that out).
    ///
    /// # Errors
    /// When it is no readable regular file, it shrinks meanwhile, or there is no memory for the copy. The error
    /// contains an [`Error`], which names the file.
    pub fn open(path: &Path) -> io::Result<Snapshot> {
        let open = || {
            let path = open::resolve(path)?;
            let file = open::target_read(&path)?;
            Snapshot::from_file(&file).at("taking a snapshot of", &path)
        };
        open().map_err(|e| io::Error::new(kind(&e), e))
    }

    /// Takes a snapshot of an open file: a `&File`, or anything else that has a descriptor. Its position stays. For a
    /// file that is longer than memory, see [`Compose::scratch`].
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use memsnap::mem::Snapshot;
    /// use std::io::Write;
    ///
    /// let mut scratch = tempfile::NamedTempFile::new()?;
    /// scratch.write_all(b"as it is")?;
    /// assert_eq!(Snapshot::from_file(&scratch)?[..], *b"as it is");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Snapshot::open`], without the name; when there is no further descriptor.
    pub fn from_file(file: impl AsFd) -> io::Result<Snapshot> {
        let file = ext::duplicate(&file)?;
        let len = length(&file)?;
        Compose::new(len).file(0, &file, 0, len)?.build()
    }

    /// Maps the file itself: nothing is copied. The descriptor may be read-only.
    ///
    /// # Errors
    /// When it cannot be mapped.
    ///
    /// # Safety
    /// While the snapshot, a clone or a view of it exists, no process may write to the file or truncate it: bytes would
    /// change behind `&[u8]`, which is undefined behaviour (measured: safe code got an invalid `&str`), and reading
    /// past a new end ends the process (SIGBUS). A lock stops only programs that take it.
    #[allow(unsafe_code, unsafe_op_in_unsafe_fn, reason = "the promise is handed on as it is")]
    pub unsafe fn share_file(file: File) -> io::Result<Snapshot> {
        let len = length(&file)?;
        Compose::new(len).share(0, file, 0, len)?.build()
    }

    /// Begins a snapshot of `len` bytes that is made of parts.
    pub fn compose(len: usize) -> Compose {
        Compose::new(len)
    }

    /// Makes a snapshot of `len` bytes that `fill` writes into a file in memory, and returns what `fill` does. What it
    /// leaves out is zeros, and takes no memory.
    pub(crate) fn filled<T>(len: usize, fill: impl FnOnce(&File) -> T) -> io::Result<(Snapshot, T)> {
        let (draft, given) = Draft::in_memory_filled(len as u64, fill)?;
        Ok((Compose::over(draft, len).build()?, given))
    }

    /// Returns the ranges whose bytes may differ from zeros, ascending. Reading other bytes would take memory.
    pub(crate) fn stretches(&self) -> Vec<Range<usize>> {
        self.image.stretches()
    }

    /// Returns all bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        self.image.as_slice()
    }
}

impl Compose {
    /// Builds the snapshot.
    ///
    /// # Errors
    /// When there are no addresses for that many bytes.
    pub fn build(self) -> io::Result<Snapshot> {
        Ok(Snapshot::of(self.image()?))
    }
}

/// The kind of an error that names a file.
fn kind(e: &Error) -> io::ErrorKind {
    match e {
        Error::Io { source, .. } => source.kind(),
        _ => io::ErrorKind::InvalidInput,
    }
}

fn length(file: &File) -> io::Result<usize> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        let what = "a snapshot can only be taken of a regular file: others have no length";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let len = metadata.len();
    usize::try_from(len).map_err(|_| io::Error::new(io::ErrorKind::OutOfMemory, "longer than there are addresses"))
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Deref for Snapshot {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl AsRef<[u8]> for Snapshot {
    fn as_ref(&self) -> &[u8] {
        self
    }
}
