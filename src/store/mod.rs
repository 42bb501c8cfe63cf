//! The store: a directory of histories, one for each target.
//!
//! memsnap-store(5) defines the layout and the bytes. The rules that keep it consistent:
//! * a file appears under its name complete and on disk, or not at all; only `digests` is changed in place;
//! * the appearance of a `.snap` is the commit; a pack or map that no `.snap` names is garbage;
//! * a writer holds the flock on the history's `lock`; a reader of an image holds a shared one on its `.snap`.

mod adopt;
mod change_marker;
mod commit;
mod deferred_leaves;
mod digest_cache;
mod digest_cache_update;
mod evidence;
mod file_names;
mod format;
mod history;
mod image;
mod image_base;
mod image_reader;
mod inode;
mod intent;
mod kept_clone;
mod label;
mod number;
mod owner;
mod pack_cache;
mod place;
mod refs;
mod set;
mod set_change;
mod set_files;
mod spool;
mod sweep;
mod tags;
mod write_lock;

pub use crate::sys::open::FileId;
pub use change_marker::ChangeMarker;
pub use commit::{UnnamedSnapshot, UpdateRuns, commit, prepare};
pub use digest_cache::DigestCache;
pub use digest_cache_update::DigestCacheUpdate;
pub(crate) use evidence::{Evidence, Means};
pub use file_names::SnapName;
pub use history::History;
pub use image::{Image, ImageRuns, Snapshot};
pub use image_base::ImageBase;
pub use image_reader::ImageReader;
pub use intent::Intent;
pub use kept_clone::KeptClone;
pub use pack_cache::{PackCache, PageReader};
pub use place::{STORE_NAME, Store};
pub(crate) use refs::no_ref;
pub use refs::{Ref, check_tag};
pub use set::{MOST_MEMBERS, NewPart, Set, SetMember, Sets};
pub use set_change::{SetChange, SetChangeMember, SetChanges};
pub use spool::Spool;
pub use write_lock::WriteLock;

use crate::sys::ext::OsStrExt;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use place::{above, key_in};

use crate::error::{At, Cause, Error, Result};
use crate::sys::create::Owner;
use crate::sys::{create, no_follow, open};

impl Store {
    /// Opens the store in `dir`.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is none, [`Error::Version`] for a newer format, [`Error::Refused`] when others
    /// could write to it.
    pub fn open(dir: &Path) -> Result<Store> {
        let dir = &resolved(dir);
        if no_follow::metadata_if_any(dir)?.is_none() {
            return Err(Error::missing(format!("there is no store at {}", dir.display()), Cause::NoStore));
        }
        let store = Store::at(dir, create::check_private(dir)?);
        check_format(&store)?;
        Ok(store)
    }

    /// As [`Store::open`], but opens a store even if its `format` is damaged, and returns that error with it.
    pub(crate) fn open_despite(dir: &Path) -> Result<(Store, Option<Error>)> {
        match Store::open(dir) {
            Ok(store) => Ok((store, None)),
            Err(e @ Error::Damaged { .. }) => {
                let dir = resolved(dir);
                Ok((Store::at(&dir, create::check_private(&dir)?), Some(e)))
            }
            Err(e) => Err(e),
        }
    }

    /// Writes a missing or damaged `format` again, for a store whose histories have the format of this version. It
    /// does not matter which of several concurrent processes wins.
    pub(crate) fn renew_format(&self) -> Result<()> {
        format::put(&self.dir, self.owner, |format, name| format.replace(name))
    }

    /// The path of the file `format`.
    pub(crate) fn format_path(&self) -> PathBuf {
        self.dir.join("format")
    }

    /// Whether it contains a valid history; a directory that never was a store contains none.
    fn has_histories(&self) -> bool {
        self.histories().is_ok_and(|(histories, _)| !histories.is_empty())
    }

    /// The directories of the store in use for `target` and of the target's history in it; they may not exist.
    pub(super) fn places(chosen: Option<&Path>, target: &Path) -> (PathBuf, PathBuf) {
        let dir = resolved(&Store::place(chosen, target));
        let history = dir.join(History::name_of(&key_in(above(&dir), target)));
        (dir, history)
    }

    /// Opens the store in `dir`, and creates it, owned by the caller, if there is none.
    ///
    /// # Errors
    /// As [`Store::open`]; when it cannot be created; [`Error::Refused`] inside another store.
    #[doc(hidden)]
    pub fn open_or_create(dir: &Path) -> Result<Store> {
        Store::open_or_create_for(dir, None, &|_, _| Ok(()))
    }

    /// As [`Store::open_or_create`], but a store that root creates belongs to `owner`. `check` may refuse the owner of
    /// the directory before any file is created in it.
    fn open_or_create_for(
        dir: &Path,
        owner: Option<Owner>,
        check: &dyn Fn(&Path, Owner) -> Result<()>,
    ) -> Result<Store> {
        let dir = &resolved(dir);
        if fs::symlink_metadata(dir).is_err() {
            refuse_stored(dir)?;
        }
        create::make_dir_for(dir, owner)?;
        let owner = create::check_private(dir)?;
        check(dir, owner)?;
        let format = dir.join("format");
        let is_new = || no_follow::metadata_if_any(&format).is_ok_and(|found| found.is_none_or(|m| is_claimed(&m)));
        if is_new() {
            match check_empty(dir) {
                Ok(()) => begin(dir, owner)?,
                // Its files may be those of a process that has begun to create this store meanwhile.
                Err(e) if is_new() && !Store::at(dir, owner).has_histories() => return Err(e),
                Err(_) => {}
            }
        }
        Store::open(dir)
    }

    /// Returns the history of `target`, if it has one.
    ///
    /// # Errors
    /// When it cannot be inspected, or is not a history.
    pub fn history(&self, target: &Path) -> Result<Option<History>> {
        History::find(self, self.key(target))
    }

    /// As [`Store::history`], but first restores a mode that does not let the owner enter the history.
    pub(crate) fn history_to_write(&self, target: &Path) -> Result<Option<History>> {
        match no_follow::metadata_if_any(&self.dir.join(History::name_of(&self.key(target)))) {
            Ok(None) => Ok(None),
            _ => self.make_history(target).map(Some),
        }
    }

    /// As [`Store::make_history`], but where there is none it is only named; [`History::begin`] makes it.
    pub(crate) fn history_to_be(&self, target: &Path) -> Result<History> {
        refuse_stored(target)?;
        let there = self.history(target)?;
        there.map_or_else(|| Ok(History::at(self, self.key(target), owner::owner_at(target)?)), Ok)
    }

    /// As [`Store::history`], of the target with this key.
    pub(crate) fn history_of_key(&self, key: &[u8]) -> Result<Option<History>> {
        History::find(self, key.to_vec())
    }

    /// Returns the history of `target`, and creates it if it has none. Refuses a file inside a store.
    #[doc(hidden)]
    pub fn make_history(&self, target: &Path) -> Result<History> {
        refuse_stored(target)?;
        History::make(self, self.key(target), owner::owner_at(target)?)
    }

    /// Returns all histories, sorted by name, and the errors of directories that have the name of a history and cannot
    /// be opened as one.
    ///
    /// # Errors
    /// When the store cannot be listed.
    #[doc(hidden)]
    pub fn histories(&self) -> Result<(Vec<History>, Vec<Error>)> {
        let (mut histories, mut faults) = (Vec::new(), Vec::new());
        let mut names = Vec::new();
        for entry in no_follow::read_dir(&self.dir).at("listing", &self.dir)? {
            let entry = entry.at("listing", &self.dir)?;
            let path = self.dir.join(entry.file_name());
            let kind = entry.file_type().at("inspecting", &path)?;
            if entry.file_name() == set::DIR {
            } else if kind.is_dir() {
                names.push(entry.file_name());
            } else if is_history_name(&entry.file_name(), kind.is_file()) {
                faults.push(Error::damaged(&path, "it has the name of a history, but is not a directory"));
            }
        }
        names.sort();
        for name in names {
            match History::open_named(self, &name) {
                Ok(history) => histories.push(history),
                // The process that created it was killed before it wrote the label: it holds nothing.
                Err(_) if History::is_unfinished(&self.dir.join(&name)) => {}
                Err(e) => faults.push(e),
            }
        }
        Ok((histories, faults))
    }
}

/// Makes an empty directory a store. Of two processes that do so at once, the first determines its id.
fn begin(dir: &Path, owner: Owner) -> Result<()> {
    create::write_small_for(dir, owner, OsStr::new(".gitignore"), b"*\n")?;
    format::put(dir, owner, |format, name| {
        // On a file system without hard links, a killed process may have left an empty file of this name.
        let claimed = fs::symlink_metadata(dir.join(name)).is_ok_and(|found| is_claimed(&found));
        if claimed { format.replace(name) } else { format.publish(name).map(drop) }
    })?;
    create::sync_dir(no_follow::parent(dir))
}

/// Whether it is an empty file that only reserves its name.
fn is_claimed(found: &fs::Metadata) -> bool {
    found.is_file() && found.len() == 0
}

/// Whether `name` has the form of [`History::name_of`]. A temporary name of a file has nearly the same form.
fn is_history_name(name: &OsStr, file: bool) -> bool {
    let name = name.as_bytes();
    let hex = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    let tail = name.len().checked_sub(17).map(|at| &name[at..]);
    let unfinished = file && name.starts_with(create::TMP_PREFIX.as_bytes());
    !unfinished && tail.is_some_and(|tail| tail[0] == b'-' && tail[1..].iter().all(hex))
}

/// Refuses a target, an output, or a new store that is itself part of a store: its own store would be created inside a
/// history, and changing it would damage the outer store.
pub(crate) fn refuse_stored(target: &Path) -> Result<()> {
    const FIRST: &[u8] = b"memsnap ";
    let is_store = |dir: &&Path| {
        let mut begin = [0; FIRST.len()];
        let format = create::open_own(&dir.join("format"));
        format.is_ok_and(|mut file| file.read_exact(&mut begin).is_ok()) && begin == *FIRST
    };
    match target.ancestors().skip(1).find(is_store) {
        Some(dir) => Err(Error::refused(
            format!("{} is inside the store {}", target.display(), dir.display()),
            "a file in a store cannot be a target, an output or another store: name another file",
        )),
        None => Ok(()),
    }
}

/// The path of a store with links in its parents resolved; the store itself is never a link. A path that cannot be
/// resolved stays as it is: the call that opens it reports the error.
fn resolved(dir: &Path) -> PathBuf {
    let found = match dir.file_name() {
        Some(_) => open::resolve_new(dir),
        None => open::resolve(dir), // `.`, `..`
    };
    found.unwrap_or_else(|_| dir.into())
}

fn check_format(store: &Store) -> Result<()> {
    let (dir, path) = (store.dir(), store.format_path());
    let found = no_follow::metadata_if_any(&path);
    let unfinished = |m: &fs::Metadata| is_claimed(m) && !store.has_histories();
    if found.is_ok_and(|found| found.as_ref().is_none_or(unfinished)) {
        if check_empty(dir).is_ok() {
            let what = format!("there is no store at {} yet: its creation was interrupted", dir.display());
            return Err(Error::missing(what, Cause::EmptyStore));
        }
        if store.has_histories() {
            return Err(Error::damaged(&path, "it is missing"));
        }
        return Err(Error::refused(
            format!("{} is not a store: it has no file named format", dir.display()),
            Cause::NotAStore,
        ));
    }
    match format::read(&create::read_small(&path, 4096)?) {
        Some(Ok(())) => Ok(()),
        Some(Err(what)) => Err(Error::Version { path, what }),
        None => Err(Error::damaged(&path, "its line is invalid")),
    }
}

/// Refuses to create a store in a directory that holds anything else.
fn check_empty(dir: &Path) -> Result<()> {
    for entry in no_follow::read_dir(dir).at("listing", dir)? {
        let name = entry.at("listing", dir)?.file_name();
        if name != ".gitignore" && name != "format" && !name.as_bytes().starts_with(create::TMP_PREFIX.as_bytes()) {
            return Err(Error::refused(format!("{} is neither empty nor a store", dir.display()), Cause::NotEmpty));
        }
    }
    Ok(())
}
