//! A snapshot in memory: bytes that stay as they are, and the views that begin with them.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::Arc;

use super::compose::Compose;
use super::image::Image;
use super::view::{ArcView, CowView, MutView, Options, View};
use crate::error::{At, Result};
use crate::sys::ext::AsFd;
use crate::sys::open;

/// Bytes that stay as they are, of any length. They can be read like a slice; to write, make a view:
///
/// * [`view`](Snapshot::view), a private copy-on-write copy, as many as you like;
/// * [`view_arc`](Snapshot::view_arc), the same without a lifetime;
/// * [`view_mut`](Snapshot::view_mut), whose changes become the snapshot's own, so there is one at a time.
///
/// A clone costs nothing, and is independent: writing to one through `view_mut` does not change the other.
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

    /// `len` bytes of zeros. They cost addresses and no memory.
    ///
    /// # Errors
    /// When there are no addresses for that many.
    pub fn zeroed(len: usize) -> io::Result<Snapshot> {
        Compose::new(len).build()
    }

    /// A copy of `bytes`.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn from_slice(bytes: &[u8]) -> io::Result<Snapshot> {
        Compose::new(bytes.len()).bytes(0, bytes)?.build()
    }

    /// The file at `path` as it is now: what is written to it later does not show. On file systems that share blocks
    /// (XFS, btrfs) this takes a moment and is of one moment; elsewhere the bytes are copied into memory, holes left
    /// out, and if somebody writes meanwhile, they are of no one moment (`memsnap snap` proves it).
    ///
    /// # Errors
    /// When it is not a file that may be read, it shrinks meanwhile, or there is no room for the copy.
    pub fn open(path: &Path) -> Result<Snapshot> {
        let path = open::resolve(path)?;
        let file = open::target_read(&path)?;
        Snapshot::from_file(&file).at("taking a snapshot of", &path)
    }

    /// The same of an open file: a `&File`, or whatever else has a descriptor. Its position stays.
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
    /// As [`Snapshot::open`]; when there is no further descriptor.
    pub fn from_file(file: impl AsFd) -> io::Result<Snapshot> {
        let (file, len) = opened(&file)?;
        Compose::new(len).file(0, &file, 0, len)?.build()
    }

    /// The same, but what must be copied goes to a file without a name in the directory `dir`: for files that are
    /// longer than memory.
    ///
    /// # Errors
    /// As [`Snapshot::from_file`].
    pub fn from_file_in(file: impl AsFd, dir: &Path) -> io::Result<Snapshot> {
        let (file, len) = opened(&file)?;
        Compose::new(len).scratch(dir)?.file(0, &file, 0, len)?.build()
    }

    /// The file itself, mapped: nothing is copied, however long it is. The descriptor may be one for reading only.
    ///
    /// # Errors
    /// When it cannot be mapped.
    ///
    /// # Safety
    /// While the snapshot, a clone or a view of it exists, nobody, in any process, may write to the file or cut it off:
    /// bytes would change behind `&[u8]`, which is undefined behaviour (measured: safe code was given an invalid
    /// `&str`), and reading past a new end kills the process (SIGBUS). A lock keeps away only those who ask for it.
    #[allow(unsafe_code, unsafe_op_in_unsafe_fn, reason = "the promise is handed on as it is")]
    pub unsafe fn share_file(file: File) -> io::Result<Snapshot> {
        let len = length(&file)?;
        Compose::new(len).share(0, file, 0, len)?.build()
    }

    /// A snapshot of `len` bytes, made of parts.
    pub fn compose(len: usize) -> Compose {
        Compose::new(len)
    }

    /// `len` bytes that `fill` writes into a file in memory, and what it gives; what it leaves out is zeros, and costs
    /// nothing.
    pub(crate) fn filled<T>(len: usize, fill: impl FnOnce(&File) -> T) -> io::Result<(Snapshot, T)> {
        Compose::filled(len, fill)
    }

    /// Where bytes are that may differ from zeros, ascending: elsewhere nothing need be looked at, and looking would
    /// cost memory.
    pub(crate) fn stretches(&self) -> Vec<Range<usize>> {
        self.image.stretches()
    }

    /// Number of bytes: exactly as many as were put in.
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    /// All bytes.
    pub fn as_slice(&self) -> &[u8] {
        self.image.as_slice()
    }

    /// Another snapshot of the same bytes, for nothing: they are shared until one of the two changes.
    ///
    /// # Errors
    /// None today.
    pub fn try_clone(&self) -> io::Result<Snapshot> {
        Ok(self.clone())
    }

    /// A private copy-on-write copy, with its changes known.
    ///
    /// # Errors
    /// When the system has no room for another map.
    pub fn view(&self) -> io::Result<CowView<'_>> {
        self.view_with(&Options::default())
    }

    /// As [`Snapshot::view`], with options.
    ///
    /// # Errors
    /// As [`Snapshot::view`]; when an option cannot be had.
    pub fn view_with(&self, options: &Options) -> io::Result<CowView<'_>> {
        View::new(self, options)
    }

    /// A view whose changes become those of this snapshot when it is finished or dropped. Clones keep what they have.
    ///
    /// # Errors
    /// As [`Snapshot::view`].
    pub fn view_mut(&mut self) -> io::Result<MutView<'_>> {
        self.view_mut_with(&Options::default())
    }

    /// As [`Snapshot::view_mut`], with options.
    ///
    /// # Errors
    /// As [`Snapshot::view_with`].
    pub fn view_mut_with(&mut self, options: &Options) -> io::Result<MutView<'_>> {
        View::new(self, options)
    }

    /// As [`Snapshot::view`], without a lifetime.
    ///
    /// # Errors
    /// As [`Snapshot::view`].
    pub fn view_arc(self: &Arc<Self>) -> io::Result<ArcView> {
        self.view_arc_with(&Options::default())
    }

    /// As [`Snapshot::view_arc`], with options.
    ///
    /// # Errors
    /// As [`Snapshot::view_with`].
    pub fn view_arc_with(self: &Arc<Self>, options: &Options) -> io::Result<ArcView> {
        View::new(self.clone(), options)
    }
}

/// The same open file, and its length.
fn opened(file: &impl AsFd) -> io::Result<(File, usize)> {
    let file = File::from(file.as_fd().try_clone_to_owned()?);
    let len = length(&file)?;
    Ok((file, len))
}

fn length(file: &File) -> io::Result<usize> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        let what = "a snapshot can only be taken of a regular file: others do not say how long they are";
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

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl AsRef<[u8]> for Snapshot {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}
