//! Reads `src/` and compares its imports with the table of allowed ones.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::util::walk;

/// A module and the modules that it may import. All may import `error` (which itself knows digests), `planted`, and the
/// extension traits in `sys::ext`.
const TABLE: [(&str, &[&str]); 11] = [
    ("error", &["page"]),
    ("planted", &[]),
    ("page", &[]),
    ("sys", &[]),
    ("pack", &["page"]),
    // `pack`: the type of a grade.
    ("capture", &["pack", "page", "sys"]),
    ("mem", &["page", "sys"]),
    ("vec", &["mem", "page", "sys"]),
    // `capture`: the store's images are what a capture is compared with (its trait `Base`).
    ("store", &["pack", "page", "sys", "capture"]),
    ("ops", &["store", "pack", "page", "sys", "capture", "mem", "vec"]),
    ("cli", &["ops", "store", "pack", "page", "sys", "capture", "mem", "vec", "program"]),
];
/// Crates that only the program uses.
const OF_CLI: [&str; 6] = ["clap", "anyhow", "indicatif", "serde", "serde_json", "jiff"];
/// What differs between systems.
const OF_SYSTEMS: [&str; 3] = ["std::os", "rustix", "libc"];
const PRINTS: [&str; 5] = ["println!", "print!", "eprintln!", "eprint!", "dbg!"];
const MOST_LINES: usize = 400;

pub(crate) struct Source {
    /// From `src/` on.
    pub(crate) path: PathBuf,
    pub(crate) module: String,
    pub(crate) lines: usize,
    /// Without comments, and without what stands in quotes.
    pub(crate) code: String,
}

pub(crate) fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut |path, _| {
        if path.extension().is_some_and(|ending| ending == "rs") {
            paths.push(path.to_path_buf());
        }
    });
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(&root).unwrap().to_path_buf();
        let first = path.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
        Source { module: first.trim_end_matches(".rs").into(), lines: text.lines().count(), code: plain(&text), path }
    };
    paths.into_iter().map(read).collect()
}

/// `text` without comments and with empty string literals.
fn plain(text: &str) -> String {
    let bytes: Vec<char> = text.chars().collect();
    let mut out = String::new();
    let mut i = 0;
    while i < bytes.len() {
        let rest = &bytes[i..];
        match rest {
            ['/', '/', ..] => i += rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
            ['\'', '"', '\'', ..] => i += 3,
            ['"', ..] => {
                i += 1;
                while i < bytes.len() && bytes[i] != '"' {
                    i += if bytes[i] == '\\' { 2 } else { 1 };
                }
                i += 1;
                out.push_str("\"\"");
            }
            [c, ..] => {
                out.push(*c);
                i += 1;
            }
            [] => unreachable!(),
        }
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether `word` stands in `code` as a word of its own.
fn has_word(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back().is_none_or(|c| !is_word(c));
        let after = code[at + word.len()..].chars().next().is_none_or(|c| !is_word(c));
        before && after
    })
}

/// The modules named after `crate::` (or, in the program, `memsnap::`), also in braces.
fn imported(code: &str, root: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for (at, _) in code.match_indices(root) {
        if code[..at].chars().next_back().is_some_and(is_word) {
            continue;
        }
        let rest = code[at + root.len()..].trim_start();
        let Some(group) = rest.strip_prefix('{') else {
            out.insert(rest.chars().take_while(|c| is_word(*c)).collect());
            continue;
        };
        let (mut depth, mut word) = (1, String::new());
        let mut begins = true;
        for c in group.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 1 && begins && is_word(c) {
                word.push(c);
            } else if !word.is_empty() {
                out.insert(std::mem::take(&mut word));
                begins = false;
            }
            begins |= depth == 1 && c == ',';
            if depth == 0 {
                break;
            }
        }
    }
    // Names at the root of the crate that are no modules.
    out.retain(|name| {
        name.starts_with(|c: char| c.is_lowercase()) && name != "error" && name != "planted" && name != "internal"
    });
    out
}

#[test]
fn no_module_imports_a_higher_one() {
    let mut wrong = Vec::new();
    for source in sources() {
        let allowed = match &source.module[..] {
            "lib" | "main" => continue,
            module => TABLE.iter().find(|(name, _)| *name == module).map(|row| row.1),
        };
        let Some(allowed) = allowed else {
            wrong.push(format!("{}: the module {} is not in the table", source.path.display(), source.module));
            continue;
        };
        let roots: &[&str] = if source.module == "cli" { &["crate::", "memsnap::"] } else { &["crate::"] };
        let code = source.code.replace("crate::sys::ext::", "");
        for name in roots.iter().flat_map(|root| imported(&code, root)) {
            if name != source.module && !allowed.contains(&&name[..]) {
                wrong.push(format!("{} imports {name}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn only_the_program_knows_the_command_line() {
    let uses = |source: &Source, name: &str| has_word(&source.code, name) && source.code.contains(&format!("{name}::"));
    let wrong: Vec<_> = sources()
        .iter()
        .filter(|source| source.module != "cli")
        .flat_map(|source| OF_CLI.iter().filter(|name| uses(source, name)).map(|name| (source.path.clone(), *name)))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// Blocks are only in `sys`. `mem` and `vec` may declare what is unsafe, and hand on what its callers promise.
#[test]
fn unsafe_stays_in_sys() {
    let is_there = |source: &Source| match &source.module[..] {
        "sys" => false,
        "mem" | "vec" => has_word(&source.code.replace("unsafe fn", "fn").replace("unsafe impl", "impl"), "unsafe"),
        _ => has_word(&source.code, "unsafe"),
    };
    let wrong: Vec<_> = sources().into_iter().filter(is_there).map(|source| source.path).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn only_sys_knows_systems() {
    let sources = sources();
    let uses = |source: &&Source| OF_SYSTEMS.iter().any(|name| has_word(&source.code, name));
    let wrong: Vec<_> = sources.iter().filter(|s| s.module != "sys").filter(uses).map(|s| &s.path).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn nothing_prints() {
    let wrong: Vec<_> =
        sources().into_iter().filter(|s| PRINTS.iter().any(|print| has_word(&s.code, print))).map(|s| s.path).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn files_are_short() {
    let wrong: Vec<_> = sources().into_iter().filter(|s| s.lines > MOST_LINES).map(|s| (s.path, s.lines)).collect();
    assert!(wrong.is_empty(), "longer than {MOST_LINES} lines: {wrong:?}");
}

#[test]
fn this_test_sees_what_it_looks_for() {
    let code = plain(
        "use crate::{page::Digest, store::{self, pack}}; // crate::cli\nlet s = \"crate::ops\"; crate::sys::x();",
    );
    let found: Vec<_> = imported(&code, "crate::").into_iter().collect();
    assert_eq!(found, ["page", "store", "sys"]);
    assert!(has_word("unsafe {", "unsafe") && !has_word("unsafe_code", "unsafe"));
    assert!(has_word("a; print!(1)", "print!") && !has_word("eprint!(1)", "print!"));
}
