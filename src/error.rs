//! The one error type of the library: few variants, by what the caller can do about them.

mod words;

pub(crate) use words::command;
pub use words::{acts, shell_word, shown};

use std::io;
use std::path::{Path, PathBuf};

use crate::page::Digest;

/// Result of everything in the library that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. Every message says what was being done, to which path; [`Error::hint`] says what to do next.
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
        /// What to do next.
        hint: String,
    },
    /// Another process holds a lock or has the target open.
    #[error("{} is busy: {holder}", .path.display())]
    Busy {
        /// The file that is held.
        path: PathBuf,
        /// Who holds it, as far as that is visible.
        holder: String,
        /// What to do next.
        hint: String,
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
        /// What to do next; empty where nothing particular is known.
        hint: String,
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
        /// What to do next.
        hint: String,
    },
}

impl Error {
    /// What to do next; possibly empty.
    pub fn hint(&self) -> String {
        match self {
            Error::Missing { hint, .. } | Error::Busy { hint, .. } | Error::Refused { hint, .. } => hint.clone(),
            Error::Damaged { path, .. } if is_stored(path) => "run `memsnap verify` to see what is affected".into(),
            Error::Damaged { .. } => "make the delta again, or fetch it again".into(),
            Error::Unfinished { source, .. } => {
                let first = source.hint();
                let join = if first.is_empty() { "" } else { "; " };
                format!("{first}{join}then run `memsnap recover` on it")
            }
            Error::Version { .. } => "use the version of memsnap that wrote it, or a newer one".into(),
            Error::Changed { .. } => "try again when no program writes to it".into(),
            Error::Io { path, source, .. } if path == Path::new("-") && source.kind() == io::ErrorKind::StorageFull => {
                "write the output to a disk with free space".into()
            }
            Error::Io { doing, .. } if doing.starts_with("starting a thread") => {
                "raise the limit on processes (ulimit -u), or end other programs".into()
            }
            Error::Io { doing, source, .. } if *doing == RESERVING => {
                let full = matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
                if full { "free some space on the disk of the file".into() } else { io_hint(source, false).into() }
            }
            Error::Io { path, source, .. } if source.kind() == io::ErrorKind::PermissionDenied => denied_hint(path),
            Error::Io { path, source, .. } if source.kind() == io::ErrorKind::NotADirectory => {
                let no_dir = |path: &&Path| path.symlink_metadata().is_ok_and(|found| !found.is_dir());
                match path.ancestors().skip(1).find(no_dir) {
                    Some(file) => format!("check the path: {} is not a directory", file.display()),
                    None => io_hint(source, false).into(),
                }
            }
            Error::Io { path, source, .. } => io_hint(source, is_stored(path) || in_store(path)).into(),
            Error::Base { hint, .. } if hint.is_empty() => {
                "the file has changed since: start again from its current content".into()
            }
            Error::Base { hint, .. } => hint.clone(),
        }
    }

    /// Adds a hint to an [`Error::Base`].
    pub(crate) fn of_base(self, hint: impl FnOnce(&Digest) -> String) -> Error {
        match self {
            Error::Base { path, expected, found, .. } => Error::Base { hint: hint(&expected), path, expected, found },
            e => e,
        }
    }

    /// Creates an [`Error::Damaged`] of `path`.
    #[doc(hidden)]
    pub fn damaged(path: &Path, what: impl Into<String>) -> Error {
        Error::Damaged { path: path.into(), what: what.into() }
    }

    /// Creates an [`Error::Refused`] with a hint.
    #[doc(hidden)]
    pub fn refused(what: impl Into<String>, hint: impl Into<String>) -> Error {
        Error::Refused { what: what.into(), hint: hint.into() }
    }

    /// Creates an [`Error::Missing`] with a hint.
    #[doc(hidden)]
    pub fn missing(what: impl Into<String>, hint: impl Into<String>) -> Error {
        Error::Missing { what: what.into(), hint: hint.into() }
    }
}

/// What is done to a target before it is changed; here a store on another disk would not help.
pub(crate) const RESERVING: &str = "reserving space for";

/// Whether a file is one of a store, by its name; else it is a delta.
pub(crate) fn is_stored(path: &Path) -> bool {
    let suffix = path.extension().is_some_and(|e| ["snap", "map", "pack"].iter().any(|s| e == *s));
    let name = path
        .file_name()
        .is_some_and(|n| ["format", "target", "digests", "intent", "undo", ".gitignore"].iter().any(|s| n == *s));
    suffix || name || path.parent().is_some_and(|p| p.ends_with("names"))
}

/// Too many open files; the same number on every system.
const EMFILE: i32 = 24;

/// Whether a path is within a store, or within one that will be created.
fn in_store(path: &Path) -> bool {
    path.ancestors().any(|dir| dir.ends_with(".memsnap") || dir.join("format").is_file())
}

/// The hint for a denied access.
#[cfg(not(unix))]
fn denied_hint(_: &Path) -> String {
    "run as a user who may access it".into()
}

/// The hint for a denied access: the owner can change the mode of the file, or of a directory above it.
#[cfg(unix)]
fn denied_hint(path: &Path) -> String {
    use crate::sys::ext::MetadataExt;
    let seen = path.ancestors().find_map(|path| Some((path, path.metadata().ok()?)));
    let own = seen.filter(|(_, there)| there.uid() == crate::sys::id::euid());
    let missing = own.as_ref().map_or(String::new(), |(_, there)| {
        let wanted: &[(char, u32)] =
            if there.is_dir() { &[('r', 4), ('w', 2), ('x', 1)] } else { &[('r', 4), ('w', 2)] };
        wanted.iter().filter(|(_, bit)| there.mode() & (bit << 6) == 0).map(|(letter, _)| *letter).collect()
    });
    match own.filter(|_| !missing.is_empty()) {
        None => "run as a user who may access it".into(),
        Some((path, _)) => format!("its mode forbids it: `chmod u+{missing} {}`", shell_word(path)),
    }
}

/// The hint for an error of the system. `stored`: in a store, which can be elsewhere, not at a target or an output.
fn io_hint(e: &io::Error, stored: bool) -> &'static str {
    match e.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded if !stored => {
            "free some space there; an output can be written to another disk"
        }
        io::ErrorKind::ReadOnlyFilesystem if !stored => {
            "mount it for writing; an output can be written to another disk"
        }
        io::ErrorKind::NotFound => "check the path",
        io::ErrorKind::NotADirectory => "check the path: a part of it is a file, not a directory",
        io::ErrorKind::IsADirectory if !stored => "name a file",
        io::ErrorKind::IsADirectory => "move the directory of that name out of the way",
        io::ErrorKind::PermissionDenied => "run as a user who may access it",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space, or use --store on another disk",
        io::ErrorKind::ReadOnlyFilesystem => "mount it for writing; snap can use --store DIR on another disk",
        io::ErrorKind::FileTooLarge => "raise the file size limit (ulimit -f)",
        io::ErrorKind::OutOfMemory => "raise the limit on memory (ulimit -v), or end other programs",
        _ if e.raw_os_error() == Some(EMFILE) => "raise the limit on open files (ulimit -n)",
        _ => "",
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
