//! `revert` of a set: all of its files, or those that are named, become what it holds, all or none.

use std::path::PathBuf;

use super::with_logs::logs_of;
use crate::error::{Error, Result};
use crate::ops::change::several::{MemberGoal, Several};
use crate::ops::change::{Options, Request};
use crate::ops::set::{Member, SetEntry};
use crate::ops::snap::files_in;
use crate::ops::{Note, find_history, resolve};
use crate::store::{History, Ref};

/// Files that a note names before the rest is only counted.
const NAMED: usize = 5;

/// Brings the files of `set` back to what it holds, and of `only` those, if any are named. Files that are gone are made
/// again; files that it does not have stay.
///
/// # Errors
/// [`Error::Refused`] when the set does not have one of `only`.
pub fn revert_set(set: &SetEntry, only: &[PathBuf], options: &Options) -> Result<Request<'static>> {
    let only = only.iter().map(|file| resolve(file)).collect::<Result<Vec<_>>>()?;
    let has = |path: &PathBuf| set.members.iter().any(|member| member.path == *path);
    if let Some(file) = only.iter().find(|file| !has(file)) {
        let what = format!("the set {:.12} has no file {}", set.id, file.display());
        return Err(Error::refused(what, "name files of the set, or none for all of them"));
    }
    let chosen = |member: &&Member| only.is_empty() || only.contains(&member.path) || is_log_of(member, &only);
    let mut members: Vec<MemberGoal> = Vec::new();
    // Logs come before their databases, and what has no log after them.
    let (logs, mut files): (Vec<_>, Vec<_>) = set.members.iter().filter(chosen).partition(|member| member.is_log);
    // Files that are made can be removed again if the next cannot be.
    files.sort_by_key(|member| member.path.symlink_metadata().is_ok());
    for member in logs {
        let (history, wanted) = history_of(member, options)?;
        members.push(MemberGoal { history, wanted: Some(wanted), base: None, always: false });
    }
    for member in &files {
        let (history, wanted) = history_of(member, options)?;
        let others = if options.force { None } else { logs_of(&history, wanted)? };
        for log in others.unwrap_or_default() {
            if members.iter().all(|member| member.history.dir() != log.history.dir()) {
                members.push(log);
            }
        }
    }
    for member in files {
        let (history, wanted) = history_of(member, options)?;
        if members.iter().any(|other| other.history.dir() == history.dir()) {
            continue; // a log that is a file of the set, too
        }
        let always = logs_of(&history, wanted)?.is_some_and(|logs| !logs.is_empty());
        members.push(MemberGoal { history, wanted: Some(wanted), base: None, always });
    }
    let name = format!("set:{:.12}", set.id);
    let mut several = Several::new("revert", name.as_ref(), name.clone(), members, options);
    if only.is_empty() {
        several.notes = strangers(set)?;
    }
    Ok(Request::new(several))
}

fn history_of(member: &Member, options: &Options) -> Result<(History, crate::store::SnapName)> {
    let history = find_history(options.store.as_deref(), &member.path)?;
    let wanted = history.resolve(&Ref::Prefix(member.id.to_string()))?;
    Ok((history, wanted))
}

/// Whether it is the log of one of `files`.
fn is_log_of(member: &Member, files: &[PathBuf]) -> bool {
    let of = |file: &PathBuf| crate::capture::Companion::paths_beside(file).any(|log| log == member.path);
    member.is_log && files.iter().any(of)
}

/// Files of its directory that the set does not have: they stay.
fn strangers(set: &SetEntry) -> Result<Vec<Note>> {
    let Some(directory) = set.directory.as_ref().filter(|directory| directory.is_dir()) else { return Ok(Vec::new()) };
    let mut files = files_in(directory, &|_| true)?.0;
    files.retain(|file| set.members.iter().all(|member| member.path != *file));
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let names = files.iter().take(NAMED).filter_map(|file| file.file_name());
    let mut names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    if files.len() > NAMED {
        names.push(format!("{} more", files.len() - NAMED));
    }
    Ok(vec![Note::new(format!("files that the set does not have stay as they are: {}", names.join(", ")))])
}
