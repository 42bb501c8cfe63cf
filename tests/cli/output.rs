//! Output that cannot be written, and output for programs.

use std::fs::OpenOptions;
use std::process::Stdio;

use super::case::{Case, PAGE, finish, json_lines, program, start};

fn history() -> Case {
    let case = Case::with_pages(600);
    case.ok("snap f");
    // Every other page: many ranges, so that there is much to say.
    (0..300).for_each(|page| case.patch("f", page * 2 * PAGE as u64, &[page as u8]));
    case
}

#[test]
fn a_closed_pipe_never_changes_the_verdict() {
    let case = history();
    for (words, code) in
        [("diff --pages f", 1), ("log f", 0), ("view f", 0), ("snap f", 0), ("--help", 0), ("man", 0), ("verify", 0)]
    {
        let line = format!("{{ \"$M\" {words}; echo $? >&3; }} 3>code | true; sleep 0; cat code");
        let ran = finish(case.command("sh").args(["-c", &line]).env("M", program())).exits(0);
        assert_eq!(ran.out.trim(), code.to_string(), "{words}: {}", ran.err);
        assert!(!ran.err.contains("panicked"), "{words}");
    }
    // Closed before it is even started.
    let mut command = case.memsnap(["diff", "--pages", "f@1"]);
    let (read, write) = std::io::pipe().unwrap();
    drop(read);
    let status = start(command.stdout(write).stderr(Stdio::null())).wait().unwrap();
    assert_eq!(status.code(), Some(1));
}

#[test]
fn a_full_disk_is_an_error() {
    let case = history();
    for words in [
        "diff --pages f",
        "diff --hex f",
        "log f",
        "view f",
        "view --raw f",
        "restore f@1 -o -",
        "delta make f@1 f -o -",
        "--help",
        "--json log f",
        "completions bash",
    ] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = case.memsnap(words.split(' '));
        command.stdout(full).stderr(Stdio::piped());
        let output = start(&mut command).wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{words}: {err}");
        assert_eq!(err.matches("No space left").count(), 1, "{words}: {err}");
    }
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = case.memsnap(["snap", "f"]);
    let status = start(command.stdout(full()).stderr(full())).wait().unwrap();
    assert_eq!(status.code(), Some(2), "stderr is full, too");
    case.ok("verify");
}

#[test]
fn every_verb_speaks_json() {
    let case = history();
    let one = |words: &str, code: i32, schema: &str| {
        let lines = case.exits(words, code).json();
        assert!(lines.iter().any(|line| line["schema"] == schema), "{words}: {lines:?}");
    };
    one("--json snap f", 0, "memsnap.snap.1");
    one("--json log f", 0, "memsnap.log.1");
    one("--json diff f@1", 1, "memsnap.diff.1");
    one("--json view f@1", 0, "memsnap.view.1");
    one("--json revert --yes f@1", 0, "memsnap.revert.1");
    one("--json undo --yes f", 0, "memsnap.undo.1");
    one("--json restore -n f@1 -o out", 0, "memsnap.restore.plan.1");
    one("--json restore f@1 -o out", 0, "memsnap.restore.1");
    one("--json verify", 0, "memsnap.verify.1");
    one("--json delta make f@1..2 -o d", 0, "memsnap.delta.1");
    one("--json delta stat d", 0, "memsnap.delta.1");
    one("--json apply out d --yes", 0, "memsnap.apply.1");
    std::fs::rename(case.path("f"), case.path("h")).unwrap();
    one("--json adopt f h", 0, "memsnap.adopt.1");
    for words in ["--json log nope", "--json snap nope", "--json nope", "--json restore h@99 -o x", "--json revert h@1"]
    {
        let lines = json_lines(&case.exits(words, 2).err);
        assert_eq!((lines[0]["schema"].as_str(), lines[0]["code"].as_u64()), (Some("memsnap.error.1"), Some(2)));
    }
}

#[test]
fn colours_only_where_they_are_wanted() {
    let case = history();
    let coloured = |words: &str, no_color: bool| {
        let mut command = case.memsnap(words.split(' '));
        if no_color {
            command.env("NO_COLOR", "1");
        }
        let ran = finish(&mut command);
        ran.out.contains('\x1b') || ran.err.contains('\x1b')
    };
    assert!(!coloured("log f", false), "not a terminal");
    assert!(coloured("--color always log f", false));
    assert!(!coloured("--color never log f", false));
    assert!(!coloured("log f", true));
    assert!(!coloured("--help", false));
}

#[test]
fn quiet_leaves_results_and_errors() {
    let case = history();
    let ran = case.ok("-q snap f");
    assert!(ran.err.is_empty() && ran.out.trim().len() == 64);
    assert!(!case.exits("-q snap nope", 2).err.is_empty());
    case.exits("-q -v snap f", 2);
}

#[test]
fn a_file_size_limit_is_an_error_not_a_signal() {
    let case = Case::with_pages(600);
    let line = "ulimit -f 100; exec \"$M\" snap --compress none f";
    finish(case.command("sh").args(["-c", line]).env("M", program())).exits(2).says("ulimit");
    assert_eq!(case.snapshots(), 0);
    case.ok("snap f");
    case.ok("verify");
}

#[test]
fn progress_that_is_asked_for_is_lines_where_there_is_no_terminal() {
    let case = Case::with_pages(2000);
    assert!(case.ok("-q snap f").err.is_empty());
    let lines = |words: &str| {
        let ran = case.ok(words);
        assert!(!ran.err.contains(['\r', '\x1b']), "{}", ran.err);
        ran.err.lines().filter(|line| line.contains("/s")).count()
    };
    // Short work: one line, at once. Longer work: at most one a second.
    assert_eq!(lines("-q --progress always restore f@1 -o out"), 1);
    let start = std::time::Instant::now();
    let written = lines("-q --progress always restore f@1 -o slow --limit-rate 3M");
    let seconds = start.elapsed().as_secs() as usize;
    assert!(seconds >= 2 && (2..=seconds + 1).contains(&written), "{written} lines in {seconds} s");
    assert_eq!(lines("-q --progress never restore f@1 -o other"), 0);
    assert_eq!(lines("-q restore f@1 -o another"), 0);
}
