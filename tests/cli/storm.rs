//! A file that is cut and grown all the time while it is looked at: no signal, and no byte that it never held.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::case::{Case, Ran};

const LEN: usize = 3 << 20;
const ROUNDS: u64 = 1000;
/// Looks at the least, of each kind.
const LOOKS: usize = 25;

/// What the file holds at `i`, where it is not zero.
fn held(i: usize) -> u8 {
    (i % 251) as u8 + 1
}

/// Cuts the file somewhere, grows it, and writes what belongs there.
fn storm(path: &Path, rounds: &AtomicU64) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    let bytes: Vec<u8> = (0..LEN).map(held).collect();
    for round in 0..100 {
        let cut = (round as usize * 7919 * 64) % LEN;
        file.set_len(cut as u64).unwrap();
        if round % 3 == 0 {
            std::thread::yield_now();
        }
        file.set_len(LEN as u64).unwrap();
        file.write_all_at(&bytes[cut..], cut as u64).unwrap();
        rounds.fetch_add(1, Ordering::Relaxed);
    }
}

#[track_caller]
fn must_be_held(offset: usize, bytes: &[u8]) {
    for (i, byte) in bytes.iter().enumerate() {
        assert!(*byte == 0 || *byte == held(offset + i), "byte {} was never {byte}", offset + i);
    }
}

/// It ended by itself: with one of these codes, or with a clear error.
#[track_caller]
fn ended(ran: &Ran, codes: &[i32]) {
    assert_eq!(ran.signal, None, "{ran:?}");
    let code = ran.code.unwrap();
    let clear = ran.err.contains("changed while it was read") || ran.err.contains("the range begins at byte");
    assert!(codes.contains(&code) || code == 2 && clear, "{code}: {}", ran.err);
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

fn look(case: &Case, n: usize) {
    let ran = case.run(["view", "--raw", "f"]);
    ended(&ran, &[0]);
    must_be_held(0, &ran.bytes);

    let ran = case.run(["view", "--plain", "--range", "1M+300000", "f"]);
    ended(&ran, &[0]);
    must_be_held(1 << 20, &hex(&ran.out.replace('\n', "")));

    let io = if n.is_multiple_of(2) { "map" } else { "pread" };
    let ran = case.run(["diff", "--io", io, "--json", "--hex", "--limit", "2000", "f", "whole"]);
    ended(&ran, &[0, 1]);
    for line in ran.json().iter().filter(|line| line["schema"] == "memsnap.diff.row.1") {
        let offset = line["offset"].as_u64().unwrap() as usize;
        must_be_held(offset, &hex(line["old"].as_str().unwrap()));
        must_be_held(offset, &hex(line["new"].as_str().unwrap()));
    }
}

#[test]
fn a_storm_of_truncations() {
    let case = Case::new();
    let whole: Vec<u8> = (0..LEN).map(held).collect();
    case.write("f", &whole);
    case.write("whole", &whole);
    let (path, rounds) = (case.path("f"), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let storm = scope.spawn(|| {
            while !storm_is_over(&rounds) {
                storm(&path, &rounds)
            }
        });
        let calm = Calm(&rounds);
        let mut looks = 0;
        while looks < LOOKS || rounds.load(Ordering::Relaxed) < ROUNDS {
            look(&case, looks);
            looks += 1;
        }
        drop(calm);
        storm.join().unwrap();
    });
    assert!(rounds.load(Ordering::Relaxed) >= ROUNDS);
    assert!(case.read("f") == whole);
}

/// Added to the rounds when no reader is left.
const OVER: u64 = 1 << 40;

/// Ends the storm, also when a look has failed.
struct Calm<'a>(&'a AtomicU64);

impl Drop for Calm<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(OVER, Ordering::Relaxed);
    }
}

fn storm_is_over(rounds: &AtomicU64) -> bool {
    rounds.load(Ordering::Relaxed) >= OVER
}
