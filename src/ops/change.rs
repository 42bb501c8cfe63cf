//! Changing a target in place: the one path for `revert`, `undo`, `apply` and `edit`.
//!
//! "Bring the target from image X to image Y." X is made a snapshot first, if it is none: that is the way back. Y is
//! a snapshot too. Then the intent is on disk, then the pages that differ are written, read back and proven, then the
//! intent becomes the record of the last change. So at any moment the target is X, or Y, or known to be between.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::carry::{Step, carry_out};
pub use super::plan::{Plan, Replaced};
use super::take::{How, Target, take};
use super::{Progress, Reading, Reserve, recover, write};
use crate::capture::Companion;
use crate::error::{At, Error, Result};
use crate::mem::vec::is_vec;
use crate::pack::{Compress, Kind, differing};
use crate::page::{Digest, PageSet, pages_of};
use crate::store::{Image, Intent, Mark, Room, Shelf, Writing};
use crate::sys::lease::{Lease, LeaseAnswer};
use crate::sys::lock::{self, Held};
use crate::sys::procs::{self, Opener};
use crate::sys::{fs as sysfs, id, meta, open};

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
    pub notes: Vec<String>,
    /// Bytes written to the target.
    pub bytes_written: u64,
    /// How long it took.
    pub elapsed: Duration,
}

/// A target held for changing: its room's lock, its own flock, and a write lease where there are leases.
pub(crate) struct Work<'a> {
    pub(crate) room: &'a Room,
    pub(crate) writing: &'a mut Writing,
    pub(crate) shelf: &'a Shelf,
    pub(crate) target: Target<'a>,
    pub(crate) options: &'a Options,
    pub(crate) notes: Vec<String>,
    /// Keeps everybody else away; none with `--live`, and where there are no leases to be believed.
    pub(crate) lease: Option<Lease<'a>>,
    /// What has been changed so far, for an error.
    pub(crate) so_far: String,
}

/// What came of a dry run, or of a question before anything is stored.
pub(crate) enum Asked {
    /// It ends here.
    Over(Box<Report>),
    /// Go on, and do not ask again.
    Agreed,
    /// Go on, and ask before anything is written.
    NotYet,
}

/// Asks, or looks on in a dry run, before anything is stored: `plan` scans, and that is all.
pub(crate) fn ask_first(
    room: Option<&Room>,
    options: &Options,
    confirm: Confirm<'_>,
    plan: impl FnOnce() -> Result<Report>,
) -> Result<Asked> {
    // An interrupted change is finished before there is anything to plan: then the question comes later.
    let interrupted = room.map(Room::intent).transpose()?.flatten().is_some();
    if !options.dry_run && (!options.ask || interrupted) {
        return Ok(Asked::NotYet);
    }
    let report = plan()?;
    let agreed = !options.dry_run && !report.plan.is_empty() && confirm(&report.plan);
    Ok(if agreed { Asked::Agreed } else { Asked::Over(Box::new(report)) })
}

/// Holds the target of `room` and runs `f`.
pub(crate) fn with_target<R>(room: &Room, options: &Options, f: impl FnOnce(&mut Work<'_>) -> Result<R>) -> Result<R> {
    let path = room.target().to_path_buf();
    // First the room: whoever opens a target for writing takes its lease from a snap that is reading it.
    let mut writing = room.write(options.reading.wait)?;
    let live = open::target_write(&path)?;
    let shelf = Shelf::new(room.dir());
    let mut notes = Vec::new();
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
    let lease = alone(&live, &path, options, &family, &mut notes)?;
    let target = Target { file: &live, path: &path };
    let so_far = "nothing was changed".into();
    let mut work = Work { room, writing: &mut writing, shelf: &shelf, target, options, notes, lease, so_far };
    f(&mut work)
}

/// Whether it is a persistent vector, which whoever has it locked may have mapped: its bytes must not change then.
fn may_be_mapped(live: &File) -> std::io::Result<bool> {
    let mut first = [0; 8];
    let n = live.read_at(&mut first, 0)?;
    Ok(is_vec(&first[..n]))
}

/// Makes sure that nobody else has the target open: a write lease proves it.
fn alone<'a>(
    live: &'a File,
    path: &Path,
    options: &Options,
    family: &[u32],
    notes: &mut Vec<String>,
) -> Result<Option<Lease<'a>>> {
    let excludes = sysfs::kind(live).is_ok_and(|k| k.leases_exclude());
    let answer =
        if excludes { Lease::write(live).at("asking for a lease on", path)? } else { LeaseAnswer::Unsupported };
    let mut openers = match answer {
        LeaseAnswer::Granted(lease) => return Ok(Some(lease)),
        LeaseAnswer::Refused => procs::openers(live),
        LeaseAnswer::NotOwner | LeaseAnswer::Unsupported => {
            let openers = procs::openers(live);
            if openers.list.is_empty() {
                notes.push("whether others have it open could not be proven here".into());
                return Ok(None);
            }
            openers
        }
    };
    let all = openers.list.len();
    openers.list.retain(|o| !family.contains(&o.pid));
    if openers.list.is_empty() && all > 0 {
        return Ok(None);
    }
    let names: Vec<_> = openers.list.iter().map(Opener::describe).take(5).collect();
    let holder = match names[..] {
        [] => "open in a process not visible here".to_string(),
        _ => format!("open in {}", names.join(", ")),
    };
    if options.live {
        notes.push(format!("it was {holder} while it was changed"));
        return Ok(None);
    }
    let hint = "end it, or go on with --live: a program that has the file open may then see a mixture of old and new \
                pages, and write its own over them";
    Err(Error::Busy { path: path.into(), holder, hint: hint.into() })
}

/// Where a change is to lead.
pub(crate) struct Goal<'a> {
    /// The verb, for the record.
    pub(crate) verb: &'a str,
    /// What the target must hold now.
    pub(crate) base: Base<'a>,
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
    /// What this finds no fault with.
    Like(&'a dyn Fn(Target<'_>) -> Result<()>),
}

/// Brings the target of `room` to the image that `make` gives, which is told of the snapshot the target holds now.
pub(crate) fn change(
    room: &Room,
    goal: &Goal<'_>,
    options: &Options,
    confirm: Confirm<'_>,
    progress: &dyn Progress,
    make: impl FnOnce(&mut Work<'_>, &Image) -> Result<Image>,
) -> Result<Report> {
    let began = Instant::now();
    with_target(room, options, |work| {
        before_change(work, goal, confirm, progress)?;
        let base = match goal.base {
            Base::Any => None,
            Base::Is(digest) => Some(digest),
            Base::LastChange => room.last_change()?.map(|last| last.to_image),
            Base::Like(check) => check(work.target).map(|()| None)?,
        };
        let from = present(work, base, progress)?;
        let to = make(work, &from);
        let to = work.if_alone(to)?;
        let pages = pages_between(work.shelf, &from, &to)?;
        let plan = plan(work, &from, &to, &pages);
        let undo = Some((from.name.number, from.name.id));
        let mut report =
            Report { plan, done: false, undo, notes: Vec::new(), bytes_written: 0, elapsed: began.elapsed() };
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
            let proven = write::prove_stored(work, &from, &to, &pages, progress);
            work.if_alone(proven)?;
            let step = Step { intent: &intent, recorded: None, from: &from, to: &to, pages: &pages };
            report.bytes_written = carry_out(work, &step, progress)?;
            report.done = true;
        }
        report.notes = std::mem::take(&mut work.notes);
        report.elapsed = began.elapsed();
        Ok(report)
    })
}

fn plan(work: &Work<'_>, from: &Image, to: &Image, pages: &PageSet) -> Plan {
    let name = |image: &Image| format!("@{}", image.name.number);
    Plan::new(work.target.path, (name(from), from.len()), (name(to), to.len()), pages)
}

/// What must be settled before the present is even looked at.
fn before_change(
    work: &mut Work<'_>,
    goal: &Goal<'_>,
    confirm: &mut dyn FnMut(&Plan) -> bool,
    progress: &dyn Progress,
) -> Result<()> {
    if let Some(intent) = work.room.intent()? {
        // What it would be finished to is not the base: then nothing is written for nothing.
        if matches!(goal.base, Base::Is(base) if base != intent.to_image) {
            return Err(Mark { room: work.room.dir().into() }.refusal(work.target.path));
        }
        recover::finish_interrupted(work, &intent, confirm, progress)?;
    } else if let Some(mark) = Mark::get(work.target.file) {
        return Err(mark.refusal(work.target.path));
    }
    if let Some(log) = Companion::hot_beside(work.target.path).filter(|_| !work.options.force) {
        let (what, remedy) = (log.what(), log.remedy(work.target.path));
        let hint = format!("{remedy}; or remove the log if nobody needs it, or write all the same with --force");
        return Err(Error::refused(format!("{what}: with it, the changed database would be corrupt"), hint));
    }
    Ok(())
}

/// The snapshot of what the target holds now: made if there is none.
pub(crate) fn present(work: &mut Work<'_>, base: Option<Digest>, progress: &dyn Progress) -> Result<Image> {
    let options = work.options;
    let how = How {
        reading: &options.reading,
        compress: options.compress,
        reserve: options.reserve,
        exclusive: work.lease.is_some(),
    };
    let taken = take(work.room, work.writing, work.shelf, work.target, &how, progress);
    // With a lease the capture counts as proven: only if it is held to this moment.
    let taken = work.if_alone(taken)?;
    work.notes.extend(taken.damage.iter().map(|damage| format!("{damage}; `memsnap verify` says more")));
    if let Some(expected) = base.filter(|b| *b != taken.image) {
        return Err(Error::Base { path: work.target.path.into(), expected, found: taken.image });
    }
    if let Some(parent) = taken.parent.clone().filter(|p| taken.is(p)) {
        taken.unchanged();
        return Ok(parent);
    }
    let (name, _) = taken.commit(work.room, work.writing, work.shelf, Kind::Undo, "")?;
    Image::open(work.room, work.shelf, name)
}

/// The pages within the length of `to` that `from` holds otherwise.
pub(crate) fn pages_between(shelf: &Shelf, from: &Image, to: &Image) -> Result<PageSet> {
    let mut set = PageSet::new();
    let end = pages_of(to.len());
    differing(from.runs(), to.runs(), |step| {
        for page in step.pages.start..step.pages.end.min(end) {
            let n = page - step.pages.start;
            if Image::page_digest(shelf, step.a.advance(n)).map_err(Stop::Ours)?
                != Image::page_digest(shelf, step.b.advance(n)).map_err(Stop::Ours)?
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

/// After the pages: the mode, then the records.
pub(crate) fn finish(work: &mut Work<'_>, intent: &Intent, to: &Image) -> Result<()> {
    restore_mode(work, to)?;
    Mark::clear(work.target.file);
    work.room.end_change(work.writing, Some(intent))
}

/// Permissions as they were, but no set-uid or set-gid bit comes to new content.
fn restore_mode(work: &mut Work<'_>, to: &Image) -> Result<()> {
    let now = open::stamp(work.target.file, work.target.path)?.mode & 0o7777;
    let then = to.meta().mode & 0o7777;
    let wanted = then & 0o1777;
    if then & 0o6000 != 0 && !work.notes.iter().any(|note| note.contains("set-uid")) {
        let note = format!("the snapshot has mode {then:04o}: set-uid and set-gid are not given back; chmod does it");
        work.notes.push(note);
    }
    if wanted != now {
        // Only the owner may; the content is right all the same.
        if let Err(e) = meta::set_mode(work.target.file, wanted) {
            work.notes.push(format!("its mode stays {now:o}, the snapshot has {wanted:o}: {e}"));
        }
    }
    Ok(())
}
