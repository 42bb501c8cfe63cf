//! The target, its history, and what they must be: images in memory.
//!
//! After a blow: what was acknowledged is there, whole; the target is old or new, or a record says that it lies between,
//! and recovery makes it new; at most the snapshots in flight are there besides; nothing is left for people to clear up.

use std::os::unix::fs::FileExt;

use memsnap::ops::Resolution;
use memsnap::{Error, Result};

use super::crash::{Blow, during};
use super::ground::Ground;
use super::script::{Script, Step};
use super::vec::{Blows, Vector};

/// All that is known.
pub(crate) struct Model {
    ground: Ground,
    /// What the target holds.
    live: Vec<u8>,
    /// Snapshots 1, 2, 3...
    images: Vec<Vec<u8>>,
    /// Which of them a tag names.
    tag: Option<u64>,
    /// What the last change came from and left.
    last: Option<(Vec<u8>, Vec<u8>)>,
    /// What was restored elsewhere.
    out: Option<Vec<u8>>,
    vector: Vector,
    /// What falls on the step at hand.
    blows: Blows,
    /// Whether a blow has fallen, and all was verified after it.
    settled: bool,
}

/// Plays a script to its end.
pub(crate) fn play(script: &Script) {
    let live = noise(1, 9000);
    let ground = Ground::new(&live, script.compress);
    let none = Blows { at: 0, again: 0, blow: script.blow };
    let (vector, blows) = (Vector::new(ground.dir()), none);
    let mut model =
        Model { ground, live, images: Vec::new(), tag: None, last: None, out: None, vector, blows, settled: false };
    for (n, step) in script.steps.iter().enumerate() {
        let falls = Blows { at: script.at, again: script.again, ..none };
        model.blows = if n == script.struck { falls } else { none };
        model.step(*step);
        assert!(model.ground.bytes() == model.live, "the target after {step:?}");
    }
    model.blows = none;
    model.snap(false);
    model.acknowledged();
    if !model.settled {
        model.verify();
    }
}

/// Bytes that compress by half, the same for the same seed.
fn noise(seed: u8, len: u64) -> Vec<u8> {
    let mut state = u64::from(seed) + 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 60) as u8 + 1
    };
    (0..len).map(|_| next()).collect()
}

fn overwrite(bytes: &mut Vec<u8>, at: u64, new: &[u8]) {
    let (at, end) = (at as usize, at as usize + new.len());
    bytes.resize(bytes.len().max(end), 0);
    bytes[at..end].copy_from_slice(new);
}

impl Model {
    fn step(&mut self, step: Step) {
        match step {
            Step::Write { at, len, seed } => {
                let bytes = noise(seed, len);
                self.ground.open().write_all_at(&bytes, at).expect("another process writes");
                overwrite(&mut self.live, at, &bytes);
            }
            Step::SetLen(len) => {
                self.ground.open().set_len(len).expect("another process cuts");
                self.live.resize(len as usize, 0);
            }
            Step::Punch { at, len } => {
                let end = (at + len).min(self.live.len() as u64);
                if at < end && memsnap::sys::sparse::punch(&self.ground.open(), at, end - at).is_ok_and(|made| made) {
                    self.live[at as usize..end as usize].fill(0);
                }
            }
            Step::Snap { tag } => self.snap(tag),
            Step::Restore(which) => self.restore(which),
            Step::Undo => self.undo(),
            Step::Vec { set, push, cut, seed } => self.vector.step((set, push, cut, seed), self.blows),
            Step::Edit { at, len, seed } => {
                let bytes = noise(seed, len);
                let mut new = self.live.clone();
                overwrite(&mut new, at, &bytes);
                self.change(&new, |ground| ground.edit(at, &bytes));
            }
            Step::Revert(which) => {
                let Some((number, image)) = self.pick(which) else { return };
                self.change(&image, |ground| ground.revert(number, None));
            }
            Step::RevertRange { which, at, len } => {
                let Some((number, image)) = self.pick(which) else { return };
                let end = (at + len).min(self.live.len() as u64).min(image.len() as u64);
                if at < end {
                    let (mut new, span) = (self.live.clone(), at as usize..end as usize);
                    new[span.clone()].copy_from_slice(&image[span]);
                    self.change(&new, |ground| ground.revert(number, Some((at, end))));
                }
            }
            Step::Apply { from, to } => {
                let (Some((a, base)), Some((b, result))) = (self.pick(from), self.pick(to)) else { return };
                let delta = self.ground.delta(a, b);
                // Where it is the result already, there is nothing to do.
                let fits = base == self.live || result == self.live;
                self.change_if(fits.then_some(&result), |ground| ground.apply(&delta));
            }
        }
    }

    fn pick(&self, which: usize) -> Option<(u64, Vec<u8>)> {
        let place = which.checked_rem(self.images.len())?;
        Some((place as u64 + 1, self.images[place].clone()))
    }

    fn snap(&mut self, tag: bool) {
        let (done, struck) = during(self.blows.at, self.blows.blow, || self.ground.snap(tag));
        let before = self.images.len() as u64;
        self.catch_up(&[&self.live.clone()]);
        match done {
            Ok(report) => {
                assert!(self.images[report.number as usize - 1] == self.live, "a snapshot is of what there is");
                assert!(!report.new || report.number == before + 1, "and the next");
                self.tag = if tag { Some(report.number) } else { self.tag };
            }
            Err(e) => {
                assert!(struck, "{e}");
                // A tag may have moved already: to the snapshot of what there is, and to no other.
                let named = self.ground.tagged();
                assert!(named == self.tag || tag && named.is_some_and(|n| self.images[n as usize - 1] == self.live));
                self.tag = named;
            }
        }
        if struck {
            self.settle(None);
        }
    }

    /// Everything about it is there at once: the old file, the new one, or, as there was none, none.
    fn restore(&mut self, which: usize) {
        let Some((number, image)) = self.pick(which) else { return };
        let (done, struck) = during(self.blows.at, self.blows.blow, || self.ground.restore(number));
        let found = self.ground.restored();
        match done {
            Ok(_) => assert!(found.as_ref() == Some(&image), "@{number} is restored"),
            Err(e) => {
                assert!(struck, "{e}");
                assert!(found == self.out || found.as_ref() == Some(&image), "what was there, or all of it");
            }
        }
        self.out = found;
        if struck {
            self.settle(None);
        }
    }

    fn undo(&mut self) {
        let goal = self.last.clone().filter(|last| last.1 == self.live).map(|last| last.0);
        self.change_if(goal.as_ref(), Ground::undo);
    }

    /// A change that must lead to `new`.
    fn change(&mut self, new: &[u8], verb: impl FnOnce(&Ground) -> Result<()>) {
        self.change_if(Some(&new.to_vec()), verb);
    }

    /// A change that must lead to `goal`; without one, it must be refused and change nothing.
    fn change_if(&mut self, goal: Option<&Vec<u8>>, verb: impl FnOnce(&Ground) -> Result<()>) {
        let (done, struck) = during(self.blows.at, self.blows.blow, || verb(&self.ground));
        match (&done, goal) {
            (Ok(()), Some(goal)) => self.changed(goal),
            (Ok(()), None) => panic!("done, though it should have been refused"),
            (Err(e), Some(_)) => assert!(struck, "{e}"),
            (Err(Error::Base { .. } | Error::Missing { .. }), None) => {}
            (Err(e), None) => assert!(struck, "{e}"),
        }
        if struck {
            self.settle(goal.filter(|_| done.is_err()));
        }
        let (live, from) = (self.live.clone(), self.last.clone().map(|last| last.0));
        self.catch_up(&[&live, from.as_ref().unwrap_or(&live), goal.unwrap_or(&live)]);
    }

    /// The target holds `new` now, by a change that can be taken back.
    fn changed(&mut self, new: &[u8]) {
        let old = std::mem::replace(&mut self.live, new.to_vec());
        if old != new {
            self.last = Some((old, new.to_vec()));
        }
    }

    /// After a blow: `goal` is where a change was to lead that did not say that it was done.
    fn settle(&mut self, goal: Option<&Vec<u8>>) {
        let begun = self.ground.is_begun();
        let now = self.ground.bytes();
        let torn = self.blows.blow == Blow::Torn;
        match goal {
            Some(goal) if begun => assert!(torn || between(&now, &self.live, goal), "each page is old or new"),
            Some(goal) => assert!(now == self.live || now == *goal, "nothing was begun: it is old or new"),
            None => assert!(now == self.live && !begun, "nothing has touched the target"),
        }
        self.acknowledged();
        if begun {
            self.recover(torn);
        }
        if let Some(goal) = goal.filter(|goal| begun || now == **goal) {
            self.changed(goal);
        }
        assert!(self.ground.bytes() == self.live && !self.ground.is_begun(), "the target is whole");
        let live = self.live.clone();
        let from = self.last.as_ref().map_or(&live, |last| &last.0).clone();
        // A recovery with a direction for torn pages stores a snapshot of what there was.
        let torn = if torn && begun { &now } else { &live };
        self.catch_up(&[&live, &from, goal.unwrap_or(&live), torn]);
        self.verify();
        self.settled = true;
    }

    /// Another blow may fall on the recovery; the next one goes to its end. A page that was torn is neither old nor new:
    /// then the user must say that it is to be finished.
    fn recover(&self, torn: bool) {
        let (first, struck) = during(self.blows.again, self.blows.blow, || self.ground.recover(None));
        match first {
            Ok(()) => {}
            Err(e) if struck => drop(e),
            Err(Error::Refused { .. }) if torn => {}
            Err(e) => panic!("it cannot be recovered: {e}"),
        }
        if !self.ground.is_begun() {
            return;
        }
        match self.ground.recover(None) {
            Err(Error::Refused { .. }) if torn => self.ground.recover(Some(Resolution::Finish)),
            done => done,
        }
        .expect("a recovery without a blow ends");
    }

    /// Snapshots that the store has and the model has not: what memsnap made by itself, or had in flight.
    fn catch_up(&mut self, expected: &[&Vec<u8>]) {
        for number in self.images.len() as u64 + 1..=self.ground.snapshots() {
            let image = self.ground.stored(number).expect("a snapshot that is there can be read");
            assert!(expected.contains(&&image), "@{number} holds what the target never did");
            self.images.push(image);
        }
    }

    /// What was acknowledged is there.
    fn acknowledged(&self) {
        assert!(self.ground.snapshots() >= self.images.len() as u64, "no snapshot is lost");
        for (image, number) in self.images.iter().zip(1..) {
            assert!(self.ground.stored(number).is_ok_and(|bytes| bytes == *image), "@{number} is as it was");
        }
        assert!(self.tag.is_none() || self.ground.tagged() == self.tag, "the tag names what it did");
    }

    /// The program finds no fault with the store.
    fn verify(&self) {
        self.vector.check();
        if !self.images.is_empty() {
            let faults = self.ground.faults().expect("a store with snapshots can be verified");
            assert!(faults.is_empty(), "{faults:?}");
        }
    }
}

/// Whether every page of `now` is that of `old` or that of `new`, and so is its length.
fn between(now: &[u8], old: &[u8], new: &[u8]) -> bool {
    let page = |bytes: &[u8], at: usize| {
        let mut page = bytes.get(at..).map_or(Vec::new(), |rest| rest[..rest.len().min(4096)].to_vec());
        page.resize(4096, 0);
        page
    };
    let either = |at: usize| [old, new].iter().any(|bytes| page(now, at) == page(bytes, at));
    [old.len(), new.len()].contains(&now.len()) && (0..now.len()).step_by(4096).all(either)
}
