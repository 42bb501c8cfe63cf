//! Set-uid and set-gid bits, and file capabilities, of a target: none survives a change of content, and each that is
//! removed is reported.

use super::metadata::SET_ID;
use crate::error::{At, Result};
use crate::ops::Note;
use crate::ops::input::Target;
use crate::sys::{meta, open, xattr};

/// Removes set-uid bits and capabilities from the target, before the first byte of it changes: the system does so only
/// when others than root write, and never for what is killed half-way.
pub(crate) fn remove(target: Target<'_>) -> Result<Vec<Note>> {
    let (file, path, mut notes) = (target.file, target.path, Vec::new());
    let mode = open::stamp(file, path)?.mode & 0o7777;
    if mode & SET_ID != 0 {
        // A user who may write and is not the owner may not set the mode: then the kernel removes the bits.
        let _ = meta::set_mode(file, mode & !SET_ID);
        let note =
            format!("its set-uid and set-gid bits were removed: chmod {mode:04o} restores them if they are right");
        notes.push(Note::warning(note));
    }
    if xattr::get(file, xattr::CAPABILITY).ok().flatten().is_some() {
        xattr::remove(file, xattr::CAPABILITY).or_else(system_does).at("taking the capabilities from", path)?;
        let note = "its capabilities were removed: setcap restores them if they are right";
        notes.push(Note::warning(note));
    }
    Ok(notes)
}

/// Whether the target has set-uid bits or capabilities.
pub(crate) fn has_any(target: Target<'_>) -> Result<bool> {
    Ok(has_bits(target)? || xattr::get(target.file, xattr::CAPABILITY).ok().flatten().is_some())
}

/// Whether it has set-uid or set-gid bits.
pub(crate) fn has_bits(target: Target<'_>) -> Result<bool> {
    Ok(open::stamp(target.file, target.path)?.mode & SET_ID != 0)
}

/// Only root may remove capabilities; the first write of any process does.
fn system_does(e: std::io::Error) -> std::io::Result<()> {
    if e.kind() == std::io::ErrorKind::PermissionDenied { Ok(()) } else { Err(e) }
}
