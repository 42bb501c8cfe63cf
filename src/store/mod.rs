//! The store: a directory of histories, one for each target, with everything that is remembered of it.
//!
//! Layout and bytes are written down in memsnap-store(5). The rules that keep it whole:
//! * a file appears under its name complete and on disk, or not at all; none is changed in place but `digests`;
//! * the appearance of a `.snap` is the commit; what no `.snap` names is garbage;
//! * a writer holds the flock on the history's `lock`; a reader of an image holds a shared one on its `.snap`.

mod adopt;
mod change_marker;
mod commit;
mod digest_cache;
mod file_names;
mod format;
mod history;
mod image;
mod image_base;
mod image_reader;
mod inode;
mod intent;
mod label;
mod number;
mod owner;
mod pack_cache;
mod place;
mod refs;
mod spool;
mod sweep;
mod tags;
mod take_lock;
mod write_lock;

pub use crate::sys::open::FileId;
pub use image_base::ImageBase;
pub use change_marker::ChangeMarker;
pub use commit::{UpdateRuns, commit};
pub use digest_cache::{DigestCache, DigestCacheUpdate};
pub use file_names::SnapName;
pub use history::History;
pub use image::{Image, ImageRuns, Snapshot};
pub use intent::Intent;
pub use pack_cache::{PackCache, PageReader};
pub use place::{STORE_NAME, Store};
pub use image_reader::ImageReader;
pub(crate) use refs::no_ref;
pub use refs::{Ref, check_tag};
pub use spool::Spool;
pub use write_lock::WriteLock;

use crate::sys::ext::OsStrExt;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
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
        let dir = &placed(dir);
        match fs::symlink_metadata(dir) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::missing(
                    format!("there is no store at {}", dir.display()),
                    Cause::NoStore,
                ));
            }
            found => found.at("inspecting", dir)?,
        };
        let store = Store::at(dir, create::check_private(dir)?);
        check_format(&store)?;
        Ok(store)
    }

    /// Opens a store even when its `format` is damaged, to see what else is: the store, and that error.
    ///
    /// # Errors
    /// As [`Store::open`], but for the damage.
    pub(crate) fn open_despite(dir: &Path) -> Result<(Store, Option<Error>)> {
        match Store::open(dir) {
            Ok(store) => Ok((store, None)),
            Err(e @ Error::Damaged { .. }) => {
                let dir = placed(dir);
                Ok((Store::at(&dir, create::check_private(&dir)?), Some(e)))
            }
            Err(e) => Err(e),
        }
    }

    /// Makes `format` again, where it is damaged or missing, for a store that was seen to be of the format of this
    /// version. Of several who do so, one is as good as another.
    pub(crate) fn renew_format(&self) -> Result<()> {
        format::put(&self.dir, self.owner, |format, name| format.replace(name))
    }

    /// The file that says which format the store has.
    pub(crate) fn format_path(&self) -> PathBuf {
        self.dir.join("format")
    }

    /// Whether a directory in it proves to be a history, as none is in a directory that never was a store.
    fn has_histories(&self) -> bool {
        self.histories().is_ok_and(|(histories, _)| !histories.is_empty())
    }

    /// The directories of the store that is in use for `target`, and of its history there; neither need be there.
    pub(super) fn places(chosen: Option<&Path>, target: &Path) -> (PathBuf, PathBuf) {
        let dir = placed(&Store::place(chosen, target));
        let history = dir.join(History::name_of(&key_in(above(&dir), target)));
        (dir, history)
    }

    /// Opens the store in `dir`, making it, for the caller, when there is none.
    ///
    /// # Errors
    /// As [`Store::open`]; or when it cannot be made; [`Error::Refused`] inside of another store.
    #[doc(hidden)]
    pub fn open_or_create(dir: &Path) -> Result<Store> {
        Store::open_or_create_for(dir, None, &|_, _| Ok(()))
    }

    /// As [`Store::open_or_create`]; made by root, it belongs to `owner`. `check` is asked about the owner that it has
    /// before anything is made in it.
    fn open_or_create_for(
        dir: &Path,
        owner: Option<Owner>,
        check: &dyn Fn(&Path, Owner) -> Result<()>,
    ) -> Result<Store> {
        let dir = &placed(dir);
        let parent = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if fs::symlink_metadata(dir).is_err() {
            refuse_stored(dir)?;
        }
        create::make_dir_for(dir, owner)?;
        let owner = create::check_private(dir)?;
        check(dir, owner)?;
        let format = dir.join("format");
        let is_new = || fs::symlink_metadata(&format).map_or_else(is_missing, |found| is_claimed(&found));
        if is_new() {
            match check_empty(dir) {
                Ok(()) => begin(dir, owner, parent)?,
                // What is in it may be of a process that has begun this store meanwhile.
                Err(e) if is_new() && !Store::at(dir, owner).has_histories() => return Err(e),
                Err(_) => {}
            }
        }
        Store::open(dir)
    }

    /// The history of `target`, if it has one.
    ///
    /// # Errors
    /// When it cannot be looked at, or is no history.
    pub fn history(&self, target: &Path) -> Result<Option<History>> {
        History::find(self, self.key(target))
    }

    /// The history of `target`, if it has one; where its owner cannot enter it, its mode is mended first.
    ///
    /// # Errors
    /// As [`Store::make_history`].
    pub(crate) fn history_to_write(&self, target: &Path) -> Result<Option<History>> {
        match fs::symlink_metadata(self.dir.join(History::name_of(&self.key(target)))) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            _ => self.make_history(target).map(Some),
        }
    }

    /// The history of the target known by `key`, if it has one.
    ///
    /// # Errors
    /// As [`Store::history`].
    pub(crate) fn history_of_key(&self, key: &[u8]) -> Result<Option<History>> {
        History::find(self, key.to_vec())
    }

    /// The history of `target`, made when it has none.
    ///
    /// # Errors
    /// When it cannot be made; [`Error::Refused`] for a file inside of a store.
    #[doc(hidden)]
    pub fn make_history(&self, target: &Path) -> Result<History> {
        refuse_stored(target)?;
        History::make(self, self.key(target), owner::owner_at(target)?)
    }

    /// All histories, by name, and what is wrong with directories that look like histories and are none.
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
            if kind.is_dir() {
                names.push(entry.file_name());
            } else if is_history_name(&entry.file_name(), kind.is_file()) {
                faults.push(Error::damaged(&path, "it has the name of a target's directory, and is none"));
            }
        }
        names.sort();
        for name in names {
            match History::open_named(self, &name) {
                Ok(history) => histories.push(history),
                // Its maker was killed before it had a target: there is nothing in it.
                Err(_) if History::is_unfinished(&self.dir.join(&name)) => {}
                Err(e) => faults.push(e),
            }
        }
        Ok((histories, faults))
    }
}

/// Makes an empty directory a store. Of two who do so at once, the first gives it its id.
fn begin(dir: &Path, owner: Owner, parent: &Path) -> Result<()> {
    create::write_small_for(dir, owner, OsStr::new(".gitignore"), b"*\n")?;
    format::put(dir, owner, |format, name| {
        // Where files have one name each, being killed may leave the name of an empty one.
        let claimed = fs::symlink_metadata(dir.join(name)).is_ok_and(|found| is_claimed(&found));
        if claimed { format.replace(name) } else { format.publish(name).map(drop) }
    })?;
    create::sync_dir(parent)
}

fn is_missing(e: io::Error) -> bool {
    e.kind() == io::ErrorKind::NotFound
}

/// Whether a file is only a name that a process was to fill.
fn is_claimed(found: &fs::Metadata) -> bool {
    found.is_file() && found.len() == 0
}

/// Whether something has a name as [`History::name_of`] gives it. Files with a temporary name look much the same.
fn is_history_name(name: &OsStr, file: bool) -> bool {
    let name = name.as_bytes();
    let hex = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    let tail = name.len().checked_sub(17).map(|at| &name[at..]);
    let unfinished = file && name.starts_with(create::TMP_PREFIX.as_bytes());
    !unfinished && tail.is_some_and(|tail| tail[0] == b'-' && tail[1..].iter().all(hex))
}

/// Refuses a target, an output, or a new store, that is itself part of a store: a store of it would be made inside of a
/// history, and changing it would break the store that it is of.
///
/// # Errors
/// [`Error::Refused`], naming that store.
pub(crate) fn refuse_stored(target: &Path) -> Result<()> {
    const FIRST: &[u8] = b"memsnap ";
    let is_store = |dir: &&Path| {
        let mut begin = [0; FIRST.len()];
        let format = create::open_own(&dir.join("format"));
        format.is_ok_and(|mut file| file.read_exact(&mut begin).is_ok()) && begin == *FIRST
    };
    match target.ancestors().skip(1).find(is_store) {
        Some(dir) => Err(Error::refused(
            format!("{} is inside of the store {}", target.display(), dir.display()),
            "nothing in a store is a target, an output or another store: name another file",
        )),
        None => Ok(()),
    }
}

/// The path of a store: what leads to it is resolved, once; it itself is never a link. What cannot be resolved stays as
/// it is, for the error of the call that opens it.
fn placed(dir: &Path) -> PathBuf {
    let found = match dir.file_name() {
        Some(_) => open::resolve_new(dir),
        None => open::resolve(dir), // `.`, `..`
    };
    found.unwrap_or_else(|_| dir.into())
}

/// `format` must be one line, as [`format::read`] says.
fn check_format(store: &Store) -> Result<()> {
    let dir = store.dir();
    let path = dir.join("format");
    let found = fs::symlink_metadata(&path);
    if found.as_ref().is_ok_and(is_claimed) && !store.has_histories() || found.is_err_and(is_missing) {
        if check_empty(dir).is_ok() {
            let what = format!("there is no store at {} yet: making it was cut short", dir.display());
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
        None => Err(Error::damaged(&path, "its line is not what it must be")),
    }
}

/// A store is only made in a directory that holds nothing else.
fn check_empty(dir: &Path) -> Result<()> {
    for entry in no_follow::read_dir(dir).at("listing", dir)? {
        let name = entry.at("listing", dir)?.file_name();
        if name != ".gitignore" && name != "format" && !name.as_bytes().starts_with(create::TMP_PREFIX.as_bytes()) {
            return Err(Error::refused(
                format!("{} is neither empty nor a store", dir.display()),
                Cause::NotEmpty,
            ));
        }
    }
    Ok(())
}
