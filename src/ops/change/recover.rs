//! `recover`: finish or roll back a change that was interrupted.
//!
//! It is done only where every page is that of one image or of the other, or torn between the two, as a loss of power
//! may leave it: each sector is exactly that of one of them. Whoever says which way to go, all the same, loses nothing:
//! what the file holds becomes a snapshot first. Then all pages of the change are written again: after an I/O error,
//! what the cache says of a page proves nothing of the disk.

use std::path::Path;
use std::time::Instant;

use crate::capture::Companion;
use crate::error::{At, Error, Result, shell_word};
use crate::ops::change::record::{Step, carry_out};
use crate::ops::change::write::{bring_to_disk, prove_whole};
use crate::ops::change::{Confirm, Options, Plan, Report, Stop, Work, pages_between, present, with_target};
use crate::ops::compose::read_zero_extended;
use crate::ops::edit::history_of;
use crate::ops::metadata::Metadata;
use crate::ops::take::Target;
use crate::ops::{Note, Progress, compare, find_history, no_undo, resolve};
use crate::pack::{Source, differing};
use crate::page::{Digest, PAGE, PAGE64, PageRange, PageSet, page_digest};
use crate::store::{ChangeMarker, History, Image, Intent, SnapName};
use crate::sys::{id, lock, open};

/// What to do with an interrupted change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Bring the target to where it was to go.
    Finish,
    /// Bring it back to where it came from.
    Rollback,
    /// Leave it as it is, and forget the change.
    Abandon,
}

/// Recovers `file`; without `how` it is finished, if nothing but the change itself has touched it.
///
/// # Errors
/// [`Error::Refused`] when a page is neither the old nor the new one and `how` does
/// not say which to make it.
pub fn recover(
    file: &Path,
    how: Option<How>,
    options: &Options,
    confirm: Confirm<'_>,
    progress: &dyn Progress,
) -> Result<Report> {
    let began = Instant::now();
    let target = resolve(file)?;
    if how == Some(How::Abandon) && history_of(options.store.as_deref(), &target)?.is_none() {
        return abandon_without_history(&target, options, confirm);
    }
    let history = find_history(options.store.as_deref(), file)?;
    with_target(&history, options, |work| {
        let intent = match history.intent() {
            // What cannot be read can still be forgotten.
            Err(Error::Damaged { .. }) if how == Some(How::Abandon) => return abandon(work, true, confirm),
            intent => intent?,
        };
        let Some(intent) = intent else {
            return nothing(work, how, confirm);
        };
        let mut report = match how {
            Some(How::Abandon) => abandon(work, true, confirm)?,
            Some(How::Finish) if intent.is_final() => no_undo::finish(work, &intent, confirm, progress)?,
            _ if intent.is_final() => return Err(no_undo::only_forward(work, &intent)),
            how => {
                let mut ways = Ways::new(work, &intent, how.is_none())?;
                let checked = ways.check(work, progress);
                work.still_alone()?;
                if how.is_none() {
                    checked?;
                } else {
                    ways.strange = checked.is_err();
                    ways.widen(work, options, forward(&intent, how), progress)?;
                }
                ways.go(work, &intent, forward(&intent, how), Some(confirm), progress)?
            }
        };
        report.notes.append(&mut work.notes);
        report.elapsed = began.elapsed();
        Ok(report)
    })
}

/// Whether this way is that of the record. To finish or to roll back is said of the change that was begun first, also
/// when its way back was cut short: said again, it leads to the same end.
fn forward(intent: &Intent, how: Option<How>) -> bool {
    how.is_none_or(|how| (how == How::Finish) != intent.is_way_back())
}

/// Another verb is about to change the target: what was interrupted is finished first.
pub(crate) fn finish_interrupted(
    work: &mut Work<'_>,
    intent: &Intent,
    confirm: &mut dyn FnMut(&Plan) -> bool,
    progress: &dyn Progress,
) -> Result<()> {
    if intent.is_final() {
        return Err(no_undo::only_forward(work, intent));
    }
    let ways = Ways::new(work, intent, true)?;
    let checked = ways.check(work, progress);
    work.if_alone(checked)?;
    if !ways.go(work, intent, true, Some(confirm), progress)?.done {
        return Err(to_finish_first(&intent.verb, work.target.path));
    }
    work.notes.push(Note::new(format!("an interrupted {} was finished first", intent.verb)));
    work.so_far = format!("the interrupted {} was finished, and nothing else was changed", intent.verb);
    Ok(())
}

/// The error where nobody agreed to that.
pub(crate) fn to_finish_first(verb: &str, target: &Path) -> Error {
    Error::refused(
        format!("an interrupted {verb} of {} is to be finished first", target.display()),
        "agree to that (--yes), or choose with `memsnap recover`",
    )
}

/// There is no record of an interrupted change in this history.
fn nothing(work: &mut Work<'_>, how: Option<How>, confirm: Confirm<'_>) -> Result<Report> {
    if let Some(mark) = work.mark() {
        if how == Some(How::Abandon) {
            return abandon(work, false, confirm);
        }
        return Err(mark.refusal(work.target.path));
    }
    if !work.options.dry_run {
        // One that a crash has brought back, of a change that was finished.
        ChangeMarker::remove(work.target.file, work.target.path)?;
        bring_to_disk(work.target)?;
    }
    let len = open::stamp(work.target.file, work.target.path)?.len;
    let plan = Plan::new(work.target.path, ("now".into(), len), ("it is".into(), len), &PageSet::new());
    let notes = vec![Note::new("no change was interrupted")];
    Ok(Report { plan, done: false, undo: None, notes, bytes_written: 0, elapsed: Default::default() })
}

pub(crate) fn named(history: &History, id: &Digest) -> Result<SnapName> {
    let found = history.snapshots()?.into_iter().find(|n| n.id == *id);
    found.ok_or_else(|| Error::missing(format!("snapshot {id} is not there any more"), "abandon it with --abandon"))
}

/// Both ends of an interrupted change, and the pages between them.
struct Ways {
    from: Image,
    to: Image,
    forward: PageSet,
    back: PageSet,
    /// The target holds something that is in neither image.
    strange: bool,
}

impl Ways {
    /// With `same`, the target must be the very file whose change was interrupted.
    fn new(work: &Work<'_>, intent: &Intent, same: bool) -> Result<Ways> {
        let stamp = open::stamp(work.target.file, work.target.path)?;
        // Its device may have another number since a restart. That no other file is taken for it, the pages must show.
        if same && stamp.ino != intent.file.1 {
            return Err(Error::refused(
                format!("{} is not the file whose change was interrupted", work.target.path.display()),
                "put that file back, or choose: `memsnap recover` with --finish, --rollback or --abandon",
            ));
        }
        let from = work.history.image(named(work.history, &intent.from)?)?;
        let to = work.history.image(named(work.history, &intent.to)?)?;
        let forward = pages_between(&from, &to)?;
        let back = pages_between(&to, &from)?;
        Ok(Ways { from, to, forward, back, strange: false })
    }

    /// Every sector of the pages of the change must be that of one image or of the other, and the length that of one;
    /// all other pages are in both.
    fn check(&self, work: &Work<'_>, progress: &dyn Progress) -> Result<()> {
        let len = open::stamp(work.target.file, work.target.path)?.len;
        let mut wrong = (len != self.from.len() && len != self.to.len()).then_some(len / PAGE64);
        let digest = |source| work.history.packs().page_digest(source).map_err(Stop::Ours);
        differing(self.from.runs(), self.to.runs(), |step| {
            for n in 0..step.pages.len() {
                let (old, new) = (digest(step.a.advance(n))?, digest(step.b.advance(n))?);
                let page = step.pages.start + n;
                if old != new && wrong.is_none() {
                    let sources = (step.a.advance(n), step.b.advance(n));
                    if !is_either(work, page, len, sources, (old, new)).map_err(Stop::Ours)? {
                        wrong = Some(page);
                    }
                }
            }
            Ok(())
        })
        .map_err(|e: Stop| e.of(self.to.path()))?;
        if wrong.is_none() {
            let off = compare::pages_off(work.target, &self.to, &work.options.reading, progress)?;
            let mut pages = off.runs_within(PageRange::of_len(len)).flat_map(|run| run.start..run.end);
            wrong = pages.find(|page| !self.forward.contains(*page));
        }
        match wrong {
            None => Ok(()),
            Some(page) => Err(Error::refused(
                format!(
                    "{} was changed by somebody else after its change was interrupted: page {page} (byte {:#x}) is \
                     neither the old nor the new one",
                    work.target.path.display(),
                    page * PAGE64
                ),
                "choose: `memsnap recover` with --finish, --rollback or --abandon",
            )),
        }
    }

    /// When told which way: whatever differs is written, be it of the change or not.
    fn widen(&mut self, work: &Work<'_>, options: &Options, forward: bool, progress: &dyn Progress) -> Result<()> {
        let (image, pages) = if forward { (&self.to, &mut self.forward) } else { (&self.from, &mut self.back) };
        let differing = compare::pages_off(work.target, image, &options.reading, progress)?;
        differing.runs().for_each(|run| pages.insert_range(run));
        Ok(())
    }

    /// Writes every page of the change, one way or the other.
    fn go(
        &self,
        work: &mut Work<'_>,
        intent: &Intent,
        forward: bool,
        confirm: Option<Confirm<'_>>,
        progress: &dyn Progress,
    ) -> Result<Report> {
        let (from, to, pages) =
            if forward { (&self.from, &self.to, &self.forward) } else { (&self.to, &self.from, &self.back) };
        let len = open::stamp(work.target.file, work.target.path)?.len;
        if let Some(log) = Companion::hot_beside(work.target.path).filter(|_| !work.options.force) {
            let what = format!("{}: with it, the database would be corrupt", log.what());
            let hint = format!("move the log away (mv {} ELSEWHERE), or add --force", shell_word(&log.path));
            return Err(Error::refused(what, hint));
        }
        let label = format!("@{} (after an interrupted {})", to.name.number, intent.verb);
        let mut plan = Plan::new(work.target.path, ("a mixture".into(), len), (label, to.len()), pages);
        plan.metadata = Metadata::of(work.target)?.changes(&Metadata::stored(to.meta()), !plan.is_empty());
        let mut report =
            Report { plan, done: false, undo: None, notes: Vec::new(), bytes_written: 0, elapsed: Default::default() };
        if self.strange {
            report
                .notes
                .push(Note::new("it holds something that is neither old nor new: that becomes a snapshot first"));
        }
        if confirm.is_some_and(|confirm| !confirm(&report.plan)) {
            return Ok(report);
        }
        prove_whole(to, pages, progress)?;
        let mut undo = Some((from.name.number, from.name.id));
        if self.strange {
            // What undo goes to is not what the file held.
            undo = None;
            let kept = present(work, progress)?.name.number;
            let what = "the file as it was, with what is neither old nor new, is kept as";
            report.notes = vec![Note::warning(format!("{what} @{kept}"))];
        }
        // The way back is a change of its own: one cut short must go on backwards.
        let new = if forward { intent.clone() } else { intent.turned(id::now_ns()) };
        let step = Step { intent: &new, recorded: Some(intent), from: Some(from), to, pages };
        report.bytes_written = carry_out(work, &step, progress)?;
        report.done = true;
        report.undo = undo;
        Ok(report)
    }
}

/// What a disk writes at once, whatever the size of a page: a loss of power may tear a page, not a sector.
const SECTOR: usize = 512;

/// Whether `page` of the target, which is `len` bytes long, is the old or the new one, or one torn between the two.
fn is_either(
    work: &Work<'_>,
    page: u64,
    len: u64,
    sources: (Source, Source),
    digests: (Digest, Digest),
) -> Result<bool> {
    let at = page * PAGE64;
    if at >= len {
        // What is past the end is nobody's: it is cut off or zeros, either way.
        return Ok(true);
    }
    let now = read_zero_extended(work.target.file, at, PAGE, len).at("reading", work.target.path)?;
    let digest = page_digest(now[..].try_into().expect("a page"));
    if digest == digests.0 || digest == digests.1 {
        return Ok(true);
    }
    // The length, too, may have reached the disk before the page: then it is cut off.
    let there = (len - at).min(PAGE64) as usize;
    let mut reader = work.history.packs().pages();
    let mut stored = |source| {
        let mut bytes = [0; PAGE];
        if let Source::Pack(pack, page) = source {
            reader.read(pack, page, &mut bytes)?;
        }
        Ok::<_, Error>(bytes)
    };
    let (old, new) = (stored(sources.0)?, stored(sources.1)?);
    let mut sectors = (0..there).step_by(SECTOR).map(|from| from..there.min(from + SECTOR));
    Ok(sectors.all(|s| now[s.clone()] == old[s.clone()] || now[s.clone()] == new[s]))
}

/// Forgets the change, or only the change marker of another store; the target stays as it is.
fn abandon(work: &mut Work<'_>, ours: bool, confirm: Confirm<'_>) -> Result<Report> {
    let report = abandon_marker(work.target, confirm)?;
    if report.done && ours {
        work.history.end_change(work.writing, None)?;
    }
    Ok(report)
}

/// Removes the change marker of `target`, for which there is no history: a copy, or its store was removed.
fn abandon_without_history(target: &Path, options: &Options, confirm: Confirm<'_>) -> Result<Report> {
    let file = open::target_write(target)?;
    if ChangeMarker::get(&file, target, options.store.as_deref()).is_none() {
        find_history(options.store.as_deref(), target)?;
    }
    // A change that is under way holds this lock.
    let _held = lock::flock(&file, target, lock::Kind::Exclusive, options.reading.wait)?;
    abandon_marker(Target { file: &file, path: target }, confirm)
}

fn abandon_marker(target: Target<'_>, confirm: Confirm<'_>) -> Result<Report> {
    let len = open::stamp(target.file, target.path)?.len;
    let label = "it is, without the record of the interrupted change".to_string();
    let plan = Plan::new(target.path, ("a mixture".into(), len), (label, len), &PageSet::new());
    let done = confirm(&plan);
    if done {
        ChangeMarker::remove(target.file, target.path)?;
        bring_to_disk(target)?;
    }
    Ok(Report { plan, done, undo: None, notes: Vec::new(), bytes_written: 0, elapsed: Default::default() })
}
