//! The location of a store, and the keys of targets in it.

use crate::sys::ext::{OsStrExt, OsStringExt};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::sys::create::Owner;

/// Name of the store beside a target.
pub const STORE_NAME: &str = ".memsnap";

/// A directory of histories.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) dir: PathBuf,
    /// Its parent directory. The key of a target below it is the relative path, so that store and target can be moved
    /// together.
    pub(super) above: PathBuf,
    pub(super) owner: Owner,
}

impl Store {
    /// Returns the directory of the store for `target`: `chosen`, or [`STORE_NAME`] beside it.
    #[doc(hidden)]
    pub fn place(chosen: Option<&Path>, target: &Path) -> PathBuf {
        match chosen {
            Some(dir) => dir.into(),
            None => target.parent().unwrap_or(Path::new(".")).join(STORE_NAME),
        }
    }

    /// The store in `dir`, which belongs to `owner`.
    pub(super) fn at(dir: &Path, owner: Owner) -> Store {
        Store { dir: dir.into(), above: above(dir).into(), owner }
    }

    /// Returns the path of its directory.
    #[doc(hidden)]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the key of `target`, an absolute path: relative if it is below the parent directory of the store.
    #[doc(hidden)]
    pub fn key(&self, target: &Path) -> Vec<u8> {
        key_in(&self.above, target)
    }

    /// Returns the key of a directory: empty for the one that holds the store.
    pub(crate) fn directory_key(&self, directory: &Path) -> Vec<u8> {
        if directory == self.above { Vec::new() } else { self.key(directory) }
    }

    /// The path of the directory with this key.
    pub(crate) fn directory(&self, key: &[u8]) -> PathBuf {
        if key.is_empty() { self.above.clone() } else { self.target(key) }
    }

    /// Returns the absolute path of the target with this key.
    #[doc(hidden)]
    pub fn target(&self, key: &[u8]) -> PathBuf {
        self.above.join(OsString::from_vec(key.to_vec()))
    }
}

/// The directory to which keys in a store are relative.
pub(super) fn above(store: &Path) -> &Path {
    store.parent().unwrap_or(store)
}

/// The key of `target` in a store in the directory `above`.
pub(super) fn key_in(above: &Path, target: &Path) -> Vec<u8> {
    target.strip_prefix(above).unwrap_or(target).as_os_str().as_bytes().to_vec()
}
