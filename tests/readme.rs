//! Every command of the README is run, in order, in one directory, and its output compared with what the README shows;
//! the lists in documents are complete.
//!
//! Ids, times and sizes may differ: they are compared as such. Where the file system proves nothing of a capture,
//! grades may differ too, and `snap` ends with 3.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A command of the README, and the output shown below it.
#[derive(Debug)]
struct Step {
    command: String,
    shown: Option<Vec<String>>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

/// The commands of all blocks marked `sh` (one a line) and `console` (after a `$`, with their output).
fn steps(text: &str) -> Vec<Step> {
    let (mut steps, mut block): (Vec<Step>, Option<&str>) = (Vec::new(), None);
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("```") {
            block = if block.is_some() { None } else { Some(kind) };
        } else if block == Some("sh") {
            steps.push(Step { command: line.into(), shown: None });
        } else if block == Some("console") {
            match line.strip_prefix("$ ") {
                Some(command) => steps.push(Step { command: command.into(), shown: Some(Vec::new()) }),
                None => steps.last_mut().unwrap().shown.as_mut().unwrap().push(line.into()),
            }
        }
    }
    steps
}

/// A line with blanks of one width, and what differs from run to run replaced by what it is.
fn normal(line: &str) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "s", "min"];
    let mut words: Vec<String> = Vec::new();
    for word in line.split_whitespace() {
        let core = word.trim_matches(['(', ')', ',', ';', ':']);
        let hex = core.len() >= 12 && core.bytes().all(|b| b.is_ascii_hexdigit());
        let number = |w: &String| w.trim_start_matches('(').parse::<f64>().is_ok();
        if hex {
            words.push(word.replace(core, &format!("ID{}", core.len())));
        } else if UNITS.contains(&core) && words.last().is_some_and(number) {
            let open = if words.pop().is_some_and(|w| w.starts_with('(')) { "(" } else { "" };
            let what = if ["s", "min"].contains(&core) { "TIME" } else { "SIZE" };
            words.push(format!("{open}{}", word.replace(core, what)));
        } else {
            // The age of what was made just now.
            words.push(if word == "now" { "TIME".into() } else { word.into() });
        }
    }
    words.join(" ")
}

/// The command as it is run here: the program that cargo would build and run is there already.
fn equivalent(command: &str) -> String {
    command.replace("cargo run --release --", "memsnap")
}

fn run(command: &str, directory: &Path) -> (Option<i32>, String) {
    let named = std::env::var_os("MEMSNAP_README_PROGRAM"); // another build, such as .ci/cross makes
    let program = named.map_or(env!("CARGO_BIN_EXE_memsnap").into(), PathBuf::from);
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut bash = Command::new("bash");
    bash.args(["-c", &format!("exec 2>&1; {command}")]).current_dir(directory).env("PATH", path);
    let out = bash.env_remove("MEMSNAP_STORE").output().unwrap();
    (out.status.code(), String::from_utf8(out.stdout).unwrap())
}

#[test]
fn every_command_does_what_is_shown() {
    let directory = tempfile::tempdir().unwrap();
    for file in ["README.md", "LICENSE"] {
        fs::copy(root().join(file), directory.path().join(file)).unwrap();
    }
    let steps = steps(&readme());
    assert!(steps.len() > 15, "{} commands", steps.len());
    let mut proven = true;
    for step in &steps {
        if step.command.starts_with("cargo test") {
            continue;
        }
        let command = equivalent(&step.command);
        let (code, output) = run(&command, directory.path());
        proven &= !output.contains("unproven");
        let fine: &[i32] = match command.split_whitespace().collect::<Vec<_>>()[..] {
            ["memsnap", "diff", ..] => &[0, 1],
            ["memsnap", "snap", ..] if !proven => &[0, 3],
            _ => &[0],
        };
        assert!(code.is_some_and(|code| fine.contains(&code)), "{command}: {code:?}\n{output}");
        if let Some(shown) = step.shown.as_ref().filter(|_| proven) {
            let shown: Vec<_> = shown.iter().map(|line| normal(line)).collect();
            let found: Vec<_> = output.lines().map(normal).collect();
            assert_eq!(shown, found, "{command}\n{output}");
        }
    }
}

#[test]
fn the_set_up_is_two_commands_that_every_checkout_can_run() {
    let text = readme();
    let cargo: Vec<_> = steps(&text).into_iter().map(|s| s.command).filter(|c| c.starts_with("cargo ")).collect();
    assert_eq!(cargo, ["cargo run --release -- snap README.md", "cargo test --release"]);
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("name = \"memsnap\"") && root().join("src/main.rs").exists());
}

#[test]
fn what_it_points_to_is_there() {
    let text = readme();
    for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(root().join(link).exists(), "{link}");
    }
}

/// All paths of files `*.rs` in a text; a name without a directory is in that of the path before it.
fn sources_in(text: &str) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut directory = PathBuf::new();
    for path in text.split('`').skip(1).step_by(2).filter(|code| code.ends_with(".rs")).map(Path::new) {
        if path.components().count() > 1 {
            directory = path.parent().unwrap().into();
        }
        found.insert(directory.join(path.file_name().unwrap()));
    }
    found
}

#[test]
fn every_harness_is_documented() {
    let text = fs::read_to_string(root().join("docs/testing.md")).unwrap();
    let documented = sources_in(&text.replace("```", ""));
    for path in &documented {
        assert!(path.to_string_lossy().contains('*') || root().join(path).is_file(), "{}: not there", path.display());
    }
    for directory in ["crash", "deep", "endure"].map(|name| Path::new("tests").join(name)) {
        for entry in fs::read_dir(root().join(&directory)).unwrap() {
            let path = directory.join(entry.unwrap().file_name());
            let has_tests = fs::read_to_string(root().join(&path)).unwrap().contains("#[test]");
            let is_documented = documented.contains(&path) || path.ends_with("main.rs");
            assert!(!has_tests || is_documented, "{}: no row in docs/testing.md", path.display());
        }
    }
}

#[test]
fn the_table_of_verbs_is_that_of_the_program() {
    let (_, help) = run("memsnap --help", root());
    let text = readme();
    let rows: Vec<_> = text.lines().filter(|l| l.starts_with("| `")).collect();
    let list = help.split("Verbs:\n").nth(1).unwrap().lines().take_while(|l| !l.is_empty());
    for verb in list.map(|l| l.split_whitespace().next().unwrap()) {
        assert!(rows.iter().any(|r| r.split('|').nth(1).unwrap().contains(&format!("`{verb}"))), "{verb}");
    }
}

#[test]
fn only_what_may_differ_is_ignored() {
    let a = normal("db.bin@1  44fb9de5bdf5  1682 pages (6.6 MiB), 708 KiB stored, 0.03 s, proven");
    assert_eq!(a, "db.bin@1 ID12 1682 pages (SIZE), SIZE stored, TIME, proven");
    assert_eq!(normal("1  44fb9de5bdf5  now  6.6 MiB"), normal("1  aaaaaaaaaaaa  2 s  1 B"));
    assert_ne!(normal("1 page written"), normal("2 pages written"));
}
