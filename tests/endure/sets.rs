//! Sets, and databases with their logs, captured while they are written: what is graded observed or better is of one
//! moment.

use std::process::{Child, Command, Stdio};

use super::case::{Case, finish, needs, start};
use super::mount::{Fs, Mount, needs_btrfs, needs_mounts};
use super::util::by_size;

/// Stores a number to a page of the first file, then to one of the second, again and again; rests now and then.
const COUNTERS: &str = "\
import mmap, struct, sys, time
maps = []
for name in sys.argv[1:3]:
    f = open(name, 'r+b'); maps.append(mmap.mmap(f.fileno(), 0))
print('ready', flush=True)
n = 0
while True:
    for _ in range(2000):
        n += 1
        for m in maps: struct.pack_into('<Q', m, 300 * 4096, n)
    time.sleep(float(sys.argv[3]))
";

/// Transactions without end in a write-ahead log that is copied back now and then: each row has the same number.
const DATABASE: &str = "\
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute('pragma journal_mode=wal'); db.execute('pragma wal_autocheckpoint=50')
db.execute('create table t (id integer primary key, n integer, x blob)')
db.executemany('insert into t values (?, 0, zeroblob(900))', [(i,) for i in range(100)])
print('ready', flush=True)
n = 0
while True:
    n += 1
    db.execute('begin immediate'); db.execute('update t set n = ?', (n,)); db.execute('commit')
    time.sleep(float(sys.argv[2]))
";

const CHECK: &str = "\
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
assert db.execute('pragma integrity_check').fetchall() == [('ok',)]
assert len(db.execute('select distinct n from t').fetchall()) == 1
";

/// A process that is killed at the end.
struct Writer(Child);

impl Writer {
    fn begin(case: &Case, script: &str, words: &[&str]) -> Writer {
        let mut command = case.command("python3");
        let mut child = start(command.args(["-c", script]).args(words).stdout(Stdio::piped()));
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0; 6]).unwrap();
        Writer(child)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A file system, how long writers rest there, and what `snap` needs to see a moment all the same.
fn grounds() -> Vec<(Fs, &'static str, &'static [&'static str])> {
    let mut all: Vec<(Fs, _, &'static [&'static str])> =
        vec![(Fs::Ext4, "0.001", &["--freeze"]), (Fs::Xfs, "0.15", &["--clone=auto"])];
    all.extend(needs_btrfs().then_some((Fs::Btrfs, "0.15", &["--clone=auto"][..])));
    all
}

/// Runs `take` until it has said of `wanted` captures that they were of one moment.
fn until(wanted: usize, mut take: impl FnMut() -> bool) {
    let seen = (0..40 * wanted).filter(|_| take()).take(wanted).count();
    assert_eq!(seen, wanted, "too few captures were of one moment");
}

fn ahead(a: &[u8], b: &[u8]) -> i64 {
    let number = |bytes: &[u8]| i64::from_le_bytes(bytes[300 * 4096..][..8].try_into().unwrap());
    number(a) - number(b)
}

#[test]
fn counters_in_two_files_of_a_set_are_of_one_moment() {
    if !needs_mounts() || !needs("python3") {
        return;
    }
    for (fs, rest, how) in grounds() {
        let (mount, _image) = Mount::empty(fs, 400 << 20);
        let case = mount.case();
        for name in ["a", "b"] {
            case.write(name, &vec![0; 512 * 4096]);
        }
        let writer = Writer::begin(&case, COUNTERS, &["a", "b", rest]);
        until(by_size(4, 40, 1000), || {
            let mut words = vec!["--json", "snap", "--set", "a", "b", "--require", "none", "--wait", "2"];
            words.extend(how);
            let report = finish(&mut case.memsnap(words)).exits(0).json().remove(0);
            if report["grade"] == "unproven" {
                return false;
            }
            let id = report["set"].as_str().unwrap().to_string();
            let _ = std::fs::remove_dir_all(case.path("out"));
            case.run(["-q", "restore", &format!("set:{id}"), "-o", "out"]).exits(0);
            let ahead = ahead(&case.read("out/a"), &case.read("out/b"));
            assert!((0..=1).contains(&ahead), "{fs:?}: {ahead}: {report}");
            true
        });
        // The same is seen to be wrong in copies.
        let busy = (fs == Fs::Ext4).then(|| {
            let torn = (0..200).filter(|_| !(0..=1).contains(&ahead(&case.read("a"), &case.read("b"))));
            torn.count()
        });
        assert!(busy != Some(0), "no copy was torn");
        drop(writer);
        case.ok("verify");
    }
}

#[test]
fn a_database_with_a_write_ahead_log_is_whole() {
    if !needs_mounts() || !needs("python3") {
        return;
    }
    for (fs, rest, how) in grounds() {
        let (mount, _image) = Mount::empty(fs, 400 << 20);
        let case = mount.case();
        let writer = Writer::begin(&case, DATABASE, &["db", rest]);
        let mut with_log = 0;
        until(by_size(4, 30, 200), || {
            let mut words = vec!["--json", "snap", "--always", "--require", "none", "--wait", "2", "db"];
            words.extend(how);
            let report = finish(&mut case.memsnap(words)).exits(0).json().remove(0);
            if report["grade"] == "unproven" {
                return false;
            }
            with_log += usize::from(report["companions"].is_array());
            for old in ["out", "out-wal", "out-shm"] {
                let _ = std::fs::remove_file(case.path(old));
            }
            case.run(["-q", "restore", &format!("db@{}", report["number"]), "-o", "out"]).exits(0);
            finish(Command::new("python3").current_dir(case.dir()).args(["-c", CHECK, "out"])).exits(0);
            true
        });
        assert!(with_log > 0, "{fs:?}: no capture had the log");
        drop(writer);
        case.ok("verify");
    }
}
