//! Killed (-9) at system calls that change something, and a disk that fails: the target is old, new or recoverable, the
//! store is sound, and the next try succeeds.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use super::case::{Case, PAGE, finish, program};
use super::trace::{changed, needs_strace, was_killed};

/// Calls that change files, or the order in which changes reach the disk.
const CALLS: &str = "write,pwrite64,pwritev,linkat,renameat,renameat2,rename,unlink,unlinkat,mkdir,mkdirat,ftruncate,\
                     fallocate,fsync,fdatasync,fchmod,fchown,fsetxattr,fremovexattr,copy_file_range,flock";
/// Kills for each scenario.
const KILLS: usize = 60;

fn strace(case: &Case, options: &[&str], words: &str) -> Command {
    let mut command = case.command("strace");
    command.args(["-f", "-qq"]).args(options).arg(program()).args(words.split(' '));
    command
}

/// How often each call is made by one thread, at most.
fn calls(case: &Case, words: &str) -> BTreeMap<String, usize> {
    let log = case.path("trace");
    let log_arg = log.to_str().unwrap().to_string();
    finish(&mut strace(case, &["-o", &log_arg, "-e", &format!("trace={CALLS}")], words)).exits(0);
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    for line in fs::read_to_string(&log).unwrap().lines() {
        let Some((pid, call)) = line.split_once(' ') else { continue };
        let name = call.trim_start().split('(').next().unwrap();
        if CALLS.split(',').any(|known| known.trim() == name) && call.contains('(') {
            *counts.entry((pid.into(), name.into())).or_default() += 1;
        }
    }
    let mut most = BTreeMap::new();
    for ((_, name), n) in counts {
        let entry = most.entry(name).or_insert(0);
        *entry = n.max(*entry);
    }
    most
}

/// Runs `words` on fresh copies of what `make` gives, killed at a sample of its calls.
fn killed_everywhere(words: &str, make: &dyn Fn() -> Case) {
    if !needs_strace() {
        return;
    }
    let probe = make();
    let before = probe.read("f");
    let calls = calls(&probe, words);
    let after = probe.read("f");
    let points: Vec<(&str, usize)> =
        calls.iter().flat_map(|(name, n)| (1..=*n).map(move |i| (name.as_str(), i))).collect();
    let step = (points.len() / KILLS).max(1);
    let mut killed = 0;
    for (name, n) in points.iter().step_by(step) {
        let case = make();
        let images = case.snapshots() as u64;
        let kept: Vec<Vec<u8>> = (1..=images).map(|n| case.ok(&format!("restore f@{n} -o -")).bytes).collect();
        let inject = format!("inject={name}:signal=SIGKILL:when={n}");
        let ran =
            finish(&mut strace(&case, &["-o", "/dev/null", "-e", &format!("trace={name}"), "-e", &inject], words));
        assert!(was_killed(&ran), "{words}: not killed at {name} {n}: {ran:?}");
        killed += 1;
        check(&case, words, &format!("{words} killed at {name} {n}"), (&before, &after), &kept);
    }
    eprintln!("{words}: killed at {killed} of {} calls", points.len());
    assert!(killed > 0);
}

fn check(case: &Case, words: &str, what: &str, (before, after): (&[u8], &[u8]), kept: &[Vec<u8>]) {
    let now = case.read("f");
    if now != before && now != after {
        case.run(["recover", "--yes", "f"]).exits(0);
        let now = case.read("f");
        assert!(now == before || now == after, "{what}: recovered to neither");
    }
    if case.path(".memsnap/format").exists() {
        let ran = case.run(["verify"]);
        assert_eq!(ran.code, Some(0), "{what}: {ran:?}");
    }
    for (i, image) in kept.iter().enumerate() {
        let ran = case.run(["restore", &format!("f@{}", i + 1), "-o", "-"]).exits(0);
        assert!(ran.bytes == *image, "{what}: @{} is not what it was", i + 1);
    }
    let retried = case.run(words.split(' '));
    // Where the change had been completed, there is nothing to do again or to undo twice: any verdict but trouble.
    assert!(retried.code == Some(0), "{what}: the next try: {retried:?}");
    if words.starts_with("snap") {
        assert!(case.ok("restore f@latest -o -").bytes == after, "{what}: the snapshot");
    } else if words.starts_with("revert") || words.starts_with("edit") {
        assert!(case.read("f") == after, "{what}: the next try left something else");
    }
    case.ok("verify").shows("all good");
    let litter: Vec<_> = case.stored("").into_iter().filter(|p| p.to_string_lossy().contains("/tmp-")).collect();
    assert!(litter.is_empty(), "{what}: {litter:?}");
}

#[test]
fn the_first_snap() {
    killed_everywhere("snap f", &|| Case::with_pages(40));
}

#[test]
fn a_later_snap() {
    killed_everywhere("snap f", &|| changed().0);
}

#[test]
fn revert() {
    killed_everywhere("revert --yes f@1", &|| {
        let (case, ..) = changed();
        case.set_len("f", 45 * PAGE as u64 + 7);
        case
    });
}

#[test]
fn undo() {
    killed_everywhere("undo --yes f", &|| {
        let (case, ..) = changed();
        case.ok("revert --yes f@1");
        case
    });
}

#[test]
fn edit() {
    killed_everywhere(
        "edit --yes f --at page:3 --text new --at 100000 --zero 9000 --at 500000 --hex ff --grow",
        &|| changed().0,
    );
}

/// An error that fsync reports once is not believed away: the pages it was about are written again.
#[test]
fn a_disk_that_fails() {
    if !needs_strace() {
        return;
    }
    let (case, old) = changed();
    let new = case.read("f");
    let log = case.path("trace");
    // Which fsync is the target's: asked of a run on a copy.
    let (probe, ..) = changed();
    let probe_log = probe.path("trace");
    let options = ["-y", "-o", probe_log.to_str().unwrap(), "-e", "trace=fsync,fdatasync"];
    finish(&mut strace(&probe, &options, "revert --yes f")).exits(0);
    let trace = fs::read_to_string(&probe_log).unwrap();
    let target = format!("<{}>", probe.path("f").canonicalize().unwrap().display());
    let n = trace.lines().filter(|l| l.contains("sync(")).position(|l| l.contains(&target)).expect("no fsync") + 1;
    let name = if trace.contains("fdatasync(") && !trace.contains(" fsync(") { "fdatasync" } else { "fsync" };
    let inject = format!("inject={name}:error=EIO:when={n}");
    let trace = format!("trace={name}");
    let ran = finish(&mut strace(&case, &["-o", "/dev/null", "-e", &trace, "-e", &inject], "revert --yes f"));
    ran.exits(2).says("nput/output error");
    case.ok("log f").says("interrupted");
    case.exits("snap f", 2).says("interrupted");
    // The cache holds the new pages; the disk perhaps not: all are written again.
    assert!(case.read("f") == old);
    let options = ["-y", "-o", log.to_str().unwrap(), "-e", "trace=pwrite64,fsync,fdatasync"];
    finish(&mut strace(&case, &options, "recover --yes f")).exits(0);
    let text = fs::read_to_string(&log).unwrap();
    let target = format!("<{}>", case.path("f").canonicalize().unwrap().display());
    let written = text.lines().filter(|l| l.contains("pwrite64(") && l.contains(&target)).count();
    assert_eq!(written, 4, "four runs of pages:\n{text}");
    assert!(text.lines().any(|l| l.contains("sync(") && l.contains(&target)), "{text}");
    assert!(case.read("f") == old);
    case.ok("undo --yes f");
    assert!(case.read("f") == new);
    case.ok("verify");
}
