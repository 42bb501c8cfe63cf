//! The target of a verb.

use std::fs::File;
use std::path::Path;

/// The target of a verb, opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    /// The file itself.
    pub(crate) file: &'a File,
    /// Its resolved path.
    pub(crate) path: &'a Path,
}
