//! Several of us at once on one target.

use std::process::Stdio;
use std::thread;

use super::case::{Case, Ran, finish, start};
use super::trace::{Subject, needs_strace};

#[test]
fn snapping_and_reverting_at_once() {
    let case = Case::with_pages(60);
    case.ok("snap f");
    case.touch(5, 5);
    case.ok("snap f");
    let loops = ["snap --always f", "revert --yes f@1", "revert --yes f@2", "snap --require none f"];
    let total: usize = thread::scope(|scope| {
        let run = |words: &'static str| {
            let case = &case;
            scope.spawn(move || {
                let mut busy = 0;
                for round in 0..8 {
                    let mut command = case.memsnap(words.split(' '));
                    command.args(if round % 2 == 0 { ["--wait", "0"] } else { ["--wait", "5"] });
                    command.stdout(Stdio::piped()).stderr(Stdio::piped());
                    let ran = Ran::of(start(&mut command).wait_with_output().unwrap(), words.into());
                    match ran.code {
                        Some(0) => {}
                        Some(75) => busy += 1,
                        // A revert had it open while it was read.
                        Some(3) if words.starts_with("snap") && ran.err.contains("unproven") => {}
                        // A revert that cuts or replaces is seen as what it is.
                        _ => panic!("{ran:?}"),
                    }
                }
                busy
            })
        };
        let threads: Vec<_> = loops.into_iter().map(run).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(total < 32, "all were busy");
    case.ok("verify").shows("all good");
    let now = case.read("f");
    let known = |number: u64| case.ok(&format!("restore f@{number} -o -")).bytes;
    assert!(now == known(1) || now == known(2), "the target is a mixture");
    case.ok("snap f");
}

#[test]
fn first_snapshots_at_once() {
    let case = Case::with_pages(20);
    let all: Vec<Ran> = thread::scope(|scope| {
        let run = || {
            let mut command = case.memsnap(["snap", "f"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            Ran::of(start(&mut command).wait_with_output().unwrap(), "snap".into())
        };
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for ran in all {
        assert!(matches!(ran.code, Some(0 | 75)), "{ran:?}");
    }
    assert_eq!(case.snapshots(), 1, "the same image is kept once");
    case.ok("verify").shows("all good");
}

/// A record that goes between two looks, as when another memsnap ends its change, is none.
#[test]
fn records_that_are_gone_by_the_next_look() {
    if !needs_strace() {
        return;
    }
    let case = Case::with_pages(4);
    case.ok("snap f --tag one");
    case.touch(2, 9);
    case.ok("revert --yes f");
    for (name, words, said) in [("undo", "undo --yes f", "undo"), ("names/tag-one", "diff f@one", "one")] {
        let path = case.history().join(name);
        let options = ["-o", "/dev/null", "-P", path.to_str().unwrap(), "-e", "trace=openat2,openat"];
        let fault = ["-e", "inject=openat2,openat:error=ENOENT"];
        let ran = finish(&mut Subject::sound().strace(&case, &[&options[..], &fault].concat(), words));
        let ran = ran.exits(2).says(said);
        assert!(!ran.err.contains("No such file"), "{}", ran.err);
    }
}
