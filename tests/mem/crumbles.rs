//! The same histories in `crumbles::Mmap` and in our views: after every step the bytes that are seen are the same, what
//! we call dirty is among what it calls dirty, and what it keeps of those pages is what we say was there before.
//!
//! What it leaves undefined is left out here: pages whose file is shorter than they are (SIGBUS behind its end),
//! read(2) into the memory (EFAULT where a page was not yet written), and lengths that are not whole pages. Its dirty
//! pages are a superset: a page is among them once it faulted twice, and after `apply` or `revert` reading can be the
//! second fault, as the pages that were hit before are remembered but are to be faulted in again.
#![allow(unsafe_code, reason = "crumbles maps files that must not change, and makes its caller promise that")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use crumbles::Mmap;
use memsnap::mem::{CowView, Options, Snapshot};
use proptest::prelude::*;

use super::ground::{methods, noise, numbers};
use super::history::{Model, Step, agree};

fn step() -> impl Strategy<Value = Step> {
    let at = || prop_oneof![0..30_usize << 16, (0..30_usize).prop_map(|n| n << 16)];
    let len = || prop_oneof![4 => 1..9000_usize, 1 => Just(1 << 16), 1 => 1..5_usize << 16];
    prop_oneof![
        8 => (at(), len(), 0..4_u8).prop_map(|(at, len, byte)| Step::Write { at, len, byte }),
        2 => (at(), len()).prop_map(|(at, len)| Step::Rewrite { at, len }),
        4 => Just(Step::Snap),
        4 => Just(Step::Revert),
        4 => Just(Step::Apply),
    ]
}

/// The same step there.
fn step_there(step: &Step, there: &mut Mmap) {
    let len = there.len();
    match step {
        Step::Write { at, len: many, byte } => {
            let at = at % (len + 1);
            there[at..at + (*many).min(len - at)].fill(*byte);
        }
        Step::Rewrite { at, len: many } => {
            let at = at % (len + 1);
            let range = at..at + (*many).min(len - at);
            let same = there[range.clone()].to_vec();
            there[range].copy_from_slice(&same);
        }
        Step::Snap => there.snap().unwrap(),
        Step::Revert => there.revert().unwrap(),
        Step::Apply => there.apply().unwrap(),
        other => unreachable!("{other:?}"),
    }
}

fn compare(view: &CowView<'_>, there: &Mmap) {
    // Before its bytes are looked at, as that may make pages dirty there.
    let theirs: BTreeMap<u64, (&[u8], &[u8])> =
        there.dirty_pages().map(|(now, clean, number)| (*number as u64, (now, clean))).collect();
    for page in view.dirty_pages() {
        let (now, clean) =
            theirs.get(&page.number).unwrap_or_else(|| panic!("page {} is not dirty there", page.number));
        assert!(*now == page.now && *clean == page.before, "page {}", page.number);
    }
    for (number, (now, clean)) in &theirs {
        assert_eq!(now != clean, view.dirty().contains(*number), "page {number}");
    }
    assert!(view[..] == there[..]);
}

fn run(snapshot: &Snapshot, there: &mut Mmap, unit: usize, steps: &[Step], look: bool) {
    for tracking in methods() {
        let options = Options::default().page_size(unit).tracking(tracking);
        let mut view = snapshot.view_with(&options).unwrap();
        let mut model = Model::new(snapshot);
        for step in steps {
            step.take(&mut view, &mut model);
            step_there(step, there);
            // Looking changes what is dirty there, and so histories without looking must be compared, too.
            if look {
                compare(&view, there);
            }
        }
        agree(&view, &model);
        compare(&view, there);
        // To begin again with what was there when it was made: there is always one more revert.
        for _ in 0..=steps.len() {
            there.revert().unwrap();
            view.revert();
        }
        compare(&view, there);
        assert!(view[..] == snapshot[..] && view.dirty().is_empty());
    }
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() }
}

#[test]
fn zeros_have_the_same_history() {
    let steps = prop::collection::vec(step(), 1..30);
    let unit = prop_oneof![Just(1 << 16), Just(4096_usize)];
    proptest!(config(), |(pages in 1..12_usize, unit in unit, steps in steps, look in any::<bool>())| {
        let mut there = Mmap::new(pages, unit).unwrap();
        run(&Snapshot::zeroed(pages * unit).unwrap(), &mut there, unit, &steps, look);
    });
}

#[test]
fn files_have_the_same_history() {
    const UNIT: usize = 1 << 16;
    let dir = tempfile::tempdir().unwrap();
    let path = |page: usize| dir.path().join(page.to_string());
    (0..12).for_each(|page| std::fs::write(path(page), noise(page as u64, UNIT)).unwrap());
    let found = prop::collection::vec(any::<bool>(), 1..12);
    proptest!(config(), |(found in found, steps in prop::collection::vec(step(), 1..30), look in any::<bool>())| {
        let files: Vec<Option<PathBuf>> =
            found.iter().enumerate().map(|(page, found)| found.then(|| path(page))).collect();
        let mut compose = Snapshot::compose(files.len() * UNIT);
        for (page, path) in files.iter().enumerate() {
            if let Some(path) = path {
                compose = compose.file(page * UNIT, &std::fs::File::open(path)?, 0, UNIT)?;
            }
        }
        let pages = files.len();
        // SAFETY: no process writes to the files while they are mapped: they are in a directory of our own.
        let mut there = unsafe { Mmap::with_files(pages, UNIT, move |page: usize| files[page].clone()) }?;
        run(&compose.build()?, &mut there, UNIT, &steps, look);
    });
}

/// What its own tests hold, on both: reverts without a checkpoint go back to the beginning, and folding a checkpoint
/// into the one before keeps what that one has.
#[test]
fn more_reverts_than_snaps() {
    for tracking in methods() {
        let snapshot = Snapshot::from_slice(&noise(1, 5 << 16)).unwrap();
        let options = Options::default().page_size(1 << 16).tracking(tracking);
        let mut view = snapshot.view_with(&options).unwrap();
        for byte in 0..99 {
            view[0] = byte;
            view[1 << 16] = byte;
            view.snap().unwrap();
        }
        (0..10).for_each(|_| view.apply());
        assert_eq!((view[0], view.checkpoints(), numbers(&view.dirty())), (98, 89, vec![0, 1]));
        view.revert();
        assert_eq!((view[0], view.checkpoints()), (88, 88));
        view.revert();
        assert_eq!((view[0], view[1 << 16]), (87, 87));
        (0..200).for_each(|_| view.revert());
        assert!(view[..] == snapshot[..] && view.checkpoints() == 0 && view.dirty().is_empty());
        (0..5).for_each(|_| view.apply());
        view[7] ^= 1;
        view.apply();
        assert_eq!(numbers(&view.dirty()), [0]);
        view.revert();
        assert!(view[..] == snapshot[..]);
    }
}
