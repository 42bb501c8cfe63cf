//! Reading a target once: the scan against its parent, and a new pack with the pages that differ.

use std::ops::Range;

use super::clone::Cloned;
use super::coded_window::{CodedWindow, prepare};
use super::new_pack::NewPack;
use super::part::{self, Part};
use super::state::{Read, State, state_of};
use crate::capture::{Base, Leaf, NoBase, ScannedWindow, Scope, scan};
use crate::error::{Cause, Error, Result};
use crate::ops::Progress;
use crate::ops::input::Target;
use crate::ops::input::known::KnownImage;
use crate::ops::save::capture::CaptureOptions;
use crate::pack::{Changed, Grade, PackSummary, Source};
use crate::page::{Digest, GROUP_PAGES, GROUP64, ImageHasher, groups_of, pages_of};
use crate::store::{DigestCache, DigestCacheUpdate, Evidence, History, Image, ImageBase, UpdateRuns};
use crate::sys::create::Pending;
use crate::sys::freeze::Frozen;
use crate::sys::open::Stamp;

/// What a target is compared with: the last image that is known of it, and its digest cache.
pub(super) type Parent = Option<(Image, Option<DigestCache>)>;

/// One full reading of a target.
pub(super) struct FullReading {
    /// What it was compared with.
    pub(super) parent: Option<Image>,
    pub(super) image: Digest,
    pub(super) changed: Changed,
    /// Of the target, before it was read.
    pub(super) stamp: Stamp,
    pub(super) attrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) draft: UpdateRuns,
    pub(super) pack: Option<(Pending, PackSummary)>,
    /// None where nothing was read.
    pub(super) cache: Option<DigestCacheUpdate>,
    /// What makes it known that the target holds this image.
    pub(super) evidence: Option<Evidence>,
    /// Who was stopped meanwhile.
    pub(super) frozen: Option<Frozen>,
    /// The clone that was read.
    pub(super) cloned: Option<Cloned>,
    /// Why there is none, where one was wanted.
    pub(super) not_cloned: Option<String>,
    /// How much of it was read.
    pub(super) read: Read,
    /// The caller says what was not read.
    pub(super) is_claimed: bool,
}

impl FullReading {
    /// The grade of what was read, given that of the moment.
    pub(super) fn limit(&self, (grade, reason): (Grade, String)) -> (Grade, String) {
        match self.is_claimed && grade > Grade::Claimed {
            true => (Grade::Claimed, self.read.why.clone()),
            false => (grade, reason),
        }
    }
}

/// The target to read, and how.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) history: &'a History,
    pub(super) target: Target<'a>,
    /// The clone that is read in its place.
    pub(super) cloned: Option<&'a Cloned>,
    /// What the caller says is all that changed.
    pub(super) changed: Option<&'a [Range<u64>]>,
    pub(super) how: &'a CaptureOptions<'a>,
    pub(super) progress: &'a dyn Progress,
}

impl Reader<'_> {
    /// Reads it, compared with `parent`.
    pub(super) fn read(&self, parent: &Parent) -> Result<FullReading> {
        // Only now: the previous holder of the lock may have changed the file.
        let state = match self.cloned {
            Some(cloned) => cloned.state.clone(),
            None => state_of(self.target)?,
        };
        let (mut part, mut why) = (None, String::new());
        if let Some((image, Some(cache))) = parent {
            match part::of(self.history, self.cloned, (self.how, self.changed), image, state.stamp.len) {
                Ok(found) => part = Some(found),
                Err(reason) => why = reason,
            }
            match self.attempt(&state, Some(image), cache, Some(cache), part) {
                // The cache is damaged, and was removed: once more without it.
                Err(e) if DigestCache::is_cause(self.history, &e) => {}
                taken => return taken.map(|taken| taken.because(why)),
            }
        }
        if self.changed.is_some() || self.how.keeps() {
            let missing = if parent.is_some() { "there is no digest cache" } else { "there is no earlier snapshot" };
            why = missing.into();
        }
        if let Some((image, _)) = parent {
            match self.attempt(&state, Some(image), &ImageBase::new(image), None, None) {
                // The index of a pack is damaged, so it is not known what its snapshots hold: all pages are stored
                // again.
                Err(Error::Damaged { .. }) => {}
                taken => return taken.map(|taken| taken.because(why)),
            }
        }
        Ok(self.attempt(&state, None, &NoBase, None, None)?.because(why))
    }

    /// What a reading would find of a target that is known to hold `known`; none if it was written meanwhile.
    pub(super) fn unread(&self, known: &KnownImage) -> Result<Option<FullReading>> {
        let State { stamp, attrs } = state_of(self.target)?;
        if stamp.ctime_ns != known.evidence.seen.ctime_ns || stamp.len != known.image.len() {
            return Ok(None);
        }
        Ok(Some(FullReading {
            parent: Some(known.image.clone()),
            image: known.image.digest(),
            changed: Changed::default(),
            stamp,
            attrs,
            draft: UpdateRuns::new(self.history),
            pack: None,
            cache: None,
            evidence: Some(known.evidence),
            frozen: None,
            cloned: None,
            not_cloned: None,
            read: Read { bytes: Some(0), why: known.why() },
            is_claimed: false,
        }))
    }

    fn attempt(
        &self,
        state: &State,
        parent: Option<&Image>,
        base: &dyn Base,
        cache: Option<&DigestCache>,
        part: Option<Part>,
    ) -> Result<FullReading> {
        let Reader { history, target, cloned, how, progress, .. } = *self;
        let len = state.stamp.len;
        let mut taking = WindowCollector {
            history,
            target,
            len,
            parent_pages: parent.map(Image::pages),
            hasher: ImageHasher::new(len),
            draft: UpdateRuns::new(history),
            cache: DigestCacheUpdate::deferred(history, cache),
            pack: NewPack::new(history, how.reserve),
            changed: Changed::default(),
            unread: cache.filter(|_| part.is_some()).map(|cache| (cache, 0)),
            claimed: part.as_ref().and_then(|part| part.claimed.as_ref()),
        };
        let scope = part.as_ref().map(|part| &part.scope);
        progress.begin("reading", scope.map_or(len, Scope::bytes));
        let prepare = |found: ScannedWindow| Ok(prepare(found, how.compress, len));
        let advance = |bytes: u64| progress.advance(bytes);
        let read = (cloned.map_or(target.file, |cloned| cloned.file.file()), target.path, len);
        let scanned = scan(read, scope, base, how.reading.how(true), &advance, &prepare, |part| taking.take(part));
        progress.end();
        scanned?;
        taking.skip_to(groups_of(len))?;
        let State { stamp, attrs } = state.clone();
        Ok(FullReading {
            parent: parent.cloned(),
            image: taking.hasher.finish(),
            changed: taking.changed,
            stamp,
            attrs,
            draft: taking.draft,
            pack: taking.pack.finish()?,
            cache: Some(taking.cache),
            evidence: None,
            frozen: None,
            cloned: None,
            is_claimed: part.as_ref().is_some_and(|part| part.claimed.is_some()),
            read: part.map_or_else(Read::default, |part| Read { bytes: Some(part.scope.bytes()), why: part.why }),
            not_cloned: None,
        })
    }
}

impl FullReading {
    /// Says why all of it was read, where that is so and nothing else was said.
    pub(super) fn because(mut self, why: String) -> FullReading {
        if self.read.bytes.is_none() && self.read.why.is_empty() {
            self.read.why = why;
        }
        self
    }
}

/// Collects the windows of an image, in page order.
struct WindowCollector<'a> {
    history: &'a History,
    target: Target<'a>,
    len: u64,
    /// Pages of the parent.
    parent_pages: Option<u64>,
    hasher: ImageHasher,
    draft: UpdateRuns,
    cache: DigestCacheUpdate,
    pack: NewPack<'a>,
    changed: Changed,
    /// Where only a part is read: what holds the digests of the other groups, and the first group not folded yet.
    unread: Option<(&'a DigestCache, u64)>,
    /// The groups outside which nothing may differ.
    claimed: Option<&'a Scope>,
}

impl WindowCollector<'_> {
    /// Folds the groups before `group` that were not read.
    fn skip_to(&mut self, group: u64) -> Result<()> {
        match &mut self.unread {
            Some((cache, next)) => cache.fold_into(std::mem::replace(next, group)..group, &mut self.hasher),
            None => Ok(()),
        }
    }

    fn must_be_claimed(&self, leaves: &[Leaf]) -> Result<()> {
        let Some(claimed) = self.claimed else { return Ok(()) };
        match leaves.iter().find(|leaf| !claimed.holds(leaf.group)) {
            Some(leaf) => {
                let (start, end) = (leaf.group * GROUP64, (leaf.group + 1) * GROUP64);
                let what = format!(
                    "bytes {start}..{end} of {} changed since the last snapshot, and are not in the ranges that are said \
                     to have changed: nothing was stored",
                    self.target.path.display()
                );
                Err(Error::refused(what, Cause::NotClaimed))
            }
            None => Ok(()),
        }
    }

    fn take(&mut self, part: CodedWindow) -> Result<()> {
        self.must_be_claimed(&part.leaves)?;
        self.skip_to(part.window.start / GROUP_PAGES)?;
        if let Some((_, next)) = &mut self.unread {
            *next = part.window.end / GROUP_PAGES;
        }
        part.groups.iter().for_each(|(group, digest)| self.hasher.push(*group, digest));
        self.cache.put(&part.leaves);
        self.changed.pages += part.changed.pages;
        self.changed.bytes += part.changed.bytes;
        let runs = part.runs(self.parent_pages.unwrap_or(0), pages_of(self.len));
        for run in runs {
            let run = run.map_err(|e| e.of(self.history.dir()))?;
            // Without a parent, pages without a run are holes.
            if self.parent_pages.is_some() || run.source != Source::Hole {
                self.draft.push(run, self.history)?;
            }
        }
        for (pages, frame) in &part.frames {
            self.pack.push(pages, frame)?;
        }
        Ok(())
    }
}
