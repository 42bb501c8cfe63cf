//! The one error type of the library: few variants, by what the caller can do about them.

mod cause;
mod words;

pub use cause::{Cause, FileInStore, HotLog, Log};
pub use words::{acts, shown};

use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::page::Digest;

/// Result of everything in the library that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. Every message says what was being done, to which path; a [`Cause`] says why it
/// failed, for programs that advise their users.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call failed.
    #[error("{doing} {}: {source}", .path.display())]
    Io {
        /// What was being done, as a gerund: "opening", "writing".
        doing: &'static str,
        /// The file it was done to.
        path: PathBuf,
        /// The error of the system call.
        source: io::Error,
    },
    /// There is no space for what is to be written to a target: nothing was changed.
    #[error("reserving space for {}: {source}", .path.display())]
    Reserve {
        /// The target.
        path: PathBuf,
        /// The error of the system call.
        source: io::Error,
    },
    /// The system starts no thread.
    #[error("starting a thread for {}: {source}", .path.display())]
    Thread {
        /// The file that it was to read.
        path: PathBuf,
        /// The error of the system call.
        source: io::Error,
    },
    /// A file of a store, or a delta, is damaged: its bytes must not be used.
    #[error("{} is damaged: {what}", .path.display())]
    Damaged {
        /// The damaged file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A store or delta of a format that this version does not know.
    #[error("{}: {what}", .path.display())]
    Version {
        /// The file that says so.
        path: PathBuf,
        /// What it says.
        what: String,
    },
    /// There is nothing of that name.
    #[error("{what}")]
    Missing {
        /// What was looked for, and where.
        what: String,
        /// The situation.
        cause: Box<Cause>,
    },
    /// Another process holds a lock or has the target open.
    #[error("{} is busy: {holder}", .path.display())]
    Busy {
        /// The file that is held.
        path: PathBuf,
        /// Who holds it, as far as that is visible.
        holder: String,
        /// The situation.
        cause: Box<Cause>,
    },
    /// The target shrank, was replaced or written while it was read.
    #[error("{} changed while it was read: {what}", .path.display())]
    Changed {
        /// The target.
        path: PathBuf,
        /// How.
        what: String,
    },
    /// A delta or an undo does not fit the file as it is.
    #[error("{} is not the expected base: it has image digest {found}, expected {expected}", .path.display())]
    Base {
        /// The file it was to be applied to.
        path: PathBuf,
        /// The image digest needed.
        expected: Digest,
        /// The image digest found.
        found: Digest,
        /// Why, where more is known.
        cause: Box<Cause>,
    },
    /// A change in place was interrupted: the target is half changed, and the record of the change is kept.
    #[error("{source}; {} is half changed now", .path.display())]
    Unfinished {
        /// The target.
        path: PathBuf,
        /// What stopped it.
        source: Box<Error>,
    },
    /// A safety check or rule refused it; nothing was done.
    #[error("{what}")]
    Refused {
        /// What was refused, and why.
        what: String,
        /// The situation.
        cause: Box<Cause>,
    },
}

impl Error {
    /// Gives an [`Error::Base`] the cause that `of` makes of the image digest needed.
    pub(crate) fn of_base(self, of: impl FnOnce(&Digest) -> Cause) -> Error {
        match self {
            Error::Base { path, expected, found, .. } => {
                Error::Base { cause: Box::new(of(&expected)), path, expected, found }
            }
            e => e,
        }
    }

    /// Creates an [`Error::Base`] of which nothing more is known.
    pub(crate) fn base(path: &Path, expected: Digest, found: Digest) -> Error {
        Error::Base { path: path.into(), expected, found, cause: Box::new(Cause::Stated) }
    }

    /// Creates an [`Error::Damaged`] of `path`.
    #[doc(hidden)]
    pub fn damaged(path: &Path, what: impl Into<String>) -> Error {
        Error::Damaged { path: path.into(), what: what.into() }
    }

    /// Creates an [`Error::Refused`]; a text for `cause` is a [`Cause::Remedy`].
    #[doc(hidden)]
    pub fn refused(what: impl Into<String>, cause: impl Into<Cause>) -> Error {
        Error::Refused { what: what.into(), cause: Box::new(cause.into()) }
    }

    /// Creates an [`Error::Missing`]; a text for `cause` is a [`Cause::Remedy`].
    #[doc(hidden)]
    pub fn missing(what: impl Into<String>, cause: impl Into<Cause>) -> Error {
        Error::Missing { what: what.into(), cause: Box::new(cause.into()) }
    }

    /// Creates an [`Error::Busy`]; a text for `cause` is a [`Cause::Remedy`].
    #[doc(hidden)]
    pub fn busy(path: &Path, holder: impl Into<String>, cause: impl Into<Cause>) -> Error {
        Error::Busy { path: path.into(), holder: holder.into(), cause: Box::new(cause.into()) }
    }
}

/// From 64 hexadecimal digits in lower case. Here, as errors hold digests, and no two files import each other.
impl FromStr for Digest {
    type Err = Error;

    fn from_str(hex: &str) -> Result<Digest> {
        let hash = blake3::Hash::from_hex(hex).ok().filter(|_| !hex.bytes().any(|b| b.is_ascii_uppercase()));
        hash.map(|hash| Digest(*hash.as_bytes()))
            .ok_or_else(|| Error::refused(format!("{hex:?} is no digest"), "a digest has 64 hexadecimal digits"))
    }
}

/// Adds to an [`io::Error`] what was being done, and to which path.
pub trait At<T> {
    /// `doing` is a gerund: "opening", "reading".
    fn at(self, doing: &'static str, path: &Path) -> Result<T>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, doing: &'static str, path: &Path) -> Result<T> {
        self.map_err(|e| Error::Io { doing, path: path.into(), source: e.into() })
    }
}
