//! `edit`: bytes of a target replaced, or a delta that would do it.
//!
//! The edits are made in memory first: in a view of those pages of the target that they touch, side by side, and of no
//! others. So memory and addresses are spent on what is edited, however long the target is; and as the pages are
//! copies, nobody can change them behind the view, and the target need not be kept open (a write lease is not granted
//! while it is). What the copies were made from is looked at again when nobody else can write: where a page is not what
//! it was, nothing is written.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::change::in_place::{Place, in_place};
use super::change::{Base, Confirm, Goal, Options, Plan, Replaced, Report, never};
use super::compare::Marked;
use super::compose::{Composer, New, read_zero_extended};
use super::delta::{MakeOptions, Named, Stat, hold, into, mode_of, name_of, scratch_beside, unchanged};
use super::dirty::{Dirty, Refold, dirty_in, numbers, regroup, whole, write_delta};
use super::restore::Out;
use super::sides::{LiveSide, Side, refuse_unfinished_to_read};
use super::take::Target;
use super::{Note, Progress, recover};
use crate::capture::{Found, scan};
use crate::error::{At, Error, Result};
use crate::mem::{ArcView, Snapshot};
use crate::pack::{DeltaHead, ImageId};
use crate::page::{Digest, GROUP, GROUP64, ImageHasher, MAX_LEN, PAGE, PAGE64, PageRange, PageSet, group_digest};
use crate::store::{History, Store};
use crate::sys::{open, sparse};

/// Bytes of an edit that a plan shows.
const SHOWN: usize = 16;
/// Bytes compared at once.
const BLOCK: u64 = 1 << 20;

/// Bytes to be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Where, in bytes from the start of the target.
    pub at: u64,
    /// By what.
    pub new: Patch,
}

/// What comes in the place of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Patch {
    /// These.
    Bytes(Vec<u8>),
    /// So many zeros.
    Zeros(u64),
}

impl Patch {
    /// Number of bytes.
    pub fn len(&self) -> u64 {
        match self {
            Patch::Bytes(bytes) => bytes.len() as u64,
            Patch::Zeros(n) => *n,
        }
    }

    /// Whether there is no byte.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lays it over `bytes`, as long as it is; pages that hold it already are not written to.
    fn lay(&self, bytes: &mut [u8]) {
        let zeros = [0; PAGE];
        let mut done = 0;
        for place in bytes.chunks_mut(PAGE) {
            let new = match self {
                Patch::Bytes(new) => &new[done..done + place.len()],
                Patch::Zeros(_) => &zeros[..place.len()],
            };
            done += place.len();
            if *place != *new {
                place.copy_from_slice(new);
            }
        }
    }
}

/// Makes `edits` in `file`, later ones over earlier ones. Bytes past its end are edited only with `grow`.
///
/// # Errors
/// [`Error::Changed`] when somebody writes to the pages meanwhile, [`Error::Refused`] when a rule forbids it: then
/// nothing was written. Else as [`super::revert`].
pub fn edit(
    file: &Path,
    edits: &[Edit],
    grow: bool,
    options: &Options,
    confirm: Confirm<'_>,
    progress: &dyn Progress,
) -> Result<Report> {
    let began = Instant::now();
    let target = open::resolve(file)?;
    let history = history_of(options.store.as_deref(), &target)?;
    let mut notes = Vec::new();
    let stores_first = stores_first(history.as_ref(), &LiveSide::open_any(&target)?.0)?;
    if let Some(history) = history.filter(|history| matches!(history.intent(), Ok(Some(_)))) {
        if options.dry_run {
            refuse_unfinished_to_read(&history)?;
        }
        // What is between two images is not to be edited.
        let recovered = recover::recover(&target, None, options, &mut *confirm, progress)?;
        if recovered.done {
            notes.push(Note::new("an interrupted change was finished first"));
        } else if history.intent()?.is_some() {
            return Err(recover::to_finish_first("change", &target));
        } // else it was under way, and has ended
    }
    let touched = Touched::open(&target, edits, grow)?;
    let pages = touched.dirty();
    let plan = Plan { stores_first, ..touched.plan(edits, &pages) };
    let report = || Report {
        plan: plan.clone(),
        done: false,
        undo: None,
        notes: Vec::new(),
        bytes_written: 0,
        elapsed: began.elapsed(),
    };
    if plan.is_empty() {
        return Ok(Report { notes, ..report() });
    }
    let look = || LiveSide::open(&target).and_then(|live| touched.check(live.target())).map(|()| report());
    let place = Place { target: &target, len: touched.result_len, plan: &look };
    let check = |target: Target<'_>| touched.check(target);
    let goal = Goal { verb: "edit", base: Base::Like(&check), already: &never };
    let mut done = in_place(&place, &goal, options, confirm, progress, |work, from| {
        // Once more: with --live, somebody may have written since.
        touched.check(work.target)?;
        let mut composer = Composer::new(work, from, touched.result_len);
        pages.iter().try_for_each(|dirty| composer.put(dirty.page, New::Bytes(&whole(dirty.now))))?;
        composer.finish("edit", None)
    })?;
    done.plan.edits = plan.edits;
    done.notes.splice(0..0, notes);
    done.elapsed = began.elapsed();
    Ok(done)
}

/// Writes the delta that makes `edits` in `file`, which stays as it is.
///
/// # Errors
/// As [`edit`], and as [`super::delta::make`].
pub fn delta(
    file: &Path,
    edits: &[Edit],
    grow: bool,
    out: Out<'_>,
    options: &MakeOptions,
    progress: &dyn Progress,
) -> Result<Stat> {
    let target = open::resolve(file)?;
    if let Some(history) = history_of(options.store.as_deref(), &target)? {
        refuse_unfinished_to_read(&history)?;
    }
    let mut side = Side::Live(LiveSide::open(&target)?);
    let before = hold(&mut side, &options.reading)?;
    let touched = Touched::open(&target, edits, grow)?;
    let pages = touched.dirty();
    let (base, result) = match &side {
        Side::Live(live) => touched.digests(live, &pages, options, progress)?,
        Side::Stored(_) => unreachable!("a live file was opened"),
    };
    unchanged(&side, before)?;
    let head = DeltaHead {
        base: ImageId { len: touched.len, digest: base },
        result: ImageId { len: touched.result_len, digest: result },
        reversible: options.reversible,
        name: name_of(&side),
    };
    let scratch = scratch_beside(&out);
    let how = Named { force: options.force, apart: &[&target], mode: mode_of(&side)? };
    into(out, &how, |out, path| write_delta(&pages, &head, options.level, (out, path, &scratch), progress))
}

/// Whether there is no snapshot.
pub(crate) fn has_none(history: Option<&History>) -> Result<bool> {
    history.map_or(Ok(true), History::is_new)
}

/// What a change stores first, for undo, where there is no snapshot: the data of all of the target.
pub(crate) fn stores_first(history: Option<&History>, live: &LiveSide) -> Result<Option<u64>> {
    if !has_none(history)? {
        return Ok(None);
    }
    let data = sparse::extents(&live.file, live.len).at("looking for holes in", &live.path)?;
    Ok(Some(data.iter().map(|extent| extent.end - extent.start).sum()))
}

/// The history that the target has, if it has one.
pub(crate) fn history_of(store: Option<&Path>, target: &Path) -> Result<Option<History>> {
    match Store::find(store, target) {
        Ok(store) => store.history(target),
        Err(Error::Missing { .. }) => Ok(None),
        Err(e) => Err(e),
    }
}

/// The pages of a target that edits touch, as a view in which the edits are made.
struct Touched {
    target: PathBuf,
    /// Length of the target.
    len: u64,
    /// Its length with the edits.
    result_len: u64,
    /// The pages, and the first byte of each run in the view; ascending.
    runs: Vec<(PageRange, usize)>,
    /// Copies of the pages as they were; past the end of the target, zeros.
    seen: Arc<Snapshot>,
    view: ArcView,
}

impl Touched {
    fn open(target: &Path, edits: &[Edit], grow: bool) -> Result<Touched> {
        let live = LiveSide::open(target)?;
        let mut set = PageSet::new();
        let mut result_len = live.len;
        for edit in edits {
            let end = end_of(edit, live.len, grow, target)?;
            set.insert_range(PageRange::of_bytes(edit.at, end));
            result_len = result_len.max(if edit.new.is_empty() { 0 } else { end });
        }
        let bytes = usize::try_from(set.len() * PAGE64).map_err(|_| Error::refused("too much is edited", "edit less"));
        let mut seen = Snapshot::compose(bytes?);
        let (mut runs, mut at) = (Vec::new(), 0);
        for run in set.runs() {
            let there = run.end_offset().min(live.len).saturating_sub(run.offset());
            if there > 0 {
                seen = seen.file(at, &live.file, run.offset(), there as usize).at("reading", target)?;
            }
            runs.push((run, at));
            at += (run.len() * PAGE64) as usize;
        }
        let seen = Arc::new(seen.build().at("reading", target)?);
        let view = seen.view_arc().at("making a view of", target)?;
        let mut touched = Touched { target: target.into(), len: live.len, result_len, runs, seen, view };
        for edit in edits.iter().filter(|edit| !edit.new.is_empty()) {
            let at = touched.place(edit.at);
            edit.new.lay(&mut touched.view.as_mut_slice()[at..at + edit.new.len() as usize]);
        }
        Ok(touched)
    }

    /// Where a byte of the target is in the view; its page must be touched.
    fn place(&self, offset: u64) -> usize {
        let run = self.runs.partition_point(|(run, _)| run.end_offset() <= offset);
        self.runs[run].1 + (offset - self.runs[run].0.offset()) as usize
    }

    /// The pages in which the edits changed anything.
    fn dirty(&self) -> Vec<Dirty<'_>> {
        let mut pages = dirty_in(&self.view);
        for dirty in &mut pages {
            let at = (dirty.page * PAGE64) as usize;
            let (run, start) = self.runs[self.runs.partition_point(|(_, start)| *start <= at) - 1];
            dirty.page = run.start + ((at - start) / PAGE) as u64;
        }
        pages
    }

    fn plan(&self, edits: &[Edit], pages: &[Dirty<'_>]) -> Plan {
        let s = if edits.len() == 1 { "" } else { "s" };
        let to = format!("now with {} edit{s}", edits.len());
        let mut plan = Plan::new(&self.target, ("now".into(), self.len), (to, self.result_len), &numbers(pages));
        plan.edits = edits.iter().map(|edit| self.replaced(edit)).collect();
        plan
    }

    fn replaced(&self, edit: &Edit) -> Replaced {
        let len = edit.new.len();
        let new = match &edit.new {
            Patch::Bytes(bytes) => bytes[..bytes.len().min(SHOWN)].to_vec(),
            Patch::Zeros(n) => vec![0; (*n).min(SHOWN as u64) as usize],
        };
        let there = self.len.saturating_sub(edit.at).min(new.len() as u64) as usize;
        let at = if there > 0 { self.place(edit.at) } else { 0 };
        Replaced { at: edit.at, len, old: self.seen.as_slice()[at..at + there].to_vec(), new }
    }

    /// The target must be what the edits were made in.
    fn check(&self, target: Target<'_>) -> Result<()> {
        let changed = |what: String| Error::Changed { path: target.path.into(), what };
        let len = open::stamp(target.file, target.path)?.len;
        if len != self.len {
            return Err(changed(format!("it has {len} bytes, and had {}", self.len)));
        }
        for (run, at) in &self.runs {
            for start in (run.offset()..run.end_offset()).step_by(BLOCK as usize) {
                let n = (run.end_offset() - start).min(BLOCK) as usize;
                let now = read_zero_extended(target.file, start, n, len).at("reading", target.path)?;
                let at = at + (start - run.offset()) as usize;
                if now != self.seen.as_slice()[at..at + n] {
                    return Err(changed("a page is not what it was when the edits were made".into()));
                }
            }
        }
        Ok(())
    }

    /// The image digests of the target and of what the edits make of it.
    fn digests(
        &self,
        live: &LiveSide,
        pages: &[Dirty<'_>],
        options: &MakeOptions,
        progress: &dyn Progress,
    ) -> Result<(Digest, Digest)> {
        self.check(live.target())?;
        let mut old = Vec::new();
        let new = regroup(pages, |group| {
            let bytes = read_zero_extended(&live.file, group * GROUP64, GROUP, live.len).at("reading", &live.path)?;
            old.push((group, group_digest(bytes[..].try_into().expect("a group is 64 KiB"))));
            Ok(bytes)
        })?;
        let (mut base, mut result) = (ImageHasher::new(self.len), Refold::new(self.result_len, &new));
        let mut as_read = Refold::new(self.len, &old);
        progress.begin("reading", live.len);
        let advance = |bytes: u64| progress.advance(bytes);
        let file = (&live.file, live.path.as_path(), live.len);
        let scanned =
            scan(file, &Marked(&PageSet::new()), options.reading.how(false), &advance, &Ok, |found: Found| {
                for (group, digest) in &found.groups {
                    base.push(*group, digest);
                    as_read.push(*group, digest);
                    result.push(*group, digest);
                }
                Ok(())
            });
        progress.end();
        scanned?;
        let base = base.finish();
        if as_read.finish() != base {
            return Err(Error::Changed { path: live.path.clone(), what: "somebody wrote to it".into() });
        }
        Ok((base, result.finish()))
    }
}

impl LiveSide {
    fn target(&self) -> Target<'_> {
        Target { file: &self.file, path: &self.path }
    }
}

/// Where an edit ends; within the target unless that is to grow.
fn end_of(edit: &Edit, len: u64, grow: bool, target: &Path) -> Result<u64> {
    let end = edit.at.checked_add(edit.new.len()).filter(|end| *end <= MAX_LEN);
    let end = end.ok_or_else(|| Error::refused("no file is that long", "check the offset"))?;
    if end > len && !grow {
        return Err(Error::refused(
            format!("the edit at {0} ({0:#x}) ends at byte {end}, and {1} has {len}", edit.at, target.display()),
            "choose another offset, or make the file longer with --grow",
        ));
    }
    Ok(end)
}

#[cfg(test)]
#[path = "edit_test.rs"]
mod tests;
