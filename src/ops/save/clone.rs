//! Clones of targets, which are read in their place: each is of one moment, and its writers do not wait.

use std::fs::File;
use std::io;

use super::state::{State, state_of};
use crate::error::{At, Cause, Error, Result};
use crate::ops::input::Target;
use crate::store::History;
use crate::sys::create::Pending;
use crate::sys::open::{self, Stamp};
use crate::sys::{extents, quiet, reflink};

/// When a clone of a target is read in its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[doc(hidden)]
pub enum Clones {
    /// Where it can be made, and a process has the target open for writing.
    #[default]
    Auto,
    /// In any case; where none can be made, the verb fails.
    Always,
    /// Never.
    Never,
    /// Where it can be made. It is kept in the history until the next snapshot, which then reads only what lies in
    /// other blocks by then.
    Keep,
}

/// Most extents of a file that is cloned unasked: its writers wait for 20 to 50 microseconds for each.
const MOST_EXTENTS: u64 = 50_000;
/// How often a file is cloned whose metadata changes meanwhile.
const TRIES: usize = 4;

/// A clone, and what else there was of the target at that moment.
#[derive(Debug)]
pub(crate) struct Cloned {
    pub(super) file: Pending,
    pub(super) state: State,
    /// Whether nothing changed around that moment: its content belongs to these times.
    pub(super) is_still: bool,
    /// Why it cannot be kept, where that was asked for.
    pub(super) not_kept: Option<String>,
}

/// Why there is no clone.
#[derive(Debug)]
pub(super) enum NoClone {
    /// None are made there.
    None(String),
    /// The target could not be flushed to the disk: what it holds is not known.
    Unflushed(String),
    /// It failed.
    Failed(String),
}

impl NoClone {
    pub(super) fn why(self) -> String {
        match self {
            NoClone::None(why) | NoClone::Unflushed(why) | NoClone::Failed(why) => why,
        }
    }

    /// The error where nothing but a clone will do.
    pub(super) fn error(self, target: Target<'_>) -> Error {
        Error::refused(format!("{} could not be cloned: {}", target.path.display(), self.why()), Cause::NoClone)
    }
}

/// Clones `target`.
///
/// # Errors
/// When the target cannot be inspected, or another file has its name by now. The inner one: why there is no clone.
pub(super) fn clone(
    target: Target<'_>,
    history: &History,
    clones: Clones,
) -> Result<std::result::Result<Cloned, NoClone>> {
    if let Err(why) = reflink::check(target.file) {
        return Ok(Err(NoClone::None(why)));
    }
    if clones == Clones::Auto && extents::are_more_than(target.file, MOST_EXTENTS).unwrap_or(false) {
        let why = format!("it has more than {MOST_EXTENTS} extents, and its writers would wait");
        return Ok(Err(NoClone::Failed(why)));
    }
    if let Err(e) = quiet::flush(target.file) {
        return Ok(Err(NoClone::Unflushed(format!("flushing it to the disk failed: {e}"))));
    }
    for _ in 0..TRIES {
        let before = state_of(target)?;
        let (file, not_kept) = match clone_somewhere(target, history, clones == Clones::Keep) {
            Ok(made) => made,
            Err(e) => return Ok(Err(NoClone::Failed(e.to_string()))),
        };
        let len = file.file().metadata().at("inspecting", target.path)?.len();
        let after = state_of(target)?;
        if is_one(&before, &after, len) {
            must_have_the_name(target, &after.stamp)?;
            let is_still = before.stamp.same_state(&after.stamp);
            // Times that are not older than the content.
            let state = State { stamp: Stamp { len, ..after.stamp }, attrs: after.attrs };
            return Ok(Ok(Cloned { file, state, is_still, not_kept }));
        }
    }
    Ok(Err(NoClone::Failed("its metadata changed whenever it was cloned".into())))
}

/// Whether mode, owner and attributes at the moment of the clone are known, and the clone is whole.
fn is_one(before: &State, after: &State, len: u64) -> bool {
    let whole = match before.stamp.len.cmp(&after.stamp.len) {
        std::cmp::Ordering::Greater => len >= after.stamp.len && len <= before.stamp.len,
        _ => len >= before.stamp.len && len <= after.stamp.len,
    };
    let metadata = |state: &State| (state.stamp.mode, state.stamp.uid, state.stamp.gid);
    whole && metadata(before) == metadata(after) && before.attrs == after.attrs
}

fn must_have_the_name(target: Target<'_>, stamp: &Stamp) -> Result<()> {
    let what = match open::stamp_path(target.path) {
        Ok(now) if now.same_file(stamp) => return Ok(()),
        Ok(_) => "another file took its place",
        Err(e) if e.kind() == io::ErrorKind::NotFound => "it was removed",
        Err(e) => return Err(e).at("inspecting", target.path),
    };
    Err(Error::Changed { path: target.path.into(), what: what.into() })
}

/// A clone without a name that only its owner can read: one to be kept in the history if possible, any other in the
/// directory of the target, as long as files can be made there. Also returns why it cannot be kept.
fn clone_somewhere(target: Target<'_>, history: &History, keep: bool) -> Result<(Pending, Option<String>)> {
    let path = target.path;
    let in_history = || cloned(target.file, history.pending()).map_err(|e| (e, history.dir().to_path_buf()));
    let beside = || {
        let dir = path.parent().unwrap_or(path);
        cloned(target.file, Pending::new(dir)).map_err(|e| (e, dir.to_path_buf()))
    };
    let failed = |(e, dir): (io::Error, std::path::PathBuf)| Err(e).at("cloning into", &dir);
    if keep {
        return match in_history() {
            Ok(file) => Ok((file, None)),
            Err((e, _)) => Ok((beside().or_else(failed)?, Some(e.to_string()))),
        };
    }
    let file = beside().or_else(|first| in_history().map_err(|_| first)).or_else(failed)?;
    Ok((file, None))
}

fn cloned(from: &File, to: Result<Pending>) -> io::Result<Pending> {
    let to = to.map_err(|e| match e {
        Error::Io { source, .. } => source,
        other => io::Error::other(other),
    })?;
    reflink::clone(from, to.file())?;
    Ok(to)
}
