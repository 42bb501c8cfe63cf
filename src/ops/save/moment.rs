//! The moment at which targets are captured: a watch over all of them begins before the first byte is read, and ends
//! after the last.

use std::fs::File;
use std::path::Path;
use std::time::Instant;

use super::capture::{CaptureOptions, CapturedImage};
use super::clone::Cloned;
use super::evidence::{Began, Sound, Traces, evidence};
use super::heal::{Healed, heal, suspects};
use super::read_target::{FullReading, Parent, Reader};
use crate::capture::{CaptureWatch, Patience, Watchable, Watched, grade, settled};
use crate::error::{Error, Result};
use crate::ops::input::Target;
use crate::ops::input::known::dirs as known_dirs;
use crate::ops::input::known::{KnownImage, known_image};
use crate::ops::{Around, Progress, Quiet, head};
use crate::pack::Grade;
use crate::store::{FileId, History, SnapName, WriteLock};
use crate::sys::{lock, quiet};

/// A target to capture.
#[derive(Clone, Copy)]
pub(crate) struct Member<'a> {
    pub(crate) history: &'a History,
    pub(crate) writing: &'a WriteLock,
    pub(crate) target: Target<'a>,
}

/// Takes an image of each member, all at one moment.
pub(crate) fn take_all(
    members: &[Member<'_>],
    how: &CaptureOptions<'_>,
    progress: &dyn Progress,
) -> Result<Vec<CapturedImage>> {
    let dirs: Vec<_> = members.iter().map(|member| member.history.dir()).collect();
    if how.around.is_some() {
        // The command before may freeze the file system of a target: what its time stamps show is tried before that.
        members.iter().for_each(|m| drop(quiet::check(m.target.file, &known_dirs(m.history, m.target))));
    }
    // What is known of a target is known from here on: the command before may write to it.
    let (ready, taken) = around(how.around, &dirs, || {
        let ready = members.iter().map(|member| Ready::new(*member, how)).collect::<Result<Vec<_>>>()?;
        let taken = Moment { members: &ready, how, progress }.take()?;
        Ok((ready, taken))
    })?;
    let finish = |(ready, (reading, grade))| Ready::finish(ready, reading, grade);
    Ok(ready.into_iter().zip(taken).map(finish).collect())
}

/// Runs `take` between the beginning and the end of `around`.
fn around<T>(around: Option<&dyn Around>, dirs: &[&Path], take: impl FnOnce() -> Result<T>) -> Result<T> {
    struct End<'a>(&'a dyn Around);
    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.0.end();
        }
    }
    let _end = around.map(End);
    around.map_or(Ok(()), |around| around.begin(dirs))?;
    take()
}

/// A member that can be read.
pub(super) struct Ready<'a> {
    pub(super) member: Member<'a>,
    /// What it is known to hold; otherwise why it must be read.
    known: std::result::Result<KnownImage, String>,
    pub(super) parent: Parent,
    healed: Healed,
    damage: Vec<String>,
}

impl Ready<'_> {
    /// Heals what of its history is damaged, as far as the target holds it.
    fn new<'a>(member: Member<'a>, how: &CaptureOptions<'_>) -> Result<Ready<'a>> {
        let Member { history, writing, target } = member;
        if how.reading.lock && !how.exclusive {
            // Its holder may be about to write.
            let _ = lock::flock(target.file, target.path, lock::LockMode::Shared, how.reading.wait)?;
        }
        let mut known = match how.must_read() {
            Some(why) => Err(why.into()),
            None => known_image(history, target, how.reading)?,
        };
        let mut parent = match &known {
            Ok(known) => Some((known.image.clone(), None)),
            Err(_) => head(history)?,
        };
        let mut damage = damaged_latest(history, parent.as_ref().map(|(image, _)| image.name))?;
        let healed = match &parent {
            Some((image, _)) => heal(history, writing, &suspects(image)?, target.file)?,
            None => Healed::default(),
        };
        if healed.broken {
            // No snapshot may use a pack that is missing or has a damaged index: all pages are stored again.
            (parent, known) = (None, Err("earlier snapshots of it are damaged".into()));
        }
        let lost: u64 = healed.lost.iter().map(|(_, pages)| pages.len()).sum();
        if lost > 0 {
            let also = if healed.unread { ", or that cannot be read" } else { "" };
            damage.push(format!("damaged pages of earlier snapshots that the file holds no more{also}: {lost}"));
        }
        Ok(Ready { member, known, parent, healed, damage })
    }

    fn finish(mut self, reading: FullReading, (grade, reason): (Grade, String)) -> CapturedImage {
        if self.healed.broken || self.parent.is_some() && reading.parent.is_none() {
            let what = "earlier snapshots use a pack that is missing or damaged: all pages were stored again";
            self.damage.insert(0, what.into());
        }
        self.member.history.remember_file(self.member.writing, FileId::of(&reading.stamp));
        CapturedImage {
            parent: reading.parent,
            image: reading.image,
            len: reading.stamp.len,
            changed: reading.changed,
            grade,
            reason,
            frozen: reading.frozen,
            repaired: self.healed.pages,
            damage: self.damage,
            stamp: reading.stamp,
            attrs: reading.attrs,
            draft: reading.draft,
            pack: reading.pack,
            traces: Traces { cache: reading.cache, evidence: reading.evidence },
            cloned: reading.cloned,
            not_cloned: reading.not_cloned,
            read: reading.read,
        }
    }
}

/// That the latest snapshot is damaged, and so not the one to compare with: otherwise a user who only runs snap would
/// not know.
fn damaged_latest(history: &History, head: Option<SnapName>) -> Result<Vec<String>> {
    let Some(latest) = history.snapshots()?.pop().filter(|latest| Some(*latest) != head) else { return Ok(Vec::new()) };
    match history.image(latest) {
        Err(Error::Damaged { .. }) => Ok(vec![format!("snapshot @{} is damaged", latest.number)]),
        Err(newer @ Error::Version { .. }) => Err(newer),
        _ => Ok(Vec::new()),
    }
}

/// A reading of each member, with the grade and its reason.
pub(super) type Graded = Vec<(FullReading, (Grade, String))>;

/// What became of the attempt to read clones.
pub(super) enum Attempt<'a> {
    /// They were read.
    Done(Graded),
    /// They are not wanted, or there are none: the targets themselves are read, and watched. Why there are none.
    Watch(Option<String>),
    /// The same, and nothing can be seen of the target.
    Blind(CaptureWatch<'a>),
}

/// The capture of all members.
#[derive(Clone, Copy)]
pub(super) struct Moment<'a> {
    pub(super) members: &'a [Ready<'a>],
    pub(super) how: &'a CaptureOptions<'a>,
    pub(super) progress: &'a dyn Progress,
}

impl Moment<'_> {
    /// Reads all; again while one of them is written meanwhile, as long as there is patience. The last full reading
    /// counts if no other begins. Where it is known what all hold, nothing is read.
    fn take(&self) -> Result<Graded> {
        if let Some(known) = self.all_known()? {
            return Ok(known);
        }
        let not_cloned = match self.one_clone()? {
            Attempt::Done(taken) => return Ok(taken),
            Attempt::Blind(watch) => return Ok(self.read(Some(vec![watch]), || {})?.0),
            Attempt::Watch(why) => why,
        };
        let mut taken = match self.how.freeze {
            Some(bound) => self.frozen(bound)?,
            None => self.watched()?,
        };
        if let ([(reading, (grade, reason))], Some(why)) = (&mut taken[..], not_cloned) {
            if *grade < Grade::Proven {
                *reason = format!("{reason}; it was not cloned: {why}");
            }
            reading.not_cloned = Some(why);
        }
        Ok(taken)
    }

    fn watched(&self) -> Result<Graded> {
        let until = Instant::now() + self.how.patience;
        let mut last = None;
        loop {
            let watches = if self.how.exclusive { None } else { Some(self.watch(until)?) };
            let sees = watches.as_ref().is_none_or(|watches| watches.iter().all(CaptureWatch::sees));
            if let Some(taken) = last.take().filter(|_| !sees) {
                return Ok(taken);
            }
            let (taken, was_written) = self.read(watches, || {})?;
            if !was_written || !sees || Instant::now() >= until {
                return Ok(taken);
            }
            last = Some(taken);
        }
    }

    /// Without progress messages: who reads them may be stopped.
    pub(super) fn silent(self) -> Self {
        Moment { progress: &Quiet, ..self }
    }

    pub(super) fn files(&self) -> Vec<&File> {
        self.members.iter().map(|ready| ready.member.target.file).collect()
    }

    pub(super) fn watch(&self, until: Instant) -> Result<Vec<CaptureWatch<'_>>> {
        let reading = self.how.reading;
        let patience = Patience { lock: reading.lock.then_some(reading.wait), until };
        self.watchable(|files| CaptureWatch::begin(files, patience))
    }

    /// Watches the members, whose writers are stopped, as `reason` says.
    pub(super) fn watch_stopped(&self, reason: &str) -> Vec<CaptureWatch<'_>> {
        self.watchable(|files| CaptureWatch::begin_quiet(files, reason))
    }

    fn watchable<'s, R>(&'s self, watch: impl FnOnce(&[Watchable<'s, '_>]) -> R) -> R {
        let dirs = |ready: &Ready<'_>| {
            let path = ready.member.target.path;
            [path.parent().unwrap_or(path).to_path_buf(), ready.member.history.dir().to_path_buf()]
        };
        let dirs: Vec<_> = self.members.iter().map(dirs).collect();
        let targets = self.members.iter().map(|ready| ready.member.target);
        let files: Vec<_> = targets.zip(&dirs).map(|(target, dirs)| (target.file, target.path, dirs)).collect();
        watch(&files)
    }

    /// What each is known to hold, if that is known of all. Each held it when the first was looked at.
    fn all_known(&self) -> Result<Option<Graded>> {
        let (mut taken, together) = (Vec::new(), self.paths());
        for (i, ready) in self.members.iter().enumerate() {
            let Ok(known) = &ready.known else { return Ok(None) };
            let Some(reading) = self.reader(i, None).unread(known)? else { return Ok(None) };
            let Target { file, path } = ready.member.target;
            settled(file, path, &reading.stamp)?;
            taken.push((reading, known.grade(path, &together)));
        }
        Ok(Some(taken))
    }

    /// Reads member `i`, unless it still is known what it holds: all are at this moment what they are now.
    fn read_one(&self, i: usize) -> Result<FullReading> {
        let (ready, reader) = (&self.members[i], self.reader(i, None));
        let why = match &ready.known {
            Err(why) => why.clone(),
            Ok(known) => match known.still(ready.member.history, ready.member.target)? {
                Err(why) => why,
                Ok(()) => match reader.unread(known)? {
                    Some(reading) => return Ok(reading),
                    None => "it is being written".into(),
                },
            },
        };
        Ok(reader.read(&ready.parent)?.because(why))
    }

    /// Leaves evidence of a sound reading of member `i` that began then.
    pub(super) fn witness(
        &self,
        i: usize,
        reading: &mut FullReading,
        sound: Option<Sound>,
        began: Began,
    ) -> Result<()> {
        if let Some(sound) = sound.filter(|_| reading.evidence.is_none() && !reading.is_claimed) {
            let Member { history, target, .. } = self.members[i].member;
            let is_whole = reading.read.bytes.is_none();
            reading.evidence = evidence(history, target, &reading.stamp, sound, (began, is_whole))?;
        }
        Ok(())
    }

    /// Reads each, ends its watch and grades it; then calls `ended`. Also returns whether one was written meanwhile.
    pub(super) fn read(&self, watches: Option<Vec<CaptureWatch<'_>>>, ended: impl FnOnce()) -> Result<(Graded, bool)> {
        let (began, is_watched) = (Began::now(), watches.is_some());
        let made = match &watches {
            Some(watches) => self.clones_of_all(watches)?,
            None => None,
        };
        if let Some(made) = made {
            let watched = self.end(watches);
            let was_written = watched.iter().any(|watched| matches!(watched, Watched::Written(_)));
            return Ok((self.read_clones(made, Some(watched), ended)?, was_written));
        }
        let readings = (0..self.members.len()).map(|i| self.read_one(i)).collect::<Result<Vec<_>>>()?;
        let watched = self.end(watches);
        let together = self.paths();
        let mut was_written = false;
        let (mut taken, mut sound) = (Vec::new(), Vec::new());
        for ((ready, reading), watched) in self.members.iter().zip(readings).zip(watched) {
            let Target { file, path } = ready.member.target;
            let moved = !settled(file, path, &reading.stamp)?.same_state(&reading.stamp);
            was_written |= moved || matches!(watched, Watched::Written(_));
            sound.push(Sound::of(&watched).filter(|_| is_watched && !moved));
            let mut grade = reading.limit(grade((file, path), &together, self.how.reading.lock, watched, moved));
            if let (Ok(known), Some(_)) = (&ready.known, &reading.evidence) {
                // It is no better than what the last reading rests on.
                grade = known.grade(path, &together).min(grade);
            }
            taken.push((reading, grade));
        }
        ended();
        for (i, ((reading, _), sound)) in taken.iter_mut().zip(sound).enumerate() {
            self.witness(i, reading, sound, began)?;
        }
        Ok((taken, was_written))
    }

    /// What reads member `i`, or its clone.
    pub(super) fn reader<'b>(&'b self, i: usize, cloned: Option<&'b Cloned>) -> Reader<'b> {
        let Member { history, target, .. } = self.members[i].member;
        // The others are its logs.
        let changed = self.how.changed.filter(|_| i == 0);
        Reader { history, target, cloned, changed, how: self.how, progress: self.progress }
    }

    /// The paths of all.
    pub(super) fn paths(&self) -> Vec<&std::path::Path> {
        self.members.iter().map(|ready| ready.member.target.path).collect()
    }

    /// Ends the watches; without any, the caller keeps all others from writing.
    fn end(&self, watches: Option<Vec<CaptureWatch<'_>>>) -> Vec<Watched> {
        let files = self.members.iter().map(|ready| ready.member.target.file);
        match watches {
            None => files.map(|_| Watched::Excluded).collect(),
            Some(watches) => watches.into_iter().zip(files).map(|(watch, file)| watch.end(file)).collect(),
        }
    }
}
