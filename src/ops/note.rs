//! What a report says beside its numbers.

use std::fmt;

/// Something to know about what was done, in words. Where it is a loss, or the user must act on it, it is a warning: that
/// is shown even by who wants to see no notes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// What there is to know.
    pub text: String,
    /// Whether it is a warning.
    pub warning: bool,
}

impl Note {
    /// A note.
    pub(crate) fn new(text: impl Into<String>) -> Note {
        Note { text: text.into(), warning: false }
    }

    /// A warning.
    pub(crate) fn warning(text: impl Into<String>) -> Note {
        Note { text: text.into(), warning: true }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
