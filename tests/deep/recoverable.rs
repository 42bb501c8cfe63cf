//! A change can always be recovered: no page is written before both ends of the change are known to be whole, and an
//! interrupted change is never forgotten.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use memsnap::Error;
use memsnap::ops::change::Outcome;
use memsnap::ops::{Quiet, Resolution, revert, undo};
use memsnap::page::PAGE;
use memsnap::store::{ChangeMarker, Ref};
use memsnap::sys::{meta, open};

use super::ground::{Ground, noise};
use super::interrupted::interrupt;

/// Changes a byte of a file that keeps its times, as rot does.
fn rot(path: &PathBuf, at: u64) {
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    let before = open::stamp(&file, path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
    meta::set_times(&file, before.atime_ns, before.mtime_ns).unwrap();
}

/// Two images of 20 pages with nothing in common, each in a pack of its own; the target holds the second.
fn two() -> (Ground, Vec<u8>, Vec<u8>, Vec<PathBuf>) {
    let (a, b) = (noise(1, 20 * PAGE), noise(2, 20 * PAGE));
    let ground = Ground::new(&a);
    ground.snap().unwrap();
    let packs = |ground: &Ground| {
        let mut all: Vec<_> = fs::read_dir(ground.history().dir()).unwrap().map(|e| e.unwrap().path()).collect();
        all.retain(|path| path.extension().is_some_and(|e| e == "pack"));
        all
    };
    let first = packs(&ground);
    fs::write(&ground.target, &b).unwrap();
    ground.snap().unwrap();
    let mut all = packs(&ground);
    all.sort_by_key(|path| !first.contains(path));
    (ground, a, b, all)
}

#[test]
fn a_rotten_image_is_not_begun() {
    let (ground, _, b, packs) = two();
    rot(&packs[0], 12 * PAGE as u64);
    assert!(matches!(ground.revert(1, None), Err(Error::Damaged { .. })));
    assert!(ground.bytes() == b, "something was written");
    assert!(ground.history().intent().unwrap().is_none());
    ground.snap().unwrap();
}

#[test]
fn the_way_back_is_made_whole_first() {
    let (ground, a, b, packs) = two();
    rot(&packs[1], 12 * PAGE as u64);
    let report = ground.revert(1, None).unwrap();
    assert!(report.notes.iter().any(|note| note.text.contains("stored again")), "{:?}", report.notes);
    assert!(ground.bytes() == a);
    ground.undo().unwrap();
    assert!(ground.bytes() == b);
}

/// Records that the change from 2 to 1 was begun, and mixes the two.
fn begin(ground: &Ground, a: &[u8]) {
    let mut bytes = ground.bytes();
    bytes[3 * PAGE..5 * PAGE].copy_from_slice(&a[3 * PAGE..5 * PAGE]);
    interrupt(ground, &bytes);
}

#[test]
fn a_new_store_does_not_take_a_half_changed_file() {
    let (ground, a, _, _) = two();
    begin(&ground, &a);
    if ChangeMarker::get(&ground.open(), &ground.target.canonicalize().unwrap(), None).is_none() {
        return; // A file system without attributes.
    }
    fs::rename(ground.dir.path().join(".memsnap"), ground.dir.path().join("moved")).unwrap();
    for _ in 0..2 {
        assert!(matches!(ground.snap(), Err(Error::Refused { .. })));
    }
    fs::rename(ground.dir.path().join("moved"), ground.dir.path().join(".memsnap")).unwrap();
    ground.recover(Some(Resolution::Rollback)).unwrap();
    ground.snap().unwrap();
}

#[test]
fn a_record_that_cannot_be_read_can_be_forgotten() {
    let (ground, a, _, _) = two();
    begin(&ground, &a);
    fs::write(ground.history().dir().join("intent"), b"rot").unwrap();
    assert!(matches!(ground.recover(None), Err(Error::Damaged { .. })));
    assert!(ground.recover(Some(Resolution::Abandon)).unwrap().done);
    ground.snap().unwrap();
}

#[test]
fn nothing_is_finished_without_consent() {
    let (ground, a, b, _) = two();
    begin(&ground, &a);
    let mixture = ground.bytes();
    let plan = undo(&ground.target, &ground.change_options()).unwrap().plan(&Quiet).unwrap();
    assert!(plan.needs_consent() && plan.changes().finishes.is_some());
    assert!(matches!(plan.dismiss(), Err(Error::Refused { .. })));
    assert!(ground.bytes() == mixture && ground.history().intent().unwrap().is_some());
    // With consent it is finished; what was asked for is planned then, and needs its own.
    let plan = undo(&ground.target, &ground.change_options()).unwrap().plan(&Quiet).unwrap();
    let Outcome::Changed(plan) = plan.commit(&Quiet).unwrap() else { panic!("it was undone unasked") };
    assert!(ground.bytes() == a && ground.history().intent().unwrap().is_none());
    assert!(plan.needs_consent() && plan.changes().finishes.is_none());
    let Outcome::Done(report) = plan.commit(&Quiet).unwrap() else { panic!("it was not undone") };
    assert!(report.notes.iter().any(|note| note.text.contains("was finished first")), "{:?}", report.notes);
    assert!(ground.bytes() == b);
}

#[test]
fn asking_stores_nothing() {
    let (ground, _, _, _) = two();
    ground.patch(0, b"more");
    let request = revert(&ground.at(Ref::Number(1)), None, &ground.change_options()).unwrap();
    assert!(!request.plan(&Quiet).unwrap().dismiss().unwrap().done);
    assert_eq!(ground.history().snapshots().unwrap().len(), 2);
}

/// A plan that was confirmed holds or is made again: what another process wrote meanwhile is not reverted unseen.
#[test]
fn what_was_confirmed_is_what_is_done() {
    let (ground, a, b, _) = two();
    let plan = || {
        let request = revert(&ground.at(Ref::Number(1)), None, &ground.change_options()).unwrap();
        request.plan(&Quiet).unwrap()
    };
    let stale = plan();
    ground.patch(7 * PAGE as u64, b"another process");
    let Outcome::Changed(again) = stale.commit(&Quiet).unwrap() else { panic!("it was done") };
    assert!(ground.bytes() != a && ground.history().snapshots().unwrap().len() == 2);
    let Outcome::Done(report) = again.commit(&Quiet).unwrap() else { panic!("nothing changed") };
    assert!(report.done && ground.bytes() == a);
    ground.undo().unwrap();
    assert!(ground.bytes() != b && ground.bytes().len() == b.len());
    // With consent to whatever it is, it is done at once.
    let stale = plan();
    ground.patch(8 * PAGE as u64, b"another process");
    assert!(stale.run(&Quiet).unwrap().done && ground.bytes() == a);
}
