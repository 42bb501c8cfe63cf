//! The bytes of a stored image, at any offset.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use super::image::{Image, ImageRuns};
use super::pack_cache::PageReader;
use crate::error::Result;
use crate::pack::{Cursor, Run, Source};
use crate::page::{PAGE, PAGE64, PageNo, PageRange};

/// Pages up to which it is worth going on from where the runs are: else they are looked up anew.
const NEAR: u64 = 1 << 16;

/// Reads the bytes of an image, each page proven by its digest. Past the image's length they count as zeros.
#[derive(Debug)]
pub struct ImageReader<'a> {
    image: &'a Image,
    /// Opened at the first page that is read.
    runs: Option<Cursor<ImageRuns>>,
    pages: PageReader<'a>,
    /// The runs before this page have been passed.
    passed: PageNo,
    /// Where [`Read`] goes on.
    position: u64,
}

impl Image {
    /// Reads its bytes.
    pub fn reader(&self) -> ImageReader<'_> {
        ImageReader { image: self, runs: None, pages: self.packs().pages(), passed: 0, position: 0 }
    }
}

impl ImageReader<'_> {
    /// What the pages from the start of `range` on come from, as far as it is of one run.
    fn run_at(&mut self, range: PageRange) -> Result<Run> {
        let near = self.passed..=self.passed + NEAR;
        let runs = match &mut self.runs {
            Some(runs) if near.contains(&range.start) => runs,
            runs => runs.insert(Cursor::new(self.image.runs_from(range.start))),
        };
        self.passed = range.start;
        let source = runs.source(range.start).map_err(|e| e.of(self.image.path()))?;
        let next = runs.peek().map_err(|e| e.of(self.image.path()))?;
        let end =
            next.map_or(range.end, |run| if run.pages.contains(range.start) { run.pages.end } else { run.pages.start });
        Ok(Run { pages: PageRange { start: range.start, end: end.min(range.end) }, source })
    }

    /// Fills `buf` with the bytes from `offset` on.
    ///
    /// # Errors
    /// [`crate::Error::Damaged`] when a page is not there or not what it was.
    pub fn read_at(&mut self, buf: &mut [u8], offset: u64) -> Result<()> {
        let (mut at, mut rest) = (offset, buf);
        while !rest.is_empty() {
            let run = self.run_at(PageRange::of_bytes(at, at + rest.len() as u64))?;
            let n = (run.pages.end_offset() - at).min(rest.len() as u64) as usize;
            let (mut out, later) = rest.split_at_mut(n);
            (rest, at) = (later, at + n as u64);
            let Source::Pack(pack, mut page) = run.source else {
                out.fill(0);
                continue;
            };
            let mut skip = ((at - n as u64) % PAGE64) as usize;
            while !out.is_empty() {
                // Whole pages go to their place at once.
                let whole = if skip == 0 { out.len() / PAGE * PAGE } else { 0 };
                let (now, later) = out.split_at_mut(if whole > 0 { whole } else { out.len().min(PAGE - skip) });
                if whole > 0 {
                    self.pages.read_run(pack, page, now)?;
                } else {
                    let mut bytes = [0; PAGE];
                    self.pages.read(pack, page, &mut bytes)?;
                    now.copy_from_slice(&bytes[skip..skip + now.len()]);
                }
                page += now.len().div_ceil(PAGE) as u64;
                (out, skip) = (later, 0);
            }
        }
        Ok(())
    }

    /// How many bytes from the start of `span` on are zeros that need no reading.
    ///
    /// # Errors
    /// When the runs cannot be read.
    #[doc(hidden)]
    pub fn zeros_in(&mut self, span: Range<u64>) -> Result<u64> {
        let mut at = span.start;
        while at < span.end {
            let run = self.run_at(PageRange::of_bytes(at, span.end))?;
            if !run.source.is_zeros() {
                break;
            }
            at = run.pages.end_offset().min(span.end);
        }
        Ok(at - span.start)
    }
}

impl Read for ImageReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.image.len().saturating_sub(self.position).min(buf.len() as u64) as usize;
        self.read_at(&mut buf[..n], self.position).map_err(io::Error::other)?;
        self.position += n as u64;
        Ok(n)
    }
}

impl Seek for ImageReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.image.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
