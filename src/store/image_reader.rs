//! Reading the bytes of a stored image at any offset.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use super::image::{Image, ImageRuns};
use super::pack_cache::PageReader;
use crate::error::Result;
use crate::pack::{Cursor, Run, Source};
use crate::page::{PAGE, PAGE64, PageNo, PageRange};

/// The runs are walked over gaps of up to this many pages; over longer gaps they are searched from the start.
const NEAR: u64 = 1 << 16;

/// Reads the bytes of an image, and checks each page against its digest. Past the length of the image it reads zeros.
#[derive(Debug)]
pub struct ImageReader<'a> {
    image: &'a Image,
    /// `None` until the first page is read.
    runs: Option<Cursor<ImageRuns>>,
    pages: PageReader<'a>,
    /// `runs` has passed the runs before this page.
    passed: PageNo,
    /// The offset of the next [`Read`].
    position: u64,
}

impl Image {
    /// Returns a reader of its bytes.
    pub fn reader(&self) -> ImageReader<'_> {
        ImageReader { image: self, runs: None, pages: self.packs().pages(), passed: 0, position: 0 }
    }
}

impl ImageReader<'_> {
    /// The source of the first page of `range`, and the pages of `range` that continue from there.
    fn run_at(&mut self, range: PageRange) -> Result<Run> {
        let near = self.passed..=self.passed + NEAR;
        let runs = match &mut self.runs {
            Some(runs) if near.contains(&range.start) => runs,
            runs => runs.insert(Cursor::new(self.image.runs_from(range.start))),
        };
        self.passed = range.start;
        let found = runs.source(range.start).and_then(|source| Ok((source, runs.peek()?)));
        let (source, next) = found.map_err(|e| e.of(self.image.path()))?;
        let end =
            next.map_or(range.end, |run| if run.pages.contains(range.start) { run.pages.end } else { run.pages.start });
        Ok(Run { pages: PageRange { start: range.start, end: end.min(range.end) }, source })
    }

    /// Fills `buf` with bytes from `offset` on; zeros past the length of the image.
    ///
    /// # Errors
    /// [`crate::Error::Damaged`] when a page is missing or does not match its digest.
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
                // Whole pages are read in place.
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

    /// Returns how many bytes from the start of `span` on are known to be zeros without reading a page.
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
