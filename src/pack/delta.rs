//! Delta: the stream form of one image relative to another. It says which image it is for and which it makes, and
//! carries the pages that differ: forward, and if it is reversible also backward. Each direction is a pack, whose
//! frames may be coded against the old content of the same pages, and runs that say what becomes of every page that
//! differs.
//!
//! ```text
//! offset   bytes  field
//! 0        16     head, letter d; flags: bit 0 = reversible
//! 16       8      length of the base
//! 24       32     image digest of the base
//! 56       8      length of the result
//! 64       32     image digest of the result
//! 96       2      n, bytes of the name, at most 4096
//! 98       6      zero
//! 104      n      name of the file, for people
//! 104+n           forward pack, forward runs; when reversible: backward pack, backward runs
//! end-104         end marker
//! ```
//! The end marker:
//! ```text
//! 0        8      bytes of the forward pack
//! 8        24     forward runs: bytes, runs, pages
//! 32       8      bytes of the backward pack; zero when not reversible
//! 40       24     backward runs; zeros when not reversible
//! 64       32     BLAKE3 of everything before
//! 96       8      "msdlend\n"
//! ```
//! Runs name the pages that differ and lie within the image they lead to, ascending; their sources are a hole, zeros,
//! or page P of pack 0 for page P. The pack holds exactly the pages that the runs take from it. What a page held
//! before counts as zeros past the end of the image it was in; so does what follows the last byte in its last page.
//! A delta is written in one pass; nothing of it is used before the end marker has been read and checked.

use std::sync::Arc;

use super::read::{Block, PackReader};
use super::runs::{Run, RunStream, RunsReader, Section, Source};
use super::wire::{Bad, Fields, FileKind, HEAD, RangeReader, ReadAt, hash_file};
use crate::page::{Digest, MAX_LEN, PAGE, PAGE64, PageNo, PageRange, page_digest, pages_of};

/// Flag: the reverse direction is in it too.
const REVERSIBLE: u16 = 1;
/// Bytes before the name.
const FIXED: usize = HEAD + 2 * 40 + 8;
/// Longest name.
pub const MOST_NAME: usize = 4096;
/// Most bytes before what it carries.
pub const MOST_HEAD: usize = FIXED + MOST_NAME;
/// Bytes of the end marker.
pub(super) const END: usize = 64 + 40;
/// The last eight bytes of a delta.
pub(super) const END_MAGIC: &[u8; 8] = b"msdlend\n";

/// Which image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageId {
    /// Length in bytes.
    pub len: u64,
    /// The image digest.
    pub digest: Digest,
}

/// What a delta is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeltaHead {
    /// The image it is for.
    pub base: ImageId,
    /// The image it makes.
    pub result: ImageId,
    /// Whether it carries the reverse direction.
    pub reversible: bool,
    /// Name of the file, for people; cut to [`MOST_NAME`] bytes.
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
        // People name this file: one that is shorter than a head is, most often, no delta at all.
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

    /// The head of a delta of which only the first [`MOST_HEAD`] bytes are there, or all if it is shorter.
    ///
    /// # Errors
    /// As [`DeltaReader::open`].
    pub fn of_start(start: &[u8]) -> Result<DeltaHead, Bad> {
        DeltaHead::take(&start.to_vec())
    }

    /// No delta with this head is longer: twice the bytes of both images is far more than pages, runs and indexes take.
    pub fn most_bytes(&self) -> u64 {
        (self.base.len + self.result.len).saturating_mul(2).saturating_add(1 << 20)
    }

    /// The head of the delta that leads back.
    pub(super) fn inverted(&self) -> DeltaHead {
        DeltaHead { base: self.result, result: self.base, ..self.clone() }
    }
}

/// What one direction consists of.
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

/// A delta, proven whole and open.
#[derive(Debug)]
pub struct DeltaReader<R> {
    pub(super) file: Arc<R>,
    /// What it is about.
    pub head: DeltaHead,
    pub(super) directions: [(u64, Direction); 2],
    size: u64,
}

impl<R: ReadAt> DeltaReader<R> {
    /// Opens a delta: reads all of it once and holds it against its end marker.
    ///
    /// # Errors
    /// [`Bad::Foreign`] when it is no delta, [`Bad::Damaged`] when it is not whole, [`Bad::Version`] when it is whole,
    /// and a newer version made it.
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
            return Err(Bad::new("it has a reverse direction and says it has none"));
        }
        let delta = DeltaReader { file, head, directions: [(start, forward), (middle, backward)], size };
        delta.direction(false)?;
        if delta.head.reversible {
            delta.direction(true)?;
        }
        Ok(delta)
    }

    /// Bytes of all of it.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Pages that differ and lie within the result.
    pub fn pages(&self) -> u64 {
        self.directions[0].1.runs.pages
    }

    /// The runs of the forward direction, or `back`; as they are, not yet checked against its pack.
    pub fn way_runs(&self, back: bool) -> RunsReader<Arc<R>> {
        let (at, parts) = self.directions[usize::from(back)];
        RunsReader::new(self.file.clone(), at + parts.pack, parts.runs, [0].into())
    }

    /// What it makes of every page that differs: of the base, or, `back`, of the result.
    ///
    /// # Errors
    /// [`Bad::Damaged`] when its pack is none.
    ///
    /// # Panics
    /// When the reverse direction is asked for and not in it.
    pub fn direction(&self, back: bool) -> Result<DirectionReader<R>, Bad> {
        assert!(!back || self.head.reversible, "a delta goes back only if it is reversible");
        let (at, parts) = self.directions[usize::from(back)];
        let len = if back { self.head.base.len } else { self.head.result.len };
        let pack = PackReader::open_any(RangeReader::new(self.file.clone(), at, parts.pack))?.with_prefixes();
        let runs = self.way_runs(back);
        Ok(DirectionReader { pack, runs, len, run: None, next_block: 0, block: None, frame: DecodedFrame::default() })
    }
}

/// Reads a delta, of which the first `start` bytes are its head, and checks it: its end marker, and where that is.
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

/// The pages of one direction, ascending.
#[derive(Debug)]
pub struct DirectionReader<R> {
    pack: PackReader<RangeReader<Arc<R>>>,
    runs: RunsReader<Arc<R>>,
    /// Length of the image it leads to.
    len: u64,
    /// What is left of the run taken last, if its pages are in the pack.
    run: Option<Run>,
    next_block: usize,
    /// The block being read, and its next frame.
    block: Option<(Block, usize)>,
    frame: DecodedFrame,
}

/// A decoded frame, of which the first `used` pages have been given out.
#[derive(Debug, Default)]
struct DecodedFrame {
    pages: Vec<(PageNo, Digest)>,
    bytes: Vec<u8>,
    used: usize,
}

/// Fills in what a page held before.
pub type OldPage<'a, E> = dyn FnMut(PageNo, &mut [u8; PAGE]) -> Result<(), E> + 'a;

/// What becomes of pages.
#[derive(Debug)]
pub enum PageChange<'a> {
    /// All of them become zeros: a hole, or zeros held as data.
    Zeros(Run),
    /// One gets these bytes, proven by its digest.
    Page(PageNo, Digest, &'a [u8; PAGE]),
}

impl<R: ReadAt> DirectionReader<R> {
    /// What comes next. `old` fills in what a page held before, where that is needed to decode: always the pages of one
    /// frame, ascending, and so never more than 16 pages ahead of what was given out.
    ///
    /// # Errors
    /// [`Bad::Damaged`] when something in it is not what it must be; what `old` says.
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
            return Err(Bad::new(format!("page {page} is not what it must be")).into());
        }
        Ok(Some(PageChange::Page(page, digest, bytes)))
    }

    /// The next run, or the end: then nothing may be left in the pack.
    fn next_run(&mut self) -> Result<Option<Run>, Bad> {
        if let Some(run) = self.run.take() {
            return Ok(Some(run));
        }
        let Some(run) = self.runs.next_run()? else {
            let used = self.frame.used == self.frame.pages.len();
            let ended = self.next_block == self.pack.blocks();
            let last = self.block.as_ref().is_none_or(|(block, next)| *next == block.frames());
            return if used && ended && last { Ok(None) } else { Err(Bad::new("it holds pages that nothing names")) };
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
        if PackReader::<RangeReader<Arc<R>>>::needs_old(block, index) {
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
