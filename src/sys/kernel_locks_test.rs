//! Lines of the kernel's table, and locks held by real processes: Python, which can take all sorts.

use super::imp::{LockLine, once};
use super::*;
use crate::sys::eventually;
use crate::sys::process::Identity;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};

/// Python code has `f`, a descriptor of the file, and `lock(command, type, start, length)` for fcntl.
const PRELUDE: &str = "import os,sys,fcntl,struct,time,signal
f=os.open(sys.argv[1],os.O_RDWR)
def lock(command,kind,start,length):
    fcntl.fcntl(f,command,struct.pack('hhqqi4x',kind,0,start,length,0))
def ready():
    os.write(1,b'ready\\n')
    sys.stdin.read()
";
const OFD_SETLK: i32 = 37;

/// A peer that has run `code` and says so; gone when its stdin is closed.
fn peer(code: &str, file: &tempfile::NamedTempFile) -> Option<Child> {
    let mut python = Command::new("python3");
    python.args(["-c", &format!("{PRELUDE}{code}")]).arg(file.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut child) = python.spawn() else {
        crate::sys::skipped("no python3");
        return None;
    };
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
    Some(child)
}

fn end(mut child: Child) {
    drop(child.stdin.take());
    child.wait().unwrap();
}

fn target() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(8192).unwrap();
    file
}

/// Kind, exclusive, start, end, waiting, holders.
type Short = (LockKind, bool, u64, Option<u64>, bool, Vec<u32>);

/// The locks in short, with those who have them; this process is 0. No other process may keep what we have open.
fn seen(file: &File) -> Vec<Short> {
    let us = std::process::id();
    let pids = |l: &Lock| l.holders.iter().map(|h| if h.pid == us { 0 } else { h.pid }).collect();
    of(file).locks.iter().map(|l| (l.kind, l.exclusive, l.start, l.end, l.waiting, pids(l))).collect()
}

#[test]
fn lines_are_read() {
    let file = target();
    let metadata = file.as_file().metadata().unwrap();
    let (dev, ino) = (metadata.dev(), metadata.ino());
    let place = format!("{:02x}:{:02x}:{ino}", rustix::fs::major(dev), rustix::fs::minor(dev));
    let identity = Identity::of(file.as_file()).unwrap();
    let parse = |line: &str| LockLine::parse(&line.replace("HERE", &place), &identity);
    let line = |kind, exclusive, waiting, pid, start, end| Some(LockLine { kind, exclusive, waiting, pid, start, end });
    use LockKind::*;
    assert_eq!(parse("1: FLOCK  ADVISORY  WRITE 123 HERE 0 EOF"), line(Flock, true, false, 123, 0, None));
    assert_eq!(parse("1: -> FLOCK  ADVISORY  READ 123 HERE 0 EOF"), line(Flock, false, true, 123, 0, None));
    assert_eq!(parse("1:    -> POSIX  ADVISORY  READ 1 HERE 7 7"), line(Posix, false, true, 1, 7, Some(8)));
    assert_eq!(parse("99: OFDLCK ADVISORY  READ -1 HERE 100 299"), line(Ofd, false, false, -1, 100, Some(300)));
    assert_eq!(parse("2: LEASE  BREAKING  UNLCK 5 HERE 0 EOF"), line(Lease, false, false, 5, 0, None));
    let last = i64::MAX as u64;
    let far = format!("1: POSIX  ADVISORY  WRITE 1 HERE {} {last}", last - 1);
    assert_eq!(parse(&far), line(Posix, true, false, 1, last - 1, Some(last + 1)));
    for other in ["", "1:", "1: FLOCK", "1: FLOCK ADVISORY WRITE 1 HERE 0", "1: WHAT ADVISORY WRITE 1 HERE 0 EOF"] {
        assert_eq!(parse(other), None, "{other}");
    }
    assert_eq!(parse(&format!("1: FLOCK  ADVISORY  WRITE 1 ff:ff:{ino} 0 EOF")), None);
    assert_eq!(parse("1: FLOCK  ADVISORY  WRITE 1 HERE0 0 EOF"), None);
}

/// The table is read in pieces, and may say a line twice; two descriptors may have the same flock.
#[test]
fn lines_that_come_twice() {
    let line = |kind, waiting| LockLine { kind, exclusive: true, waiting, pid: 7, start: 0, end: None };
    let lines = [
        line(LockKind::Posix, false),
        line(LockKind::Posix, false),
        line(LockKind::Posix, true),
        line(LockKind::Flock, false),
        line(LockKind::Flock, false),
    ];
    let read: Vec<_> = once(lines.clone().into_iter()).collect();
    assert_eq!(read, lines[1..]);
}

#[test]
fn all_families_are_named() {
    let file = target();
    assert!(eventually(|| of(file.as_file()).locks.is_empty()));
    let code = format!(
        "fcntl.flock(f,fcntl.LOCK_SH)\nlock(fcntl.F_SETLK,fcntl.F_WRLCK,10,20)\n\
         lock({OFD_SETLK},fcntl.F_RDLCK,100,0)\nready()"
    );
    let Some(child) = peer(&code, &file) else { return };
    let holder = vec![child.id()];
    let expected = [
        (LockKind::Flock, false, 0, None, false, holder.clone()),
        (LockKind::Posix, true, 10, Some(30), false, holder.clone()),
        (LockKind::Ofd, false, 100, None, false, holder),
    ];
    let sorted = || {
        let mut found = seen(file.as_file());
        found.sort();
        found
    };
    assert!(eventually(|| sorted() == expected), "{:?}", of(file.as_file()));
    let locks = of(file.as_file());
    let process = &locks.locks[0].holders[0];
    assert!(locks.complete || crate::sys::id::euid() != 0 || !super::super::process::in_initial_namespace());
    assert!(process.command.as_ref().unwrap().starts_with("python"));
    let age = SystemTime::now().duration_since(process.started.unwrap()).unwrap_or_default();
    assert!(age.as_secs() < 60, "{process:?}");
    end(child);
    assert!(eventually(|| of(file.as_file()).locks.is_empty()));
}

#[test]
fn a_lease_is_named() {
    let file = target();
    let path = file.path().to_owned();
    let code = "os.close(f)\nf=os.open(sys.argv[1],os.O_RDONLY)\nfor i in range(500):\n  try:\n    \
                fcntl.fcntl(f,fcntl.F_SETLEASE,fcntl.F_RDLCK)\n    break\n  except OSError:\n    time.sleep(.01)\nready()";
    // Open for reading only, or there is no lease.
    let path = tempfile::TempPath::try_from_path(path).unwrap();
    let (_, _) = file.keep().unwrap();
    let reader = File::open(&path).unwrap();
    let mut python = Command::new("python3");
    python.args(["-c", &format!("{PRELUDE}{code}")]).arg(&path).stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut child) = python.spawn() else { return crate::sys::skipped("no python3") };
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
    let expected = [(LockKind::Lease, false, 0, None, false, vec![child.id()])];
    assert!(eventually(|| seen(&reader) == expected), "{:?}", of(&reader));
    end(child);
}

/// Who took the lock is gone, and two have it; the table has one line.
#[test]
fn heirs_are_named() {
    for take in ["fcntl.flock(f,fcntl.LOCK_EX)", "lock(37,fcntl.F_WRLCK,0,0)"] {
        let file = target();
        let code = format!(
            "r,w=os.pipe()\nif os.fork()==0:\n  {take}\n  if os.fork()==0:\n    os.close(w)\n    \
             signal.alarm(60)\n    os.write(1,b'%d up\\n'%os.getpid())\n    sys.stdin.read()\n  os._exit(0)\n\
             os.wait()\nready()"
        );
        let mut python = Command::new("python3");
        python.args(["-c", &format!("{PRELUDE}{code}")]).arg(file.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let Ok(mut child) = python.spawn() else { return crate::sys::skipped("no python3") };
        let mut said = String::new();
        let out = child.stdout.as_mut().unwrap();
        while !(said.contains("ready\n") && said.contains(" up\n")) {
            let mut byte = [0];
            out.read_exact(&mut byte).unwrap();
            said.push(char::from(byte[0]));
        }
        let heir = said.lines().find_map(|l| l.strip_suffix(" up")).unwrap().parse().unwrap();
        let mut both = vec![child.id(), heir];
        both.sort_unstable();
        let found = || of(file.as_file()).locks;
        assert!(eventually(|| found().len() == 1), "{take}: {:?}", found());
        let pids = |l: &Lock| l.holders.iter().map(|h| h.pid).collect::<Vec<_>>();
        assert!(eventually(|| pids(&found()[0]) == both), "{take}: {:?} {both:?}", found());
        end(child);
        assert!(eventually(|| found().is_empty()));
    }
}

/// Two shared locks look the same in the table: comparing the descriptions shows whose is which.
#[test]
fn equal_locks_are_read_apart() {
    let file = target();
    let code = format!("lock({OFD_SETLK},fcntl.F_RDLCK,0,0)\nready()");
    let (Some(one), Some(two)) = (peer(&code, &file), peer(&code, &file)) else { return };
    let mut pids = [vec![one.id()], vec![two.id()]];
    pids.sort();
    let found = || {
        let mut found: Vec<_> = seen(file.as_file()).into_iter().map(|l| l.5).collect();
        found.sort();
        found
    };
    assert!(eventually(|| found() == pids), "{:?}", found());
    end(one);
    end(two);
}

#[test]
fn who_waits_is_read() {
    let file = target();
    let other = File::open(file.path()).unwrap();
    other.lock().unwrap();
    let code = "print('ready',flush=True)\nfcntl.flock(f,fcntl.LOCK_SH)";
    let Some(mut child) = peer(code, &file) else { return };
    let expected =
        [(LockKind::Flock, true, 0, None, false, vec![0]), (LockKind::Flock, false, 0, None, true, vec![child.id()])];
    assert!(eventually(|| seen(file.as_file()) == expected), "{:?}", of(file.as_file()));
    assert!(!of(file.as_file()).locks[1].is_held_by(child.id()));
    assert_eq!(of(file.as_file()).held().count(), 1);
    drop(other);
    let _ = child.stdin.as_mut().unwrap().write_all(b"x");
    child.wait().unwrap();
}
