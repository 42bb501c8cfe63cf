//! Runs of pages with their sources, as maps, snapshots and deltas store them.

use std::collections::HashMap;
use std::io::{self, Write};

use super::wire::{Bad, Fields, ReadAt, put_varint, unzigzag, zigzag};
use crate::page::{MAX_LEN, PAGE64, PageNo, PageRange};

/// The source of a page. The number of a pack is that in [`Packs`](super::Packs).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A hole of the target.
    Hole,
    /// Zeros that the target holds as data.
    Zero,
    /// This page of a pack.
    Pack(u32, PageNo),
}

impl Source {
    /// The source of the page `n` pages further.
    pub fn advance(self, n: u64) -> Source {
        match self {
            Source::Pack(pack, page) => Source::Pack(pack, page + n),
            zeros => zeros,
        }
    }

    /// Whether the page is zeros.
    pub fn is_zeros(self) -> bool {
        !matches!(self, Source::Pack(..))
    }
}

/// Consecutive pages with one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The pages of the target.
    pub pages: PageRange,
    /// The source of the first page; those of the others follow it.
    pub source: Source,
}

impl Run {
    /// The part of the run within `range`.
    pub fn clip(&self, range: &PageRange) -> Run {
        let pages = self.pages.intersect(range);
        Run { pages, source: self.source.advance(pages.start - self.pages.start) }
    }

    /// This run and `next` as one, if `next` continues it.
    pub fn join(&self, next: &Run) -> Option<Run> {
        let follows = self.pages.end == next.pages.start && self.source.advance(self.pages.len()) == next.source;
        follows.then_some(Run { pages: PageRange::new(self.pages.start, next.pages.end), source: self.source })
    }
}

/// The code of a source in the first pack of the list. Codes 2 to 7 are reserved for future kinds of sources.
const FIRST_PACK: u64 = 8;
/// Most runs in a block, which is read into memory as a whole.
pub(super) const BLOCK_RUNS: usize = 8192;
/// Bytes before the columns of a block.
const BLOCK_HEAD: usize = 32;
/// Most bytes of a block's columns: four numbers of up to ten bytes each a run.
const MOST_RAW: usize = BLOCK_RUNS * 40;

/// The size of a sequence of runs in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// Bytes in the file.
    pub bytes: u64,
    /// Number of runs.
    pub runs: u64,
    /// Pages in all runs.
    pub pages: u64,
}

impl Section {
    /// Bytes of its three numbers.
    pub const BYTES: usize = 24;

    /// Appends the three numbers.
    pub fn put(&self, out: &mut Vec<u8>) {
        [self.bytes, self.runs, self.pages].iter().for_each(|n| out.extend_from_slice(&n.to_le_bytes()));
    }

    /// Takes the three numbers.
    pub fn take(fields: &mut Fields<'_>) -> Result<Section, Bad> {
        Ok(Section { bytes: fields.u64()?, runs: fields.u64()?, pages: fields.u64()? })
    }
}

/// Writes runs, and joins adjacent ones. In the file, packs are numbered in the order in which they occur.
#[derive(Debug)]
pub struct RunsWriter<W> {
    out: W,
    pending: Option<Run>,
    block: Vec<Run>,
    section: Section,
    /// Numbers in the file, by [`Packs`](super::Packs) number.
    numbers: HashMap<u32, u32>,
    order: Vec<u32>,
}

impl<W: Write> RunsWriter<W> {
    /// A writer to `out`.
    pub fn new(out: W) -> RunsWriter<W> {
        RunsWriter {
            out,
            pending: None,
            block: Vec::new(),
            section: Section::default(),
            numbers: HashMap::new(),
            order: Vec::new(),
        }
    }

    /// As [`RunsWriter::new`], with the packs in `order` numbered first.
    pub fn continuing(out: W, order: Vec<u32>) -> RunsWriter<W> {
        let numbers = order.iter().zip(0..).map(|(pack, number)| (*pack, number)).collect();
        RunsWriter { numbers, order, ..RunsWriter::new(out) }
    }

    /// Adds a run; empty ones are ignored. Runs ascend.
    pub fn push(&mut self, run: Run) -> io::Result<()> {
        if run.pages.is_empty() {
            return Ok(());
        }
        if let Some(last) = self.pending {
            assert!(last.pages.end <= run.pages.start, "runs ascend");
            if let Some(joined) = last.join(&run) {
                self.pending = Some(joined);
                return Ok(());
            }
            self.add(last)?;
        }
        self.pending = Some(run);
        Ok(())
    }

    fn add(&mut self, run: Run) -> io::Result<()> {
        self.section.runs += 1;
        self.section.pages += run.pages.len();
        self.block.push(run);
        if self.block.len() == BLOCK_RUNS { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> io::Result<()> {
        let (Some(first), Some(last)) = (self.block.first(), self.block.last()) else {
            return Ok(());
        };
        let (start, end) = (first.pages.start, last.pages.end);
        let mut columns: [Vec<u8>; 4] = Default::default();
        let (mut at, mut shift) = (start, 0i64);
        for run in &self.block {
            put_varint(&mut columns[0], run.pages.start - at);
            put_varint(&mut columns[1], run.pages.len() - 1);
            at = run.pages.end;
            let code = match run.source {
                Source::Hole => 0,
                Source::Zero => 1,
                Source::Pack(pack, page) => {
                    let next = self.order.len() as u32;
                    let number = *self.numbers.entry(pack).or_insert_with(|| {
                        self.order.push(pack);
                        next
                    });
                    // Pages mostly keep their place, so this column is mostly zeros, which zstd compresses well.
                    let moved = page.wrapping_sub(run.pages.start) as i64;
                    put_varint(&mut columns[3], zigzag(moved.wrapping_sub(shift)));
                    shift = moved;
                    FIRST_PACK + u64::from(number)
                }
            };
            put_varint(&mut columns[2], code);
        }
        let raw = columns.concat();
        let coded = zstd::bulk::compress(&raw, 3)?;
        let mut head = Vec::with_capacity(BLOCK_HEAD);
        for n in [self.block.len(), raw.len(), coded.len(), 0] {
            head.extend_from_slice(&(n as u32).to_le_bytes());
        }
        head.extend_from_slice(&start.to_le_bytes());
        head.extend_from_slice(&end.to_le_bytes());
        self.out.write_all(&head)?;
        self.out.write_all(&coded)?;
        self.section.bytes += (BLOCK_HEAD + coded.len()) as u64;
        self.block.clear();
        Ok(())
    }

    /// Ends the runs. Returns their size, the packs that they name in the order of their numbers in the file, and the
    /// writer.
    pub fn finish(mut self) -> io::Result<(Section, Vec<u32>, W)> {
        if let Some(last) = self.pending.take() {
            self.add(last)?;
        }
        self.end_block()?;
        Ok((self.section, self.order, self.out))
    }
}

/// Runs in ascending order. Runs after an error must not be used.
pub trait RunStream: Iterator<Item = Result<Run, Bad>> {
    /// Returns the next run.
    fn next_run(&mut self) -> Result<Option<Run>, Bad> {
        self.next().transpose()
    }
}

impl<I: Iterator<Item = Result<Run, Bad>> + ?Sized> RunStream for I {}

/// Reads runs from a file, one block at a time.
#[derive(Debug)]
pub struct RunsReader<R> {
    file: R,
    at: u64,
    end: u64,
    /// Numbers in [`Packs`](super::Packs), by number in the file.
    packs: std::sync::Arc<[u32]>,
    left: Section,
    block: std::vec::IntoIter<Run>,
    next_page: PageNo,
    skipped: bool,
}

impl<R: ReadAt> RunsReader<R> {
    /// The runs of `section` at `offset`; `packs` maps pack numbers of the file to those of [`Packs`](super::Packs).
    pub fn new(file: R, offset: u64, section: Section, packs: std::sync::Arc<[u32]>) -> RunsReader<R> {
        let end = offset.saturating_add(section.bytes);
        RunsReader {
            file,
            at: offset,
            end,
            packs,
            left: section,
            block: Vec::new().into_iter(),
            next_page: 0,
            skipped: false,
        }
    }

    /// Skips blocks that end at or before `page`, without decoding them.
    pub fn skip_to(&mut self, page: PageNo) -> Result<(), Bad> {
        while self.at < self.end && self.block.len() == 0 {
            let head = self.block_head()?;
            if head.end > page {
                break;
            }
            self.skipped = true;
            self.pass(&head)?;
        }
        Ok(())
    }

    fn block_head(&self) -> Result<BlockHead, Bad> {
        let mut head = [0; BLOCK_HEAD];
        self.file.read_at(&mut head, self.at)?;
        let mut fields = Fields::new(&head);
        let (runs, raw, coded) = (fields.u32()?, fields.u32()?, fields.u32()?);
        fields.zeros(4)?;
        let head = BlockHead { runs, raw, coded, start: fields.u64()?, end: fields.u64()? };
        let room = self.end - self.at;
        let sizes = raw as usize <= MOST_RAW && coded as usize <= zstd::zstd_safe::compress_bound(MOST_RAW);
        let fits = sizes && u64::from(coded) + BLOCK_HEAD as u64 <= room;
        let counts = (1..=BLOCK_RUNS as u32).contains(&runs) && u64::from(runs) <= self.left.runs;
        let order = self.next_page <= head.start && head.start < head.end && head.end <= MAX_LEN / PAGE64;
        if fits && counts && order { Ok(head) } else { Err(Bad::new("a block of its runs is impossible")) }
    }

    fn pass(&mut self, head: &BlockHead) -> Result<(), Bad> {
        self.at += BLOCK_HEAD as u64 + u64::from(head.coded);
        self.left.runs -= u64::from(head.runs);
        self.next_page = head.end;
        if self.at == self.end && self.left.runs != 0 {
            return Err(Bad::new("its runs do not add up"));
        }
        Ok(())
    }

    fn load(&mut self) -> Result<(), Bad> {
        let head = self.block_head()?;
        let mut coded = vec![0; head.coded as usize];
        self.file.read_at(&mut coded, self.at + BLOCK_HEAD as u64)?;
        let raw = zstd::bulk::decompress(&coded, head.raw as usize).ok().filter(|r| r.len() == head.raw as usize);
        let raw = raw.ok_or_else(|| Bad::new("a block of its runs does not decode"))?;
        let runs = decode_runs(&raw, &head, &self.packs)?;
        let pages = runs.iter().map(|r| r.pages.len()).sum();
        self.left.pages = self.left.pages.checked_sub(pages).ok_or_else(|| Bad::new("its runs do not add up"))?;
        self.block = runs.into_iter();
        self.pass(&head)
    }
}

impl<R: ReadAt> Iterator for RunsReader<R> {
    type Item = Result<Run, Bad>;

    fn next(&mut self) -> Option<Result<Run, Bad>> {
        if let Some(run) = self.block.next() {
            return Some(Ok(run));
        }
        if self.at == self.end {
            let all = self.left.runs == 0 && (self.skipped || self.left.pages == 0);
            return (!all).then(|| Err(Bad::new("its runs do not add up")));
        }
        self.load().map(|()| self.block.next()).transpose()
    }
}

struct BlockHead {
    runs: u32,
    raw: u32,
    coded: u32,
    start: PageNo,
    end: PageNo,
}

fn decode_runs(raw: &[u8], head: &BlockHead, packs: &[u32]) -> Result<Vec<Run>, Bad> {
    let impossible = || Bad::new("a run is impossible");
    let mut fields = Fields::new(raw);
    let mut runs = Vec::with_capacity(head.runs as usize);
    let gaps = (0..head.runs).map(|_| fields.varint()).collect::<Result<Vec<_>, _>>()?;
    let mut at = head.start;
    for gap in gaps {
        let start = at.checked_add(gap).ok_or_else(impossible)?;
        // Lengths are the column after the gaps.
        let len = fields.varint()?.checked_add(1).ok_or_else(impossible)?;
        at = start.checked_add(len).filter(|end| *end <= head.end).ok_or_else(impossible)?;
        runs.push(Run { pages: PageRange::new(start, at), source: Source::Hole });
    }
    if at != head.end || runs[0].pages.start != head.start {
        return Err(impossible());
    }
    let mut codes = Vec::with_capacity(runs.len());
    for _ in &runs {
        codes.push(fields.varint()?);
    }
    let mut shift = 0i64;
    for (run, code) in runs.iter_mut().zip(codes) {
        run.source = match code {
            0 => Source::Hole,
            1 => Source::Zero,
            2..FIRST_PACK => return Err(Bad::newer(format_args!("runs from a source of code {code} are"))),
            n => {
                let pack = usize::try_from(n - FIRST_PACK).ok().and_then(|n| packs.get(n)).ok_or_else(impossible)?;
                shift = shift.wrapping_add(unzigzag(fields.varint()?));
                let page = run.pages.start.wrapping_add(shift as u64);
                let end = page.checked_add(run.pages.len());
                end.filter(|end| *end <= MAX_LEN / PAGE64).ok_or_else(impossible)?;
                Source::Pack(*pack, page)
            }
        };
    }
    fields.end()?;
    Ok(runs)
}

#[cfg(test)]
#[path = "runs_test.rs"]
pub(super) mod tests;
