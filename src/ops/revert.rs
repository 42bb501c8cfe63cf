//! `revert`: bring a target back to what a snapshot holds, in place, writing only what differs.

use std::io::ErrorKind;
use std::ops::Range;

use super::change::plan;
use super::change::plan::asking_first;
use super::change::{Base, Confirm, Goal, Options, Report, Stop, Work, change, if_same};
use super::compose::{Composer, New, read_zero_extended};
use super::operand::Operand;
use super::take::Taken;
use super::{FULL, NO_SPACE, Progress, find_history, part};
use crate::error::{At, Error, RESERVING, Result};
use crate::pack::{Source, differing};
use crate::page::{PAGE, PAGE64, PageRange};
use crate::store::{Image, Ref};

/// Brings `what` back to the snapshot it names (the latest, if none); with `range` (bytes from, to) only those bytes.
///
/// # Errors
/// [`Error::Busy`] when others have it open; [`Error::Refused`] when a rule forbids it. Then nothing was written.
pub fn revert(
    what: &Operand,
    range: Option<(u64, u64)>,
    options: &Options,
    confirm: Confirm<'_>,
    progress: &dyn Progress,
) -> Result<Report> {
    let at = what.at.clone().unwrap_or(Ref::Latest);
    let history = find_history(options.store.as_deref(), &what.path)?;
    let wanted = history.resolve(&at)?;
    let plan = || {
        let exact = Ref::Prefix(wanted.id.to_hex());
        plan::plan_only(&history, &exact, range, None, options, progress)
    };
    let already = |work: &Work<'_>, taken: &Taken| {
        let to = work.history.image(wanted)?;
        let Some(range) = range else { return Ok(if_same(taken, &to)) };
        let bytes = part::clip(range, taken.len, to.len())?;
        let holds = part::holds(work.target, &to, &bytes);
        Ok(work.if_alone(holds)?.then(|| format!("@{} in these bytes", to.name.number)))
    };
    let goal = Goal { verb: "revert", base: Base::Any, already: &already };
    let make = |work: &mut Work<'_>, from: &Image| {
        let to = work.history.image(wanted)?;
        match range {
            None => Ok(to),
            Some(range) => compose(work, from, &to, range),
        }
    };
    asking_first(&history, options, confirm, plan, |confirm| {
        let done = change(&history, &goal, options, confirm, progress, make);
        done.map_err(|e| if range.is_none() { or_without_undo(e) } else { e })
    })
}

/// Where undo does not fit, the change can be made without it. Another store would not have the snapshot.
fn or_without_undo(e: Error) -> Error {
    let full = |e: &std::io::Error| matches!(e.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
    match e {
        Error::Refused { what, hint } if hint == NO_SPACE => Error::refused(
            what,
            "free some space, keep less free with --reserve, or revert with --no-undo, which is final",
        ),
        Error::Refused { what, hint } if hint == FULL => {
            Error::refused(what, "free some space, or revert with --no-undo, which is final")
        }
        Error::Io { doing, ref source, .. } if doing != RESERVING && full(source) => {
            Error::refused(e.to_string(), "free some space, or revert with --no-undo, which is final")
        }
        e => e,
    }
}

/// The image of `from` with the bytes of `range` taken from `to`.
fn compose(work: &mut Work<'_>, from: &Image, to: &Image, range: (u64, u64)) -> Result<Image> {
    let Range { start, end } = part::clip(range, from.len(), to.len())?;
    let range = PageRange::of_bytes(start, end);
    let packs = to.packs();
    let (file, path) = (work.target.file, work.target.path);
    let mut reader = packs.pages();
    let mut composer = Composer::new(work, from, from.len());
    differing(from.runs(), to.runs(), |step| {
        let pages = step.pages.intersect(&range);
        for page in pages.start..pages.end {
            let n = page - step.pages.start;
            let (old, new) = (step.a.advance(n), step.b.advance(n));
            let differ = packs.page_digest(old).map_err(Stop::Ours)? != packs.page_digest(new).map_err(Stop::Ours)?;
            if !differ {
                continue;
            }
            let mut bytes = [0; PAGE];
            if let Source::Pack(pack, source) = new {
                reader.read(pack, source, &mut bytes).map_err(Stop::Ours)?;
            }
            let at = page * PAGE64;
            let last = to.len().min(from.len()) < at + PAGE64;
            if start <= at && at + PAGE64 <= end && !last {
                composer.put(page, New::Stored(new, &bytes)).map_err(Stop::Ours)?;
                continue;
            }
            // Only some of its bytes are wanted: the others stay.
            let now = read_zero_extended(file, at, PAGE, from.len()).at("reading", path).map_err(Stop::Ours)?;
            let mut mixed: [u8; PAGE] = now[..].try_into().expect("a page");
            let (a, b) = ((start.max(at) - at) as usize, (end.min(at + PAGE64) - at) as usize);
            mixed[a..b].copy_from_slice(&bytes[a..b]);
            if mixed[..] != now[..] {
                composer.put(page, New::Bytes(&mixed)).map_err(Stop::Ours)?;
            }
        }
        Ok(())
    })
    .map_err(|e: Stop| e.of(to.path()))?;
    composer.finish("revert", None)
}
