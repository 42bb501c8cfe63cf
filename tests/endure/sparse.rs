//! Files that are mostly holes, and longer than any disk: what they take goes with their data, not with their length.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;

use memsnap::page::MAX_LEN;
use memsnap::sys::cache;

use super::case::{Case, PAGE, no_forks, noise, skip};
use super::measure::measured;
use super::util::{Alarm, nightly};

const PAGE64: u64 = PAGE as u64;

fn make(case: &Case, name: &str, len: u64) -> Option<File> {
    let _alone = no_forks();
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(case.path(name)).unwrap();
    file.set_len(len).is_ok().then_some(file)
}

/// A directory in memory, where files may be as long as numbers go.
fn endless() -> Option<(tempfile::TempDir, Case)> {
    let dir = tempfile::tempdir_in("/dev/shm").ok()?;
    let case = Case::at(dir.path());
    Some((dir, case))
}

#[test]
fn a_hole_is_one_step() {
    let Some((_dir, case)) = endless() else { return skip("no /dev/shm") };
    let len = MAX_LEN;
    let Some(file) = make(&case, "f", len) else { return skip("files cannot be so long here") };
    let places = [0, 1 << 40, 1 << 62, len / PAGE64 * PAGE64 - PAGE64];
    places.iter().zip(1..).for_each(|(at, seed)| file.write_all_at(&noise(seed, PAGE), *at).unwrap());
    drop(file);
    let _alarm = Alarm::new("a verb on a file of 8 EiB");
    // The first without a cache of digests, the next two with it.
    let (ran, _) = measured(&case, "--json snap f", 0);
    assert_eq!(ran.json()[0]["bytes_stored"].as_u64().map(|n| n < 1 << 20), Some(true), "{}", ran.out);
    measured(&case, "snap f", 0).1.is_small();
    case.patch("f", places[2], &noise(9, PAGE));
    measured(&case, "diff f", 1).1.is_small();
    measured(&case, "snap f", 0).1.is_small();
    let rows = case.exits("--json diff f@1", 1).json();
    assert_eq!(rows[0]["start"], places[2], "{rows:?}");
    measured(&case, "diff f@1..2", 1).1.is_small();
    measured(&case, "stat --content f", 0).1.is_small();
    measured(&case, "stat --changes f", 0).1.is_small();
    // Without the cache, and against another file.
    case.stored("digests").iter().for_each(|cache| std::fs::remove_file(cache).unwrap());
    measured(&case, "diff f@1", 1).1.is_small();
    drop(make(&case, "g", len));
    measured(&case, "diff f g", 1).1.is_small();
    measured(&case, "diff g f", 1).1.is_small();
    measured(&case, "revert --yes f@1", 0).1.is_small();
    measured(&case, "diff f@1", 0).1.is_small();
    measured(&case, "edit --yes f --at 1T --hex ff", 0).1.is_small();
}

#[test]
fn growing_by_a_hole() {
    let Some((_dir, case)) = endless() else { return skip("no /dev/shm") };
    let Some(file) = make(&case, "f", PAGE64) else { return skip("no files here") };
    file.write_all_at(&noise(1, PAGE), 0).unwrap();
    drop(file);
    let _alarm = Alarm::new("a verb on a file that grew to 8 EiB");
    case.ok("snap f");
    {
        let _alone = no_forks();
        let file = OpenOptions::new().write(true).open(case.path("f")).unwrap();
        if file.set_len(MAX_LEN + 1).is_err() {
            return skip("files cannot be so long here");
        }
        drop(file);
    }
    case.exits("snap f", 2).says("no image may be longer");
    case.set_len("f", MAX_LEN);
    measured(&case, "snap f", 0).1.is_small();
    measured(&case, "diff f@1", 1).1.is_small();
    measured(&case, "revert --yes f@1", 0).1.is_small();
    assert!(case.read("f") == noise(1, PAGE));
}

#[test]
fn scattered_pages_of_a_long_file() {
    let (len, pages) = if nightly() { (1 << 40, 20_000) } else { (1 << 34, 500) };
    let case = Case::new();
    let Some(file) = make(&case, "f", len) else { return skip("files cannot be so long here") };
    let step = len / pages / PAGE64 * PAGE64;
    (0..pages).for_each(|n| file.write_all_at(&noise(n, PAGE), n * step).unwrap());
    file.sync_all().unwrap();
    drop(file);
    // Whole groups are read: 16 pages for each that holds anything; besides, the store's own files.
    let most = pages * 16 * PAGE64 + (8 << 20) + pages * 16 * 64;
    let small = |words: &str, code| {
        let (ran, took) = measured(&case, words, code);
        eprintln!("{words}: {took:?}");
        took.is_small();
        assert!(took.read <= 3 * most, "{words} read {} bytes, for {pages} pages", took.read);
        ran
    };
    small("snap f", 0);
    small("snap f", 0);
    case.patch("f", 7 * step, &noise(1 << 32, PAGE));
    small("diff f", 1).shows("1 page in 1 range");
    small("snap f", 0);
    small("revert --yes f@1", 0);
    small("restore f@2 -o g", 0);
    let allocated = std::os::unix::fs::MetadataExt::blocks(&case.path("g").metadata().unwrap()) * 512;
    assert!(allocated < pages * 64 * 1024, "the copy is not sparse: {allocated} bytes");
    small("diff f g", 1).shows("1 page in 1 range");
    small("stat --content f", 0);
    small("verify", 0).says("");
}

#[test]
fn holes_that_were_read_leave_the_page_cache() {
    let case = Case::new();
    const STEP: u64 = 64 << 10;
    let Some(file) = make(&case, "f", 64 * STEP) else { return skip("no files here") };
    (0..64).for_each(|n| file.write_all_at(&noise(n, PAGE), n * STEP).unwrap());
    file.sync_all().unwrap();
    drop(file);
    let file = File::open(case.path("f")).unwrap();
    let cached = || cache::count_resident(&file, 0, 64 * STEP).unwrap();
    cache::drop_pages(&file, 0, 64 * STEP);
    if cached() != Some(0) {
        return skip("pages cannot be dropped here");
    }
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Random).unwrap();
    (0..64).for_each(|n| file.read_exact_at(&mut [0; PAGE], n * STEP).unwrap());
    let before = cached().unwrap();
    for verb in ["snap f", "stat --content f", "stat --changes f", "diff f@1"] {
        case.ok(verb);
        assert!(cached().unwrap() <= before, "{verb} left {} pages, of {before}", cached().unwrap());
    }
}
