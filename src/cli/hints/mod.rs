//! All hints: what to do about an error, with the verbs and options of this program. The library states causes only.

mod cause;
mod usage;

use cause::command;
pub(crate) use cause::hint as of_cause;
pub(crate) use usage::advise;

use std::io::{self, ErrorKind};
use std::path::Path;

use memsnap::ops::Note;
use memsnap::ops::change::Obstacle;
use memsnap::ops::log::{Options, log};
use memsnap::ops::stat::Format;
use memsnap::ops::verify::Fault;
use memsnap::{Cause, Error, FileInStore};

use super::escape::shell;
use super::exit::{Coded, Hinted};

/// The hint for an error; possibly empty. `store` is the one that was chosen.
pub(crate) fn of(error: &anyhow::Error, store: Option<&Path>) -> String {
    if let Some(Hinted { hint, .. }) = error.downcast_ref() {
        return hint.clone();
    }
    if let Some(error) = library(error) {
        return of_gone(error, store).unwrap_or_else(|| of_library(error));
    }
    match error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()).is_some_and(is_full) {
        true => "write the output to a disk with free space".into(),
        false => String::new(),
    }
}

/// The error of the library in the chain.
pub(crate) fn library(error: &anyhow::Error) -> Option<&Error> {
    error.chain().find_map(|cause| cause.downcast_ref().or(cause.downcast_ref().map(|coded: &Coded| &coded.error)))
}

/// An error and its hint in one line.
pub(crate) fn joined(error: &Error) -> String {
    format!("{error}; {}", of_library(error))
}

/// A note and its hint in one line.
pub(crate) fn of_note(note: &Note) -> String {
    match of_cause(&note.cause) {
        hint if hint.is_empty() => note.to_string(),
        hint => format!("{note}; {hint}"),
    }
}

/// Why a file was not repaired, and what repairs it.
pub(crate) fn of_fault(fault: &Fault) -> String {
    match of_cause(&fault.cause) {
        hint if hint.is_empty() => fault.unrepaired.clone(),
        hint => format!("{}: {hint}", fault.unrepaired),
    }
}

/// Why a change will be refused, and what allows it.
pub(crate) fn of_obstacle(obstacle: &Obstacle) -> String {
    match obstacle {
        Obstacle::Log(what) => format!("{what}: the change will be refused unless --force"),
        Obstacle::Open(who) => format!("{who}: the change will be refused unless --live"),
    }
}

fn of_library(error: &Error) -> String {
    let fixed = match error {
        Error::Base { cause, .. } if **cause == Cause::Stated => {
            "the file has changed since: start again from its current content"
        }
        Error::Missing { cause, .. }
        | Error::Busy { cause, .. }
        | Error::Refused { cause, .. }
        | Error::Base { cause, .. } => return of_cause(cause),
        Error::Damaged { path, .. } if is_stored(path) => {
            let store = store_of(path).map(|dir| format!(" --store {}", shell(dir))).unwrap_or_default();
            return format!("run `memsnap verify{store}` to see what is affected");
        }
        Error::Damaged { path, .. } if is_vector(path) => "restore it from a snapshot, or from a backup",
        Error::Damaged { .. } => "make the delta again, or fetch it again",
        Error::Unfinished { source, .. } => {
            let first = of_library(source);
            let join = if first.is_empty() { "" } else { "; " };
            return format!("{first}{join}then run `memsnap recover` on it");
        }
        Error::Version { .. } => "use the version of memsnap that wrote it, or a newer one",
        Error::Changed { .. } => "try again when no program writes to it",
        Error::Thread { .. } => "raise the limit on processes (ulimit -u), or end other programs",
        Error::Reserve { source, .. } if is_full(source) => "free some space on the disk of the file",
        Error::Reserve { source, .. } => of_io(source, false),
        Error::Io { path, source, .. } if path == Path::new("-") && source.kind() == ErrorKind::StorageFull => {
            "write the output to a disk with free space"
        }
        Error::Io { path, source, .. } if source.kind() == ErrorKind::PermissionDenied => return denied(path),
        Error::Io { path, source, .. } if source.kind() == ErrorKind::NotADirectory => {
            let no_dir = |path: &&Path| path.symlink_metadata().is_ok_and(|found| !found.is_dir());
            match path.ancestors().skip(1).find(no_dir) {
                Some(file) => return format!("check the path: {} is not a directory", file.display()),
                None => of_io(source, false),
            }
        }
        Error::Io { path, source, .. } => of_io(source, is_stored(path) || in_store(path)),
        _ => "",
    };
    fixed.into()
}

/// The hint for an error of the system. `stored`: in a store, which can be elsewhere, not at a target or an output.
fn of_io(e: &io::Error, stored: bool) -> &'static str {
    /// Too many open files; the same number on every system.
    const EMFILE: i32 = 24;
    match e.kind() {
        _ if is_full(e) && !stored => "free some space there; an output can be written to another disk",
        _ if is_full(e) => "free some space, or use --store on another disk",
        ErrorKind::ReadOnlyFilesystem if !stored => "mount it for writing; an output can be written to another disk",
        ErrorKind::ReadOnlyFilesystem => "mount it for writing; snap can use --store DIR on another disk",
        ErrorKind::NotFound => "check the path",
        ErrorKind::NotADirectory => "check the path: a part of it is a file, not a directory",
        ErrorKind::IsADirectory if !stored => "name a file",
        ErrorKind::IsADirectory => "move the directory of that name out of the way",
        ErrorKind::PermissionDenied => DENIED,
        ErrorKind::FileTooLarge => "raise the file size limit (ulimit -f)",
        ErrorKind::OutOfMemory => "raise the limit on memory (ulimit -v), or end other programs",
        _ if e.raw_os_error() == Some(EMFILE) => "raise the limit on open files (ulimit -n)",
        _ => "",
    }
}

const DENIED: &str = "run as a user who may access it";

/// The hint for a denied access: the owner can change the mode of the file, or of a directory above it.
fn denied(path: &Path) -> String {
    use memsnap::program::ext::MetadataExt;
    let seen = path.ancestors().find_map(|path| Some((path, path.metadata().ok()?)));
    let own = seen.filter(|(_, there)| there.uid() == memsnap::sys::id::euid());
    let missing = own.as_ref().map_or(String::new(), |(_, there)| {
        let wanted: &[(char, u32)] =
            if there.is_dir() { &[('r', 4), ('w', 2), ('x', 1)] } else { &[('r', 4), ('w', 2)] };
        wanted.iter().filter(|(_, bit)| there.mode() & (bit << 6) == 0).map(|(letter, _)| *letter).collect()
    });
    match own.filter(|_| !missing.is_empty()) {
        None => DENIED.into(),
        Some((path, _)) => format!("its mode forbids it: `chmod u+{missing} {}`", shell(path)),
    }
}

/// How to restore a missing file, if the error is that it is missing and it has snapshots.
fn of_gone(error: &Error, store: Option<&Path>) -> Option<String> {
    let Error::Io { path, source, .. } = error else { return None };
    if source.kind() != ErrorKind::NotFound || path.exists() {
        return None;
    }
    let options = Options::default().store(store.map(Path::to_path_buf));
    let history = log(Some(path), &options).ok()?.into_iter().next()?;
    if history.interrupted {
        // Restoring it would take the place of the half-changed file, which alone can be finished or rolled back.
        let recover = command("recover", &FileInStore { file: path.clone(), store: store.map(Into::into) });
        return Some(format!("a change of it was interrupted: move the file back to this path, and run `{recover}`"));
    }
    let exists = !history.snapshots.is_empty();
    let mut latest = path.clone().into_os_string();
    latest.push("@latest");
    let restore = command("restore", &FileInStore { file: latest.into(), store: store.map(Into::into) });
    exists.then(|| format!("the file is gone, but it has snapshots: `{restore} -o {}`", shell(path)))
}

fn is_full(e: &io::Error) -> bool {
    matches!(e.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Whether a file is one of a store, by its name; else it is a delta.
fn is_stored(path: &Path) -> bool {
    let suffix = path.extension().is_some_and(|e| ["snap", "map", "pack"].iter().any(|s| e == *s));
    let name = path.file_name().is_some_and(|n| {
        ["format", "target", "digests", "evidence", "intent", "undo", ".gitignore"].iter().any(|s| n == *s)
    });
    suffix || name || path.parent().is_some_and(|p| p.ends_with("names"))
}

/// The store that a file of a store is in, unless it is the one that is used without `--store`.
fn store_of(path: &Path) -> Option<&Path> {
    let dir = path.ancestors().skip(1).find(|dir| dir.join("format").is_file())?;
    let usual = std::env::current_dir().is_ok_and(|here| dir == here.join(".memsnap"));
    (!usual).then_some(dir)
}

/// Whether a file begins as a persistent vector does.
fn is_vector(path: &Path) -> bool {
    let look = |file: std::fs::File| Format::look(&file, file.metadata().ok()?.len());
    let format = std::fs::File::open(path).ok().and_then(look);
    matches!(format, Some(Format::Vec { .. } | Format::BrokenVec(_)))
}

/// Whether a path is within a store, or within one that will be created.
fn in_store(path: &Path) -> bool {
    path.ancestors().any(|dir| dir.ends_with(".memsnap") || dir.join("format").is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn io(path: &Path, errno: i32) -> String {
        let source = io::Error::from_raw_os_error(errno);
        of_library(&Error::Io { doing: "opening", path: path.into(), source })
    }

    #[test]
    fn an_owner_can_change_a_mode() {
        let read_only = |path: &Path| {
            let mut permissions = path.metadata().unwrap().permissions();
            permissions.set_readonly(true);
            std::fs::set_permissions(path, permissions).unwrap();
        };
        let home = tempfile::tempdir().unwrap();
        let [file, dir] = ["f", "dir"].map(|name| home.path().join(name));
        std::fs::write(&file, b"").unwrap();
        std::fs::create_dir(&dir).unwrap();
        assert_eq!(io(&file, 13), "run as a user who may access it");
        read_only(&file);
        assert_eq!(io(&file, 13), format!("its mode forbids it: `chmod u+w {}`", file.display()));
        read_only(&dir);
        assert_eq!(io(&dir.join("none"), 13), format!("its mode forbids it: `chmod u+w {}`", dir.display()));
        assert_eq!(io(&file.join("g"), 20), format!("check the path: {} is not a directory", file.display()));
    }

    #[test]
    fn a_full_disk() {
        let full = || io::Error::from_raw_os_error(28);
        assert_eq!(io(Path::new("-"), 28), "write the output to a disk with free space");
        assert!(io(Path::new("d/.memsnap/x"), 28).ends_with("use --store on another disk"));
        assert!(io(Path::new("out"), 28).ends_with("can be written to another disk"));
        let target = Error::Reserve { path: "f".into(), source: full() };
        assert_eq!(of_library(&target), "free some space on the disk of the file");
        let half = Error::Unfinished { path: "f".into(), source: Box::new(target) };
        assert_eq!(of_library(&half), "free some space on the disk of the file; then run `memsnap recover` on it");
        let thread = Error::Thread { path: "f".into(), source: full() };
        assert!(of_library(&thread).contains("ulimit -u"));
    }
}
