//! Little-endian fields, the head of files, and reading at an offset.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use crate::error::{Cause, Error};
use crate::page::Digest;

/// Why bytes cannot be used. [`Bad::of`] adds the file they came from.
#[derive(Debug)]
pub enum Bad {
    /// They could not be read.
    Io(io::Error),
    /// They are not what the format says.
    Damaged(String),
    /// They match their check, and use something that this version does not know.
    Version(String),
    /// They are not a delta.
    Foreign,
}

impl Bad {
    pub(super) fn new(what: impl Into<String>) -> Bad {
        Bad::Damaged(what.into())
    }

    /// The error for bytes that use `what`, which this version does not know.
    pub(crate) fn newer(what: impl fmt::Display) -> Bad {
        Bad::Version(format!("made by a newer memsnap: {what} not known to this version"))
    }

    /// The error for the file `path`.
    pub fn of(self, path: &Path) -> Error {
        match self {
            Bad::Io(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
                Error::damaged(path, "it ends too early")
            }
            Bad::Io(source) => Error::Io { doing: "reading", path: path.into(), source },
            Bad::Damaged(what) => Error::damaged(path, what),
            Bad::Version(what) => Error::Version { path: path.into(), what },
            Bad::Foreign => Error::refused(format!("{} is not a delta", path.display()), Cause::NotADelta),
        }
    }
}

impl From<io::Error> for Bad {
    fn from(e: io::Error) -> Bad {
        Bad::Io(e)
    }
}

/// Bytes that several threads can read at any offset.
pub trait ReadAt: Send + Sync {
    /// Fills `buf` from `offset` on, or fails with [`io::ErrorKind::UnexpectedEof`].
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;
    /// Number of bytes.
    fn size(&self) -> io::Result<u64>;
}

impl ReadAt for File {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        crate::sys::ext::FileExt::read_exact_at(self, buf, offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let from = usize::try_from(offset).ok().and_then(|o| self.get(o..)?.get(..buf.len()));
        buf.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

impl<R: ReadAt + ?Sized> ReadAt for std::sync::Arc<R> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        (**self).read_at(buf, offset)
    }

    fn size(&self) -> io::Result<u64> {
        (**self).size()
    }
}

/// A range of the bytes of `R`.
#[derive(Clone, Debug)]
pub struct RangeReader<R> {
    inner: R,
    start: u64,
    len: u64,
}

impl<R: ReadAt> RangeReader<R> {
    /// Bytes `start..start + len` of `inner`.
    pub fn new(inner: R, start: u64, len: u64) -> RangeReader<R> {
        RangeReader { inner, start, len }
    }
}

impl<R: ReadAt> ReadAt for RangeReader<R> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buf.len() as u64).filter(|end| *end <= self.len);
        end.ok_or(io::ErrorKind::UnexpectedEof)?;
        self.inner.read_at(buf, self.start + offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len)
    }
}

/// Copies the first `len` bytes, in bounded memory.
pub(super) fn copy(from: &impl ReadAt, len: u64, out: &mut impl Write) -> io::Result<()> {
    let mut buf = vec![0; len.min(256 << 10) as usize];
    let mut at = 0;
    while at < len {
        let n = (len - at).min(buf.len() as u64) as usize;
        from.read_at(&mut buf[..n], at)?;
        out.write_all(&buf[..n])?;
        at += n as u64;
    }
    Ok(())
}

/// The BLAKE3 hash of the first `len` bytes.
pub fn hash_file(file: &impl ReadAt, len: u64) -> io::Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    copy(file, len, &mut hasher)?;
    Ok(Digest(hasher.finalize().into()))
}

/// Checks that `id` is the BLAKE3 hash of a file.
pub(super) fn prove(file: &impl ReadAt, size: u64, id: &Digest) -> Result<(), Bad> {
    if hash_file(file, size)? == *id { Ok(()) } else { Err(Bad::new("its bytes are not what its name says")) }
}

/// The error for a file named by its hash that cannot be decoded: a newer version made it only if the hash matches. As
/// a sparse file may claim any size, one that is longer than a snapshot can be is not hashed.
pub(super) fn unless_damaged(bad: Bad, file: &impl ReadAt, size: u64, id: &Digest) -> Bad {
    const MOST: u64 = 1 << 30;
    match bad {
        Bad::Version(_) if size <= MOST => prove(file, size, id).err().unwrap_or(bad),
        bad => bad,
    }
}

/// A kind of file that begins with a head. The number is the letter in its magic bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FileKind {
    /// A pack.
    Pack = b'p',
    /// A full map.
    Map = b'm',
    /// A snapshot.
    Snapshot = b's',
    /// A delta.
    Delta = b'd',
    /// The digest cache.
    DigestCache = b't',
    /// An intent.
    Intent = b'i',
    /// A set.
    Set = b'e',
    /// The record of a change of several targets.
    SetChange = b'c',
}

/// Bytes of the head of a file.
pub(super) const HEAD: usize = 16;
/// The format that this version writes, and the only one that it reads.
const FORMAT: u16 = 1;

impl FileKind {
    /// The head: magic, format, flags, four zero bytes. As in PNG, the magic has a byte that is not text, both line ends
    /// and an end-of-file character, so that it shows what mangled the file.
    pub fn head(self, flags: u16) -> [u8; HEAD] {
        let mut out = [0; HEAD];
        out[..8].copy_from_slice(&[0x89, b'm', b's', self as u8, b'\r', b'\n', 0x1a, b'\n']);
        out[8..10].copy_from_slice(&FORMAT.to_le_bytes());
        out[10..12].copy_from_slice(&flags.to_le_bytes());
        out
    }

    /// Checks a head, and returns its flags, of which only those in `known` may be set.
    ///
    /// # Errors
    /// [`Bad::Damaged`] for another magic, [`Bad::Version`] for another format or flag; that is damage too, unless the
    /// check that covers the head matches.
    pub fn check(self, head: &[u8; HEAD], known: u16) -> Result<u16, Bad> {
        if head[..8] != self.head(0)[..8] {
            return Err(Bad::new("it does not begin with the right magic bytes"));
        }
        let mut fields = Fields::new(&head[8..]);
        let (format, flags) = (fields.u16()?, fields.u16()?);
        if format != FORMAT {
            return Err(Bad::newer(format_args!("format {format} is")));
        }
        if flags & !known != 0 {
            return Err(Bad::newer(format_args!("flags {:#06x} are", flags & !known)));
        }
        fields.zeros(4)?;
        Ok(flags)
    }
}

/// Takes fields from a slice of bytes.
#[derive(Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Fields<'a> {
        Fields { rest: bytes }
    }

    /// The next `n` bytes.
    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8], Bad> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or_else(|| Bad::new("it ends too early"))?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Bad> {
        let mut out = [0; N];
        out.copy_from_slice(self.bytes(N)?);
        Ok(out)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Bad> {
        Ok(self.array::<1>()?[0])
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Result<u16, Bad> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Result<u32, Bad> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Result<u64, Bad> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Eight bytes, signed.
    pub fn i64(&mut self) -> Result<i64, Bad> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    /// A digest.
    pub fn digest(&mut self) -> Result<Digest, Bad> {
        Ok(Digest(self.array()?))
    }

    /// Takes reserved bytes, which must be zero.
    pub fn zeros(&mut self, n: usize) -> Result<(), Bad> {
        if self.bytes(n)?.iter().all(|b| *b == 0) { Ok(()) } else { Err(Bad::new("reserved bytes are not zero")) }
    }

    /// A number of 1 to 10 bytes, 7 bits each, lowest first, in its shortest form.
    pub fn varint(&mut self) -> Result<u64, Bad> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 || (byte == 0 && shift > 0) {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Bad::new("a number has an invalid form"))
    }

    /// Checks that nothing is left.
    pub fn end(&self) -> Result<(), Bad> {
        if self.rest.is_empty() { Ok(()) } else { Err(Bad::new("there are bytes too many")) }
    }

    /// Number of bytes left.
    pub fn left(&self) -> usize {
        self.rest.len()
    }
}

/// Appends a number as [`Fields::varint`] reads it.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Maps 0, -1, 1, -2... to 0, 1, 2, 3...
pub(super) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Reverses [`zigzag`].
pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(value: u64, signed: i64) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            let mut fields = Fields::new(&out);
            prop_assert_eq!(fields.varint().unwrap(), value);
            prop_assert!(fields.end().is_ok());
            prop_assert_eq!(unzigzag(zigzag(signed)), signed);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let mut fields = Fields::new(&bytes);
            while fields.varint().is_ok() {}
        }
    }

    #[test]
    fn heads_are_distinguished() {
        let head = FileKind::Pack.head(0);
        assert!(FileKind::Pack.check(&head, 0).is_ok());
        assert!(matches!(FileKind::Map.check(&head, 0), Err(Bad::Damaged(_))));
        let mut newer = head;
        newer[8] = 2;
        assert!(matches!(FileKind::Pack.check(&newer, 0), Err(Bad::Version(_))));
        assert!(matches!(FileKind::Pack.check(&FileKind::Pack.head(4), 3), Err(Bad::Version(_))));
    }
}
