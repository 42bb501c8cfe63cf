//! How far a snapshot is proven to be of one moment.
#![allow(unsafe_code, reason = "a writable map is what is tested")]

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::time::Duration;

use memmap2::MmapMut;

use super::case::{Case, PAGE, Ran, finish, has, is_root, no_forks, noise, program, skip, start};
use super::util::{chmod, eventually};

fn grade(case: &Case, words: &str, code: i32) -> String {
    case.exits(&format!("snap --json --always {words} f"), code).json()[0]["grade"].as_str().unwrap().into()
}

fn writer(case: &Case) -> File {
    OpenOptions::new().read(true).write(true).open(case.path("f")).unwrap()
}

fn mapped(case: &Case) -> MmapMut {
    let _alone = no_forks();
    // SAFETY: no test truncates the file while the map lives.
    unsafe { MmapMut::map_mut(&writer(case)) }.unwrap()
}

/// A shell that holds a flock on `f` until its stdin ends.
fn holder(case: &Case, mode: &str) -> Child {
    holder_of(case, "f", mode)
}

/// The same for any file.
pub(crate) fn holder_of(case: &Case, name: &str, mode: &str) -> Child {
    let line = format!("exec 9<{name}; flock {mode} 9; echo locked; read x");
    let mut command = case.command("sh");
    let mut child = start(command.args(["-c", &line]).stdin(Stdio::piped()).stdout(Stdio::piped()));
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 7]).unwrap();
    child
}

#[test]
fn proven_when_no_process_writes() {
    let case = Case::with_pages(5);
    assert_eq!(grade(&case, "--require proven", 0), "proven");
    let reader = File::open(case.path("f")).unwrap();
    assert_eq!(grade(&case, "--require proven", 0), "proven");
    drop(reader);
}

/// Pages of tmpfs can be pinned for io_uring, unmapped, closed, and still written: no lease breaks.
#[test]
fn on_tmpfs_a_lease_is_not_enough() {
    let case = Case::in_memory();
    if !case.dir().starts_with("/dev/shm") {
        return skip("no /dev/shm");
    }
    case.write("f", &noise(1, 5 * PAGE));
    case.ok("snap f").says("claimed: no process had it open for writing; on tmpfs, pages").says("pinned");
    case.exits("snap --require proven --always f", 3).says("claimed");
    // A change is protected by its lease, and its undo snapshot is no better.
    case.touch(1, 1);
    case.ok("revert --yes f@1");
    assert!(case.ok("log f").out.lines().all(|line| !line.contains("proven")));
    let open = writer(&case);
    case.exits("snap --always f", 3).says("unproven: open for writing by");
    case.exits("undo --yes f", 75).says("open in");
    drop(open);
}

#[test]
fn an_open_writer_is_named() {
    // Where nothing shows whether it writes.
    let case = Case::in_memory();
    case.write("f", &noise(1, 5 * PAGE));
    let open = writer(&case);
    let pid = format!("({})", std::process::id());
    case.exits("snap f", 3).says("unproven").says("open for writing by").says(&pid).says("stored and marked");
    assert_eq!(case.snapshots(), 1);
    case.exits("snap --require proven --strict --always f", 3).says("not stored");
    assert_eq!(case.snapshots(), 1);
    assert_eq!(grade(&case, "--require none", 0), "unproven");
    drop(open);
    // A better grade of the same bytes is worth a snapshot.
    let before = case.snapshots();
    case.ok("snap f").says("claimed");
    assert_eq!(case.snapshots(), before + 1);
    case.ok("snap f").says("unchanged");
}

#[test]
fn one_mapped_for_writing_is_never_proven() {
    let case = Case::with_pages(5);
    let map = mapped(&case);
    case.exits("snap --require proven f", 3);
    let ran = case.ok("snap --require none f").says("mapped for writing by");
    assert!(ran.err.contains(&std::process::id().to_string()));
    drop(map);
    case.ok("snap --always f").says("proven");
}

#[test]
fn a_writer_through_a_map_is_caught_though_mtime_stays() {
    let case = Case::with_pages(50);
    let mut map = mapped(&case);
    map[7 * PAGE] ^= 1;
    case.ok("snap --require none f");
    let before = case.path("f").metadata().unwrap().modified().unwrap();
    map[7 * PAGE + 1] ^= 1;
    // The page was dirty already, so mtime stays; where it was written back in between, it is put back.
    if case.path("f").metadata().unwrap().modified().unwrap() != before {
        writer(&case).set_times(std::fs::FileTimes::new().set_modified(before)).unwrap();
    }
    assert_eq!(case.path("f").metadata().unwrap().modified().unwrap(), before);
    assert_eq!(case.exits("diff --pages f", 1).out, "7\n");
    case.ok("snap --require none f").says("1 page changed");
    assert!(case.ok("restore f@2 -o -").bytes[..] == map[..]);
}

/// A reading that does not count leaves nothing behind: the next one compares with the snapshot all the same.
#[test]
fn a_second_reading_finds_what_the_first_found() {
    let case = Case::with_pages(1024);
    case.ok("snap f");
    let open = writer(&case);
    case.patch("f", 2 * PAGE as u64, &noise(5, PAGE));
    // It is written while it is read for the first time, for some seconds.
    let mut child =
        start(case.memsnap(["snap", "--limit-rate", "2M", "f"]).stdout(Stdio::null()).stderr(Stdio::piped()));
    std::thread::sleep(std::time::Duration::from_millis(600));
    case.patch("f", 1000 * PAGE as u64, &noise(6, PAGE));
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    assert!(said.contains("2 pages changed") && said.contains("observed"), "{said}");
    case.ok("verify").shows("all good");
    assert!(case.ok("restore f@2 -o -").bytes == case.read("f"));
    drop(open);
    case.ok("diff f");
    case.ok("snap f --rescan");
    case.ok("verify").shows("all good");
}

#[test]
fn under_its_lock_it_is_claimed() {
    let case = Case::in_memory();
    case.write("f", &noise(1, 5 * PAGE));
    let open = writer(&case);
    assert_eq!(grade(&case, "", 3), "unproven");
    assert_eq!(grade(&case, "--lock", 0), "claimed");
    assert_eq!(grade(&case, "--lock --require proven", 3), "claimed");
    drop(open);
    assert_eq!(grade(&Case::with_pages(5), "--lock", 0), "proven");
}

#[test]
fn a_lock_of_another_process_is_busy() {
    if !has("flock") {
        return skip("flock is not there");
    }
    let case = Case::with_pages(5);
    case.ok("snap f");
    let mut child = holder(&case, "-x");
    let pid = child.id().to_string();
    case.exits("snap --lock --wait 0 f", 75).says(&pid).says("sh");
    case.ok("snap --wait 0 f");
    case.touch(2, 2);
    case.exits("revert --yes --wait 0 f", 75).says(&pid);
    case.exits("diff --lock --wait 0 f", 75);
    drop(child.stdin.take());
    child.wait().unwrap();
    let mut child = holder(&case, "-s");
    case.ok("snap --lock --wait 0 f");
    case.exits("revert --yes --wait 0 f@1", 75);
    drop(child.stdin.take());
    child.wait().unwrap();
    case.ok("revert --yes --wait 0 f@1");
}

#[test]
fn a_lock_around_us_is_ours() {
    if !has("flock") {
        return skip("flock is not there");
    }
    let case = Case::with_pages(5);
    let old = case.read("f");
    let under = |words: &str| {
        let mut command = case.command("flock");
        finish(command.arg("f").arg(program()).args(words.split(' ')))
    };
    under("snap --lock --wait 0 f").exits(0);
    case.touch(2, 2);
    under("snap --lock --wait 0 f").exits(0);
    under("revert f@1 --yes --wait 0").exits(0);
    assert!(case.read("f") == old);
    under("undo --yes --wait 0 f").exits(0);
    case.ok("verify");
}

#[test]
fn a_log_beside_it_marks_the_capture() {
    let case = Case::with_pages(5);
    case.write("f-journal", b"");
    case.ok("snap f");
    case.touch(1, 1);
    case.write("f-journal", &super::companions::hot_journal());
    case.exits("snap --alone f", 3).says("f-journal is the journal").says("roll it back");
    // The first snapshot is of the file without a journal; undo brings it back.
    let now = case.read("f");
    case.ok("revert --yes f@1");
    assert!(case.read("f") != now && !case.path("f-journal").exists());
    case.ok("undo --yes f");
    assert!(case.read("f") == now && case.read("f-journal") == super::companions::hot_journal());
}

/// A program that does as a lock asks: it locks `f`, runs `script` when it gets a line, and releases the lock. It
/// keeps what it opened until the end of its stdin.
fn writer_under_lock(case: &Case, script: &str) -> Child {
    let line = format!("exec 9<>f; flock -x 9; echo locked; read x; {script}; flock -u 9; read x");
    let mut command = case.command("sh");
    let mut child = start(command.args(["-c", &line]).stdin(Stdio::piped()).stdout(Stdio::piped()));
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 7]).unwrap();
    child
}

/// Runs the program, and lets the writer go on once the program waits for its lock.
fn waits_for(case: &Case, writer: &mut Child, words: &str) -> Ran {
    let mut command = case.memsnap(words.split(' '));
    let waiting = start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let target = File::open(case.path("f")).unwrap();
    eventually(|| memsnap::sys::openers::of(&target).list.iter().any(|o| o.pid == waiting.id()));
    // It has the file open; what it does before it asks for the lock takes no time.
    std::thread::sleep(Duration::from_millis(100));
    writer.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    Ran::of(waiting.wait_with_output().unwrap(), words.into())
}

const TO_TWICE: &str = "cat twice >&9";

#[test]
fn what_was_written_while_a_lock_was_waited_for_is_read() {
    if !has("flock") {
        return skip("flock is not there");
    }
    for verb in ["snap --lock f", "diff --lock --pages f", "delta make --lock f@1 f -o d", "diff --lock f@1 f"] {
        let case = Case::in_memory();
        case.write("f", &noise(1, 5 * PAGE));
        case.ok("snap f");
        case.write("twice", &noise(7, 9 * PAGE));
        let mut writer = writer_under_lock(&case, TO_TWICE);
        let ran = waits_for(&case, &mut writer, verb);
        match verb.split(' ').next().unwrap() {
            "snap" => {
                let ran = ran.exits(0).says("claimed");
                assert!(!ran.err.contains("changed while it was read"), "{ran:?}");
                assert!(case.ok("restore f@2 -o -").bytes == case.read("twice"));
            }
            "diff" if verb.contains("--pages") => assert_eq!(ran.exits(1).out, "0\n1\n2\n3\n4\n5\n6\n7\n8\n"),
            "diff" => drop(ran.exits(1).shows("9 pages")),
            _ => {
                drop(ran.exits(0));
                case.ok("restore f@1 -o old");
                case.ok("apply old d --yes");
                assert!(case.read("old") == case.read("twice"));
            }
        }
        drop(writer.stdin.take());
        writer.wait().unwrap();
    }
}

/// An editor that locks, writes a new file and puts it in the place of the old one: the old one is not what was asked
/// for.
#[test]
fn a_file_that_was_replaced_while_its_lock_was_waited_for_is_not_read() {
    if !has("flock") {
        return skip("flock is not there");
    }
    for verb in ["snap --lock f", "diff --lock f", "delta make --lock f@1 f -o d"] {
        let case = Case::with_pages(5);
        case.ok("snap f");
        case.write("new", &noise(7, 5 * PAGE));
        let mut writer = writer_under_lock(&case, "mv new f");
        waits_for(&case, &mut writer, verb).exits(2).says("changed while").says("try again");
        drop(writer.stdin.take());
        writer.wait().unwrap();
    }
}

/// A change from another store that is interrupted while we wait.
#[test]
fn a_change_marker_that_appears_while_a_lock_is_waited_for_is_seen() {
    if !has("flock") || !has("python3") {
        return skip("flock or python3 is not there");
    }
    let mark = "python3 -c 'import os; os.setxattr(\"f\", \"user.memsnap.intent\", b\"0\" * 16 + b\" /nowhere\")'";
    for verb in ["snap --lock f", "diff --lock f", "delta make --lock f@1 f -o d"] {
        let case = Case::with_pages(5);
        case.ok("snap f");
        let mut writer = writer_under_lock(&case, mark);
        waits_for(&case, &mut writer, verb).exits(2).says("was interrupted").says("recover");
        assert_eq!(case.snapshots(), 1);
        drop(writer.stdin.take());
        writer.wait().unwrap();
    }
}

/// Runs the program, which reads slowly, and calls `meanwhile` once it has the lease.
fn slowly(case: &Case, words: &str, meanwhile: impl FnOnce()) -> Ran {
    let mut command = case.memsnap(words.split(' '));
    let reading = start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let held = format!(" {} ", reading.id());
    let locks = || std::fs::read_to_string("/proc/locks").unwrap();
    eventually(|| locks().lines().any(|line| line.contains("LEASE") && line.contains(&held)));
    std::thread::sleep(Duration::from_millis(100));
    meanwhile();
    Ran::of(reading.wait_with_output().unwrap(), words.into())
}

#[test]
fn a_stamp_that_moved_lowers_the_grade_although_the_lease_was_kept() {
    let case = Case::with_pages(2048);
    let change = || chmod(case.path("f"), 0o640);
    slowly(&case, "snap --wait 0 --limit-rate 6M f", change)
        .exits(3)
        .says("its length or times changed while it was read");
    let change = || chmod(case.path("f"), 0o600);
    slowly(&case, "snap --lock --wait 0 --limit-rate 6M --always f", change).exits(3).says("changed while it was read");
    case.ok("snap f").says("proven");
}

/// One change in the middle of a long reading costs another reading, not the grade.
#[test]
fn what_was_written_while_it_was_read_is_read_again() {
    let case = Case::with_pages(2048);
    let mut now = noise(1, 2048 * PAGE);
    now[7 * PAGE..][..3].copy_from_slice(b"new");
    let change = || case.patch("f", 7 * PAGE as u64, b"new");
    slowly(&case, "snap --limit-rate 6M f", change).exits(0).says("proven");
    assert!(case.snapshots() == 1 && case.ok("restore f@1 -o -").bytes == now);
}

/// The file below an overlayfs mount, grown through the mount: truncate(2) breaks no lease of it.
#[test]
fn a_truncation_through_overlayfs_lowers_the_grade() {
    let case = Case::with_pages(2048);
    for dir in ["lower", "upper", "work", "mnt"] {
        std::fs::create_dir(case.path(dir)).unwrap();
    }
    std::fs::rename(case.path("f"), case.path("upper/f")).unwrap();
    let script = "mount -t overlay o -o lowerdir=lower,upperdir=upper,workdir=work mnt && echo mounted && read x && \
                  python3 -c 'import os; os.truncate(\"mnt/f\", 9 << 20)'";
    let mut command = case.command("unshare");
    command.args(["-m", "sh", "-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    if !is_root() || !has("unshare") || !has("python3") {
        return skip("root, unshare and python3 are needed");
    }
    let mut mounted = start(&mut command);
    if mounted.stdout.as_mut().unwrap().read_exact(&mut [0; 8]).is_err() {
        mounted.wait().unwrap();
        return skip("overlayfs cannot be mounted");
    }
    let truncate = || {
        drop(mounted.stdin.take().unwrap().write_all(b"\n"));
        assert!(mounted.wait().unwrap().success());
    };
    slowly(&case, "snap --wait 0 --limit-rate 6M upper/f", truncate).exits(3).says("changed while it was read");
}
