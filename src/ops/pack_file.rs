//! A pack on its way to the disk: the disk is kept busy, and its reserve kept free.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::Reserve;
use crate::error::{Error, Result};
use crate::store::History;
use crate::sys::create::{self, Pending};

/// How often at least the disk is asked how much is left, in bytes written: others write, too.
const ASK_EVERY: u64 = 64 << 20;
/// How much is written before the system is told to begin bringing it to the disk.
const PUSH_EVERY: u64 = 8 << 20;

/// The file, buffered.
#[derive(Debug)]
pub(crate) struct PackFile {
    out: BufWriter<Sink>,
}

/// The file behind the buffer.
#[derive(Debug)]
struct Sink {
    file: Pending,
    reserve: Reserve,
    dir: std::path::PathBuf,
    at: u64,
    pushed: u64,
    /// It may be as long as this before the disk is asked again.
    granted: u64,
}

impl PackFile {
    /// A new one in `history`.
    pub(crate) fn new(history: &History, reserve: Reserve) -> Result<PackFile> {
        let file = history.pending()?;
        let inner = Sink { file, reserve, dir: history.dir().into(), at: 0, pushed: 0, granted: 0 };
        Ok(PackFile { out: BufWriter::with_capacity(1 << 20, inner) })
    }

    /// The finished file.
    pub(crate) fn done(self, dir: &Path) -> Result<Pending> {
        let inner = self.out.into_inner().map_err(io::IntoInnerError::into_error);
        inner.map(|i| i.file).map_err(|e| PackFile::error(e, dir))
    }

    /// The error of a write: our own refusal, or the system's.
    pub(crate) fn error(e: io::Error, dir: &Path) -> Error {
        match e.downcast::<Error>() {
            Ok(refusal) => refusal,
            Err(source) => Error::Io { doing: "writing a pack in", path: dir.into(), source },
        }
    }
}

impl Write for PackFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.out.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Write for Sink {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.at + buf.len() as u64 > self.granted {
            let free = self.reserve.available(&self.dir).map_err(io::Error::other)?;
            self.granted = self.at + free.min(ASK_EVERY);
            if free < buf.len() as u64 {
                return Err(io::Error::other(self.reserve.refusal(&self.dir, None)));
            }
        }
        let n = self.file.file().write(buf)?;
        self.at += n as u64;
        if self.at - self.pushed >= PUSH_EVERY {
            create::start_writeback(self.file.file(), self.pushed, self.at - self.pushed);
            self.pushed = self.at;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
