//! `log`: the list of snapshots, for people and for programs.

use super::case::{Case, PAGE};

#[test]
fn a_table_with_the_newest_last() {
    let case = Case::with_pages(10);
    case.ok("snap -m one f");
    case.touch(3, 9);
    case.ok("snap -m two --tag gold f");
    let ran = case.ok("log f");
    let lines: Vec<_> = ran.out.lines().collect();
    assert_eq!(lines.len(), 3, "{}", ran.out);
    assert!(lines[1].contains("one") && lines[2].contains("two") && lines[2].contains("[gold]"));
}

#[test]
fn one_block_for_each_snapshot_with_v() {
    let case = Case::with_pages(10);
    let id = case.ok("snap -m one f").out;
    case.touch(3, 9);
    case.ok("snap -m two --tag gold f");
    let ran = case.ok("-v log f");
    let ran =
        ran.shows(&format!("snapshot 1  {id}")).shows("  changed   10 pages, ").shows("\n\n    one\n\nsnapshot 2  ");
    let ran = ran.shows(&format!("  parent    {id}")).shows("  changed   1 page, ").shows("  tags      gold\n");
    assert!(ran.out.lines().all(|line| line.len() <= 80 || line.starts_with("  grade")), "{}", ran.out);
}

#[test]
fn wide_and_combining_characters_shift_no_column() {
    let case = Case::with_pages(1);
    case.run(["snap", "--tag", "\u{6f22}\u{5b57}", "-m", "e\u{301}t\u{e9}", "f"]).says("f@1");
    case.ok("log f").shows("[\u{6f22}\u{5b57}] e\u{301}t\u{e9}\n");
    case.write("\u{6f22}\u{5b57}.bin", b"x");
    let out = case.ok("stat -o file,length f \u{6f22}\u{5b57}.bin").out;
    assert_eq!(out, "FILE       LENGTH\nf         4.0 KiB\n\u{6f22}\u{5b57}.bin      1 B\n");
}

#[test]
fn lines_of_json() {
    let case = Case::with_pages(10);
    let id = case.ok("snap -m one f").out;
    case.touch(3, 9);
    case.ok("snap f");
    let lines = case.ok("log --json f").json();
    assert_eq!(lines.len(), 2);
    assert_eq!((lines[0]["number"].as_u64(), lines[0]["id"].as_str()), (Some(1), Some(id.trim())));
    assert_eq!((lines[1]["parent"].as_str(), lines[1]["pages_changed"].as_u64()), (Some(id.trim()), Some(1)));
    assert_eq!(lines[0]["message"], "one");
    assert_eq!(lines[0]["len"], 10 * PAGE);
}

/// The first snapshot changed the bytes that it has, and none behind them in its last page.
#[test]
fn a_range_behind_the_first_snapshot() {
    let case = Case::new();
    case.write("f", &[7; 100]);
    case.ok("snap f");
    case.write("f", &[7; 3000]);
    case.ok("snap f");
    for (range, expected) in
        [("99..100", &[1][..]), ("99..101", &[1, 2]), ("100..", &[2]), ("100+1", &[2]), ("3000..", &[]), ("4k..", &[])]
    {
        let numbers: Vec<_> = case.ok(&format!("log --json f --range {range}")).json();
        let numbers: Vec<_> = numbers.iter().map(|line| line["number"].as_u64().unwrap()).collect();
        assert_eq!(numbers, expected, "{range}");
    }
}

#[test]
fn only_what_changed_a_range() {
    let case = Case::with_pages(10);
    case.ok("snap f");
    case.touch(3, 9);
    case.ok("snap f");
    case.touch(5, 9);
    case.ok("snap f");
    let numbers = |range: &str| -> Vec<u64> {
        let ran = case.ok(&format!("log --json f --range {range}"));
        ran.json().iter().map(|line| line["number"].as_u64().unwrap()).collect()
    };
    assert_eq!(numbers("page:3"), [1, 2]);
    assert_eq!(numbers("page:5"), [1, 3]);
    assert_eq!(numbers("page:7"), [1]);
    assert_eq!(numbers("page:3..6"), [1, 2, 3]);
    // By byte, not by page: within a page, across two, and to a byte that became what it was.
    case.patch("f", 7 * PAGE as u64 + 100, b"xy");
    case.ok("snap f");
    case.patch("f", 7 * PAGE as u64 + 200, b"z");
    case.patch("f", 8 * PAGE as u64, b"z");
    case.ok("snap f");
    assert_eq!(numbers("28672+1"), [1]);
    assert_eq!(numbers("28772+1"), [1, 4]);
    assert_eq!(numbers("28771+1"), [1]);
    assert_eq!(numbers("28774+98"), [1]);
    assert_eq!(numbers("28774+99"), [1, 5]);
    assert_eq!(numbers("28773..32769"), [1, 4, 5]);
    assert_eq!(numbers("28873..32768"), [1]);
    assert_eq!(numbers("28873..32769"), [1, 5]);
    assert_eq!(numbers("page:7"), [1, 4, 5]);
    // A file that became longer: its new bytes, and no others.
    case.set_len("f", 10 * PAGE as u64 + 10);
    case.ok("snap f");
    assert_eq!(numbers("40960+1"), [6]);
    assert_eq!(numbers("40959+1"), [1]);
    assert_eq!(numbers("40959+2"), [1, 6]);
    assert_eq!(numbers("40970+1"), [0; 0]);
}

#[test]
fn undo_snapshots_are_marked() {
    let case = Case::with_pages(10);
    case.ok("snap f");
    case.touch(3, 9);
    case.ok("revert --yes f");
    case.ok("log f").shows("(undo)");
    let lines = case.ok("log --json f").json();
    assert_eq!((lines[0]["automatic"].as_bool(), lines[1]["automatic"].as_bool()), (Some(false), Some(true)));
}

#[test]
fn without_a_file_the_store_of_this_directory() {
    let case = Case::with_pages(3);
    case.write("g", b"g");
    case.ok("snap f g");
    case.ok("log").shows("f\n").shows("g\n");
    assert_eq!(case.ok("log --json").json().len(), 2);
    std::fs::remove_file(case.path("f")).unwrap();
    case.ok("log f").shows("1");
}

#[test]
fn nothing_to_list() {
    let case = Case::with_pages(3);
    case.exits("log f", 2).says("no snapshots");
    case.exits("log", 2).says("no store");
}

/// A file of which a snapshot failed has a history, and nothing in it.
#[test]
fn histories_without_snapshots_are_not_files() {
    let case = Case::with_pages(3);
    case.ok("snap f");
    case.write("g", b"g");
    case.ok("snap g");
    let history = case.ok("log --json g").json()[0]["id"].as_str().unwrap().to_string();
    for dir in std::fs::read_dir(case.path(".memsnap")).unwrap().map(|entry| entry.unwrap().path()) {
        let files = || std::fs::read_dir(&dir).into_iter().flatten().map(|file| file.unwrap().path());
        if files().any(|file| file.to_string_lossy().contains(&history)) {
            let kept = [".snap", ".pack", "digests"];
            files()
                .filter(|f| kept.iter().any(|k| f.to_string_lossy().ends_with(k)))
                .for_each(|f| std::fs::remove_file(f).unwrap());
        }
    }
    let ran = case.ok("log").shows("f\n");
    assert!(!ran.out.contains("g\n"), "{}", ran.out);
    case.ok("verify").shows("1 snapshot of 1 file:");
    let ran = case.ok("log --range 1M..2M").says("no snapshot changed this range");
    assert_eq!(ran.out, "");
    assert_eq!(case.ok("log f --range 1M..2M").says("no snapshot changed this range").out, "");
}

/// The longest message there is, and one that grows as it is escaped.
#[test]
fn long_messages() {
    let case = Case::with_pages(1);
    for message in ["m".repeat(65_536), "\u{1}".repeat(65_536)] {
        case.run(["snap", "--always", "-q", "-m", &message, "f"]).exits(0);
    }
    for words in ["log", "log f", "log -v f"] {
        case.ok(words).shows(&"m".repeat(65_536));
    }
    case.run(["snap", "--always", "-m", &"m".repeat(65_537), "f"]).exits(2).says("64 KiB");
}
