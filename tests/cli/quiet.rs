//! Files that other processes have open: that one is quiet is seen, and no other is ever said to be.
#![allow(unsafe_code, reason = "a writable map of the file is what is tested")]

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use super::case::{Case, PAGE, Ran, UNPRIVILEGED, finish, has, is_root, no_forks, program, signal, skip, start};
use super::filesystems::mounted;
#[cfg(feature = "dev")]
use super::lmdb::Lmdb;
use super::quiet_util::{mapped, needs_quiet};
use super::trace::{Subject, needs_strace};
use super::users::Undo;
use super::util::{by_size, chmod, eventually};

const SEEN: &str = "observed: no change was seen while it was read";

/// With `f` of so many pages; none where it does not show whether a file is quiet.
fn shown(pages: usize) -> Option<Case> {
    let case = Case::with_pages(pages);
    needs_quiet(case.dir()).then_some(case)
}

/// A writer that has `f` open, and does nothing.
fn idle(case: &Case) -> File {
    File::options().write(true).open(case.path("f")).unwrap()
}

#[test]
fn an_idle_writer_is_seen_to_be_idle() {
    let Some(case) = shown(40) else { return };
    let open = idle(&case);
    let pid = format!("({})", std::process::id());
    case.ok("snap f").says(SEEN).says("open for writing by").says(&pid);
    let line = &case.ok("snap --json --always --require observed f").json()[0];
    assert_eq!((line["grade"].as_str(), line["new"].as_bool()), (Some("observed"), Some(true)));
    case.ok("log f").shows("observed");
    case.exits("snap --always --strict --require proven f", 3).says("observed").says("not stored");
    assert_eq!(case.snapshots(), 2);
    drop(open);
    case.ok("snap --require proven f").says("proven");
}

/// What was stored through a map and is not on the disk yet is flushed, and then it is quiet.
#[test]
fn what_was_just_stored_is_flushed() {
    let Some(case) = shown(40) else { return };
    let mut map = mapped(&case.path("f"));
    for round in 0..5 {
        map[7 * PAGE + round] ^= 1;
        map[20 * PAGE] = round as u8;
        case.ok("snap --wait 0 f").says(SEEN).says("mapped for writing by");
        assert!(case.ok("restore f@latest -o -").bytes[..] == map[..]);
    }
}

/// A process that opens a database of SQLite, writes to it, and then keeps it open.
fn idle_sqlite(case: &Case, pragmas: &str) -> Child {
    let script = format!(
        "import sqlite3, sys
c = sqlite3.connect('f', isolation_level=None)
for s in '''{pragmas}'''.split(';'): c.execute(s).fetchall()
c.execute('create table t(a integer primary key, b blob)')
c.execute('begin'); c.executemany('insert into t values(?, zeroblob(500))', [(i,) for i in range(500)])
c.execute('commit'); c.execute('pragma wal_checkpoint(truncate)')
print('ready', flush=True); sys.stdin.read()"
    );
    let mut command = case.command("python3");
    let mut child = start(command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()));
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
    child
}

#[test]
fn a_database_of_sqlite_that_is_open_and_idle() {
    if !has("python3") {
        return skip("python3 is not there");
    }
    for pragmas in [
        "pragma journal_mode=wal",
        "pragma journal_mode=delete",
        "pragma journal_mode=truncate; pragma mmap_size=1000000",
        "pragma journal_mode=persist; pragma synchronous=off",
    ] {
        let case = Case::new();
        if !needs_quiet(case.dir()) {
            return;
        }
        let mut child = idle_sqlite(&case, pragmas);
        case.ok("snap f").says(SEEN).says("open for writing by python3");
        case.ok("restore f@1 -o copy");
        let script = "import sqlite3; c = sqlite3.connect('copy'); print(c.execute('pragma integrity_check').fetchone()[0], \
                      c.execute('select count(*) from t').fetchone()[0])";
        finish(case.command("python3").args(["-c", script])).exits(0).shows("ok 500");
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}

#[cfg(feature = "dev")]
#[test]
fn a_database_of_lmdb_that_is_open_and_idle() {
    let case = Case::new();
    if !needs_quiet(case.dir()) {
        return;
    }
    // Without syncs of its own: what it has committed is in dirty pages.
    for (name, flags) in [("f", 0), ("g", lmdb_master_sys::MDB_NOSYNC)] {
        let alone = no_forks();
        let lmdb = Lmdb::open(&case.path(name), flags);
        drop(alone);
        for round in 1..4 {
            lmdb.put(&(0..200).map(|key| (key, 1000 * round + key)).collect::<Vec<_>>());
            case.ok(&format!("snap {name}")).says(SEEN).says("for writing by");
            let copy = format!("{name}{round}");
            case.ok(&format!("restore {name}@{round} -o {copy}"));
            let alone = no_forks();
            let copy = Lmdb::open(&case.path(copy), 0);
            drop(alone);
            assert!((0..200).all(|key| copy.get(key) == Some(1000 * round + key)), "{name}, round {round}");
        }
        assert_eq!(lmdb.get(7), Some(3007));
    }
}

/// It stores one more than before first to one page, then to another, all the time. Stores are in order, so what is of
/// one moment has the same in both, or one more in the first.
fn counting(case: &Case, work: impl FnOnce()) {
    let (mut map, stop) = (mapped(&case.path("f")), AtomicBool::new(false));
    let far = map.len() - PAGE;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut count = 0u64;
            while !stop.load(Relaxed) {
                count += 1;
                for at in [0, far] {
                    // SAFETY: it is within the map, and aligned. Volatile: each store is made, in this order.
                    map[at..at + 8].copy_from_slice(&count.to_le_bytes());
                }
            }
        });
        work();
        stop.store(true, Relaxed);
    });
}

#[test]
fn a_file_that_is_being_written_is_not_quiet() {
    let Some(case) = shown(500) else { return };
    let rounds = by_size(10, 30, 200);
    let mut observed = 0;
    counting(&case, || {
        for round in 0..rounds {
            let words = format!("snap --json --always --require none --wait {} f", ["0", "0.2"][round % 2]);
            let line = &case.ok(&words).json()[0];
            if line["grade"] == "unproven" {
                assert!(line["reason"].as_str().unwrap().contains("written"), "{line}");
                continue;
            }
            // The writer may have to wait for a processor for longer than the window.
            assert_eq!(line["grade"], "observed");
            let image = case.ok("restore f@latest -o -").bytes;
            let count = |at: usize| u64::from_le_bytes(image[at..at + 8].try_into().unwrap());
            assert!(count(0) - count(499 * PAGE) <= 1, "{} {}", count(0), count(499 * PAGE));
            observed += 1;
        }
    });
    assert!(observed * 5 <= rounds, "{observed} of {rounds}");
    // It ends, and the same file is quiet.
    let open = idle(&case);
    case.ok("snap --always f").says("observed");
    drop(open);
}

#[test]
fn a_writer_that_ends_meanwhile_is_waited_for() {
    if !has("python3") {
        return skip("python3 is not there");
    }
    let Some(case) = shown(500) else { return };
    // One that writes until it gets a line, and then has it open.
    let script = "import os, select, sys
fd = os.open('f', os.O_RDWR); print('ready', flush=True)
while not select.select([0], [], [], 0)[0]: os.pwrite(fd, os.urandom(100), 4096 * 300)
sys.stdin.readline(); sys.stdin.read()";
    let mut command = case.command("python3");
    let mut child = start(command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()));
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
    // The writer may have to wait for a processor for longer than the window.
    eventually(|| {
        let ran = case.run(["snap", "--wait", "0", "f"]);
        let unproven = ran.code == Some(3);
        if unproven {
            let ran = ran.says("unproven: open for writing by python3").says("written");
            drop(ran.says("wait longer with --wait"));
        }
        unproven
    });
    let mut command = case.memsnap(["snap", "--always", "--wait", "60", "f"]);
    let waiting = start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    std::thread::sleep(Duration::from_millis(500));
    child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    Ran::of(waiting.wait_with_output().unwrap(), "snap".into()).exits(0).says(SEEN);
    case.ok("snap f").says("open for writing by python3");
    assert!(case.ok("restore f@latest -o -").bytes == case.read("f"));
    drop(child.stdin.take());
    child.wait().unwrap();
}

/// What the kernel shows only to those who may write to the file.
#[test]
fn of_whom_it_shows() {
    if !is_root() || !has("setpriv") {
        return skip("root and setpriv are needed");
    }
    let Some(case) = shown(5) else { return };
    chmod(case.dir(), 0o777);
    std::fs::copy(program(), case.path("memsnap")).unwrap();
    let snap = || {
        let mut command = case.as_user(UNPRIVILEGED, case.path("memsnap"));
        finish(command.args(["--store", "theirs", "snap", "--always", "f"]))
    };
    chmod(case.path("f"), 0o644);
    snap().exits(3).says("unproven: not the owner, nor root").says("only its owner, and who may write to it, can see");
    chmod(case.path("f"), 0o666);
    snap().exits(0).says(SEEN).says("not the owner, nor root");
}

/// The kernel reports a failed write once: what is in the file is not known then, and a second flush shows nothing.
#[test]
fn a_flush_that_fails_is_not_tried_again() {
    if !needs_strace() {
        return;
    }
    for (nth, dirty) in [(1, true), (2, true), (1, false)] {
        let Some(case) = shown(40) else { return };
        let mut map = mapped(&case.path("f"));
        if dirty {
            map[7 * PAGE] ^= 1;
        } else {
            map.flush().unwrap();
        }
        let log = case.path("log");
        let inject = format!("inject=fdatasync:error=EIO:when={nth}");
        let options = ["-y", "-o", log.to_str().unwrap(), "-e", "trace=fdatasync", "-e", &inject];
        let ran = finish(&mut Subject::sound().strace(&case, &options, "snap --wait 5 f")).exits(3);
        ran.says("unproven: mapped for writing by").says("flushing it to the disk failed: Input/output error");
        let trace = std::fs::read_to_string(log).unwrap();
        let target = format!("<{}>", case.path("f").canonicalize().unwrap().display());
        let flushes: Vec<_> = trace.lines().filter(|line| line.contains(&target)).collect();
        assert!(flushes.len() == nth && flushes[nth - 1].contains("(INJECTED)"), "{trace}");
        // It is kept, as what it is.
        assert!(case.snapshots() == 1 && case.ok("restore f@1 -o -").bytes[..] == map[..]);
    }
}

/// In a shell that ends at the first error: `snap` with these arguments must end with 3.
const UNPROVEN: &str = r#"unproven() { code=0; "$@" --store ../store snap --wait 0 f || code=$?; [ $code = 3 ]; }"#;

/// A file `f` in `m` that a process has open for writing and does not write to, where that is never said to be seen.
#[track_caller]
fn is_not_shown(programs: &[&str], setup: &str, why: &str) {
    let make = "head -c 400000 /dev/urandom >f; chmod 600 f || true; sync f; exec 9<>f";
    let script = format!("{UNPROVEN}\n{make}\nunproven \"$M\" 9>&-");
    if let Some((_case, ran)) = mounted(programs, setup, &script) {
        says_why(&ran.exits(0), why);
    }
}

#[track_caller]
fn says_why(ran: &Ran, why: &str) {
    assert!(ran.err.contains("unproven: ") && ran.err.contains(why), "{why}: {ran:?}");
    assert!(!ran.err.contains("--wait"), "it would not help: {ran:?}");
}

const IMAGE: &str = "truncate -s 64M image";

#[test]
fn where_nothing_shows_no_file_is_quiet() {
    is_not_shown(&[], "mount -t tmpfs none m", "tmpfs does not show whether a file is quiet");
    is_not_shown(&[], "mount -t ramfs none m", "ramfs does not show whether a file is quiet");
    // Of an overlay on a file system where it shows.
    let layers = "mkfs.ext4 -q image; mkdir e; mount -o loop image e; mkdir e/l e/u e/w";
    let overlay = format!("{IMAGE}; {layers}; mount -t overlay -o lowerdir=e/l,upperdir=e/u,workdir=e/w x m");
    is_not_shown(&["mkfs.ext4"], &overlay, "overlay does not show whether a file is quiet");
    let fuse = format!("{IMAGE}; mkfs.ext4 -q image; mkdir under; mount -o loop image under; bindfs under m");
    is_not_shown(&["mkfs.ext4", "bindfs"], &fuse, "fuse does not show whether a file is quiet");
    let ext2 = format!("{IMAGE}; mkfs.ext2 -q image; mount -t ext2 -o loop image m");
    is_not_shown(&["mkfs.ext2"], &ext2, "ext2 does not show whether a file is quiet");
}

/// Inodes of 128 bytes have no room for nanoseconds.
#[test]
fn where_time_stamps_are_coarse_no_file_is_quiet() {
    let setup = format!("{IMAGE}; mkfs.ext4 -q -I 128 image; mount -o loop image m");
    is_not_shown(&["mkfs.ext4"], &setup, "the time stamps of its file system are too coarse");
}

/// On a disk: a swap file in memory may be swapped to itself, and then nothing reads it again.
#[test]
fn an_active_swap_file_is_not_quiet() {
    if !is_root() || !has("mkswap") || !has("swapon") {
        return skip("root, mkswap and swapon are needed");
    }
    let Some(case) = shown(256) else { return };
    chmod(case.path("f"), 0o600);
    finish(case.command("mkswap").arg("f")).exits(0);
    if finish(case.command("swapon").arg("f")).code != Some(0) {
        return skip("no file can be swapped to here");
    }
    let undo = Undo(&case, vec!["swapoff".into(), "f".into()]);
    says_why(&case.exits("snap --wait 0 f", 3), "it is in use as swap space");
    drop(undo);
    let open = idle(&case);
    case.ok("snap --always f").says(SEEN);
    drop(open);
}

/// Read-only in the ordinary way, for a user who gets no lease, and since an error, with a writer that has it open.
#[test]
fn on_a_read_only_file_system_no_file_is_quiet() {
    let setup = format!("{IMAGE}; mkfs.ext4 -q image; mount -o loop,errors=remount-ro image m");
    let make = "head -c 400000 /dev/urandom >f; sync f; chmod 755 .; chmod 777 ..; cp \"$M\" ../memsnap";
    let user = format!("setpriv --reuid={UNPRIVILEGED} --regid={UNPRIVILEGED} --clear-groups");
    let remounted =
        format!("{UNPROVEN}\n{make}; chmod 666 f; mount -o remount,ro \"$PWD\"\nunproven {user} ../memsnap");
    if let Some((_case, ran)) = mounted(&["mkfs.ext4", "setpriv"], &setup, &remounted) {
        says_why(&ran.exits(0), "its file system is read-only");
    }
    // What cannot be written any more stays dirty, or its flush fails; a look at nothing but ctime would see a quiet file.
    let failed = format!(
        "{UNPROVEN}
         {make}; exec 9<>f; printf x >&9; d=$(findmnt -no SOURCE \"$PWD\")
         echo 1 >/sys/fs/ext4/${{d#/dev/}}/trigger_fs_error
         unproven \"$M\" 9>&-"
    );
    if let Some((_case, ran)) = mounted(&["mkfs.ext4", "findmnt"], &setup, &failed) {
        says_why(&ran.exits(0), "open for writing by");
    }
}

/// A writer that is stopped does not write: the file is quiet.
#[test]
fn a_writer_that_is_stopped_is_quiet() {
    let Some(case) = shown(5) else { return };
    let script = "exec 9<>f; echo ready; while :; do printf x >&9; done";
    let mut child = start(case.command("bash").args(["-c", script]).stdout(Stdio::piped()));
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
    signal("STOP", &child);
    case.ok("snap f").says(SEEN).says("open for writing by bash");
    assert!(case.ok("restore f@1 -o -").bytes == case.read("f"));
    child.kill().unwrap();
    child.wait().unwrap();
}
