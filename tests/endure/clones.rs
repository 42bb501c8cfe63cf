//! Clones: what is read is of one moment, and extents miss no page that changed.
#![allow(unsafe_code, reason = "a writable map of the file is what is tested")]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::time::{Duration, Instant};

use memmap2::MmapMut;
use memsnap::ops::snap::{Clones, Options, Report, snap};
use memsnap::ops::{Operand, Quiet, Reserve, restore};
use memsnap::pack::Grade;
use memsnap::store::Ref;
use rustix::fs::{FallocateFlags, copy_file_range, fallocate};

use super::case::{Case, finish, has};
use super::mount::{Fs, Mount, needs_btrfs, needs_mounts};
use super::util::{Dice, by_size, noise};

const PAGE: usize = 4096;

fn take(file: &Path, clones: Clones) -> Report {
    let options = Options::default().clones(clones).reserve(Reserve::Bytes(0));
    snap(file, &options, &Quiet).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

fn restored(file: &Path, number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let what = Operand::new(file, Ref::Number(number));
    restore::restore(&what, restore::Out::Stream(&mut out), &restore::Options::default(), &Quiet).unwrap();
    out
}

/// The file systems with clones; btrfs also with compression.
fn places() -> Vec<(Fs, bool)> {
    let mut places = vec![(Fs::Xfs, false)];
    if needs_btrfs() {
        places.extend([(Fs::Btrfs, false), (Fs::Btrfs, true)]);
    }
    places
}

/// A change of a file, its map included.
type Change = fn(&File, &Path, &mut Dice);

/// Longest file of a history.
const MOST: usize = 2 << 20;

fn len(file: &File) -> usize {
    file.metadata().unwrap().len() as usize
}

/// Somewhere in the file, at a page or not.
fn place(file: &File, dice: &mut Dice) -> u64 {
    let at = dice.roll(len(file).max(1));
    (if dice.roll(2) == 0 { at } else { at / PAGE * PAGE }) as u64
}

const CHANGES: [Change; 10] = [
    |file, _, dice| {
        let bytes = noise(dice.roll(1000) as u64, 1 + dice.roll(5 * PAGE));
        file.write_all_at(&bytes, place(file, dice)).unwrap();
    },
    // The same bytes again: other blocks, the same content.
    |file, _, dice| {
        let (at, mut bytes) = (place(file, dice), vec![0; 3 * PAGE]);
        let n = file.read_at(&mut bytes, at).unwrap();
        file.write_all_at(&bytes[..n], at).unwrap();
    },
    |file, _, dice| {
        let n = len(file);
        if n > 0 {
            // SAFETY: nobody cuts the file while the map lives.
            let mut map = unsafe { MmapMut::map_mut(file) }.unwrap();
            (0..=dice.roll(4)).for_each(|_| map[dice.roll(n)] ^= 1);
        }
    },
    |file, _, dice| file.set_len(dice.roll(MOST) as u64).unwrap(),
    // Within a page, and so short that btrfs keeps it in the inode.
    |file, _, dice| {
        file.set_len(dice.roll(1500) as u64).unwrap();
        file.write_all_at(&noise(dice.roll(1000) as u64, 1 + dice.roll(1500)), 0).unwrap();
    },
    |file, _, dice| {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(file, flags, place(file, dice), 1 + dice.roll(20 * PAGE) as u64).unwrap();
    },
    |file, _, dice| {
        let flags = if dice.roll(2) == 0 { FallocateFlags::KEEP_SIZE } else { FallocateFlags::empty() };
        fallocate(file, flags, place(file, dice), 1 + dice.roll(20 * PAGE) as u64).unwrap();
    },
    |file, _, dice| {
        let _ = fallocate(file, FallocateFlags::ZERO_RANGE, place(file, dice), 1 + dice.roll(9 * PAGE) as u64);
    },
    // Blocks of the same file elsewhere: a reflink where both are whole blocks.
    |file, _, dice| {
        let pages = len(file) / PAGE;
        if pages >= 40 {
            let n = 1 + dice.roll(16);
            let (from, to) = (dice.roll(pages / 2 - n), pages / 2 + dice.roll(pages / 2 - n));
            let (mut from, mut to) = ((from * PAGE) as u64, (to * PAGE) as u64);
            let _ = copy_file_range(file, Some(&mut from), file, Some(&mut to), n * PAGE);
        }
    },
    |file, path, dice| {
        file.sync_all().unwrap();
        let words = if path.parent().unwrap().join("is-btrfs").exists() {
            ["btrfs", "filesystem", "defragment", "-t", if dice.roll(2) == 0 { "32M" } else { "256K" }].to_vec()
        } else {
            vec!["xfs_fsr"]
        };
        if has(words[0]) {
            let _ = finish(Case::at(path.parent().unwrap()).command(words[0]).args(&words[1..]).arg(path));
        }
    },
];

/// One history of changes and snapshots. Returns how often a part of the file was read, and how often all of it.
fn history(dir: &Path, seed: u64) -> (usize, usize) {
    let (mut dice, path) = (Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1), dir.join(format!("f{seed}")));
    let pages = dice.roll(300);
    // Half of it shrinks, so that it is compressed where that is on.
    let content: Vec<u8> =
        (0..pages).flat_map(|i| if i % 2 == 0 { noise(i as u64, PAGE) } else { vec![7; PAGE] }).collect();
    std::fs::write(&path, content).unwrap();
    let file = File::options().read(true).write(true).open(&path).unwrap();
    let (mut partly, mut whole) = (0, 0);
    for step in 0..8 {
        // None at all, now and then.
        for _ in 0..dice.roll(5) {
            CHANGES[dice.roll(CHANGES.len())](&file, &path, &mut dice);
        }
        let report = take(&path, if dice.roll(12) == 0 { Clones::Auto } else { Clones::Keep });
        assert_eq!(report.warnings.len(), 0, "{:?}", report.warnings);
        let (was, is) = (restored(&path, report.number), std::fs::read(&path).unwrap());
        assert!(
            was == is,
            "seed {seed}, step {step}: @{} is not the file: {} and {} bytes, first at {:?} ({})",
            report.number,
            was.len(),
            is.len(),
            was.iter().zip(&is).position(|(a, b)| a != b),
            report.read_reason
        );
        match report.bytes_read {
            Some(_) => partly += 1,
            None => whole += 1,
        }
    }
    // The digests were folded as a whole scan folds them.
    let whole_scan = take(&path, Clones::Never);
    assert!(!whole_scan.new || whole_scan.pages_changed == 0, "seed {seed}: {whole_scan:?}");
    std::fs::remove_file(&path).unwrap();
    // The next file is no renamed one.
    std::fs::remove_dir_all(dir.join(".memsnap")).unwrap();
    (partly, whole)
}

#[test]
fn extents_miss_no_page() {
    if !needs_mounts() {
        return;
    }
    let wanted = by_size(4, 60, 201) / 3 + 1;
    for (fs, compressed) in places() {
        let (mount, _image) = Mount::empty(fs, 600 << 20);
        let dir = mount.at().join("ground");
        std::fs::create_dir(&dir).unwrap();
        if fs == Fs::Btrfs {
            std::fs::write(dir.join("is-btrfs"), "").unwrap();
        }
        if compressed {
            let set = finish(Case::at(&dir).command("btrfs").args(["property", "set", ".", "compression", "zstd"]));
            set.exits(0);
        }
        let (mut partly, mut whole) = (0, 0);
        for seed in 1..=wanted as u64 {
            let (some, all) = history(&dir, seed);
            (partly, whole) = (partly + some, whole + all);
        }
        eprintln!("{fs:?}, compressed: {compressed}: {partly} snapshots read a part, {whole} all");
        assert!(partly > wanted, "{fs:?}: nothing was tried");
    }
}

/// Pages of the two counters.
const COUNTERS: [usize; 2] = [1, 61];

fn counters(image: &[u8]) -> (u64, u64) {
    let [a, b] = COUNTERS.map(|page| u64::from_le_bytes(image[page * PAGE..page * PAGE + 8].try_into().unwrap()));
    (a, b)
}

/// Whether an image is of one moment of [`count`].
fn is_of_one_moment(image: &[u8]) -> bool {
    let (a, b) = counters(image);
    a.wrapping_sub(b) <= 1
}

/// Counts up two counters in the file, one after the other, as fast as it can.
fn count(map: &MmapMut, stop: &AtomicBool) {
    // SAFETY: the places are aligned, within the map, and used as this type alone.
    #[allow(clippy::multiple_unsafe_ops_per_block, reason = "one place in the map")]
    let [a, b] = COUNTERS.map(|page| unsafe { &*map.as_ptr().add(page * PAGE).cast::<AtomicU64>() });
    while !stop.load(Relaxed) {
        a.fetch_add(1, SeqCst);
        b.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_clone_is_of_one_moment() {
    if !needs_mounts() {
        return;
    }
    let mut kinds = vec![Fs::Xfs];
    kinds.extend(needs_btrfs().then_some(Fs::Btrfs));
    let wanted = by_size(10, 100, 1000);
    for fs in kinds {
        let (mount, _image) = Mount::empty(fs, 600 << 20);
        let path = mount.at().join("counters");
        std::fs::write(&path, noise(1, 62 * PAGE)).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        COUNTERS.iter().for_each(|page| file.write_all_at(&[0; 8], (page * PAGE) as u64).unwrap());
        // SAFETY: nobody cuts the file while the map lives.
        let map = unsafe { MmapMut::map_mut(&file) }.unwrap();
        let stop = AtomicBool::new(false);
        let copies = std::thread::scope(|scope| {
            let writer = scope.spawn(|| count(&map, &stop));
            let last = (0..wanted).map(|i| {
                let report = take(&path, if i % 2 == 0 { Clones::Auto } else { Clones::Keep });
                assert_eq!(report.grade, Grade::Proven, "{}", report.reason);
                let image = restored(&path, report.number);
                assert!(is_of_one_moment(&image), "{fs:?} @{}: {:?}", report.number, counters(&image));
                counters(&image)
            });
            let seen: std::collections::BTreeSet<_> = last.collect();
            assert!(seen.len() > wanted / 2, "it was written all the time: {seen:?}");
            // What a copy makes of it: on a busy machine the writer may stand still while it is made.
            let mut copies = 1;
            let began = Instant::now();
            while is_of_one_moment(&std::fs::read(&path).unwrap()) && began.elapsed() < Duration::from_secs(120) {
                copies += 1;
            }
            let is_torn = began.elapsed() < Duration::from_secs(120);
            stop.store(true, Relaxed);
            writer.join().unwrap();
            is_torn.then_some(copies)
        });
        eprintln!("{fs:?}: {wanted} snapshots are of one moment, the first copy that is not: {copies:?}");
        assert!(copies.is_some(), "{fs:?}: the same check passes for copies");
    }
}

#[test]
fn a_kept_clone_that_is_not_the_one_recorded_is_not_used() {
    if !needs_mounts() {
        return;
    }
    let (mount, _image) = Mount::empty(Fs::Xfs, 300 << 20);
    let case = mount.case();
    case.write("f", &noise(1, 64 * PAGE));
    let path = case.path("f");
    let fresh = || {
        take(&path, Clones::Keep);
        let again = take(&path, Clones::Keep);
        assert_eq!(again.bytes_read, Some(0), "{}", again.read_reason);
    };
    take(&path, Clones::Keep);
    let clone = case.history().join("clone");
    let spoils: [&dyn Fn(); 5] = [
        // A later state of the file: it shares its blocks, and is not the snapshot.
        &|| {
            case.patch("f", 5 * PAGE as u64, b"later");
            finish(case.command("cp").args(["--reflink=always"]).arg(&path).arg(&clone)).exits(0);
        },
        &|| {
            case.patch("f", 6 * PAGE as u64, b"later");
            std::fs::remove_file(&clone).unwrap();
            finish(case.command("cp").args(["--reflink=always"]).arg(&path).arg(&clone)).exits(0);
        },
        &|| std::fs::remove_file(&clone).unwrap(),
        &|| std::fs::hard_link(&clone, case.path("other")).unwrap(),
        &|| {
            let record = case.history().join("cloned");
            let mut bytes = std::fs::read(&record).unwrap();
            bytes[3] ^= 1;
            std::fs::write(record, bytes).unwrap();
        },
    ];
    for (i, spoil) in spoils.iter().enumerate() {
        fresh();
        spoil();
        let report = take(&path, Clones::Keep);
        assert_eq!(report.bytes_read, None, "{i}: {}", report.read_reason);
        assert_eq!(restored(&path, report.number), case.read("f"), "{i}");
    }
    // It goes with the first snapshot that keeps none.
    fresh();
    case.patch("f", 0, b"other");
    assert!(take(&path, Clones::Auto).new);
    assert!(!clone.exists() && !case.history().join("cloned").exists());
}

#[test]
fn a_file_without_copy_on_write_is_cloned() {
    if !needs_btrfs() {
        return;
    }
    let (mount, _image) = Mount::empty(Fs::Btrfs, 300 << 20);
    let case = mount.case();
    case.write("f", b"");
    finish(case.command("chattr").args(["+C", "f"])).exits(0);
    case.write("f", &noise(1, 64 * PAGE));
    for page in 0..3 {
        case.patch("f", page * PAGE as u64, b"other");
        let report = take(&case.path("f"), Clones::Keep);
        assert_eq!((report.grade, report.warnings.len()), (Grade::Proven, 0), "{}", report.reason);
        assert_eq!(report.bytes_read.is_some(), page > 0, "{}", report.read_reason);
        assert_eq!(restored(&case.path("f"), report.number), case.read("f"));
    }
}
