//! Writing a pack: frames in page order, an index block after every 4096 pages, the directory last. A pack of any length
//! takes one pass and bounded memory.

use std::io::{self, Write};

use super::block::{BLOCK_ENTRIES, FrameEntry, block_key, coded_check};
use super::directory::{DirEntry, TAIL_MAGIC, pack_id};
use super::frame::{Frame, FrameCounts};
use super::wire::{FileKind, HEAD};
use crate::page::{Digest, PageNo};

/// A pack that was written.
#[derive(Clone, Copy, Debug)]
pub struct PackSummary {
    /// The id of the pack, a hash of its list of (page, digest).
    pub id: Digest,
    /// Number of pages.
    pub pages: u64,
    /// Number of bytes in total.
    pub bytes: u64,
    /// Its frames.
    pub frames: FrameCounts,
}

/// Writes a pack to any `W`.
#[derive(Debug)]
pub struct PackWriter<W: Write> {
    out: W,
    at: u64,
    block: BlockBuilder,
    directory: Vec<DirEntry>,
    pages: u64,
    frames: FrameCounts,
}

/// The block whose frames are being written.
#[derive(Debug, Default)]
struct BlockBuilder {
    start: u64,
    entries: Vec<(PageNo, Digest)>,
    frames: Vec<FrameEntry>,
}

impl<W: Write> PackWriter<W> {
    /// Begins a pack.
    pub fn new(mut out: W) -> io::Result<PackWriter<W>> {
        out.write_all(&FileKind::Pack.head(0))?;
        let block = BlockBuilder { start: HEAD as u64, ..BlockBuilder::default() };
        Ok(PackWriter { out, at: HEAD as u64, block, directory: Vec::new(), pages: 0, frames: FrameCounts::default() })
    }

    /// Adds the pages of one frame. `frame` is `None` for pages whose bytes are lost or not needed any more: a pack that
    /// replaces another keeps their entries, and so the id.
    ///
    /// # Panics
    /// When pages do not ascend, a digest is of zeros, or there are more than 16 pages.
    pub fn push(&mut self, pages: &[(PageNo, Digest)], frame: Option<&Frame>) -> io::Result<()> {
        if pages.is_empty() {
            return Ok(());
        }
        assert!(pages.len() <= super::frame::FRAME_PAGES && pages.iter().all(|(_, d)| !d.is_zero()));
        assert!(pages.windows(2).all(|w| w[0].0 < w[1].0), "pages of a frame ascend");
        if self.block.entries.len() + pages.len() > BLOCK_ENTRIES {
            self.end_block()?;
        }
        let last = self.block.entries.last().map(|e| e.0).or(self.directory.last().map(|d| d.last));
        assert!(last.is_none_or(|last| last < pages[0].0), "frames of a pack ascend");
        if let Some(frame) = frame {
            self.out.write_all(&frame.bytes)?;
            self.block.frames.push(FrameEntry {
                first: self.block.entries.len() as u16,
                count: pages.len() as u8,
                kind: frame.kind,
                stored: frame.bytes.len() as u32,
                check: coded_check(frame.kind, &frame.bytes),
            });
            self.at += frame.bytes.len() as u64;
            self.frames.add(frame.kind);
        }
        self.block.entries.extend_from_slice(pages);
        self.pages += pages.len() as u64;
        Ok(())
    }

    /// Ends the current index block, if it has pages. A full block ends by itself; a pack that replaces another must end
    /// its blocks at the same pages, as the id is derived from them.
    pub fn end_block(&mut self) -> io::Result<()> {
        let block = std::mem::take(&mut self.block);
        let (Some(first), Some(last)) = (block.entries.first(), block.entries.last()) else {
            return Ok(());
        };
        let bytes = encode_block(&block);
        self.directory.push(DirEntry {
            offset: self.at,
            len: bytes.len() as u32,
            entries: block.entries.len() as u32,
            first: first.0,
            last: last.0,
            key: block_key(&block.entries),
        });
        self.out.write_all(&bytes)?;
        self.at += bytes.len() as u64;
        self.block.start = self.at;
        Ok(())
    }

    /// Ends the pack, and returns its summary and the writer.
    pub fn finish(mut self) -> io::Result<(PackSummary, W)> {
        self.end_block()?;
        let mut tail = Vec::with_capacity(self.directory.len() * DirEntry::BYTES + 64);
        self.directory.iter().for_each(|d| d.put(&mut tail));
        for number in [self.at, self.directory.len() as u64, self.pages] {
            tail.extend_from_slice(&number.to_le_bytes());
        }
        let check = blake3::Hasher::new().update(&FileKind::Pack.head(0)).update(&tail).finalize();
        tail.extend_from_slice(check.as_bytes());
        tail.extend_from_slice(TAIL_MAGIC);
        self.out.write_all(&tail)?;
        let summary = PackSummary {
            id: pack_id(&self.directory, self.pages),
            pages: self.pages,
            bytes: self.at + tail.len() as u64,
            frames: self.frames,
        };
        Ok((summary, self.out))
    }
}

fn encode_block(block: &BlockBuilder) -> Vec<u8> {
    let mut runs: Vec<(PageNo, u32)> = Vec::new();
    for (page, _) in &block.entries {
        match runs.last_mut() {
            Some((start, n)) if *start + u64::from(*n) == *page => *n += 1,
            _ => runs.push((*page, 1)),
        }
    }
    let mut out = Vec::with_capacity(
        24 + runs.len() * 12 + block.entries.len() * 32 + block.frames.len() * FrameEntry::BYTES + 32,
    );
    for n in [block.entries.len(), runs.len(), block.frames.len(), 0] {
        out.extend_from_slice(&(n as u32).to_le_bytes());
    }
    out.extend_from_slice(&block.start.to_le_bytes());
    for (start, n) in &runs {
        out.extend_from_slice(&start.to_le_bytes());
        out.extend_from_slice(&n.to_le_bytes());
    }
    block.entries.iter().for_each(|(_, d)| out.extend_from_slice(&d.0));
    for frame in &block.frames {
        out.extend_from_slice(&frame.first.to_le_bytes());
        out.extend_from_slice(&[frame.count, frame.kind as u8]);
        out.extend_from_slice(&frame.stored.to_le_bytes());
        out.extend_from_slice(&frame.check.to_le_bytes());
    }
    let check = blake3::hash(&out);
    out.extend_from_slice(check.as_bytes());
    out
}
