//! The checkpoints of a view: the content of its pages at each, saved when the checkpoint is made.
//!
//! The tracker reports the pages that may have been written since it was last asked. A page is *saved* at a checkpoint
//! if it differs from its content at the one before. So its content at a checkpoint is the newest version that was saved
//! there or earlier, or the snapshot's bytes. A page is *pending* if it has a version of the level of the next
//! checkpoint: its changes since the last checkpoint are known, and the tracker will not report it again. This happens
//! in `revert` and `apply`, which keep the versions of a checkpoint for the next one, so that a page that is not written
//! in between is not copied again.

use std::io;

use super::arena::{Arena, Slot};

/// No slot.
const NONE: Slot = Slot::MAX;
/// Pages of one leaf of the index.
const LEAF: usize = 512;

/// Number of a page of the view, in the view's unit.
pub(super) type Unit = usize;

/// The content of a page at some checkpoint; its bytes are in the arena, in the slot of the same number.
#[derive(Clone, Copy, Debug)]
struct Version {
    /// The checkpoint.
    level: usize,
    /// The one before, or `NONE`.
    older: Slot,
}

#[derive(Debug)]
struct Checkpoint {
    name: Option<String>,
    /// Pages saved here.
    pages: Vec<Unit>,
}

#[derive(Debug)]
pub(super) struct Checkpoints {
    /// Bytes of a page.
    unit: usize,
    arena: Arena,
    versions: Vec<Version>,
    /// Page -> its newest version.
    newest: Vec<Option<Box<[Slot; LEAF]>>>,
    /// Checkpoint 1, 2, ...
    made: Vec<Checkpoint>,
    pending: Vec<Unit>,
}

impl Checkpoints {
    pub(super) fn new(unit: usize) -> Checkpoints {
        let arena = Arena::new(unit);
        Checkpoints { unit, arena, versions: Vec::new(), newest: Vec::new(), made: Vec::new(), pending: Vec::new() }
    }

    /// Number of checkpoints; also the number of the last. 0 is the snapshot.
    pub(super) fn depth(&self) -> usize {
        self.made.len()
    }

    pub(super) fn name(&self, level: usize) -> Option<&str> {
        self.made.get(level.checked_sub(1)?)?.name.as_deref()
    }

    /// The bytes of a page.
    pub(super) fn page<'a>(&self, all: &'a [u8], page: Unit) -> &'a [u8] {
        let start = page * self.unit;
        &all[start..(start + self.unit).min(all.len())]
    }

    fn newest(&self, page: Unit) -> Slot {
        self.newest.get(page / LEAF).and_then(Option::as_ref).map_or(NONE, |leaf| leaf[page % LEAF])
    }

    fn set_newest(&mut self, page: Unit, slot: Slot) {
        if self.newest.len() <= page / LEAF {
            self.newest.resize_with(page / LEAF + 1, || None);
        }
        self.newest[page / LEAF].get_or_insert_with(|| Box::new([NONE; LEAF]))[page % LEAF] = slot;
    }

    /// The newest version, if it is of `level`.
    fn version_of(&self, page: Unit, level: usize) -> Option<Slot> {
        let slot = self.newest(page);
        (slot != NONE && self.versions[slot as usize].level == level).then_some(slot)
    }

    fn is_pending(&self, page: Unit) -> bool {
        self.version_of(page, self.depth() + 1).is_some()
    }

    /// The content of `page` at checkpoint `level`; `base` is the snapshot.
    pub(super) fn held<'a>(&'a self, page: Unit, level: usize, base: &'a [u8]) -> &'a [u8] {
        let before = self.page(base, page);
        let mut slot = self.newest(page);
        while slot != NONE {
            let version = self.versions[slot as usize];
            if version.level <= level {
                return self.arena.read(slot, before.len());
            }
            slot = version.older;
        }
        before
    }

    /// Drops the newest version of a page.
    fn drop_newest(&mut self, page: Unit) {
        let slot = self.newest(page);
        self.set_newest(page, self.versions[slot as usize].older);
        self.arena.free(slot);
    }

    fn save(&mut self, page: Unit, bytes: &[u8], level: usize) -> io::Result<()> {
        let slot = self.arena.save(bytes)?;
        let version = Version { level, older: self.newest(page) };
        match self.versions.get_mut(slot as usize) {
            Some(old) => *old = version,
            None => self.versions.push(version),
        }
        self.set_newest(page, slot);
        Ok(())
    }

    /// Returns all pages that may differ between now and checkpoint `since`, ascending: those in `written`, and those
    /// with saved versions.
    pub(super) fn candidates(&self, since: usize, written: impl Iterator<Item = Unit>) -> Vec<Unit> {
        let mut all: Vec<Unit> = written.collect();
        let seen = all.len();
        all.extend(&self.pending);
        self.made[since.min(self.depth())..].iter().for_each(|checkpoint| all.extend(&checkpoint.pages));
        if all.len() > seen {
            all.sort_unstable();
            all.dedup();
        }
        all
    }

    /// Returns the pages that may differ between two checkpoints.
    pub(super) fn between(&self, a: usize, b: usize) -> Vec<Unit> {
        let mut all: Vec<Unit> = self.made[a.min(b)..a.max(b)].iter().flat_map(|m| m.pages.iter().copied()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Makes a checkpoint of `now`. `written` are the pages written since the last `snap` or `revert`. If there is no
    /// memory for the pages, no checkpoint is made, and `written` must be passed again.
    pub(super) fn snap(
        &mut self,
        now: &[u8],
        base: &[u8],
        written: impl Iterator<Item = Unit>,
        name: Option<String>,
    ) -> io::Result<usize> {
        let level = self.depth() + 1;
        let mut same_again = false;
        let mut saved = Ok(());
        for page in written {
            let bytes = self.page(now, page);
            let differs = self.held(page, level - 1, base) != bytes;
            match self.version_of(page, level) {
                Some(slot) if differs => self.arena.write(slot, bytes),
                Some(_) => {
                    self.drop_newest(page);
                    same_again = true;
                }
                None if differs => {
                    saved = self.save(page, bytes, level);
                    if saved.is_err() {
                        break;
                    }
                    self.pending.push(page);
                }
                None => {}
            }
        }
        if same_again {
            let pending = std::mem::take(&mut self.pending);
            self.pending = pending.into_iter().filter(|page| self.is_pending(*page)).collect();
        }
        saved?; // what was saved until then stays pending
        let pages = std::mem::take(&mut self.pending);
        self.made.push(Checkpoint { name, pages });
        Ok(level)
    }

    /// Removes the last checkpoint; changes before it count as changes since the one before.
    pub(super) fn apply(&mut self) {
        let Some(checkpoint) = self.made.pop() else { return };
        let level = self.depth() + 1; // of the one that is removed, and of the next
        let mut pending = std::mem::take(&mut self.pending);
        let known = checkpoint.pages.into_iter().filter(|page| self.version_of(*page, level).is_some()).collect();
        // Those with a younger version are in `pending`: the younger one replaces the removed one's.
        for page in &pending {
            let slot = self.newest(*page);
            let older = self.versions[slot as usize].older;
            if older != NONE && self.versions[older as usize].level == level {
                self.versions[slot as usize].older = self.versions[older as usize].older;
                self.arena.free(older);
            }
            self.versions[slot as usize].level = level;
        }
        self.pending = known;
        self.pending.append(&mut pending);
    }

    /// Rolls `now` back to checkpoint `level`, which stays, and removes later ones. Returns the pages that were written
    /// since it, or just now.
    pub(super) fn go_back(
        &mut self,
        level: usize,
        now: &mut [u8],
        base: &[u8],
        written: impl Iterator<Item = Unit>,
    ) -> Vec<Unit> {
        let pages = self.candidates(level, written);
        for page in &pages {
            let start = page * self.unit;
            let held = self.held(*page, level, base);
            let bytes = &mut now[start..start + held.len()];
            // Writing the same bytes would make a page private.
            if bytes != held {
                bytes.copy_from_slice(held);
            }
        }
        for page in std::mem::take(&mut self.pending) {
            self.drop_newest(page);
        }
        while self.depth() > level {
            let checkpoint = self.made.pop().expect("deeper than some level");
            checkpoint.pages.into_iter().for_each(|page| self.drop_newest(page));
        }
        pages
    }

    /// Removes the last checkpoint directly after `go_back` to it. Its versions are kept for the next one.
    pub(super) fn pop(&mut self) {
        if let Some(checkpoint) = self.made.pop() {
            self.pending = checkpoint.pages;
        }
    }

    /// Returns the number of the first checkpoint of that name.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.made.iter().position(|m| m.name.as_deref() == Some(name)).map(|i| i + 1)
    }
}
