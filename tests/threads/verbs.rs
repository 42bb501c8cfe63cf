//! Threads that snapshot, change, compare, restore and verify one target.

use std::sync::Barrier;
use std::thread;

use memsnap::capture::Io;
use memsnap::ops::{Quiet, delta, restore};
use memsnap::pack::Compress;
use memsnap::store::Ref;
use memsnap::{Error, Result};

use super::ground::{Ground, noise};
use super::util::Alarm;

/// Long enough for a scan by more than one thread.
const LEN: usize = 5 << 20;
const ROUNDS: u64 = 4;

/// Whether it was done; else another thread must have had the lock.
#[track_caller]
fn done<T>(result: Result<T>) -> bool {
    match result {
        Ok(_) => true,
        Err(Error::Busy { .. }) => false,
        Err(e) => panic!("{e}"),
    }
}

fn make_delta(ground: &Ground) -> Result<()> {
    let options = delta::Options::default().reversible(true).level(1);
    let mut out = Vec::new();
    let (a, b) = (ground.at(Ref::Number(1)), ground.at(Ref::Number(2)));
    delta::make(&a, &b, restore::Out::Stream(&mut out), &options, &Quiet).map(drop)
}

fn all_at_once(io: Io, compress: Compress) {
    memsnap::program::guard::install();
    let _alarm = Alarm::new("threads with verbs on one target");
    let images = [noise(1, LEN), noise(2, LEN)];
    let ground = Ground { io, compress, ..Ground::new(&images[0]) };
    ground.snap().unwrap();
    ground.patch(0, &images[1]);
    ground.snap().unwrap();
    ground.revert(1, None).unwrap();
    let begin = Barrier::new(7);
    let times = |f: &dyn Fn(u64) -> bool| {
        begin.wait();
        (0..ROUNDS).filter(|round| f(*round)).count()
    };
    thread::scope(|scope| {
        scope.spawn(|| times(&|_| done(ground.snap())));
        scope.spawn(|| times(&|round| done(ground.revert(1 + round % 2, None))));
        scope.spawn(|| times(&|_| done(ground.undo())));
        scope.spawn(|| times(&|_| done(ground.diff(Ref::Number(1), Ref::Now))));
        scope.spawn(|| times(&|_| done(make_delta(&ground)) && done(ground.diff(Ref::Number(1), Ref::Number(2)))));
        scope.spawn(|| {
            times(&|round| {
                let image = ground.restored(1 + round % 2).unwrap();
                assert!(image == images[(round % 2) as usize], "restored something else");
                true
            })
        });
        scope.spawn(|| times(&|_| ground.faults().unwrap() == 0));
    });
    let now = ground.bytes();
    assert!(images.contains(&now), "the target is a mixture");
    ground.snap().unwrap();
    let names = ground.history().snapshots().unwrap();
    assert!(names.iter().zip(1..).all(|(name, number)| name.number == number), "{names:?}");
    for name in names {
        assert!(images.contains(&ground.stored(name.number).unwrap()), "@{} is torn", name.number);
    }
    assert_eq!(ground.faults().unwrap(), 0);
}

#[test]
fn by_pread() {
    all_at_once(Io::Pread, Compress::Zstd(1));
}

#[test]
fn through_maps() {
    all_at_once(Io::Map, Compress::None);
}

#[test]
fn whichever_is_faster() {
    all_at_once(Io::Auto, Compress::None);
}
