//! Snapshots in memory compared with earlier crates, and with the least that the kernel costs: `cargo bench
//! --features dev --bench memory` prints the table of docs/memory.md at its end. For a part of it, add `-- 'first
//! write'`.
//!
//! Every figure is for one pass over all pages named; nothing else is timed. Views have 1 GiB unless the name says
//! otherwise; "random" is the same order for all. A write is one byte a page.
#![allow(unsafe_code, reason = "the limit is a plain private map, which only memmap2 gives")]
#![allow(missing_docs, reason = "no library")]

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, SamplingMode};
use memsnap::mem::{Options, Snapshot, Tracking};

#[path = "memory/table.rs"]
mod table;

const PAGE: usize = 4096;
const GIB: usize = 1 << 30;
const PAGES: usize = GIB / PAGE;
const METHODS: [(&str, Option<Tracking>); 5] = [
    ("memsnap", None),
    ("memsnap, private pages armed", Some(Tracking::WriteProtect)),
    ("memsnap, all pages armed", Some(Tracking::WriteProtectAll)),
    ("memsnap, by pagemap", Some(Tracking::Pagemap)),
    ("memsnap, by comparing", Some(Tracking::Compare)),
];

/// The pages of a gigabyte to be written: this percentage of them.
#[derive(Clone, Copy)]
struct Load {
    percent: usize,
    random: bool,
}

const LOADS: [Load; 6] = [
    Load { percent: 1, random: true },
    Load { percent: 10, random: true },
    Load { percent: 100, random: true },
    Load { percent: 1, random: false },
    Load { percent: 10, random: false },
    Load { percent: 100, random: false },
];
const SOME: Load = Load { percent: 10, random: true };
const FEW: Load = Load { percent: 1, random: true };

impl Load {
    fn name(self) -> String {
        format!("{} % {}", self.percent, if self.random { "random" } else { "in order" })
    }

    fn pages(self) -> Vec<usize> {
        let mut all: Vec<usize> = (0..PAGES).collect();
        if self.random {
            shuffle(&mut all);
        }
        all.truncate(PAGES * self.percent / 100);
        all
    }

    /// With the default vm.max_map_count, many scattered pages kill crumbles (measured: SIGSEGV).
    fn kills_crumbles(self) -> bool {
        self.percent == 100
    }
}

/// A Fisher-Yates shuffle with a fixed seed.
fn shuffle(all: &mut [usize]) {
    let mut state = 88_172_645_463_325_252u64;
    for i in (1..all.len()).rev() {
        // xorshift64 (Marsaglia 2003)
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        all.swap(i, (state % (i as u64 + 1)) as usize);
    }
}

fn write(bytes: &mut [u8], pages: &[usize], value: u8) {
    for page in pages {
        bytes[page * PAGE + page % PAGE] = value;
    }
}

/// A gigabyte that is not zeros.
fn noise() -> Vec<u8> {
    let mut bytes = vec![0; GIB];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

fn memory_file(bytes: &[u8]) -> File {
    let file: File = rustix::fs::memfd_create("bench", rustix::fs::MemfdFlags::CLOEXEC).unwrap().into();
    file.write_all_at(bytes, 0).unwrap();
    file
}

/// The time of `timed` on what `fresh` makes, for each iteration of criterion.
fn each<T>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, fresh: impl Fn() -> T, timed: impl Fn(&mut T)) {
    group.bench_function(name, |b| {
        b.iter_custom(|times| {
            let mut total = Duration::ZERO;
            for _ in 0..times {
                let mut it = fresh();
                let began = Instant::now();
                timed(black_box(&mut it));
                total += began.elapsed();
            }
            total
        });
    });
}

fn group<'a>(c: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = c.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat);
    group
}

fn options(tracking: Option<Tracking>) -> Options {
    tracking.map_or(Options::default(), |method| Options::default().tracking(method))
}

fn first_write(c: &mut Criterion, base: &Snapshot, file: &File) {
    for load in LOADS {
        let pages = load.pages();
        let mut group = group(c, &format!("first write, {}", load.name()));
        // SAFETY: no other process uses this file.
        let plain = || unsafe { memmap2::MmapOptions::new().map_copy(file) }.unwrap();
        each(&mut group, "plain private map", plain, |map| write(map, &pages, 1));
        each(&mut group, "memsnap", || base.view().unwrap(), |view| write(view, &pages, 1));
        let seed = seed::Snapshot::from_slice(base).unwrap();
        each(&mut group, "seed memsnap", || seed.view().unwrap(), |view| write(view.as_mut_slice(), &pages, 1));
        let zeros = Snapshot::zeroed(GIB).unwrap();
        each(&mut group, "memsnap, zeros", || zeros.view().unwrap(), |view| write(view, &pages, 1));
        if !load.kills_crumbles() {
            let fresh = || crumbles::Mmap::new(PAGES, PAGE).unwrap();
            each(&mut group, "crumbles, zeros", fresh, |map| write(map, &pages, 1));
        }
    }
}

fn write_after_snap(c: &mut Criterion, base: &Snapshot) {
    for load in LOADS {
        let pages = load.pages();
        let mut group = group(c, &format!("write after a snap, {}", load.name()));
        let fresh = || {
            let mut view = base.view().unwrap();
            write(&mut view, &pages, 1);
            view.snap().unwrap();
            view
        };
        each(&mut group, "memsnap", fresh, |view| write(view, &pages, 2));
        if !load.kills_crumbles() {
            let fresh = || {
                let mut map = crumbles::Mmap::new(PAGES, PAGE).unwrap();
                write(&mut map, &pages, 1);
                map.snap().unwrap();
                map
            };
            each(&mut group, "crumbles", fresh, |map| write(map, &pages, 2));
        }
    }
}

/// snap, write and revert, on a view that has done so before.
fn cycle(c: &mut Criterion, base: &Snapshot) {
    for load in [FEW, SOME] {
        let pages = load.pages();
        let mut group = group(c, &format!("snap, write and revert, {}", load.name()));
        for (name, tracking) in METHODS {
            let mut view = base.view_with(&options(tracking)).unwrap();
            write(&mut view, &pages, 1);
            group.bench_function(name, |b| {
                b.iter(|| {
                    view.snap().unwrap();
                    write(&mut view, &pages, 2);
                    view.revert();
                });
            });
        }
        let mut map = crumbles::Mmap::new(PAGES, PAGE).unwrap();
        write(&mut map, &pages, 1);
        group.bench_function("crumbles", |b| {
            b.iter(|| {
                map.snap().unwrap();
                write(&mut map, &pages, 2);
                map.revert().unwrap();
            });
        });
    }
}

fn ten_pages(c: &mut Criterion) {
    let mut pages: Vec<usize> = (0..4 * PAGES).collect();
    shuffle(&mut pages);
    pages.truncate(10);
    let mut group = group(c, "4 GiB view: snap, write ten pages, revert");
    for (name, tracking) in &METHODS[..4] {
        let zeros = Snapshot::zeroed(4 * GIB).unwrap();
        let mut view = zeros.view_with(&options(*tracking)).unwrap();
        group.bench_function(*name, |b| {
            b.iter(|| {
                view.snap().unwrap();
                write(&mut view, &pages, 2);
                view.revert();
            });
        });
    }
    let mut map = crumbles::Mmap::new(4 * PAGES, PAGE).unwrap();
    group.bench_function("crumbles", |b| {
        b.iter(|| {
            map.snap().unwrap();
            write(&mut map, &pages, 2);
            map.revert().unwrap();
        });
    });
}

fn dirty_list(c: &mut Criterion, base: &Snapshot) {
    let pages = SOME.pages();
    let mut group = group(c, &format!("list of dirty pages, {}", SOME.name()));
    for (name, tracking) in METHODS {
        let mut view = base.view_with(&options(tracking)).unwrap();
        write(&mut view, &pages, 1);
        group.bench_function(name, |b| b.iter(|| black_box(view.dirty())));
    }
    let mut view = base.view().unwrap();
    write(&mut view, &pages, 1);
    group.bench_function("memsnap, maybe_dirty", |b| b.iter(|| black_box(view.maybe_dirty())));
    let mut map = crumbles::Mmap::new(PAGES, PAGE).unwrap();
    write(&mut map, &pages, 1);
    group.bench_function("crumbles", |b| b.iter(|| black_box(map.dirty_pages().count())));
}

fn take_snapshot(c: &mut Criterion, base: &Snapshot) {
    for load in [FEW, SOME] {
        let pages = load.pages();
        let mut group = group(c, &format!("take a snapshot of a view, {}", load.name()));
        let mut view = base.view().unwrap();
        write(&mut view, &pages, 1);
        group.bench_function("memsnap", |b| b.iter_with_large_drop(|| view.take_snapshot().unwrap()));
        let seed = seed::Snapshot::from_slice(base).unwrap();
        let mut view = seed.view().unwrap();
        write(view.as_mut_slice(), &pages, 1);
        each(&mut group, "seed memsnap", || (), |()| drop(black_box(view.take_snapshot().unwrap())));
    }
}

/// One round of a sandbox: read everything, write something, revert; repeatedly in the same view.
fn restore(c: &mut Criterion, base: &Snapshot) {
    let pages = FEW.pages();
    let all: Vec<usize> = (0..PAGES).collect();
    let seed = seed::Snapshot::from_slice(base).unwrap();
    for (how, read) in [("of a view in which all was read", &all[..]), ("of a view that is only written", &[])] {
        let look = |bytes: &[u8]| read.iter().map(|page| u64::from(bytes[page * PAGE])).sum::<u64>();
        let mut only = group(c, &format!("restore, {}, {how}", FEW.name()));
        let (mut ours, mut theirs) = (base.view().unwrap(), seed.view().unwrap());
        rounds(&mut only, "memsnap", &mut ours, |v| (look(v), write(v, &pages, 1)), |v| v.restore().unwrap());
        let work = |v: &mut seed::CowView<'_>| (look(v.as_slice()), write(v.as_mut_slice(), &pages, 1));
        rounds(&mut only, "seed memsnap", &mut theirs, work, |v| v.restore().unwrap());
        drop(only);
        let mut whole = group(c, &format!("the round with its reads and writes, {how}"));
        let round = |v: &mut memsnap::mem::CowView<'_>| {
            black_box((look(v), write(v, &pages, 1)));
            v.restore().unwrap();
        };
        rounds(&mut whole, "memsnap", &mut ours, |_| (), round);
        let round = |v: &mut seed::CowView<'_>| {
            black_box(work(v));
            v.restore().unwrap();
        };
        rounds(&mut whole, "seed memsnap", &mut theirs, |_| (), round);
    }
}

/// What users of crumbles do: a file for each page of 64 KiB.
fn lay_files(c: &mut Criterion) {
    const FILES: usize = 4000;
    const LEN: usize = 65536;
    let dir = tempfile::tempdir().unwrap();
    let path = |i: usize| dir.path().join(i.to_string());
    (0..FILES).for_each(|i| std::fs::write(path(i), vec![(i % 255) as u8 + 1; LEN]).unwrap());
    let open = || (0..FILES).map(|i| File::open(path(i)).unwrap()).collect::<Vec<_>>();
    let shared = |files: Vec<File>| {
        let parts = files.into_iter().enumerate();
        // SAFETY: no other process uses these files.
        let compose = parts.fold(Snapshot::compose(FILES * LEN), |compose, (i, file)| unsafe {
            compose.share(i * LEN, file, 0, LEN).unwrap()
        });
        compose.build().unwrap()
    };
    let copied = |files: Vec<File>| {
        let parts = files.iter().enumerate();
        let compose = parts
            .fold(Snapshot::compose(FILES * LEN), |compose, (i, file)| compose.file(i * LEN, file, 0, LEN).unwrap());
        compose.build().unwrap()
    };
    // SAFETY: as above.
    let there = |dir: std::path::PathBuf| unsafe {
        crumbles::Mmap::with_files(FILES, LEN, move |i: usize| (i < FILES).then(|| dir.join(i.to_string()))).unwrap()
    };
    let look = |bytes: &[u8]| (0..FILES).map(|i| u64::from(bytes[i * LEN])).sum::<u64>();
    let mut group = group(c, "lay 4,000 files of 64 KiB");
    group.bench_function("memsnap, shared", |b| b.iter_batched(open, shared, BatchSize::PerIteration));
    group.bench_function("memsnap, copied", |b| b.iter_batched(open, copied, BatchSize::PerIteration));
    group.bench_function("crumbles", |b| b.iter_with_large_drop(|| there(dir.path().into())));
    group.finish();
    let mut group = self::group(c, "lay 4,000 files of 64 KiB, make a view, read a byte of each");
    group.bench_function("memsnap, shared", |b| {
        b.iter_with_large_drop(|| {
            let snapshot = std::sync::Arc::new(shared(open()));
            let view = snapshot.view_arc().unwrap();
            (look(&view), view)
        });
    });
    group.bench_function("crumbles", |b| {
        b.iter_with_large_drop(|| {
            let map = there(dir.path().into());
            (look(&map), map)
        });
    });
}

/// The time of `timed`, each time after `before`, on the same value.
fn rounds<T, R>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    it: &mut T,
    before: impl Fn(&mut T) -> R,
    timed: impl Fn(&mut T),
) {
    group.bench_function(name, |b| {
        b.iter_custom(|times| {
            let mut total = Duration::ZERO;
            for _ in 0..times {
                black_box(before(it));
                let began = Instant::now();
                timed(it);
                total += began.elapsed();
            }
            total
        });
    });
}

fn main() {
    let began = std::time::SystemTime::now();
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(1))
        .measurement_time(Duration::from_secs(1))
        .without_plots()
        .configure_from_args();
    let bytes = noise();
    let file = memory_file(&bytes);
    let base = Snapshot::from_slice(&bytes).unwrap();
    drop(bytes);
    first_write(&mut criterion, &base, &file);
    write_after_snap(&mut criterion, &base);
    cycle(&mut criterion, &base);
    ten_pages(&mut criterion);
    dirty_list(&mut criterion, &base);
    take_snapshot(&mut criterion, &base);
    restore(&mut criterion, &base);
    drop(base);
    lay_files(&mut criterion);
    criterion.final_summary();
    let table = table::since(began);
    std::io::stdout().write_all(table.as_bytes()).unwrap();
}
