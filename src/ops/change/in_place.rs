//! Changing a target in place to an image that is composed: asked for first, and in a store that is begun if it must.

use std::path::Path;

use crate::error::Result;
use crate::ops::change::plan::{Asked, ask_first};
use crate::ops::change::space::try_length;
use crate::ops::change::{Confirm, Goal, Options, Plan, Report, Work, change, of_read_only};
use crate::ops::edit::{has_none, history_of};
use crate::ops::renamed;
use crate::ops::{Note, Progress};
use crate::store::{Image, Store};
use crate::sys::open;

/// What is to be changed.
pub(crate) struct Place<'a> {
    /// The target: a resolved path.
    pub(crate) target: &'a Path,
    /// The length it will have.
    pub(crate) len: u64,
    /// Looks at the target and says what would be done; an error when it is not what it must be.
    pub(crate) plan: &'a dyn Fn() -> Result<Report>,
}

/// Brings the target to the image that `compose` gives. Its history is made if it has none.
///
/// # Errors
/// As `change`. A store is not begun for the sake of a change that cannot be made.
pub(crate) fn in_place(
    place: &Place<'_>,
    goal: &Goal<'_>,
    options: &Options,
    confirm: Confirm<'_>,
    progress: &dyn Progress,
    compose: impl FnOnce(&mut Work<'_>, &Image) -> Result<Image>,
) -> Result<Report> {
    if !options.dry_run {
        // One that nobody has seen yet is not to be composed.
        try_length(place.target, place.len).map_err(|e| of_read_only(e, place.target))?;
    }
    let chosen = options.store.as_deref();
    let known = history_of(chosen, place.target)?;
    let is_first = has_none(known.as_ref())?;
    let mut agreed = |_: &Plan| true;
    let confirm = match ask_first(known.as_ref(), options, confirm, place.plan)? {
        Asked::Over(report) => return Ok(*report),
        Asked::Agreed => &mut agreed,
        Asked::NotYet if is_first => {
            // Before all of the target is stored.
            let report = (place.plan)()?;
            if report.plan.is_empty() || !confirm(&report.plan) {
                return Ok(report);
            }
            &mut agreed
        }
        Asked::NotYet => confirm,
    };
    let (history, suspects) = match known {
        Some(history) => (history, Vec::new()),
        None => {
            let store = Store::find_or_create(chosen, place.target).map_err(|e| of_read_only(e, place.target))?;
            let suspects = renamed::check(&store, place.target, &open::target_read(place.target)?)?;
            (store.make_history(place.target)?, suspects)
        }
    };
    let mut report = change(&history, goal, options, confirm, progress, compose)?;
    report.notes.extend(suspects.iter().map(|suspect| Note::warning(suspect.warning(place.target, &history))));
    Ok(report)
}
