//! `memsnap lock` and signals: which are passed on, and what a killed or interrupted lock leaves.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Stdio};

use super::case::{Case, Ran, finish, program, signal, start};
use super::lock::{case, is_free, waiting};
use super::trace::needs_strace;
use super::util::eventually;

/// A lock whose command says `in` when it runs.
fn wrapped(case: &Case, options: &[&str], script: &str) -> Child {
    let script = format!("echo in; {script}");
    let words = ["lock"].into_iter().chain(options.iter().copied()).chain(["f", "sh", "-c", &script]);
    // Who runs the tests in the background of a shell ignores SIGINT, and so would the program.
    let mut command = case.command("env");
    command.arg("--default-signal").arg(program()).args(words);
    let mut child = start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 3]).unwrap();
    child
}

#[test]
fn signals_are_passed_on() {
    for (name, number) in [("TERM", 15), ("INT", 2), ("HUP", 1), ("QUIT", 3), ("USR1", 10), ("USR2", 12)] {
        let case = case();
        // The command has its say: sh runs a trap when what it waits for has ended.
        let script = format!("trap 'echo caught; exit 44' {name}; echo on; while :; do sleep 0.02; done");
        let mut child = wrapped(&case, &[], &script);
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 3]).unwrap();
        signal(name, &child);
        let ran = Ran::of(child.wait_with_output().unwrap(), name.into()).exits(44);
        assert_eq!(ran.out, "caught\n", "{name}");
        // Or dies of it; no one is left behind.
        let child = wrapped(&case, &[], "ulimit -c 0; exec sleep 60");
        signal(name, &child);
        Ran::of(child.wait_with_output().unwrap(), name.into()).exits(128 + number);
        eventually(|| is_free(&case));
    }
}

#[test]
fn a_killed_wrapper_leaves_what_flock_leaves() {
    let case = case();
    // The command goes on, and has the lock as long as it runs.
    let mut child = wrapped(&case, &[], "read end; touch end");
    signal("KILL", &child);
    let stdin = child.stdin.take();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&child.wait().unwrap()), Some(9));
    assert!(!is_free(&case));
    case.exits("lock -vn f true", 1).says("(sh)");
    drop(stdin);
    eventually(|| is_free(&case) && case.path("end").exists());
    // Not handed on: free at once.
    let mut child = wrapped(&case, &["-o"], "read end");
    assert!(!is_free(&case));
    case.exits("lock -vn f true", 1).says("(memsnap)");
    signal("KILL", &child);
    eventually(|| is_free(&case));
    drop(child.stdin.take());
    child.wait().unwrap();
    // While it waits, too.
    let mut holder = wrapped(&case, &[], "read end");
    let mut waiter = start(&mut case.memsnap(["lock", "f", "touch", "no"]));
    eventually(|| waiting(&case) == 1);
    signal("KILL", &waiter);
    waiter.wait().unwrap();
    eventually(|| waiting(&case) == 0);
    drop(holder.stdin.take());
    holder.wait().unwrap();
    assert!(is_free(&case) && !Path::new(&case.path("no")).exists());
}

#[test]
fn descendants_keep_it() {
    let case = case();
    // sh gives a background process no stdin of ours: hold it by a FIFO.
    finish(case.command("mkfifo").arg("p")).exits(0);
    let ran = case.run(["lock", "f", "-c", "sh -c 'read end <p' >/dev/null 2>&1 & exit 5"]).exits(5);
    assert_eq!(ran.out, "");
    case.exits("lock -vn f true", 1).says("(sh)");
    case.write("p", b"end\n");
    eventually(|| is_free(&case));
    case.exits("lock -o f -c", 64);
    case.run(["lock", "-o", "f", "-c", "sh -c 'read end <p' >/dev/null 2>&1 & exit 5"]).exits(5);
    assert!(is_free(&case));
    case.write("p", b"end\n");
}

#[test]
fn an_interrupted_call_is_no_conflict() {
    if !needs_strace() {
        return;
    }
    let case = Case::new();
    let mut command = case.command("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "inject=flock:error=EINTR:when=1..5"]);
    finish(command.arg(program()).args(["lock", "-n", "f", "true"])).exits(0);
}
