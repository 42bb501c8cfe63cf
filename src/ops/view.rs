//! `view`: any bytes of a file, of a snapshot of it, or of a stream, in order. Stretches of zeros that need no reading
//! are reported as such, so that a large sparse file costs what its data costs.

use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::input::image::{LiveFile, OpenImage, StoredImage};
use super::input::operand::Operand;
use crate::error::{At, Cause, Error, Result, shown};
use crate::store::Ref;
use crate::sys::ext::FileTypeExt;
use crate::sys::{open, sparse};

/// Bytes read at once: whole pages.
const BLOCK: usize = 256 << 10;
/// Shorter holes of a live file are read like data, which costs no more than looking for their end.
const WORTH_SKIPPING: u64 = 1 << 20;

/// Bytes in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// These; never none.
    Bytes(&'a [u8]),
    /// So many zeros; never none.
    Zeros(u64),
}

/// The error with a hint to read as a stream what has no random access.
fn as_stream(e: Error, path: &Path) -> Error {
    let kind = std::fs::metadata(path).map(|found| found.file_type());
    match e {
        Error::Refused { what, .. } if kind.is_ok_and(|kind| !kind.is_dir() && !kind.is_socket()) => {
            Error::refused(what, Cause::Stream(path.into()))
        }
        e => e,
    }
}

/// A file or a snapshot, open.
#[derive(Debug)]
pub struct Opened {
    side: OpenImage,
    name: String,
    unfinished: Option<Error>,
}

impl Opened {
    /// Opens what `operand` names: without a reference, the file as it is, at the length it has now. `store`: where the
    /// snapshots are; `None`: beside the file.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(operand: &Operand, store: Option<PathBuf>) -> Result<Opened> {
        match &operand.at {
            None | Some(Ref::Now) => {
                let (side, mark) = LiveFile::open_any(&operand.path).map_err(|e| as_stream(e, &operand.path))?;
                let unfinished = mark.map(|mark| mark.refusal_to_read(&operand.path));
                Ok(Opened { side: OpenImage::Live(side), name: shown(&operand.path), unfinished })
            }
            Some(_) => {
                let side = OpenImage::open(operand, store.as_deref())?;
                Ok(Opened { name: side.name().into(), side, unfinished: None })
            }
        }
    }

    /// What it is: `FILE`, `FILE@3`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        self.side.len()
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Why the file may be half changed, if it may.
    pub fn unfinished(&self) -> Option<&Error> {
        self.unfinished.as_ref()
    }

    /// Calls `each` with the bytes of `range`, as far as there are any, each time with the offset of the first. An
    /// error of `each` ends it.
    ///
    /// # Errors
    /// When they cannot be read; [`Error::Changed`] when the file was cut short; what `each` says.
    pub fn read<E: From<Error>>(
        &self,
        range: Range<u64>,
        each: &mut dyn FnMut(u64, Piece<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let range = range.start..range.end.min(self.len());
        if range.is_empty() {
            return Ok(());
        }
        match &self.side {
            OpenImage::Live(live) => read_live(live, range, each),
            OpenImage::Stored(stored) => read_stored(stored, range, each),
        }
    }
}

fn read_live<E: From<Error>>(
    live: &LiveFile,
    range: Range<u64>,
    each: &mut dyn FnMut(u64, Piece<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let (mut at, end) = (range.start, range.end);
    let mut buf = vec![0; BLOCK];
    // Up to here there is data, as far as is known.
    let mut looked = at;
    while at < end {
        if at >= looked && end - at > WORTH_SKIPPING {
            let (start, stop) = next_data(live, at..end)?;
            if start - at > WORTH_SKIPPING {
                each(at, Piece::Zeros(start - at))?;
                at = start;
            }
            looked = stop;
            continue;
        }
        let block = &mut buf[..(end - at).min(BLOCK as u64) as usize];
        live.read(block, at)?;
        each(at, Piece::Bytes(block))?;
        at += block.len() as u64;
    }
    Ok(())
}

/// The next stretch of data within `span`; empty, at its end, when there is none.
pub(super) fn next_data(live: &LiveFile, span: Range<u64>) -> Result<(u64, u64)> {
    let look = || sparse::next_data(&live.file, span.start, span.end).at("looking for holes in", &live.path);
    if let Some(found) = look()? {
        return Ok(found);
    }
    // A file that was cut short has no data there either, and by now it may be long again: only what is found twice,
    // with the full length between, is a hole.
    if open::stamp(&live.file, &live.path)?.len < span.end {
        return Err(live.cut());
    }
    Ok(look()?.unwrap_or((span.end, span.end)))
}

fn read_stored<E: From<Error>>(
    stored: &StoredImage,
    range: Range<u64>,
    each: &mut dyn FnMut(u64, Piece<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut reader = stored.image.reader();
    let mut buf = vec![0; BLOCK];
    let mut at = range.start;
    while at < range.end {
        let zeros = reader.zeros_in(at..range.end)?;
        if zeros > 0 {
            each(at, Piece::Zeros(zeros))?;
            at += zeros;
            continue;
        }
        let end = range.end.min((at / BLOCK as u64 + 1) * BLOCK as u64);
        let block = &mut buf[..(end - at) as usize];
        reader.read_at(block, at)?;
        each(at, Piece::Bytes(block))?;
        at = end;
    }
    Ok(())
}

/// Calls `each` with the bytes of `range` of a stream, as they come; the bytes before it are read and dropped, those
/// after it are not read. Returns the offset at which it ended. An error of `each` ends it.
///
/// # Errors
/// When it cannot be read; what `each` says.
pub fn read_stream<E: From<Error>>(
    from: &mut dyn Read,
    range: Range<u64>,
    each: &mut dyn FnMut(u64, Piece<'_>) -> Result<(), E>,
) -> Result<u64, E> {
    let mut buf = vec![0; BLOCK];
    let mut at = 0;
    while at < range.end {
        let most = (range.end - at).min(BLOCK as u64) as usize;
        let n = match from.read(&mut buf[..most]) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(Err::<(), _>(e).at("reading", Path::new("-")).unwrap_err().into()),
        };
        let skip = range.start.saturating_sub(at).min(n as u64) as usize;
        if skip < n {
            each(at + skip as u64, Piece::Bytes(&buf[skip..n]))?;
        }
        at += n as u64;
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;
    use proptest::prelude::*;
    use std::io::{Seek, SeekFrom};

    fn gather(into: &mut Vec<u8>, start: u64, at: u64, piece: Piece<'_>) -> Result<()> {
        assert_eq!(at, start + into.len() as u64, "pieces come in order, without a gap");
        match piece {
            Piece::Bytes(bytes) => into.extend(bytes),
            Piece::Zeros(n) => into.resize(into.len() + n as usize, 0),
        }
        Ok(())
    }

    fn bytes(operand: &Operand, range: Range<u64>) -> Vec<u8> {
        let mut all = Vec::new();
        let opened = Opened::open(operand, None).unwrap();
        opened.read(range.clone(), &mut |at, piece| gather(&mut all, range.start, at, piece)).unwrap();
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn every_range_of_every_image(
            writes in prop::collection::vec((0u64..1500, 1u64..90), 1..8),
            len in 1u64..1500 * 4096,
            spans in prop::collection::vec((0u64..1600 * 4096, 0u64..3 << 20), 1..8),
        ) {
            let f = Fixture::new();
            writes.iter().enumerate().for_each(|(i, (page, n))| f.pages(*page, *n, i as u64));
            f.cut(len);
            f.snap();
            let kept = f.bytes();
            f.pages(3, 5, 99);
            let now = f.bytes();
            let stored = OpenImage::open(&f.at(1), None).unwrap();
            let OpenImage::Stored(stored) = &stored else { panic!("a snapshot is stored") };
            let mut reader = stored.image.reader();
            for (start, n) in spans {
                let cut = |all: &[u8]| {
                    let end = (start + n).min(all.len() as u64).max(start.min(all.len() as u64));
                    all[start.min(end) as usize..end as usize].to_vec()
                };
                prop_assert_eq!(bytes(&f.at(1), start..start + n), cut(&kept));
                let mut there = Vec::new();
                reader.seek(SeekFrom::Start(start)).unwrap();
                reader.by_ref().take(n).read_to_end(&mut there).unwrap();
                prop_assert_eq!(there, cut(&kept));
                let live = Operand { at: None, ..f.at(1) };
                prop_assert_eq!(bytes(&live, start..start + n), cut(&now));
                let mut streamed = Vec::new();
                let mut each = |at, piece: Piece<'_>| gather(&mut streamed, start, at, piece);
                read_stream(&mut &now[..], start..start + n, &mut each).unwrap();
                prop_assert_eq!(streamed, cut(&now));
            }
        }
    }

    #[test]
    fn holes_are_not_read() {
        let f = Fixture::new();
        f.cut(1 << 40);
        f.pages(1 << 20, 1, 7);
        let opened = Opened::open(&Operand { at: None, ..f.at(1) }, None).unwrap();
        let (mut read, mut skipped) = (0, 0);
        let mut each = |_, piece: Piece<'_>| {
            match piece {
                Piece::Bytes(bytes) => read += bytes.len() as u64,
                Piece::Zeros(n) => skipped += n,
            }
            Ok::<_, Error>(())
        };
        opened.read(0..1 << 40, &mut each).unwrap();
        assert_eq!(read + skipped, 1 << 40);
        assert!(read <= 4 << 20, "{read} bytes were read");
    }

    #[test]
    fn a_file_cut_short_is_an_error() {
        for len in [100u64, 8 << 20] {
            let f = Fixture::new();
            f.write(0, &vec![1; len as usize]);
            let opened = Opened::open(&Operand { at: None, ..f.at(1) }, None).unwrap();
            f.cut(50);
            let e = opened.read(0..len, &mut |_, _| Ok::<_, Error>(())).unwrap_err();
            assert!(matches!(e, Error::Changed { .. }), "{e}");
        }
    }
}
