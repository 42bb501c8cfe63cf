//! A number is given to one snapshot and to no other, whatever becomes of that one.

use std::fs;
use std::path::PathBuf;

use super::case::Case;

fn three() -> Case {
    let case = Case::with_pages(8);
    for n in 0..3 {
        case.touch(n, n + 10);
        case.ok("snap f");
    }
    case
}

/// The records in the history, by name.
fn records(case: &Case) -> Vec<String> {
    let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_string();
    case.stored("").into_iter().map(name).filter(|name| name.starts_with("next-")).collect()
}

/// The numbers of all snapshots.
fn numbers(case: &Case) -> Vec<u64> {
    let number = |path: PathBuf| path.file_name().unwrap().to_str().unwrap()[..8].parse().unwrap();
    case.stored(".snap").into_iter().map(number).collect()
}

#[test]
fn the_number_of_one_that_is_gone_does_not_come_again() {
    let case = three();
    assert_eq!(records(&case), ["next-00000004"]);
    fs::remove_file(case.stored(".snap").remove(2)).unwrap();
    case.ok("verify").says("snapshots are missing, by number: 3");
    case.touch(5, 50);
    case.ok("snap f");
    assert_eq!((numbers(&case), records(&case)), (vec![1, 2, 4], vec!["next-00000005".to_string()]));
    // Not even when none is left.
    case.stored(".snap").iter().for_each(|path| fs::remove_file(path).unwrap());
    case.ok("snap f");
    assert_eq!(numbers(&case), [5]);
}

#[test]
fn a_record_that_is_lost_or_behind_is_made_again() {
    for change in [None, Some("next-00000001"), Some("next-00000003")] {
        let case = three();
        let record = case.history().join("next-00000004");
        match change {
            None => fs::remove_file(record).unwrap(),
            Some(behind) => fs::rename(record, case.history().join(behind)).unwrap(),
        }
        assert!(!case.ok("verify").err.contains("missing"));
        case.touch(5, 50);
        case.ok("snap f");
        assert_eq!((numbers(&case), records(&case)), (vec![1, 2, 3, 4], vec!["next-00000005".to_string()]));
    }
}

/// Whatever has such a name, only the name counts; the highest of several.
#[test]
fn records_of_other_kinds() {
    let case = three();
    let history = case.history();
    case.write("victim", b"precious");
    fs::remove_file(history.join("next-00000004")).unwrap();
    std::os::unix::fs::symlink(case.path("victim"), history.join("next-00000007")).unwrap();
    fs::write(history.join("next-00000006"), b"something").unwrap();
    fs::write(history.join("next-9"), b"").unwrap();
    case.ok("verify").says("snapshots are missing, by number: 4..7");
    case.touch(5, 50);
    case.ok("snap f");
    assert_eq!(numbers(&case), [1, 2, 3, 7]);
    assert_eq!(records(&case), ["next-00000006", "next-00000008", "next-9"]);
    assert_eq!(case.read("victim"), b"precious");
    fs::remove_file(history.join("next-00000008")).unwrap();
    case.touch(6, 60);
    case.ok("snap f");
    assert_eq!(
        (numbers(&case), records(&case)),
        (vec![1, 2, 3, 7, 8], vec!["next-00000009".into(), "next-9".to_string()])
    );
}

#[test]
fn the_last_number() {
    let case = three();
    let last = 1_000_000_000_000_000u64;
    let record = |n: u64| case.history().join(format!("next-{n:08}"));
    fs::rename(record(4), record(last)).unwrap();
    case.touch(5, 50);
    case.ok("snap f");
    case.touch(6, 60);
    case.exits("snap f", 2).says("there is no higher one");
    assert_eq!(case.snapshots(), 4);
}

#[test]
fn a_history_that_is_adopted_keeps_its_numbers() {
    let case = three();
    fs::remove_file(case.stored(".snap").remove(2)).unwrap();
    fs::rename(case.path("f"), case.path("g")).unwrap();
    case.ok("adopt --yes f g");
    case.patch("g", 0, b"other");
    case.ok("snap g");
    assert_eq!(numbers(&case), [1, 2, 4]);
}
