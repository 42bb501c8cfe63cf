//! The quiet window: a file that other processes have open is read while nothing shows a change of it.
//!
//! Before the first byte is read: a flush if there is something to flush; then ctime C; no page dirty or under
//! writeback; fdatasync; ctime C; no such page; a pause; ctime C; no such page. After the last byte: no such page; ctime
//! C. [`sys::quiet`](crate::sys::quiet) says why that shows a change, docs/design.md when it does not. It is an
//! observation, not a proof: ctime moves when an operation begins, and its bytes may arrive later.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::planted::{Bug, planted};
use crate::sys::open::Stamp;
use crate::sys::{cache, quiet};

/// How long nothing may change before the file is read. What was being written when the window began arrives meanwhile,
/// and shows; only a writer that is stalled for longer is late.
pub const GRACE: Duration = Duration::from_millis(20);

/// Why there was no quiet window.
#[derive(Debug)]
pub enum NotQuiet {
    /// Nothing can be seen of this file, or no more: to try again is of no use.
    Blind(String),
    /// It was written; it may be quiet later.
    Written,
}

/// A window that has begun: nothing has changed so far.
#[derive(Debug)]
pub struct QuietWindow<'a> {
    file: &'a File,
    state: State,
}

/// What moves when the file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    ctime_ns: i128,
    len: u64,
}

impl<'a> QuietWindow<'a> {
    /// Begins: flushes the file. `dirs` as for [`quiet::check`]. Nothing may be read before [`QuietWindow::open`].
    ///
    /// # Errors
    /// Why there is none.
    pub fn begin(file: &'a File, dirs: &[PathBuf]) -> Result<QuietWindow<'a>, NotQuiet> {
        quiet::check(file, dirs).map_err(|why| NotQuiet::Blind(why.to_string()))?;
        if !is_clean(file)? {
            flush(file)?;
        }
        let window = QuietWindow { file, state: State::of(file)? };
        // Once more, on a file that looks clean: on a file system that an error has made read-only it stays dirty.
        window.must_be_clean()?;
        flush(file)?;
        window.open()?;
        Ok(window)
    }

    /// What it is of.
    pub fn file(&self) -> &'a File {
        self.file
    }

    /// Opens it, [`GRACE`] after it began: from now on the file can be read.
    ///
    /// # Errors
    /// [`NotQuiet::Written`] when the file was written meanwhile.
    pub fn open(&self) -> Result<(), NotQuiet> {
        self.must_be_unmoved()?;
        self.must_be_clean()
    }

    /// Ends, after the last byte was read: the time of the last change, by the file system's clock, in nanoseconds since
    /// 1970.
    ///
    /// # Errors
    /// [`NotQuiet::Written`] when the file was written meanwhile.
    pub fn end(self) -> Result<i128, NotQuiet> {
        if !planted(Bug::NoQuietEnd) {
            self.must_be_clean()?;
        }
        self.must_be_unmoved()?;
        Ok(self.state.ctime_ns)
    }

    fn must_be_clean(&self) -> Result<(), NotQuiet> {
        if is_clean(self.file)? { Ok(()) } else { Err(NotQuiet::Written) }
    }

    fn must_be_unmoved(&self) -> Result<(), NotQuiet> {
        if State::of(self.file)? == self.state { Ok(()) } else { Err(NotQuiet::Written) }
    }
}

impl State {
    fn of(file: &File) -> Result<State, NotQuiet> {
        let found = file.metadata().map_err(|e| NotQuiet::Blind(format!("its state could not be read: {e}")))?;
        let stamp = Stamp::from(&found);
        Ok(State { ctime_ns: stamp.ctime_ns, len: stamp.len })
    }
}

/// Whether all pages of the file in memory are on the disk.
pub(super) fn is_clean(file: &File) -> Result<bool, NotQuiet> {
    let blind = |e: io::Error| {
        NotQuiet::Blind(match e.kind() {
            io::ErrorKind::PermissionDenied => {
                "only its owner, and who may write to it, can see whether it is quiet".into()
            }
            _ => format!("its pages in memory could not be counted: {e}"),
        })
    };
    let counts = cache::try_count(file, 0, u64::MAX).map_err(blind)?;
    Ok((counts.dirty, counts.writeback) == (0, 0))
}

/// After an error what the file holds is not known, and the kernel reports it once only: no second try.
fn flush(file: &File) -> Result<(), NotQuiet> {
    if planted(Bug::NoQuietFlush) {
        return Ok(());
    }
    quiet::flush(file).map_err(|e| NotQuiet::Blind(format!("flushing it to the disk failed: {e}")))
}
