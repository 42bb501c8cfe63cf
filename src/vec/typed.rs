//! What a typed vector asks of its elements, and of a file that is to have them.

use std::io;
use std::time::Duration;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::file::VecFile;
use super::format::{ELEMENTS, ElementType, MAX_ALIGN, Tag};
use super::scalar::Scalar;
use crate::mem::{Compose, Snapshot};
use crate::{Error, Result};

/// Elements that are nothing but bytes: any bytes are one, all its bytes are of it (no padding), and it has no
/// interior that changes. The derives of `zerocopy` prove it. It must have bytes, and be aligned to 4096 at most.
pub trait Plain: FromBytes + IntoBytes + Immutable + 'static {}

impl<T: FromBytes + IntoBytes + Immutable + 'static> Plain for T {}

/// How a typed vector is opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What the program calls its type: a file with another tag is refused.
    pub tag: Tag,
    /// The program's version of the type, likewise.
    pub version: u32,
    /// How long others that have it open are waited for.
    pub wait: Duration,
}

/// No tag, version 0, no waiting.
impl Default for Options {
    fn default() -> Options {
        Options { tag: [0; 16], version: 0, wait: Duration::ZERO }
    }
}

/// What a file says of elements of type `T`.
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

/// Refuses a file whose elements are others.
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

/// Bytes as memory counts them.
pub(super) fn in_memory(bytes: u64) -> io::Result<usize> {
    usize::try_from(bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::OutOfMemory, "more bytes than there are addresses"))
}

/// The elements of `vec`, copied, with zeros behind them up to `len` bytes.
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
