//! What the verb `lock` locks.

use std::path::PathBuf;

/// What to lock.
pub(super) enum Target {
    File(PathBuf),
    Descriptor(i32),
}

impl Target {
    /// For messages; not escaped.
    pub(super) fn path(&self) -> PathBuf {
        match self {
            Target::File(path) => path.clone(),
            Target::Descriptor(number) => format!("descriptor {number}").into(),
        }
    }
}
