//! A persistent vector opened for reading: locked against writers, and checked to be the file at its path.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::content::Content;
use super::format::ELEMENTS;
use super::source::VecSource;
use crate::error::{At, Cause, Error, FileInStore, Result};
use crate::sys::kernel_locks;
use crate::sys::lock::{self, Held, LockMode};
use crate::sys::open::{self, Stamp};
use crate::sys::xattr;

/// A persistent vector that is read by offsets. It holds the shared lock.
#[derive(Debug)]
pub struct VecFile {
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
    pub(super) content: Content,
}

impl VecFile {
    /// Opens `path` for reading, and waits up to `wait` for its lock. A symbolic link is followed once, now. An
    /// interrupted commit is read as done if it was sealed, else as never begun; nothing is written.
    pub fn open(path: &Path, wait: Duration) -> Result<VecFile> {
        let path = open::resolve(path)?;
        let file = open::target_read(&path)?;
        VecFile::locked(file, path, LockMode::Shared, wait)
    }

    pub(super) fn locked(file: File, path: PathBuf, kind: LockMode, wait: Duration) -> Result<VecFile> {
        take_lock(&file, &path, kind, wait)?;
        let stamp = open::stamp(&file, &path)?;
        must_be_named(&path, &stamp)?;
        must_be_of_one_state(&file, &path)?;
        let content = Content::read(&VecSource::of_file(&file, &path), stamp.len)?;
        Ok(VecFile { file, path, stamp, content })
    }

    /// Returns the path at which it was opened, with all links followed.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the bytes past the elements that an interrupted commit left: its log, if it was sealed. The next writer
    /// removes them.
    pub fn left_over(&self) -> u64 {
        self.stamp.len - ELEMENTS - self.byte_len()
    }

    /// Whether the last commit is sealed, but not completely in place; the next writer completes it.
    pub fn is_unfinished(&self) -> bool {
        self.content.state.log.is_some()
    }

    /// Fills `buf` with bytes of elements, from byte `offset` of them on.
    pub fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.content.read_at(&VecSource::of_file(&self.file, &self.path), buf, offset)
    }

    /// Checks that the path still names this file, and that its length is unchanged.
    pub(super) fn check(&self) -> Result<()> {
        self.check_with(self.stamp.len)
    }

    /// As [`VecFile::check`], of a file that had `left` bytes.
    pub(super) fn check_with(&self, left: u64) -> Result<()> {
        must_be_named(&self.path, &self.stamp)?;
        let found = open::stamp(&self.file, &self.path)?.len;
        if found < left {
            let what = format!("it was truncated while it was open: it had {left} bytes, and has {found}");
            return Err(Error::damaged(&self.path, what));
        }
        if found > left {
            let path = self.path.display();
            return Err(Error::refused(
                format!("{path} was lengthened while it was open, from {left} bytes to {found}"),
                "find out what writes to it without its lock; opening it again truncates it to its elements",
            ));
        }
        Ok(())
    }
}

impl Deref for VecFile {
    type Target = Content;

    fn deref(&self) -> &Content {
        &self.content
    }
}

/// Refuses a file whose change in place was interrupted: it may hold elements of two states, and writing to it would
/// prevent its recovery.
fn must_be_of_one_state(file: &File, path: &Path) -> Result<()> {
    match xattr::get(file, xattr::CHANGE_MARKER).at("reading the attributes of", path)? {
        None => Ok(()),
        Some(_) => Err(Error::refused(
            format!("a change of {} was interrupted", path.display()),
            Cause::Interrupted(FileInStore::new(path, None)),
        )),
    }
}

/// Takes the lock. An ancestor's lock is not sufficient, as that process may itself be writing.
pub(super) fn take_lock(file: &File, path: &Path, kind: LockMode, wait: Duration) -> Result<()> {
    match lock::flock(file, path, kind, wait) {
        Ok(Held::ByUs) => Ok(()),
        Ok(Held::ByAncestor) => Err(Error::busy(
            path,
            "a process that this one runs under has it locked",
            "run it outside of that lock: persistent vectors take their own",
        )),
        Err(Error::Busy { .. }) if kernel_locks::of(file).locks.iter().any(|l| l.is_held_by(std::process::id())) => {
            let holder = format!("this process (PID {}) has it open already", std::process::id());
            Err(Error::busy(path, holder, "use the one that is open, or drop it first"))
        }
        Err(e) => Err(e),
    }
}

fn must_be_named(path: &Path, stamp: &Stamp) -> Result<()> {
    let why = match open::stamp_path(path) {
        Ok(found) if found.same_file(stamp) => return Ok(()),
        Ok(_) => "another file has taken its place",
        Err(e) if e.kind() == io::ErrorKind::NotFound => "it was moved or removed",
        Err(e) => return Err(e).at("inspecting", path),
    };
    Err(Error::refused(
        format!("{} is no longer the file that was opened: {why}", path.display()),
        "open it again where it is now; what was not committed is lost",
    ))
}
