//! A change of several targets, all or nothing: brings each to a snapshot, or removes it, or makes it again.
//!
//! Where one target changes and its file stays, this is the change of one: no record of a set is made.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::capture::{capture_all, keep_with};
use super::hold::{Work, hold_all, obstacle};
use super::look::{PlanBasis, look_at};
use super::metadata;
use super::plan::{Options, Report, Summary};
use super::prove::{all_pages, prove_both};
use super::record::{Part, SetStep, Step};
use super::request::{Method, Planned};
use super::steps::{carry_out, new_intent};
use crate::capture::Companion;
use crate::error::{Cause, Error, FileInStore, Result};
use crate::ops::input::image::LiveFile;
use crate::ops::save::capture::CapturedImage;
use crate::ops::{Note, Progress};
use crate::page::{Digest, PageRange, PageSet};
use crate::store::{ChangeMarker, History, Image, Intent, SetChange, SetChangeMember, SnapName, Store};
use crate::sys::open::{self, Stamp};

/// What one target is to become.
pub(crate) struct MemberGoal {
    /// Its history, which may only be named yet.
    pub(crate) history: History,
    /// The snapshot that it is to hold; `None`: there is to be no file.
    pub(crate) wanted: Option<SnapName>,
    /// The image digest that it must have before, or `Some(None)`: there must be no file.
    pub(crate) base: Option<Option<Digest>>,
    /// It is part of the change even where it stays as it is, so that its undo is that of all.
    pub(crate) always: bool,
}

/// A change of several targets, in the order in which they are written.
pub(crate) struct Several {
    /// The verb, for the records.
    verb: &'static str,
    /// What was named.
    path: PathBuf,
    /// What all are brought to, for people.
    to: String,
    members: Vec<MemberGoal>,
    options: Options,
    /// Of the plan and of the report.
    pub(crate) notes: Vec<Note>,
    /// What the last plan saw of each.
    seen: Option<Vec<Seen>>,
}

/// What a plan saw of a target: while it is the same, the plan holds.
enum Seen {
    Nothing,
    Image(Box<PlanBasis>),
    File(Box<Stamp>),
}

impl Several {
    pub(crate) fn new(
        verb: &'static str,
        path: &Path,
        to: String,
        members: Vec<MemberGoal>,
        options: &Options,
    ) -> Several {
        let (path, options) = (path.into(), options.clone());
        Several { verb, path, to, members, options, notes: Vec::new(), seen: None }
    }

    fn go(&self, works: &mut [Work<'_>], confirmed: bool, progress: &dyn Progress) -> Result<Option<Report>> {
        include_all(works);
        for work in works.iter_mut() {
            refuse_interrupted(work)?;
            work.refuse_hot_log(false)?;
        }
        let taken = capture_all(works, progress)?;
        for (n, ((work, member), now)) in works.iter_mut().zip(&self.members).zip(&taken).enumerate() {
            self.check_base(member, now.as_ref().map(|now| now.image))?;
            if confirmed && !self.seen.as_ref().is_some_and(|seen| seen[n].is(work, now.as_ref())) {
                return Ok(None);
            }
        }
        let mut ends = Vec::with_capacity(works.len());
        for ((work, member), taken) in works.iter_mut().zip(&self.members).zip(taken) {
            ends.push(Ends::of(work, member, taken)?);
        }
        let needed = ends.iter().any(|ends| ends.is_needed);
        let mut logs = Vec::new();
        for ((work, member), ends) in works.iter_mut().zip(&self.members).zip(&mut ends) {
            ends.prepare(work, needed && member.always, &logs, progress)?;
            logs.extend(ends.from.as_ref().map(|from| (work.target.path.to_path_buf(), from.name.id)));
        }
        works.iter().try_for_each(Work::still_alone)?;
        self.carry(works, &ends, progress).map(Some)
    }

    /// Brings all that is to change to its end.
    fn carry(&self, works: &mut [Work<'_>], ends: &[Ends], progress: &dyn Progress) -> Result<Report> {
        let members: Vec<_> = works.iter().zip(ends).map(|(w, e)| Ok((w, e.record(w)?))).collect::<Result<_>>()?;
        let members: Vec<_> = members.into_iter().filter_map(|(_, member)| member).collect();
        let single = match (&members[..], ends.iter().find(|ends| ends.included)) {
            ([_], Some(Ends { from: Some(from), to: Some(to), .. })) => Some((from, to)),
            _ => None,
        };
        let change = SetChange::new(self.verb, members);
        let mut intents = Vec::with_capacity(works.len());
        for work in works.iter() {
            intents.push(match single {
                Some((from, to)) => {
                    let ids = |image: &Image| (image.name.id, image.digest());
                    Some(new_intent(work, self.verb, ids(from), ids(to))?)
                }
                None => change.intent_of(work.history.key()),
            });
        }
        let set = SetStep { change: &change, recorded: None };
        let mut parts = Vec::new();
        for ((work, ends), intent) in works.iter_mut().zip(ends).zip(&intents).filter(|((_, ends), _)| ends.included) {
            let Some(intent) = intent else { continue };
            let (from, to) = (ends.from.as_ref(), ends.to.as_ref());
            parts.push(Part { work, step: Step { intent, recorded: None, from, to, pages: &ends.pages } });
        }
        let bytes = match parts.is_empty() {
            true => Vec::new(),
            false => carry_out(&mut parts, single.is_none().then_some(&set), progress)?,
        };
        drop(parts);
        if let Some(work) = works.first() {
            sweep(work);
        }
        Ok(self.report(works, ends, bytes))
    }

    fn report(&self, works: &mut [Work<'_>], ends: &[Ends], bytes: Vec<u64>) -> Report {
        let mut bytes = bytes.into_iter();
        let mut notes = self.notes.clone();
        let mut reports = Vec::with_capacity(works.len());
        for (work, ends) in works.iter_mut().zip(ends) {
            let written = if ends.included { bytes.next().unwrap_or(0) } else { 0 };
            let undo = ends.from.as_ref().map(|from| (from.name.number, from.name.id)).filter(|_| ends.is_needed);
            let report = match ends.is_needed {
                true => Report::done(ends.changes.clone(), written),
                false => Report::of(ends.changes.clone()),
            };
            reports.push(Report { undo, ..report });
            notes.extend(notes_of(work));
        }
        let mut report = Report::several(self.summary(ends.iter().map(|ends| ends.changes.clone()).collect()), reports);
        report.notes = notes;
        report
    }

    fn summary(&self, members: Vec<Summary>) -> Summary {
        Summary::several(&self.path, &self.to, members)
    }

    /// What would become of one target, and what was seen of it.
    fn look(&self, member: &MemberGoal, others: &[PathBuf], progress: &dyn Progress) -> Result<(Summary, Seen)> {
        let (history, path) = (&member.history, member.history.target());
        if history.intent()?.is_some() {
            return Err(ChangeMarker::own(history).refusal_to_read(path));
        }
        let there = path.symlink_metadata().is_ok();
        let (mut changes, seen) = match member.wanted {
            None if !there => (Summary::none(path, "no file", 0), Seen::Nothing),
            None => {
                let live = LiveFile::open(path)?;
                let stamp = open::stamp(&live.file, path)?;
                (Summary::removed(path, stamp.len), Seen::File(Box::new(stamp)))
            }
            Some(wanted) if !there => {
                let to = history.image(wanted)?;
                (Summary::made(path, &format!("@{}", to.name.number), to.len(), &all_pages(&to)?), Seen::Nothing)
            }
            Some(wanted) => {
                let (changes, basis) = look_at(history, wanted, None, &self.options, progress)?;
                self.check_base(member, Some(basis.image))?;
                (changes, Seen::Image(Box::new(basis)))
            }
        };
        if !there {
            self.check_base(member, None)?;
        } else if !changes.is_empty() {
            changes.obstacle = obstacle(path, &self.options, others);
        }
        Ok((changes, seen))
    }

    /// The target must be what the change that is undone left.
    fn check_base(&self, member: &MemberGoal, found: Option<Digest>) -> Result<()> {
        match member.base {
            Some(expected) if expected != found && !self.options.force => {
                let digest = |end: Option<Digest>| end.unwrap_or(Digest::ZERO);
                Err(Error::base(member.history.target(), digest(expected), digest(found)))
            }
            _ => Ok(()),
        }
    }
}

impl Seen {
    /// Whether that is what is held now, and was captured.
    fn is(&self, work: &Work<'_>, taken: Option<&CapturedImage>) -> bool {
        match (self, taken) {
            (Seen::Nothing, None) => true,
            (Seen::Image(basis), Some(taken)) => basis.is(taken),
            (Seen::File(stamp), Some(_)) => {
                open::stamp(work.target.file, work.target.path).is_ok_and(|now| now.same_state(stamp))
            }
            _ => false,
        }
    }
}

/// What a held target holds, and what it is to hold.
struct Ends {
    taken: Option<CapturedImage>,
    /// The snapshot of what it holds; `None` also where it is not part of the change.
    from: Option<Image>,
    to: Option<Image>,
    /// It is not what it is to be.
    is_needed: bool,
    /// It is part of the change.
    included: bool,
    pages: PageSet,
    changes: Summary,
}

impl Ends {
    fn of(work: &mut Work<'_>, member: &MemberGoal, taken: Option<CapturedImage>) -> Result<Ends> {
        let to = member.wanted.map(|wanted| work.history.image(wanted)).transpose()?;
        let is_needed = match (&taken, &to) {
            (Some(taken), Some(to)) => !taken.holds(to),
            (taken, to) => taken.is_some() != to.is_some(),
        };
        let len = taken.as_ref().map_or(0, |taken| taken.len);
        let name = to.as_ref().map_or("no file".into(), |to| format!("@{}", to.name.number));
        let changes = Summary::none(work.target.path, &name, len);
        Ok(Ends { taken, from: None, to, is_needed, included: is_needed, pages: PageSet::new(), changes })
    }

    /// Stores what it holds, finds out what is to be written, and proves that both can be read. `always`: it is part of
    /// the change even if nothing is.
    fn prepare(
        &mut self,
        work: &mut Work<'_>,
        always: bool,
        logs: &[(PathBuf, Digest)],
        progress: &dyn Progress,
    ) -> Result<()> {
        self.included |= always && (self.taken.is_some() || self.to.is_some());
        let Some(taken) = self.taken.take() else {
            if let Some(to) = self.to.as_ref().filter(|_| self.included) {
                self.pages = all_pages(to)?;
                self.changes = Summary::made(work.target.path, &self.changes.to, to.len(), &self.pages);
            }
            return Ok(());
        };
        if !self.included {
            if taken.parent.as_ref().is_some_and(|parent| taken.is(parent)) {
                taken.unchanged(work.history);
            }
            return Ok(());
        }
        let path = work.target.path;
        let beside: Vec<_> = Companion::paths_beside(path).collect();
        let logs = logs.iter().filter(|(log, _)| beside.contains(log)).map(|(_, id)| *id).collect();
        let from = keep_with(work, taken, logs)?;
        self.changes = match &self.to {
            None => Summary::removed(path, from.len()),
            Some(to) => {
                self.pages = from.changed(to, PageRange::of_len(to.len()))?;
                let name = |image: &Image| format!("@{}", image.name.number);
                let mut changes = Summary::new(path, (&name(&from), from.len()), (&name(to), to.len()), &self.pages);
                changes.metadata = metadata::changes(&from, to, !changes.is_empty());
                changes
            }
        };
        let proven = prove_both(work, Some(&from), self.to.as_ref(), &self.pages, progress);
        work.if_alone(proven)?;
        self.from = Some(from);
        Ok(())
    }

    /// As the record of the change names it, if it is part of it.
    fn record(&self, work: &Work<'_>) -> Result<Option<SetChangeMember>> {
        if !self.included {
            return Ok(None);
        }
        let stamp = open::stamp(work.target.file, work.target.path)?;
        let file = if work.is_new { (0, 0) } else { (stamp.dev, stamp.ino) };
        let end = |image: &Option<Image>| image.as_ref().map(|image| (image.name.id, image.digest()));
        Ok(Some(SetChangeMember { key: work.history.key().into(), from: end(&self.from), to: end(&self.to), file }))
    }
}

/// A log that is part of the change does not stand in its way.
pub(super) fn include_all(works: &mut [Work<'_>]) {
    let paths: Arc<[PathBuf]> = works.iter().map(|work| work.target.path.into()).collect();
    works.iter_mut().for_each(|work| work.others = paths.clone());
}

/// An interrupted change of any member is ended first, on request.
fn refuse_interrupted(work: &mut Work<'_>) -> Result<()> {
    let intent: Option<Intent> = work.history.settled_intent(work.writing)?;
    let marker = if work.is_new { None } else { work.marker() };
    match (intent, marker) {
        (Some(_), _) => Err(ChangeMarker::own(work.history).refusal(work.target.path)),
        (None, Some(marker)) => Err(marker.refusal(work.target.path)),
        (None, None) => Ok(()),
    }
}

/// What the user should know of a target, with its name.
pub(super) fn notes_of(work: &mut Work<'_>) -> Vec<Note> {
    let name = work.history.label();
    let mut notes = std::mem::take(&mut work.notes);
    notes.iter_mut().for_each(|note| note.text = format!("{name}: {}", note.text));
    notes
}

/// Removes records of changes of several targets that nothing needs any more.
pub(super) fn sweep(work: &Work<'_>) {
    if let Some(store) = work.history.dir().parent().and_then(|dir| Store::open(dir).ok()) {
        work.history.set_changes().sweep(&store);
    }
}

impl Method for Several {
    fn plan(&mut self, progress: &dyn Progress) -> Result<Planned> {
        let (mut all, mut seen) = (Vec::new(), Vec::new());
        let others: Vec<_> = self.members.iter().map(|member| member.history.target().to_path_buf()).collect();
        for member in &self.members {
            let (changes, basis) = self.look(member, &others, progress)?;
            all.push(changes);
            seen.push(basis);
        }
        self.seen = Some(seen);
        Ok(Planned { notes: self.notes.clone(), ..Planned::of(self.summary(all)) })
    }

    fn commit(&mut self, confirmed: bool, progress: &dyn Progress) -> Result<Option<Report>> {
        let store = Store::open(self.members[0].history.dir().parent().unwrap_or(&self.path))?;
        let begin = |member: &MemberGoal| member.history.clone().begin(&store);
        let histories = self.members.iter().map(begin).collect::<Result<Vec<_>>>()?;
        hold_all(&histories.iter().collect::<Vec<_>>(), true, &self.options, |works| {
            self.go(works, confirmed, progress)
        })
    }

    fn explain(&self, e: Error) -> Error {
        e.of_base(|_| Cause::ChangedSince(FileInStore::new(&self.path, self.options.store.as_deref())))
    }
}
