//! The page cache before and after a file was read.

use super::*;
use crate::sys::eventually;
use std::os::unix::fs::FileExt;

const MIB: u64 = 1 << 20;

/// A clean file of 4 MiB that is not in the page cache; none where pages cannot be dropped (tmpfs).
fn cold() -> Option<File> {
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(&vec![5; 4 << 20], 0).unwrap();
    file.sync_all().unwrap();
    drop_pages(&file, 0, 4 * MIB);
    let cold = residency(&file, 0, 4 << 20).unwrap()?.iter().all(|cached| !cached);
    if !cold {
        crate::sys::skipped("pages cannot be dropped here");
    }
    cold.then_some(file)
}

fn read(file: &File, off: u64, len: usize) {
    file.read_exact_at(&mut vec![0; len], off).unwrap();
}

#[test]
fn what_reading_brought_in_goes_again() {
    let Some(file) = cold() else { return };
    let before = Before::look(&file, 0, 4 * MIB);
    assert_eq!(before.absent, [(0, 4 * MIB)]);
    // More than once, here and below: the machine may drop caches of its own at any time.
    assert!(eventually(|| {
        read(&file, 0, 4 << 20);
        Before::look(&file, 0, 4 * MIB).absent.is_empty()
    }));
    before.restore(&file);
    assert!(residency(&file, 0, 4 << 20).unwrap().unwrap().iter().all(|cached| !cached));
}

#[test]
fn what_was_there_stays() {
    let Some(file) = cold() else { return };
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Random).unwrap();
    assert!(eventually(|| {
        drop_pages(&file, 0, 4 * MIB);
        read(&file, MIB, 1 << 20);
        let before = Before::look(&file, 0, 4 * MIB);
        read(&file, 0, 4 << 20);
        before.restore(&file);
        let now = residency(&file, 0, 4 << 20).unwrap().unwrap();
        assert_eq!(now.len(), 1024, "a machine with other pages needs another test");
        let cached = now.iter().filter(|cached| **cached).count();
        before.absent.len() == 2 && now[256..512].iter().all(|cached| *cached) && cached < 300
    }));
}

#[test]
fn counting() {
    let Some(file) = cold() else { return };
    let Some(counts) = count(&file, 0, 4 * MIB) else {
        return crate::sys::skipped("no cachestat here");
    };
    assert_eq!(counts, Counts::default());
    assert!(eventually(|| {
        read(&file, 0, 4 << 20);
        count(&file, 0, 4 * MIB).unwrap().cached == 1024
    }));
    file.write_all_at(&[1], 0).unwrap();
    let counts = count(&file, 0, 4 * MIB).unwrap();
    assert!(counts.dirty + counts.writeback >= 1);
    assert_eq!(count(&file, 0, 0).unwrap().cached, 0);
    let cached = count(&file, 0, 4 * MIB).unwrap().cached;
    assert_eq!(count_resident(&file, 0, 4 * MIB).unwrap(), Some(cached), "both ways count the same");
    assert_eq!(residency(&file, 0, 0).unwrap().unwrap(), []);
}

#[test]
fn given_back_as_it_goes() {
    let Some(file) = cold() else { return };
    let before = Before::look(&file, 0, 4 * MIB);
    for at in 0..4 {
        read(&file, at * MIB, 1 << 20);
        before.restore_part(&file, at * MIB, (at + 1) * MIB);
    }
    before.restore(&file);
    assert!(residency(&file, 0, 4 << 20).unwrap().unwrap().iter().filter(|cached| **cached).count() < 64);
}

#[test]
fn gaps_are_joined() {
    let mut before = Before::default();
    for at in [4096, 8192, 16384] {
        before.note(at, 4096);
    }
    assert_eq!(before.absent, [(4096, 8192), (16384, 4096)]);
}

#[test]
fn holes_that_were_read_are_given_back() {
    const STEP: u64 = 64 << 10;
    let file = tempfile::tempfile().unwrap();
    for at in 0..16 {
        file.write_all_at(&[5; 4096], at * STEP).unwrap();
    }
    file.set_len(16 * STEP).unwrap();
    file.sync_all().unwrap();
    drop_pages(&file, 0, MIB);
    let allocated = std::os::unix::fs::MetadataExt::blocks(&file.metadata().unwrap()) * 512;
    if allocated >= MIB || count_resident(&file, 0, MIB).unwrap() != Some(0) {
        return crate::sys::skipped("no sparse files here, or pages cannot be dropped");
    }
    // All data is cached, and no hole; then all is read.
    let cached = || count_resident(&file, 0, MIB).unwrap().unwrap();
    assert!(eventually(|| {
        drop_pages(&file, 0, MIB);
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Random).unwrap();
        (0..16).for_each(|at| read(&file, at * STEP, 4096));
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Normal).unwrap();
        let (warm, before) = (cached(), Before::look_sparse(&file, MIB, allocated));
        read(&file, 0, MIB as usize);
        let all = cached();
        before.restore(&file);
        warm == 16 && all == 256 && cached() == 16
    }));
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut before = Before::default();
    for page in 0..2 * MOST as u64 {
        before.note(page * 8192, 4096);
    }
    assert_eq!(before.absent.len(), MOST);
    // A file that never ends is no stretch after stretch.
    let file = tempfile::tempfile().unwrap();
    if file.set_len(8 << 40).is_ok() {
        file.write_all_at(&[1; 4096], 4 << 40).unwrap();
        assert!(Before::look_sparse(&file, 8 << 40, 4096).absent.len() <= 2);
    }
}
