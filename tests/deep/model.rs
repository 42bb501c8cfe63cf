//! Random histories against a plain oracle: a list of images in memory.

use memsnap::Error;
use memsnap::capture::Io;
use memsnap::pack::Compress;
use memsnap::page::{PAGE64, PageRange};
use memsnap::store::Ref;
use memsnap::sys::sparse;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

use super::ground::{Ground, noise};

/// Longest target.
const MOST: u64 = 40 * PAGE64;

#[derive(Clone, Debug)]
enum Step {
    Write { at: u64, len: u64, seed: u64 },
    Zero { at: u64, len: u64 },
    Append { len: u64, seed: u64 },
    Cut { len: u64 },
    Grow { len: u64 },
    Punch { at: u64, len: u64 },
    Snap,
    Revert { which: usize },
    RevertRange { which: usize, at: u64, len: u64 },
    Undo,
    Restore { which: usize },
}

/// 0, 1, and what lies around the edges of pages and groups.
fn length() -> impl Strategy<Value = u64> {
    let edges = [0, 1, 4095, 4096, 4097, 8192, 65535, 65536, 65537, 69632, 131_071, 131_072, 131_073];
    prop_oneof![3 => prop::sample::select(edges.to_vec()), 1 => 0..MOST]
}

fn extent() -> impl Strategy<Value = u64> {
    prop_oneof![Just(1u64), 1..100u64, Just(4096u64), 1..20_000u64, Just(65536u64)]
}

fn step() -> impl Strategy<Value = Step> {
    let place = || prop_oneof![0..MOST, (0..MOST / PAGE64).prop_map(|p| p * PAGE64)];
    prop_oneof![
        5 => (place(), extent(), 0..8u64).prop_map(|(at, len, seed)| Step::Write { at, len, seed }),
        1 => (place(), extent()).prop_map(|(at, len)| Step::Zero { at, len }),
        2 => (extent(), any::<u64>()).prop_map(|(len, seed)| Step::Append { len, seed }),
        2 => length().prop_map(|len| Step::Cut { len }),
        1 => length().prop_map(|len| Step::Grow { len }),
        2 => (place(), extent()).prop_map(|(at, len)| Step::Punch { at, len }),
        6 => Just(Step::Snap),
        3 => any::<usize>().prop_map(|which| Step::Revert { which }),
        2 => (any::<usize>(), place(), extent()).prop_map(|(which, at, len)| Step::RevertRange { which, at, len }),
        3 => Just(Step::Undo),
        2 => any::<usize>().prop_map(|which| Step::Restore { which }),
    ]
}

/// What the target and its history should be.
struct Oracle {
    live: Vec<u8>,
    /// Image of snapshot 1, 2, 3...; also those that memsnap makes by itself.
    images: Vec<Vec<u8>>,
    /// What the last change came from and left.
    last: Option<(Vec<u8>, Vec<u8>)>,
}

fn overwrite(live: &mut Vec<u8>, at: u64, bytes: &[u8]) {
    let (at, end) = (at as usize, at as usize + bytes.len());
    if live.len() < end {
        live.resize(end, 0);
    }
    live[at..end].copy_from_slice(bytes);
}

fn differing(a: &[u8], b: &[u8]) -> Vec<u64> {
    let page = |image: &[u8], n: u64| -> Vec<u8> {
        let from = image.len().min((n * PAGE64) as usize);
        let mut bytes = image[from..image.len().min(from + PAGE64 as usize)].to_vec();
        bytes.resize(PAGE64 as usize, 0);
        bytes
    };
    let end = (a.len().max(b.len()) as u64).div_ceil(PAGE64);
    (0..end).filter(|n| page(a, *n) != page(b, *n)).collect()
}

fn flat(ranges: &[PageRange]) -> Vec<u64> {
    ranges.iter().flat_map(|r| r.start..r.end).collect()
}

impl Oracle {
    /// Reads snapshots that the store has and the oracle has not: only what a change made by itself.
    fn catch_up(&mut self, ground: &Ground, expected: &[&[u8]]) {
        let names = ground.history().snapshots().unwrap();
        for name in &names[self.images.len()..] {
            let image = ground.stored(name.number).unwrap();
            assert!(expected.iter().any(|e| *e == image), "snapshot {} holds what was never written", name.number);
            self.images.push(image);
        }
    }

    fn changed(&mut self, ground: &Ground, to: Vec<u8>) {
        let from = std::mem::replace(&mut self.live, to.clone());
        self.catch_up(ground, &[&from, &to]);
        if from != to {
            self.last = Some((from, to));
        }
    }

    fn step(&mut self, ground: &Ground, step: &Step) {
        match *step {
            Step::Write { at, len, seed } => {
                let bytes = noise(seed, len as usize);
                ground.patch(at, &bytes);
                overwrite(&mut self.live, at, &bytes);
            }
            Step::Zero { at, len } => {
                let bytes = vec![0; len as usize];
                ground.patch(at, &bytes);
                overwrite(&mut self.live, at, &bytes);
            }
            Step::Append { len, seed } => {
                let bytes = noise(seed, len as usize);
                ground.patch(self.live.len() as u64, &bytes);
                self.live.extend(bytes);
            }
            Step::Cut { len } => {
                let len = len.min(self.live.len() as u64);
                ground.open().set_len(len).unwrap();
                self.live.truncate(len as usize);
            }
            Step::Grow { len } => {
                let len = len.max(self.live.len() as u64);
                ground.open().set_len(len).unwrap();
                self.live.resize(len as usize, 0);
            }
            Step::Punch { at, len } => {
                let end = (at + len).min(self.live.len() as u64);
                if at < end && sparse::punch(&ground.open(), at, end - at).unwrap() {
                    self.live[at as usize..end as usize].fill(0);
                }
            }
            Step::Snap => self.snap(ground),
            Step::Revert { which } => {
                if let Some(number) = self.pick(which) {
                    ground.revert(number, None).unwrap();
                    let to = self.images[number as usize - 1].clone();
                    self.changed(ground, to);
                }
            }
            Step::RevertRange { which, at, len } => self.revert_range(ground, which, at, at + len),
            Step::Undo => self.undo(ground),
            Step::Restore { which } => {
                if let Some(number) = self.pick(which) {
                    assert!(ground.restored(number).unwrap() == self.images[number as usize - 1], "restore @{number}");
                }
            }
        }
        assert!(ground.bytes() == self.live, "the target differs after {step:?}");
    }

    fn pick(&self, which: usize) -> Option<u64> {
        (!self.images.is_empty()).then(|| which as u64 % self.images.len() as u64 + 1)
    }

    fn snap(&mut self, ground: &Ground) {
        let report = ground.snap().unwrap();
        if report.new {
            assert_eq!(report.number, self.images.len() as u64 + 1);
            self.images.push(self.live.clone());
        }
        assert!(self.images[report.number as usize - 1] == self.live, "the snapshot is of something else");
        assert_eq!(report.len, self.live.len() as u64);
        let (ranges, found) = ground.diff(Ref::Number(report.number), Ref::Now).unwrap();
        assert!(found.same && ranges.is_empty());
        let first = &self.images[0];
        let (ranges, found) = ground.diff(Ref::Number(1), Ref::Now).unwrap();
        assert_eq!(flat(&ranges), differing(first, &self.live));
        assert_eq!(found.same, *first == self.live);
        let (ranges, _) = ground.diff(Ref::Number(1), Ref::Number(report.number)).unwrap();
        assert_eq!(flat(&ranges), differing(first, &self.live));
    }

    fn revert_range(&mut self, ground: &Ground, which: usize, start: u64, end: u64) {
        let Some(number) = self.pick(which) else { return };
        let image = &self.images[number as usize - 1];
        let end = end.min(self.live.len() as u64).min(image.len() as u64);
        let result = ground.revert(number, Some((start, end)));
        if start >= end {
            assert!(matches!(result, Err(Error::Refused { .. })), "{result:?}");
            let live = self.live.clone();
            return self.catch_up(ground, &[&live]);
        }
        result.unwrap();
        let mut to = self.live.clone();
        to[start as usize..end as usize].copy_from_slice(&image[start as usize..end as usize]);
        self.changed(ground, to);
    }

    fn undo(&mut self, ground: &Ground) {
        if self.images.is_empty() {
            return assert!(matches!(ground.undo(), Err(Error::Missing { .. })));
        }
        match (ground.undo(), self.last.take()) {
            (Ok(_), Some((from, to))) => {
                assert!(self.live == to, "undone although the file was changed since");
                self.last = Some((to, from.clone()));
                self.catch_up(ground, &[&from, &self.live.clone()]);
                self.live = from;
            }
            (Err(Error::Base { .. }), Some(last)) => {
                assert!(self.live != last.1, "refused although the file is what the change left");
                self.last = Some(last);
            }
            (Err(Error::Missing { .. }), None) => {}
            (result, last) => panic!("{result:?}, expected a change: {}", last.is_some()),
        }
    }
}

fn history(io: Io, compress: Compress, seed: u64, cases: u32) {
    memsnap::program::guard::install();
    let config = Config { cases, rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..Config::default() };
    proptest!(config, |(len in length(), steps in prop::collection::vec(step(), 1..24))| {
        let live = noise(len, len as usize);
        let ground = Ground { io, compress, ..Ground::new(&live) };
        let mut oracle = Oracle { live, images: Vec::new(), last: None };
        for step in &steps {
            oracle.step(&ground, step);
        }
        for number in 1..=oracle.images.len() {
            assert!(ground.stored(number as u64).unwrap() == oracle.images[number - 1], "@{number} at the end");
        }
        assert!(oracle.images.is_empty() || ground.faults().unwrap() == 0);
    });
}

#[test]
fn histories_read_by_pread_stored_raw() {
    history(Io::Pread, Compress::None, 1, 40);
}

#[test]
fn histories_read_by_pread_stored_by_zstd() {
    history(Io::Pread, Compress::Zstd(1), 2, 40);
}

#[test]
fn histories_read_through_maps_stored_raw() {
    history(Io::Map, Compress::None, 3, 40);
}

#[test]
fn histories_read_through_maps_stored_by_zstd() {
    history(Io::Map, Compress::Zstd(1), 4, 40);
}
