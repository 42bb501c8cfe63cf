//! What a verb that changes a file is about to do, for messages and for its report.

use std::path::{Path, PathBuf};

use super::escape;

/// What a verb does to a file.
pub(crate) struct Action {
    /// The schema of its report.
    pub(crate) schema: &'static str,
    /// What is being done, for errors: "reverting db.bin".
    pub(crate) doing: String,
    /// The file, as the user named it.
    pub(crate) name: String,
    /// The same, as a path.
    pub(crate) file: PathBuf,
    /// The file itself is written; otherwise only a copy.
    pub(crate) in_place: bool,
    /// stdin can be used to ask.
    pub(crate) stdin_free: bool,
    /// It is about a change that was interrupted.
    pub(crate) recovers: bool,
    /// An interrupted change is forgotten, and the file left as it is.
    pub(crate) abandons: bool,
    /// The change, once begun, can only be finished.
    pub(crate) is_final: bool,
}

impl Action {
    /// One that changes `file` in place and may ask.
    pub(crate) fn new(schema: &'static str, doing: &str, file: &Path) -> Action {
        let name = escape::path(file);
        Action {
            schema,
            doing: format!("{doing} {name}"),
            name,
            file: file.into(),
            in_place: true,
            stdin_free: true,
            recovers: false,
            abandons: false,
            is_final: false,
        }
    }
}
