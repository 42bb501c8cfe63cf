//! Any bytes of a side, wherever they are kept.

use std::io;

use super::sides::{LiveSide, Side, StoredSide};
use crate::error::{Error, Result};
use crate::pack::Source;
use crate::page::{PAGE, PageRange};
use crate::sys::ext::FileExt;

impl Side {
    /// Fills `buf` with the bytes from `offset` on.
    ///
    /// # Errors
    /// When they cannot be read, or the side has no such bytes (any more).
    pub(crate) fn read(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        match self {
            Side::Live(live) => live.read(buf, offset),
            Side::Stored(stored) => stored.read(buf, offset),
        }
    }
}

impl LiveSide {
    /// Fills `buf` with the bytes from `offset` on.
    pub(crate) fn read(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.file.read_exact_at(buf, offset).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => self.cut(),
            _ => Error::Io { doing: "reading", path: self.path.clone(), source },
        })
    }

    /// The error when the file ends before its length.
    pub(crate) fn cut(&self) -> Error {
        let what = format!("it is shorter than the {} bytes it began with", self.len);
        Error::Changed { path: self.path.clone(), what }
    }
}

impl StoredSide {
    /// Fills `buf` with the bytes from `offset` on; past the end of the image, zeros.
    fn read(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        buf.fill(0);
        let end = offset + buf.len() as u64;
        let mut reader = self.image.packs().pages();
        let mut page = [0; PAGE];
        self.image.each_run(PageRange::of_bytes(offset, end), |run| {
            for n in 0..run.pages.len() {
                let Source::Pack(pack, at) = run.source.advance(n) else { break };
                reader.read(pack, at, &mut page)?;
                let start = (run.pages.start + n) * PAGE as u64;
                let (from, to) = (start.max(offset), (start + PAGE as u64).min(end));
                buf[(from - offset) as usize..(to - offset) as usize]
                    .copy_from_slice(&page[(from - start) as usize..(to - start) as usize]);
            }
            Ok(())
        })
    }
}
