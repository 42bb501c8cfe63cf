//! `revert --no-undo`: the current content is not stored.

use super::Progress;
use super::change::hold::{hold, obstacle};
use super::change::metadata::MetaChange;
use super::change::recover::First;
use super::change::request::{Draft, Method};
use super::change::unstored::Unstored;
use super::change::{Changes, Options, Report, Request};
use super::operand::Operand;
use super::revert::{find, look_at};
use crate::error::Result;
use crate::page::Digest;
use crate::store::{History, Intent, SnapName};

/// Brings `what` back to the snapshot it names (the latest, if none) as [`super::revert`] does, but does not store what
/// it holds before: neither undo nor [`super::change::recover`] can restore that.
///
/// # Errors
/// As [`super::revert`].
pub fn revert_without_undo(what: &Operand, options: &Options) -> Result<Request<'static>> {
    let (history, wanted) = find(what, options)?;
    Ok(Request::new(Final { history, wanted, options: options.clone(), first: First::default(), seen: None }))
}

struct Final {
    history: History,
    wanted: SnapName,
    options: Options,
    first: First,
    /// What the last plan saw of the target: image digest, length, and what of its metadata is to change.
    seen: Option<(Digest, u64, Vec<MetaChange>)>,
}

impl Method for Final {
    fn plan(&mut self, progress: &dyn Progress) -> Result<Draft> {
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
            (Changes { no_undo: true, ..changes }, seen.image)
        };
        self.seen = Some((found, changes.from_len, changes.metadata.clone()));
        if !changes.is_empty() {
            changes.obstacle = obstacle(&changes.path, &self.options);
        }
        Ok(Draft { notes: self.first.notes.clone(), ..Draft::of(changes) })
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
