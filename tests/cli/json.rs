//! `docs/json.md` and what the program prints: no field without its line there, no line without a field.
//!
//! Every test that reads JSON checks it against that page (`case::json_lines`); here are runs that print each schema.

use std::collections::{BTreeMap, BTreeSet};

use super::case::schemas::{check, documented};
use super::case::{Case, PAGE, Ran, finish, json_lines, noise, program};
use super::util::chmod;

/// Which paths were printed, for each schema.
#[derive(Default)]
struct Printed(BTreeMap<String, BTreeSet<String>>);

impl Printed {
    /// Notes all objects that a run printed.
    fn of(&mut self, ran: &Ran) {
        for value in json_lines(&ran.out).iter().chain(&json_lines(&ran.err)) {
            let (schema, paths) = check(value);
            self.0.entry(schema).or_default().extend(paths);
        }
    }

    /// Runs the program in `case` with each line of words.
    fn all(&mut self, case: &Case, lines: &[&str]) {
        for words in lines {
            let ran = case.run(words.split(' ').chain(["--json"]));
            assert!(ran.code.is_some(), "{words}");
            self.of(&ran);
        }
    }

    /// Whether a documented field must have been printed: it is always there, and so is what it is in.
    fn must_have(schema: &str, path: &str) -> bool {
        let fields = &documented()[schema];
        let ends = path.match_indices(['.', '[']).map(|(at, _)| at).chain([path.len()]);
        ends.filter_map(|end| fields.get(&path[..end])).all(|field| field.is_always_there())
    }
}

/// The verbs that look and the verbs that change, on a file with changes of every kind.
fn usual(printed: &mut Printed) {
    let case = Case::with_pages(40);
    chmod(case.path("f"), 0o644);
    printed.all(&case, &["snap f -m one --tag first --require none"]);
    case.touch(7, 2);
    case.set_len("f", 50 * PAGE as u64 + 3);
    chmod(case.path("f"), 0o600);
    printed.all(
        &case,
        &["diff f", "diff f --unit byte", "diff f --hex -U 1", "diff f --as u8", "diff f --as f32 --limit 3"],
    );
    printed.all(
        &case,
        &["diff f --map", "diff f --range ..64k", "snap f --require none", "snap f --require none", "log f"],
    );
    printed.all(&case, &["view f", "view f --as f64", "view f@1 --range 1k+3", "stat f --content --changes --map"]);
    let lock = format!("lock f -- {} --json stat --locks f", program().display());
    printed.of(&case.run(lock.split(' ')));
    let lock = format!("lock f -- {} --json stat f", program().display());
    printed.of(&case.run(lock.split(' ')));
    let lock = format!("lock f -- {} --json lock -n f true", program().display());
    printed.of(&case.run(lock.split(' ')));
    printed.all(&case, &["revert f@1 -n", "revert f@1 --yes", "undo f --yes", "edit f --at 4k --hex 00ff --yes"]);
    printed.all(
        &case,
        &["delta make f@1..2 -o d --reversible", "delta stat d", "restore f@1 -o g -n", "restore f@1 -o g"],
    );
    printed.all(&case, &["apply g d --yes", "recover f", "restore f@nope -o x", "verify f"]);
    std::fs::rename(case.path("g"), case.path("h")).unwrap();
    printed.all(&case, &["adopt g h", "edit f --at 0 --hex 00", "nope"]);
    case.write("f@1", b"a file of that name");
    printed.all(&case, &["view f@1 --range ..1"]);
}

/// What every change has besides: mode that changes, a revert that would be refused.
fn changes(printed: &mut Printed) {
    let case = Case::with_pages(3);
    for (verb, at) in [("revert f@1", 1), ("undo f", 2), ("recover f", 3)] {
        chmod(case.path("f"), if at % 2 == 0 { 0o640 } else { 0o644 });
        printed.all(&case, &["snap f --require none"]);
        chmod(case.path("f"), 0o600);
        printed.all(&case, &["snap f --require none", &format!("{verb} --yes")]);
    }
}

/// Sets, a file of which comes or goes, and a database with its log.
fn sets(printed: &mut Printed) {
    let case = Case::with_pages(3);
    case.write("g", b"goes");
    printed.all(&case, &["snap . --require none"]);
    std::fs::rename(case.path("g"), case.path("h")).unwrap();
    case.write("f-journal", &super::companions::hot_journal());
    printed.all(&case, &["snap . --require none", "snap f --require none --always", "log --sets", "diff set:latest"]);
    std::fs::remove_file(case.path("h")).unwrap();
    printed.all(&case, &["diff set:latest"]);
}

fn damaged(printed: &mut Printed) {
    let case = Case::with_pages(3);
    printed.all(&case, &["snap f --require none"]);
    case.touch(1, 9);
    printed.all(&case, &["snap f --require none"]);
    let packs = case.stored(".pack");
    for pack in &packs {
        let mut bytes = std::fs::read(pack).unwrap();
        bytes[4200] ^= 1;
        chmod(pack, 0o600);
        std::fs::write(pack, bytes).unwrap();
    }
    printed.all(&case, &["verify f", "restore f@2 -o out --skip-damaged"]);
    std::fs::remove_file(&case.stored(".snap")[0]).unwrap();
    std::fs::write(&case.stored(".snap")[0], b"nothing").unwrap();
    printed.all(&case, &["log f"]);
}

fn vectors(printed: &mut Printed) {
    let case = Case::new();
    printed.all(&case, &["vec create v --type u32", "vec push v 1 2 3", "vec get v 0", "vec len v", "vec stat v"]);
    printed
        .all(&case, &["snap v --require none", "vec set v 1 9", "diff v --elements", "vec pop v", "vec truncate v 1"]);
}

#[test]
fn every_field_is_documented_and_every_documented_field_is_printed() {
    let mut printed = Printed::default();
    usual(&mut printed);
    changes(&mut printed);
    sets(&mut printed);
    damaged(&mut printed);
    vectors(&mut printed);
    for (schema, fields) in documented() {
        assert!(printed.0.contains_key(schema), "no run printed {schema}");
        // Schemas with the same fields share a section, and not every verb can print all of them.
        let same = |other: &&String| documented()[*other].keys().eq(fields.keys());
        let seen: BTreeSet<_> = printed.0.keys().filter(same).flat_map(|other| &printed.0[other]).collect();
        for path in fields.keys().filter(|path| Printed::must_have(schema, path)) {
            assert!(seen.contains(path), "no run printed {path} of {schema}");
        }
    }
}

#[test]
fn golden_json_is_as_documented() {
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut objects = 0;
    for directory in std::fs::read_dir(golden).unwrap() {
        for file in std::fs::read_dir(directory.unwrap().path()).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let lines: String =
                text.lines().filter(|line| line.starts_with('{')).map(|line| format!("{line}\n")).collect();
            objects += json_lines(&lines).len();
        }
    }
    assert!(objects > 20, "{objects}");
}

/// A schema that is new in the source has its section.
#[test]
fn every_schema_of_the_source_is_documented() {
    fn search(directory: &std::path::Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                search(&entry, found);
                continue;
            }
            let text = std::fs::read_to_string(entry).unwrap();
            let named = text.split('"').filter(|word| word.starts_with("memsnap.") && word.ends_with(".1"));
            found.extend(named.filter(|word| !word.contains('/')).map(str::to_owned));
        }
    }
    let mut found = BTreeSet::new();
    search(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli"), &mut found);
    assert_eq!(found, documented().keys().cloned().collect());
}

/// A path that is not UTF-8 has its exact bytes beside it.
#[test]
fn exact_paths_are_documented_wherever_there_is_a_path() {
    let case = Case::new();
    let name = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"a\xff");
    case.write(name, &noise(1, PAGE));
    let ran = finish(case.memsnap(["--json", "stat"]).arg(name));
    assert_eq!(ran.json()[0]["path_b64"], "Yf8=");
    for (schema, fields) in documented() {
        for path in fields.keys().filter(|path| path.rsplit('.').next() == Some("path")) {
            assert!(fields.contains_key(&format!("{path}_b64")), "{schema}: {path}");
        }
    }
}
