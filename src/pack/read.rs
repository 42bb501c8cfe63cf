//! Reading a pack: the directory once, an index block when one of its pages is needed, then the page.
//!
//! The directory is checked against the id of the pack, a block against its key in the directory, and a page against
//! its digest in the block.

use super::block::{FrameEntry, block_key, coded_check};
use super::directory::{self, DirEntry, TAIL_MAGIC, pack_id};
use super::frame::{FRAME_PAGES, FrameKind, decode_frame};
use super::wire::{Bad, Fields, FileKind, HEAD, ReadAt};
use crate::page::{Digest, MAX_LEN, PAGE, PAGE64, PageNo};

/// Bytes of the tail: three numbers, a hash, a magic.
const TAIL: u64 = 24 + 32 + 8;

/// An index block that is decoded, and matches its key.
#[derive(Debug)]
pub struct Block {
    pages: Vec<PageNo>,
    digests: Vec<Digest>,
    frames: Vec<(FrameEntry, u64)>,
}

impl Block {
    /// Returns its pages with their digests, ascending.
    pub fn entries(&self) -> impl Iterator<Item = (PageNo, Digest)> + '_ {
        self.entries_from(0)
    }

    /// Returns its pages from `page` on, with their digests.
    pub fn entries_from(&self, page: PageNo) -> impl Iterator<Item = (PageNo, Digest)> + '_ {
        let at = self.pages.partition_point(|p| *p < page);
        self.pages[at..].iter().copied().zip(self.digests[at..].iter().copied())
    }

    /// Returns the digest of `page`, if it is in this block.
    pub fn digest(&self, page: PageNo) -> Option<Digest> {
        self.find(page).map(|i| self.digests[i])
    }

    /// Returns the approximate bytes of memory that it takes.
    pub fn weight(&self) -> usize {
        self.pages.len() * 40 + self.frames.len() * 24
    }

    /// Whether frame `index` is coded against old content.
    pub(super) fn needs_old(&self, index: usize) -> bool {
        self.frames[index].0.kind == FrameKind::Prefix
    }

    fn find(&self, page: PageNo) -> Option<usize> {
        self.pages.binary_search(&page).ok()
    }

    /// Number of frames.
    pub fn frames(&self) -> usize {
        self.frames.len()
    }

    /// Returns the pages of frame `index`, with their digests.
    pub fn frame_pages(&self, index: usize) -> Vec<(PageNo, Digest)> {
        let frame = self.frames[index].0;
        let first = usize::from(frame.first);
        (first..first + usize::from(frame.count)).map(|i| (self.pages[i], self.digests[i])).collect()
    }

    /// Returns the frame that holds `page`, if its bytes are stored.
    pub fn frame_of(&self, page: PageNo) -> Option<usize> {
        let place = self.find(page)?;
        let after = self.frames.partition_point(|(f, _)| usize::from(f.first) <= place);
        let index = after.checked_sub(1)?;
        let frame = self.frames[index].0;
        (place < usize::from(frame.first) + usize::from(frame.count)).then_some(index)
    }
}

/// An open pack.
#[derive(Debug)]
pub struct PackReader<R> {
    file: R,
    directory: Vec<DirEntry>,
    pages: u64,
    id: Digest,
    kinds: u8,
}

impl<R: ReadAt> PackReader<R> {
    /// Opens a pack, and checks its id.
    pub fn open(file: R, id: &Digest) -> Result<PackReader<R>, Bad> {
        let pack = PackReader::open_any(file)?;
        if pack.id != *id {
            return Err(Bad::new("it is not the pack that its name says"));
        }
        Ok(pack)
    }

    /// Opens a pack of any id.
    pub fn open_any(file: R) -> Result<PackReader<R>, Bad> {
        let size = file.size()?;
        let mut head = [0; HEAD];
        file.read_at(&mut head, 0)?;
        let known = match FileKind::Pack.check(&head, 0) {
            Err(newer @ Bad::Version(_)) => Err(newer), // returned only after the check that covers the head
            known => Ok(known?),
        };
        let tail_at =
            size.checked_sub(TAIL).filter(|at| *at >= HEAD as u64).ok_or_else(|| Bad::new("it is too short"))?;
        let mut tail = [0; TAIL as usize];
        file.read_at(&mut tail, tail_at)?;
        if tail[TAIL as usize - 8..] != TAIL_MAGIC[..] {
            return Err(Bad::new("it does not end as a pack does"));
        }
        let mut fields = Fields::new(&tail);
        let (at, blocks, pages) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let check = fields.digest()?;
        let bytes = blocks.checked_mul(DirEntry::BYTES as u64).filter(|n| at.checked_add(*n) == Some(tail_at));
        let bytes = bytes.ok_or_else(|| Bad::new("its directory is not where it must be"))?;
        let directory = directory::read(&file, &head, (at, bytes), &tail[..24], check)?;
        known?;
        directory::check(&directory, at, pages)?;
        let id = pack_id(&directory, pages);
        Ok(PackReader { file, directory, pages, id, kinds: 1 })
    }

    /// Allows frames that are coded against old content, as in deltas.
    pub fn with_prefixes(mut self) -> PackReader<R> {
        self.kinds = 2;
        self
    }

    /// Returns the id of the pack.
    pub fn id(&self) -> Digest {
        self.id
    }

    /// Number of pages.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.directory.len()
    }

    /// Returns the first and the last page of block `index`.
    pub fn block_span(&self, index: usize) -> (PageNo, PageNo) {
        (self.directory[index].first, self.directory[index].last)
    }

    /// Returns the block that can hold `page`.
    pub fn block_of(&self, page: PageNo) -> Option<usize> {
        let index = self.directory.partition_point(|d| d.last < page);
        self.directory.get(index).filter(|d| d.first <= page).map(|_| index)
    }

    /// Reads and checks block `index`.
    pub fn block(&self, index: usize) -> Result<Block, Bad> {
        let row = self.directory[index];
        let mut bytes = vec![0; row.len as usize];
        self.file.read_at(&mut bytes, row.offset)?;
        let (body, check) = bytes.split_at(bytes.len() - 32);
        if Digest::of(body).0 != check {
            return Err(Bad::new(format!("block {index} of its index does not match its check")));
        }
        decode_block(body, &row, self.kinds)
    }

    /// Reads and decodes frame `index` of `block`; `old` as for [`decode_frame`]. Does not check the digests of its
    /// pages.
    pub fn frame(&self, block: &Block, index: usize, old: Option<&[u8]>) -> Result<Vec<u8>, Bad> {
        let mut pages = Vec::new();
        self.frame_into(block, index, old, &mut pages)?;
        Ok(pages)
    }

    /// As [`PackReader::frame`], into a buffer that is reused.
    pub fn frame_into(&self, block: &Block, index: usize, old: Option<&[u8]>, pages: &mut Vec<u8>) -> Result<(), Bad> {
        let stored = self.stored(block, index)?;
        let frame = block.frames[index].0;
        if coded_check(frame.kind, &stored) != frame.check {
            return Err(Bad::new("a frame does not match its check"));
        }
        pages.resize(usize::from(frame.count) * PAGE, 0);
        decode_frame(frame.kind, &stored, old, pages)
    }

    fn stored(&self, block: &Block, index: usize) -> Result<Vec<u8>, Bad> {
        let (frame, offset) = block.frames[index];
        let mut stored = vec![0; frame.stored as usize];
        self.file.read_at(&mut stored, offset)?;
        Ok(stored)
    }

    /// Fills `out` with `page` and those that follow it in frame `index` of `block`, and returns true, if the frame is
    /// uncompressed.
    pub fn raw_page(&self, block: &Block, index: usize, page: PageNo, out: &mut [u8]) -> Result<bool, Bad> {
        let (frame, offset) = block.frames[index];
        let Some(place) = block.find(page).filter(|_| frame.kind == FrameKind::Raw) else {
            return Ok(false);
        };
        let within = (place - usize::from(frame.first)) as u64 * PAGE64;
        self.file.read_at(out, offset + within)?;
        Ok(true)
    }

    /// Reads the coded bytes of frame `index`, to be copied to another pack.
    pub fn coded_frame(&self, block: &Block, index: usize) -> Result<super::Frame, Bad> {
        Ok(super::Frame { kind: block.frames[index].0.kind, bytes: self.stored(block, index)? })
    }
}

fn decode_block(body: &[u8], row: &DirEntry, kinds: u8) -> Result<Block, Bad> {
    let mut fields = Fields::new(body);
    let (entries, runs, frames) = (fields.u32()?, fields.u32()?, fields.u32()?);
    fields.zeros(4)?;
    let first_frame = fields.u64()?;
    let needed = u64::from(runs) * 12 + u64::from(entries) * 32 + u64::from(frames) * FrameEntry::BYTES as u64;
    if entries != row.entries || runs > entries || frames > entries || needed != fields.left() as u64 {
        return Err(Bad::new("a block of its index does not add up"));
    }
    let mut pages = Vec::with_capacity(entries as usize);
    for _ in 0..runs {
        let (start, n) = (fields.u64()?, fields.u32()?);
        let after = pages.last().is_none_or(|last| *last < start);
        if !after || n == 0 || pages.len() + n as usize > entries as usize || start >= MAX_LEN / PAGE64 {
            return Err(Bad::new("a run of its index is impossible"));
        }
        pages.extend(start..start + u64::from(n));
    }
    let digests = (0..entries).map(|_| fields.digest()).collect::<Result<Vec<_>, _>>()?;
    let list: Vec<_> = pages.iter().copied().zip(digests.iter().copied()).collect();
    if list.len() != entries as usize || list[0].0 != row.first || block_key(&list) != row.key {
        return Err(Bad::new("a block of its index does not match its key"));
    }
    // The key covers neither the row's last page, nor that no page is zeros.
    if list[list.len() - 1].0 != row.last || digests.iter().any(Digest::is_zero) {
        return Err(Bad::new("a block of its index has impossible pages"));
    }
    let frames = decode_frames(&mut fields, frames, entries, first_frame, row.offset, kinds)?;
    Ok(Block { pages, digests, frames })
}

fn decode_frames(
    fields: &mut Fields<'_>,
    n: u32,
    entries: u32,
    first_frame: u64,
    block_at: u64,
    kinds: u8,
) -> Result<Vec<(FrameEntry, u64)>, Bad> {
    let mut frames = Vec::with_capacity(n as usize);
    let (mut at, mut next) = (first_frame, 0u32);
    for _ in 0..n {
        let (first, count, kind, stored) = (fields.u16()?, fields.u8()?, fields.u8()?, fields.u32()?);
        let check = fields.u64()?;
        let full = usize::from(count) * PAGE;
        let kind = FrameKind::from_code(kind)?;
        if kind as u8 > kinds {
            return Err(Bad::new("a frame is of a kind that cannot be here"));
        }
        let length = match kind {
            FrameKind::Raw => stored as usize == full,
            FrameKind::Zstd | FrameKind::Prefix => (1..full).contains(&(stored as usize)),
        };
        let place = u32::from(first) >= next && u32::from(first) + u32::from(count) <= entries;
        if !(place
            && length
            && (kind != FrameKind::Raw || check == 0)
            && (1..=FRAME_PAGES).contains(&usize::from(count)))
        {
            return Err(Bad::new("a frame of its index is impossible"));
        }
        frames.push((FrameEntry { first, count, kind, stored, check }, at));
        next = u32::from(first) + u32::from(count);
        at = at.saturating_add(u64::from(stored)); // compared with `block_at` below
    }
    if first_frame < HEAD as u64 || at > block_at {
        return Err(Bad::new("its frames are not where they must be"));
    }
    Ok(frames)
}

#[cfg(test)]
#[path = "read_test.rs"]
mod tests;
