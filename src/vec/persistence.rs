//! Files of the crate `persistence` 0.0.5, for reading and import.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::source::VecSource;
use super::typed::in_memory;
use crate::Result;
use crate::mem::Snapshot;
use crate::sys::{lock, open};

/// Its own format version.
const VERSION: [u8; 3] = [0, 0, 5];
/// In the byte order of the machine that wrote it.
const ENDIANNESS: u16 = 0x1234;
/// The header is padded to a multiple of it.
const ALIGN: u64 = 4096;
/// Bytes of the header besides the default element.
const FIELDS: u64 = 8 + 2 + 3 + 3 + 2;

/// Returns the bytes before the first element of `size` bytes.
fn header_len(size: u64) -> u64 {
    (FIELDS + size).next_multiple_of(ALIGN)
}

/// A file of `persistence` 0.0.5 that is open for reading.
#[derive(Debug)]
pub(crate) struct PersistenceFile {
    file: File,
    path: PathBuf,
    size: u64,
    len: u64,
}

impl PersistenceFile {
    /// Opens `path`, whose elements have `size` bytes, and takes the lock as that crate does. The eight `magic` bytes and
    /// the `version` of the contents are checked if they are given.
    pub(crate) fn open(
        path: &Path,
        size: u64,
        magic: Option<[u8; 8]>,
        version: Option<[u8; 3]>,
    ) -> Result<PersistenceFile> {
        assert!(size > 0, "elements have bytes");
        let path = open::resolve(path)?;
        let file = open::target_read(&path)?;
        let _held = lock::flock(&file, &path, lock::LockMode::Shared, std::time::Duration::ZERO)?;
        let len = open::stamp(&file, &path)?.len;
        let body = check(&VecSource::of_file(&file, &path), len, size, magic, version)?;
        Ok(PersistenceFile { file, path, size, len: body / size })
    }

    /// Returns the number of elements.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Fills `buf` with bytes of elements, from byte `offset` of them on.
    pub(crate) fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let from = VecSource::of_file(&self.file, &self.path);
        if offset.checked_add(buf.len() as u64).is_none_or(|end| end > self.len * self.size) {
            return Err(from.refused("it has no such elements", "see its length"));
        }
        from.read(buf, header_len(self.size) + offset)
    }

    /// Returns a snapshot of all elements.
    pub(super) fn copy(&self) -> io::Result<Snapshot> {
        let bytes = in_memory(self.len * self.size)?;
        Snapshot::compose(bytes).file(0, &self.file, header_len(self.size), bytes)?.build()
    }
}

/// Checks every field of the header, and returns the bytes of the body.
#[allow(clippy::host_endian_bytes, reason = "these files have the byte order of the machine that wrote them")]
fn check(from: &VecSource<'_>, len: u64, size: u64, magic: Option<[u8; 8]>, version: Option<[u8; 3]>) -> Result<u64> {
    let bad = |what: String| {
        let hint = "name a file of that crate, and a vector whose elements are of its type";
        Err(from.refused(format!("it is not a file of persistence 0.0.5 with such elements: {what}"), hint))
    };
    let header = header_len(size);
    if len < FIELDS + size {
        return bad(format!("it is too short: {len} bytes, and its header takes {}", FIELDS + size));
    }
    let mut first = [0; 16];
    from.read(&mut first, 0)?;
    if let Some(magic) = magic.filter(|magic| first[..8] != *magic) {
        let (found, wanted) = (first[..8].escape_ascii(), magic.escape_ascii());
        return Err(from.refused(format!("its magic bytes are \"{found}\", not \"{wanted}\""), "name another file"));
    }
    let endianness = u16::from_ne_bytes([first[8], first[9]]);
    if endianness == ENDIANNESS.swap_bytes() {
        let hint = "read it on a machine of the byte order that wrote it";
        return Err(from.refused("it is of the wrong endianness: made on a machine of the other one", hint));
    }
    if endianness != ENDIANNESS {
        return bad(format!("its endianness marker is {endianness:#06x}, which is neither order"));
    }
    if first[10..13] != VERSION {
        let [a, b, c] = [first[10], first[11], first[12]];
        return Err(from.version(format!("its format is {a}.{b}.{c}, and only 0.0.5 is known")));
    }
    if let Some([a, b, c]) = version.filter(|version| first[13..16] != *version) {
        let what = format!("its contents are of version {}.{}.{}, not {a}.{b}.{c}", first[13], first[14], first[15]);
        return Err(from.refused(what, "read it as the version that it is of"));
    }
    let mut padding = [0; 2];
    from.read(&mut padding, FIELDS - 2 + size)?;
    let (padding, expected) = (u64::from(u16::from_ne_bytes(padding)), header - FIELDS - size);
    if padding != expected {
        let what = format!("it says that {padding} bytes of padding follow, and for elements of {size} bytes it is");
        return bad(format!("{what} {expected}; are the elements of another type?"));
    }
    match len.checked_sub(header) {
        None => bad(format!("it ends within its padding: it has {len} bytes, and elements begin at {header}")),
        Some(body) if body % size != 0 => {
            bad(format!("its body of {body} bytes is not a multiple of the element size, {size}"))
        }
        Some(body) => Ok(body),
    }
}

#[cfg(test)]
#[path = "persistence_test.rs"]
mod tests;
