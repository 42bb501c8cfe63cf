//! Powers that a file lends to whoever runs it: set-uid, set-gid, file capabilities. None survives a change of content,
//! and none goes without a word.

use crate::error::{At, Result};
use crate::ops::Note;
use crate::ops::change::Work;
use crate::ops::take::Target;
use crate::sys::{meta, open, xattr};

/// Set-uid and set-gid.
const SET_ID: u32 = 0o6000;

/// Removes set-uid bits and capabilities from the target, before the first byte of it changes: the system does so only
/// when others than root write, and never for what is killed half-way.
pub(crate) fn remove(work: &mut Work<'_>) -> Result<()> {
    let (file, path) = (work.target.file, work.target.path);
    let mode = open::stamp(file, path)?.mode & 0o7777;
    if mode & SET_ID != 0 {
        // Who may write and is not the owner may not set the mode: there the system takes the bits.
        let _ = meta::set_mode(file, mode & !SET_ID);
        let note =
            format!("its set-uid and set-gid bits were taken away: chmod {mode:04o} gives them back if they are right");
        work.notes.push(Note::warning(note));
    }
    if xattr::get(file, xattr::CAPABILITY).ok().flatten().is_some() {
        xattr::remove(file, xattr::CAPABILITY).or_else(system_does).at("taking the capabilities from", path)?;
        let note = "its capabilities were taken away: setcap gives them back if they are right";
        work.notes.push(Note::warning(note));
    }
    Ok(())
}

/// Whether it has any.
pub(crate) fn has_any(target: Target<'_>) -> Result<bool> {
    let mode = open::stamp(target.file, target.path)?.mode;
    Ok(mode & SET_ID != 0 || xattr::get(target.file, xattr::CAPABILITY).ok().flatten().is_some())
}

/// Only root may take capabilities away; the first write of anybody does.
fn system_does(e: std::io::Error) -> std::io::Result<()> {
    if e.kind() == std::io::ErrorKind::PermissionDenied { Ok(()) } else { Err(e) }
}
