//! A full map: where every page of an image comes from.

use std::io::{self, Write};
use std::sync::Arc;

use super::packs::Packs;
use super::runs::{RunStream, RunsReader, RunsWriter, Section};
use super::wire::{Bad, Fields, FileKind, HEAD, ReadAt, prove, unless_damaged};
use crate::page::{Digest, MAX_LEN};

/// Bytes before the pack ids.
const FIXED: usize = HEAD + 8 + 8 + Section::BYTES;

/// A map file, proven and open.
#[derive(Clone, Debug)]
pub struct MapFile<R> {
    file: R,
    packs: Arc<[u32]>,
    section: Section,
}

impl<R: ReadAt + Clone> MapFile<R> {
    /// Opens a map and proves that it is `id`, the BLAKE3 of its bytes.
    ///
    /// # Errors
    /// [`Bad::Damaged`] when it is not; [`Bad::Version`] when it is, and a newer version made it.
    pub fn open(file: R, id: &Digest, packs: &mut Packs) -> Result<MapFile<R>, Bad> {
        let size = file.size()?;
        let mut fixed = [0; FIXED];
        if size < FIXED as u64 {
            return Err(Bad::new("it ends too early"));
        }
        file.read_at(&mut fixed, 0)?;
        let head = FileKind::Map.check(fixed[..HEAD].try_into().expect("a head"), 0);
        head.map_err(|bad| unless_damaged(bad, &file, size, id))?;
        let mut fields = Fields::new(&fixed[HEAD..]);
        let (len, n) = (fields.u64()?, fields.u32()?);
        fields.zeros(4)?;
        let section = Section::take(&mut fields)?;
        let table = u64::from(n) * 32;
        if len > MAX_LEN || (FIXED as u64 + table).checked_add(section.bytes) != Some(size) {
            return Err(Bad::new("its parts do not add up"));
        }
        let ids = read_ids(&file, FIXED as u64, n)?;
        // Last, as a file may claim any size: only one that is as long as it says is read to its end.
        prove(&file, size, id)?;
        Ok(MapFile { file, packs: numbers(ids, packs), section })
    }

    /// Its runs, from the first page to the last.
    pub fn runs(&self) -> RunsReader<R> {
        let at = FIXED as u64 + self.packs.len() as u64 * 32;
        RunsReader::new(self.file.clone(), at, self.section, self.packs.clone())
    }

    /// The packs that it names.
    pub fn packs(&self) -> &[u32] {
        &self.packs
    }
}

/// Reads `n` pack ids at `offset`. Piece by piece: in a file of holes there may be said to be any number, and the first
/// of them is no id.
pub(super) fn read_ids(file: &impl ReadAt, offset: u64, n: u32) -> Result<Vec<Digest>, Bad> {
    let (mut all, mut piece) = (Vec::new(), vec![0; n.min(PIECE) as usize * 32]);
    for first in (0..n).step_by(PIECE as usize) {
        let piece = &mut piece[..(n - first).min(PIECE) as usize * 32];
        file.read_at(piece, offset + u64::from(first) * 32)?;
        all.extend(piece.chunks_exact(32).map(Digest::from_slice));
        if all.last().is_some_and(Digest::is_zero) {
            return Err(Bad::new("it names an impossible pack"));
        }
    }
    Ok(all)
}

/// The numbers of packs.
pub(super) fn numbers(ids: Vec<Digest>, packs: &mut Packs) -> Arc<[u32]> {
    ids.into_iter().map(|id| packs.intern(id)).collect()
}

/// Ids of packs read at once.
const PIECE: u32 = 4096;

/// Writes a full map of an image of `len` bytes; `scratch` keeps the runs until their packs are known. Gives the
/// map's id and size.
///
/// # Errors
/// What reading the runs or writing says.
pub fn write_map<S: Write + ReadAt>(
    len: u64,
    runs: &mut impl RunStream,
    packs: &Packs,
    scratch: S,
    out: &mut impl Write,
) -> Result<(Digest, u64), Bad> {
    let mut writer = RunsWriter::new(scratch);
    for run in runs {
        writer.push(run?)?;
    }
    let (section, order, scratch) = writer.finish()?;
    let mut head = FileKind::Map.head(0).to_vec();
    head.extend_from_slice(&len.to_le_bytes());
    head.extend_from_slice(&(order.len() as u32).to_le_bytes());
    head.extend_from_slice(&[0; 4]);
    section.put(&mut head);
    order.iter().for_each(|n| head.extend_from_slice(&packs.id(*n).0));
    let mut out = HashWriter::new(out);
    out.write_all(&head)?;
    copy_all(&scratch, &mut out)?;
    Ok(out.finish())
}

/// Copies all bytes, in bounded memory.
pub(super) fn copy_all(from: &impl ReadAt, out: &mut impl Write) -> io::Result<()> {
    let (mut at, end) = (0, from.size()?);
    let mut buf = vec![0; end.min(256 << 10) as usize];
    while at < end {
        let n = (end - at).min(buf.len() as u64) as usize;
        from.read_at(&mut buf[..n], at)?;
        out.write_all(&buf[..n])?;
        at += n as u64;
    }
    Ok(())
}

/// Hashes and counts what passes through it.
#[derive(Debug)]
pub(super) struct HashWriter<W> {
    out: W,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl<W: Write> HashWriter<W> {
    pub(super) fn new(out: W) -> HashWriter<W> {
        HashWriter { out, hasher: blake3::Hasher::new(), bytes: 0 }
    }

    pub(super) fn finish(self) -> (Digest, u64) {
        let (_, digest, bytes) = self.into_parts();
        (digest, bytes)
    }

    /// What it wrote to, the hash and the number of bytes.
    pub(super) fn into_parts(self) -> (W, Digest, u64) {
        (self.out, Digest(self.hasher.finalize().into()), self.bytes)
    }
}

impl<W: Write> Write for HashWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.out.write(buf)?;
        self.hasher.update(&buf[..n]);
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
