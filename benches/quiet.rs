//! What it costs that a process has a file open for writing: `snap` of a file in memory that nobody has open (a lease),
//! and of the same file while a program has it open and is idle (a quiet window). They take turns.
//!
//! `cargo bench --features dev --bench quiet` prints the medians, and the limit: the plain snap, two flushes of a clean
//! file, 25 ms, and five times cachestat(2). `-- 256 9` takes 256 MiB and 9 rounds instead of 1024 and 25.
//! MEMSNAP_BENCH_DIR is where: ext4, XFS or btrfs.
#![allow(clippy::print_stdout, reason = "it prints figures")]
#![allow(missing_docs, reason = "no library")]

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use memsnap::sys::cache;

const MORE: Duration = Duration::from_millis(25);
const FLUSHES: u32 = 2;
const LOOKS: u32 = 5;

fn main() {
    let mut numbers = std::env::args().filter_map(|arg| arg.parse::<usize>().ok());
    let (mib, rounds) = (numbers.next().unwrap_or(1024), numbers.next().unwrap_or(25));
    let parent =
        std::env::var_os("MEMSNAP_BENCH_DIR").map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
    let dir = tempfile::tempdir_in(parent).expect("a directory");
    fill(&dir.path().join("f"), mib);
    // The first reads all and stores it; later ones compare.
    snap(dir.path(), "proven");
    let file = File::open(dir.path().join("f")).expect("the file");
    let (mut plain, mut open, mut flush, mut look) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        plain.push(snap(dir.path(), "proven"));
        let writer = File::options().write(true).open(dir.path().join("f")).expect("the file");
        open.push(snap(dir.path(), "observed"));
        drop(writer);
        flush.push(timed(|| file.sync_data().expect("a flush")));
        look.push(timed(|| {
            let _ = cache::try_count(&file, 0, u64::MAX).expect("cachestat");
        }));
    }
    let [plain, open, flush, look] = [plain, open, flush, look].map(median);
    let limit = plain + FLUSHES * flush + MORE + LOOKS * look;
    println!("{mib} MiB, {rounds} rounds: nobody has it open {plain:.1?}, an idle writer {open:.1?}");
    println!("a flush {flush:.1?}, cachestat {look:.1?}: the limit is {limit:.1?}, {}", verdict(open <= limit));
}

fn verdict(holds: bool) -> &'static str {
    if holds { "kept" } else { "NOT KEPT" }
}

/// Bytes that do not compress, on the disk and in memory.
fn fill(path: &Path, mib: usize) {
    let mut file = File::create(path).expect("a file");
    let mut state = 7u64;
    let mut bytes = vec![0; 1 << 20];
    for _ in 0..mib {
        for word in bytes.as_chunks_mut().0 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *word = state.to_le_bytes();
        }
        file.write_all(&bytes).expect("room");
    }
    file.sync_all().expect("a flush");
}

fn timed(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}

/// Takes a snapshot, which must have this grade; all pages are read.
fn snap(dir: &Path, grade: &str) -> Duration {
    let mut command = Command::new(env!("CARGO_BIN_EXE_memsnap"));
    command.args(["snap", "--quiet", "--always", "--rescan", "--clone", "never", "f"]);
    command.args(["--strict", "--require", grade]).current_dir(dir);
    timed(|| {
        let ran = command.output().expect("memsnap");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    })
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
