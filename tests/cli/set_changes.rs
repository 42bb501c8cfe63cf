//! Changes of several files: reverts of sets, their undo and their recovery, all or nothing.

use std::fs;

use super::case::{Case, PAGE, noise};
use super::trace::{Subject, needs_strace, was_killed};

const NAMES: [&str; 3] = ["a", "b", "c"];

fn state(case: &Case) -> Vec<Option<Vec<u8>>> {
    NAMES.iter().map(|name| fs::read(case.path(name)).ok()).collect()
}

/// A set of three files; then one has changed, one is gone, and another is there.
#[allow(clippy::type_complexity, reason = "the states of three files, before and after")]
fn changed() -> (Case, Vec<Option<Vec<u8>>>, Vec<Option<Vec<u8>>>) {
    let case = Case::new();
    for (seed, name) in NAMES.iter().enumerate() {
        case.write(name, &noise(seed as u64 + 1, 20 * PAGE + seed));
    }
    case.ok("snap --set a b c");
    let then = state(&case);
    let mut bytes = case.read("a");
    bytes[3 * PAGE..5 * PAGE].fill(7);
    bytes.truncate(15 * PAGE + 3);
    fs::write(case.path("a"), bytes).unwrap();
    fs::remove_file(case.path("b")).unwrap();
    case.write("d", b"not in the set");
    let now = state(&case);
    (case, then, now)
}

#[test]
fn a_set_is_reverted_and_undone_as_one() {
    let (case, then, now) = changed();
    case.ok("revert -n set:latest").shows("/a: from now to @1").shows("/b: made");
    assert!(state(&case) == now, "a plan changes nothing");
    case.ok("revert --yes set:latest").says("1 file made").says("`memsnap undo set:");
    assert!(state(&case) == then);
    assert!(case.read("d") == b"not in the set");
    case.ok("revert --yes set:latest").says("nothing to write");
    // Whichever is named; one that was made is removed again.
    case.ok("undo --yes a").says("1 file removed");
    assert!(state(&case) == now);
    case.ok("undo --yes b");
    assert!(state(&case) == then);
    case.ok("undo --yes set:latest");
    assert!(state(&case) == now);
    case.ok("revert --yes set:latest b");
    assert!(state(&case) == [now[0].clone(), then[1].clone(), then[2].clone()]);
    case.exits("revert --yes set:latest d", 2).says("has no file");
    case.ok("verify");
    let records = || fs::read_dir(case.path(".memsnap/sets")).unwrap().flatten();
    let undo = records().filter(|entry| entry.path().extension().is_some_and(|end| end == "undo")).count();
    assert!((1..=2).contains(&undo), "records that nothing needs are removed: {undo}");
}

#[test]
fn files_that_a_directory_has_got_since_stay_and_are_named() {
    let case = Case::new();
    fs::create_dir(case.path("dir")).unwrap();
    case.write("dir/a", &noise(1, 3 * PAGE));
    case.write("dir/b", &noise(2, 3 * PAGE));
    case.ok("snap dir");
    case.write("dir/a", &noise(3, 2 * PAGE));
    case.write("dir/new", b"new");
    case.ok("--store dir/.memsnap revert --yes set:latest").says("stay as they are: new");
    assert!(case.read("dir/a") == noise(1, 3 * PAGE) && case.read("dir/new") == b"new");
}

#[test]
fn the_report_lists_every_file() {
    let (case, ..) = changed();
    let report = case.ok("--json revert --yes set:latest").json().remove(0);
    let members = report["members"].as_array().unwrap();
    let fates: Vec<_> = members.iter().map(|member| member["fate"].as_str().unwrap()).collect();
    assert_eq!(fates, ["made", "stays", "stays"]);
    assert!(members[1]["undo_number"].is_number() && members[2]["pages"] == 0, "{members:?}");
    assert_eq!(report["done"], true);
}

/// What keeps one file from being changed keeps all.
#[test]
fn one_file_in_use_keeps_all_as_they_are() {
    let (case, _, now) = changed();
    let open = fs::File::options().write(true).open(case.path("c")).unwrap();
    case.exits("revert --yes set:latest", 75).says("/c is busy");
    assert!(state(&case) == now);
    assert!(case.stored("/intent").is_empty());
    drop(open);
    case.ok("revert --yes set:latest");
    let mut bytes = case.read("b");
    bytes[9] ^= 1;
    fs::write(case.path("b"), &bytes).unwrap();
    let then = state(&case);
    case.exits("undo --yes a", 5).says("/b is not the expected base");
    assert!(state(&case) == then);
    case.ok("undo --yes --force a");
    assert!(state(&case) == now);
}

/// Killed anywhere, all are refused until they are recovered, by any of them.
#[test]
fn an_interrupted_change_is_that_of_all() {
    if !needs_strace() {
        return;
    }
    let mut between = 0;
    for nth in 1.. {
        let (case, then, now) = changed();
        let ran = Subject::sound().inject(
            &case,
            "revert --yes set:latest",
            "pwrite64",
            &format!("signal=SIGKILL:when={nth}"),
        );
        if !was_killed(&ran) {
            break;
        }
        let held = state(&case);
        if held == then || held == now {
            continue;
        }
        between += 1;
        assert!(held[1] == then[1], "files that are made come first");
        case.exits("snap a", 2).says("interrupted").says("memsnap recover");
        case.exits("revert --yes a@1", 2).says("interrupted");
        case.exits("undo --yes b", 2).says("interrupted");
        case.ok("recover -n a");
        match between % 3 {
            0 => case.ok("recover --yes b"),
            1 => case.ok("recover --yes --finish set:latest"),
            _ => case.ok("recover --yes --rollback a"),
        };
        assert!(state(&case) == if between % 3 == 2 { now } else { then }, "{nth}");
        case.ok("recover --yes a").says("no change was interrupted");
        case.ok("verify");
        let ran = case.run(["undo", "--yes", "a"]);
        assert_eq!(ran.code, Some(0), "{nth}, {between}: {ran:?}");
    }
    assert!(between > 0, "no kill fell between the files");
}
