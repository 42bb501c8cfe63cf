//! Making a snapshot of parts: bytes, files, ranges of files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use super::image::{Image, Piece};
use crate::page::is_zero;
use crate::sys::ext::FileExt;
use crate::sys::region::{most_laid, system_page};
use crate::sys::sealed::{Draft, Sealed};
use crate::sys::sparse;

/// Bytes copied at once.
const BLOCK: usize = 1 << 20;
/// Zeros are left out in steps of this many bytes.
const STEP: usize = 1 << 16;
/// Shorter parts are copied, unless they must be mapped.
const LEAST: usize = 1 << 20;
/// Shorter holes do not end a mapping ...
const GAP: usize = 1 << 20;
/// ... nor do longer ones, when there would be more mappings than this.
const MOST_RUNS: usize = 256;

/// Builder of a snapshot: `len` zeros, over which parts are placed that do not overlap. An error of a part is returned
/// when it is placed.
///
/// ```
/// use memsnap::mem::Snapshot;
///
/// # fn main() -> std::io::Result<()> {
/// let file = std::fs::File::open("Cargo.toml")?;
/// let snapshot = Snapshot::compose(1 << 30) // zeros take no memory
///     .bytes(65536, b"some bytes")?
///     .file(131_072, &file, 0, 9)?
///     .build()?;
/// assert_eq!(snapshot[65536..65546], *b"some bytes");
/// assert_eq!(snapshot[131_072..131_081], *b"[package]");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Compose {
    len: usize,
    /// The copied bytes, each at its own offset.
    draft: Option<Draft>,
    /// The mapped parts.
    laid: Vec<Piece>,
    /// The ranges of all parts: start -> end.
    taken: BTreeMap<usize, usize>,
}

impl Compose {
    pub(super) fn new(len: usize) -> Compose {
        Compose { len, draft: None, laid: Vec::new(), taken: BTreeMap::new() }
    }

    /// As [`Compose::new`], over bytes that were copied already.
    pub(super) fn over(draft: Draft, len: usize) -> Compose {
        Compose { draft: Some(draft), ..Compose::new(len) }
    }

    /// Keeps copies in an unnamed file in the directory `dir` instead of memory, for snapshots that are longer than
    /// memory. It must come before the first part.
    ///
    /// # Errors
    /// When no file can be made there, or a part was placed before.
    pub fn scratch(mut self, dir: &Path) -> io::Result<Compose> {
        if self.draft.is_some() {
            return Err(invalid("the directory for copies must be named before the first part"));
        }
        self.draft = Some(Draft::on_disk(dir, self.len as u64)?);
        Ok(self)
    }

    /// Places a copy of `bytes` at byte `at`.
    ///
    /// # Errors
    /// When it is past the end or over another part, or there is no space for the copy.
    pub fn bytes(mut self, at: usize, bytes: &[u8]) -> io::Result<Compose> {
        self.take(at, bytes.len())?;
        self.copy(at, bytes)?;
        Ok(self)
    }

    /// Places `len` bytes of `file`, from `offset` on, at byte `at`, as they are now. Long parts share the file's
    /// blocks where the file system can do that (FICLONE), which also makes them point-in-time. All others are copied,
    /// without holes.
    ///
    /// # Errors
    /// When the file does not have them, they are past the end or over another part, or there is no space for the copy.
    pub fn file(mut self, at: usize, file: &File, offset: u64, len: usize) -> io::Result<Compose> {
        self.place(at, file, offset, len).map_err(|e| part(at, &e))?;
        Ok(self)
    }

    fn place(&mut self, at: usize, file: &File, offset: u64, len: usize) -> io::Result<()> {
        self.take(at, len)?;
        if len >= LEAST
            && let Some(clone) = Sealed::clone_of(file)
        {
            return self.lay(at, clone, offset, len, LEAST);
        }
        let end = span(offset, len, file.metadata()?.len())?;
        let mut position = file;
        let before = position.stream_position()?;
        let copied = self.copy_of(file, at, offset, end);
        position.seek(SeekFrom::Start(before))?; // the search for holes has moved it
        copied?;
        span(offset, len, file.metadata()?.len())?; // bytes truncated meanwhile may have looked like a hole
        Ok(())
    }

    /// Copies bytes `offset..end` of a file to `at`, without its holes.
    fn copy_of(&mut self, file: &File, at: usize, offset: u64, end: u64) -> io::Result<()> {
        let mut block = Vec::new();
        let mut from = offset;
        while let Some((start, stop)) = sparse::next_data(file, from, end)? {
            let mut done = start;
            while done < stop {
                let n = BLOCK.min((stop - done) as usize);
                block.resize(n, 0);
                file.read_exact_at(&mut block, done)
                    .map_err(|e| io::Error::new(e.kind(), format!("the file shrank or cannot be read: {e}")))?;
                self.copy(at + (done - offset) as usize, &block)?;
                done += n as u64;
            }
            from = stop;
        }
        Ok(())
    }

    /// Places `len` bytes of `file`, from `offset` on, at byte `at`, without a copy: the file is mapped, however short
    /// the part is, and only what a view changes is copied. That takes a few microseconds per part, and as long again
    /// for a view. Parts of one file share a descriptor if it is given as an `Arc<File>`, and a mapping if they follow
    /// each other in the file and here.
    ///
    /// Some bytes are copied nevertheless: those of a part whose `at` or `offset` is not a multiple of the system's
    /// page (usually 4096); those on the last page of a part that ends within a page, unless file and snapshot end
    /// there too; and those of all further parts once this snapshot has three eighths of the mappings that the system
    /// allows a process (vm.max_map_count, 65530 by default), as a view of it needs as many.
    ///
    /// # Errors
    /// As [`Compose::file`].
    ///
    /// # Safety
    /// While the snapshot, a clone or a view of it exists, no process may write to this part of the file or truncate
    /// it: as for [`Snapshot::share_file`](super::Snapshot::share_file).
    #[allow(unsafe_code, unsafe_op_in_unsafe_fn, reason = "the promise is handed on as it is")]
    pub unsafe fn share(
        mut self,
        at: usize,
        file: impl Into<Arc<File>>,
        offset: u64,
        len: usize,
    ) -> io::Result<Compose> {
        let laid = self.take(at, len).and_then(|()| self.lay(at, Sealed::promised(file.into())?, offset, len, 1));
        laid.map_err(|e| part(at, &e))?;
        Ok(self)
    }

    /// As [`Compose::share`], of a file that is known to be immutable.
    ///
    /// # Errors
    /// As [`Compose::file`].
    pub(crate) fn sealed(mut self, at: usize, file: Sealed, offset: u64, len: usize) -> io::Result<Compose> {
        self.take(at, len)?;
        self.lay(at, file, offset, len, LEAST)?;
        Ok(self)
    }

    pub(super) fn image(self) -> io::Result<Image> {
        let Compose { len, draft, laid, .. } = self;
        let mut pieces = Vec::new();
        if let Some(draft) = draft {
            let runs = runs(&draft.stretches()?, len);
            let file = draft.seal()?;
            let piece = |(start, end): (usize, usize)| Piece {
                at: start,
                len: end - start,
                offset: start as u64,
                file: file.clone(),
            };
            pieces.extend(runs.into_iter().map(piece));
        }
        pieces.extend(laid); // over the copies, a run of which may continue below a mapped part
        Image::of(len, pieces)
    }

    /// Reserves a place.
    fn take(&mut self, at: usize, len: usize) -> io::Result<()> {
        let end = at.checked_add(len).filter(|end| *end <= self.len);
        let end = end.ok_or_else(|| invalid(format!("{len} bytes at {at} do not fit into {}", self.len)))?;
        if len == 0 {
            return Ok(());
        }
        if let Some((start, stop)) = self.taken.range(..end).next_back()
            && *stop > at
        {
            return Err(invalid(format!("bytes {at}..{end} overlap those placed at {start}..{stop}")));
        }
        match self.taken.range_mut(..at).next_back() {
            Some((_, stop)) if *stop == at => *stop = end,
            _ => {
                self.taken.insert(at, end);
            }
        }
        Ok(())
    }

    fn copy(&mut self, at: usize, bytes: &[u8]) -> io::Result<()> {
        let draft = match &mut self.draft {
            Some(draft) => draft,
            none => none.insert(Draft::in_memory(self.len as u64)?),
        };
        let write = |at: usize, bytes: &[u8]| {
            draft
                .write_all_at(bytes, at as u64)
                .map_err(|e| io::Error::new(e.kind(), format!("copying {} bytes: {e}", bytes.len())))
        };
        // Adjacent steps that are not zeros are written at once.
        let (mut from, mut to) = (0, 0);
        for step in bytes.chunks(STEP) {
            if is_zero(step) {
                write(at + from, &bytes[from..to])?;
                from = to + step.len();
            }
            to += step.len();
        }
        write(at + from, &bytes[from..to])
    }

    /// Maps what can be mapped, if that has `least` bytes, and copies the rest.
    fn lay(&mut self, at: usize, file: Sealed, offset: u64, len: usize, least: usize) -> io::Result<()> {
        span(offset, len, file.len())?;
        let page = system_page();
        let aligned = at.is_multiple_of(page) && offset.is_multiple_of(page as u64);
        // The last page must be zeros past the last byte, as it is past the end of a file.
        let to_the_end = at + len == self.len && offset + len as u64 == file.len();
        let whole = match () {
            () if !aligned || len < least || self.laid.len() >= most_laid() / 2 => 0,
            () if to_the_end => len,
            () => len / page * page,
        };
        let mut block = vec![0; BLOCK.min(len - whole)];
        let mut done = whole;
        while done < len {
            let n = BLOCK.min(len - done);
            file.read_exact_at(&mut block[..n], offset + done as u64)?;
            self.copy(at + done, &block[..n])?;
            done += n;
        }
        match self.laid.last_mut() {
            _ if whole == 0 => {}
            Some(last) if last.is_continued_by(at, &file, offset) => last.len += whole,
            _ => self.laid.push(Piece { at, len: whole, offset, file }),
        }
        Ok(())
    }
}

/// Adds the part to an error.
fn part(at: usize, e: &io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("the part at {at}: {e}"))
}

/// Returns the end of `len` bytes from `offset` on in a file of `has` bytes.
fn span(offset: u64, len: usize, has: u64) -> io::Result<u64> {
    offset.checked_add(len as u64).filter(|end| *end <= has).ok_or_else(|| {
        let what = format!("{len} bytes from offset {offset} were asked for, but the file has {has}");
        io::Error::new(io::ErrorKind::UnexpectedEof, what)
    })
}

fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what.into())
}

/// The ranges to map, of whole pages: neighbours are merged, across longer and longer gaps, until they are few.
fn runs(stretches: &[(u64, u64)], len: usize) -> Vec<(usize, usize)> {
    let page = system_page();
    let whole = |(start, end): &(u64, u64)| {
        let (start, end) = (*start as usize, *end as usize);
        (start / page * page, end.next_multiple_of(page).min(len))
    };
    let mut runs: Vec<(usize, usize)> = stretches.iter().map(whole).collect();
    let mut gap = GAP;
    loop {
        runs.dedup_by(|next, run| {
            let near = next.0 < run.1.saturating_add(gap);
            if near {
                run.1 = next.1;
            }
            near
        });
        if runs.len() <= MOST_RUNS {
            return runs;
        }
        gap = gap.saturating_mul(2);
    }
}
