//! Sets: files captured at one moment; and databases, which are captured with their logs.

use std::os::unix::fs::{chown, symlink};

use serde_json::Value;

use super::case::{Case, PAGE, finish, has, is_root, noise, skip};
use super::companions::hot_journal;

/// With `f`, `g` and `h`.
fn three() -> Case {
    let case = Case::with_pages(5);
    case.write("g", &noise(2, 3 * PAGE + 7));
    case.write("h", &noise(3, 2 * PAGE));
    case
}

fn set_of(out: &str) -> String {
    out.trim().strip_prefix("set:").expect("a set is printed").to_string()
}

fn members(set: &Value) -> Vec<(String, u64)> {
    let name = |member: &Value| {
        let path = member["path"].as_str().unwrap();
        (path.rsplit('/').next().unwrap().to_string(), member["number"].as_u64().unwrap())
    };
    set["members"].as_array().unwrap().iter().map(name).collect()
}

#[test]
fn a_set_names_the_snapshots_of_one_moment() {
    let case = three();
    let first = set_of(&case.ok("snap --set f g h").says("3 files, 3 changed").out);
    assert_eq!(first.len(), 64);
    let again = set_of(&case.ok("snap --set h g f").says("3 files, unchanged").out);
    assert_eq!(first, again, "the order of the names does not matter");
    case.touch(1, 9);
    let second = set_of(&case.ok("snap --set f g h -m why").says("3 files, 1 changed").says("f@2").out);
    assert_ne!(first, second);
    let shown = case.ok(&format!("log set:{second} --json")).json().remove(0);
    assert_eq!(members(&shown), [("f".into(), 2), ("g".into(), 1), ("h".into(), 1)]);
    assert_eq!((shown["message"].as_str(), shown["grade"].as_str()), (Some("why"), Some("proven")));
    let all = case.ok("log --sets --json").json();
    assert_eq!(all.iter().map(|set| set["id"].as_str().unwrap()).collect::<Vec<_>>(), [&first, &second]);
    case.ok(&format!("log set:{}", &second[..4])).shows("why").shows("f@2");
    case.ok("view set:latest").shows("f@2");
    case.ok("verify").shows("all good");
    case.ok("verify set:latest").shows("all good");
    case.exits("log set:0000000000", 2).says("there is no set").says("log --sets");
}

#[test]
fn a_directory_is_a_set_of_its_files() {
    let case = three();
    std::fs::create_dir(case.path("below")).unwrap();
    case.write("below/x", b"x");
    symlink("f", case.path("link")).unwrap();
    let first = case.ok("snap . --json").json().remove(0);
    assert_eq!(members(&first), [("f".into(), 1), ("g".into(), 1), ("h".into(), 1)]);
    assert!(first["warnings"][0].as_str().unwrap().contains("not part of the set: 1"), "{first}");
    std::fs::remove_file(case.path("g")).unwrap();
    case.write("i", b"new");
    let second = case.ok("snap . --json").json().remove(0);
    let names = |list: &Value| {
        let name = |one: &Value| one["path"].as_str().unwrap().rsplit('/').next().unwrap().to_string();
        list.as_array().unwrap().iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!((names(&second["came"]), names(&second["went"])), (vec!["i".into()], vec!["g".into()]));
    case.ok("log set:latest").shows("i  new in the set").shows("g  no longer in the set");
    let chosen = case.ok("snap . --include [f-h] --exclude h --json").json().remove(0);
    assert_eq!(members(&chosen), [("f".into(), 1)]);
    case.exits("snap . --include nothing", 2).says("no regular file in").says("is chosen");
    case.exits("snap . --include [", 2).says("--include");
}

#[test]
fn a_set_is_compared_and_restored() {
    let case = three();
    let (f, g) = (case.read("f"), case.read("g"));
    let first = set_of(&case.ok("snap . -q").out);
    case.ok("diff set:latest").says("are the same");
    case.touch(2, 5);
    std::fs::remove_file(case.path("g")).unwrap();
    case.exits("diff set:latest", 1).shows("page  2").shows("g: only in the first");
    let second = set_of(&case.ok("snap . -q").out);
    let ran = case.exits(&format!("diff set:{first} set:{second}"), 1);
    assert!(ran.out.contains("1 page in 1 range differs") && ran.out.contains("g: only in the first"), "{}", ran.out);
    case.exits("diff set:latest f", 2).says("a set is compared with a set");
    case.ok(&format!("restore -n set:{first} -o old")).shows("would write");
    assert!(!case.path("old").exists());
    case.ok(&format!("restore set:{first} -o old"));
    assert!(case.read("old/f") == f && case.read("old/g") == g);
    assert_eq!(std::fs::read_dir(case.path("old")).unwrap().count(), 3);
    case.exits(&format!("restore set:{first} -o old"), 2).says("exists").says("does not exist, or is empty");
    std::fs::create_dir(case.path("empty")).unwrap();
    case.ok(&format!("restore set:{first} -o empty"));
    assert!(case.read("empty/g") == g);
}

#[test]
fn a_set_is_in_one_store() {
    let case = three();
    std::fs::create_dir(case.path("below")).unwrap();
    case.write("below/x", b"x");
    case.exits("snap --set f below/x", 2).says("the store of").says("--store DIR");
    let id = set_of(&case.ok("snap --set f below/x --store s -q").out);
    case.ok(&format!("restore set:{id} --store s -o out"));
    assert_eq!(case.read("out/below/x"), b"x");
    case.ok("verify --store s").shows("all good");
}

#[test]
fn damage_of_a_set_is_seen() {
    let case = three();
    let id = set_of(&case.ok("snap --set f g -q").out);
    let set = case.path(format!(".memsnap/sets/{id}.set"));
    let bytes = std::fs::read(&set).unwrap();
    for at in [0, 9, 20, bytes.len() / 2, bytes.len() - 1] {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        std::fs::write(&set, &bad).unwrap();
        case.exits("verify", 4).shows("its bytes are not what its name says");
        case.exits("log --sets", 4).says("its bytes are not what its name says");
        case.exits("log set:latest", 4);
        case.ok("restore f@1 -o -");
    }
    std::fs::write(&set, &bytes).unwrap();
    let history = case.stored(".snap").remove(0);
    std::fs::rename(&history, case.path("away")).unwrap();
    case.exits("verify", 4).shows("snapshots that it names are not in the store: 1");
    case.exits("restore set:latest -o out", 4).says("is incomplete");
    assert!(!case.path("out").exists());
}

/// The writer was killed after the set appeared, or before.
#[test]
fn the_set_decides_what_its_parts_are() {
    let case = three();
    let id = set_of(&case.ok("snap --set f g -q").out);
    let set = case.path(format!(".memsnap/sets/{id}.set"));
    for snap in case.stored(".snap") {
        let name = snap.file_name().unwrap().to_str().unwrap().strip_suffix(".snap").unwrap().to_string();
        std::fs::rename(&snap, snap.with_file_name(format!("{name}.{id}.part"))).unwrap();
        std::fs::write(snap.with_file_name("lock"), b"w").unwrap();
    }
    case.ok("verify").shows("2 snapshots of 2 files").shows("all good");
    case.ok("restore f@1 -o -");
    case.ok("log f").shows("proven");
    case.ok("snap f").says("unchanged since @1");
    assert_eq!((case.stored(".snap").len(), case.stored(".part").len()), (1, 1), "that of f has its name");
    let bytes = std::fs::read(&set).unwrap();
    std::fs::remove_file(&set).unwrap();
    case.exits("log g", 0).says("no snapshots");
    case.ok("snap g").says("g@2");
    assert!(case.stored(".part").is_empty(), "it was garbage");
    std::fs::write(&set, &bytes).unwrap();
    case.ok("snap --set f g").says("2 files, 0 changed");
}

#[test]
fn the_grade_of_a_set_is_the_lowest() {
    let case = three();
    let open = std::fs::OpenOptions::new().append(true).open(case.path("g")).unwrap();
    case.ok("snap --set f g").says("2 files").says("observed");
    case.exits("snap --set f g --require proven --always", 3).says("below the required grade, stored and marked");
    case.exits("snap --set f g --require proven --always --strict", 3).says("not stored");
    drop(open);
    assert_eq!(case.ok("log --sets --json").json().len(), 2);
}

#[test]
fn a_database_is_captured_with_its_log() {
    if !has("python3") {
        return skip("python3 is not there");
    }
    let case = Case::new();
    let script = "import os, sqlite3, subprocess, sys
c = sqlite3.connect('f', isolation_level=None)
c.execute('pragma journal_mode=wal'); c.execute('pragma wal_autocheckpoint=0'); c.execute('create table t(a)')
for i in range(50): c.execute('insert into t values(?)', (i,))
a = subprocess.run([sys.argv[1], 'snap', 'f', '--json'], capture_output=True, text=True); print(a.stdout, end='')
for i in range(50): c.execute('insert into t values(?)', (i,))
a = subprocess.run([sys.argv[1], 'snap', 'f', '--json'], capture_output=True, text=True); print(a.stdout, end='')
a = subprocess.run([sys.argv[1], 'snap', 'f'], capture_output=True, text=True); print(a.stderr, file=sys.stderr)
os._exit(0)";
    let mut command = case.command("python3");
    let ran = finish(command.args(["-c", script]).arg(super::case::program())).exits(0).says("unchanged since @2");
    for (i, line) in ran.json().iter().enumerate() {
        assert_eq!((line["grade"].as_str(), line["number"].as_u64()), (Some("observed"), Some(i as u64 + 1)), "{line}");
        assert_eq!(line["companions"].as_array().unwrap().len(), 1, "{line}");
    }
    for (number, rows) in [(1, 50), (2, 100)] {
        case.ok(&format!("restore f@{number} -o copy{number}"));
        assert!(case.path(format!("copy{number}-wal")).exists());
        let read = format!(
            "import sqlite3; c = sqlite3.connect('copy{number}')
print(c.execute('pragma integrity_check').fetchone()[0], c.execute('select count(*) from t').fetchone()[0])"
        );
        finish(case.command("python3").args(["-c", &read])).exits(0).shows(&format!("ok {rows}"));
    }
    case.write("new-wal", b"in the way");
    case.exits("restore f@1 -o new", 2).says("new-wal exists");
    assert!(!case.path("new").exists());
    case.ok("restore f@1 -o new --force");
    case.ok("restore f@1 -o -").says("f-wal, which holds changes that are not in the file, is not part of the stream");
    case.exits("snap --alone f", 3).says("unproven").says("the database is both together");
    case.ok("verify").shows("all good");
}

#[test]
fn only_a_file_of_the_same_owner_is_a_log() {
    let case = Case::with_pages(3);
    case.write("journal", &hot_journal());
    symlink("journal", case.path("f-journal")).unwrap();
    case.exits("snap f", 3).says("it is a symbolic link").says("unproven");
    std::fs::remove_file(case.path("f-journal")).unwrap();
    case.write("f-journal", &hot_journal());
    case.ok("snap f").says("with f-journal");
    if !is_root() {
        return skip("not root");
    }
    chown(case.path("f-journal"), Some(12345), None).unwrap();
    case.exits("snap --always f", 3).says("unproven");
}
