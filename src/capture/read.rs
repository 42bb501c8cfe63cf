//! The two methods of reading a window, and the choice of the faster.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::error::{Error, Result};
use crate::page::{GROUP, GROUP64};
use crate::sys::ext::FileExt;
use crate::sys::fs::{self, FsKind};
use crate::sys::mapped_window::{self, MappedWindow};

/// The method of reading a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Io {
    /// The one that is faster on the first windows, which depends on how the page cache holds the file.
    #[default]
    Auto,
    /// Through mapped windows; only where the program has installed the guard against SIGBUS.
    Map,
    /// By `pread` into reused buffers.
    Pread,
}

/// Bytes read by one `pread`: large enough that the cost of the call does not matter, small enough for the CPU cache.
const BLOCK: usize = 256 << 10;
/// Windows that are timed before a method is chosen.
const TRIES: u64 = 8;

/// Reads windows of one target; shared by all threads of a scan.
#[derive(Debug)]
pub(super) struct WindowReader<'a> {
    file: &'a File,
    path: &'a Path,
    len: u64,
    io: Io,
    /// Nanoseconds per KiB, summed over the tries: mapped, by `pread`.
    costs: [AtomicU64; 2],
}

impl<'a> WindowReader<'a> {
    pub(super) fn new(file: &'a File, path: &'a Path, len: u64, io: Io) -> Result<WindowReader<'a>> {
        let io = match io {
            Io::Map if !mapped_window::is_guarded() => {
                return Err(Error::refused(
                    "mapped reading needs the guard against SIGBUS, which this program has not installed",
                    "use Io::Pread, or call program::guard::install first",
                ));
            }
            Io::Auto if !mapped_window::is_guarded() => Io::Pread,
            // Reading a mapped hole of a tmpfs file allocates it, and raises SIGBUS where there is no space.
            _ if matches!(fs::kind(file), Ok(FsKind::Tmpfs)) => Io::Pread,
            io => io,
        };
        Ok(WindowReader { file, path, len, io, costs: Default::default() })
    }

    fn mapped(&self, number: u64) -> bool {
        match self.io {
            Io::Map => true,
            Io::Pread => false,
            Io::Auto if number < TRIES => number.is_multiple_of(2),
            Io::Auto => {
                let [map, pread] = [0, 1].map(|i| self.costs[i].load(Ordering::Relaxed));
                map < pread
            }
        }
    }

    /// Calls `each` with every group from byte `start` to `end`, in order, the last filled up with zeros. The slice is
    /// mapped (`true`) or private (`false`): mapped bytes may change between two reads.
    pub(super) fn groups(
        &self,
        number: u64,
        (start, end): (u64, u64),
        buf: &mut Vec<u8>,
        mut each: impl FnMut(u64, &[u8; GROUP], bool) -> Result<()>,
    ) -> Result<()> {
        let mapped = self.mapped(number);
        let began = Instant::now();
        // What can be mapped: whole groups within the length.
        let whole = if mapped { (end.min(self.len) / GROUP64 * GROUP64).max(start) } else { start };
        if whole > start {
            self.mapped_groups(start, whole, &mut each)?;
        }
        self.pread_groups(whole, end, buf, &mut each)?;
        if number < TRIES && self.io == Io::Auto {
            let cost = began.elapsed().as_nanos() as u64 / ((end - start) >> 10).max(1);
            self.costs[usize::from(!mapped)].fetch_add(cost, Ordering::Relaxed);
        }
        Ok(())
    }

    fn mapped_groups(
        &self,
        start: u64,
        end: u64,
        each: &mut impl FnMut(u64, &[u8; GROUP], bool) -> Result<()>,
    ) -> Result<()> {
        let window = MappedWindow::map(self.file, start, (end - start) as usize).map_err(|e| self.failed(e))?;
        let read = window.with(|bytes| {
            let (groups, _) = bytes.as_chunks::<GROUP>();
            groups.iter().zip(start / GROUP64..).try_for_each(|(group, number)| each(number, group, true))
        });
        read.map_err(|e| self.fault(e, start, end))?
    }

    fn pread_groups(
        &self,
        start: u64,
        end: u64,
        buf: &mut Vec<u8>,
        each: &mut impl FnMut(u64, &[u8; GROUP], bool) -> Result<()>,
    ) -> Result<()> {
        buf.resize(BLOCK, 0);
        let mut at = start;
        while at < end {
            let block = &mut buf[..(end - at).min(BLOCK as u64) as usize];
            let there = self.len.saturating_sub(at).min(block.len() as u64) as usize;
            self.file.read_exact_at(&mut block[..there], at).map_err(|e| self.failed(e))?;
            block[there..].fill(0);
            let (groups, _) = block.as_chunks::<GROUP>();
            for (group, number) in groups.iter().zip(at / GROUP64..) {
                each(number, group, false)?;
            }
            at += block.len() as u64;
        }
        Ok(())
    }

    /// Returns why a mapped window could not be read, which `pread` shows: the file is shorter, was shorter for a
    /// while, or has a bad sector.
    fn fault(&self, e: io::Error, start: u64, end: u64) -> Error {
        if e.kind() != io::ErrorKind::UnexpectedEof {
            return self.failed(e);
        }
        let mut block = vec![0; BLOCK];
        let read = |at: u64| self.file.read_exact_at(&mut block[..(end - at).min(BLOCK as u64) as usize], at);
        match (start..end).step_by(BLOCK).try_for_each(read) {
            Err(e) => self.failed(e),
            Ok(()) => {
                let what = "it was truncated, and has grown again".into();
                Error::Changed { path: self.path.into(), what }
            }
        }
    }

    fn failed(&self, e: io::Error) -> Error {
        if e.kind() == io::ErrorKind::UnexpectedEof {
            let what = format!("it is shorter than the {} bytes it began with", self.len);
            return Error::Changed { path: self.path.into(), what };
        }
        Error::Io { doing: "reading", path: self.path.into(), source: e }
    }
}
