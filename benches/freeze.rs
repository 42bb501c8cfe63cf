//! How long `snap --freeze` stops a program that stores 10 MiB a second through a map of a file of 1 GiB, in memory,
//! compared with one `snap` of the same file while nobody has it open.
//!
//! `cargo bench --bench freeze` prints medians and the distribution over 100 captures. The pause has the grace of 20 ms in
//! it, which the last column leaves out, and the flush of what was stored since the reading before. `-- 256 20` takes
//! 256 MiB and 20 captures; MEMSNAP_BENCH_DIR is where (ext4).
#![allow(unsafe_code, reason = "a writable map of the file is what is measured")]
#![allow(clippy::print_stdout, reason = "it prints figures")]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use memmap2::MmapMut;
use memsnap::Grade;
use memsnap::ops::Quiet;
use memsnap::ops::snap::{Options, snap};

const PAGE: usize = 4096;
/// Bytes that the writer stores in a second.
const RATE: usize = 10 << 20;
const GRACE: Duration = Duration::from_millis(20);
const WRITER: &str = "--writer";

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    if memsnap::program::watchdog::run_if_asked(&args) {
        return ExitCode::SUCCESS;
    }
    if let [_, word, path] = &args[..]
        && word == WRITER
    {
        write_forever(path.as_ref());
    }
    memsnap::program::guard::install();
    let mut numbers = args.iter().filter_map(|arg| arg.to_str()?.parse::<usize>().ok());
    measure(numbers.next().unwrap_or(1024) << 20, numbers.next().unwrap_or(100));
    ExitCode::SUCCESS
}

/// Bytes that do not compress.
fn noise(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Stores whole pages at random places.
fn write_forever(path: &Path) -> ! {
    let file = File::options().read(true).write(true).open(path).expect("the file");
    // SAFETY: the file is not cut.
    let mut map = unsafe { MmapMut::map_mut(&file) }.expect("a map");
    let (pages, mut state, begun, mut stored) = (map.len() / PAGE, 7, Instant::now(), 0);
    loop {
        while stored < begun.elapsed().as_micros() as usize * RATE / 1_000_000 {
            let at = noise(&mut state) as usize % pages * PAGE;
            map[at..at + PAGE].as_chunks_mut().0.iter_mut().for_each(|word| *word = noise(&mut state).to_le_bytes());
            stored += PAGE;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn measure(len: usize, captures: usize) {
    let dir = std::env::var_os("MEMSNAP_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    let dir = tempfile::tempdir_in(dir).expect("a directory");
    let path = dir.path().join("target");
    let (mut file, mut state) = (File::create(&path).expect("a file"), 1);
    for _ in 0..len >> 20 {
        let part: Vec<u8> = (0..(1 << 20) / 8).flat_map(|_| noise(&mut state).to_le_bytes()).collect();
        file.write_all(&part).expect("space on the disk");
    }
    drop(file);
    let take = |options: &Options| snap(&path, options, &Quiet).expect("a snapshot");
    take(&Options::default());
    let mut scans: Vec<_> = (0..20).map(|_| take(&Options::default()).elapsed).collect();
    scans.sort();
    let scan = scans[scans.len() / 2];
    let mut writer = Command::new(std::env::current_exe().expect("this program"));
    let mut writer = writer.arg(WRITER).arg(&path).stdin(Stdio::null()).spawn().expect("a writer");
    let options = Options::default().freeze(Duration::from_secs(60));
    let (mut pauses, mut unproven) = (Vec::new(), 0);
    while pauses.len() < captures && unproven < captures {
        let report = take(&options);
        match report.frozen {
            Some(frozen) if report.grade >= Grade::Observed => pauses.push(frozen.pause),
            _ => unproven += 1,
        }
    }
    writer.kill().and_then(|()| writer.wait()).expect("its end");
    pauses.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!("{} MiB, {} captures, {unproven} without a stop or unproven", len >> 20, pauses.len());
    println!("one snap of the unchanged file: median {:.1} ms ({:.1} to {:.1})", ms(scan), ms(scans[0]), ms(scans[19]));
    for (name, percent) in [("least", 0), ("10 %", 10), ("median", 50), ("90 %", 90), ("99 %", 99), ("most", 100)] {
        let pause = pauses[(pauses.len() - 1) * percent / 100];
        let ratio = ms(pause.saturating_sub(GRACE)) / ms(scan);
        println!("pause, {name}: {:.1} ms, without the grace {ratio:.2} x one snap", ms(pause));
    }
}
