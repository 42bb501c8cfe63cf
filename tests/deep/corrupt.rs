//! Damage: every bit of every stored file flipped, every truncation. An error or the right bytes, never anything else.

use std::fs;
use std::path::{Path, PathBuf};

use memsnap::Error;
use memsnap::page::PAGE;
use memsnap::store::{Ref, Store};

use super::ground::{Ground, is_damage, noise};

/// A store with full maps, differences, raw and coded frames, holes and zeros; and what its snapshots hold.
struct Sample {
    ground: Ground,
    images: Vec<Vec<u8>>,
}

impl Sample {
    fn new() -> Sample {
        let ground = Ground { compress: memsnap::pack::Compress::Zstd(1), ..Ground::new(&[]) };
        let mut sample = Sample { ground, images: Vec::new() };
        let mut bytes = vec![0; 70 * PAGE + 123];
        bytes[..5 * PAGE].copy_from_slice(&noise(1, 5 * PAGE));
        let text: Vec<u8> = (0..3 * PAGE).map(|i| b"all work and no play "[i % 21]).collect();
        bytes[20 * PAGE..23 * PAGE].copy_from_slice(&text);
        let end = bytes.len();
        bytes[end - 9..].fill(7);
        sample.add(&bytes);
        // Scattered pages, so that the maps have many runs.
        for round in 0..6u64 {
            for page in (round as usize..70).step_by(7) {
                bytes[page * PAGE..page * PAGE + 8].copy_from_slice(&noise(round * 100 + page as u64, 8));
            }
            sample.add(&bytes);
        }
        bytes.truncate(40 * PAGE);
        sample.add(&bytes);
        sample
    }

    fn add(&mut self, bytes: &[u8]) {
        fs::write(&self.ground.target, bytes).unwrap();
        assert!(self.ground.snap().unwrap().new);
        self.images.push(bytes.to_vec());
    }

    fn files(&self, ending: &str) -> Vec<PathBuf> {
        let mut out = Vec::new();
        for dir in [self.ground.history().dir().to_path_buf(), self.ground.store()] {
            out.extend(fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_file()));
        }
        out.retain(|path| path.to_string_lossy().ends_with(ending));
        out.sort();
        out
    }

    fn read_all(&self, what: &str) -> usize {
        self.read(what, &(1..=self.images.len()).collect::<Vec<_>>())
    }

    /// The snapshots of these numbers are read right or not at all; gives how many could not be read.
    fn read(&self, what: &str, numbers: &[usize]) -> usize {
        let store = match Store::open(&self.ground.store()) {
            Ok(store) => store,
            Err(e) => {
                assert!(is_damage(&e), "{what}: {e:?}");
                return numbers.len();
            }
        };
        assert!(store.history(&self.ground.target).is_ok());
        let mut lost = 0;
        for number in numbers {
            match self.ground.restored(*number as u64) {
                Ok(bytes) => assert!(bytes == self.images[number - 1], "{what}: @{number} gives wrong bytes"),
                Err(Error::Damaged { .. }) => lost += 1,
                Err(e) => panic!("{what}: @{number}: {e:?}"),
            }
        }
        lost
    }

    /// What the newest differs in from the first, as the library says and as it is.
    fn compare(&self, what: &str) {
        let last = self.images.len() as u64;
        for (a, b) in [(Ref::Number(1), Ref::Number(last)), (Ref::Number(last - 1), Ref::Now)] {
            match self.ground.diff(a, b) {
                Ok((_, report)) => assert!(!report.same, "{what}: said to be the same"),
                Err(e) => assert!(is_damage(&e), "{what}: {e:?}"),
            }
        }
    }
}

/// Calls `check` with every damaged form of `path`: bits flipped, cut short at every length, a byte more. Of long files
/// every `step`-th.
fn damage(path: &Path, step: usize, mut check: impl FnMut(&str)) {
    let good = fs::read(path).unwrap();
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let step = if good.len() < 2048 { 1 } else { step };
    for bit in (0..good.len() * 8).step_by(step) {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        fs::write(path, &bad).unwrap();
        check(&format!("{name} bit {bit}"));
    }
    for len in (0..good.len()).step_by(step.div_ceil(8)) {
        fs::write(path, &good[..len]).unwrap();
        check(&format!("{name} cut to {len}"));
    }
    fs::write(path, [&good[..], &[0]].concat()).unwrap();
    check(&format!("{name} and a byte"));
    fs::remove_file(path).unwrap();
    check(&format!("{name} missing"));
    fs::write(path, &good).unwrap();
}

#[test]
fn damaged_snapshots() {
    let sample = Sample::new();
    let files = sample.files(".snap");
    assert_eq!(files.len(), sample.images.len());
    for (i, path) in files.iter().enumerate().step_by(3) {
        let mut turn = 0;
        damage(path, 17, |what| {
            if what.ends_with("missing") {
                return;
            }
            assert_eq!(sample.read(what, &[i + 1]), 1, "{what}: not noticed");
            turn += 1;
            if turn % 32 == 0 {
                assert!(sample.read_all(what) >= 1);
                assert!(sample.ground.faults().unwrap() > 0, "{what}: verify does not see it");
                sample.compare(what);
            }
        });
    }
    assert_eq!(sample.read_all("mended"), 0);
}

#[test]
fn damaged_maps() {
    // A full map is only written when the differences since the last outgrow it.
    let mut sample = Sample::new();
    let mut bytes = sample.images[0].clone();
    for round in 0.. {
        if !sample.files(".map").is_empty() {
            break;
        }
        assert!(round < 200, "no full map after so many snapshots");
        noise(round, 70).iter().enumerate().filter(|(_, random)| **random < 128).for_each(|(page, _)| {
            bytes[page * PAGE..][..8].copy_from_slice(&noise(round << 8 | page as u64, 8));
        });
        sample.add(&bytes);
    }
    let files = sample.files(".map");
    let last = sample.images.len();
    let mut turn = 0;
    damage(&files[0], 7, |what| {
        assert_eq!(sample.read(what, &[last]), 1, "{what}: not noticed");
        turn += 1;
        if turn % 64 == 0 {
            assert!(sample.ground.faults().unwrap() > 0, "{what}: verify does not see it");
            let error = sample.ground.diff(Ref::Number(last as u64), Ref::Now).map(drop);
            assert!(error.as_ref().map_or_else(is_damage, |()| true), "{what}: {error:?}");
        }
    });
    assert_eq!(sample.read_all("mended"), 0);
}

#[test]
fn damaged_packs() {
    let sample = Sample::new();
    let files = sample.files(".pack");
    assert!(files.len() >= 7);
    for path in files.iter().take(3) {
        damage(path, 211, |what| {
            // What is said twice may be read from the other place; verify sees it all the same.
            if sample.read_all(what) == 0 {
                assert!(sample.ground.faults().unwrap() > 0, "{what}: not noticed");
            }
        });
    }
    assert_eq!(sample.read_all("mended"), 0);
}

#[test]
fn damaged_format() {
    let sample = Sample::new();
    damage(&sample.ground.store().join("format"), 1, |what| {
        let error = Store::open(&sample.ground.store()).expect_err(what);
        let reported = is_damage(&error) || what.ends_with("missing") && matches!(error, Error::Refused { .. });
        assert!(reported, "{what}: {error:?}");
        // Nor is it created over what is there.
        assert!(sample.ground.snap().is_err(), "{what}");
    });
    assert_eq!(sample.read_all("mended"), 0);
}

/// The cache may be lost, but never lie: neither about what changed nor about what to store.
#[test]
fn damaged_cache() {
    let mut sample = Sample::new();
    let cache = sample.ground.history().dir().join("digests");
    let good = fs::read(&cache).unwrap();
    let mut bytes = sample.images.last().unwrap().clone();
    // Only bytes that say something: most of the file is a hole.
    let said: Vec<usize> = (0..good.len()).filter(|i| good[*i] != 0 || i % 251 == 0).collect();
    let mut cases: Vec<Vec<u8>> = Vec::new();
    for (n, at) in said.iter().enumerate().step_by(5) {
        let mut bad = good.clone();
        bad[*at] ^= 1 << (n % 8);
        cases.push(bad);
    }
    cases.extend((0..good.len()).step_by(701).map(|len| good[..len].to_vec()));
    cases.push(Vec::new());
    let mut last_number = sample.images.len() as u64;
    for (n, bad) in cases.iter().enumerate() {
        fs::write(&cache, bad).unwrap();
        let last = Ref::Number(last_number);
        let (ranges, report) = sample.ground.diff(last.clone(), Ref::Now).unwrap();
        assert!(report.same && ranges.is_empty(), "case {n}: unchanged is said to be changed");
        let page = n % 40;
        let old = bytes[page * PAGE..][..8].to_vec();
        bytes[page * PAGE..][..8].copy_from_slice(&noise(1 << 32 | n as u64, 8));
        sample.ground.patch((page * PAGE) as u64, &bytes[page * PAGE..][..8]);
        let (ranges, _) = sample.ground.diff(last, Ref::Now).unwrap();
        assert_eq!((ranges.len(), ranges[0].start, ranges[0].len()), (1, page as u64, 1), "case {n}");
        if n % 16 == 0 {
            let report = sample.ground.snap().unwrap();
            assert!(report.new && sample.ground.stored(report.number).unwrap() == bytes, "case {n}");
            sample.images.push(bytes.clone());
            fs::write(&cache, bad).unwrap();
            let back = report.number - 1;
            sample.ground.revert(back, None).unwrap();
            assert!(sample.ground.bytes() == sample.images[back as usize - 1], "case {n}");
            sample.ground.undo().unwrap();
            assert!(sample.ground.bytes() == bytes, "case {n}");
            sample.images.truncate(report.number as usize - 1);
            // As before for the next case.
            last_number = renew(&mut sample, &bytes);
        } else {
            bytes[page * PAGE..][..8].copy_from_slice(&old);
            sample.ground.patch((page * PAGE) as u64, &old);
        }
    }
}

/// Brings the list of images up to what the store has. Returns the number of the one that is `bytes`: a cache that was
/// lost may have made others be stored again after it.
fn renew(sample: &mut Sample, bytes: &[u8]) -> u64 {
    let number = sample.ground.snap().unwrap().number;
    let names = sample.ground.history().snapshots().unwrap();
    for name in &names[sample.images.len()..] {
        sample.images.push(sample.ground.stored(name.number).unwrap());
    }
    assert!(sample.images[number as usize - 1] == bytes);
    number
}

/// A tag names its snapshot, or is said to be damaged; it never names another.
#[test]
fn damaged_tags() {
    let sample = Sample::new();
    let history = sample.ground.history();
    let names = history.snapshots().unwrap();
    let writing = history.write_lock(std::time::Duration::ZERO).unwrap();
    history.tag(&writing, "first", &names[0].id).unwrap();
    history.tag(&writing, "other", &names[1].id).unwrap();
    drop(writing);
    let tag = Ref::Tag("first".into());
    let path = history.dir().join("names/tag-first");
    damage(&path, 1, |what| match history.resolve(&tag) {
        Ok(name) => panic!("{what}: still names @{}", name.number),
        Err(Error::Damaged { .. }) => {}
        Err(Error::Missing { .. }) => assert!(what.ends_with("missing"), "{what}"),
        Err(e) => panic!("{what}: {e:?}"),
    });
    // Nor does the file of another tag under its name.
    let good = fs::read(&path).unwrap();
    fs::copy(history.dir().join("names/tag-other"), &path).unwrap();
    assert!(matches!(history.resolve(&tag), Err(Error::Damaged { .. })));
    fs::write(&path, good).unwrap();
    assert_eq!(history.resolve(&tag).unwrap(), names[0]);
}

#[test]
fn the_next_snapshot_does_not_stand_on_damage() {
    let sample = Sample::new();
    for path in sample.files(".pack").into_iter().chain(sample.files(".map")).chain(sample.files(".snap")) {
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        let last = bad.len() - 1;
        bad[last] ^= 0x10;
        fs::write(&path, &bad).unwrap();
        let _ = fs::remove_file(sample.ground.history().dir().join("digests"));
        let options = sample.ground.snap_options().always(true);
        let report = memsnap::ops::snap::snap(&sample.ground.target, &options, &memsnap::ops::Quiet);
        if let Ok(report) = report {
            let stored = sample.ground.stored(report.number);
            assert!(stored.is_ok_and(|b| b == *sample.images.last().unwrap()), "{}: bad snapshot", path.display());
        }
        fs::write(&path, &good).unwrap();
    }
}
