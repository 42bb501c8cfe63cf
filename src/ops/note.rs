//! Notes and warnings of a report.

use std::fmt;

use crate::error::Cause;

/// A note about what was done. A loss, or what the user must act on, is a warning: it is shown even where notes are
/// suppressed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// What there is to know.
    pub text: String,
    /// Whether it is a warning.
    pub warning: bool,
    /// What lies behind it, for programs that advise their users.
    pub cause: Cause,
}

impl Note {
    /// A note.
    pub(crate) fn new(text: impl Into<String>) -> Note {
        Note { text: text.into(), warning: false, cause: Cause::Stated }
    }

    /// A warning.
    pub(crate) fn warning(text: impl Into<String>) -> Note {
        Note { warning: true, ..Note::new(text) }
    }

    /// The same, with what lies behind it.
    pub(crate) fn of(self, cause: Cause) -> Note {
        Note { cause, ..self }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
