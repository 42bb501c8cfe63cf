//! What is said fits what was done, and what is proposed helps there.

use super::case::{Case, PAGE, finish_with, no_forks, noise};
use super::util::chmod;

#[test]
fn an_empty_pipe_is_no_damaged_delta() {
    let case = Case::with_pages(3);
    for words in ["delta stat -", "apply --yes f -", "delta invert - -o out"] {
        finish_with(&mut case.memsnap(words.split(' ')), b"").exits(2).says("empty").says("failed");
        finish_with(&mut case.memsnap(words.split(' ')), b"ssh: no\n").exits(2).says("the input is not a delta");
    }
}

#[test]
fn who_had_a_file_open_that_was_not_changed_is_not_told() {
    let case = Case::with_pages(3);
    case.ok("snap f");
    let open = {
        let _alone = no_forks();
        std::fs::OpenOptions::new().write(true).open(case.path("f")).unwrap()
    };
    let ran = case.ok("revert --yes --live f");
    assert!(!ran.err.contains("while it was changed"), "{}", ran.err);
    case.touch(1, 5);
    case.ok("revert --yes --live f").says("while it was changed");
    drop(open);
}

#[test]
fn one_error_where_stdout_is_full() {
    let case = Case::with_pages(3);
    case.ok("snap f");
    case.write("g", b"short");
    for words in ["delta make f g -o -", "restore f@1 -o -"] {
        let ran = case.shell(&format!("\"$M\" {words} >/dev/full")).exits(2);
        assert_eq!(ran.err.matches("memsnap: ").count(), 1, "{}", ran.err);
    }
}

#[test]
fn counts_of_what_was_written() {
    let case = Case::new();
    case.write("f", b"");
    case.set_len("f", 40 * PAGE as u64);
    case.ok("snap f");
    case.write("f", &noise(3, 40 * PAGE));
    case.ok("revert --yes f").says("f: 40 pages made holes, now identical to @1");
    case.ok("undo --yes f").says("f: 40 pages written (160 KiB), now identical to @2");
    // What only becomes shorter.
    case.ok("snap f");
    let long = case.read("f");
    case.write("f", &[&long[..], &vec![0; 3 * PAGE]].concat());
    let ran = case.ok("revert --yes f").says("f: length 172 KiB -> 160 KiB, now identical to @");
    assert!(!ran.err.contains("page"), "{}", ran.err);
    // A copy is written as a whole.
    case.write("g", &noise(3, 20 * PAGE));
    case.ok("delta make f g -o d");
    let ran = case.ok("apply f d -o out").says("out: 80 KiB written");
    assert!(!ran.err.contains("pages"), "{}", ran.err);
}

#[test]
fn a_snapshot_named_with_at_is_named_in_the_report() {
    let case = Case::with_pages(3);
    case.ok("snap f");
    case.ok("restore --at 1 f -o out").says("f@1 -> out");
}

#[test]
fn the_base_that_was_given_is_kept_in_the_hint() {
    let case = Case::with_pages(3);
    case.ok("snap f");
    case.exits("delta make f@1 -o d", 2).says("use f@1 f@now\n");
    case.ok("delta make f@1 f@now -o d");
    case.exits("delta make f -o e", 2).says("use f@1..2, or f@latest f@now");
}

#[test]
fn verbs_that_take_no_snapshot_say_so() {
    let case = Case::with_pages(3);
    case.ok("snap f");
    for words in ["log f@1", "undo --yes f@1", "stat f@1", "edit --yes f@1 --at 0 --hex 00", "recover f@1", "snap f@1"]
    {
        let verb = words.split(' ').next().unwrap();
        case.exits(words, 2).says(&format!("{verb} takes a file, not a snapshot of it: @1")).says("name the file: f");
    }
    case.exits("log g@1", 2).says("there is no file");
    // A file of that name is that file.
    case.write("f@1", b"its own");
    case.ok("stat f@1");
    case.exits("revert f -1", 2).says("`FILE@-1`");
    case.exits("diff f -1", 2).says("`FILE@-1`");
}

#[test]
fn what_no_reference_is() {
    let case = Case::with_pages(3);
    case.ok("snap f");
    case.exits("diff f@~1", 2).says("counted back with -").says("FILE@-1");
    case.exits("diff f@?", 2).says("it is not a number or an id");
    case.write("g", b"g");
    case.ok("snap g");
    case.exits("undo --yes g", 2).says("`memsnap revert g@latest`");
}

#[test]
fn a_command_must_be_executable() {
    let case = Case::with_pages(1);
    case.exits("lock f -- ./f", 69).says("Permission denied").says("chmod +x");
}

#[test]
fn a_mode_that_changed_is_in_the_log() {
    let case = Case::with_pages(1);
    chmod(case.path("f"), 0o644);
    case.ok("snap f");
    chmod(case.path("f"), 0o600);
    case.ok("snap f");
    case.ok("-v log f").shows("  metadata  mode 0644 -> 0600\n");
    case.ok("diff f@1..2").says("f@1 and f@2 have the same content, 4.0 KiB; metadata differs: mode 0644 -> 0600");
    let plain = case.ok("--json diff f@1 f").json().remove(0);
    assert_eq!((&plain["same"], &plain["metadata"][0]["to"]), (&true.into(), &"0600".into()));
    let lines = case.ok("--json log f").json();
    assert_eq!(lines[0]["metadata"].as_array().unwrap().len(), 0);
    assert_eq!((&lines[1]["metadata"][0]["what"], &lines[1]["metadata"][0]["to"]), (&"mode".into(), &"0600".into()));
}

#[test]
fn both_manual_pages_are_printed() {
    let case = Case::new();
    case.ok("man").shows(".TH MEMSNAP 1");
    case.ok("man program").shows(".TH MEMSNAP 1");
    case.ok("man store").shows("memsnap");
    assert_ne!(case.ok("man store").out, case.ok("man").out);
}
