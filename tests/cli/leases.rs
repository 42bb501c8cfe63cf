//! A target that another process opens while it is changed: before the first byte is written the verb ends, afterwards
//! the other process waits. None of its writes is lost.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::thread;

use memsnap::sys::xattr;

use super::case::{Case, PAGE, Ran, is_root, no_forks, skip};
use super::trace::{Subject, changed, interrupted, needs_strace};
use super::util::eventually;

const LATE: &[u8] = b"written by another program";
/// The thread that watches the lease is started right after it was granted.
const SLOW: (&str, &str) = ("clone,clone3", "delay_exit=200000");

fn has_lease(path: &Path) -> bool {
    let end = format!(":{} 0 EOF", path.metadata().unwrap().ino());
    let table = std::fs::read_to_string("/proc/locks").unwrap();
    table.lines().any(|line| line.contains("LEASE") && line.ends_with(&end))
}

fn has_mark(case: &Case) -> bool {
    let _alone = no_forks();
    xattr::get(&File::open(case.path("f")).unwrap(), b"user.memsnap.intent").unwrap().is_some()
}

fn writable(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

/// Runs the verb slowed down at `calls`, and meanwhile, when `now` is true, `others`; leases are proven here.
fn meanwhile<T: Send>(
    case: &Case,
    words: &str,
    (calls, delay): (&str, &str),
    now: impl Fn() -> bool + Sync,
    others: impl FnOnce() -> T + Send,
) -> (Ran, T) {
    thread::scope(|scope| {
        let verb = scope.spawn(|| Subject::sound().inject(case, words, calls, delay));
        eventually(now);
        let theirs = others();
        (verb.join().unwrap(), theirs)
    })
}

/// A verb is to be run over such a target; the fourth is with a delta beside it.
fn grounds() -> Vec<(&'static str, Case)> {
    let reverted = || {
        let (case, _) = changed();
        case.ok("revert --yes f@1");
        case
    };
    let with_delta = || {
        let (case, _) = changed();
        case.ok("snap f");
        case.ok("delta make f@2 f@1 -o d");
        case
    };
    vec![
        ("revert --yes f@1", changed().0),
        ("revert --yes f@1 --range 0..64K", changed().0),
        ("undo --yes f", reverted()),
        ("apply --yes f d", with_delta()),
        ("edit --yes f --at 70000 --hex 00112233", changed().0),
    ]
}

#[test]
fn opened_before_the_first_byte_it_ends_and_stores_nothing() {
    if !needs_strace() {
        return;
    }
    for (words, case) in grounds() {
        let (path, mut expected, stored) = (case.path("f"), case.read("f"), case.snapshots());
        let (ran, open) = meanwhile(
            &case,
            words,
            SLOW,
            || has_lease(&path),
            || {
                let file = writable(&path).unwrap();
                file.write_all_at(LATE, 0).unwrap();
                file
            },
        );
        let ran = ran.exits(75).says("nothing was changed").says("run it again");
        assert!(ran.err.contains(&format!("({})", std::process::id())), "{words}: who it was: {}", ran.err);
        drop(open);
        expected[..LATE.len()].copy_from_slice(LATE);
        assert!(case.read("f") == expected, "{words}");
        assert_eq!(case.snapshots(), stored, "{words}");
        assert!(case.stored("/intent").is_empty() && !has_mark(&case), "{words}");
        case.ok("snap f");
    }
}

#[test]
fn a_recovery_ends_too_and_can_be_said_again() {
    if !needs_strace() {
        return;
    }
    for words in ["recover --yes f", "recover --rollback --yes f", "edit --yes f --at 70000 --hex 00112233"] {
        let (case, old, new) = interrupted();
        let (path, half, intent) = (case.path("f"), case.read("f"), std::fs::read(&case.stored("/intent")[0]).unwrap());
        let (ran, _) = meanwhile(
            &case,
            words,
            SLOW,
            || has_lease(&path),
            || {
                drop(File::open(&path).unwrap());
            },
        );
        ran.exits(75).says("nothing was changed");
        assert!(case.read("f") == half && has_mark(&case), "{words}");
        assert!(std::fs::read(&case.stored("/intent")[0]).unwrap() == intent, "{words}");
        case.ok("recover --rollback --yes f");
        assert!(case.read("f") == new && new != old);
    }
}

/// A reader that comes while the present is captured: what was read is not stored as proven, nor at all.
#[test]
fn a_reader_during_the_capture() {
    if !needs_strace() {
        return;
    }
    let (case, _) = changed();
    let (path, now) = (case.path("f"), case.read("f"));
    let (ran, _) = meanwhile(
        &case,
        "revert --yes f@1",
        ("flistxattr", "delay_enter=300000"),
        || has_lease(&path),
        || {
            drop(File::open(&path).unwrap());
        },
    );
    ran.exits(75).says("nothing was changed");
    assert!(case.read("f") == now);
    assert_eq!(case.snapshots(), 1);
}

/// The last look is after the intent and the change marker: both are gone, and the capture, which was proven, is kept.
#[test]
fn the_intent_and_the_marker_are_withdrawn() {
    if !needs_strace() {
        return;
    }
    for rollback in [false, true] {
        let (case, words) = match rollback {
            false => (changed().0, "revert --yes f@1"),
            true => (interrupted().0, "recover --rollback --yes f"),
        };
        let (path, now) = (case.path("f"), case.read("f"));
        let before: Vec<_> = case.stored("/intent").iter().map(|path| std::fs::read(path).unwrap()).collect();
        let changes = || {
            let intents = case.stored("/intent");
            intents.len() > before.len() || intents.iter().zip(&before).any(|(p, b)| std::fs::read(p).unwrap() != *b)
        };
        let (ran, _) = meanwhile(&case, words, ("fsetxattr", "delay_enter=300000"), changes, || {
            drop(writable(&path).unwrap());
        });
        ran.exits(75).says("nothing was changed");
        assert!(case.read("f") == now);
        let after: Vec<_> = case.stored("/intent").iter().map(|path| std::fs::read(path).unwrap()).collect();
        assert!(after == before && has_mark(&case) == rollback, "{words}");
        if rollback {
            case.ok("recover --yes f");
        } else {
            assert!(case.ok("log --json f").json().iter().all(|line| line["grade"] != "unproven"));
            case.ok("revert --yes f@1");
        }
    }
}

/// What an edit composed, and the file never held, is no snapshot of it.
#[test]
fn what_was_composed_goes_with_the_change() {
    if !needs_strace() {
        return;
    }
    let (case, _) = changed();
    let (path, now) = (case.path("f"), case.read("f"));
    let begun = || !case.stored("/intent").is_empty();
    let words = "edit --yes f --at 70000 --hex 00112233";
    let (ran, _) = meanwhile(&case, words, ("fsetxattr", "delay_enter=300000"), begun, || {
        drop(writable(&path).unwrap());
    });
    ran.exits(75).says("nothing was changed");
    assert!(case.read("f") == now && case.stored("/intent").is_empty());
    assert!(!case.ok("log f").out.contains("(result)"));
    case.ok("verify");
    case.ok(words);
    assert!(case.ok("log f").out.contains("(result)"));
    case.ok("undo --yes f");
    assert!(case.read("f") == now);
    // Its number was not reported, and is given again.
    assert!(!case.ok("verify").err.contains("missing"));
}

/// From the first byte on a process that opens it waits, and then sees the whole change; or it gets EWOULDBLOCK.
#[test]
fn who_comes_later_waits() {
    if !needs_strace() {
        return;
    }
    let (case, old) = changed();
    let path = case.path("f");
    let modified = || path.metadata().unwrap().modified().unwrap();
    let before = modified();
    let slow = ("pwrite64", "delay_exit=50000");
    let (ran, seen) = meanwhile(
        &case,
        "revert --yes f@1",
        slow,
        || modified() != before,
        || {
            let at_once = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path);
            let file = writable(&path).unwrap();
            let mut seen = vec![0; old.len()];
            file.read_exact_at(&mut seen, 0).unwrap();
            file.write_all_at(LATE, 2 * PAGE as u64).unwrap();
            (at_once.map_err(|e| e.kind()).err(), seen)
        },
    );
    ran.exits(0);
    assert_eq!(seen.0, Some(io::ErrorKind::WouldBlock));
    assert!(seen.1 == old, "they see all of the change");
    assert!(case.read("f")[2 * PAGE..].starts_with(LATE), "and what they write stays");
    assert!(case.stored("/intent").is_empty() && !has_mark(&case));
}

/// While it lives, the kernel waits only so many seconds for a lease to be given back.
struct BreakTime(String);

impl BreakTime {
    const PATH: &str = "/proc/sys/fs/lease-break-time";

    fn of(seconds: u32) -> Option<BreakTime> {
        let before = std::fs::read_to_string(BreakTime::PATH).ok()?;
        std::fs::write(BreakTime::PATH, seconds.to_string()).ok()?;
        Some(BreakTime(before))
    }
}

impl Drop for BreakTime {
    fn drop(&mut self) {
        let _ = std::fs::write(BreakTime::PATH, &self.0);
    }
}

#[test]
fn taken_by_force_it_says_so() {
    if !needs_strace() {
        return;
    }
    if !is_root() {
        return skip("only root can shorten fs.lease-break-time");
    }
    let Some(_short) = BreakTime::of(1) else { return skip("fs.lease-break-time cannot be set here") };
    for writes in [false, true] {
        let (case, old) = changed();
        let path = case.path("f");
        let modified = || path.metadata().unwrap().modified().unwrap();
        let before = modified();
        let slow = ("pwrite64", "delay_exit=600000");
        let (ran, seen) = meanwhile(
            &case,
            "revert --yes f@1",
            slow,
            || modified() != before,
            || {
                let file = if writes { writable(&path) } else { File::open(&path) }.unwrap();
                let seen = case_bytes(&file);
                if writes {
                    file.write_all_at(LATE, 2 * PAGE as u64).unwrap();
                }
                (file, seen)
            },
        );
        let (open, seen) = seen;
        drop(open);
        assert!(seen != old, "it was let in before the end");
        let ran = ran.exits(75).says("lease-break-time");
        assert!(ran.err.contains(&format!("({})", std::process::id())), "{}", ran.err);
        if !writes {
            assert!(ran.err.contains("what was written reads back"), "{}", ran.err);
            assert!(case.read("f") == old && case.stored("/intent").is_empty() && !has_mark(&case));
            case.ok("diff f@1 f");
            case.ok("undo --yes f");
            continue;
        }
        assert!(ran.err.contains("does not read back") && ran.err.contains("memsnap recover"), "{}", ran.err);
        assert!(case.read("f")[2 * PAGE..].starts_with(LATE));
        assert!(case.stored("/intent").len() == 1 && has_mark(&case));
        case.exits("recover --yes f", 2).says("neither the old nor the new");
        case.ok("recover --finish --yes f").says("is saved as");
        assert!(case.read("f") == old);
    }
}

fn case_bytes(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// A program that writes a new file and renames it needs no lease: what it wrote stays, and is not said to be changed.
#[test]
fn a_file_that_takes_the_place_of_the_target_is_not_said_to_be_changed() {
    if !needs_strace() {
        return;
    }
    let (case, _) = changed();
    let held = case.read("f");
    case.write("new", LATE);
    let slow = ("pwrite64", "delay_enter=100000");
    let begun = || !case.stored("/intent").is_empty();
    let rename = || std::fs::rename(case.path("new"), case.path("f")).unwrap();
    let (ran, ()) = meanwhile(&case, "revert --yes f@1", slow, begun, rename);
    ran.exits(75).says("another file took its place");
    assert_eq!(case.read("f"), LATE);
    assert!(case.stored("/intent").is_empty());
    case.ok("snap f");
    case.ok("restore f@2 -o out");
    assert!(case.read("out") == held, "what was there before is kept for undo");
}
