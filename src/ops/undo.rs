//! `undo`: revert the last change that memsnap made. Undoing that makes it again.

use std::path::{Path, PathBuf};

use super::change::hold::Work;
use super::change::in_place::{Goal, InPlace, expect};
use super::change::{Options, Request, Summary};
use super::revert::{PlanBasis, if_same, look_at};
use super::save::capture::CapturedImage;
use super::{Progress, find_history};
use crate::error::{Cause, Error, FileInStore, Result};
use crate::page::Digest;
use crate::store::{History, Image, Intent, Ref, SnapName};

/// Reverts the last change of `file`.
///
/// # Errors
/// [`Error::Missing`] when there was none; from the plan and the commit, [`Error::Base`] when the file is not what the
/// change left, unless [`Options::force`].
pub fn undo(file: &Path, options: &Options) -> Result<Request<'static>> {
    let history = find_history(options.store.as_deref(), file)?;
    let goal = Undo { history: history.clone(), file: file.into(), options: options.clone(), seen: None };
    if history.intent()?.is_none() {
        goal.last_change()?;
    }
    Ok(Request::new(InPlace::within(history, goal, options)))
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
