//! Finishing or rolling back a change that was interrupted.
//!
//! It is done only where every page is that of one image or of the other, or torn between the two, as a loss of power
//! may leave it: each sector is exactly that of one of them. If a user chooses a direction all the same, what the
//! file holds becomes a snapshot first. Then all pages of the change are written again: after an I/O error, the page
//! cache does not show what is on the disk.

use super::capture::present;
use super::hold::Work;
use super::metadata::Metadata;
use super::plan::{Report, Summary};
use super::prove::prove_one;
use super::record::Step;
use super::steps::carry_out_one;
use super::unstored::{named, only_forward};
use crate::error::{At, Cause, Error, Result};
use crate::ops::read::read_zero_extended;
use crate::ops::{Note, Progress, compare};
use crate::pack::{Differences, Source};
use crate::page::{Digest, PAGE, PAGE64, PageRange, PageSet, page_digest};
use crate::store::{Image, Intent};
use crate::sys::{id, open};

/// What to do with an interrupted change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Bring the target to where it was to go.
    Finish,
    /// Bring it back to where it came from.
    Rollback,
    /// Leave it as it is, and forget the change.
    Abandon,
}

/// An interrupted change whose two images are stored, and the direction in which it is to end.
pub(crate) struct Interrupted {
    from: Image,
    to: Image,
    forward: bool,
    /// The pages to be written.
    pub(super) pages: PageSet,
    /// The target holds something that is in neither image.
    pub(crate) strange: bool,
    /// What will be written.
    pub(crate) changes: Summary,
    /// The image digest of the target.
    pub(crate) found: Digest,
}

impl Interrupted {
    /// Compares the target with both images. Without `how` the target must be the very file whose change was
    /// interrupted, and hold nothing that is in neither image.
    pub(crate) fn look(
        work: &Work<'_>,
        intent: &Intent,
        how: Option<Resolution>,
        progress: &dyn Progress,
    ) -> Result<Interrupted> {
        if intent.is_final() {
            return Err(only_forward(work, intent));
        }
        let (path, stamp) = (work.target.path, open::stamp(work.target.file, work.target.path)?);
        // Its device may have another number since a restart. That no other file is taken for it, the pages must show.
        if how.is_none() && stamp.ino != intent.file.1 {
            return Err(Error::refused(
                format!("{} is not the file whose change was interrupted", path.display()),
                Cause::OtherFile,
            ));
        }
        let from = work.history.image(named(work.history, &intent.from)?)?;
        let to = work.history.image(named(work.history, &intent.to)?)?;
        let written = from.changed(&to, PageRange::of_len(to.len()))?;
        let checked = check(work, (&from, &to), &written, progress);
        let checked = work.if_alone(Ok(checked))?;
        // To finish or to roll back means the change that was begun first, also when its rollback was interrupted: the
        // same option always leads to the same image.
        let forward = how.is_none_or(|how| (how == Resolution::Finish) != intent.is_rollback());
        let mut pages = if forward { written } else { to.changed(&from, PageRange::of_len(from.len()))? };
        let strange = checked.is_err();
        let found = match how {
            None => checked?,
            // Whatever differs is written, whether it is of the change or not.
            Some(_) => {
                let image = if forward { &to } else { &from };
                let (differing, found) = compare::pages_off(work.target, image, &work.options.reading, progress)?;
                differing.runs().for_each(|run| pages.insert_range(run));
                found
            }
        };
        work.refuse_hot_log(true)?;
        let end = if forward { &to } else { &from };
        let name = format!("@{} (after an interrupted {})", end.name.number, intent.verb);
        let mut changes = Summary::new(path, ("half-written", stamp.len), (&name, end.len()), &pages);
        changes.metadata = Metadata::of(work.target)?.changes(&Metadata::stored(end.meta()), !changes.is_empty());
        Ok(Interrupted { from, to, forward, pages, strange, changes, found })
    }

    /// The image that it goes to, and the other one.
    pub(super) fn ends(self) -> (Image, Image) {
        if self.forward { (self.to, self.from) } else { (self.from, self.to) }
    }

    /// Writes every page of the change.
    pub(crate) fn carry(self, work: &mut Work<'_>, intent: &Intent, progress: &dyn Progress) -> Result<Report> {
        let (from, to) = if self.forward { (&self.from, &self.to) } else { (&self.to, &self.from) };
        prove_one(to, &self.pages, progress)?;
        let (mut undo, mut notes) = (Some((from.name.number, from.name.id)), Vec::new());
        if self.strange {
            // The snapshot that undo returns to is not what the file held.
            undo = None;
            let number = present(work, progress)?.name.number;
            let what = "the previous content, with what is neither old nor new, is saved as";
            notes.push(Note::warning(format!("{what} @{number}")));
        }
        // A rollback is a change of its own: an interrupted one must continue as a rollback.
        let new = if self.forward { intent.clone() } else { intent.reversed(id::now_ns()) };
        let step = Step { intent: &new, recorded: Some(intent), from: Some(from), to: Some(to), pages: &self.pages };
        let bytes = carry_out_one(work, step, progress)?;
        Ok(Report { undo, notes, ..Report::done(self.changes, bytes) })
    }
}

/// Every sector of the pages of the change must be that of one image or of the other, and the length that of one;
/// all other pages are in both. Returns the image digest of the target.
fn check(work: &Work<'_>, (from, to): (&Image, &Image), written: &PageSet, progress: &dyn Progress) -> Result<Digest> {
    let len = open::stamp(work.target.file, work.target.path)?.len;
    let mut wrong = (len != from.len() && len != to.len()).then_some(len / PAGE64);
    let digest = |source| work.history.packs().page_digest(source);
    for step in Differences::new(from.runs(), to.runs()) {
        let step = step.map_err(|e| e.of(to.path()))?;
        for n in 0..step.pages.len() {
            let (old, new) = (digest(step.a.advance(n))?, digest(step.b.advance(n))?);
            let page = step.pages.start + n;
            if old != new && wrong.is_none() {
                let sources = (step.a.advance(n), step.b.advance(n));
                if !is_either(work, page, len, sources, (old, new))? {
                    wrong = Some(page);
                }
            }
        }
    }
    let mut found = Digest::ZERO;
    if wrong.is_none() {
        let off;
        (off, found) = compare::pages_off(work.target, to, &work.options.reading, progress)?;
        let mut pages = off.runs_within(PageRange::of_len(len)).flat_map(|run| run.start..run.end);
        wrong = pages.find(|page| !written.contains(*page));
    }
    match wrong {
        None => Ok(found),
        Some(page) => Err(Error::refused(
            format!(
                "{} was written to after its change was interrupted: page {page} (byte {:#x}) is \
                 neither the old nor the new one",
                work.target.path.display(),
                page * PAGE64
            ),
            Cause::WrittenSince,
        )),
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
        // What is past the end is cut off, or zeros, either way.
        return Ok(true);
    }
    let now = read_zero_extended(work.target.file, at, len).at("reading", work.target.path)?;
    let digest = page_digest(&now);
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
