//! A delta: what changed between two images, the base and the result, as a stream. It has one direction, or two if it
//! is reversible. A direction is a pack, whose frames may be coded against the old content of the same pages, and runs
//! that name the source of every page that differs: a hole, zeros, or page P of that pack for page P.
//!
//! A delta is written in one pass; nothing of it is used before its end marker has been read and checked.

use std::sync::Arc;

use super::read::{Block, PackReader};
use super::runs::{Run, RunStream, RunsReader, Section, Source};
use super::wire::{Bad, Fields, FileKind, HEAD, RangeReader, ReadAt, hash_file};
use crate::page::{Digest, MAX_LEN, PAGE, PAGE64, PageNo, PageRange, page_digest, pages_of};

/// The flag of a reversible delta.
const REVERSIBLE: u16 = 1;
/// Bytes before the name.
const FIXED: usize = HEAD + 2 * 40 + 8;
/// Longest name.
pub const MOST_NAME: usize = 4096;
/// Most bytes before the forward pack.
pub const MOST_HEAD: usize = FIXED + MOST_NAME;
/// Most bytes of a stream that are read to check whether a newer version made it.
pub const MOST_NEWER: u64 = 1 << 30;
/// Bytes of the end marker.
pub(super) const END: usize = 64 + 40;
/// The last eight bytes of a delta.
pub(super) const END_MAGIC: &[u8; 8] = b"msdlend\n";

/// Identifies an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageId {
    /// Length in bytes.
    pub len: u64,
    /// The image digest.
    pub digest: Digest,
}

/// The head of a delta.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeltaHead {
    /// The image to which it applies.
    pub base: ImageId,
    /// The image that it makes of the base.
    pub result: ImageId,
    /// Whether it has the reverse direction too.
    pub reversible: bool,
    /// Name of the file, for display; cut to [`MOST_NAME`] bytes.
    pub name: Vec<u8>,
}

impl DeltaHead {
    pub(super) fn put(&self) -> Vec<u8> {
        let mut out = FileKind::Delta.head(if self.reversible { REVERSIBLE } else { 0 }).to_vec();
        for image in [self.base, self.result] {
            out.extend_from_slice(&image.len.to_le_bytes());
            out.extend_from_slice(&image.digest.0);
        }
        let name = &self.name[..self.name.len().min(MOST_NAME)];
        out.extend_from_slice(&(name.len() as u16).to_le_bytes());
        out.extend_from_slice(&[0; 6]);
        out.extend_from_slice(name);
        out
    }

    fn take(file: &impl ReadAt) -> Result<DeltaHead, Bad> {
        let mut fixed = [0; FIXED];
        // The user may have named any file: a shorter one is a delta only if it begins with the magic bytes.
        let there = usize::try_from(file.size()?).map_or(FIXED, |size| size.min(FIXED));
        file.read_at(&mut fixed[..there], 0)?;
        let magic = there.min(8);
        if there == 0 || fixed[..magic] != FileKind::Delta.head(0)[..magic] {
            return Err(Bad::Foreign);
        }
        if there < FIXED {
            return Err(Bad::new("it ends too early"));
        }
        let flags = FileKind::Delta.check(fixed[..HEAD].try_into().expect("a head"), REVERSIBLE)?;
        let mut fields = Fields::new(&fixed[HEAD..]);
        let base = ImageId { len: fields.u64()?, digest: fields.digest()? };
        let result = ImageId { len: fields.u64()?, digest: fields.digest()? };
        let n = usize::from(fields.u16()?);
        fields.zeros(6)?;
        if base.len > MAX_LEN || result.len > MAX_LEN || n > MOST_NAME {
            return Err(Bad::new("its head is impossible"));
        }
        let mut name = vec![0; n];
        file.read_at(&mut name, FIXED as u64)?;
        Ok(DeltaHead { base, result, reversible: flags & REVERSIBLE != 0, name })
    }

    /// Reads the head from the first [`MOST_HEAD`] bytes of a delta, or from all of a shorter one.
    pub fn of_start(start: &[u8]) -> Result<DeltaHead, Bad> {
        DeltaHead::take(&start.to_vec())
    }

    /// Returns a limit for the size of a delta with this head: pages, runs and indexes take far less than twice the
    /// bytes of both images.
    pub fn most_bytes(&self) -> u64 {
        (self.base.len + self.result.len).saturating_mul(2).saturating_add(1 << 20)
    }

    /// The head of the reversed delta.
    pub(super) fn inverted(&self) -> DeltaHead {
        DeltaHead { base: self.result, result: self.base, ..self.clone() }
    }
}

/// The parts of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Direction {
    pub(super) pack: u64,
    pub(super) runs: Section,
}

impl Direction {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.pack.to_le_bytes());
        self.runs.put(out);
    }

    fn take(fields: &mut Fields<'_>) -> Result<Direction, Bad> {
        Ok(Direction { pack: fields.u64()?, runs: Section::take(fields)? })
    }

    pub(super) fn bytes(&self) -> Option<u64> {
        self.pack.checked_add(self.runs.bytes)
    }
}

/// A delta that is open, and matches its end marker.
#[derive(Debug)]
pub struct DeltaReader<R> {
    pub(super) file: Arc<R>,
    /// Its head.
    pub head: DeltaHead,
    pub(super) directions: [(u64, Direction); 2],
    size: u64,
}

impl<R: ReadAt> DeltaReader<R> {
    /// Opens a delta: reads all of it once and checks it against its end marker.
    ///
    /// # Errors
    /// [`Bad::Foreign`] when it is not a delta, [`Bad::Damaged`] when it does not match its end marker, [`Bad::Version`]
    /// when it does, and a newer version made it.
    pub fn open(file: R) -> Result<DeltaReader<R>, Bad> {
        let file = Arc::new(file);
        let head = match DeltaHead::take(&file) {
            Err(newer @ Bad::Version(_)) => return Err(read_end(&file, HEAD).err().unwrap_or(newer)),
            head => head?,
        };
        let start = (FIXED + head.name.len()) as u64;
        let (end_at, end) = read_end(&file, start as usize)?;
        let size = end_at + END as u64;
        let mut fields = Fields::new(&end);
        let (forward, backward) = (Direction::take(&mut fields)?, Direction::take(&mut fields)?);
        let middle = forward.bytes().and_then(|n| n.checked_add(start)).filter(|at| *at <= end_at);
        let last = middle.and_then(|at| at.checked_add(backward.bytes()?));
        let (Some(middle), true) = (middle, last == Some(end_at)) else {
            return Err(Bad::new("its parts do not add up"));
        };
        if !head.reversible && backward != Direction::default() {
            return Err(Bad::new("it has a reverse direction, but not its flag"));
        }
        let delta = DeltaReader { file, head, directions: [(start, forward), (middle, backward)], size };
        delta.direction(false)?;
        if delta.head.reversible {
            delta.direction(true)?;
        }
        Ok(delta)
    }

    /// Returns its size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the number of pages of the result that differ.
    pub fn pages(&self) -> u64 {
        self.directions[0].1.runs.pages
    }

    /// Returns the runs of the forward direction, or `back`, which are not yet compared with its pack.
    pub fn direction_runs(&self, back: bool) -> RunsReader<Arc<R>> {
        let (at, parts) = self.directions[usize::from(back)];
        RunsReader::new(self.file.clone(), at + parts.pack, parts.runs, [0].into())
    }

    /// Returns the changes from the base to the result, or `back`.
    ///
    /// # Panics
    /// When `back` is set and the delta is not reversible.
    pub fn direction(&self, back: bool) -> Result<DirectionReader<R>, Bad> {
        assert!(!back || self.head.reversible, "a delta goes back only if it is reversible");
        let (at, parts) = self.directions[usize::from(back)];
        let len = if back { self.head.base.len } else { self.head.result.len };
        let pack = PackReader::open_any(RangeReader::new(self.file.clone(), at, parts.pack))?.with_prefixes();
        let runs = self.direction_runs(back);
        Ok(DirectionReader { pack, runs, len, run: None, next_block: 0, block: None, frame: DecodedFrame::default() })
    }
}

/// Checks a delta whose head has `start` bytes. Returns its end marker and the offset of it.
fn read_end(file: &impl ReadAt, start: usize) -> Result<(u64, [u8; END]), Bad> {
    let size = file.size()?;
    let end_at = size.checked_sub(END as u64).filter(|at| *at >= start as u64);
    let end_at = end_at.ok_or_else(|| Bad::new("it ends too early"))?;
    let mut end = [0; END];
    file.read_at(&mut end, end_at)?;
    if end[END - 8..] != END_MAGIC[..] {
        return Err(Bad::new("it does not end as a delta does: it was cut off, or is still being written"));
    }
    if hash_file(file, size - 40)?.0 != end[END - 40..END - 8] {
        return Err(Bad::new("it does not match its end marker"));
    }
    Ok((end_at, end))
}

/// The changes of one direction, ascending.
#[derive(Debug)]
pub struct DirectionReader<R> {
    pack: PackReader<RangeReader<Arc<R>>>,
    runs: RunsReader<Arc<R>>,
    /// Length of the resulting image.
    len: u64,
    /// The rest of the last run, if its pages are in the pack.
    run: Option<Run>,
    next_block: usize,
    /// The current block, and its next frame.
    block: Option<(Block, usize)>,
    frame: DecodedFrame,
}

/// A decoded frame, of which the first `used` pages have been returned.
#[derive(Debug, Default)]
struct DecodedFrame {
    pages: Vec<(PageNo, Digest)>,
    bytes: Vec<u8>,
    used: usize,
}

/// Fills a buffer with the old content of a page.
pub type OldPage<'a, E> = dyn FnMut(PageNo, &mut [u8; PAGE]) -> Result<(), E> + 'a;

/// A change of pages.
#[derive(Debug)]
pub enum PageChange<'a> {
    /// The pages become zeros: a hole, or zeros as data.
    Zeros(Run),
    /// The page gets these bytes, which match the digest.
    Page(PageNo, Digest, &'a [u8; PAGE]),
}

impl<R: ReadAt> DirectionReader<R> {
    /// Returns the next change. `old` is called for the pages of a frame that is coded against old content, ascending,
    /// and therefore at most 16 pages ahead of the returned page.
    pub fn next<E: From<Bad>>(&mut self, old: &mut OldPage<'_, E>) -> Result<Option<PageChange<'_>>, E> {
        let Some(run) = self.next_run()? else { return Ok(None) };
        if run.source.is_zeros() {
            return Ok(Some(PageChange::Zeros(run)));
        }
        let page = run.pages.start;
        let rest = run.clip(&PageRange::new(page + 1, run.pages.end));
        self.run = (!rest.pages.is_empty()).then_some(rest);
        if self.frame.used == self.frame.pages.len() {
            self.load(old)?;
        }
        let at = self.frame.used;
        self.frame.used += 1;
        let (there, digest) = self.frame.pages[at];
        let bytes = self.frame.bytes[at * PAGE..].first_chunk::<PAGE>().ok_or_else(|| Bad::new("a frame is short"))?;
        let past = (self.len - page * PAGE64).min(PAGE64) as usize;
        if there != page || page_digest(bytes) != digest || bytes[past..].iter().any(|b| *b != 0) {
            return Err(Bad::new(format!("page {page} is not valid")).into());
        }
        Ok(Some(PageChange::Page(page, digest, bytes)))
    }

    /// The next run. At the end, no page of the pack may be left.
    fn next_run(&mut self) -> Result<Option<Run>, Bad> {
        if let Some(run) = self.run.take() {
            return Ok(Some(run));
        }
        let Some(run) = self.runs.next_run()? else {
            let used = self.frame.used == self.frame.pages.len();
            let ended = self.next_block == self.pack.blocks();
            let last = self.block.as_ref().is_none_or(|(block, next)| *next == block.frames());
            return if used && ended && last { Ok(None) } else { Err(Bad::new("it holds pages that no run names")) };
        };
        let own = matches!(run.source, Source::Pack(0, page) if page == run.pages.start);
        if run.pages.end > pages_of(self.len) || !(own || run.source.is_zeros()) {
            return Err(Bad::new("a run of it is impossible"));
        }
        Ok(Some(run))
    }

    /// Decodes the next frame.
    fn load<E: From<Bad>>(&mut self, old: &mut OldPage<'_, E>) -> Result<(), E> {
        while self.block.as_ref().is_none_or(|(block, next)| *next == block.frames()) {
            if self.next_block == self.pack.blocks() {
                return Err(Bad::new("it names pages that it does not hold").into());
            }
            self.block = Some((self.pack.block(self.next_block)?, 0));
            self.next_block += 1;
        }
        let Some((block, next)) = &mut self.block else { return Ok(()) };
        let index = *next;
        *next += 1;
        let pages = block.frame_pages(index);
        let mut before = Vec::new();
        if block.needs_old(index) {
            before.resize(pages.len() * PAGE, 0);
            let (places, _) = before.as_chunks_mut::<PAGE>();
            for ((page, _), place) in pages.iter().zip(places) {
                old(*page, place)?;
            }
        }
        let bytes = self.pack.frame(block, index, Some(&before))?;
        self.frame = DecodedFrame { pages, bytes, used: 0 };
        Ok(())
    }
}

#[cfg(test)]
#[path = "delta_test.rs"]
mod tests;
