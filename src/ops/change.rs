//! Changing a target in place: the one path for `revert`, `undo`, `apply` and `edit`.
//!
//! "Bring the target from image X to image Y." X is made a snapshot first, if it is none: that is the way back. Y is
//! a snapshot too. Then the intent is on disk, then the pages that differ are written, read back and proven, then the
//! intent becomes the record of the last change. So at any moment the target is X, or Y, or known to be between.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::alone::alone;
use super::carry::{Step, carry_out};
pub use super::plan::{Plan, Replaced};
use super::take::{How, Taken, Target, take};
use super::{Note, Progress, Reading, Reserve, metadata, recover, write};
use crate::capture::Companion;
use crate::error::{At, Error, Result};
use crate::pack::{Compress, Kind, differing};
use crate::page::{Digest, PageSet, pages_of};
use crate::store::{ChangeMarker, History, Image, Intent, Writing};
use crate::sys::lease::Lease;
use crate::sys::lock::{self, Held};
use crate::sys::{id, open, procs};
use crate::vec::is_vec;

/// How to change a target.
#[derive(Clone, Debug)]
pub struct Options {
    /// The store; `None`: beside the target.
    pub store: Option<PathBuf>,
    /// How the target is read.
    pub reading: Reading,
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
    /// Ask before anything is stored, and not only before anything is written: it takes a scan more.
    pub ask: bool,
    /// Go on although others have it open.
    pub live: bool,
    /// Go on although a write-ahead log lies beside it, or (undo) it was changed since.
    pub force: bool,
    /// How pages are stored.
    pub compress: Compress,
    /// What stays free on the disk.
    pub reserve: Reserve,
}

/// Asked before anything is written; false stops.
pub type Confirm<'a> = &'a mut dyn FnMut(&Plan) -> bool;

/// What was done.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was to be done.
    pub plan: Plan,
    /// Whether it was: not in a dry run, when declined, or when there was nothing to do.
    pub done: bool,
    /// The snapshot to go back to.
    pub undo: Option<(u64, Digest)>,
    /// What the user should know.
    pub notes: Vec<Note>,
    /// Bytes written to the target.
    pub bytes_written: u64,
    /// How long it took.
    pub elapsed: Duration,
}

/// A target held for changing: its history's lock, its own flock, and a write lease where there are leases.
pub(crate) struct Work<'a> {
    pub(crate) history: &'a History,
    pub(crate) writing: &'a mut Writing,
    pub(crate) target: Target<'a>,
    pub(crate) options: &'a Options,
    pub(crate) notes: Vec<Note>,
    /// What the user should know if the target is changed: who may have interfered.
    pub(crate) cautions: Vec<Note>,
    /// Keeps everybody else away; none with `--live`, and where there are no leases to be believed.
    pub(crate) lease: Option<Lease<'a>>,
    /// What has been changed so far, for an error.
    pub(crate) so_far: String,
}

impl Work<'_> {
    /// The change marker that the target bears.
    pub(crate) fn mark(&self) -> Option<ChangeMarker> {
        ChangeMarker::get(self.target.file, self.target.path, self.history.dir().parent())
    }
}

/// Holds the target of `history` and runs `f`.
pub(crate) fn with_target<R>(
    history: &History,
    options: &Options,
    f: impl FnOnce(&mut Work<'_>) -> Result<R>,
) -> Result<R> {
    let path = history.target().to_path_buf();
    // First the history: whoever opens a target for writing takes its lease from a snap that is reading it.
    let mut writing = history.write(options.reading.wait).map_err(|e| of_read_only(e, &path))?;
    let live = open::target_write(&path).map_err(|e| of_read_only(e, &path))?;
    history.admit(&live)?;
    let mut cautions = Vec::new();
    let held = lock::flock(&live, &path, lock::Kind::Exclusive, options.reading.wait)?;
    // `flock F memsnap revert F`: those who hold the lock for us have the file open, and wait for us.
    let family = if held == Held::ByAncestor { procs::ancestors() } else { Vec::new() };
    if held == Held::ByAncestor && may_be_mapped(&live).at("reading", &path)? {
        return Err(Error::Busy {
            path,
            holder: "a process that this one runs under has it locked".into(),
            hint: "run it outside of that lock: whoever holds it for a persistent vector has the file mapped".into(),
        });
    }
    let lease = alone(&live, &path, options, &family, &mut cautions)?;
    let target = Target { file: &live, path: &path };
    let so_far = "nothing was changed".into();
    let mut work = Work { history, writing: &mut writing, target, options, notes: Vec::new(), cautions, lease, so_far };
    f(&mut work)
}

/// `e`, where the target cannot be written either: then another store would not help.
pub(crate) fn of_read_only(e: Error, target: &Path) -> Error {
    let says = |e: &Error| matches!(e, Error::Io { source, .. } if source.kind() == ErrorKind::ReadOnlyFilesystem);
    if !says(&e) || !open::target_write(target).is_err_and(|e| says(&e)) {
        return e;
    }
    let what = format!("{} is on a file system that is mounted read-only", target.display());
    Error::refused(what, "mount it for writing, or change a copy of the file elsewhere")
}

/// Whether it is a persistent vector, which whoever has it locked may have mapped: its bytes must not change then.
fn may_be_mapped(live: &File) -> std::io::Result<bool> {
    let mut first = [0; 8];
    let n = live.read_at(&mut first, 0)?;
    Ok(is_vec(&first[..n]))
}

/// Where a change is to lead.
pub(crate) struct Goal<'a> {
    /// The verb, for the record.
    pub(crate) verb: &'a str,
    /// What the target must hold now.
    pub(crate) base: Base<'a>,
    /// The name of what it is to hold, where it does already: then nothing is stored either.
    pub(crate) already: &'a dyn Fn(&Work<'_>, &Taken) -> Result<Option<String>>,
}

/// For who has seen before that there is something to do.
pub(crate) fn never(_: &Work<'_>, _: &Taken) -> Result<Option<String>> {
    Ok(None)
}

/// The name of `to`, if bringing what was taken to it would change nothing.
pub(crate) fn if_same(taken: &Taken, to: &Image) -> Option<String> {
    taken.holds(to).then(|| format!("@{}", to.name.number))
}

/// What a target must hold before it is changed.
#[derive(Clone, Copy)]
pub(crate) enum Base<'a> {
    /// Anything.
    Any,
    /// The image of this digest.
    Is(Digest),
    /// What the last change left.
    LastChange,
    /// Anything, and it is not stored: one more change without undo that was cut short does not matter.
    Unstored,
    /// What this finds no fault with.
    Like(&'a dyn Fn(Target<'_>) -> Result<()>),
}

/// Brings the target of `history` to the image that `make` gives, which is told of the snapshot the target holds now.
pub(crate) fn change(
    history: &History,
    goal: &Goal<'_>,
    options: &Options,
    confirm: Confirm<'_>,
    progress: &dyn Progress,
    make: impl FnOnce(&mut Work<'_>, &Image) -> Result<Image>,
) -> Result<Report> {
    let began = Instant::now();
    with_target(history, options, |work| {
        before_change(work, goal, confirm, progress)?;
        let base = match goal.base {
            Base::Any | Base::Unstored => None,
            Base::Is(digest) => Some(digest),
            Base::LastChange => history.last_change()?.map(|last| last.to_image),
            Base::Like(check) => check(work.target).map(|()| None)?,
        };
        let taken = capture(work, base, progress)?;
        if let Some(name) = (goal.already)(work, &taken)? {
            let (len, notes) = (taken.len, std::mem::take(&mut work.notes));
            let plan = Plan::new(work.target.path, ("now".into(), len), (name, len), &PageSet::new());
            if taken.parent.as_ref().is_some_and(|parent| taken.is(parent)) {
                taken.unchanged();
            }
            let elapsed = began.elapsed();
            return Ok(Report { plan, done: false, undo: None, notes, bytes_written: 0, elapsed });
        }
        let from = keep(work, taken)?;
        let latest = history.snapshots()?.last().copied();
        let to = make(work, &from);
        let composed = to.as_ref().ok().map(|to| to.name).filter(|name| Some(*name) > latest);
        let mut report = match work.if_alone(to).and_then(|to| bring(work, goal, &from, &to, confirm, progress)) {
            Ok(report) => report,
            Err(e) => {
                // What the target was to hold, and never did. Where it cannot be removed it is a snapshot too many.
                let _ = composed.map(|name| history.remove_unused(work.writing, &name));
                return Err(e);
            }
        };
        report.notes = std::mem::take(&mut work.notes);
        report.elapsed = began.elapsed();
        Ok(report)
    })
}

/// Brings the target, which holds `from`, to `to`, both of which are stored.
fn bring(
    work: &mut Work<'_>,
    goal: &Goal<'_>,
    from: &Image,
    to: &Image,
    confirm: Confirm<'_>,
    progress: &dyn Progress,
) -> Result<Report> {
    let pages = pages_between(from, to)?;
    let plan = plan(work, from, to, &pages);
    let undo = Some((from.name.number, from.name.id));
    let mut report =
        Report { plan, done: false, undo, notes: Vec::new(), bytes_written: 0, elapsed: Default::default() };
    if !report.plan.is_empty() && confirm(&report.plan) {
        let stamp = open::stamp(work.target.file, work.target.path)?;
        let intent = Intent {
            from: from.name.id,
            from_image: from.digest(),
            to: to.name.id,
            to_image: to.digest(),
            file: (stamp.dev, stamp.ino),
            time_ns: id::now_ns(),
            verb: goal.verb.into(),
        };
        // Both ways must be open before the first page is written.
        let proven = write::prove_stored(work, from, to, &pages, progress);
        work.if_alone(proven)?;
        let step = Step { intent: &intent, recorded: None, from: Some(from), to, pages: &pages };
        report.bytes_written = carry_out(work, &step, progress)?;
        report.done = true;
    }
    Ok(report)
}

fn plan(work: &Work<'_>, from: &Image, to: &Image, pages: &PageSet) -> Plan {
    let name = |image: &Image| format!("@{}", image.name.number);
    let mut plan = Plan::new(work.target.path, (name(from), from.len()), (name(to), to.len()), pages);
    plan.metadata = metadata::changes(from, to, !plan.is_empty());
    plan
}

/// What must be settled before the present is even looked at.
pub(crate) fn before_change(
    work: &mut Work<'_>,
    goal: &Goal<'_>,
    confirm: &mut dyn FnMut(&Plan) -> bool,
    progress: &dyn Progress,
) -> Result<()> {
    let interrupted = work.history.intent()?;
    if matches!(goal.base, Base::Unstored) && interrupted.as_ref().is_some_and(Intent::is_final) {
        // All that differs is written again.
    } else if let Some(intent) = interrupted {
        // What it would be finished to is not the base: then nothing is written for nothing.
        if matches!(goal.base, Base::Is(base) if base != intent.to_image) {
            return Err(ChangeMarker::own(work.history).refusal(work.target.path));
        }
        recover::finish_interrupted(work, &intent, confirm, progress)?;
    } else if let Some(mark) = work.mark() {
        return Err(mark.refusal(work.target.path));
    }
    if let Some(log) = Companion::hot_beside(work.target.path).filter(|_| !work.options.force) {
        let (what, remedy) = (log.what(), log.remedy(work.target.path));
        let hint = format!("{remedy}; --force writes all the same");
        return Err(Error::refused(format!("{what}: with it, the changed database would be corrupt"), hint));
    }
    Ok(())
}

/// The snapshot of what the target holds now: made if there is none.
pub(crate) fn present(work: &mut Work<'_>, progress: &dyn Progress) -> Result<Image> {
    let taken = capture(work, None, progress)?;
    keep(work, taken)
}

/// What the target holds now, which must be `base`; nothing appears in the store.
fn capture(work: &mut Work<'_>, base: Option<Digest>, progress: &dyn Progress) -> Result<Taken> {
    let options = work.options;
    let how = How {
        reading: &options.reading,
        compress: options.compress,
        reserve: options.reserve,
        exclusive: work.lease.is_some(),
    };
    let taken = take(work.history, work.writing, work.target, &how, progress);
    // With a lease the capture counts as proven: only if it is held to this moment.
    let taken = work.if_alone(taken)?;
    let warning = |damage| Note::warning(format!("{damage}; `memsnap verify` says more"));
    work.notes.extend(taken.damage.iter().map(warning));
    if taken.repaired > 0 {
        let what = "damaged pages of earlier snapshots stored again from the file";
        work.notes.push(Note::warning(format!("{what}: {}; is the disk sound?", taken.repaired)));
    }
    if let Some(expected) = base.filter(|b| *b != taken.image) {
        return Err(Error::Base { path: work.target.path.into(), expected, found: taken.image, hint: String::new() });
    }
    Ok(taken)
}

/// The snapshot of what was taken: made if there is none.
fn keep(work: &mut Work<'_>, taken: Taken) -> Result<Image> {
    if let Some(parent) = taken.parent.clone().filter(|p| taken.is(p)) {
        taken.unchanged();
        return Ok(parent);
    }
    let (name, _) = taken.commit(work.history, work.writing, Kind::Undo, "")?;
    work.history.image(name)
}

/// The pages within the length of `to` that `from` holds otherwise.
pub(crate) fn pages_between(from: &Image, to: &Image) -> Result<PageSet> {
    let mut set = PageSet::new();
    let end = pages_of(to.len());
    differing(from.runs(), to.runs(), |step| {
        for page in step.pages.start..step.pages.end.min(end) {
            let n = page - step.pages.start;
            if from.packs().page_digest(step.a.advance(n)).map_err(Stop::Ours)?
                != from.packs().page_digest(step.b.advance(n)).map_err(Stop::Ours)?
            {
                set.insert(page);
            }
        }
        Ok(())
    })
    .map_err(|e: Stop| e.of(to.path()))?;
    Ok(set)
}

/// An error of ours, or of a map being read.
pub(crate) enum Stop {
    Ours(Error),
    Bad(crate::pack::Bad),
}

impl From<crate::pack::Bad> for Stop {
    fn from(bad: crate::pack::Bad) -> Stop {
        Stop::Bad(bad)
    }
}

impl Stop {
    pub(crate) fn of(self, path: &Path) -> Error {
        match self {
            Stop::Ours(e) => e,
            Stop::Bad(bad) => bad.of(path),
        }
    }
}

/// After the pages: the metadata, then the records. The change marker goes first: the new mode may take the right to.
pub(crate) fn finish(work: &mut Work<'_>, intent: &Intent, to: &Image) -> Result<()> {
    ChangeMarker::remove(work.target.file, work.target.path)?;
    metadata::bring(work, to)?;
    write::bring_to_disk(work.target)?;
    work.history.end_change(work.writing, Some(intent))
}
