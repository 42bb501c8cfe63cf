//! Logs of databases beside a file: snapshots say so, and no verb puts other content under a name whose log is hot.

use super::case::{Case, finish, has, skip};
use super::trace::{interrupted, needs_strace};

/// A journal of SQLite as a crash leaves it: its header, which takes a sector.
pub(crate) fn hot_journal() -> Vec<u8> {
    let mut journal = vec![0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    journal.resize(512, 0);
    journal
}

/// What DuckDB 2.0.1 leaves when it is killed after `insert into t values (4)`, and how much of it is the version.
const DUCKDB: (&str, usize) = (
    "640062650002660010c4015de70158a20148d601e501fe01da012178f6017cea01b601670002ffff1300000000\
     00000063e5718ed1a938266400196700640002046d61696e0174ffffffff27000000000000009b0c6e494ec47c\
     8464001a650064000165000164000effff6600016400006600080400000000000000ffffffffffff0500000000\
     000000e7fe7d722fed3d5e640064ffff",
    40,
);
/// The same of DuckDB 0.10.3.
const DUCKDB_0_10: (&str, usize) =
    ("640062650002ffff1000000000000000a01f37098c80468e6400196500046d61696e66000174ffff", 8);

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter_map(|c| char::from(c).to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|two| two[0] << 4 | two[1]).collect()
}

/// A database of SQLite at `name`, as its program leaves it when it is killed after `statements`.
fn sqlite(case: &Case, name: &str, mode: &str, statements: &str) {
    let script = format!(
        "import os, sqlite3
c = sqlite3.connect('{name}', isolation_level=None)
c.execute('pragma journal_mode={mode}'); c.execute('pragma wal_autocheckpoint=0')
c.execute('create table if not exists t(a integer primary key, b blob)')
c.execute('begin'); c.executemany('insert or ignore into t values(?, zeroblob(500))', [(i,) for i in range(500)])
c.execute('commit'); c.execute('pragma wal_checkpoint(truncate)'); c.execute('pragma cache_size=5')
for s in '''{statements}'''.split(';'): c.execute(s)
os._exit(0)"
    );
    let ran = finish(case.command("python3").args(["-c", &script]));
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

/// Whether SQLite finds the database whole, and how many rows have the value `b`.
fn rows(case: &Case, name: &str, b: &str) -> (String, usize) {
    let script = format!(
        "import sqlite3
c = sqlite3.connect('{name}')
print(c.execute('pragma integrity_check').fetchone()[0], c.execute(\"select count(*) from t where b={b}\").fetchone()[0])"
    );
    let out = finish(case.command("python3").args(["-c", &script])).exits(0).out;
    let (check, count) = out.trim().rsplit_once(' ').unwrap();
    (check.into(), count.parse().unwrap())
}

const COMMITTED: &str = "update t set b=zeroblob(501)";
const NOT_COMMITTED: &str = "begin; update t set b=zeroblob(501)";

#[test]
fn logs_that_sqlite_ignores_are_no_obstacle() {
    if !has("python3") {
        return skip("python3 is not there");
    }
    for (mode, statements, suffix) in [
        ("persist", COMMITTED, "-journal"),
        ("truncate", COMMITTED, "-journal"),
        ("wal", NOT_COMMITTED, "-wal"),
        ("wal", "update t set b=zeroblob(501); pragma wal_checkpoint(truncate)", "-wal"),
    ] {
        let case = Case::new();
        sqlite(&case, "f", "delete", "select 1");
        case.ok("snap f");
        sqlite(&case, "f", mode, statements);
        let log = case.path(format!("f{suffix}"));
        assert!(log.exists(), "{mode}");
        assert_eq!(
            log.metadata().unwrap().len() > 0,
            !matches!(statements.rsplit('(').next(), Some("truncate)")) && mode != "truncate",
            "{mode}"
        );
        case.ok("snap --always f").says("proven");
        case.ok("restore f@1 -o copy");
        std::fs::copy(&log, case.path(format!("new{suffix}"))).unwrap();
        case.ok("restore f@1 -o new");
        assert_eq!(rows(&case, "new", "zeroblob(500)"), ("ok".into(), 500), "{mode}");
        case.ok("revert --yes f@1");
        assert_eq!(rows(&case, "f", "zeroblob(500)"), ("ok".into(), 500), "{mode}");
    }
}

#[test]
fn a_log_that_sqlite_plays_back_is_hot() {
    if !has("python3") {
        return skip("python3 is not there");
    }
    for (mode, statements, suffix, remedy) in [
        ("delete", NOT_COMMITTED, "-journal", "roll it back: `sqlite3 "),
        ("persist", NOT_COMMITTED, "-journal", "roll it back: `sqlite3 "),
        ("wal", COMMITTED, "-wal", "wal_checkpoint(TRUNCATE)"),
        ("wal", "update t set b=zeroblob(501); pragma wal_checkpoint(passive)", "-wal", "wal_checkpoint(TRUNCATE)"),
    ] {
        let case = Case::new();
        sqlite(&case, "f", "delete", "select 1");
        case.ok("snap f");
        sqlite(&case, "f", mode, statements);
        let log = format!("f{suffix}");
        let ran = case
            .exits("snap --alone f", 3)
            .says("unproven")
            .says(remedy)
            .says(&format!("{log} first, as the warning says"));
        assert_eq!(ran.err.matches("the database is both together").count(), 1, "{}", ran.err);
        case.ok("snap f").says(&format!("with {log}"));
        let edit = "edit --yes f --at 0 --hex 00";
        let ran = case.exits(edit, 2);
        assert!(!ran.err.contains("remove") && !ran.err.contains("rm "), "{}", ran.err);
        let now = (case.read("f"), case.read(&log));
        case.exits(edit, 2).says(&log).says("corrupt").says(remedy).says("--force");
        // A revert takes the log with it, and undo brings it back.
        let plan = case.exits("revert -n f@1", 0).shows(&format!("{log}: removed"));
        assert!(!plan.out.contains("refused"), "{}", plan.out);
        assert!((case.read("f"), case.read(&log)) == now);
        case.ok("revert --yes f@1").says("1 file removed").says("undo");
        assert!(!case.path(&log).exists() && case.ok("restore f@1 -o -").bytes == case.read("f"));
        assert_eq!(rows(&case, "f", "zeroblob(500)"), ("ok".into(), 500), "{mode}");
        case.ok("undo --yes f").says("1 file made");
        assert!((case.read("f"), case.read(&log)) == now);
        case.ok(&format!("undo --yes {log}")).says("1 file removed");
        assert!(!case.path(&log).exists());
        // The snapshot with the log brings back both.
        case.ok("revert --yes f").says("1 file made");
        assert!((case.read("f"), case.read(&log)) == now);
        // As the hint says: opened and closed once by its program, it is a database that can be changed.
        if has("sqlite3") {
            let pragma = if suffix == "-wal" { "PRAGMA wal_checkpoint(TRUNCATE)" } else { "PRAGMA schema_version" };
            finish(case.command("sqlite3").args(["f", pragma])).exits(0);
            case.ok("snap --always f").says("proven");
            case.ok("revert --yes f@1");
            assert_eq!(rows(&case, "f", "zeroblob(500)"), ("ok".into(), 500), "{mode}");
        }
    }
}

#[test]
fn logs_of_duckdb_are_known() {
    for (log, version) in [DUCKDB, DUCKDB_0_10] {
        let log = bytes(log);
        for suffix in [".wal", ".checkpoint.wal", ".recovery.wal"] {
            let case = Case::with_pages(5);
            let name = format!("f{suffix}");
            case.write(&name, &log[..version]);
            case.ok("snap f").says("proven");
            case.touch(1, 1);
            case.write(&name, b"a log of some other program");
            case.ok("snap f").says("proven");
            case.touch(2, 2);
            case.write(&name, &log);
            case.exits("snap --alone f", 3).says(&name).says("f -c CHECKPOINT`");
            case.ok("snap f").says(&format!("with {name}"));
            case.exits("edit --yes f --at 0 --hex 00", 2).says(&name);
            case.exits("restore f@1 -o f2", 0);
            std::fs::rename(case.path(&name), case.path(format!("new{suffix}"))).unwrap();
            case.exits("restore f@1 -o new", 2).says("DuckDB would replay it into the new file");
        }
    }
}

/// Every verb that writes a file refuses to do so beside a hot log, be the name new or replaced, also with --force; and
/// what the hint says helps.
#[test]
fn nothing_is_put_under_the_name_of_a_hot_log() {
    let case = Case::with_pages(5);
    case.ok("snap f");
    case.touch(1, 1);
    case.ok("snap f");
    case.ok("delta make f@1 f@2 -o d --reversible");
    case.write("base", &case.ok("restore f@1 -o -").bytes);
    for verb in [
        "restore f@1 -o OUT --yes",
        "delta make f@1 f@2 -o OUT",
        "delta invert d -o OUT",
        "apply base d -o OUT --yes",
        "edit f --at 0 --hex 00 -o OUT",
    ] {
        case.write("out-journal", &hot_journal());
        let _ = std::fs::remove_file(case.path("out"));
        let new = verb.replace("OUT", "out");
        case.exits(&new, 2).says("out-journal is the journal").says("rm ");
        assert!(!case.path("out").exists(), "{verb}");
        if verb.starts_with("restore") {
            case.exits(&format!("{new} -n"), 2).says("out-journal is the journal");
        }
        case.write("out", b"old");
        let ran = case.exits(&format!("{new} --force"), 2).says("out-journal is the journal").says("roll it back");
        assert!(ran.err.contains("leaves the transaction half done") && !ran.err.contains("rm "), "{}", ran.err);
        assert!(case.read("out") == b"old", "{verb}");
        std::fs::remove_file(case.path("out-journal")).unwrap();
        case.ok(&format!("{new} --force"));
    }
}

#[test]
fn a_change_that_was_interrupted_is_not_finished_beside_a_hot_log() {
    if !needs_strace() {
        return;
    }
    let (case, _, before) = interrupted();
    case.write("f-journal", &hot_journal());
    case.exits("recover --yes f", 2).says("f-journal").says("--force");
    case.exits("revert --yes f@1", 2).says("f-journal");
    case.ok("recover --rollback --yes --force f");
    assert!(case.read("f") == before);
}
