//! Blocks that were reserved for a change which then could not begin are given back.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;

use crate::case::{Case, PAGE, no_forks, noise};
use crate::mount::{Fs, Mount, needs_btrfs, needs_mounts};

const PAGES: usize = 4096;
const LEFT: u64 = 4 << 20;

/// Takes all space but about `LEFT`, with data that no file system can compress.
fn fill(mount: &Mount) {
    let path = mount.at().join("filler");
    let mut filler = File::create_new(&path).unwrap();
    let chunk = noise(3, 1 << 20);
    while std::io::Write::write_all(&mut filler, &chunk).and_then(|()| filler.sync_data()).is_ok() {}
    let len = filler.metadata().unwrap().len();
    filler.set_len(len - LEFT).unwrap();
    mount.sync();
}

/// The blocks of the file, also those that were reserved and never written.
fn extents(case: &Case) -> Vec<(u64, u64)> {
    let _alone = no_forks();
    let (file, mut found) = (File::open(case.path("f")).unwrap(), Vec::new());
    memsnap::sys::extents::each(&file, &mut |extent| found.push((extent.logical, extent.len))).unwrap();
    found
}

fn reserved_blocks_are_given_back(fs: Fs) {
    // Holes within the file, and past its end.
    for now in [PAGES * PAGE, 3 * PAGE] {
        let (mount, _image) = Mount::empty(fs, 0);
        let (case, elsewhere) = (mount.case(), Case::new());
        let store = elsewhere.path("store").display().to_string();
        let old = noise(1, PAGES * PAGE);
        case.write("f", &old);
        case.ok(&format!("snap --store {store} f"));
        case.set_len("f", 0);
        case.set_len("f", now as u64);
        case.patch("f", PAGE as u64, &noise(2, PAGE));
        fill(&mount);
        let (before, held, there) = (case.path("f").metadata().unwrap(), case.read("f"), extents(&case));
        assert!(!there.is_empty());

        let words = format!("revert --yes --store {store} f@1");
        case.exits(&words, 2).says("reserving space for").says("free some space on the disk of the file");
        mount.sync();
        let after = case.path("f").metadata().unwrap();
        assert!(case.read("f") == held, "{fs:?}");
        assert_eq!((extents(&case), after.len()), (there, before.len()), "{fs:?}");
        // ext4 keeps the block of an extent tree that has become small again.
        assert!(after.blocks() <= before.blocks() + 8, "{fs:?}: {} of {}", after.blocks(), before.blocks());
        assert_eq!((after.mtime(), after.mtime_nsec()), (before.mtime(), before.mtime_nsec()), "{fs:?}");
        case.ok(&format!("recover --yes --store {store} f")).says("no change was interrupted");

        fs::remove_file(mount.at().join("filler")).unwrap();
        mount.sync();
        case.ok(&words);
        assert!(case.read("f") == old, "{fs:?}");
    }
}

#[test]
fn reserved_blocks_on_ext4() {
    if needs_mounts() {
        reserved_blocks_are_given_back(Fs::Ext4);
    }
}

#[test]
fn reserved_blocks_on_xfs() {
    if needs_mounts() {
        reserved_blocks_are_given_back(Fs::Xfs);
    }
}

#[test]
fn reserved_blocks_on_btrfs() {
    if needs_btrfs() {
        reserved_blocks_are_given_back(Fs::Btrfs);
    }
}
