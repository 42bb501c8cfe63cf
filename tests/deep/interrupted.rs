//! A change that was interrupted: every mixture of old and new pages is finished or rolled back; what is neither is
//! refused, and nothing is written.

use std::path::Path;
use std::time::Duration;

use memsnap::Error;
use memsnap::ops::{Quiet, Resolution, revert, snap};
use memsnap::page::PAGE;
use memsnap::store::{ChangeMarker, Intent, Ref};
use memsnap::sys::open;

use super::ground::{Ground, noise};

/// Pages that the change writes.
const CHANGED: [usize; 4] = [1, 2, 17, 20];
const PAGES: usize = 24;

/// The two ends of a change.
struct Ends {
    old: Vec<u8>,
    new: Vec<u8>,
}

impl Ends {
    /// `grow` bytes more (or fewer) in the new one.
    fn new(grow: isize) -> Ends {
        let old = noise(1, PAGES * PAGE - 100);
        let mut new = old.clone();
        for (seed, page) in CHANGED.iter().enumerate() {
            let at = page * PAGE;
            new[at..at + PAGE].copy_from_slice(&noise(10 + seed as u64, PAGE));
        }
        let len = new.len().checked_add_signed(grow).unwrap();
        if grow > 0 {
            new.extend(noise(99, grow as usize));
        }
        new.truncate(len);
        Ends { old, new }
    }

    /// Both as snapshots: the new one is 1, the old one 2, and the target holds the old one.
    fn ground(&self) -> Ground {
        let ground = Ground::new(&self.new);
        ground.snap().unwrap();
        std::fs::write(&ground.target, &self.old).unwrap();
        ground.snap().unwrap();
        ground
    }

    /// Old bytes, but with the changed pages that `mask` chooses new: whole pages, as they are written.
    fn mixture(&self, mask: u32, len: usize) -> Vec<u8> {
        let mut bytes = self.old.clone();
        bytes.resize(self.old.len().max(self.new.len()), 0);
        for (_, page) in CHANGED.iter().enumerate().filter(|(i, _)| mask & 1 << i != 0) {
            let (at, end) = (page * PAGE, self.new.len().min((page + 1) * PAGE));
            if at < end {
                bytes[at..(page + 1) * PAGE].fill(0);
                bytes[at..end].copy_from_slice(&self.new[at..end]);
            }
        }
        bytes.resize(len, 0);
        bytes
    }
}

/// Records that the change from 2 to 1 was begun, and leaves `bytes` in the target.
pub(crate) fn interrupt(ground: &Ground, bytes: &[u8]) -> Intent {
    let history = ground.history();
    let end = |n| history.image(history.resolve(&Ref::Number(n)).unwrap()).unwrap();
    let (from, to) = (end(2), end(1));
    let file = ground.open();
    let stamp = open::stamp(&file, &ground.target).unwrap();
    let intent = Intent {
        from: from.name.id,
        from_image: from.digest(),
        to: to.name.id,
        to_image: to.digest(),
        file: (stamp.dev, stamp.ino),
        time_ns: 1,
        verb: "revert".into(),
        set: None,
    };
    let writing = history.write_lock(Duration::ZERO).unwrap();
    history.begin_change(&writing, &intent).unwrap();
    ChangeMarker::set(&file, history.target(), &history, &intent);
    drop(file);
    std::fs::write(&ground.target, bytes).unwrap();
    intent
}

/// Nothing of the interruption is left, and the store is complete.
fn settled(ground: &Ground, ends: &Ends, expected: &[u8], what: &str) {
    assert!(ground.bytes() == expected, "{what}: the target is neither");
    assert!(ground.history().intent().unwrap().is_none(), "{what}: the intent stays");
    assert!(
        ChangeMarker::get(&ground.open(), &ground.target.canonicalize().unwrap(), None).is_none(),
        "{what}: the mark stays"
    );
    assert!(ground.stored(1).unwrap() == ends.new && ground.stored(2).unwrap() == ends.old);
    assert!(ground.diff(Ref::Number(1), Ref::Now).unwrap().1.same == (expected == ends.new));
    ground.snap().unwrap();
}

fn every_mixture(grow: isize) {
    let ends = Ends::new(grow);
    for mask in 0..1u32 << CHANGED.len() {
        for len in [ends.old.len(), ends.new.len()] {
            let bytes = ends.mixture(mask, len);
            let what = format!("mask {mask:04b}, length {len}");
            for way in [None, Some(Resolution::Finish), Some(Resolution::Rollback)] {
                let ground = ends.ground();
                interrupt(&ground, &bytes);
                let report = ground.recover(way).unwrap();
                assert!(report.done, "{what}");
                let expected = if way == Some(Resolution::Rollback) { &ends.old } else { &ends.new };
                settled(&ground, &ends, expected, &format!("{what}, {way:?}"));
            }
            // Another verb that writes finishes it first: here one that goes on to the old image.
            let ground = ends.ground();
            interrupt(&ground, &bytes);
            let report = ground.revert(2, None).unwrap();
            assert!(report.notes.iter().any(|note| note.text.contains("interrupted")), "{:?}", report.notes);
            settled(&ground, &ends, &ends.old, &format!("{what}, by revert"));
        }
        if grow == 0 {
            let ground = ends.ground();
            interrupt(&ground, &ends.mixture(mask, ends.old.len()));
            ground.undo().unwrap();
            settled(&ground, &ends, &ends.old, &format!("mask {mask:04b}, by undo"));
        }
    }
}

#[test]
fn every_mixture_of_old_and_new_pages() {
    every_mixture(0);
}

#[test]
fn every_mixture_where_the_file_grows() {
    every_mixture(3 * PAGE as isize + 7);
}

#[test]
fn every_mixture_where_the_file_shrinks() {
    every_mixture(-(6 * PAGE as isize + 7));
}

#[test]
fn a_page_that_is_neither_is_refused() {
    let ends = Ends::new(0);
    for page in CHANGED {
        let ground = ends.ground();
        let mut bytes = ends.mixture(0b0101, ends.old.len());
        bytes[page * PAGE + 5] ^= 1;
        let intent = interrupt(&ground, &bytes);
        let refused = [
            ground.recover(None).map(drop),
            ground.revert(1, None).map(drop),
            ground.undo().map(drop),
            ground.snap().map(drop),
        ];
        for result in refused {
            assert!(matches!(result, Err(Error::Refused { .. })), "page {page}: {result:?}");
        }
        assert!(ground.bytes() == bytes, "page {page}: written all the same");
        assert_eq!(ground.history().intent().unwrap(), Some(intent));
        let way = if page == CHANGED[0] { Resolution::Rollback } else { Resolution::Finish };
        ground.recover(Some(way)).unwrap();
        let expected = if way == Resolution::Rollback { &ends.old } else { &ends.new };
        settled(&ground, &ends, expected, "in the given direction");
    }
}

/// A disk may have written some sectors of a page and not the others when the power went.
#[test]
fn a_torn_page_is_ours() {
    let ends = Ends::new(0);
    for way in [None, Some(Resolution::Rollback)] {
        let ground = ends.ground();
        let mut bytes = ends.mixture(0b0001, ends.old.len());
        let (page, sector) = (CHANGED[1] * PAGE, 512);
        for at in [0, 3, 7].map(|n| page + n * sector) {
            bytes[at..at + sector].copy_from_slice(&ends.new[at..at + sector]);
        }
        interrupt(&ground, &bytes);
        assert!(ground.recover(way).unwrap().done);
        settled(&ground, &ends, if way.is_none() { &ends.new } else { &ends.old }, &format!("{way:?}"));
        // Not where less than a sector is new: no disk does that.
        let ground = ends.ground();
        bytes[page + sector..][..100].copy_from_slice(&ends.new[page + sector..][..100]);
        interrupt(&ground, &bytes);
        assert!(ground.recover(None).is_err());
        assert!(ground.bytes() == bytes);
    }
}

#[test]
fn a_page_outside_of_the_change_is_kept() {
    let ends = Ends::new(0);
    let ground = ends.ground();
    let mut bytes = ends.mixture(0b0011, ends.old.len());
    bytes[10 * PAGE] ^= 1;
    interrupt(&ground, &bytes);
    match ground.recover(None) {
        Ok(_) => {
            let mut expected = ends.new.clone();
            expected[10 * PAGE] ^= 1;
            assert!(ground.bytes() == expected, "the page of another program was written over");
        }
        Err(Error::Refused { .. } | Error::Unfinished { .. }) => {
            assert_eq!(ground.bytes()[10 * PAGE], bytes[10 * PAGE], "the page of another program was written over");
        }
        Err(e) => panic!("{e}"),
    }
}

#[test]
fn a_strange_length_is_refused() {
    let ends = Ends::new(PAGE as isize);
    for len in [ends.old.len() - 1, ends.old.len() + 1, ends.new.len() + 1, 0] {
        let ground = ends.ground();
        let bytes = ends.mixture(0, len);
        interrupt(&ground, &bytes);
        assert!(matches!(ground.recover(None), Err(Error::Refused { .. })), "length {len}");
        assert!(ground.bytes() == bytes);
        // With a direction, it becomes the new one, if what was cut away is not needed for that.
        match ground.recover(Some(Resolution::Finish)) {
            Ok(_) => settled(&ground, &ends, &ends.new, "in the given direction"),
            Err(Error::Changed { .. }) => assert!(ground.history().intent().unwrap().is_some(), "length {len}"),
            Err(e) => panic!("length {len}: {e}"),
        }
    }
}

/// As after a restart: the file is the same, its device has another number.
#[test]
fn a_device_with_another_number() {
    let ends = Ends::new(0);
    for by_revert in [false, true] {
        let ground = ends.ground();
        let mut intent = interrupt(&ground, &ends.mixture(0b0110, ends.old.len()));
        intent.file.0 += 1;
        let history = ground.history();
        let writing = history.write_lock(Duration::ZERO).unwrap();
        history.end_change(&writing, None).unwrap();
        history.begin_change(&writing, &intent).unwrap();
        drop(writing);
        if by_revert { ground.revert(1, None) } else { ground.recover(None) }.unwrap();
        settled(&ground, &ends, &ends.new, "on another device");
    }
}

/// An interrupted rollback still is a rollback: running it again does not finish the change.
#[test]
fn to_finish_and_to_roll_back_mean_the_first_change() {
    let ends = Ends::new(0);
    for turns in 0..4 {
        for way in [None, Some(Resolution::Finish), Some(Resolution::Rollback)] {
            let ground = ends.ground();
            let mut intent = interrupt(&ground, &ends.mixture(0b0110, ends.old.len()));
            let history = ground.history();
            let writing = history.write_lock(Duration::ZERO).unwrap();
            history.end_change(&writing, None).unwrap();
            for turn in 0..turns {
                intent = intent.reversed(2 + turn);
            }
            history.begin_change(&writing, &intent).unwrap();
            drop(writing);
            let back = match way {
                None => turns % 2 == 1,
                Some(way) => way == Resolution::Rollback,
            };
            ground.recover(way).unwrap();
            settled(&ground, &ends, if back { &ends.old } else { &ends.new }, &format!("{turns} turns, {way:?}"));
        }
    }
}

#[test]
fn another_file_in_its_place_is_refused() {
    let ends = Ends::new(0);
    let ground = ends.ground();
    interrupt(&ground, &ends.old);
    // The file that was there stays, so that the new one gets another inode.
    std::fs::rename(&ground.target, ground.dir.path().join("aside")).unwrap();
    std::fs::write(&ground.target, &ends.old).unwrap();
    assert!(matches!(ground.recover(None), Err(Error::Refused { .. })));
    // A given direction is followed.
    assert!(ground.recover(Some(Resolution::Finish)).unwrap().done);
    settled(&ground, &ends, &ends.new, "finished");
}

#[test]
fn no_store_takes_a_half_changed_file() {
    let ends = Ends::new(0);
    let ground = ends.ground();
    let bytes = ends.mixture(0b0110, ends.old.len());
    interrupt(&ground, &bytes);
    assert!(matches!(ground.snap(), Err(Error::Refused { .. })));
    let file = ground.open();
    if memsnap::sys::xattr::get(&file, b"user.memsnap.intent").ok().flatten().is_none() {
        return eprintln!("skipped: no extended attributes here");
    }
    let elsewhere = ground.dir.path().join("elsewhere");
    let options = ground.snap_options().store(elsewhere.clone());
    let refused = snap::snap(&ground.target, &options, &Quiet).unwrap_err();
    assert!(refused.to_string().contains("interrupted"), "{refused}");
    // Nor does a change that is recorded elsewhere write over it.
    drop(file);
    other_store_refuses(&ground, &elsewhere, &bytes);
    ground.recover(None).unwrap();
    snap::snap(&ground.target, &options, &Quiet).unwrap();
    settled(&ground, &ends, &ends.new, "recovered");
}

fn other_store_refuses(ground: &Ground, store: &Path, bytes: &[u8]) {
    let options = ground.change_options().store(store.to_path_buf());
    assert!(revert(&ground.at(Ref::Latest), None, &options).and_then(|request| request.run(&Quiet)).is_err());
    assert!(ground.bytes() == bytes);
}

#[test]
fn nothing_to_recover_is_said() {
    let ends = Ends::new(0);
    let ground = ends.ground();
    for way in [None, Some(Resolution::Finish), Some(Resolution::Rollback), Some(Resolution::Abandon)] {
        let report = ground.recover(way).unwrap();
        assert!(!report.done && report.notes.iter().any(|note| note.text.contains("no change was interrupted")));
    }
}

#[test]
fn a_rolled_back_change_can_be_undone_forward() {
    let ends = Ends::new(0);
    let ground = ends.ground();
    interrupt(&ground, &ends.mixture(0b1000, ends.old.len()));
    ground.recover(Some(Resolution::Rollback)).unwrap();
    ground.undo().unwrap();
    assert!(ground.bytes() == ends.new);
    ground.undo().unwrap();
    settled(&ground, &ends, &ends.old, "twice");
}

#[test]
fn declining_writes_nothing() {
    let ends = Ends::new(0);
    let ground = ends.ground();
    let bytes = ends.mixture(0b0110, ends.old.len());
    let intent = interrupt(&ground, &bytes);
    let options = ground.change_options();
    let plan = memsnap::ops::recover(&ground.target, None, &options).unwrap().plan(&Quiet).unwrap();
    assert!(plan.needs_consent() && !plan.dismiss().unwrap().done && ground.bytes() == bytes);
    assert_eq!(ground.history().intent().unwrap(), Some(intent));
}

#[test]
fn a_damaged_intent_stops_what_writes() {
    let ends = Ends::new(0);
    let ground = ends.ground();
    let bytes = ends.mixture(0b0110, ends.old.len());
    interrupt(&ground, &bytes);
    let path = ground.history().dir().join("intent");
    let good = std::fs::read(&path).unwrap();
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, &bad).unwrap();
        assert!(ground.recover(None).is_err(), "bit {bit}");
        assert!(bit % 64 != 0 || ground.snap().is_err() && ground.revert(1, None).is_err(), "bit {bit}");
    }
    assert!(ground.bytes() == bytes);
    std::fs::write(&path, &good).unwrap();
    ground.recover(None).unwrap();
    settled(&ground, &ends, &ends.new, "mended");
}
