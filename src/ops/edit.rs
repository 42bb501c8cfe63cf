//! `edit`: bytes of a target replaced, or a delta that would do it.
//!
//! The edits are made in memory first: in a view of those pages of the target that they touch, side by side, and of no
//! others. So memory and addresses are spent on what is edited, however long the target is; and as the pages are
//! copies, nobody can change them behind the view, and the target need not be kept open (a write lease is not granted
//! while it is). What the copies were made from is looked at again when nobody else can write: where a page is not what
//! it was, nothing is written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::change::hold::Work;
use super::change::in_place::{Goal, InPlace};
use super::change::{Changes, Options, Replaced, Request};
use super::compare::Marked;
use super::compose::{Composer, New, read_zero_extended};
use super::delta::{MakeOptions, Named, Stat, hold, into, mode_of, name_of, scratch_beside, unchanged};
use super::dirty::{Dirty, Refold, dirty_in, numbers, regroup, whole, write_delta};
use super::restore::Out;
use super::sides::{LiveSide, Side, refuse_unfinished_to_read};
use super::take::{Taken, Target};
use super::{Progress, history_of};
use crate::capture::{Found, scan};
use crate::error::{At, Error, Result};
use crate::mem::{ArcView, Snapshot};
use crate::pack::{DeltaHead, ImageId};
use crate::page::{Digest, GROUP, GROUP64, ImageHasher, MAX_LEN, PAGE, PAGE64, PageRange, PageSet, group_digest};
use crate::store::Image;
use crate::sys::open;

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
/// When the history cannot be read. From the plan and the commit, [`Error::Refused`] when an edit lies past the end.
pub fn edit<'a>(file: &Path, edits: &'a [Edit], grow: bool, options: &Options) -> Result<Request<'a>> {
    let target = open::resolve(file)?;
    let goal = Editing { target: target.clone(), edits, grow, touched: None };
    Ok(Request::new(InPlace::new(goal, target, options)?))
}

/// Edits to be made in a target.
struct Editing<'a> {
    target: PathBuf,
    edits: &'a [Edit],
    grow: bool,
    /// The pages with the edits in them, once they were read.
    touched: Option<Touched>,
}

impl Editing<'_> {
    fn touched(&self) -> &Touched {
        self.touched.as_ref().expect("the pages are read first")
    }
}

impl Goal for Editing<'_> {
    fn verb(&self) -> &'static str {
        "edit"
    }

    fn look(&mut self, _: &Options, _: &dyn Progress) -> Result<Changes> {
        let live = LiveSide::open(&self.target)?;
        let touched = Touched::read(live.target(), self.edits, self.grow)?;
        let changes = touched.changes(self.edits);
        self.touched = Some(touched);
        Ok(changes)
    }

    /// What was edited in memory must be what is there.
    fn enter(&mut self, work: &Work<'_>, confirmed: bool) -> Result<bool> {
        if let Some(touched) = &self.touched {
            match touched.check(work.target) {
                Ok(()) => return Ok(true),
                Err(Error::Changed { .. }) if confirmed => return Ok(false),
                Err(Error::Changed { .. }) => {}
                Err(e) => return Err(e),
            }
        }
        self.touched = Some(Touched::read(work.target, self.edits, self.grow)?);
        Ok(true)
    }

    fn already(&self, _: &Work<'_>, _: &Taken) -> Result<Option<String>> {
        let touched = self.touched();
        let same = touched.dirty().is_empty() && touched.len == touched.result_len;
        Ok(same.then(|| touched.result(self.edits)))
    }

    fn make(&mut self, work: &mut Work<'_>, from: &Image) -> Result<Image> {
        let touched = self.touched();
        // Once more: with --live, another process may have written since.
        touched.check(work.target)?;
        let mut composer = Composer::new(work, from, touched.result_len);
        touched.dirty().iter().try_for_each(|dirty| composer.put(dirty.page, New::Bytes(&whole(dirty.now))))?;
        composer.finish("edit", None)
    }

    fn is_cheap(&self) -> bool {
        true
    }

    fn complete(&self, changes: &mut Changes) {
        changes.edits = self.edits.iter().map(|edit| self.touched().replaced(edit)).collect();
    }

    fn len(&self) -> Option<u64> {
        self.touched.as_ref().map(|touched| touched.result_len)
    }
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
    let Side::Live(live) = &side else { unreachable!("a live file was opened") };
    let touched = Touched::read(live.target(), edits, grow)?;
    let pages = touched.dirty();
    let (base, result) = touched.digests(live, &pages, options, progress)?;
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
    fn read(Target { file, path }: Target<'_>, edits: &[Edit], grow: bool) -> Result<Touched> {
        let len = open::stamp(file, path)?.len;
        let mut set = PageSet::new();
        let mut result_len = len;
        for edit in edits {
            let end = end_of(edit, len, grow, path)?;
            set.insert_range(PageRange::of_bytes(edit.at, end));
            result_len = result_len.max(if edit.new.is_empty() { 0 } else { end });
        }
        let bytes = usize::try_from(set.len() * PAGE64).map_err(|_| Error::refused("too much is edited", "edit less"));
        let mut seen = Snapshot::compose(bytes?);
        let (mut runs, mut at) = (Vec::new(), 0);
        for run in set.runs() {
            let there = run.end_offset().min(len).saturating_sub(run.offset());
            if there > 0 {
                seen = seen.file(at, file, run.offset(), there as usize).at("reading", path)?;
            }
            runs.push((run, at));
            at += (run.len() * PAGE64) as usize;
        }
        let seen = Arc::new(seen.build().at("reading", path)?);
        let view = seen.view_arc().at("making a view of", path)?;
        let mut touched = Touched { target: path.into(), len, result_len, runs, seen, view };
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

    /// What it is with the edits, in words.
    fn result(&self, edits: &[Edit]) -> String {
        format!("now with {} edit{}", edits.len(), if edits.len() == 1 { "" } else { "s" })
    }

    fn changes(&self, edits: &[Edit]) -> Changes {
        let (from, to) = (("now", self.len), (&*self.result(edits), self.result_len));
        let mut changes = Changes::new(&self.target, from, to, &numbers(&self.dirty()));
        changes.edits = edits.iter().map(|edit| self.replaced(edit)).collect();
        changes
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
