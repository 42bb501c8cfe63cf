//! What a persistent vector costs compared with a `Vec`: pushes into new memory, and commits.
//!
//! `cargo bench --features dev --bench vec`; the ratio of `push/PersistentVec` to `push/Vec` in the same run is the figure to look at.
#![allow(unsafe_code, reason = "no other process uses the file")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use memsnap::vec::{Options, PersistentVec};

const PUSHES: u64 = 4 << 20;

fn open(dir: &tempfile::TempDir) -> PersistentVec<u64> {
    let path = dir.path().join("v");
    // SAFETY: no other process uses the file.
    match unsafe { PersistentVec::open(&path, &Options::default()) } {
        Ok(vec) => vec,
        // SAFETY: no other process uses the file.
        Err(_) => unsafe { PersistentVec::create(&path, &Options::default()) }.expect("a new vector"),
    }
}

/// Only the pushes are timed.
fn timed(n: u64, mut once: impl FnMut() -> Duration) -> Duration {
    (0..n).map(|_| once()).sum()
}

fn pushes(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut group = c.benchmark_group("push");
    group.sample_size(10).throughput(Throughput::Elements(PUSHES));
    group.bench_function("Vec", |b| {
        b.iter_custom(|n| {
            timed(n, || {
                let mut vec = Vec::new();
                let start = Instant::now();
                (0..PUSHES).for_each(|i| vec.push(black_box(i)));
                let took = start.elapsed();
                black_box(&vec);
                took
            })
        });
    });
    group.bench_function("PersistentVec", |b| {
        b.iter_custom(|n| {
            timed(n, || {
                let mut vec = open(&dir);
                let start = Instant::now();
                (0..PUSHES).for_each(|i| vec.push(black_box(i)).expect("history"));
                let took = start.elapsed();
                black_box(&vec[..]);
                took
            })
        });
    });
    group.finish();
}

fn commits(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut vec = open(&dir);
    vec.extend(0..PUSHES).expect("history");
    vec.commit().expect("a commit");
    let mut group = c.benchmark_group("commit");
    group.sample_size(10);
    group.bench_function("one push", |b| {
        b.iter(|| {
            vec.push(1).expect("history");
            vec.commit().expect("a commit")
        });
    });
    let mut value = 0;
    group.bench_function("100 pages of 8192", |b| {
        b.iter(|| {
            value += 1;
            (0..100).for_each(|page| vec[page * 40_000] = value);
            vec.commit().expect("a commit")
        });
    });
    group.finish();
}

criterion_group!(benches, pushes, commits);
criterion_main!(benches);
