//! A moment of which clones are kept: the targets are cloned, and read afterwards.

use super::clone::{Cloned, Clones, NoClone, clone};
use super::evidence::{Began, Sound};
use super::moment::{Attempt, Graded, Member, Moment};
use crate::capture::{CaptureWatch, Watched, grade, settled};
use crate::error::Result;
use crate::sys::lock::{self, LockMode};

impl<'a> Moment<'a> {
    /// Reads a clone of the only target: a point-in-time image, even while processes write to it.
    pub(super) fn one_clone(&self) -> Result<Attempt<'a>> {
        let (clones, [ready]) = (self.how.clones, self.members) else { return Ok(Attempt::Watch(None)) };
        let Member { history, target, .. } = ready.member;
        if self.how.exclusive || clones == Clones::Never {
            return Ok(Attempt::Watch(None));
        }
        if clones == Clones::Auto && CaptureWatch::is_free(target.file) {
            return Ok(Attempt::Watch(None));
        }
        if self.how.reading.lock {
            // Kept until the target is closed: its writers are between two changes.
            let _ = lock::flock(target.file, target.path, LockMode::Shared, self.how.reading.wait)?;
        }
        let refused = match clone(target, history, clones)? {
            Ok(cloned) => return Ok(Attempt::Done(self.read_clones(vec![cloned], None, || {})?)),
            Err(refused) => refused,
        };
        match refused {
            refused if clones == Clones::Always => Err(refused.error(target)),
            NoClone::Unflushed(why) => Ok(Attempt::Blind(CaptureWatch::blind(why))),
            NoClone::None(_) if clones == Clones::Auto => Ok(Attempt::Watch(None)),
            refused => Ok(Attempt::Watch(Some(refused.why()))),
        }
    }

    /// Clones all targets, which are watched, if that is wanted and not every one has a lease; none if one cannot be
    /// cloned.
    pub(super) fn clones_of_all(&self, watches: &[CaptureWatch<'_>]) -> Result<Option<Vec<Cloned>>> {
        let clones = self.how.clones;
        let leased = watches.iter().all(CaptureWatch::is_lease);
        if self.members.len() == 1 || clones == Clones::Never || clones == Clones::Auto && leased {
            return Ok(None);
        }
        let mut made = Vec::new();
        for ready in self.members {
            match clone(ready.member.target, ready.member.history, clones)? {
                Ok(cloned) => made.push(cloned),
                Err(refused) if clones == Clones::Always => return Err(refused.error(ready.member.target)),
                Err(_) => return Ok(None),
            }
        }
        Ok(Some(made))
    }

    /// Reads clones of all members. The clone of a single one is of one moment; of several, the watches that span all
    /// of them say whether they are of the same one.
    pub(super) fn read_clones(
        &self,
        made: Vec<Cloned>,
        watched: Option<Vec<Watched>>,
        ended: impl FnOnce(),
    ) -> Result<Graded> {
        let began = Began::now();
        let watched = watched.unwrap_or_else(|| self.members.iter().map(|_| Watched::Cloned).collect());
        let mut sound = Vec::new();
        let (together, mut grades) = (self.paths(), Vec::new());
        for ((ready, cloned), watched) in self.members.iter().zip(&made).zip(watched) {
            let target = ready.member.target;
            let one = watched == Watched::Cloned;
            let now = if one { cloned.state.stamp } else { settled(target.file, target.path, &cloned.state.stamp)? };
            let moved = !now.same_state(&cloned.state.stamp);
            sound.push(Sound::of(&watched).filter(|_| if one { cloned.is_still } else { !moved }));
            grades.push(grade((target.file, target.path), &together, self.how.reading.lock, watched, moved));
        }
        ended();
        let mut taken = Vec::new();
        for (i, (cloned, grade)) in made.into_iter().zip(grades).enumerate() {
            let mut reading = self.reader(i, Some(&cloned)).read(&self.members[i].parent)?;
            reading.cloned = Some(cloned);
            self.witness(i, &mut reading, sound[i], began)?;
            let grade = reading.limit(grade);
            taken.push((reading, grade));
        }
        Ok(taken)
    }
}
