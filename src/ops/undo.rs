//! `undo`: take back the last change that memsnap made. Undoing that does it again.

use std::path::Path;

use super::change::plan;
use super::change::plan::asking_first;
use super::change::{Base, Confirm, Goal, Options, Report, Work, change, if_same};
use super::sides::refuse_unfinished_to_read;
use super::take::Taken;
use super::{Progress, find_history};
use crate::error::{Error, Result, command, shell_word};
use crate::store::{History, Image, Intent, Ref};

/// Takes back the last change of `file`.
///
/// # Errors
/// [`Error::Missing`] when there was none; [`Error::Base`] when the file is not what the change left, unless
/// [`Options::force`].
pub fn undo(file: &Path, options: &Options, confirm: Confirm<'_>, progress: &dyn Progress) -> Result<Report> {
    undo_last(file, options, confirm, progress).map_err(|e| {
        e.of_base(|_| {
            let undo = command("undo --force", options.store.as_deref(), file);
            format!("it was changed since; `{undo}` writes over that, too, and saves it first")
        })
    })
}

fn undo_last(file: &Path, options: &Options, confirm: Confirm<'_>, progress: &dyn Progress) -> Result<Report> {
    let store = options.store.as_deref();
    let history = find_history(store, file)?;
    let plan = || {
        refuse_unfinished_to_read(&history)?;
        let last = last_change(&history, file, store)?;
        let base = (!options.force).then_some(last.to_image);
        plan::plan_only(&history, &Ref::Prefix(last.from.to_hex()), None, base, options, progress)
    };
    let origin = |work: &Work<'_>| origin(work, file);
    let already = |work: &Work<'_>, taken: &Taken| Ok(if_same(taken, &origin(work)?));
    let base = if options.force { Base::Any } else { Base::LastChange };
    let goal = Goal { verb: "undo", base, already: &already };
    asking_first(&history, options, confirm, plan, |confirm| {
        if history.intent()?.is_none() {
            last_change(&history, file, store)?;
        }
        change(&history, &goal, options, confirm, progress, |work, _| origin(work))
    })
}

/// What the last change began with. Looked up again, under the lock: somebody may have undone it meanwhile, and an
/// interrupted change has been finished first and is the one to take back.
fn origin(work: &Work<'_>, file: &Path) -> Result<Image> {
    let last = last_change(work.history, file, work.options.store.as_deref())?;
    let name = work.history.resolve(&Ref::Prefix(last.from.to_hex()))?;
    work.history.image(name)
}

fn last_change(history: &History, file: &Path, store: Option<&Path>) -> Result<Intent> {
    history.last_change()?.ok_or_else(|| {
        let target = history.target();
        let mut latest = file.as_os_str().to_owned();
        latest.push("@latest");
        let hint = match target.exists() {
            true => format!("`{}` brings back the latest snapshot", command("revert", store, latest)),
            false => {
                let restore = command("restore", store, latest);
                format!("the file is gone: `{restore} -o {}` writes its latest snapshot", shell_word(file))
            }
        };
        let what = format!("memsnap has changed nothing in {} that it could take back", target.display());
        Error::missing(what, hint)
    })
}
