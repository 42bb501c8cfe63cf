//! `diff`: which pages differ, in every mix of live files and snapshots.

use super::case::{Case, PAGE};
use super::trace::needs_strace;
use super::view::reads;

fn history() -> Case {
    let case = Case::with_pages(40);
    case.ok("snap f");
    [2, 3, 4, 20].iter().for_each(|page| case.touch(*page, page + 7));
    case.ok("snap f");
    case.touch(39, 5);
    case
}

fn pages(case: &Case, words: &str, code: i32) -> Vec<u64> {
    case.exits(&format!("diff --pages {words}"), code).out.lines().map(|line| line.parse().unwrap()).collect()
}

#[test]
fn all_mixes() {
    let case = history();
    std::fs::copy(case.path("f"), case.path("copy")).unwrap();
    assert_eq!(pages(&case, "f", 1), [39]);
    assert_eq!(pages(&case, "f@1", 1), [2, 3, 4, 20, 39]);
    assert_eq!(pages(&case, "f@1..2", 1), [2, 3, 4, 20]);
    assert_eq!(pages(&case, "f@2..1", 1), [2, 3, 4, 20]);
    assert_eq!(pages(&case, "f@-1 f@latest", 1), [2, 3, 4, 20]);
    assert_eq!(pages(&case, "f@now f@1", 1), [2, 3, 4, 20, 39]);
    assert_eq!(pages(&case, "f --at 1 --at 2", 1), [2, 3, 4, 20]);
    assert_eq!(pages(&case, "copy f@2", 1), [39]);
    assert_eq!(pages(&case, "f copy", 0), [0; 0]);
    assert_eq!(pages(&case, "f@2..2", 0), [0; 0]);
}

#[test]
fn ranges_with_offsets_and_a_summary() {
    let case = history();
    let ran = case.exits("diff f@1..2", 1);
    let lines: Vec<_> = ran.out.lines().collect();
    assert_eq!(lines.len(), 3, "{}", ran.out);
    assert!(lines[0].contains("2..5") && lines[0].contains("0x2000..0x5000") && lines[0].contains("12 KiB"));
    assert!(lines[2].contains("4 pages in 2 ranges"));
    assert_eq!(case.exits("diff --stat f@1..2", 1).out.lines().count(), 1);
    let json = case.exits("diff --json f@1..2", 1).json();
    assert_eq!(json.len(), 3);
    assert_eq!((json[0]["first_page"].as_u64(), json[0]["end"].as_u64()), (Some(2), Some(5 * PAGE as u64)));
    assert_eq!((json[2]["pages_changed"].as_u64(), json[2]["same"].as_bool()), (Some(4), Some(false)));
}

#[test]
fn plain_files_need_no_store() {
    let case = Case::new();
    case.write("a", &[1; 3 * PAGE]);
    case.write("b", &[1; 3 * PAGE + 1]);
    assert_eq!(pages(&case, "a b", 1), [3]);
    let row = case.exits("diff a b", 1).out;
    assert!(row.lines().next().unwrap().ends_with(" 1 B"), "only what the longer file has: {row}");
    assert!(row.ends_with("a -> b: 1 page in 1 range differs (1 B), length 12 KiB + 1 B\n"), "{row}");
    case.write("b", &[&[1; 3 * PAGE][..], &[0]].concat());
    case.exits("diff a b", 1)
        .shows("a -> b: ")
        .shows("a -> b: 0 pages in 0 ranges differ (0 B), length 12 KiB + 1 B\n");
    case.exits("diff --bytes a b", 1).shows("length 12288 B -> 12289 B\n");
    case.exits("diff a b@now", 1).shows("a -> b: ");
    case.exits("diff a a", 0).says("a and a are the same");
    case.exits("diff a a", 0);
    case.exits("diff a missing", 2).says("missing");
    assert!(!case.path(".memsnap").exists());
}

#[test]
fn columns_are_kept_in_files_of_any_size() {
    let case = Case::new();
    for name in ["a", "b"] {
        case.write(name, b"");
        case.set_len(name, 1 << 40);
    }
    [0, 5 << 12, 1 << 32, (1 << 40) - 1].iter().for_each(|at| case.patch("b", *at, b"x"));
    let out = case.exits("diff a b", 1).out;
    let lines: Vec<&str> = out.lines().filter(|line| line.starts_with("page ")).collect();
    assert_eq!(lines.len(), 4, "{out}");
    let column = |line: &str| line.find("0x");
    assert!(lines.iter().all(|line| column(line) == column(lines[0]) && line.len() == lines[0].len()), "{out}");
    assert!(lines[0].len() <= 80, "{out}");
}

#[test]
fn readers_see_the_same() {
    let case = history();
    for io in ["map", "pread", "auto"] {
        assert_eq!(pages(&case, &format!("--io {io} f@1"), 1), [2, 3, 4, 20, 39]);
    }
    std::fs::remove_file(case.history().join("digests")).unwrap();
    assert_eq!(pages(&case, "f@1", 1), [2, 3, 4, 20, 39], "without the cache");
}

#[test]
fn lengths_count() {
    let case = Case::with_pages(4);
    case.ok("snap f");
    case.set_len("f", 100 * PAGE as u64);
    case.exits("diff f", 1).shows("length");
    case.set_len("f", 10);
    assert_eq!(pages(&case, "f", 1), [0, 1, 2, 3]);
}

#[test]
fn what_names_nothing() {
    let case = history();
    for what in ["f@9", "f@-7", "f@nope", "f@0", "f@ab", "f@1..9", "g@1"] {
        let ran = case.run(["diff", what]).exits(2);
        assert!(ran.err.lines().count() >= 1 && !ran.err.is_empty());
    }
}

#[test]
fn what_is_wrong_with_a_name_is_said() {
    let case = history();
    for words in ["diff f@", "revert f@", "restore f@ -o x", "verify f@"] {
        case.exits(words, 2).says("it is empty");
    }
    for words in ["diff f@1..", "diff f@..2", "diff f@..", "revert f@1..", "diff f@1 f@..2"] {
        case.exits(words, 2).says("one end of the range A..B is missing");
    }
    for words in ["revert f@1..2", "diff f@1 f@1..2", "diff f --at 1..2", "verify f@1..2", "restore f@1..2 -o x"] {
        case.exits(words, 2).says("a range A..B is not possible here");
    }
}

#[test]
fn a_file_with_an_at_in_its_name() {
    let case = history();
    case.write("f@1", b"another file");
    case.exits("diff f@1", 1).says("using snapshot @1 of f; for the file f@1, add --at latest");
    case.exits("diff f@1 f", 1).says("--at now");
    case.ok("snap f@1 --json");
    case.ok("verify f@1").says("--at latest");
    case.ok("restore f@1 -o out").says("--at latest");
    case.ok("verify f@1 --at latest");
    case.exits("revert --yes f@1", 2).says("is ambiguous").says("`f@1 --at latest` for the file");
    case.ok("revert --yes f --at 1");
}

/// However its bytes are shown, what is stored is read once.
#[test]
fn rows_are_not_read_one_by_one() {
    if !needs_strace() {
        return;
    }
    let case = Case::with_pages(40);
    case.ok("snap f");
    (0..40).for_each(|page| case.touch(page, page + 50));
    for words in ["diff --hex f@1", "diff --hex -U 2 f@1", "diff --as u8 f@1", "diff --unit byte f@1"] {
        let (calls, bytes) = reads(&case, words, 1);
        assert!(calls < 300 && bytes < 1 << 20, "{words}: {calls} calls, {bytes} bytes");
    }
}
