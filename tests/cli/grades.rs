//! How far a snapshot is proven to be of one moment.
#![allow(unsafe_code, reason = "a writable map is what is tested")]

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::process::{Child, Stdio};

use memmap2::MmapMut;

use super::case::{Case, PAGE, finish, has, no_forks, program, skip, start};

fn grade(case: &Case, words: &str, code: i32) -> String {
    case.exits(&format!("snap --json --always {words} f"), code).json()[0]["grade"].as_str().unwrap().into()
}

fn writer(case: &Case) -> File {
    OpenOptions::new().read(true).write(true).open(case.path("f")).unwrap()
}

fn mapped(case: &Case) -> MmapMut {
    let _alone = no_forks();
    // SAFETY: nobody cuts the file while the map lives.
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
fn proven_when_nobody_writes() {
    let case = Case::with_pages(5);
    assert_eq!(grade(&case, "--require proven", 0), "proven");
    let reader = File::open(case.path("f")).unwrap();
    assert_eq!(grade(&case, "--require proven", 0), "proven");
    drop(reader);
}

#[test]
fn an_open_writer_is_named() {
    let case = Case::with_pages(5);
    let open = writer(&case);
    let pid = format!("({})", std::process::id());
    case.exits("snap f", 3).says("unproven").says("open for writing by").says(&pid).says("kept and marked");
    assert_eq!(case.snapshots(), 1);
    case.exits("snap --require proven --strict --always f", 3).says("not kept");
    assert_eq!(case.snapshots(), 1);
    assert_eq!(grade(&case, "--require none", 0), "unproven");
    drop(open);
    // A better grade of the same bytes is worth a snapshot.
    let before = case.snapshots();
    case.ok("snap f").says("proven");
    assert_eq!(case.snapshots(), before + 1);
    case.ok("snap f").says("unchanged");
}

#[test]
fn one_mapped_for_writing_is_never_proven() {
    let case = Case::with_pages(5);
    let map = mapped(&case);
    let ran = case.exits("snap f", 3).says("mapped for writing by");
    assert!(ran.err.contains(&std::process::id().to_string()));
    drop(map);
    case.ok("snap --always f").says("proven");
}

#[test]
fn a_writer_through_a_map_is_caught_though_mtime_stays() {
    let case = Case::with_pages(50);
    let mut map = mapped(&case);
    map[7 * PAGE] ^= 1;
    case.exits("snap f", 3);
    let before = case.path("f").metadata().unwrap().modified().unwrap();
    map[7 * PAGE + 1] ^= 1;
    // The page was dirty already, so mtime stays; where it was written back in between, it is put back.
    if case.path("f").metadata().unwrap().modified().unwrap() != before {
        writer(&case).set_times(std::fs::FileTimes::new().set_modified(before)).unwrap();
    }
    assert_eq!(case.path("f").metadata().unwrap().modified().unwrap(), before);
    assert_eq!(case.exits("diff --pages f", 1).out, "7\n");
    case.exits("snap f", 3).says("1 page changed");
    assert!(case.ok("restore f@2 -o -").bytes[..] == map[..]);
}

#[test]
fn under_its_lock_it_is_claimed() {
    let case = Case::with_pages(5);
    let open = writer(&case);
    assert_eq!(grade(&case, "--lock", 0), "claimed");
    assert_eq!(grade(&case, "--lock --require proven", 3), "claimed");
    drop(open);
    assert_eq!(grade(&case, "--lock", 0), "proven");
}

#[test]
fn a_lock_of_somebody_else_is_busy() {
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
    for suffix in ["-wal", "-journal"] {
        let case = Case::with_pages(5);
        let log = format!("f{suffix}");
        case.write(&log, b"");
        case.ok("snap f");
        case.touch(1, 1);
        case.write(&log, b"not empty");
        case.exits("snap f", 3).says(&log).says(if suffix == "-wal" { "checkpoint" } else { "roll it back" });
        let now = case.read("f");
        case.exits("revert --yes f@1", 2).says(&log).says("--force");
        assert!(case.read("f") == now);
        case.ok("revert --yes --force f@1");
        std::fs::remove_file(case.path(&log)).unwrap();
        case.ok("undo --yes f");
        assert!(case.read("f") == now);
    }
}
