//! Changes without undo: a target is brought to a snapshot, and what it held before is not stored. They are for when
//! there is no space for that, and final: one that is interrupted can only be finished, and only by who says so, as
//! nothing tells what it has not written yet from what somebody else has written since.

use std::time::Instant;

use crate::error::{Error, Result};
use crate::ops::change::plan;
use crate::ops::change::plan::asking_first;
use crate::ops::change::record::{Step, carry_out};
use crate::ops::change::write::prove_whole;
use crate::ops::change::{Base, Confirm, Goal, Options, Plan, Report, Work, before_change, never, with_target};
use crate::ops::metadata::Metadata;
use crate::ops::operand::Operand;
use crate::ops::recover::named;
use crate::ops::{Progress, compare, find_history};
use crate::page::Digest;
use crate::store::{Intent, Ref, SnapName};
use crate::sys::{id, open};

/// Brings `what` back to the snapshot it names (the latest, if none) as [`crate::ops::revert`] does, but does not store what
/// it holds before: neither undo nor [`crate::ops::recover`] can bring that back.
///
/// # Errors
/// As [`crate::ops::revert`].
pub fn revert_without_undo(
    what: &Operand,
    options: &Options,
    confirm: Confirm<'_>,
    progress: &dyn Progress,
) -> Result<Report> {
    let began = Instant::now();
    let history = find_history(options.store.as_deref(), &what.path)?;
    let wanted = history.resolve(&what.at.clone().unwrap_or(Ref::Latest))?;
    let plan = || {
        let exact = Ref::Prefix(wanted.id.to_hex());
        let report = plan::plan_only(&history, &exact, None, None, options, progress)?;
        Ok(Report { plan: Plan { no_undo: true, ..report.plan }, ..report })
    };
    asking_first(&history, options, confirm, plan, |confirm| {
        with_target(&history, options, |work| {
            let goal = Goal { verb: "revert", base: Base::Unstored, already: &never };
            before_change(work, &goal, confirm, progress)?;
            let recorded = work.history.intent()?;
            let mut report = bring(work, wanted, "revert", recorded.as_ref(), confirm, progress)?;
            report.notes.append(&mut work.notes);
            report.elapsed = began.elapsed();
            Ok(report)
        })
    })
}

/// Finishes such a change that was interrupted.
pub(crate) fn finish(
    work: &mut Work<'_>,
    intent: &Intent,
    confirm: Confirm<'_>,
    progress: &dyn Progress,
) -> Result<Report> {
    let wanted = named(work.history, &intent.to)?;
    bring(work, wanted, &intent.verb, Some(intent), confirm, progress)
}

/// The error of a verb that would go another way than to the end.
pub(crate) fn only_forward(work: &Work<'_>, intent: &Intent) -> Error {
    Error::refused(
        format!(
            "an interrupted {} of {} was begun without undo: what the file held before was not stored, and it cannot be \
             rolled back",
            intent.verb,
            work.target.path.display()
        ),
        "`memsnap recover` with --finish completes it; with --abandon the file stays as it is",
    )
}

/// Writes all pages in which the target differs from a snapshot.
fn bring(
    work: &mut Work<'_>,
    wanted: SnapName,
    verb: &str,
    recorded: Option<&Intent>,
    confirm: Confirm<'_>,
    progress: &dyn Progress,
) -> Result<Report> {
    let to = work.history.image(wanted)?;
    let pages = compare::pages_off(work.target, &to, &work.options.reading, progress);
    let pages = work.if_alone(pages)?;
    let stamp = open::stamp(work.target.file, work.target.path)?;
    let now = if recorded.is_some() { "a mixture" } else { "now" };
    let ends = ((now.into(), stamp.len), (format!("@{}", to.name.number), to.len()));
    let mut plan = Plan { no_undo: true, ..Plan::new(work.target.path, ends.0, ends.1, &pages) };
    plan.metadata = Metadata::of(work.target)?.changes(&Metadata::stored(to.meta()), !plan.is_empty());
    let mut report =
        Report { plan, done: false, undo: None, notes: Vec::new(), bytes_written: 0, elapsed: Default::default() };
    // A change that was recorded has to be ended, be there nothing left to write.
    if (report.plan.is_empty() && recorded.is_none()) || !confirm(&report.plan) {
        return Ok(report);
    }
    let proven = prove_whole(&to, &pages, progress);
    work.if_alone(proven)?;
    let intent = Intent {
        from: Digest::ZERO,
        from_image: Digest::ZERO,
        to: to.name.id,
        to_image: to.digest(),
        file: (stamp.dev, stamp.ino),
        time_ns: id::now_ns(),
        verb: verb.into(),
    };
    let intent = recorded.filter(|r| r.to == intent.to && r.file == intent.file).cloned().unwrap_or(intent);
    let step = Step { intent: &intent, recorded, from: None, to: &to, pages: &pages };
    report.bytes_written = carry_out(work, &step, progress)?;
    report.done = true;
    Ok(report)
}
