//! A history: the directory of one target.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Store;
use super::file_names::{SnapName, part, recorded, snapshot_path};
use super::image::{Image, Snapshot};
use super::pack_cache::PackCache;
use crate::error::{At, Error, FileInStore, Result};
use crate::page::Digest;
use crate::sys::create::{Owner, Pending};
use crate::sys::{create, no_follow};

/// Most bytes of a target's name in its history's name.
const NAME_BYTES: usize = 40;

/// The history of one target: a directory in a store.
#[derive(Clone, Debug)]
pub struct History {
    dir: PathBuf,
    key: Vec<u8>,
    target: PathBuf,
    /// The target and the store as the user named them, for errors.
    pub(super) named: FileInStore,
    /// Its owner, to whom also the files belong that root creates in it.
    owner: Owner,
    /// The owner of the store.
    store_owner: Owner,
    packs: Arc<PackCache>,
}

impl History {
    /// The name of the directory for the target with this key.
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
        History { dir, named: FileInStore::new(&target, None), target, key, owner, store_owner: store.owner, packs }
    }

    /// Sets how errors name the target and the store.
    pub(crate) fn named(self, target: &Path, store: Option<&Path>) -> History {
        History { named: FileInStore::new(target, store), ..self }
    }

    pub(super) fn find(store: &Store, key: Vec<u8>) -> Result<Option<History>> {
        let dir = store.dir().join(History::name_of(&key));
        match no_follow::metadata_if_any(&dir)? {
            None => Ok(None),
            Some(_) => Ok(Some(History::at(store, key, check_private(&dir)?))),
        }
    }

    /// Opens it, and creates it if there is none; one that root creates belongs to `owner`.
    pub(super) fn make(store: &Store, key: Vec<u8>, owner: Owner) -> Result<History> {
        let dir = store.dir().join(History::name_of(&key));
        create::make_dir_for(&dir, Some(owner))?;
        let history = History::at(store, key, create::check_private(&dir)?);
        history.make_names()?;
        check_private(&dir)?;
        Ok(history)
    }

    /// Makes it in `store`, if it is only named: see [`Store::history_to_be`].
    pub(crate) fn begin(self, store: &Store) -> Result<History> {
        if no_follow::metadata_if_any(&self.dir)?.is_some() { Ok(self) } else { store.make_history(&self.target) }
    }

    /// Creates the directory of names if there is none.
    pub(super) fn make_names(&self) -> Result<PathBuf> {
        let names = self.dir.join("names");
        create::make_dir_for(&names, Some(self.owner))?;
        Ok(names)
    }

    /// Returns the path of its directory.
    #[doc(hidden)]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn owner(&self) -> Owner {
        self.owner
    }

    pub(super) fn store_owner(&self) -> Owner {
        self.store_owner
    }

    /// Creates a file in it that has no name yet.
    pub(crate) fn pending(&self) -> Result<Pending> {
        Pending::owned(&self.dir, self.owner)
    }

    /// Writes or replaces the small file `name`, durably.
    pub(super) fn put_small(&self, name: &str, bytes: &[u8]) -> Result<()> {
        create::write_small_for(&self.dir, self.owner, OsStr::new(name), bytes)
    }

    /// The bytes by which the store identifies the target.
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    /// Returns the path of its target.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Returns the file name of its target, for display.
    #[doc(hidden)]
    pub fn label(&self) -> String {
        self.target.file_name().unwrap_or(self.target.as_os_str()).to_string_lossy().into_owned()
    }

    /// Returns its pack cache, which all snapshots and images opened from this handle share.
    #[doc(hidden)]
    pub fn packs(&self) -> &Arc<PackCache> {
        &self.packs
    }

    /// A handle with an empty pack cache of its own.
    pub(super) fn with_own_cache(&self) -> History {
        History { packs: Arc::new(PackCache::new(&self.dir)), ..self.clone() }
    }

    /// Shares the pack cache of `other` if both are handles of the same history: then a pack has one number in both.
    pub(crate) fn sharing(self, other: &History) -> History {
        match self.dir == other.dir {
            true => History { packs: other.packs.clone(), ..self },
            false => self,
        }
    }

    /// The path of the file of the snapshot `name`.
    #[doc(hidden)]
    pub fn snapshot_path(&self, name: &SnapName) -> PathBuf {
        snapshot_path(&self.dir, name)
    }

    /// Opens the snapshot `name`: its metadata, and what changed since its parent.
    ///
    /// # Errors
    /// [`Error::Damaged`] when its bytes do not match its name.
    #[doc(hidden)]
    pub fn snapshot(&self, name: SnapName) -> Result<Snapshot> {
        Snapshot::open(&self.dir, &self.packs, name)
    }

    /// Opens the image of the snapshot `name`.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the bytes of the snapshot, or of its map, do not match their name.
    pub fn image(&self, name: SnapName) -> Result<Image> {
        Image::open(&self.dir, &self.packs, name)
    }

    /// Returns the names of its snapshots, sorted by number.
    pub fn snapshots(&self) -> Result<Vec<SnapName>> {
        Ok(self.listed()?.0)
    }

    /// As [`History::snapshots`], with the number that is recorded for the next snapshot, or 0.
    fn listed(&self) -> Result<(Vec<SnapName>, u64)> {
        let (mut names, mut next) = (Vec::new(), 0);
        for entry in no_follow::read_dir(&self.dir).at("listing", &self.dir)? {
            let name = entry.at("listing", &self.dir)?.file_name();
            names.extend(SnapName::parse(&name));
            // Of a set whose writer was killed, or is at it.
            names.extend(part(&name).filter(|(_, set)| self.has_set(set)).map(|(name, _)| name));
            next = next.max(recorded(&name).unwrap_or(0));
        }
        names.sort_unstable();
        names.dedup();
        Ok((names, next))
    }

    /// As [`History::listed`], but lists until two listings agree: the C library reports some errors as the end of the
    /// directory. Fails if no two of 17 agree.
    pub(crate) fn listed_agreed(&self) -> Result<(Vec<SnapName>, u64)> {
        let mut found = self.listed()?;
        for _ in 0..16 {
            let again = self.listed()?;
            if again == found {
                return Ok(found);
            }
            found = again;
        }
        Err(Error::Changed { path: self.dir.clone(), what: "each listing of it is different".into() })
    }

    /// Whether it has no snapshot yet.
    #[doc(hidden)]
    pub fn is_new(&self) -> Result<bool> {
        Ok(self.snapshots()?.is_empty())
    }
}

/// Checks that no other user can write to the history at `dir`, nor to its directory of names, and returns the owner.
/// Leftover files in both are removed, so neither may be a link to another directory.
pub(super) fn check_private(dir: &Path) -> Result<Owner> {
    let owner = create::check_private(dir)?;
    let names = dir.join("names");
    if no_follow::metadata_if_any(&names)?.is_some() {
        create::check_private(&names)?;
    }
    Ok(owner)
}

#[cfg(test)]
#[path = "history_test.rs"]
mod tests;
