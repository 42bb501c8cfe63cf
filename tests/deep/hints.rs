//! Hints are made in `src/cli/hints`: no text in the library names an option or a verb of the program.

use std::fs;
use std::path::Path;

use super::layers::sources;

const VERBS: &str = "snap log diff view stat verify restore revert undo recover edit apply delta adopt lock vec \
                     completions man";

/// `text` up to its module of tests, which is the last thing in a file.
fn without_tests(text: &str) -> &str {
    let (mut end, mut test) = (0, false);
    for line in text.split_inclusive('\n') {
        match line {
            _ if line.starts_with("#[cfg(") && line.contains("test") => test = true,
            _ if line.starts_with("#[") => {}
            _ if test && line.starts_with("mod ") && line.trim_end().ends_with('{') => return &text[..end],
            _ => test = false,
        }
        end += line.len();
    }
    text
}

/// The string literals in `text`, without those in comments and in a module of tests.
fn literals(text: &str) -> Vec<String> {
    let chars: Vec<char> = without_tests(text).chars().collect();
    let (mut out, mut i) = (Vec::new(), 0);
    while i < chars.len() {
        match &chars[i..] {
            ['/', '/', rest @ ..] => i += 2 + rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
            ['\'', '"', '\'', ..] => i += 3,
            ['"', ..] => {
                let begin = i + 1;
                i = begin;
                while i < chars.len() && chars[i] != '"' {
                    i += if chars[i] == '\\' { 2 } else { 1 };
                }
                out.push(chars[begin..i.min(chars.len())].iter().collect());
                i += 1;
            }
            _ => i += 1,
        }
    }
    out
}

/// What `text` names of the command line: an option, `memsnap VERB`, or a verb in backquotes.
fn of_program(text: &str) -> bool {
    let option = text.match_indices("--").any(|(at, _)| {
        let alone = text[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '-');
        alone && text[at + 2..].starts_with(|c: char| c.is_ascii_lowercase())
    });
    let is_verb = |rest: &str| {
        let word = rest.split(|c: char| !c.is_alphanumeric()).next();
        word.is_some_and(|word| VERBS.split(' ').any(|verb| verb == word))
    };
    let named = |before: &str| text.match_indices(before).any(|(at, _)| is_verb(&text[at + before.len()..]));
    option || named("memsnap ") || named("`")
}

#[test]
fn only_the_program_names_verbs_and_options() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for source in sources() {
        let tests = source.path.to_string_lossy().ends_with("_test.rs");
        if tests || ["cli", "main"].contains(&&*source.module) || source.path.starts_with("sys/program") {
            continue;
        }
        let text = fs::read_to_string(root.join(&source.path)).unwrap();
        let found = literals(&text).into_iter().filter(|text| of_program(text));
        wrong.extend(found.map(|text| format!("{}: {text:?}", source.path.display())));
    }
    assert!(wrong.is_empty(), "state a cause, and make the hint in src/cli/hints: {wrong:#?}");
}

#[test]
fn this_test_sees_what_it_looks_for() {
    let planted = "#[cfg(test)]\nmod fixture;\n// \"--not\"\n\
                   f(\"add --force\", '\"', \"a \\\"`vec dump` b\", \"run `memsnap snap` x\");\n\
                   #[cfg(all(test, unix))]\n#[allow(x)]\nmod tests {\n\"--not\"\n}";
    let found = literals(planted);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.iter().all(|text| of_program(text)), "{found:?}");
    for text in ["memsnap image 1", "another memsnap is changing it", "-- x", "a--b", "`@x` names no snapshot"] {
        assert!(!of_program(text), "{text}");
    }
}
