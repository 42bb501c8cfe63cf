//! What becomes of captured images: each is that of its parent, or a new snapshot that lacks only its name.

use super::member::{Member, Members};
use super::report::{Options, Report};
use crate::capture::Companion;
use crate::error::{Cause, Result};
use crate::ops::Note;
use crate::ops::save::capture::CapturedImage;
use crate::ops::save::evidence::Traces;
use crate::ops::stat::Format;
use crate::pack::{FrameCounts, Grade, Meta, SnapshotKind};
use crate::page::Digest;
use crate::store::{History, Image, Ref, SnapName, UnnamedSnapshot, WriteLock};

/// What a captured image becomes.
pub(super) enum Kept {
    /// It is that of its parent.
    Same(SnapName),
    /// A new snapshot.
    New(Box<NewSnapshot>),
}

/// A snapshot to be committed.
pub(super) struct NewSnapshot {
    pub(super) snapshot: UnnamedSnapshot,
    traces: Traces,
    old_map: Option<Digest>,
    frames: FrameCounts,
}

impl Kept {
    /// The id of the snapshot.
    pub(super) fn id(&self) -> Digest {
        match self {
            Kept::Same(name) => name.id,
            Kept::New(new) => new.snapshot.name.id,
        }
    }

    /// Commits it, if it is new.
    pub(super) fn commit(self, history: &History, writing: &mut WriteLock, report: &mut Report) -> Result<()> {
        match self {
            Kept::Same(_) => Ok(()),
            Kept::New(new) => {
                let (rest, snapshot) = new.split();
                let (name, meta) = snapshot.commit(history, writing)?;
                rest.committed(history, name, &meta, report)
            }
        }
    }
}

/// What follows the commit of a snapshot.
pub(super) struct AfterCommit {
    traces: Traces,
    old_map: Option<Digest>,
    frames: FrameCounts,
}

impl NewSnapshot {
    pub(super) fn split(self) -> (AfterCommit, UnnamedSnapshot) {
        let NewSnapshot { snapshot, traces, old_map, frames } = self;
        (AfterCommit { traces, old_map, frames }, snapshot)
    }
}

impl AfterCommit {
    pub(super) fn committed(self, history: &History, name: SnapName, meta: &Meta, report: &mut Report) -> Result<()> {
        self.traces.finish(history, &name.id, &meta.image, meta.len);
        report.stored(history, name, meta, self.old_map, self.frames)
    }
}

/// The report of the member at `place`, before it is known what becomes of its image.
pub(super) fn report(members: &mut Members, place: usize, taken: &CapturedImage) -> Report {
    let has = |log: &Companion| taken.was_whole() || members.list.iter().any(|other| other.path == log.path);
    let warning = |log: Companion| Note::warning(log.reason()).of(Cause::LogBesideSnapshot(log.hot()));
    let path = members.list[place].path.clone();
    let mut warnings: Vec<Note> = Companion::all_beside(&path).find(|log| !has(log)).map(warning).into_iter().collect();
    let is_incomplete = !warnings.is_empty();
    let member = &mut members.list[place];
    warnings.append(&mut member.notes);
    Report {
        metadata: taken.parent.as_ref().map_or_else(Vec::new, |parent| taken.metadata_since(parent)),
        frozen: taken.frozen.clone(),
        repaired: taken.repaired,
        damage: taken.damage.clone(),
        bytes_read: taken.read.bytes,
        read_reason: taken.read.why.clone(),
        format: Format::look(&member.live, taken.len),
        warnings,
        is_incomplete,
        ..Report::new(&path, taken.len, taken.changed, (taken.grade, &taken.reason))
    }
}

/// Decides what `taken` becomes; `logs`: the snapshots of its logs. None: nothing, as its grade is too low.
pub(super) fn keep(
    member: &mut Member,
    taken: CapturedImage,
    logs: Vec<Digest>,
    options: &Options,
    report: &mut Report,
) -> Result<Option<Kept>> {
    if let Some(parent) = unchanged(member, &taken, &logs, options)? {
        report.id = Some(parent.name.id);
        report.number = parent.name.number;
        // The same bytes keep the grade that they had; unless a hot log beside them makes them incomplete.
        if !report.is_incomplete {
            report.grade = parent.meta().grade;
            report.reason = parent.meta().reason.clone();
        }
        if !options.message.is_empty() && member.database.is_none() {
            let what = "the message was not stored, because nothing changed";
            report.warnings.push(Note::warning(what).of(Cause::Unchanged));
        }
        taken.unchanged(&member.history);
        return Ok(Some(Kept::Same(parent.name)));
    }
    if report.grade < options.require {
        return Ok(None);
    }
    let old_map = taken.parent.as_ref().map(|p| p.meta().stored.map);
    let frames = taken.frames();
    let (history, writing) = (&member.history, &mut member.writing);
    let (snapshot, traces) = taken.prepare(history, writing, SnapshotKind::Asked, &options.message, logs)?;
    Ok(Some(Kept::New(Box::new(NewSnapshot { snapshot, traces, old_map, frames }))))
}

/// The parent, where it is the snapshot of what was captured.
fn unchanged(member: &Member, taken: &CapturedImage, logs: &[Digest], options: &Options) -> Result<Option<Image>> {
    let is_same = |parent: &&Image| {
        let meta = parent.meta();
        let same = taken.is(parent) && taken.grade <= meta.grade && meta.companions == logs;
        same && !meta.kind.is_automatic() && !options.always
    };
    let Some(parent) = taken.parent.as_ref().filter(is_same) else { return Ok(None) };
    // After a revert the file may equal an earlier snapshot: @latest must still be what was captured last.
    let is_latest = member.history.resolve(&Ref::Latest)? == parent.name;
    Ok(is_latest.then(|| parent.clone()))
}

/// Lowers the grade of a database to that of its logs.
pub(super) fn lower(taken: &mut CapturedImage, logs: &[(Grade, String)]) {
    if let Some((grade, reason)) = logs.iter().min_by_key(|(grade, _)| *grade).filter(|(g, _)| *g < taken.grade) {
        (taken.grade, taken.reason) = (*grade, reason.clone());
    }
}
