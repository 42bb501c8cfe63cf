//! After a target was read: whether it is still the file that was read, and the grade of the image.

use std::fs::File;
use std::io;
use std::path::Path;

use super::companion::Companion;
use super::watch::Watched;
use crate::error::{At, Error, Result};
use crate::pack::Grade;
use crate::sys::fs;
use crate::sys::open::{self, Stamp};

/// Returns the stamp of the target `file` after it was read.
///
/// # Errors
/// [`Error::Changed`] when `path` no longer names what was read, or it shrank.
pub(crate) fn settled(file: &File, path: &Path, before: &Stamp) -> Result<Stamp> {
    let changed = |what: &str| Error::Changed { path: path.into(), what: what.into() };
    let after = open::stamp(file, path)?;
    if after.len < before.len {
        return Err(changed("it shrank"));
    }
    match open::stamp_path(path) {
        Ok(now) if now.same_file(&after) => Ok(after),
        Ok(_) => Err(changed("another file took its place")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(changed("it was removed")),
        Err(e) => Err(e).at("inspecting", path),
    }
}

/// Returns how far the image of `file` is proven to be consistent, and the reason. `moved`: the stamp changed;
/// `together`: the files captured at the same moment.
pub(crate) fn grade(
    (file, path): (&File, &Path),
    together: &[&Path],
    locked: bool,
    watched: Watched,
    moved: bool,
) -> (Grade, String) {
    if let Some(log) = Companion::others_beside(path, |log| together.contains(&log)).next() {
        return (Grade::Unproven, log.reason());
    }
    let why = match watched {
        Watched::Cloned => return (Grade::Proven, "read from a clone, which is of one moment".into()),
        // A lease does not exclude this: truncate(2) through an overlayfs mount does not break that of the file below.
        Watched::Excluded if moved => {
            return (Grade::Unproven, "its length or times changed while it was read".into());
        }
        Watched::Excluded if !fs::kind(file).is_ok_and(|kind| kind.lease_proves_no_writes()) => {
            let reason =
                "no process had it open for writing; on tmpfs, pages that a program has pinned can still be written";
            return (Grade::Claimed, reason.into());
        }
        Watched::Excluded => return (Grade::Proven, "no process had it open for writing".into()),
        Watched::Quiet(open) if !moved => {
            let reason = format!("no change was seen while it was read (change time, dirty pages); {open}");
            return (Grade::Observed, reason);
        }
        Watched::Quiet(open) | Watched::Written(open) => format!("{open}; it was written while it was read"),
        Watched::Unknown(why) => why,
    };
    match locked {
        true if moved => (Grade::Unproven, format!("it changed while it was read under its lock; {why}")),
        true => (Grade::Claimed, "read under its lock".into()),
        false => (Grade::Unproven, why),
    }
}
