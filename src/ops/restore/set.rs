//! Restoring a set: its files go to a new directory, which gets its name when all of them are there.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Options, Out, Report, restore};
use crate::error::{At, Error, Result};
use crate::ops::Progress;
use crate::ops::input::operand::Operand;
use crate::ops::set::{Member, SetEntry};
use crate::store::{Ref, refuse_stored};
use crate::sys::{create, no_follow};

/// Writes the files of `set` into the new directory `out`, under the paths that they had below the directory that all of
/// them were in.
///
/// # Errors
/// [`Error::Refused`] when `out` exists and is not an empty directory; as [`restore`]. Then there is no such directory.
pub fn restore_set(set: &SetEntry, out: &Path, options: &Options, progress: &dyn Progress) -> Result<Report> {
    let began = Instant::now();
    let out = &rehearse_set(set, out)?;
    let above = no_follow::parent(out);
    // As it is removed when something fails.
    let room =
        tempfile::Builder::new().prefix(create::TMP_PREFIX).tempdir_in(above).at("making a directory in", above)?;
    let base = common(&set.members);
    let mut report = Report {
        len: 0,
        bytes_written: 0,
        lost: Vec::new(),
        damage: Vec::new(),
        notes: Vec::new(),
        elapsed: Duration::ZERO,
    };
    for member in &set.members {
        let file = room.path().join(member.key.strip_prefix(&base).unwrap_or(&member.key));
        let dir = no_follow::parent(&file);
        std::fs::create_dir_all(dir).at("making the directory", dir)?;
        if member.is_log && file.exists() {
            continue; // it came with its database
        }
        let what = Operand::new(&member.path, Ref::Prefix(member.id.to_string()));
        // A log that came first is replaced by the same bytes.
        let done = restore(&what, Out::Path(&file), &options.clone().force(true), progress)?;
        report.len += done.len;
        report.bytes_written += done.bytes_written;
        report.notes.extend(done.notes);
    }
    create::sync_dir(room.path())?;
    std::fs::rename(room.path(), out).at("naming", out)?;
    let _ = room.keep();
    create::sync_dir(above)?;
    report.elapsed = began.elapsed();
    Ok(report)
}

/// The absolute path of `out`, where [`restore_set`] would make a directory.
///
/// # Errors
/// As [`restore_set`], but for what only reading and writing finds.
pub fn rehearse_set(set: &SetEntry, out: &Path) -> Result<PathBuf> {
    let out = if out.is_dir() { out.canonicalize().at("resolving", out)? } else { create::resolve_output(out)? };
    refuse_stored(&out)?;
    let is_free = match std::fs::read_dir(&out) {
        Ok(mut entries) => entries.next().is_none(),
        Err(e) => e.kind() == std::io::ErrorKind::NotFound,
    };
    if !is_free {
        let what = format!("{} exists, and {} files need a new directory", out.display(), set.members.len());
        return Err(Error::refused(what, "name a directory that does not exist, or is empty"));
    }
    Ok(out)
}

/// The longest directory that all members were in.
fn common(members: &[Member]) -> PathBuf {
    let mut base = members.first().and_then(|member| member.key.parent()).unwrap_or(Path::new("")).to_path_buf();
    while !members.iter().all(|member| member.key.starts_with(&base)) {
        if !base.pop() {
            break;
        }
    }
    base
}
