//! Many pages that are not holes: what the program takes does not go with their number. 25 million of them, 95 GiB, with
//! `MEMSNAP_NIGHTLY=1`: they share their blocks on XFS, and shrink in the store.

use std::fs::File;
use std::io::Write;

use super::case::{Case, PAGE, finish, noise};
use super::measure::measured;
use super::mount::{Fs, Mount, needs_mounts};
use super::util::nightly;

/// What is really there.
const BLOCK: usize = 64 << 20;

/// A file of `pages` pages, all of the same 64 MiB, none like another.
fn lay(case: &Case, pages: usize) {
    let mut bytes = vec![0; BLOCK];
    for (page, number) in bytes.chunks_mut(PAGE).zip(1u64..) {
        page[..8].copy_from_slice(&number.to_le_bytes());
    }
    let mut file = File::create(case.path("f")).unwrap();
    file.write_all(&bytes).unwrap();
    file.sync_all().unwrap();
    drop(file);
    let (mut len, all) = (BLOCK, pages * PAGE);
    while len < all {
        let more = len.min(all - len);
        let words = format!("reflink f 0 {len} {more}");
        finish(case.command("xfs_io").args(["-c", &words, "f"])).exits(0);
        len += more;
    }
    assert_eq!(case.path("f").metadata().unwrap().len(), all as u64);
}

#[test]
fn memory_stays_small() {
    if !needs_mounts() {
        return;
    }
    let pages = if nightly() { 25_000_000 } else { 100_000 };
    let (mount, _image) = Mount::empty(Fs::Xfs, 512 << 20);
    let (case, store) = (mount.case(), tempfile::tempdir().unwrap());
    lay(&case, pages);
    let verb = |words: &str, code| {
        let words = format!("--store {} {words}", store.path().join("s").display());
        let (ran, took) = measured(&case, &words, code);
        eprintln!("{pages} pages, {words}: {} KiB of memory", took.memory);
        took.is_small();
        ran
    };
    verb("snap f", 0);
    verb("snap f", 0);
    let touched: Vec<usize> = (0..500).map(|n| n * (pages / 500)).collect();
    touched.iter().for_each(|page| case.patch("f", (page * PAGE) as u64, &noise(*page as u64, 64)));
    verb("diff f", 1).shows("500 pages");
    verb("snap f", 0);
    verb("revert --yes f@1", 0);
    verb("diff f@1", 0);
    verb("undo --yes f", 0);
    verb("verify --quick", 0);
    verb("diff f@1..2", 1).shows("500 pages");
    if nightly() {
        verb("verify", 0);
    }
}
