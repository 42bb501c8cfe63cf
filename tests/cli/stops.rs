//! Ctrl-Z: no process waits for the lease of a stopped program.

use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::case::{Case, Ran, noise, signal, start};
use super::util::eventually;

/// Starts the program, and stops it when it has the lease for its scan.
fn stopped(case: &Case, words: &str) -> Child {
    let mut command = case.memsnap(words.split(' '));
    // Of a group of its own: an orphaned group is not stopped by this signal.
    let child = start(command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped()));
    let held = format!(" {} ", child.id());
    let locks = || std::fs::read_to_string("/proc/locks").unwrap();
    eventually(|| locks().lines().any(|line| line.contains("LEASE") && line.contains(&held)));
    signal("TSTP", &child);
    eventually(|| {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        stat.rsplit(')').next().unwrap().starts_with(" T")
    });
    child
}

/// Writes to the file, which must not have to wait, and lets the program go on.
fn write_meanwhile(case: &Case, child: Child, words: &str) -> Ran {
    let began = Instant::now();
    case.patch("f", 0, b"WRITTEN");
    assert!(began.elapsed() < Duration::from_secs(5), "waited {:?}", began.elapsed());
    signal("CONT", &child);
    Ran::of(child.wait_with_output().unwrap(), words.into())
}

#[test]
fn a_snapshot_that_is_stopped_gives_its_lease_back() {
    let case = Case::with_pages(4096);
    let snap = "snap --limit-rate 6M --wait 0 f";
    let child = stopped(&case, snap);
    write_meanwhile(&case, child, snap).exits(3).says("unproven: it was stopped while it was read");
    assert!(case.read("f").starts_with(b"WRITTEN"));
    // No process writes, and the lease is gone all the same.
    let child = stopped(&case, "snap --limit-rate 6M --always f");
    signal("CONT", &child);
    Ran::of(child.wait_with_output().unwrap(), snap.into()).exits(3).says("it was stopped while it was read");
    case.ok("snap f").says("proven");
}

#[test]
fn a_change_that_is_stopped_before_it_writes_ends() {
    let case = Case::with_pages(4096);
    case.ok("snap f");
    case.write("f", &noise(3, 16 << 20));
    let revert = "revert --yes --limit-rate 6M f@1";
    let child = stopped(&case, revert);
    write_meanwhile(&case, child, revert).exits(75).says("memsnap was stopped").says("run it again");
    assert!(case.read("f").starts_with(b"WRITTEN"));
    case.ok("revert --yes f@1");
}
