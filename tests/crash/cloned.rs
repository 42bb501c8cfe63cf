//! A snapshot that keeps a clone, killed anywhere, and the power cut after it: what is found then leads to right
//! snapshots.

use crate::case::{Case, PAGE, finish, noise};
use crate::mount::{Fs, Mount, needs_btrfs, needs_mounts};
use crate::points::{Calls, Findings, sample};
use crate::trace::{MUTATING, Subject, needs_strace, was_killed};
use crate::util::{by_size, nightly};

const WORDS: &str = "snap --clone=keep f";

/// A file of which a clone is kept, and which has changed since.
fn ground(case: &Case) {
    case.write("f", &noise(1, 40 * PAGE));
    case.ok(WORDS);
    change(case, 0);
}

/// Another page each time, and its neighbour's neighbour.
fn change(case: &Case, n: usize) {
    let bytes = noise(n as u64, 100);
    case.patch("f", ((n % 37) * PAGE) as u64, &bytes);
    case.patch("f", ((n % 37 + 2) * PAGE) as u64, &bytes);
}

/// The next snapshot is the file, and so is one that reads everything.
fn check(case: &Case) -> Result<(), String> {
    case.ok(WORDS);
    if case.ok("restore f@latest -o -").bytes != case.read("f") {
        return Err("the next snapshot is not the file".into());
    }
    let again = case.ok("snap --clone=never --json f").json();
    if again[0]["new"] == true {
        return Err("a whole scan finds something else".into());
    }
    let left: Vec<_> = case.stored("").into_iter().filter(|path| path.to_string_lossy().contains("/tmp-")).collect();
    if !left.is_empty() {
        return Err(format!("left behind: {left:?}"));
    }
    let verified = case.run("verify f".split(' '));
    if verified.code == Some(0) { Ok(()) } else { Err(format!("{verified:?}")) }
}

fn killed(subject: &Subject, fs: Fs) -> Findings {
    let (mount, _image) = Mount::empty(fs, fs.len());
    let case = mount.case();
    ground(&case);
    let calls = Calls::of(subject, &case, WORDS, MUTATING);
    let mut found = Findings::default();
    for (n, point) in sample(calls.all(), by_size(6, 2, 1), 0).into_iter().enumerate() {
        change(&case, n + 1);
        let ran = subject.inject(&case, WORDS, &point.call, &format!("signal=SIGKILL:when={}", point.nth));
        let result = if was_killed(&ran) { check(&case) } else { Err(format!("it was not killed: {ran:?}")) };
        found.note(format!("{fs:?}: killed at {point}"), result);
    }
    found
}

#[test]
fn a_kept_clone_is_right_after_every_kill() {
    if !needs_mounts() || !needs_strace() {
        return;
    }
    let mut kinds = vec![Fs::Xfs];
    kinds.extend((nightly() && needs_btrfs()).then_some(Fs::Btrfs));
    for fs in kinds {
        let found = killed(&Subject::sound(), fs);
        eprintln!("{fs:?}: killed at {} points", found.points);
        assert!(found.points > 3);
        found.must_be_none();
    }
}

#[test]
fn a_kept_clone_is_right_after_a_power_cut() {
    if !needs_mounts() {
        return;
    }
    let (mut mount, _image) = Mount::empty(Fs::Xfs, Fs::Xfs.len());
    let case = mount.case();
    ground(&case);
    for n in 1..=by_size(3, 10, 40) {
        change(&case, n);
        case.ok(WORDS);
        // Also with changes that are lost, and with some that are not.
        change(&case, n + 1);
        if n % 3 == 0 {
            mount.sync();
        }
        mount.shut_down();
        mount.down();
        mount.up().unwrap();
        check(&case).unwrap_or_else(|why| panic!("cut {n}: {why}"));
    }
}

/// For a planted bug: extents that look the same, and may hold other bytes, on btrfs in the inode.
pub(crate) fn bytes_in_the_inode(subject: &Subject) -> Findings {
    let mut found = Findings::default();
    if !needs_btrfs() {
        return found;
    }
    let (mount, _image) = Mount::empty(Fs::Btrfs, Fs::Btrfs.len());
    let case = mount.case();
    for n in 0..3 {
        case.write("f", &noise(n, 1000));
        finish(&mut subject.command(&case, WORDS)).exits(0);
        let same = case.ok("restore f@latest -o -").bytes == case.read("f");
        found.note(format!("snapshot {n}"), if same { Ok(()) } else { Err("it is not the file".into()) });
    }
    found
}
