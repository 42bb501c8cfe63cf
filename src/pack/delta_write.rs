//! Writing a delta in one pass, and reversing one.

use std::io::{self, BufWriter, Write};

use super::delta::{DeltaHead, DeltaReader, Direction, END_MAGIC};
use super::frame::Frame;
use super::map::{HashWriter, copy_all};
use super::runs::{Run, RunsWriter, Source};
use super::wire::{RangeReader, ReadAt};
use super::write::PackWriter;
use crate::page::{Digest, PageNo, PageRange};

const BUFFER: usize = 256 << 10;

/// Writes a delta: the head, one direction or two, the end marker.
#[derive(Debug)]
pub struct DeltaWriter<W: Write> {
    out: BufWriter<HashWriter<W>>,
    directions: Vec<Direction>,
    wanted: usize,
}

impl<W: Write> DeltaWriter<W> {
    /// Begins a delta.
    pub fn new(out: W, head: &DeltaHead) -> io::Result<DeltaWriter<W>> {
        let mut out = BufWriter::with_capacity(BUFFER, HashWriter::new(out));
        out.write_all(&head.put())?;
        Ok(DeltaWriter { out, directions: Vec::new(), wanted: 1 + usize::from(head.reversible) })
    }

    /// Begins the next direction, forward first. `scratch` keeps its runs until the pack is written.
    pub fn direction<S: Write + ReadAt>(self, scratch: S) -> io::Result<DirectionWriter<W, S>> {
        let pack = PackWriter::new(self.out)?;
        Ok(DirectionWriter { pack, runs: RunsWriter::new(scratch), directions: self.directions, wanted: self.wanted })
    }

    /// Ends the delta, and returns its size in bytes.
    ///
    /// # Panics
    /// When it has other directions than its head says.
    pub fn finish(mut self) -> io::Result<u64> {
        assert_eq!(self.directions.len(), self.wanted, "a delta has the directions that its head says");
        self.directions.resize(2, Direction::default());
        let mut end = Vec::new();
        self.directions.iter().for_each(|direction| direction.put(&mut end));
        self.out.write_all(&end)?;
        let out = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        let (mut out, digest, bytes) = out.into_parts();
        let mut last = digest.0.to_vec();
        last.extend_from_slice(END_MAGIC);
        out.write_all(&last)?;
        out.flush()?;
        Ok(bytes + last.len() as u64)
    }
}

/// Writes one direction of a delta.
#[derive(Debug)]
pub struct DirectionWriter<W: Write, S> {
    pack: PackWriter<BufWriter<HashWriter<W>>>,
    runs: RunsWriter<S>,
    directions: Vec<Direction>,
    wanted: usize,
}

impl<W: Write, S: Write + ReadAt> DirectionWriter<W, S> {
    /// Adds pages that become zeros, as data or as a hole. Pages ascend.
    pub fn zeros(&mut self, pages: PageRange, source: Source) -> io::Result<()> {
        assert!(source.is_zeros());
        self.runs.push(Run { pages, source })
    }

    /// Adds a page that gets new bytes, with [`DirectionWriter::frame`]. Pages ascend.
    pub fn page(&mut self, page: PageNo) -> io::Result<()> {
        self.runs.push(Run { pages: PageRange::new(page, page + 1), source: Source::Pack(0, page) })
    }

    /// Adds the frame of pages, before or after they are added themselves.
    pub fn frame(&mut self, pages: &[(PageNo, Digest)], frame: &Frame) -> io::Result<()> {
        self.pack.push(pages, Some(frame))
    }

    /// Ends the direction.
    pub fn finish(mut self) -> io::Result<DeltaWriter<W>> {
        let (pack, mut out) = self.pack.finish()?;
        let (runs, _, scratch) = self.runs.finish()?;
        copy_all(&scratch, &mut out)?;
        self.directions.push(Direction { pack: pack.bytes, runs });
        Ok(DeltaWriter { out, directions: self.directions, wanted: self.wanted })
    }
}

/// Writes the reverse of a reversible delta: the same bytes with both images and both directions exchanged. Returns its
/// size in bytes.
pub fn invert<R: ReadAt>(delta: &DeltaReader<R>, out: impl Write) -> io::Result<u64> {
    assert!(delta.head.reversible, "only a reversible delta can be reversed");
    let mut writer = DeltaWriter::new(out, &delta.head.inverted())?;
    for (at, parts) in delta.directions.iter().rev() {
        let bytes = parts.bytes().ok_or(io::ErrorKind::InvalidData)?;
        copy_all(&RangeReader::new(delta.file.clone(), *at, bytes), &mut writer.out)?;
        writer.directions.push(*parts);
    }
    writer.finish()
}
