//! A lock file that is removed, renamed or replaced: no process writes under the old one.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use super::case::{Case, Ran, signal, start};
use super::util::{chmod, eventually};

/// The descriptors that a process has of the file that stands at `path` now.
fn open_at(child: &Child, path: &Path) -> Vec<PathBuf> {
    let Ok(wanted) = std::fs::metadata(path) else { return Vec::new() };
    let fds = std::fs::read_dir(format!("/proc/{}/fd", child.id())).into_iter().flatten().flatten().map(|fd| fd.path());
    fds.filter(|fd| std::fs::metadata(fd).is_ok_and(|m| (m.dev(), m.ino()) == (wanted.dev(), wanted.ino()))).collect()
}

fn has_open(child: &Child, path: &Path) -> bool {
    !open_at(child, path).is_empty()
}

/// Whether a process has or wants the lock of a store: a process that only tests it opens it for reading. The
/// link is as writable as what it stands for: proc_pid_fd(5).
fn is_at_lock(child: &Child, path: &Path) -> bool {
    let writes = |fd: &PathBuf| fd.symlink_metadata().is_ok_and(|link| link.mode() & 0o200 != 0);
    open_at(child, path).iter().any(writes)
}

fn spawn(case: &Case, words: &str) -> Child {
    start(case.memsnap(words.split(' ')).stdout(Stdio::piped()).stderr(Stdio::piped()))
}

fn end(child: Child) -> Ran {
    Ran::of(child.wait_with_output().unwrap(), "memsnap".into())
}

/// What may happen to a lock file.
const FATES: [fn(&Path); 3] = [
    |lock| std::fs::remove_file(lock).unwrap(),
    |lock| std::fs::rename(lock, lock.with_extension("moved")).unwrap(),
    |lock| {
        let new = lock.with_extension("new");
        OpenOptions::new().write(true).create_new(true).open(&new).unwrap();
        chmod(&new, 0o600);
        std::fs::rename(new, lock).unwrap();
    },
];

fn prepared() -> (Case, PathBuf) {
    let case = Case::with_pages(2048);
    case.ok("snap f");
    let lock = case.history().join("lock");
    (case, lock)
}

#[test]
fn who_waited_for_the_old_lock_takes_the_new_one() {
    for fate in FATES {
        let (case, lock) = prepared();
        let old = File::open(&lock).unwrap();
        old.lock().unwrap();
        let mut waiter = spawn(&case, "snap --always --require none --wait 100 f");
        eventually(|| is_at_lock(&waiter, &lock));
        fate(&lock);
        // Another has the new lock while the old one becomes free.
        let mut holder = spawn(&case, "snap --rescan --always --require none --limit-rate 1 f");
        eventually(|| is_at_lock(&holder, &lock) && File::open(&lock).unwrap().try_lock().is_err());
        drop(old);
        eventually(|| is_at_lock(&waiter, &lock));
        case.exits("snap --always --wait 0 f", 75).says("busy");
        assert!(waiter.try_wait().unwrap().is_none() && holder.try_wait().unwrap().is_none());
        signal("9", &holder);
        holder.wait().unwrap();
        end(waiter).exits(0);
        assert_eq!(case.snapshots(), 2);
        case.ok("verify").shows("all good");
    }
}

/// Unlike the lock of a target, which may be held around memsnap on purpose.
#[test]
fn the_right_to_write_in_a_store_is_not_inherited() {
    let (case, lock) = prepared();
    let ours = File::open(&lock).unwrap();
    ours.lock().unwrap();
    case.exits("snap --always --require none --wait 0 f", 75).says("busy");
    assert_eq!(case.snapshots(), 1);
    drop(ours);
    case.ok("snap --always --require none --wait 0 f");
}

#[test]
fn who_lost_the_lock_commits_nothing() {
    for fate in FATES {
        let (case, lock) = prepared();
        // It reads for seconds, and holds the lock.
        let reader = spawn(&case, "snap --rescan --always --require none --limit-rate 2M f");
        eventually(|| lock.metadata().is_ok_and(|m| m.len() > 0) && is_at_lock(&reader, &lock));
        signal("STOP", &reader);
        fate(&lock);
        case.ok("snap --always --require none f");
        signal("CONT", &reader);
        end(reader).exits(75).says("removed or replaced");
        assert_eq!(case.snapshots(), 2, "two have the same number");
        case.ok("snap --always --require none f");
        assert_eq!(case.snapshots(), 3);
        case.ok("verify").shows("all good");
    }
}

/// As flock(1): the lock is of the file that was opened, whatever has its name later.
#[test]
fn memsnap_lock_goes_by_the_file_that_it_opened() {
    let case = Case::new();
    case.write("f", b"old");
    let old = File::open(case.path("f")).unwrap();
    old.lock().unwrap();
    let mut waiter = spawn(&case, "lock f cat f");
    eventually(|| has_open(&waiter, &case.path("f")));
    case.write("g", b"new");
    std::fs::rename(case.path("g"), case.path("f")).unwrap();
    case.ok("lock -n f true");
    assert!(waiter.try_wait().unwrap().is_none(), "it ran without the lock it waited for");
    drop(old);
    assert_eq!(end(waiter).exits(0).out, "new");
}
