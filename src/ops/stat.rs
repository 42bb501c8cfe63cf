//! `stat`: what the system, the store and its content reveal about a file. Writes nothing, and reports what could not
//! be inspected.

mod aspects;
mod changes;
mod content;
mod format;
mod layout;

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

pub use aspects::{Aspect, Aspects, Cell, Options, Unseen};
pub use changes::{Latest, SinceLatest};
pub use content::Content;
pub use format::Format;
pub use layout::{Extents, Fs, Layout, MOST_LISTED};

use super::{Progress, history_of};
use crate::error::{Error, Result};
use crate::store::ChangeMarker;
use crate::sys::cache::{self, Counts};
use crate::sys::kernel_locks::{self, LockKind, Locks};
use crate::sys::open::{self, Stamp};
use crate::sys::openers::{self, FileUse, Openers};
use crate::sys::proc_maps::{Mappers, mappers};
use crate::sys::region;

/// The result of [`Subject::look`]. An aspect is `None` if it was not asked for.
#[derive(Debug)]
pub struct Report {
    /// The file, with all symbolic links followed.
    pub path: PathBuf,
    /// Whether it was named by a symbolic link.
    pub is_link: bool,
    /// Length, space, times and such.
    pub stamp: Stamp,
    /// Why its content could not be read; `None`: it could.
    pub closed: Option<String>,
    /// Its file system.
    pub fs: Fs,
    /// Data and holes.
    pub layout: Option<Aspect<Layout>>,
    /// Extents on the device.
    pub extents: Option<Aspect<Extents>>,
    /// The part in the page cache.
    pub cache: Option<Aspect<Cache>>,
    /// Processes that have it mapped.
    pub mappers: Option<Mappers>,
    /// Processes that have it open.
    pub openers: Option<Openers>,
    /// Its locks.
    pub locks: Locks,
    /// That a change of it was interrupted, or is running.
    pub unfinished: Option<Error>,
    /// Its kind, if it is a file of this program.
    pub format: Option<Format>,
    /// Zeros, duplicates and compression.
    pub content: Option<Aspect<Content>>,
    /// What changed; `Ok(None)` without a snapshot.
    pub changes: Option<Aspect<Option<SinceLatest>>>,
    /// The ranges that were asked for.
    pub cells: Vec<Cell>,
}

/// The part of a file in the page cache, in bytes of whole pages of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// Bytes of a page of this machine.
    pub page: u64,
    /// In memory.
    pub resident: u64,
    /// What only cachestat(2) reports; `None` if mincore(2) was used.
    pub state: Option<CacheState>,
}

/// The state of pages that are, or were, in the page cache, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheState {
    /// Not written to the disk yet. The kernel counts whole folios: up to 2 MiB for one byte changed.
    pub dirty: u64,
    /// Being written to the disk; also in whole folios.
    pub writeback: u64,
    /// No longer in memory, as far as the kernel remembers.
    pub evicted: u64,
    /// Of these, evicted so recently that memory is short.
    pub recently_evicted: u64,
}

/// The locks of `file`, which may be anything that can be locked, also a directory.
///
/// # Errors
/// When there is no such file.
pub fn locks_of(file: &Path) -> Result<Locks> {
    Ok(kernel_locks::of(&open::any_name(file)?))
}

/// A file to inspect: found, and its locks listed.
#[derive(Debug)]
pub struct Subject {
    path: PathBuf,
    is_link: bool,
    /// Opened as a name only (`O_PATH`).
    name: File,
    stamp: Stamp,
    locks: Locks,
}

impl Subject {
    /// Finds a file. Nothing is opened for reading yet: that would break a lease.
    ///
    /// # Errors
    /// When there is no such file, or it is no regular one.
    pub fn find(file: &Path) -> Result<Subject> {
        let path = open::resolve(file)?;
        let name = open::target_name(&path)?;
        let stamp = open::stamp(&name, &path)?;
        let locks = kernel_locks::of(&name);
        let is_link = std::fs::symlink_metadata(file).is_ok_and(|found| found.is_symlink());
        Ok(Subject { path, is_link, name, stamp, locks })
    }

    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        self.stamp.len
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Opens it for reading, unless that would break a lease; the error says why not.
    fn open(&self) -> std::result::Result<File, String> {
        let lease = |lock: &&kernel_locks::Lock| lock.kind == LockKind::Lease && lock.exclusive;
        if let Some(lock) = self.locks.held().find(lease) {
            let who = lock.holders.first().map_or("a process".into(), |holder| format!("process {}", holder.pid));
            return Err(format!("{who} has a write lease on it, which reading would break"));
        }
        let file = open::target_read(&self.path).map_err(|e| match Unseen::from(e) {
            Unseen::Hidden(_) => "no permission to read it".into(),
            Unseen::Failed(e) => e.to_string(),
        })?;
        match open::stamp(&file, &self.path) {
            Ok(stamp) if stamp.same_file(&self.stamp) => Ok(file),
            _ => Err("it was replaced by another file".into()),
        }
    }

    /// The error for a half-changed file, from its history or its change marker.
    fn unfinished(&self, file: Option<&File>, options: &Options) -> Option<Error> {
        let store = options.store.as_deref();
        // Without opening the file: that would break a lease.
        let history = history_of(store, &self.path).ok().flatten();
        let recorded = history.filter(|history| matches!(history.intent(), Ok(Some(_))));
        let mark = match recorded {
            Some(history) => Some(ChangeMarker::own(&history)),
            None => ChangeMarker::get(file?, &self.path, store),
        };
        mark.map(|mark| mark.refusal_to_read(&self.path))
    }

    /// Inspects it. The page cache comes first, because reading changes it.
    pub fn look(self, options: &Options, progress: &dyn Progress) -> Report {
        let file = self.open();
        let asked = options.aspects;
        let len = self.stamp.len;
        let closed = |why: &String| Unseen::Hidden(why.clone());
        let with = |wanted: bool| wanted.then_some(file.as_ref().map_err(closed));

        let mut cells: Vec<Cell> = options.cells.iter().map(|span| look_at_cell(file.as_ref().ok(), span)).collect();
        let cache = with(asked.cache).map(|file| look_at_cache(file?, &self.path, len));
        let layout =
            with(asked.layout || !cells.is_empty()).map(|file| Layout::look(file?, &self.path, len, &mut cells));
        let extents = with(asked.layout).map(|file| Extents::look(file?, &self.path));
        let users = asked.users.then(|| (mappers(&self.name), opened_only(openers::of(&self.name))));
        let (mappers, openers) = users.unzip();
        let format = file.as_ref().ok().filter(|_| asked.format).and_then(|file| Format::look(file, len));
        let unfinished = self.unfinished(file.as_ref().ok(), options);
        let content =
            with(asked.content).map(|file| Ok(Content::look(file?, &self.path, len, &options.reading, progress)?));
        let changes = with(asked.changes).map(|file| {
            file?;
            let found = changes::look(&self.path, options, progress)?;
            if let Some(found) = &found {
                found.mark(&mut cells);
            }
            Ok(found)
        });
        Report {
            fs: Fs::look(&self.name, file.as_ref().ok()),
            closed: file.err(),
            path: self.path,
            is_link: self.is_link,
            stamp: self.stamp,
            layout: layout.filter(|_| asked.layout),
            extents,
            cache,
            mappers,
            openers,
            locks: self.locks,
            unfinished,
            format,
            content,
            changes,
            cells,
        }
    }
}

/// Mappers are listed in more detail elsewhere.
fn opened_only(mut openers: Openers) -> Openers {
    openers.list.retain(|opener| matches!(opener.how, FileUse::OpenWrite | FileUse::OpenRead));
    openers
}

fn look_at_cell(file: Option<&File>, span: &Range<u64>) -> Cell {
    let count = |file| match cache::try_count(file, span.start, span.end - span.start) {
        Ok(counts) => Some((counts.cached, counts.dirty + counts.writeback)),
        Err(e) if e.kind() == std::io::ErrorKind::Unsupported => {
            let resident = cache::count_resident(file, span.start, span.end - span.start).ok().flatten();
            resident.map(|pages| (pages, 0))
        }
        Err(_) => None,
    };
    Cell { span: span.clone(), data: None, cached: file.and_then(count), changed: None }
}

fn look_at_cache(file: &File, path: &Path, len: u64) -> Aspect<Cache> {
    let page = region::system_page() as u64;
    let hidden = || Unseen::Hidden("reported only to the owner, and to users who may write to it".into());
    let failed =
        |source| Unseen::Failed(Error::Io { doing: "counting the cached pages of", path: path.into(), source });
    match cache::try_count(file, 0, len) {
        Ok(Counts { cached, dirty, writeback, evicted, recently_evicted }) => {
            let [dirty, writeback, evicted, recently_evicted] =
                [dirty, writeback, evicted, recently_evicted].map(|pages| pages * page);
            let state = CacheState { dirty, writeback, evicted, recently_evicted };
            Ok(Cache { page, resident: cached * page, state: Some(state) })
        }
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => Err(hidden()),
        Err(e) if e.kind() == std::io::ErrorKind::Unsupported => {
            let pages = cache::count_resident(file, 0, len).map_err(failed)?.ok_or_else(hidden)?;
            Ok(Cache { page, resident: pages * page, state: None })
        }
        Err(e) => Err(failed(e)),
    }
}

#[cfg(test)]
#[path = "stat_test.rs"]
mod tests;
