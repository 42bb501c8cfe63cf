//! The ways that must stay open: no page is written before both ends of a change are known to be whole, and what was
//! interrupted is never forgotten by mistake.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use memsnap::Error;
use memsnap::ops::recover::How;
use memsnap::ops::{Quiet, change, undo};
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
    assert!(report.notes.iter().any(|note| note.contains("stored again")), "{:?}", report.notes);
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
fn a_store_made_anew_does_not_take_a_half_changed_file() {
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
    ground.recover(Some(How::Rollback)).unwrap();
    ground.snap().unwrap();
}

#[test]
fn a_record_that_cannot_be_read_can_be_forgotten() {
    let (ground, a, _, _) = two();
    begin(&ground, &a);
    fs::write(ground.history().dir().join("intent"), b"rot").unwrap();
    assert!(matches!(ground.recover(None), Err(Error::Damaged { .. })));
    assert!(ground.recover(Some(How::Abandon)).unwrap().done);
    ground.snap().unwrap();
}

#[test]
fn nothing_is_finished_without_consent() {
    let (ground, a, _, _) = two();
    begin(&ground, &a);
    let mixture = ground.bytes();
    let options = change::Options { ask: true, ..ground.change_options() };
    let mut asked = 0;
    let result = undo::undo(
        &ground.target,
        &options,
        &mut |_| {
            asked += 1;
            false
        },
        &Quiet,
    );
    assert!(matches!(result, Err(Error::Refused { .. })) && asked == 1);
    assert!(ground.bytes() == mixture && ground.history().intent().unwrap().is_some());
}

#[test]
fn asking_stores_nothing() {
    let (ground, _, _, _) = two();
    ground.patch(0, b"more");
    let options = change::Options { ask: true, ..ground.change_options() };
    let report =
        memsnap::ops::revert::revert(&ground.at(Ref::Number(1)), None, &options, &mut |_| false, &Quiet).unwrap();
    assert!(!report.done);
    assert_eq!(ground.history().snapshots().unwrap().len(), 2);
}
