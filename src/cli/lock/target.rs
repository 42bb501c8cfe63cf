//! What the verb `lock` locks.

use std::path::PathBuf;

/// What to lock.
pub(super) enum LockTarget {
    File(PathBuf),
    Descriptor(i32),
}

impl LockTarget {
    /// For messages; not escaped.
    pub(super) fn path(&self) -> PathBuf {
        match self {
            LockTarget::File(path) => path.clone(),
            LockTarget::Descriptor(number) => format!("descriptor {number}").into(),
        }
    }
}
