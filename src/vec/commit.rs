//! A persistent vector opened for writing: commits, and the completion of an interrupted one.
//!
//! docs/persistent-vec.md explains the steps, and the order in which bytes reach the disk.

use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use super::content::Content;
use super::file::VecFile;
use super::format::{self, ELEMENTS, ElementType, LogPlace, MAX_ALIGN, State};
use super::log::{self, BLOCK, Edit, Log};
use crate::error::{At, Error, Result};
use crate::planted::{Bug, sync_once};
use crate::sys::create::{self, Pending, Published};
use crate::sys::ext::FileExt;
use crate::sys::lock::LockMode;
use crate::sys::{open, sparse};

/// The operation after whose failure the state of the disk is unknown.
const SYNCING: &str = "bringing to the disk";

/// A persistent vector that is written by offsets, in atomic commits. It holds the exclusive lock.
#[derive(Debug)]
pub struct VecFileMut {
    pub(super) inner: VecFile,
    /// Why the file must not be written any more.
    broken: Option<&'static str>,
}

/// A commit that is sealed, but not completely in place.
#[derive(Debug)]
#[must_use]
pub(super) struct Sealed;

impl Deref for VecFileMut {
    type Target = VecFile;

    fn deref(&self) -> &VecFile {
        &self.inner
    }
}

impl VecFileMut {
    /// Creates a file without elements at `path`, mode 0600. It appears complete, durable and locked. Refused if `path`
    /// exists, or no file can hold such elements.
    pub fn create(path: &Path, kind: &ElementType) -> Result<VecFileMut> {
        VecFileMut::can_hold(kind)?;
        let path = create::resolve_output(path)?;
        let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Error::refused(format!("{} does not end in a file name", path.display()), "name a file"));
        };
        let pending = Pending::new(dir)?;
        let file = pending.file().try_clone().at("opening", &path)?;
        file.write_all_at(&format::new_page(kind), 0).at("writing", &path)?;
        // Locked before it has a name: the lock belongs to the open file, which both descriptors share.
        let unnamed = crate::sys::lock::flock(&file, &path, LockMode::Exclusive, Duration::ZERO)?;
        debug_assert_eq!(unnamed, crate::sys::lock::Held::ByUs, "no other process can open the file");
        match pending.publish(name)? {
            Published::New => create::sync_dir(dir)?,
            Published::Existed => {
                let what = format!("{} exists already", path.display());
                return Err(Error::refused(what, "choose another name"));
            }
        }
        Ok(VecFileMut { inner: VecFile::locked(file, path, LockMode::Exclusive, Duration::ZERO)?, broken: None })
    }

    /// Opens `path` for writing, and waits up to `wait` for its lock. A symbolic link is followed once, now. An
    /// interrupted commit is completed if it was sealed, else removed. If that fails, another try may succeed, and
    /// nothing is lost.
    pub fn open(path: &Path, wait: Duration) -> Result<VecFileMut> {
        let path = open::resolve(path)?;
        let file = open::target_write(&path)?;
        VecFileMut::of(VecFile::locked(file, path, LockMode::Exclusive, wait)?)
    }

    /// Recovers a file that is locked exclusively.
    pub(super) fn of(inner: VecFile) -> Result<VecFileMut> {
        let mut vec = VecFileMut { inner, broken: None };
        vec.recover()?;
        Ok(vec)
    }

    pub(super) fn can_hold(kind: &ElementType) -> Result<()> {
        let Some(what) = kind.fault() else { return Ok(()) };
        let hint = format!("use elements of some bytes, aligned to a power of two up to {MAX_ALIGN}");
        Err(Error::refused(format!("a persistent vector cannot hold {what}"), hint))
    }

    /// Sets the number of elements to `count`, and the bytes of `edits`: atomic, and durable when it returns. Edits are
    /// ascending, disjoint, and within the new elements; new elements in no edit are zeros.
    ///
    /// # Errors
    /// [`Error::Refused`] when the file was moved, replaced or lengthened, [`Error::Damaged`] when it was truncated,
    /// [`Error::Io`] when there is no space: then nothing was written. After a failed write or fsync the file is
    /// consistent, but only opening it again shows whether it holds the last commit or this one; later commits are
    /// refused.
    pub fn commit(&mut self, edits: &[Edit<'_>], count: u64) -> Result<()> {
        match self.prepare(edits, count)? {
            Some(sealed) => self.complete(sealed),
            None => Ok(()),
        }
    }

    /// The first half of a commit: afterwards it is sealed, and no byte of an element is overwritten yet. `None` when
    /// nothing changes.
    pub(super) fn prepare(&mut self, edits: &[Edit<'_>], count: u64) -> Result<Option<Sealed>> {
        self.must_be_sound()?;
        let kind = *self.element_type();
        if count > kind.most() {
            let what = format!("{} cannot hold {count} elements", self.path.display());
            return Err(Error::refused(what, format!("a vector of this type has at most {} elements", kind.most())));
        }
        let (old_end, new_end) = (self.byte_len(), count * kind.size);
        let mut done = 0;
        for edit in edits {
            assert!(edit.offset >= done && edit.end() <= new_end, "edits are ascending, and within the elements");
            done = edit.end();
        }
        let (over, behind) = split(edits, old_end);
        if over.is_empty() && behind.is_empty() && old_end == new_end {
            return Ok(None);
        }
        match self.undone_on_failure(|vec| vec.stage(&over, &behind, new_end))? {
            Some(place) => self.seal_logged(count, place, &log::table_of(&over))?,
            None => self.seal(count, None)?,
        }
        Ok(Some(Sealed))
    }

    /// Seals a commit with a log, twice: then no slot names the old state, and its bytes may be overwritten.
    pub(super) fn seal_logged(&mut self, count: u64, place: LogPlace, table: &[(u64, u64)]) -> Result<()> {
        self.seal(count, Some(place))?;
        self.inner.content.log = Log::of(table, place.offset);
        self.seal(count, Some(place))
    }

    /// The second half of a commit: copies the log to its places.
    pub(super) fn complete(&mut self, _: Sealed) -> Result<()> {
        let entries = std::mem::take(&mut self.inner.content.log.entries);
        if !entries.is_empty() {
            let copied = |vec: &mut VecFileMut| {
                entries.iter().try_for_each(|entry| vec.copy(entry.at, ELEMENTS + entry.offset, entry.len))
            };
            let done = self.or_broken(copied).and_then(|()| self.settle());
            // Until the bytes are in place, they are read from the log.
            if done.is_err() {
                self.inner.content.log.entries = entries;
            }
            done?;
        }
        self.tidy()
    }

    /// Appends all that `read` supplies, as one commit, in bounded memory. `read` fills the buffer as far as it can,
    /// and returns how far; less than all of it is the end. Returns the number of new elements. Refused if the input ends
    /// within an element.
    pub fn append(&mut self, mut read: impl FnMut(&mut [u8]) -> Result<usize>) -> Result<u64> {
        self.must_be_sound()?;
        let (kind, old_end) = (*self.element_type(), self.byte_len());
        let most = kind.most() * kind.size;
        let end = self.undone_on_failure(|vec| {
            let mut block = vec![0; BLOCK];
            let mut end = old_end;
            loop {
                let n = read(&mut block)?;
                if end + n as u64 > most {
                    return Err(Error::refused("there are more elements than a file can hold", "use several files"));
                }
                vec.must_be_unchanged(ELEMENTS + end)?;
                vec.put(&block[..n], ELEMENTS + end)?;
                end += n as u64;
                if n < block.len() {
                    break;
                }
            }
            vec.must_be_unchanged(ELEMENTS + end)?;
            if (end - old_end) % kind.size != 0 {
                let what = format!("{} bytes are not a multiple of the element size, {}", end - old_end, kind.size);
                return Err(Error::refused(what, "check that the input is of the type of the vector"));
            }
            vec.sync_staged()?;
            Ok(end)
        })?;
        if end == old_end {
            return Ok(0);
        }
        self.seal(end / kind.size, None)?;
        self.tidy()?;
        Ok((end - old_end) / kind.size)
    }

    /// Step 1: writes all that the new state needs, over no byte of the old one. Returns the place of the log of
    /// `over`.
    fn stage(&self, over: &[Edit<'_>], behind: &[Edit<'_>], new_end: u64) -> Result<Option<LogPlace>> {
        let path = &self.path;
        for edit in over.iter().chain(behind) {
            let len = edit.bytes.len() as u64;
            sparse::allocate(&self.file, ELEMENTS + edit.offset, len).at("making room in", path)?;
        }
        for edit in behind {
            self.put(edit.bytes, ELEMENTS + edit.offset)?;
        }
        let (old_file, new_file) = (self.stamp.len, ELEMENTS + new_end);
        let mut place = None;
        if !over.is_empty() {
            let (at, table) = (log::place_behind(old_file.max(new_file)), log::table_of(over));
            sparse::allocate(&self.file, at, log::len_of(&table)).at("making room in", path)?;
            let all = |push: &mut log::Push<'_>| over.iter().try_for_each(|edit| push(edit.bytes));
            place = Some(log::write(&table, all, at, |bytes, at| self.put(bytes, at))?);
        } else if new_file > old_file {
            self.file.set_len(new_file).at("lengthening", path)?;
        }
        self.sync_staged()?;
        Ok(place)
    }

    /// Writes the current state again before it is relied on: after a failed fsync of another process, the page cache
    /// may have what the disk does not.
    pub(super) fn sync_staged(&self) -> Result<()> {
        self.put_state(&self.content.state)?;
        self.sync()
    }

    /// Writes a state, and waits for the disk. Step 2, the commit point, is the first such state of a commit.
    pub(super) fn seal(&mut self, count: u64, log: Option<LogPlace>) -> Result<()> {
        let state = State { seq: self.content.state.seq + 1, count, log };
        self.or_broken(|vec| vec.put_state(&state).and_then(|()| vec.sync()))?;
        self.inner.content.state = state;
        Ok(())
    }

    /// End of step 3, and step 4: the bytes of the log are in place, so no slot needs it.
    fn settle(&mut self) -> Result<()> {
        self.or_broken(|vec| vec.sync())?;
        self.seal(self.len(), None)
    }

    /// Step 5: truncates the file to its elements, and writes the state to the other slot. It needs no fsync: until it
    /// is on the disk, the file is as after a crash at this moment, and the next commit begins with an fsync.
    fn tidy(&mut self) -> Result<()> {
        let state = State { seq: self.content.state.seq + 1, ..self.content.state };
        let len = state.file_len(&self.content.kind);
        self.or_broken(|vec| {
            if open::stamp(&vec.file, &vec.path)?.len != len {
                vec.file.set_len(len).at("shortening", &vec.path)?;
            }
            vec.put_state(&state)
        })?;
        self.inner.content = Content { kind: self.content.kind, state, log: Log::default(), left_over: 0 };
        self.inner.stamp.len = len;
        Ok(())
    }

    /// Completes or removes an interrupted commit. Log and slot are written again first: if an fsync of them failed,
    /// the disk may not have what the page cache shows, and then nothing may be overwritten yet.
    fn recover(&mut self) -> Result<()> {
        let Some(place) = self.content.state.log else {
            if self.content.left_over > 0 {
                self.sync_staged()?;
                self.tidy()?;
            }
            return Ok(());
        };
        for entry in &self.content.log.entries {
            let (offset, len) = (ELEMENTS + entry.offset, entry.len);
            sparse::allocate(&self.file, offset, len).at("making room in", &self.path)?;
        }
        self.copy(place.offset, place.offset, place.len)?;
        self.sync_staged()?;
        self.seal(self.len(), Some(place))?;
        self.complete(Sealed)
    }

    /// Copies `len` bytes within the file.
    fn copy(&self, mut from: u64, mut to: u64, mut len: u64) -> Result<()> {
        let mut block = vec![0; len.min(BLOCK as u64) as usize];
        while len > 0 {
            let n = len.min(BLOCK as u64) as usize;
            self.file.read_exact_at(&mut block[..n], from).at("reading", &self.path)?;
            self.put(&block[..n], to)?;
            (from, to, len) = (from + n as u64, to + n as u64, len - n as u64);
        }
        Ok(())
    }

    pub(super) fn put(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.file.write_all_at(bytes, offset).at("writing", &self.path)
    }

    fn put_state(&self, state: &State) -> Result<()> {
        let (at, bytes) = state.encode(&self.content.kind);
        self.put(&bytes, at)
    }

    fn sync(&self) -> Result<()> {
        sync_once(Bug::NoVecSync, || self.file.sync_data()).at(SYNCING, &self.path)
    }

    pub(super) fn must_be_sound(&self) -> Result<()> {
        if let Some(why) = self.broken {
            return Err(Error::refused(format!("{}: {why}", self.path.display()), "open it again: it is whole"));
        }
        self.check()
    }

    /// Checks during an append that no other process has changed the file, which has `len` bytes. Otherwise it is not
    /// written to any more.
    fn must_be_unchanged(&mut self, len: u64) -> Result<()> {
        self.check_with(len).inspect_err(|_| self.broken = Some("another process changed it during an append"))
    }

    /// Runs `work`, which seals nothing. If it fails, removes what it wrote past the elements.
    pub(super) fn undone_on_failure<T>(&mut self, work: impl FnOnce(&mut VecFileMut) -> Result<T>) -> Result<T> {
        let result = work(self);
        if result.is_err() && self.broken.is_none() {
            let cut = self.file.set_len(self.stamp.len);
            // No second fsync after a failed one: the kernel reports the error once, and a later fsync would succeed.
            let unsynced = matches!(&result, Err(Error::Io { doing: SYNCING, .. }));
            if unsynced || cut.and_then(|()| self.file.sync_data()).is_err() {
                self.broken = Some("an earlier commit failed, and so may have the disk");
            }
        }
        result
    }

    /// Runs `work`. If it fails, the state of the disk is unknown.
    fn or_broken(&mut self, work: impl FnOnce(&mut VecFileMut) -> Result<()>) -> Result<()> {
        work(self).inspect_err(|_| self.broken = Some("an earlier commit failed halfway"))
    }
}

#[cfg(test)]
impl VecFileMut {
    /// Makes a commit up to its commit point, as a kill would leave it.
    pub(super) fn sealed_only(&mut self, edits: &[Edit<'_>], count: u64) {
        let (over, behind) = split(edits, self.byte_len());
        let place = self.stage(&over, &behind, count * self.content.kind.size).unwrap();
        self.seal(count, place).unwrap();
        self.seal(count, place).unwrap();
    }
}

/// Splits `edits` into the parts before `end`, and those from `end` on.
fn split<'a>(edits: &[Edit<'a>], end: u64) -> (Vec<Edit<'a>>, Vec<Edit<'a>>) {
    let (mut over, mut behind) = (Vec::new(), Vec::new());
    for edit in edits.iter().filter(|edit| !edit.bytes.is_empty()) {
        let (first, second) =
            edit.bytes.split_at(end.saturating_sub(edit.offset).min(edit.bytes.len() as u64) as usize);
        if !first.is_empty() {
            over.push(Edit { offset: edit.offset, bytes: first });
        }
        if !second.is_empty() {
            behind.push(Edit { offset: edit.offset + first.len() as u64, bytes: second });
        }
    }
    (over, behind)
}

#[cfg(test)]
#[path = "commit_test.rs"]
mod tests;
