//! Step 1: takes the lock of the history, the flock of the target, and a write lease, which proves that no other
//! process has the target open. In this order a change that has to wait does not disturb a `snap` that is reading.
//! Of several targets all locks are taken before the first flock, and all flocks before the first lease, each in the
//! order of the names of the histories: then no two changes wait for each other.

use crate::sys::ext::FileExt;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::plan::{Obstacle, Options};
use crate::capture::Companion;
use crate::error::{At, Cause, Error, Result};
use crate::ops::Note;
use crate::ops::input::Target;
use crate::store::{ChangeMarker, History, Image, WriteLock};
use crate::sys::create::Pending;
use crate::sys::fs as sysfs;
use crate::sys::lease::{Lease, LeaseAnswer};
use crate::sys::lock::{self, Held};
use crate::sys::no_follow;
use crate::sys::open;
use crate::sys::openers::{self, Opener};
use crate::vec::is_vec;

/// A target held for changing: its history's lock, its own flock, and a write lease where there are leases.
pub(crate) struct Work<'a> {
    /// Its history.
    pub(crate) history: &'a History,
    /// The lock of the history.
    pub(crate) writing: &'a mut WriteLock,
    /// The target itself; where there is none, a new file without a name.
    pub(crate) target: Target<'a>,
    /// Where there is none, that file, which can become the target.
    pub(crate) vacant: Option<Pending>,
    /// There is none.
    pub(crate) is_new: bool,
    /// The new file has got the name of the target.
    pub(crate) made: bool,
    /// What it held may be changed or gone.
    pub(crate) touched: bool,
    /// The targets of the same change.
    pub(crate) others: Arc<[PathBuf]>,
    /// How it is changed.
    pub(crate) options: &'a Options,
    /// What the user should know.
    pub(crate) notes: Vec<Note>,
    /// Notes for a target that was changed: which processes may have interfered.
    pub(crate) cautions: Vec<Note>,
    /// Excludes all other processes; none with `--live`, and where leases prove nothing.
    pub(crate) lease: Option<Lease<'a>>,
    /// The target had set-uid or set-gid bits, and their removal is reported.
    pub(crate) had_set_uid: bool,
    /// What has been changed so far, for an error.
    pub(crate) so_far: String,
}

impl Work<'_> {
    /// The change marker that the target bears.
    pub(crate) fn marker(&self) -> Option<ChangeMarker> {
        ChangeMarker::get(self.target.file, self.target.path, self.history.dir().parent())
    }
}

/// Holds the target of `history` while `f` runs.
pub(crate) fn hold<R>(history: &History, options: &Options, f: impl FnOnce(&mut Work<'_>) -> Result<R>) -> Result<R> {
    hold_all(&[history], false, options, |works| f(&mut works[0]))
}

/// Holds the targets of all `histories`, which differ, while `f` runs; it gets them in the same order. `vacant`: a
/// target may be missing.
pub(crate) fn hold_all<R>(
    histories: &[&History],
    vacant: bool,
    options: &Options,
    f: impl FnOnce(&mut [Work<'_>]) -> Result<R>,
) -> Result<R> {
    let mut order: Vec<usize> = (0..histories.len()).collect();
    order.sort_by_key(|i| histories[*i].dir());
    // First the histories: opening a target for writing breaks the lease of a snap that is reading it.
    let mut locks = in_order(&order, |i| {
        let locked = histories[i].write_lock(options.reading.wait);
        locked.map_err(|e| of_read_only(e, histories[i].target()))
    })?;
    let mut opened = in_order(&order, |i| open_target(histories[i], vacant))?;
    let vacancies: Vec<_> = opened.iter_mut().map(|(_, vacant)| vacant.take()).collect();
    let families = in_order(&order, |i| match vacancies[i] {
        None => flocked(&opened[i].0, histories[i].target(), options),
        Some(_) => Ok(Vec::new()),
    })?;
    let mut leases = in_order(&order, |i| {
        let mut cautions = Vec::new();
        let lease = match vacancies[i] {
            None => alone(&opened[i].0, histories[i].target(), options, &families[i], &mut cautions)?,
            Some(_) => None,
        };
        Ok((lease, cautions))
    })?;
    let parts = histories.iter().zip(&mut locks).zip(&opened).zip(vacancies).zip(leases.drain(..));
    let mut works: Vec<_> = parts
        .map(|((((history, writing), (file, _)), vacant), (lease, cautions))| Work {
            history,
            writing,
            target: Target { file, path: history.target() },
            is_new: vacant.is_some(),
            vacant,
            made: false,
            touched: false,
            others: [].into(),
            options,
            notes: Vec::new(),
            cautions,
            lease,
            had_set_uid: false,
            so_far: "nothing was changed".into(),
        })
        .collect();
    f(&mut works)
}

/// What `make` makes of each index, in `order`; the result is in the order of the indexes.
fn in_order<T>(order: &[usize], mut make: impl FnMut(usize) -> Result<T>) -> Result<Vec<T>> {
    let mut made = order.iter().map(|i| Ok((*i, make(*i)?))).collect::<Result<Vec<_>>>()?;
    made.sort_by_key(|(i, _)| *i);
    Ok(made.into_iter().map(|(_, made)| made).collect())
}

/// Opens the target; or, where there is none and `vacant` allows it, a new file in its directory.
fn open_target(history: &History, vacant: bool) -> Result<(File, Option<Pending>)> {
    let path = history.target();
    match open::target_write(path) {
        Err(Error::Io { source, .. }) if vacant && source.kind() == ErrorKind::NotFound => {
            history.admit_path()?;
            let made = Pending::new(no_follow::parent(path)).map_err(|e| of_read_only(e, path))?;
            Ok((made.file().try_clone().at("making a file for", path)?, Some(made)))
        }
        live => {
            let live = live.map_err(|e| of_read_only(e, path))?;
            history.admit(&live)?;
            Ok((live, None))
        }
    }
}

/// Takes the flock of a target; the processes that hold it for us.
fn flocked(live: &File, path: &Path, options: &Options) -> Result<Vec<u32>> {
    if lock::flock(live, path, lock::LockMode::Exclusive, options.reading.wait)? == Held::ByUs {
        return Ok(Vec::new());
    }
    // `flock F memsnap revert F`: the processes that hold the lock for us have the file open, and wait for us.
    let family = openers::ancestors();
    if may_be_mapped(live).at("reading", path)? {
        return Err(Error::busy(
            path,
            "a process that this one runs under has it locked",
            "run it outside of that lock: the program that holds it for a persistent vector has the file mapped",
        ));
    }
    Ok(family)
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

/// Whether it is a persistent vector, which the process that has it locked may have mapped: its bytes must not change
/// then.
fn may_be_mapped(live: &File) -> std::io::Result<bool> {
    let mut first = [0; 8];
    let n = live.read_at(&mut first, 0)?;
    Ok(is_vec(&first[..n]))
}

/// Takes the write lease, which proves that no other process has the target open.
fn alone<'a>(
    live: &'a File,
    path: &Path,
    options: &Options,
    family: &[u32],
    cautions: &mut Vec<Note>,
) -> Result<Option<Lease<'a>>> {
    let excludes = sysfs::kind(live).is_ok_and(|k| k.lease_blocks_opening());
    let answer =
        if excludes { Lease::write(live).at("asking for a lease on", path)? } else { LeaseAnswer::Unsupported };
    let mut openers = match answer {
        LeaseAnswer::Granted(lease) => return Ok(Some(lease)),
        LeaseAnswer::Refused => openers::of(live),
        LeaseAnswer::NotOwner | LeaseAnswer::Unsupported => {
            let openers = openers::of(live);
            if openers.list.is_empty() {
                cautions.push(Note::new("whether other processes have it open could not be proven here"));
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
    let holder = open_in(openers.list.iter()).unwrap_or_else(|| "open in a process not visible here".into());
    if options.live {
        cautions.push(Note::new(format!("it was {holder} while it was changed")));
        return Ok(None);
    }
    let device = |o: &Opener| o.command.strip_prefix("loop device ").filter(|_| o.pid == 0).map(PathBuf::from);
    let loop_devices = openers.list.iter().filter_map(device).collect();
    let may_write = openers.any_writer() || openers.list.is_empty();
    Err(Error::busy(path, holder, Cause::Open { processes: openers.list.len(), loop_devices, may_write }))
}

/// Why a change of `path`, and of `others` with it, would be refused. Takes no lease: looks up which processes have the
/// file open.
pub(crate) fn obstacle(path: &Path, options: &Options, others: &[PathBuf]) -> Option<Obstacle> {
    if let Some(log) =
        Companion::others_beside(path, |log| others.iter().any(|path| path == log)).next().filter(|_| !options.force)
    {
        return Some(Obstacle::Log(log.what()));
    }
    let file = open::any_name(path).ok().filter(|_| !options.live)?;
    // Those that this one runs under may hold the lock for it (`flock FILE memsnap ...`).
    let family = openers::ancestors();
    let openers = openers::of(&file).list;
    open_in(openers.iter().filter(|opener| !family.contains(&opener.pid))).map(Obstacle::Open)
}

/// `open in python3 (123), less (124)`; `None` without any.
fn open_in<'a>(openers: impl Iterator<Item = &'a Opener>) -> Option<String> {
    let names: Vec<_> = openers.map(Opener::describe).take(5).collect();
    (!names.is_empty()).then(|| format!("open in {}", names.join(", ")))
}

impl Work<'_> {
    /// An error when another process has opened the target since the lease was taken. For all that comes before the
    /// first byte.
    pub(crate) fn still_alone(&self) -> Result<()> {
        let broken = self.lease.as_ref().is_some_and(|lease| lease.is_broken());
        if broken { Err(self.opened()) } else { Ok(()) }
    }

    /// What was `done` counts only if no other process has opened the target meanwhile, which may also be why it
    /// failed.
    pub(crate) fn if_alone<T>(&self, done: Result<T>) -> Result<T> {
        self.still_alone().and(done)
    }

    /// An error when another file has the name of the target now, as after an editor's write-and-rename: then the
    /// change is complete, and not to be seen there.
    pub(crate) fn still_named(&self) -> Result<()> {
        let (file, path) = (self.target.file, self.target.path);
        let changed = open::stamp(file, path)?;
        if open::stamp_path(path).is_ok_and(|now| now.same_file(&changed)) {
            return Ok(());
        }
        let holder =
            "another file took its place, or it was removed, while it was changed; what is there now was not changed";
        Err(Error::busy(path, holder, "run it again to change that file"))
    }

    /// The error of a verb that has written nothing, because another process opened the target.
    pub(crate) fn opened(&self) -> Error {
        if self.lease.as_ref().is_some_and(|lease| lease.was_stopped()) {
            let holder = format!("memsnap was stopped, and others may have opened it meanwhile; {}", self.so_far);
            return Error::busy(self.target.path, holder, "run it again");
        }
        let holder = format!("opened meanwhile by {}; {}", self.opener(), self.so_far);
        Error::busy(self.target.path, holder, "run it again when that has closed the file")
    }

    /// The error of a verb whose lease the kernel took by force; with `to` where that is what reads back.
    pub(crate) fn taken(&self, to: Option<&Image>) -> Error {
        let path = self.target.path;
        let holder = format!(
            "{} waited for longer than fs.lease-break-time allows, and was let in before the change had ended; ",
            self.opener()
        );
        match to {
            Some(to) => Error::busy(
                path,
                holder + "what was written reads back, and the change is complete",
                Cause::OpenedEarly { file: path.into(), number: to.name.number },
            ),
            None => Error::busy(path, holder + "what was written does not read back", "end that process first"),
        }
    }

    /// The processes that opened the target, in words.
    fn opener(&self) -> String {
        let seen = self.lease.as_ref().map(|lease| lease.wanted_by()).unwrap_or_default();
        let mut names: Vec<_> = seen.into_iter().map(|o| o.describe()).collect();
        names.dedup();
        names.truncate(5);
        match names[..] {
            [] => "a process that is not visible here, or has closed it".into(),
            _ => names.join(", "),
        }
    }

    /// An error when a log lies beside the target that its database would replay into the changed file. `half`: the
    /// target is half changed, and no database can open it.
    pub(crate) fn refuse_hot_log(&self, half: bool) -> Result<()> {
        let known = |log: &Path| self.others.iter().any(|path| path == log);
        let mut logs = Companion::others_beside(self.target.path, known);
        let Some(log) = logs.next().filter(|_| !self.options.force) else { return Ok(()) };
        let what = log.what();
        Err(match half {
            true => Error::refused(
                format!("{what}: with it, the database would be corrupt"),
                Cause::LogBesideHalfChanged(log.hot()),
            ),
            false => Error::refused(
                format!("{what}: with it, the changed database would be corrupt"),
                Cause::LogBesideTarget(log.hot()),
            ),
        })
    }
}
