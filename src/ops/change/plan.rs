//! What a verb that changes a target shows before it does so.

use std::path::{Path, PathBuf};

use crate::capture::Companion;
use crate::error::{Error, Result};
use crate::ops::change::{Confirm, Options, Report};
use crate::ops::compare::compare_live;
use crate::ops::metadata::{MetaChange, Metadata};
use crate::ops::sides::{LiveSide, StoredSide, refuse_unfinished_to_read};
use crate::ops::take::Target;
use crate::ops::{Progress, part};
use crate::page::{Digest, PageRange, PageSet};
use crate::store::{History, Ref};
use crate::sys::open;
use crate::sys::procs::{self, Opener};

/// Ranges that a plan lists.
const LISTED: usize = 1000;

/// What will be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The target.
    pub path: PathBuf,
    /// What it holds now.
    pub from: String,
    /// What it will hold.
    pub to: String,
    /// Its length now.
    pub from_len: u64,
    /// Its length then.
    pub to_len: u64,
    /// Pages to be written.
    pub pages: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// The first thousand ranges of them.
    pub ranges: Vec<PageRange>,
    /// Number of all ranges.
    pub ranges_total: u64,
    /// What of mode, owner and attributes will change.
    pub metadata: Vec<MetaChange>,
    /// Where there is no snapshot yet, all of the target is stored first, for undo: bytes of data, before they are
    /// compressed.
    pub stores_first: Option<u64>,
    /// Whether what it holds now is not stored, and cannot be brought back.
    pub no_undo: bool,
    /// Why the change will be refused as things are, and what allows it; looked for before a question and in a dry run.
    pub obstacle: Option<String>,
    /// What single edits replace; only `edit` tells.
    pub edits: Vec<Replaced>,
}

/// What one edit replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// Where, in bytes from the start of the target.
    pub at: u64,
    /// How many bytes.
    pub len: u64,
    /// The first bytes that were there; fewer, or none, past the end of the target.
    pub old: Vec<u8>,
    /// The first bytes that come in their place.
    pub new: Vec<u8>,
}

impl Plan {
    pub(crate) fn new(path: &Path, from: (String, u64), to: (String, u64), pages: &PageSet) -> Plan {
        let len = to.1;
        let bytes = pages.runs().map(|r| r.end_offset().min(len) - r.offset().min(len)).sum();
        Plan {
            path: path.into(),
            from: from.0,
            to: to.0,
            from_len: from.1,
            to_len: len,
            pages: pages.len(),
            bytes,
            ranges: pages.runs().take(LISTED).collect(),
            ranges_total: pages.runs().count() as u64,
            metadata: Vec::new(),
            stores_first: None,
            no_undo: false,
            obstacle: None,
            edits: Vec::new(),
        }
    }

    /// Whether there is nothing to be done.
    pub fn is_empty(&self) -> bool {
        self.pages == 0 && self.from_len == self.to_len && self.metadata.is_empty()
    }
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
    history: Option<&History>,
    options: &Options,
    confirm: Confirm<'_>,
    plan: impl FnOnce() -> Result<Report>,
) -> Result<Asked> {
    // An interrupted change is finished before there is anything to plan: then the question comes later.
    let interrupted = history.map(History::intent).transpose()?.flatten().is_some();
    if !options.dry_run && (!options.ask || interrupted) {
        return Ok(Asked::NotYet);
    }
    let mut report = plan()?;
    if !report.plan.is_empty() {
        report.plan.obstacle = obstacle(&report.plan.path, options);
    }
    let agreed = !options.dry_run && !report.plan.is_empty() && confirm(&report.plan);
    Ok(if agreed { Asked::Agreed } else { Asked::Over(Box::new(report)) })
}

/// As [`ask_first`]; then `go_on`, unless it ends there. After consent, `go_on` does not ask again.
pub(crate) fn asking_first(
    history: &History,
    options: &Options,
    confirm: Confirm<'_>,
    plan: impl FnOnce() -> Result<Report>,
    go_on: impl FnOnce(Confirm<'_>) -> Result<Report>,
) -> Result<Report> {
    match ask_first(Some(history), options, &mut *confirm, plan)? {
        Asked::Over(report) => Ok(*report),
        Asked::Agreed => go_on(&mut |_: &Plan| true),
        Asked::NotYet => go_on(confirm),
    }
}

/// What a change of `path` would be refused for. No lease is taken for that: who has the file open is looked up.
pub(crate) fn obstacle(path: &Path, options: &Options) -> Option<String> {
    if let Some(log) = Companion::hot_beside(path).filter(|_| !options.force) {
        return Some(format!("{}: the change will be refused unless --force", log.what()));
    }
    let file = open::any_name(path).ok().filter(|_| !options.live)?;
    // Those that this one runs under may hold the lock for it (`flock FILE memsnap ...`).
    let family = procs::ancestors();
    let openers = procs::openers(&file).list;
    let holder = open_in(openers.iter().filter(|opener| !family.contains(&opener.pid)))?;
    Some(format!("{holder}: the change will be refused unless --live"))
}

/// `open in python3 (123), less (124)`; `None` without any.
pub(crate) fn open_in<'a>(openers: impl Iterator<Item = &'a Opener>) -> Option<String> {
    let names: Vec<_> = openers.map(Opener::describe).take(5).collect();
    (!names.is_empty()).then(|| format!("open in {}", names.join(", ")))
}

/// What `dry_run` says of bringing the target of `history` to a snapshot: nothing is locked, stored or written.
pub(crate) fn plan_only(
    history: &History,
    to: &Ref,
    range: Option<(u64, u64)>,
    base: Option<Digest>,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Report> {
    let began = std::time::Instant::now();
    let live = LiveSide::open(history.target())?;
    refuse_unfinished_to_read(history)?;
    let image = history.image(history.resolve(to)?)?;
    let stored = StoredSide { name: format!("@{}", image.name.number), history: history.clone(), image };
    let (set, found) = compare_live(&live, &stored, &options.reading, progress, None)?;
    if let Some(expected) = base.filter(|b| *b != found) {
        return Err(Error::Base { path: live.path, expected, found, hint: String::new() });
    }
    let target = Target { file: &live.file, path: &live.path };
    let (len, set) = match range {
        None => (stored.image.len(), set.runs_within(PageRange::of_len(stored.image.len())).collect()),
        Some(range) => {
            let bytes = part::clip(range, live.len, stored.image.len())?;
            (live.len, part::differing_in(target, &stored.image, &bytes, &set)?)
        }
    };
    let mut plan = Plan::new(&live.path, ("now".into(), live.len), (stored.name.clone(), len), &set);
    if range.is_none() {
        plan.metadata = Metadata::of(target)?.changes(&Metadata::stored(stored.image.meta()), !plan.is_empty());
    }
    Ok(Report { plan, done: false, undo: None, notes: Vec::new(), bytes_written: 0, elapsed: began.elapsed() })
}
