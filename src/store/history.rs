//! A history: the directory of one target.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Store;
use super::file_names::{SnapName, recorded};
use super::image::{Image, Snapshot};
use super::pack_cache::PackCache;
use crate::error::{At, Error, FileInStore, Result};
use crate::page::Digest;
use crate::sys::create::{Owner, Pending};
use crate::sys::{create, no_follow};

/// Longest part of a target's name in its history's name.
const NAME_BYTES: usize = 40;

/// The directory of one target.
#[derive(Clone, Debug)]
pub struct History {
    dir: PathBuf,
    key: Vec<u8>,
    target: PathBuf,
    /// The target and the store as the user named them, for errors.
    pub(super) named: FileInStore,
    /// Whose it is: root gives to them what it makes here.
    owner: Owner,
    /// Whose the store is.
    keeper: Owner,
    /// Its packs, opened as they are needed.
    packs: Arc<PackCache>,
}

impl History {
    /// The directory's name for a target known by `key`.
    pub(super) fn name_of(key: &[u8]) -> String {
        let name = key.rsplit(|b| *b == b'/').next().unwrap_or(key);
        let plain = |b: &u8| if b.is_ascii_alphanumeric() || b"._-".contains(b) { *b as char } else { '_' };
        let name: String = name.iter().take(NAME_BYTES).map(plain).collect();
        format!("{name}-{}", &Digest::of(key).to_string()[..16])
    }

    pub(super) fn at(store: &Store, key: Vec<u8>, owner: Owner) -> History {
        let dir = store.dir().join(History::name_of(&key));
        let target = store.target(&key);
        let packs = Arc::new(PackCache::new(&dir));
        History { dir, named: FileInStore::new(&target, None), target, key, owner, keeper: store.owner, packs }
    }

    /// The same, for which errors name the target and the store so.
    pub(crate) fn named(self, target: &Path, store: Option<&Path>) -> History {
        History { named: FileInStore::new(target, store), ..self }
    }

    pub(super) fn find(store: &Store, key: Vec<u8>) -> Result<Option<History>> {
        let dir = store.dir().join(History::name_of(&key));
        match fs::symlink_metadata(&dir) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            found => {
                found.at("inspecting", &dir)?;
                Ok(Some(History::at(store, key, check_private(&dir)?)))
            }
        }
    }

    /// Opens it, making it when there is none: made by root, it belongs to `owner`.
    pub(super) fn make(store: &Store, key: Vec<u8>, owner: Owner) -> Result<History> {
        let dir = store.dir().join(History::name_of(&key));
        create::make_dir_for(&dir, Some(owner))?;
        let history = History::at(store, key, create::check_private(&dir)?);
        history.make_names()?;
        check_private(&dir)?;
        Ok(history)
    }

    /// Makes the directory of names, if there is none.
    pub(super) fn make_names(&self) -> Result<PathBuf> {
        let names = self.dir.join("names");
        create::make_dir_for(&names, Some(self.owner))?;
        Ok(names)
    }

    /// Where it is.
    #[doc(hidden)]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whose it is.
    pub(super) fn owner(&self) -> Owner {
        self.owner
    }

    /// Whose the store is.
    pub(super) fn keeper(&self) -> Owner {
        self.keeper
    }

    /// A new file in it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn pending(&self) -> Result<Pending> {
        Pending::owned(&self.dir, self.owner)
    }

    /// Puts a small file in the place of `name`, durable.
    pub(super) fn put_small(&self, name: &str, bytes: &[u8]) -> Result<()> {
        create::write_small_for(&self.dir, self.owner, OsStr::new(name), bytes)
    }

    /// By what the store knows the target.
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    /// The target's path.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// The target's name, for people.
    #[doc(hidden)]
    pub fn label(&self) -> String {
        self.target.file_name().unwrap_or(self.target.as_os_str()).to_string_lossy().into_owned()
    }

    /// Its packs, which all that is read of this history shares.
    #[doc(hidden)]
    pub fn packs(&self) -> &Arc<PackCache> {
        &self.packs
    }

    /// The same, with no pack opened yet.
    pub(super) fn afresh(&self) -> History {
        History { packs: Arc::new(PackCache::new(&self.dir)), ..self.clone() }
    }

    /// The same, which shares the packs of `other`, if that is a handle of the same history: then a pack has one number
    /// in both.
    pub(crate) fn sharing(self, other: &History) -> History {
        match self.dir == other.dir {
            true => History { packs: other.packs.clone(), ..self },
            false => self,
        }
    }

    /// Opens the snapshot `name`: what it says, and what changed since its parent.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it is not what its name says.
    #[doc(hidden)]
    pub fn snapshot(&self, name: SnapName) -> Result<Snapshot> {
        Snapshot::open(&self.dir, &self.packs, name)
    }

    /// Opens the image of the snapshot `name`.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the snapshot, or its map, is not what its name says.
    pub fn image(&self, name: SnapName) -> Result<Image> {
        Image::open(&self.dir, &self.packs, name)
    }

    /// Its snapshots, in the order of their numbers.
    pub fn snapshots(&self) -> Result<Vec<SnapName>> {
        Ok(self.listed()?.0)
    }

    /// As [`History::snapshots`], with the number that is recorded for the next; 0 where none is.
    fn listed(&self) -> Result<(Vec<SnapName>, u64)> {
        let (mut names, mut next) = (Vec::new(), 0);
        for entry in no_follow::read_dir(&self.dir).at("listing", &self.dir)? {
            let name = entry.at("listing", &self.dir)?.file_name();
            names.extend(SnapName::parse(&name));
            next = next.max(recorded(&name).unwrap_or(0));
        }
        names.sort_unstable();
        Ok((names, next))
    }

    /// As [`History::listed`], for what must not go by a listing that was cut short, as the C library takes some
    /// errors for its end: listed until two agree.
    ///
    /// # Errors
    /// When the directory cannot be listed, or does not come to rest.
    pub(crate) fn listed_agreed(&self) -> Result<(Vec<SnapName>, u64)> {
        let mut found = self.listed()?;
        for _ in 0..16 {
            let again = self.listed()?;
            if again == found {
                return Ok(found);
            }
            found = again;
        }
        Err(Error::Changed { path: self.dir.clone(), what: "it lists other files each time that it is asked".into() })
    }

    /// Whether it has no snapshot yet.
    #[doc(hidden)]
    pub fn is_new(&self) -> Result<bool> {
        for entry in no_follow::read_dir(&self.dir).at("listing", &self.dir)? {
            if SnapName::parse(&entry.at("listing", &self.dir)?.file_name()).is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether no other user can write to the history at `dir`, nor to the directory of names in it: both are listed, and
/// litter in them is removed, so neither may lead elsewhere.
pub(super) fn check_private(dir: &Path) -> Result<Owner> {
    let owner = create::check_private(dir)?;
    let names = dir.join("names");
    match fs::symlink_metadata(&names) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(owner),
        _ => create::check_private(&names).map(|_| owner),
    }
}

#[cfg(test)]
#[path = "history_test.rs"]
mod tests;
