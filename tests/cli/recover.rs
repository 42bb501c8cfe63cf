//! `recover`: what it says when there is nothing, and when there is.

use super::case::{Case, Ran, finish, program};
use super::trace::{Subject, changed, interrupted, needs_strace, was_killed};

#[test]
fn nothing_to_recover() {
    let case = Case::with_pages(3);
    case.exits("recover --yes f", 2).says("no snapshots");
    case.ok("snap f");
    case.ok("recover --yes f").says("no change was interrupted");
    case.exits("recover --finish --rollback f", 2);
}

#[test]
fn the_three_ways() {
    if !needs_strace() {
        return;
    }
    for (way, whole) in [("", true), ("--finish", true), ("--rollback", true), ("--abandon", false)] {
        let (case, old, new) = interrupted();
        let half = case.read("f");
        assert!(half != old && half != new);
        // Verbs that read say so, and snap refuses.
        case.exits("snap f", 2).says("interrupted").says("recover");
        case.exits("snap --store elsewhere f", 2).says("interrupted");
        case.ok("log f").says("interrupted");
        case.ok("stat f").shows("unfinished").shows("recover");
        case.exits("edit f --at 0 --hex 00", 2).says("is to be finished first").says("`memsnap recover`");
        case.ok("recover -n f").shows("half-written");
        case.exits("recover f", 2).says("--yes");
        assert!(case.read("f") == half, "nothing is written unasked");
        case.run(["recover", "--yes", "f", way].iter().filter(|word| !word.is_empty())).exits(0);
        let now = case.read("f");
        let expected = match way {
            "--rollback" => new,
            "--abandon" => half,
            _ => old,
        };
        assert!(now == expected, "{way}");
        if whole {
            case.ok("undo --yes f");
        }
        case.ok("snap f");
        case.ok("verify");
    }
}

/// A change without undo is finished, and only by who says so; said again, it is the same.
#[test]
fn without_undo_there_is_one_way() {
    if !needs_strace() {
        return;
    }
    let words = "revert --yes --no-undo f@1";
    for n in 1..=4 {
        let (case, old) = changed();
        let fault = format!("signal=SIGKILL:when={n}");
        let ran = Subject::sound().inject(&case, words, "pwrite64", &fault);
        assert!(was_killed(&ran) || n > 3, "{ran:?}");
        if case.stored("/intent").is_empty() {
            continue;
        }
        let (half, stored) = (case.read("f"), case.snapshots());
        for refused in ["recover --yes f", "recover --rollback --yes f", "undo --yes f", "revert --yes f@1"] {
            case.exits(refused, 2).says("without undo").says("--finish").says("--abandon");
        }
        case.exits("snap f", 2).says("interrupted");
        case.ok("recover -n --finish f").shows("final");
        assert!(case.read("f") == half && case.snapshots() == stored);
        case.ok("verify");
        match n {
            1 => case.ok("recover --finish --yes f"),
            2 => case.ok(words),
            _ => {
                case.ok("recover -n --abandon f").shows("f: would be left as it is, and its change forgotten");
                case.ok("recover --abandon --yes f").says("f: left as it is; its interrupted change is forgotten");
                assert!(case.read("f") == half);
                case.ok(words)
            }
        };
        assert!(case.read("f") == old && case.stored("/intent").is_empty());
        assert_eq!(case.snapshots(), stored);
        case.exits("undo --yes f", 2);
        case.ok("snap f");
    }
}

/// A rollback that was killed, wherever it writes, is a rollback still when it is said again.
#[test]
fn a_rollback_that_is_killed_is_said_again() {
    if !needs_strace() {
        return;
    }
    let words = "recover --rollback --yes f";
    for n in 1.. {
        let (case, _, new) = interrupted();
        let ran =
            Subject::sound().inject(&case, words, "pwrite64,fsync,fdatasync", &format!("signal=SIGKILL:when={n}"));
        case.ok(words);
        assert!(case.read("f") == new, "killed at write or sync {n}");
        if !was_killed(&ran) {
            assert!(n > 3, "{ran:?}");
            break;
        }
    }
}

#[test]
fn a_strange_page_needs_to_be_told() {
    if !needs_strace() {
        return;
    }
    let (case, old, _) = interrupted();
    case.touch(6, 999);
    let half = case.read("f");
    let ran = case.exits("recover --yes f", 2).says("neither the old nor the new").says("page 6");
    ["--finish", "--rollback", "--abandon"].iter().for_each(|way| assert!(ran.err.contains(way)));
    case.exits("revert --yes f@1", 2).says("neither");
    assert!(case.read("f") == half);
    case.ok("recover --yes --finish f");
    assert!(case.read("f") == old);
}

/// In either direction, what only the file holds is kept, in a page of the change or in another.
#[test]
fn a_strange_page_is_kept() {
    if !needs_strace() {
        return;
    }
    for way in ["--finish", "--rollback"] {
        for page in [6, 20] {
            let (case, old, new) = interrupted();
            case.touch(page, 999);
            let half = case.read("f");
            let n = case.snapshots() as u64 + 1;
            case.ok(&format!("recover -n {way} f")).says("neither old nor new");
            assert_eq!(case.snapshots() as u64 + 1, n, "a dry run stores nothing");
            case.ok(&format!("recover --yes {way} f")).says(&format!("is saved as @{n}"));
            assert!(case.read("f") == if way == "--finish" { old } else { new });
            case.ok(&format!("restore f@{n} -o out"));
            assert!(case.read("out") == half, "{way}: page {page}");
        }
    }
    let (case, ..) = interrupted();
    let n = case.snapshots();
    case.ok("recover --yes --rollback f");
    assert_eq!(case.snapshots(), n, "nothing strange, nothing to keep");
}

/// With a store elsewhere that is not named, the message says where the record is.
#[test]
fn the_record_is_elsewhere() {
    if !needs_strace() {
        return;
    }
    let (case, ..) = interrupted();
    for words in ["recover --store other f", "diff --store other f", "log --store other f"] {
        case.exits(words, 2).says("was interrupted").says(".memsnap");
    }
}

/// Runs the command that a hint names in backquotes, as a shell would.
fn follow_hint(case: &Case, ran: &Ran) -> Ran {
    let hint = ran.err.split_once("hint:").expect("a hint").1;
    let command = hint.split('`').nth(1).expect("a command in the hint");
    let rest = command.strip_prefix("memsnap ").expect("a command of memsnap");
    let script = format!("{} {rest} --yes", program().display());
    finish(case.command("sh").args(["-c", &script]))
}

/// Its history was removed: nothing can finish the change, and the hint leads out.
#[test]
fn the_record_was_removed() {
    if !needs_strace() {
        return;
    }
    let (case, ..) = interrupted();
    let half = case.read("f");
    std::fs::remove_dir_all(case.path(".memsnap")).unwrap();
    for words in ["snap f", "recover --yes f", "recover --yes --finish f", "diff f /dev/null", "log f"] {
        case.exits(words, 2).says("its record is no longer in").says("recover --abandon");
    }
    case.exits("recover --abandon f", 2).says("--yes");
    case.ok("recover -n --abandon f");
    let ran = case.exits("snap f", 2);
    assert!(!case.path(".memsnap").exists(), "nothing was begun");
    follow_hint(&case, &ran).exits(0);
    assert!(case.read("f") == half);
    case.ok("snap f");
    case.ok("verify");
}

/// A copy takes the change marker along, and its change cannot be finished, whatever becomes of the original.
#[test]
fn a_copy_of_a_half_changed_file() {
    if !needs_strace() {
        return;
    }
    for way in ["", "--finish", "--rollback", "--abandon", "not at all"] {
        let (case, old, _) = interrupted();
        case.write("known", &old);
        case.ok("snap known");
        for copy in ["copy", "known"] {
            finish(case.command("cp").args(["-a", "f", copy])).exits(0);
        }
        if way != "not at all" {
            case.ok(&format!("recover --yes f {way}"));
        }
        for copy in ["copy", "known"] {
            let half = case.read(copy);
            for words in ["snap", "recover --yes", "recover --yes --rollback", "revert --yes"] {
                let ran = case.exits(&format!("{words} {copy}"), 2);
                ran.says("is a copy of a file that was half changed").says("recover --abandon");
            }
            let ran = case.exits(&format!("snap {copy}"), 2);
            follow_hint(&case, &ran).exits(0);
            assert!(case.read(copy) == half, "{way}");
            case.ok(&format!("snap {copy}"));
        }
        if way == "not at all" {
            case.ok("recover --yes f");
        }
        case.ok("verify");
    }
}

/// A half-changed file that was moved, or whose store is another: the hint says where to go.
#[test]
fn a_half_changed_file_that_moved() {
    if !needs_strace() {
        return;
    }
    let (case, old, _) = interrupted();
    std::fs::rename(case.path("f"), case.path("g")).unwrap();
    case.exits("recover --yes g", 2).says("move it back to").says("recover --abandon");
    std::fs::rename(case.path("g"), case.path("f")).unwrap();
    let ran = case.exits("snap --store other f", 2);
    follow_hint(&case, &ran).exits(0);
    assert!(case.read("f") == old);
    case.ok("snap --store other f");
}

#[test]
fn a_signal_is_not_the_end_without_a_word() {
    if !needs_strace() {
        return;
    }
    for (signal, number) in [("INT", 2), ("TERM", 15), ("HUP", 1)] {
        for n in 1.. {
            let (case, old) = changed();
            // Tests that run in the background of a shell may inherit that SIGINT is ignored.
            let mut command = case.command("env");
            command.args(["--default-signal", "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=pwrite64", "-e"]);
            command.arg(format!("inject=pwrite64:signal=SIG{signal}:when={n}")).arg(program());
            let ran = finish(command.args(["revert", "--yes", "f@1"]));
            assert!(ran.signal == Some(number) || ran.code == Some(128 + number), "{ran:?}");
            if case.ok("recover -n f").out.contains("half-written") {
                ran.says("reverting f: interrupted").says("`memsnap recover f`");
                case.ok("recover --yes f");
                assert!(case.read("f") == old);
                break;
            }
        }
    }
}

/// What cannot be brought to its end is not begun.
#[test]
fn a_damaged_end_is_not_gone_to() {
    if !needs_strace() {
        return;
    }
    let (case, _, new) = interrupted();
    let half = case.read("f");
    let pack = case.stored("pack").into_iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    // Frames follow each other: the last of the first snapshot is that of page 30, which the change is to write.
    let len = pack.metadata().unwrap().len();
    (len / 8..len * 7 / 8).step_by(1024).for_each(|at| case.patch(&pack, at, b"flipped"));
    for words in ["recover --yes f", "recover --yes --finish f", "revert --yes f@1"] {
        case.exits(words, 4).says("damaged");
        assert!(case.read("f") == half, "{words}: nothing is written");
    }
    case.ok("recover --yes --rollback f");
    assert!(case.read("f") == new);
}

/// A page outside of the change may hold the work of another program, too.
#[test]
fn other_pages_are_reported() {
    if !needs_strace() {
        return;
    }
    for page in [20, 39] {
        let (case, ..) = interrupted();
        case.touch(page, 999);
        let half = case.read("f");
        for words in ["recover --yes f", "revert --yes f@1", "undo --yes f"] {
            case.exits(words, 2).says(&format!("page {page} ")).says("--rollback");
        }
        assert!(case.read("f") == half);
    }
}
