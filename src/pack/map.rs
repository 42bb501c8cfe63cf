//! Full maps: the source of every page of an image.

use std::io::{self, Write};
use std::sync::Arc;

use super::packs::Packs;
use super::runs::{RunStream, RunsReader, RunsWriter, Section};
use super::wire::{Bad, Fields, FileKind, HEAD, ReadAt, copy, prove, unless_damaged};
use crate::page::{Digest, MAX_LEN};

/// Bytes before the pack ids.
const FIXED: usize = HEAD + 8 + 8 + Section::BYTES;

/// A map file that is open, and matches its id.
#[derive(Clone, Debug)]
pub struct MapFile<R> {
    file: R,
    packs: Arc<[u32]>,
    section: Section,
}

impl<R: ReadAt + Clone> MapFile<R> {
    /// Opens a map, and checks that `id` is the BLAKE3 hash of its bytes.
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
        // Last, as a sparse file may claim any size: only a file of the length that its head states is hashed.
        prove(&file, size, id)?;
        Ok(MapFile { file, packs: packs.intern_all(ids), section })
    }

    /// Returns its runs, from the first page to the last.
    pub fn runs(&self) -> RunsReader<R> {
        let at = FIXED as u64 + self.packs.len() as u64 * 32;
        RunsReader::new(self.file.clone(), at, self.section, self.packs.clone())
    }

    /// Returns the packs that it names.
    pub fn packs(&self) -> &[u32] {
        &self.packs
    }
}

/// Reads `n` pack ids at `offset`. A sparse file may claim any number, so they are read in pieces, and a zero id is
/// rejected.
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

/// Pack ids that are read at once.
const PIECE: u32 = 4096;

/// Writes a full map of an image of `len` bytes, and returns its id and size. `scratch` keeps the runs until their packs
/// are known.
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
    let (_, id, bytes) = out.into_parts();
    Ok((id, bytes))
}

/// Copies all bytes, in bounded memory.
pub(super) fn copy_all(from: &impl ReadAt, out: &mut impl Write) -> io::Result<()> {
    copy(from, from.size()?, out)
}

/// Hashes and counts the bytes that are written to `out`.
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

    /// Returns `out`, the hash, and the number of bytes.
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
