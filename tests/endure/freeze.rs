//! Snapshots of files whose writers are stopped (`--freeze`): of one moment, also of a database, and nobody stays
//! stopped.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::case::{Case, finish, needs, signal, start};
use super::mount::{Fs, Mount, needs_mounts};
use super::pairs::{Pairs, ahead};
use super::util::{Dice, by_size, eventually};

/// A directory on ext4, where nothing else is of one moment.
fn ext4() -> Option<(Case, Mount)> {
    if !needs_mounts() || !needs("python3") {
        return None;
    }
    let (mount, _image) = Mount::empty(Fs::Ext4, 256 << 20);
    Some((mount.case(), mount))
}

/// Writes a snapshot to `out`.
fn restore(case: &Case, name: &str) {
    for old in ["out", "out-journal"] {
        let _ = std::fs::remove_file(case.path(old));
    }
    case.run(["restore", "-q", "-o", "out", name]).exits(0);
}

#[test]
fn a_pair_of_counters_is_of_one_moment() {
    let Some((case, _mount)) = ext4() else { return };
    let writer = Pairs::begin(&case, 1024);
    let (wanted, mut seen, mut stopped) = (by_size(5, 50, 1000), 0, 0);
    for _ in 0..4 * wanted {
        let ran = finish(&mut case.memsnap(["--json", "snap", "--freeze", "--require", "none", "--wait", "3", "f"]));
        let report = &ran.exits(0).json()[0];
        if report["grade"] == "unproven" {
            eprintln!("{}", report["reason"]);
            continue;
        }
        seen += 1;
        stopped += usize::from(report["frozen_pids"][0] == writer.pid());
        restore(&case, &format!("f@{}", report["number"]));
        let ahead = ahead(&case.path("out"));
        assert!((0..=1).contains(&ahead), "{ahead}: {report}");
        if seen == wanted {
            break;
        }
    }
    assert!(seen == wanted && stopped > wanted / 2, "{seen} of {wanted}, {stopped} with a stop");
    // The same is seen to be wrong where nobody is stopped.
    let copies = (0..50).filter(|_| {
        std::fs::copy(case.path("f"), case.path("copy")).unwrap();
        !(0..=1).contains(&ahead(&case.path("copy")))
    });
    assert!(copies.count() > 0, "no copy was torn");
}

#[test]
fn nobody_stays_stopped_when_memsnap_is_killed() {
    let Some((case, _mount)) = ext4() else { return };
    let writer = Pairs::begin(&case, 1024);
    case.exits("snap --wait 0 f", 3);
    let mut dice = Dice(11);
    let mut hits = 0;
    for kill in 0..by_size(8, 60, 300) {
        // Slow, so that the stop takes some 100 ms.
        let words = "snap -q --freeze --require none --wait 0 --limit-rate 32M f";
        let mut child = start(case.memsnap(words.split(' ')).stdout(Stdio::null()).stderr(Stdio::null()));
        if kill % 2 == 0 {
            eventually(|| writer.is_stopped() || child.try_wait().unwrap().is_some());
        } else {
            std::thread::sleep(Duration::from_micros(dice.roll(400_000) as u64));
        }
        hits += usize::from(writer.is_stopped());
        let _ = child.kill();
        child.wait().unwrap();
        eventually(|| !writer.is_stopped());
    }
    assert!(hits > 0, "no kill hit while the writer was stopped");
}

#[test]
fn the_stop_has_an_end_whatever_happens() {
    let Some((case, _mount)) = ext4() else { return };
    let writer = Pairs::begin(&case, 1024);
    case.exits("snap --wait 0 f", 3);
    // Too short.
    let slow = "--limit-rate 8M --wait 0 f";
    case.exits(&format!("snap --freeze=50 {slow}"), 3).says("at most 50 ms, too short to read it");
    assert!(!writer.is_stopped());
    // memsnap itself is stopped.
    let run = |words: &str| {
        let words = format!("snap {words} {slow}");
        let child = start(case.memsnap(words.split(' ')).stdout(Stdio::null()).stderr(Stdio::piped()));
        eventually(|| writer.is_stopped());
        child
    };
    let child = run("--freeze=400");
    signal("STOP", &child);
    eventually(|| !writer.is_stopped());
    signal("CONT", &child);
    let said = child.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&said.stderr).contains("at most 400 ms"), "{said:?}");
    // The watchdog is killed: memsnap lets them go on at the end, and nothing was written until then.
    let child = run("--freeze=60000");
    finish(Command::new("pkill").args(["-KILL", "-P", &child.id().to_string(), "-x", "freeze-watchdog"])).exits(0);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
    assert!(!writer.is_stopped());
    for name in ["INT", "TERM", "HUP"] {
        let mut child = run("--freeze=60000");
        signal(name, &child);
        eventually(|| !writer.is_stopped());
        assert_eq!(child.wait().unwrap().code(), None);
    }
}

#[test]
fn who_is_stopped() {
    let Some((case, _mount)) = ext4() else { return };
    let (still, writer) = (Pairs::begin(&case, 256), Pairs::another(&case));
    signal("STOP", still.child());
    eventually(|| still.is_stopped());
    // The shell has the file open, and runs memsnap.
    let ran = case.shell("exec 7<>f; $M --json snap --freeze --require none f; exit $?").exits(0);
    let report = &ran.json()[0];
    assert_eq!(report["frozen_pids"].as_array().unwrap(), &[writer.pid()], "{report}");
    let left = report["not_frozen"][0].as_str().unwrap();
    assert!(left.starts_with("bash (") && left.ends_with(", as it runs this program"), "{left}");
    assert!(still.is_stopped() && !writer.is_stopped());
    signal("CONT", still.child());
    // Nobody is stopped where nobody writes.
    drop((still, writer));
    let ran = case.shell("exec 7<>f; $M --json snap --always --freeze f").exits(0);
    assert!(ran.json()[0].get("frozen_ms").is_none(), "{}", ran.out);
}

/// Transactions without end, which a rollback journal makes whole: each row has the same number.
const DATABASE: &str = "\
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute('pragma journal_mode=delete')
db.execute('create table t (id integer primary key, n integer, x blob)')
db.executemany('insert into t values (?, 0, zeroblob(3000))', [(i,) for i in range(300)])
print('ready', flush=True)
n = 0
while True:
    n += 1
    db.execute('begin immediate')
    db.execute('update t set n = ?', (n,))
    db.execute('commit')
    time.sleep(0.01)
";

const CHECK: &str = "\
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
assert db.execute('pragma integrity_check').fetchall() == [('ok',)]
assert len(db.execute('select distinct n from t').fetchall()) == 1
";

#[test]
fn a_database_with_a_rollback_journal_is_whole() {
    let Some((case, _mount)) = ext4() else { return };
    let mut command = case.command("python3");
    command.args(["-c", DATABASE, "db"]).stdout(Stdio::piped());
    let mut writer = start(&mut command);
    std::io::Read::read_exact(writer.stdout.as_mut().unwrap(), &mut [0; 6]).unwrap();
    let (wanted, mut whole) = (by_size(4, 30, 200), 0);
    for _ in 0..20 * wanted {
        let ran = finish(&mut case.memsnap(["--json", "snap", "--freeze", "--always", "--require", "none", "db"]));
        let report = &ran.exits(0).json()[0];
        // With a hot journal, which is another file, it is not whole, and says so.
        if report["grade"] == "unproven" {
            continue;
        }
        whole += 1;
        restore(&case, &format!("db@{}", report["number"]));
        finish(case.command("python3").args(["-c", CHECK, "out"])).exits(0);
        if whole == wanted {
            break;
        }
    }
    let _ = writer.kill();
    writer.wait().unwrap();
    assert_eq!(whole, wanted);
}
