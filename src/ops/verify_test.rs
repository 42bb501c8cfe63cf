use std::fs;

use super::super::Quiet;
use super::super::fixture::{Fixture, flip};
use super::super::save::heal::{heal, suspects};
use super::*;
use crate::page::PageRange;

fn run(f: &Fixture, at: Option<u64>, quick: bool, repair: bool) -> Report {
    let what = Operand { at: at.and_then(|n| f.at(n).at), ..f.at(1) };
    verify(Some(&what), &Options::default().quick(quick).repair(repair), &Quiet).unwrap()
}

fn full(f: &Fixture) -> Report {
    run(f, None, false, false)
}

fn latest_suspects(f: &Fixture) -> usize {
    let history = f.history();
    let image = history.image(*history.snapshots().unwrap().last().unwrap()).unwrap();
    suspects(&image).unwrap().len()
}

/// Three snapshots: 0..40 written, 5..7 changed, 20 pages more.
fn three() -> Fixture {
    let f = Fixture::new();
    f.pages(0, 40, 1);
    f.snap_named(&["one"]);
    f.pages(5, 2, 2);
    f.snap();
    f.pages(40, 20, 3);
    f.snap();
    f
}

#[test]
fn a_sound_store_has_no_faults_and_nothing_is_written() {
    let f = three();
    let before: Vec<_> =
        f.stored("").iter().map(|p| (p.clone(), fs::metadata(p).unwrap().modified().unwrap())).collect();
    let report = full(&f);
    assert!(report.faults.is_empty() && report.notes.is_empty(), "{report:?}");
    assert_eq!((report.targets, report.snapshots, report.pages, report.garbage), (1, 3, 62, 0));
    assert_eq!(report.bytes, 62 * 4096);
    let one = run(&f, Some(1), false, false);
    assert_eq!((one.snapshots, one.pages, one.faults.len()), (1, 40, 0));
    let all = verify(None, &Options::default().store(f.path(".memsnap")), &Quiet).unwrap();
    assert_eq!((all.targets, all.snapshots, all.pages, all.faults.len()), (1, 3, 62, 0));
    let after: Vec<_> =
        f.stored("").iter().map(|p| (p.clone(), fs::metadata(p).unwrap().modified().unwrap())).collect();
    assert_eq!(before, after);
}

#[test]
fn a_flipped_page_is_named_with_what_it_costs() {
    let f = three();
    let pack = f.stored(".pack")[0].clone();
    flip(&pack, 16 + 6 * 4096 + 9);
    flip(&pack, 16 + 9 * 4096 + 9);
    assert!(run(&f, None, true, false).faults.is_empty(), "quick does not look at pages");
    let report = full(&f);
    let [fault] = &report.faults[..] else { panic!("{report:?}") };
    assert_eq!((&fault.path, &fault.snapshots[..]), (&pack, &[1, 2, 3][..]));
    assert_eq!(fault.ranges, [PageRange::new(6, 7), PageRange::new(9, 10)]);
    assert!(!fault.repaired && fault.what.contains("2 of its pages"));
    let two = run(&f, Some(2), false, false);
    assert_eq!(two.faults[0].ranges, [PageRange::new(9, 10)], "page 6 was changed");
}

#[test]
fn every_kind_of_file_is_looked_at() {
    type Harm = fn(&Path);
    let cut: Harm = |path| fs::OpenOptions::new().write(true).open(path).unwrap().set_len(40).unwrap();
    let gone: Harm = |path| fs::remove_file(path).unwrap();
    let bit: Harm = |path| flip(path, 33);
    let cases: [(&str, usize, &[Harm], &[u64]); 5] = [
        (".snap", 1, &[cut, bit], &[2]),
        (".pack", 0, &[cut, gone], &[1, 2, 3]),
        (".pack", 1, &[cut, gone], &[2, 3]),
        ("target", 0, &[cut, gone, bit], &[]),
        ("undo", 0, &[cut, bit], &[]),
    ];
    for (suffix, place, harms, snapshots) in cases {
        for (i, harm) in harms.iter().enumerate() {
            let f = three();
            if suffix == "undo" {
                fs::write(f.history().dir().join("undo"), [0; 100]).unwrap();
            }
            let path = f.stored(suffix)[place].clone();
            if suffix != "target" || i == 1 {
                harm(&path);
            } else {
                fs::write(&path, b"other").unwrap();
            }
            for quick in [true, false] {
                let report = run(&f, None, quick, false);
                let [fault] = &report.faults[..] else { panic!("{suffix} {i} {report:?}") };
                assert_eq!((&fault.path, &fault.snapshots[..]), (&path, snapshots), "{suffix} {i}");
            }
        }
    }
}

#[test]
fn a_move_that_was_cut_short_is_no_damage() {
    let f = three();
    let history = f.history();
    let (label, next) = (history.dir().join("target"), history.dir().join("tmp-target"));
    fs::copy(&label, &next).unwrap();
    fs::write(&label, b"before").unwrap();
    let report = full(&f);
    assert!(report.faults.is_empty() && report.notes[0].text.contains("interrupted"), "{report:?}");
    let whole = Options::default().store(f.path(".memsnap"));
    assert!(verify(None, &whole, &Quiet).unwrap().faults.is_empty());
    drop(history.write_lock(Duration::ZERO).unwrap());
    assert!(history.is_labelled() && !next.exists(), "the next writer ends it");
    // What is announced and does not prove itself is no label.
    fs::write(&label, b"before").unwrap();
    fs::write(&next, b"after").unwrap();
    assert_eq!(full(&f).faults[0].path, label);
}

#[test]
fn records_and_names_are_looked_at() {
    let f = three();
    let tag = f.history().dir().join("names/tag-one");
    fs::write(&tag, b"nonsense").unwrap();
    assert_eq!(full(&f).faults[0].path, tag);
    fs::remove_file(&tag).unwrap();
    let format = f.path(".memsnap/format");
    flip(&format, 20);
    let report = full(&f);
    assert!(report.faults[0].path.ends_with("format") && report.snapshots == 3, "{report:?}");
    flip(&format, 20);
    let cache = f.history().dir().join("digests");
    if cache.exists() {
        flip(&cache, 20);
        let report = full(&f);
        assert!(report.faults.is_empty() && report.notes.len() == 1, "{report:?}");
    }
    fs::write(f.history().dir().join("tmp-1-x"), b"").unwrap();
    assert_eq!(full(&f).garbage, 1);
}

#[test]
fn a_damaged_map_costs_all_that_need_it() {
    let f = Fixture::new();
    // Places that no pattern describes, so that the map is worth a file.
    let places = blake3::Hasher::new().finalize_xof();
    let mut page = 0;
    for step in std::io::Read::bytes(places).take(4000) {
        page += 2 + u64::from(step.unwrap());
        f.write(page * 4096, b"something");
    }
    f.snap();
    f.pages(5, 1, 9);
    f.snap();
    let maps = f.stored(".map");
    assert_eq!(maps.len(), 1, "one full map for both");
    assert!(full(&f).faults.is_empty());
    flip(&maps[0], 70);
    let report = full(&f);
    assert_eq!((&report.faults[0].path, &report.faults[0].snapshots[..]), (&maps[0], &[1, 2][..]));
    assert_eq!(report.faults.len(), 1);
}

#[test]
fn repair_takes_what_the_target_still_has() {
    for compress in [crate::pack::Compress::None, crate::pack::Compress::Zstd(1)] {
        let mut f = Fixture::new();
        f.compress = compress;
        for i in 0..5000u64 {
            f.write(i * 4096, &[i as u8 | 1; 900]);
        }
        f.snap();
        let images = f.bytes();
        f.pages(7, 1, 2);
        f.snap();
        let pack = f.stored(".pack")[0].clone();
        let raw = compress == crate::pack::Compress::None;
        if raw {
            [16 + 3 * 4096 + 9, 16 + 4000 * 4096].iter().for_each(|at| flip(&pack, *at));
        } else {
            (30..60).chain(1000..1001).for_each(|at| flip(&pack, at));
        }
        let found = full(&f);
        assert!(!found.faults.is_empty());
        assert_eq!(latest_suspects(&f), 1, "damage that was seen makes it suspect");
        let report = run(&f, None, false, true);
        let zstd_lost = report.faults.iter().any(|fault| !fault.repaired);
        // Page 7 is no longer in the target; it shares a frame with page 3 only where frames decode as a whole.
        assert_eq!(zstd_lost, compress != crate::pack::Compress::None, "{report:?}");
        let after = full(&f);
        if zstd_lost {
            assert_eq!(after.faults[0].snapshots, [1]);
            assert_eq!(after.faults[0].ranges, [PageRange::new(7, 8)]);
            f.write(7 * 4096, &images[7 * 4096..8 * 4096]);
            assert!(run(&f, None, false, true).faults.iter().all(|fault| fault.repaired));
        }
        let last = full(&f);
        assert!(last.faults.is_empty(), "{last:?}");
        assert_eq!(latest_suspects(&f), 0);
    }
}

#[test]
fn a_whole_suspect_is_calmed_and_a_missing_one_is_broken() {
    let f = three();
    let history = f.history();
    let image = history.image(*history.snapshots().unwrap().last().unwrap()).unwrap();
    let pack = image.pack_numbers()[0];
    crate::ops::save::heal::suspect(history.packs(), pack);
    assert_eq!(suspects(&image).unwrap(), [pack]);
    let live = fs::File::open(f.target()).unwrap();
    let writing = history.write_lock(PATIENCE).unwrap();
    let healed = heal(&history, &writing, &[pack], &live).unwrap();
    assert!(!healed.broken && healed.pages == 0 && healed.lost.is_empty());
    assert!(suspects(&image).unwrap().is_empty());
    fs::remove_file(history.packs().pack_path(pack)).unwrap();
    assert_eq!(suspects(&image).unwrap(), [pack]);
    assert!(heal(&history, &writing, &[pack], &live).unwrap().broken);
}

#[test]
fn branches_and_cuts_add_up() {
    let f = Fixture::new();
    f.pages(0, 5000, 1);
    f.snap();
    f.cut(3 * 4096 + 5);
    f.snap();
    f.cut(4500 * 4096);
    f.pages(4400, 3, 2);
    f.snap();
    f.punch(0, 8 << 20);
    f.snap();
    let report = full(&f);
    assert!(report.faults.is_empty(), "{report:?}");
    // Without the middle one the next is compared with the one before it.
    fs::remove_file(&f.stored(".snap")[1]).unwrap();
    let report = full(&f);
    assert!(report.faults.is_empty() && report.snapshots == 3, "{report:?}");
}

/// A change that ends before its first byte removes the snapshot that it composed, also between two steps of a check.
#[test]
fn a_snapshot_that_is_removed_meanwhile_is_not_missing() {
    let f = three();
    let history = f.history();
    let names = history.snapshots().unwrap();
    let options = Options::default();
    let check = Check { history: &history, only: None, options: &options, progress: &Quiet };
    fs::remove_file(history.dir().join(names[1].file_name())).unwrap();
    let wrong = check.pages(&names, &mut Losses::default(), &mut Report::default()).unwrap();
    assert!(wrong.is_empty());
}
