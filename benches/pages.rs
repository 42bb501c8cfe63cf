//! What a page costs: digests, frames, and a scan compared with plain reading, which is its lower bound.
//!
//! `cargo bench` prints medians; the ratio of `scan` to `read` in the same run is the figure to look at.

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use memsnap::capture::{NoBase, ScanOptions, ScannedWindow, scan};
use memsnap::pack::{Compress, decode_frame, encode_frame};
use memsnap::page::{GROUP, PAGE, group_digest, is_zero, page_digest};

/// Bytes that do not compress.
fn noise(n: usize) -> Vec<u8> {
    let mut state = 1u64;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect()
}

fn digests(c: &mut Criterion) {
    let bytes = noise(GROUP);
    let mut group = c.benchmark_group("digest");
    group.throughput(Throughput::Bytes(GROUP as u64));
    let (pages, _) = bytes.as_chunks::<PAGE>();
    group.bench_function("16 pages", |b| b.iter(|| pages.iter().filter(|page| page_digest(page).is_zero()).count()));
    group.bench_function("group", |b| b.iter(|| group_digest(black_box(bytes[..].try_into().expect("a group")))));
    let zeros = vec![0; GROUP];
    group.bench_function("zeros", |b| b.iter(|| is_zero(black_box(&zeros))));
    group.finish();
}

fn frames(c: &mut Criterion) {
    let text: Vec<u8> = (0..GROUP).map(|i| b"page level history "[i * 7 / 3 % 19]).collect();
    let mut group = c.benchmark_group("frame");
    group.throughput(Throughput::Bytes(GROUP as u64));
    for (name, bytes) in [("noise", noise(GROUP)), ("text", text)] {
        group.bench_function(format!("encode {name}"), |b| b.iter(|| encode_frame(&bytes, Compress::Zstd(1))));
        let frame = encode_frame(&bytes, Compress::Zstd(1));
        let mut out = vec![0; GROUP];
        group.bench_function(format!("decode {name}"), |b| {
            b.iter(|| decode_frame(frame.kind, &frame.bytes, None, &mut out).expect("it decodes"));
        });
    }
    group.finish();
}

fn scans(c: &mut Criterion) {
    const LEN: usize = 64 << 20;
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("target");
    std::fs::write(&path, noise(LEN)).expect("a file");
    let file = File::open(&path).expect("the file");
    memsnap::program::guard::install();
    let mut group = c.benchmark_group("64 MiB");
    group.sample_size(20).throughput(Throughput::Bytes(LEN as u64));
    let mut buf = vec![0; 256 << 10];
    group.bench_function("read", |b| {
        b.iter(|| (0..LEN).step_by(buf.len()).for_each(|at| file.read_exact_at(&mut buf, at as u64).expect("bytes")));
    });
    group.bench_function("scan", |b| b.iter(|| all_digests(&file, &path, LEN as u64)));
    group.finish();
}

/// Every digest of a file.
fn all_digests(file: &File, path: &Path, len: u64) -> usize {
    let mut groups = 0;
    scan((file, path, len), None, &NoBase, ScanOptions::default(), &|_| (), &Ok, |found: ScannedWindow| {
        groups += found.groups.len();
        Ok(())
    })
    .expect("the file can be read");
    groups
}

criterion_group!(benches, digests, frames, scans);
criterion_main!(benches);
