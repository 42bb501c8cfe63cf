//! Views of one snapshot in many threads, and one view that many threads write.

use std::sync::Arc;
use std::thread;

use memsnap::mem::{ArcView, Options, Snapshot, Tracking};

use super::ground::noise;
use super::util::Alarm;

const LEN: usize = 1 << 20;

fn methods() -> impl Iterator<Item = Options> {
    let all = [Tracking::WriteProtect, Tracking::WriteProtectAll, Tracking::Pagemap, Tracking::Compare];
    let with = |tracking| Options::default().tracking(tracking);
    let here = |options: &Options| Snapshot::zeroed(1).unwrap().view_with(options).is_ok();
    all.into_iter().map(with).filter(here)
}

/// Writes, goes back, and writes again.
fn rounds(view: &mut ArcView, first: &[u8], seed: u8) {
    for round in 0..8 {
        let at = (usize::from(seed) * 37 + round * 4096 * 3) % (LEN - 9000);
        view.as_mut_slice()[at..at + 9000].fill(seed);
        let checkpoint = view.snap().unwrap();
        view.as_mut_slice()[LEN - 1] ^= 0xff;
        view.revert_to(checkpoint).unwrap();
        assert!(view.as_slice()[at..at + 9000].iter().all(|byte| *byte == seed));
    }
    let changed = view.take_snapshot().unwrap();
    assert!(changed.as_slice() == view.as_slice());
    view.restore().unwrap();
    assert!(view.as_slice() == first);
}

#[test]
fn each_its_own_view() {
    let _alarm = Alarm::new("threads with views of one snapshot");
    let first = noise(1, LEN);
    for options in methods() {
        let snapshot = Arc::new(Snapshot::from_slice(&first).unwrap());
        thread::scope(|scope| {
            for seed in 1..=4 {
                // Made here, used there, ended there.
                let mut view = snapshot.view_arc_with(&options).unwrap();
                let first = &first;
                scope.spawn(move || rounds(&mut view, first, seed));
            }
            (0..100).for_each(|_| assert!(snapshot.as_slice()[..] == first[..]));
        });
    }
}

#[test]
fn one_view_that_many_write() {
    let _alarm = Alarm::new("threads that write one view");
    let first = noise(2, LEN);
    let mut model = first.clone();
    for options in methods() {
        let snapshot = Arc::new(Snapshot::from_slice(&first).unwrap());
        let mut view = snapshot.view_arc_with(&options).unwrap();
        model.copy_from_slice(&first);
        let begun = view.snap().unwrap();
        for round in 0..6 {
            let parts = |bytes: &mut [u8]| {
                thread::scope(|scope| {
                    for (i, part) in bytes.chunks_mut(LEN / 4).enumerate() {
                        scope.spawn(move || part[round * 5000..round * 5000 + 100].fill((i + round) as u8));
                    }
                });
            };
            parts(view.as_mut_slice());
            parts(&mut model);
            let _ = view.snap().unwrap();
            assert!(view.as_slice() == model);
        }
        view.revert_to(begun).unwrap();
        assert!(view.as_slice() == first);
    }
}
