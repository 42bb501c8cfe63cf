//! Thousands of snapshots of one target in one process: neither its memory, nor its descriptors, nor what a snapshot
//! reads grow with them. (What the store takes, and how near the newest image is: tests/deep/many.rs.)

use std::os::unix::fs::FileExt;
use std::process::Command;
use std::time::{Duration, Instant};

use memsnap::ops::{Quiet, snap, verify};

use super::case::{Case, PAGE, noise};
use super::util::by_size;

const PAGES: u64 = 4096;
const EACH: u64 = 10;
/// KiB that no verb takes more of, whatever the size of a file.
const MEMORY: u64 = 96 << 10;
const ALONE: &str = "MEMSNAP_SOAK_ALONE";

/// What this process has, and has read so far.
#[derive(Clone, Copy, Debug)]
struct ChangeMarker {
    /// KiB, now.
    memory: u64,
    /// KiB, at most so far: it is not the same each time, as it depends on who runs before whom.
    most: u64,
    descriptors: usize,
    read: u64,
    at: Instant,
}

fn mark() -> ChangeMarker {
    let field = |file: &str, name: &str| -> u64 {
        let text = std::fs::read_to_string(file).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    };
    ChangeMarker {
        memory: field("/proc/self/status", "VmRSS:"),
        most: field("/proc/self/status", "VmHWM:"),
        descriptors: std::fs::read_dir("/proc/self/fd").unwrap().count(),
        read: field("/proc/self/io", "rchar:"),
        at: Instant::now(),
    }
}

/// What the snapshots of a tenth of the run took.
struct Tenth {
    read: u64,
    time: Duration,
    end: ChangeMarker,
}

fn verified(case: &Case) {
    let options = verify::Options::default().store(case.path(".memsnap"));
    assert!(verify::verify(None, &options, &Quiet).unwrap().faults.is_empty());
}

fn soak() {
    let count = by_size(100, 300, 10_000);
    let case = Case::with_pages(PAGES as usize);
    let target = case.path("f");
    let options = snap::Options::default();
    let file = std::fs::OpenOptions::new().write(true).open(&target).unwrap();
    let mut tenths = Vec::new();
    let (mut number, mut seed) = (0, 0u64);
    for _ in 0..10 {
        let begin = mark();
        let mut checking = (0, Duration::ZERO);
        for _ in 0..count / 10 {
            for _ in 0..EACH {
                seed += 1;
                let page = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 52;
                file.write_all_at(&noise(seed, PAGE), page * PAGE as u64).unwrap();
            }
            number += 1;
            assert_eq!(snap::snap(&target, &options, &Quiet).unwrap().number, number);
            if number % (count / 20) == 0 {
                let before = mark();
                verified(&case);
                let after = mark();
                checking = (checking.0 + after.read - before.read, checking.1 + (after.at - before.at));
            }
        }
        let end = mark();
        tenths.push(Tenth { read: end.read - begin.read - checking.0, time: end.at - begin.at - checking.1, end });
    }
    let (first, last) = (&tenths[0], &tenths[9]);
    let each = |tenth: &Tenth| (tenth.time / (count as u32 / 10), tenth.read / (count / 10));
    eprintln!(
        "{count} snapshots: the first tenth {:?} and {} bytes read each, the last {:?} and {}; {} and {} KiB of memory, {} at most",
        each(first).0,
        each(first).1,
        each(last).0,
        each(last).1,
        first.end.memory,
        last.end.memory,
        last.end.most
    );
    assert_eq!(first.end.descriptors, last.end.descriptors, "descriptors are lost");
    // As much as the allocator keeps for threads that happened to run side by side: it has been seen to be 17 MiB.
    assert!(last.end.memory < first.end.memory + (32 << 10), "{:?}, then {:?}", first.end, last.end);
    assert!(last.end.most < MEMORY, "{:?}", last.end);
    assert!(last.read < first.read * 2, "a snapshot reads more and more: {} bytes, then {}", first.read, last.read);
}

#[test]
fn many_snapshots_in_one_process() {
    if std::env::var_os(ALONE).is_some() {
        return soak();
    }
    // Where no other test has a share in the figures.
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "soak::many_snapshots_in_one_process", "--nocapture"]).env(ALONE, "1");
    assert!(command.status().unwrap().success());
}
