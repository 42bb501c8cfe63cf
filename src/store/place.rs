//! The place of a store, and what targets are known by there.

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
    /// The directory it is in: targets below it are known by their path from here, so that both may move together.
    pub(super) above: PathBuf,
    /// Whose it is.
    pub(super) owner: Owner,
}

impl Store {
    /// The directory of the store for `target`: `chosen`, or [`STORE_NAME`] beside it.
    #[doc(hidden)]
    pub fn place(chosen: Option<&Path>, target: &Path) -> PathBuf {
        match chosen {
            Some(dir) => dir.into(),
            None => target.parent().unwrap_or(Path::new(".")).join(STORE_NAME),
        }
    }

    /// The store in `dir`, which is of `owner`.
    pub(super) fn at(dir: &Path, owner: Owner) -> Store {
        Store { dir: dir.into(), above: above(dir).into(), owner }
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The bytes that `target`, an absolute path, is known by here: relative when it is below the store's directory.
    #[doc(hidden)]
    pub fn key(&self, target: &Path) -> Vec<u8> {
        key_in(&self.above, target)
    }

    /// The absolute path of the target known by `key`.
    #[doc(hidden)]
    pub fn target(&self, key: &[u8]) -> PathBuf {
        self.above.join(OsString::from_vec(key.to_vec()))
    }
}

/// The directory that the paths in a store are relative to.
pub(super) fn above(store: &Path) -> &Path {
    store.parent().unwrap_or(store)
}

/// The bytes that `target` is known by in a store in the directory `above`.
pub(super) fn key_in(above: &Path, target: &Path) -> Vec<u8> {
    target.strip_prefix(above).unwrap_or(target).as_os_str().as_bytes().to_vec()
}
