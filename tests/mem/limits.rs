//! What runs out: descriptors, addresses, mappings; and that everything is given back. Each in a process of its own.

use std::fs::File;

use memsnap::mem::{Snapshot, Tracking};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::ground::{methods, noise, numbers, with};
use super::history::{Model, Step, agree};
use super::process::{alone, live_through};

const PAGE: usize = 4096;

fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// KiB of a line of /proc/self/status.
fn status(name: &str) -> u64 {
    let all = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = all.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn limit(resource: Resource, to: u64) {
    let maximum = getrlimit(resource).maximum;
    setrlimit(resource, Rlimit { current: Some(to), maximum }).unwrap();
}

#[test]
fn no_descriptor_is_left() {
    if !alone("limits::no_descriptor_is_left") {
        return;
    }
    let snapshot = Snapshot::from_slice(&noise(1, 30 * PAGE)).unwrap();
    let live = |already: bool| {
        let mut views: Vec<_> =
            methods().filter(|_| already).map(|tracking| snapshot.view_with(&with(tracking)).unwrap()).collect();
        let mut model = Model::new(&snapshot);
        let best = snapshot.view().unwrap().tracking();
        let mut open = Vec::new();
        limit(Resource::Nofile, 200);
        while let Ok(file) = File::open("/dev/null") {
            open.push(file);
        }
        for step in [
            Step::Write { at: 9, len: 5000, byte: 1 },
            Step::Snap,
            Step::Write { at: 9000, len: 5000, byte: 1 },
            Step::Apply,
            Step::Snap,
            Step::Write { at: 3, len: 1, byte: 1 },
            Step::Revert,
        ] {
            let before = model.clone();
            for view in &mut views {
                model.clone_from(&before);
                step.take(view, &mut model);
                agree(view, &model);
            }
        }
        let new = snapshot.view().unwrap();
        // The watch that is there serves new views as well; where none is, bytes are compared.
        assert_eq!(new.tracking(), if already { best } else { Tracking::Compare });
        live_through(&snapshot, None, 5);
        for view in &views {
            assert!(view.take_snapshot().unwrap()[..] == model.now[..]);
        }
    };
    live(false);
    live(true);
}

#[test]
fn no_address_is_left() {
    if !alone("limits::no_address_is_left") {
        return;
    }
    for tracking in methods() {
        let snapshot = Snapshot::from_slice(&noise(2, 400 * PAGE)).unwrap();
        let mut view = snapshot.view_with(&with(tracking)).unwrap();
        let mut model = Model::new(&snapshot);
        for step in [
            Step::Write { at: 0, len: 10 * PAGE, byte: 1 },
            Step::Snap,
            Step::Apply,
            Step::WriteBack { at: 0, len: PAGE, checkpoint: 0 },
            Step::Write { at: 20 * PAGE, len: 300 * PAGE, byte: 1 },
        ] {
            step.take(&mut view, &mut model);
        }
        limit(Resource::As, (status("VmSize") + (8 << 10)) << 10);
        let failed = view.snap();
        limit(Resource::As, u64::MAX >> 1);
        assert_eq!(failed.unwrap_err().kind(), std::io::ErrorKind::OutOfMemory);
        // As if nothing had happened.
        agree(&view, &model);
        for step in [
            Step::Write { at: 15 * PAGE, len: 10 * PAGE, byte: 2 },
            Step::Snap,
            Step::Write { at: 16 * PAGE, len: 10 * PAGE, byte: 3 },
            Step::Revert,
            Step::Revert,
        ] {
            step.take(&mut view, &mut model);
            agree(&view, &model);
        }
    }
}

/// No mapping for each page: every other page of a GiB is written, more than a process may have mappings.
#[test]
fn mappings_do_not_grow() {
    if !alone("limits::mappings_do_not_grow") {
        return;
    }
    for tracking in methods().filter(|tracking| *tracking != Tracking::Compare) {
        let snapshot = Snapshot::zeroed(1 << 30).unwrap();
        let mut view = snapshot.view_with(&with(tracking)).unwrap();
        let before = mappings();
        for page in (0..1 << 18).step_by(2) {
            view[page * PAGE] = 1;
        }
        view.snap().unwrap();
        for page in (0..1 << 18).step_by(64) {
            view[page * PAGE + 1] = 1;
        }
        assert_eq!(view.dirty().len(), 1 << 12);
        assert_eq!(view.dirty_since(0).len(), 1 << 17);
        view.revert();
        assert!(numbers(&view.dirty()).into_iter().eq((0..1 << 18).step_by(2)));
        let more = mappings() - before;
        assert!(more < 40, "{more} mappings");
    }
}

#[test]
fn everything_is_given_back() {
    if !alone("limits::everything_is_given_back") {
        return;
    }
    let live = |times: usize| {
        for i in 0..times {
            for tracking in methods() {
                let mut snapshot = Snapshot::from_slice(&noise(1, 30 * PAGE)).unwrap();
                let mut view = snapshot.view_with(&with(tracking)).unwrap();
                view.fill(i as u8);
                view.snap().unwrap();
                view[i] = 77;
                let taken = view.take_snapshot().unwrap();
                drop(view);
                snapshot.view_mut_with(&with(tracking)).unwrap().fill(1);
                drop(taken.view());
            }
        }
        (mappings(), descriptors(), status("VmSize"), status("VmRSS"))
    };
    let before = live(20);
    let after = live(1000);
    assert!(after.0 <= before.0 + 4 && after.1 == before.1, "mappings, descriptors: {before:?}, {after:?}");
    assert!(after.2 <= before.2 + 2048 && after.3 <= before.3 + 2048, "KiB: {before:?}, {after:?}");
}

#[test]
fn zeros_cost_nothing() {
    if !alone("limits::zeros_cost_nothing") {
        return;
    }
    for tracking in methods().filter(|tracking| *tracking != Tracking::Compare) {
        let before = status("VmRSS");
        let snapshot = Snapshot::zeroed(64 << 30).unwrap();
        let mut view = snapshot.view_with(&with(tracking)).unwrap();
        view[63 << 30] = 1;
        view[0] = 1;
        // Only the pagemap has to be read as a whole: 8 bytes for each page.
        if tracking == Tracking::WriteProtect {
            assert_eq!(numbers(&view.dirty()), [0, 63 << 18]);
            view.snap().unwrap();
            assert_eq!(view.take_snapshot().unwrap()[63 << 30], 1);
            view.revert();
        }
        assert!(status("VmRSS") < before + (16 << 10));
    }
}
