//! `revert`: bring a target back to what a snapshot holds, in place, writing only what differs.

pub(crate) mod range;
mod set;
mod with_logs;

pub use set::revert_set;

use std::io::ErrorKind;
use std::ops::Range;

use super::change::hold::{Work, hold, obstacle};
use super::change::in_place::{Goal, InPlace};
use super::change::look::{PlanBasis, if_same, look_at};
use super::change::metadata::MetadataChange;
use super::change::recover::FinishFirst;
use super::change::request::{Method, Planned};
use super::change::unstored::Unstored;
use super::change::{Options, Report, Request, Summary};
use super::input::operand::Operand;
use super::read::read_zero_extended;
use super::save::capture::CapturedImage;
use super::save::compose::{Composer, NewPage};
use super::{Progress, find_history};
use crate::error::{At, Cause, Error, Result};
use crate::pack::Source;
use crate::page::{Digest, PAGE, PAGE64, PageRange};
use crate::store::{History, Image, Intent, Ref, SnapName};

/// Brings `what` back to the snapshot it names (the latest, if none); with `range` (bytes from, to) only those bytes.
///
/// # Errors
/// [`Error::Missing`] when there is no such snapshot.
pub fn revert(what: &Operand, range: Option<(u64, u64)>, options: &Options) -> Result<Request<'static>> {
    let (history, wanted) = find(what, options)?;
    if range.is_none()
        && let Some(several) = with_logs::revert(&history, wanted, &what.path, options)?
    {
        return Ok(several);
    }
    let goal = Revert { history: history.clone(), wanted, range, seen: None };
    Ok(Request::new(InPlace::within(history, goal, options)))
}

/// Brings `what` back to the snapshot it names (the latest, if none) as [`revert`] does, but does not store what
/// it holds before: neither [`undo`](super::undo()) nor [`recover`](super::recover()) can restore that.
///
/// # Errors
/// As [`revert`].
pub fn revert_without_undo(what: &Operand, options: &Options) -> Result<Request<'static>> {
    let (history, wanted) = find(what, options)?;
    Ok(Request::new(WithoutUndo {
        history,
        wanted,
        options: options.clone(),
        first: FinishFirst::default(),
        seen: None,
    }))
}

/// The snapshot that `what` names (the latest, if none), and its history.
fn find(what: &Operand, options: &Options) -> Result<(History, SnapName)> {
    let history = find_history(options.store.as_deref(), &what.path)?;
    let wanted = history.resolve(what.at.as_ref().unwrap_or(&Ref::Latest))?;
    Ok((history, wanted))
}

struct Revert {
    history: History,
    wanted: SnapName,
    range: Option<(u64, u64)>,
    /// What the last plan saw.
    seen: Option<PlanBasis>,
}

impl Goal for Revert {
    fn verb(&self) -> &'static str {
        "revert"
    }

    fn look(&mut self, options: &Options, progress: &dyn Progress) -> Result<Summary> {
        let (changes, seen) = look_at(&self.history, self.wanted, self.range, options, progress)?;
        self.seen = Some(seen);
        Ok(changes)
    }

    fn holds(&self, _: &Work<'_>, taken: &CapturedImage) -> Result<bool> {
        Ok(self.seen.as_ref().is_some_and(|seen| seen.is(taken)))
    }

    fn already(&self, work: &Work<'_>, taken: &CapturedImage) -> Result<Option<String>> {
        let to = work.history.image(self.wanted)?;
        let Some(range) = self.range else { return Ok(if_same(taken, &to)) };
        let bytes = range::clip(range, taken.len, to.len())?;
        let holds = range::holds(work.target, &to, &bytes);
        Ok(work.if_alone(holds)?.then(|| format!("@{} in these bytes", to.name.number)))
    }

    fn make(&mut self, work: &mut Work<'_>, from: &Image) -> Result<Image> {
        let to = work.history.image(self.wanted)?;
        match self.range {
            None => Ok(to),
            Some(range) => compose(work, from, &to, range),
        }
    }

    fn explain(&self, e: Error) -> Error {
        if self.range.is_none() { or_without_undo(e) } else { e }
    }
}

/// Where undo does not fit, the change can be made without it. Another store would not have the snapshot.
fn or_without_undo(e: Error) -> Error {
    let full = |e: &std::io::Error| matches!(e.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
    match e {
        Error::Refused { what, cause } => match *cause {
            Cause::NoSpace { reserve, .. } => Error::refused(what, Cause::NoSpace { reserve, for_undo: true }),
            other => Error::refused(what, other),
        },
        Error::Io { ref source, .. } if full(source) => {
            Error::refused(e.to_string(), Cause::NoSpace { reserve: false, for_undo: true })
        }
        e => e,
    }
}

/// What [`revert_without_undo`] does.
struct WithoutUndo {
    history: History,
    wanted: SnapName,
    options: Options,
    first: FinishFirst,
    /// What the last plan saw of the target: image digest, length, and what of its metadata is to change.
    seen: Option<(Digest, u64, Vec<MetadataChange>)>,
}

impl Method for WithoutUndo {
    fn plan(&mut self, progress: &dyn Progress) -> Result<Planned> {
        let is_final = self.history.intent()?.is_some_and(|intent| intent.is_final());
        if !is_final && let Some(draft) = self.first.plan(&self.history, &self.options, &|_| true, progress)? {
            return Ok(draft);
        }
        let (mut changes, found) = if is_final {
            hold(&self.history, &self.options, |work| {
                let all = Unstored::look(work, self.wanted, true, progress)?;
                Ok((all.changes, all.found))
            })?
        } else {
            let (changes, seen) = look_at(&self.history, self.wanted, None, &self.options, progress)?;
            (Summary { no_undo: true, ..changes }, seen.image)
        };
        self.seen = Some((found, changes.from_len, changes.metadata.clone()));
        if !changes.is_empty() {
            changes.obstacle = obstacle(&changes.path, &self.options, &[]);
        }
        Ok(Planned { notes: self.first.notes.clone(), ..Planned::of(changes) })
    }

    fn commit(&mut self, confirmed: bool, progress: &dyn Progress) -> Result<Option<Report>> {
        hold(&self.history, &self.options, |work| {
            let recorded = work.history.intent()?.filter(Intent::is_final);
            // Of one without undo, all that differs is written again.
            if recorded.is_none() && !self.first.finish(work, &|_| true, confirmed, progress)? {
                return Ok(None);
            }
            work.refuse_hot_log(false)?;
            let all = Unstored::look(work, self.wanted, recorded.is_some(), progress)?;
            let now = (all.found, all.changes.from_len, all.changes.metadata.clone());
            if confirmed && self.seen.as_ref() != Some(&now) {
                return Ok(None);
            }
            let mut report = all.carry(work, "revert", recorded.as_ref(), progress)?;
            report.notes = std::mem::take(&mut self.first.notes);
            report.notes.append(&mut work.notes);
            Ok(Some(report))
        })
    }
}

/// The image of `from` with the bytes of `range` taken from `to`.
fn compose(work: &mut Work<'_>, from: &Image, to: &Image, range: (u64, u64)) -> Result<Image> {
    let Range { start, end } = range::clip(range, from.len(), to.len())?;
    let (packs, file, path) = (to.packs(), work.target.file, work.target.path);
    let mut reader = packs.pages();
    let mut composer = Composer::new(work, from, from.len());
    for run in to.runs_in(from.changed(to, PageRange::of_bytes(start, end))?.runs()) {
        let run = run?;
        for page in run.pages.start..run.pages.end {
            let source = run.source.advance(page - run.pages.start);
            let mut bytes = [0; PAGE];
            if let Source::Pack(pack, source) = source {
                reader.read(pack, source, &mut bytes)?;
            }
            let at = page * PAGE64;
            let last = to.len().min(from.len()) < at + PAGE64;
            if start <= at && at + PAGE64 <= end && !last {
                composer.put(page, NewPage::Stored(source, &bytes))?;
                continue;
            }
            // Only some of its bytes are wanted: the others stay.
            let now = read_zero_extended(file, at, from.len()).at("reading", path)?;
            let mut mixed = now.clone();
            let part = (start.max(at) - at) as usize..(end.min(at + PAGE64) - at) as usize;
            mixed[part.clone()].copy_from_slice(&bytes[part]);
            if mixed != now {
                composer.put(page, NewPage::Bytes(&mixed))?;
            }
        }
    }
    composer.finish("revert", None)
}
