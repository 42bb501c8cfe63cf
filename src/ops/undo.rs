//! `undo`: revert the last change that memsnap made. Undoing that makes it again.

use std::path::{Path, PathBuf};

use super::change::hold::Work;
use super::change::in_place::{Goal, InPlace, expect};
use super::change::look::{PlanBasis, if_same, look_at};
use super::change::several::{MemberGoal, Several};
use super::change::{Options, Request, Summary};
use super::save::capture::CapturedImage;
use super::set::SetEntry;
use super::{Progress, find_history};
use crate::error::{Cause, Error, FileInStore, Result};
use crate::page::Digest;
use crate::store::{History, Image, Intent, Ref, SnapName, Store};

/// Reverts the last change of `file`.
///
/// # Errors
/// [`Error::Missing`] when there was none; from the plan and the commit, [`Error::Base`] when the file is not what the
/// change left, unless [`Options::force`].
pub fn undo(file: &Path, options: &Options) -> Result<Request<'static>> {
    let history = find_history(options.store.as_deref(), file)?;
    if let Some(of_several) = undo_several(&history, file, options)? {
        return Ok(of_several);
    }
    let goal = Undo { history: history.clone(), file: file.into(), options: options.clone(), seen: None };
    if history.intent()?.is_none() {
        goal.last_change()?;
    }
    Ok(Request::new(InPlace::within(history, goal, options)))
}

/// Reverts the last change of the files of `set`, if all of it was one.
///
/// # Errors
/// [`Error::Missing`] when there was none; as [`undo`].
pub fn undo_set(set: &SetEntry, options: &Options) -> Result<Request<'static>> {
    for member in &set.members {
        let history = find_history(options.store.as_deref(), &member.path)?;
        let changed = history.intent()?.is_none() && history.last_change()?.is_some_and(|last| last.set.is_some());
        if changed && let Some(request) = undo_several(&history, format!("set:{:.12}", set.id).as_ref(), options)? {
            return Ok(request);
        }
    }
    let what = format!("no file of the set {:.12} has a last change that was one of several files", set.id);
    Err(Error::missing(what, "name the file whose last change is to be undone"))
}

/// Reverts the last change of `history` for all its targets, if it had several.
fn undo_several(history: &History, file: &Path, options: &Options) -> Result<Option<Request<'static>>> {
    let last = if history.intent()?.is_some() { None } else { history.last_change()? };
    let Some(set) = last.and_then(|last| last.set) else { return Ok(None) };
    let gone = |what: String| Error::missing(what, Cause::NoSnapshot(FileInStore::new(file, options.store.as_deref())));
    let change = history.set_changes().last(&set)?.ok_or_else(|| {
        gone(format!(
            "the record of the last change of {}, and of other files with it, is gone",
            history.target().display()
        ))
    })?;
    let store = Store::open(history.dir().parent().unwrap_or(history.dir()))?;
    let mut members = Vec::with_capacity(change.members.len());
    for member in &change.members {
        let path = store.target(&member.key);
        let history = store.history_of_key(&member.key)?;
        let history =
            history.ok_or_else(|| gone(format!("{} was changed with it, and its history is gone", path.display())))?;
        let wanted = member.from.map(|(id, _)| history.resolve(&Ref::Prefix(id.to_string()))).transpose()?;
        let base = Some(member.to.map(|(_, image)| image));
        members.push(MemberGoal { history, wanted, base, always: member.from == member.to });
    }
    let several = Several::new("undo", file, format!("before the last {}", change.verb), members, options);
    Ok(Some(Request::new(several)))
}

struct Undo {
    history: History,
    /// As the user named it.
    file: PathBuf,
    options: Options,
    /// What the last plan saw, and where it leads.
    seen: Option<(PlanBasis, SnapName)>,
}

impl Goal for Undo {
    fn verb(&self) -> &'static str {
        "undo"
    }

    fn look(&mut self, options: &Options, progress: &dyn Progress) -> Result<Summary> {
        let origin = self.origin()?;
        let (changes, seen) = look_at(&self.history, origin, None, options, progress)?;
        self.is_base(&changes.path, seen.image)?;
        self.seen = Some((seen, origin));
        Ok(changes)
    }

    fn holds(&self, _: &Work<'_>, taken: &CapturedImage) -> Result<bool> {
        let Some((seen, origin)) = &self.seen else { return Ok(false) };
        Ok(seen.is(taken) && *origin == self.origin()?)
    }

    fn already(&self, work: &Work<'_>, taken: &CapturedImage) -> Result<Option<String>> {
        self.is_base(work.target.path, taken.image)?;
        Ok(if_same(taken, &self.history.image(self.origin()?)?))
    }

    fn make(&mut self, _: &mut Work<'_>, _: &Image) -> Result<Image> {
        self.history.image(self.origin()?)
    }

    fn explain(&self, e: Error) -> Error {
        e.of_base(|_| Cause::ChangedSince(FileInStore::new(&self.file, self.options.store.as_deref())))
    }
}

impl Undo {
    /// The image before the last change. Looked up again under the lock: another process may have undone it meanwhile,
    /// and an interrupted change has been finished first and is the one to revert.
    fn origin(&self) -> Result<SnapName> {
        self.history.resolve(&Ref::Prefix(self.last_change()?.from.to_string()))
    }

    /// The target must be what the last change left.
    fn is_base(&self, path: &Path, found: Digest) -> Result<()> {
        let expected = self.last_change()?.to_image;
        if self.options.force { Ok(()) } else { expect(path, expected, found) }
    }

    fn last_change(&self) -> Result<Intent> {
        let (history, file, store) = (&self.history, &self.file, self.options.store.as_deref());
        history.last_change()?.ok_or_else(|| {
            let target = history.target();
            let what = format!("memsnap has changed nothing in {} that it could take back", target.display());
            Error::missing(what, Cause::NoChange { file: FileInStore::new(file, store), gone: !target.exists() })
        })
    }
}
