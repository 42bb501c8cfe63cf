//! What typed vectors require of their elements and of their file.

use std::io;
use std::time::Duration;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::file::VecFile;
use super::format::{ELEMENTS, ElementType, MAX_ALIGN, Tag, tag};
use super::scalar::Scalar;
use crate::mem::{Compose, Snapshot};
use crate::{Error, Result};

/// Elements that are plain bytes: any bytes are valid, and there is no padding and no interior mutability. The derives
/// of `zerocopy` prove it. An element has at least one byte, and an alignment of at most 4096.
pub trait Plain: FromBytes + IntoBytes + Immutable + 'static {}

impl<T: FromBytes + IntoBytes + Immutable + 'static> Plain for T {}

/// Options of a typed vector: by default no tag, version 0, and no waiting.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    tag: Tag,
    version: u32,
    pub(super) wait: Duration,
}

impl Options {
    /// Sets the name by which the program distinguishes its types, in up to 16 bytes. A file with another tag is
    /// refused.
    ///
    /// # Panics
    /// When the name is longer.
    pub fn tag(self, name: &str) -> Options {
        Options { tag: tag(name).expect("a tag has up to 16 bytes"), ..self }
    }

    /// Sets the program's version of the type. A file with another version is refused.
    pub fn version(self, version: u32) -> Options {
        Options { version, ..self }
    }

    /// Sets how long to wait for others that have the file open.
    pub fn wait(self, wait: Duration) -> Options {
        Options { wait, ..self }
    }
}

/// Returns the element type of `T`.
pub(super) fn kind_of<T: Plain>(options: &Options) -> ElementType {
    const {
        assert!(size_of::<T>() > 0, "elements of a persistent vector have bytes");
        assert!(align_of::<T>() as u64 <= MAX_ALIGN, "elements of a persistent vector are aligned to 4096 at most");
    }
    let (tag, version) = (options.tag, options.version);
    match Scalar::of::<T>() {
        Some(scalar) => ElementType { tag, version, ..ElementType::of_scalar(scalar) },
        None => ElementType { size: size_of::<T>() as u64, align: align_of::<T>() as u64, scalar: None, tag, version },
    }
}

/// Refuses a file whose elements are of another type.
pub(super) fn must_hold<T: Plain>(vec: &VecFile, options: &Options) -> Result<()> {
    let (found, wanted) = (vec.element_type(), kind_of::<T>(options));
    if *found == wanted {
        return Ok(());
    }
    let what = match () {
        () if found.size != wanted.size => format!("elements of {} bytes, not of {}", found.size, wanted.size),
        () if found.align != wanted.align => format!("elements aligned to {}, not to {}", found.align, wanted.align),
        () if found.tag != wanted.tag => format!("the tag \"{}\", not \"{}\"", found.tag_text(), wanted.tag_text()),
        () if found.version != wanted.version => {
            format!("version {} of its type, not {}", found.version, wanted.version)
        }
        () => format!("elements of another kind: {}, not {}", found.describe(), wanted.describe()),
    };
    Err(Error::refused(format!("{} has {what}", vec.path().display()), "open it with the type that it was made for"))
}

/// Converts a length of a file to one of memory.
pub(super) fn in_memory(bytes: u64) -> io::Result<usize> {
    usize::try_from(bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::OutOfMemory, "more bytes than there are addresses"))
}

/// Copies the elements of `vec`, with zeros after them up to `len` bytes.
pub(super) fn copy_of(vec: &VecFile, len: usize) -> io::Result<Compose> {
    let bytes = in_memory(vec.byte_len())?;
    let mut compose = Snapshot::compose(len);
    if !vec.is_unfinished() {
        return compose.file(0, &vec.file, ELEMENTS, bytes);
    }
    let mut block = vec![0; bytes.min(1 << 20)];
    for at in (0..bytes).step_by(1 << 20) {
        let part = &mut block[..(bytes - at).min(1 << 20)];
        vec.read_at(part, at as u64).map_err(io::Error::other)?;
        compose = compose.bytes(at, part)?;
    }
    Ok(compose)
}
