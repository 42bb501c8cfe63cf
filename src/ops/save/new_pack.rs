//! Writes a new pack: starts writeback early, and keeps the reserve of the disk free.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::ops::Reserve;
use crate::pack::{Frame, PackSummary, PackWriter};
use crate::page::{Digest, PageNo};
use crate::store::History;
use crate::sys::create::{self, Pending};

/// Bytes written, at most, between two checks of the free space: other programs write, too.
const ASK_EVERY: u64 = 64 << 20;
/// Bytes written before the system is asked to start writing them back.
const PUSH_EVERY: u64 = 8 << 20;

/// The pack of a snapshot in the making. It is a file once it has a page.
#[derive(Debug)]
pub(crate) struct NewPack<'a> {
    history: &'a History,
    reserve: Reserve,
    writer: Option<PackWriter<BufWriter<Sink>>>,
}

impl<'a> NewPack<'a> {
    /// Without a page.
    pub(crate) fn new(history: &'a History, reserve: Reserve) -> NewPack<'a> {
        NewPack { history, reserve, writer: None }
    }

    /// Adds the pages of a frame; pages ascend.
    pub(crate) fn push(&mut self, pages: &[(PageNo, Digest)], frame: &Frame) -> Result<()> {
        let history = self.history;
        let failed = |e| failed(e, history);
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => {
                let (file, dir) = (history.pending()?, history.dir().into());
                let sink = Sink { file, reserve: self.reserve, dir, at: 0, pushed: 0, granted: 0 };
                none.insert(PackWriter::new(BufWriter::with_capacity(1 << 20, sink)).map_err(failed)?)
            }
        };
        writer.push(pages, Some(frame)).map_err(failed)
    }

    /// The finished file, and what is in it.
    pub(crate) fn finish(self) -> Result<Option<(Pending, PackSummary)>> {
        let finish = |writer: PackWriter<BufWriter<Sink>>| {
            let (summary, out) = writer.finish()?;
            Ok((out.into_inner().map_err(io::IntoInnerError::into_error)?.file, summary))
        };
        self.writer.map(finish).transpose().map_err(|e| failed(e, self.history))
    }
}

/// The error of a write: our own refusal, or the system's.
fn failed(e: io::Error, history: &History) -> Error {
    match e.downcast::<Error>() {
        Ok(refusal) => refusal,
        Err(source) => Error::Io { doing: "writing a pack in", path: history.dir().into(), source },
    }
}

/// The file behind the buffer.
#[derive(Debug)]
struct Sink {
    file: Pending,
    reserve: Reserve,
    dir: PathBuf,
    at: u64,
    pushed: u64,
    /// It may be as long as this before the disk is asked again.
    granted: u64,
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
