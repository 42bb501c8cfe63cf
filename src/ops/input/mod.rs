//! What a verb works on: the file, snapshot or pair that the user named, found and opened.

pub(crate) mod image;
pub(crate) mod known;
pub(crate) mod operand;
pub(crate) mod renamed;

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
