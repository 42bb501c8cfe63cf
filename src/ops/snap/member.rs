//! The targets of one capture: opened, and the locks of their histories taken.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::checks::{lock_warning, preflight, refuse_unfinished};
use super::report::Options;
use crate::capture::Companion;
use crate::error::{At, Error, Result};
use crate::ops::Note;
use crate::ops::input::{Target, renamed};
use crate::store::{ChangeMarker, History, Store, WriteLock, refuse_stored};
use crate::sys::no_follow;
use crate::sys::open::{self, OpenMode};

/// A target that is opened, and may be captured.
pub(super) struct Member {
    /// Its path, links resolved.
    pub(super) path: PathBuf,
    pub(super) live: File,
    pub(super) history: History,
    pub(super) writing: WriteLock,
    /// What should be known of a new history.
    pub(super) notes: Vec<Note>,
    /// The place of the database whose log it is.
    pub(super) database: Option<usize>,
}

/// The targets of one capture, all in one store. A log comes right after its database.
pub(super) struct Members {
    pub(super) store: Store,
    pub(super) list: Vec<Member>,
}

/// A target to open: its path, and the place of the database whose log it is.
pub(super) type Wanted = (PathBuf, Option<usize>);

/// `paths`, each followed by its hot logs that are not among them. A log of another owner, or that is no regular file,
/// is not taken.
pub(super) fn with_logs(paths: &[PathBuf], options: &Options) -> Result<Vec<Wanted>> {
    let mut wanted: Vec<Wanted> = Vec::new();
    for path in paths.iter().filter(|path| !is_log_of_other(path, paths)) {
        let place = wanted.len();
        wanted.push((path.clone(), None));
        if options.alone {
            continue;
        }
        let database = std::fs::metadata(path).at("inspecting", path)?;
        let logs = Companion::all_beside(path).filter(|log| log.belongs_to(&database));
        wanted.extend(logs.map(|log| (log.path, Some(place))));
    }
    Ok(wanted)
}

/// Whether `path` is the hot log of another of `paths`, after which it comes.
fn is_log_of_other(path: &Path, paths: &[PathBuf]) -> bool {
    let is_database = |other: &&PathBuf| {
        let rest = path.as_os_str().len() > other.as_os_str().len();
        rest && other.parent() == path.parent() && Companion::all_beside(other).any(|log| log.path == path)
    };
    let name = path.to_string_lossy();
    ["-wal", "-journal", ".wal"].iter().any(|end| name.ends_with(end)) && paths.iter().any(|p| is_database(&p))
}

struct Opened {
    path: PathBuf,
    live: File,
    history: History,
    suspects: Vec<renamed::Suspect>,
    database: Option<usize>,
}

impl Members {
    /// Opens all, and takes the locks of their histories in the order of the names of these.
    pub(super) fn open(wanted: Vec<Wanted>, options: &Options, may_be_new: bool) -> Result<Members> {
        let mut store: Option<Store> = None;
        let mut opened = Vec::new();
        for (path, database) in wanted {
            let (found, member) = open_one(path, database, options, may_be_new)?;
            match &store {
                Some(first) if first.dir() != found.dir() => return Err(two_stores(first, &found, &member.path)),
                _ => store = Some(found),
            }
            opened.push(member);
        }
        let store = store.ok_or_else(|| Error::refused("there is no file to capture", "name at least one"))?;
        let mut order: Vec<usize> = (0..opened.len()).collect();
        order.sort_by(|a, b| opened[*a].history.dir().cmp(opened[*b].history.dir()));
        let mut locks: Vec<Option<WriteLock>> = opened.iter().map(|_| None).collect();
        for i in order {
            locks[i] = Some(opened[i].history.write_lock(options.reading.wait)?);
        }
        let list = opened.into_iter().zip(locks.into_iter().flatten());
        let list = list.map(|(opened, lock)| opened.admitted(lock, &store, options)).collect::<Result<_>>()?;
        Ok(Members { store, list })
    }

    /// That none was left half changed meanwhile: a change from another store may have been interrupted.
    pub(super) fn refuse_unfinished(&self) -> Result<()> {
        self.list.iter().try_for_each(|member| refuse_unfinished(&member.history, &member.live))
    }

    /// Whether a hot log appeared beside one of them that is not among them.
    pub(super) fn lacks_log(&self, options: &Options) -> bool {
        let lacks = |path: &Path| {
            let Ok(database) = std::fs::metadata(path) else { return false };
            let has = |log: &Companion| self.list.iter().any(|member| member.path == log.path);
            Companion::all_beside(path).any(|log| log.belongs_to(&database) && !has(&log))
        };
        !options.alone && self.list.iter().any(|member| lacks(&member.path))
    }
}

fn open_one(path: PathBuf, database: Option<usize>, options: &Options, new: bool) -> Result<(Store, Opened)> {
    refuse_stored(&path)?;
    let live = match database {
        None => open::target_read(&path)?,
        // A log is no link.
        Some(_) => no_follow::open(&path, OpenMode::Read).at("opening", &path)?,
    };
    if !live.metadata().at("inspecting", &path)?.is_file() {
        return Err(Error::Changed { path, what: "it is no regular file any more".into() });
    }
    // Before anything is created: a new history has no record of an interrupted change.
    if let Some(mark) = ChangeMarker::get(&live, &path, options.store.as_deref()).filter(|mark| !mark.is_busy()) {
        return Err(mark.refusal(&path));
    }
    let store = Store::find_or_create(options.store.as_deref(), &path)?;
    let suspects = match store.history_to_write(&path)? {
        Some(history) if !history.is_new()? => Vec::new(),
        _ if new || options.new_history || database.is_some() => Vec::new(),
        _ => renamed::check(&store, &path, &live)?,
    };
    let history = store.make_history(&path)?;
    Ok((store, Opened { path, live, history, suspects, database }))
}

fn two_stores(first: &Store, second: &Store, path: &Path) -> Error {
    let what = format!(
        "the store of {} would be {}, and that of the other members is {}",
        path.display(),
        second.dir().display(),
        first.dir().display()
    );
    Error::refused(what, crate::error::Cause::TwoStores)
}

impl Opened {
    fn admitted(self, writing: WriteLock, store: &Store, options: &Options) -> Result<Member> {
        let Opened { path, live, history, suspects, database } = self;
        history.admit(&live)?;
        refuse_unfinished(&history, &live)?;
        let mut notes = Vec::new();
        if history.is_new()? {
            preflight(&history, Target { file: &live, path: &path }, options)?;
            notes.extend(lock_warning(store.dir()).filter(|_| database.is_none()));
            notes.extend(suspects.iter().map(|suspect| suspect.warning(&path, &history)));
        }
        Ok(Member { path, live, history, writing, notes, database })
    }
}
