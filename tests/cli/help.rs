//! `--help`, `--version`, `man`, `completions`.

use std::io::Write;
use std::process::Stdio;

use super::case::{Case, finish, finish_with, has, skip};

const VERBS: [&str; 15] = [
    "snap", "log", "diff", "view", "stat", "revert", "undo", "edit", "recover", "restore", "delta", "apply", "verify",
    "adopt", "lock",
];

#[test]
fn every_verb_helps() {
    let case = Case::new();
    let all = case.ok("--help");
    for verb in VERBS {
        assert!(all.out.contains(verb), "{verb}");
        let ran = case.ok(&format!("{verb} --help"));
        assert!(ran.err.is_empty(), "{verb}");
        assert!(case.ok(&format!("{verb} -h")).out.len() <= ran.out.len());
    }
    case.ok("--version").shows("memsnap 0.");
    for sub in ["make", "stat", "invert"] {
        case.ok(&format!("delta {sub} --help"));
    }
}

/// At 80 columns no line is longer, and none holds the one or two words that did not fit the line before.
#[test]
fn help_fits_80_columns() {
    let case = Case::new();
    let verbs =
        VERBS.iter().map(|verb| verb.to_string()).chain(["delta make", "vec create", "vec import"].map(String::from));
    for verb in verbs.chain([String::new()]) {
        let words = format!("{verb} --help");
        let out = finish(case.memsnap(words.split_whitespace()).env("COLUMNS", "80")).exits(0).out;
        let lines: Vec<&str> = out.lines().collect();
        for (before, line) in lines.iter().zip(&lines[1..]) {
            assert!(line.chars().count() <= 80, "{verb}: {line}");
            let indent = |line: &str| line.len() - line.trim_start().len();
            let first = line.split_whitespace().next().unwrap_or_default();
            let same = indent(line) == indent(before) && indent(line) == 10 && !before.trim().is_empty();
            let alone = same && !first.is_empty() && line.split_whitespace().count() < 3;
            // The line before was cut by hand if the first word would have fitted it.
            assert!(!alone || before.len() + 1 + first.len() <= 80, "{verb}: {before}\n{line}");
        }
    }
}

#[test]
fn help_is_a_word_too() {
    let case = Case::new();
    for (words, same) in [("help", "--help"), ("help snap", "snap --help"), ("help delta make", "delta make --help")] {
        assert_eq!(case.ok(words).out, case.ok(same).out, "{words}");
    }
    case.exits("help nope", 2).says("unrecognized subcommand 'nope'");
}

#[test]
fn help_tells_what_is_needed() {
    let case = Case::new();
    case.ok("snap --help").shows("unless the new grade is better").shows("reverted to an earlier snapshot");
    for verb in ["revert", "undo", "recover", "apply", "edit"] {
        let help = case.ok(&format!("{verb} --help")).out;
        assert!(help.contains("with --json") && help.contains("not a terminal"), "{verb}");
    }
    case.ok("recover --help").shows("nothing was interrupted");
}

#[test]
fn seconds_are_not_negative() {
    let case = Case::new();
    for words in ["snap f --wait -1", "snap f --wait=-0.5", "revert f --wait -1"] {
        let ran = case.exits(words, 2).says("must not be negative");
        assert!(!ran.err.contains("tip:"), "{}", ran.err);
    }
}

#[test]
fn bash_completes_no_hosts_and_verbs_come_first() {
    let text = Case::new().ok("completions bash").out;
    assert!(!text.contains("bashdefault"));
    let words: Vec<_> = text.split("opts=\"").nth(2).unwrap().split('"').next().unwrap().split(' ').collect();
    assert!(words[0] == "snap" && words.last().unwrap().starts_with('-'), "{words:?}");
}

#[test]
fn used_wrongly() {
    let case = Case::new();
    for words in ["", "snap", "nope", "snap --nope f", "diff", "restore f@1", "--io map", "log --range x f"] {
        let ran = case.exits(words, 2);
        assert!(!ran.err.is_empty() && ran.out.is_empty(), "{words}");
    }
}

#[test]
fn the_man_page_is_sound() {
    let case = Case::new();
    let page = case.ok("man").out;
    assert!(page.starts_with(".ie") || page.contains(".TH MEMSNAP 1"));
    VERBS.iter().for_each(|verb| assert!(page.contains(verb)));
    if !has("groff") {
        return skip("groff is not there");
    }
    let ran = finish_with(case.command("groff").args(["-man", "-ww", "-Tascii", "-P-cbou"]), page.as_bytes()).exits(0);
    assert_eq!(ran.err, "");
    ran.out.lines().for_each(|line| assert!(line.chars().count() <= 80, "{line}"));
}

#[test]
fn completions_are_read_by_their_shells() {
    let case = Case::new();
    for shell in ["bash", "zsh", "fish"] {
        let text = case.ok(&format!("completions {shell}")).out;
        VERBS.iter().for_each(|verb| assert!(text.contains(verb), "{shell} {verb}"));
        if !has(shell) {
            skip(&format!("{shell} is not there"));
            continue;
        }
        let mut file = std::fs::File::create(case.path(shell)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        drop(file);
        let mut command = case.command(shell);
        let ran = super::case::finish(command.arg("-n").arg(shell).stdin(Stdio::null())).exits(0);
        assert_eq!(ran.err, "", "{shell}");
    }
    case.exits("completions tcsh", 2);
}
