//! `memsnap lock`: who is named, how it waits, what other users see.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use super::case::{Case, Ran, UNPRIVILEGED, finish, is_root, json_lines, needs, no_forks, program, start};
use super::trace::needs_strace;
use super::util::{chmod, eventually};

/// Python that takes a lock on argv[1], says `ready PID` and lives until its stdin is closed.
const PEER: &str = "import fcntl,os,signal,struct,sys
signal.alarm(120)
f=os.open(sys.argv[1],os.O_RDWR)
def lock(command,kind,start,length):
    fcntl.fcntl(f,command,struct.pack('hhqqi4x',kind,0,start,length,0))
def ready():
    os.write(1,b'ready %d\\n'%os.getpid())
    sys.stdin.read()
";
const OFD: &str = "lock(37,fcntl.F_WRLCK,100,50)\nready()";
const POSIX: &str = "lock(fcntl.F_SETLK,fcntl.F_WRLCK,100,50)\nready()";
const FLOCK: &str = "fcntl.flock(f,fcntl.LOCK_EX)\nready()";
/// Who locked it has ended, and a child has it.
const HEIR: &str = "fcntl.flock(f,fcntl.LOCK_EX)\nif os.fork()==0:\n    ready()\nos._exit(0)";
const OFD_HEIR: &str = "lock(37,fcntl.F_WRLCK,0,0)\nif os.fork()==0:\n    ready()\nos._exit(0)";

/// A process that holds a lock; it lets go when dropped.
struct Peer {
    child: Child,
    pid: u32,
}

impl Peer {
    fn new(case: &Case, code: &str) -> Peer {
        let mut python = case.command("python3");
        python.args(["-c", &format!("{PEER}{code}"), "f"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = start(&mut python);
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let pid = line.trim_start_matches("ready ").trim().parse().unwrap();
        Peer { child, pid }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

pub(crate) fn case() -> Case {
    let case = Case::new();
    case.write("f", b"");
    case
}

/// What the program says on a terminal, which is stderr alone.
fn on_terminal(case: &Case, words: &str) -> String {
    const PTY: &str = "import os,pty,subprocess,sys
master,slave=pty.openpty()
subprocess.run(sys.argv[1:],stderr=slave)
os.close(slave)
out=b''
try:
    while chunk:=os.read(master,4096): out+=chunk
except OSError: pass
sys.stdout.buffer.write(out)";
    finish(case.command("python3").args(["-c", PTY]).arg(program()).args(words.split_whitespace())).exits(0).out
}

pub(crate) fn is_free(case: &Case) -> bool {
    case.run(["lock", "-qn", "f", "true"]).code == Some(0)
}

/// Whether so many wait for a lock on `f`, by the kernel's table.
pub(crate) fn waiting(case: &Case) -> usize {
    let ino = std::os::unix::fs::MetadataExt::ino(&case.path("f").metadata().unwrap());
    let table = std::fs::read_to_string("/proc/locks").unwrap();
    table.lines().filter(|l| l.contains("-> ") && l.contains(&format!(":{ino} "))).count()
}

/// The program as an unprivileged user, from a copy that all users may run.
fn as_unprivileged(case: &Case, args: &[&str]) -> Command {
    let _alone = no_forks();
    let copy = case.path("memsnap");
    if !copy.exists() {
        std::fs::copy(program(), &copy).unwrap();
        chmod(case.dir(), 0o777);
        chmod(case.path("f"), 0o666);
    }
    let mut command = case.as_user(UNPRIVILEGED, copy);
    command.args(args);
    command
}

#[test]
fn holders_are_named() {
    if !needs("python3") {
        return;
    }
    for (code, options, free) in [
        (FLOCK, "-n", "--fcntl -n"),
        (HEIR, "-n -s", "--fcntl -n"),
        (OFD, "--fcntl -n", "-n"),
        (OFD, "--start 149 -n -s", "--start 150 -n"),
        (OFD, "--start 99 --length 2 -w 0.01", "--length 100 -n"),
        (OFD_HEIR, "--start 1M -n", "-n"),
        (POSIX, "--length 101 -n", "--start 150 --length 1 -n"),
    ] {
        let case = case();
        let peer = Peer::new(&case, code);
        let named = format!("\nmemsnap: f is locked by PID {} (python3), started 20", peer.pid);
        eventually(|| case.exits(&format!("lock -v {options} f touch no"), 1).err.contains(&named));
        let ran = case.exits(&format!("lock --json -E 9 {options} f touch no"), 9);
        let conflict = &json_lines(&ran.err)[0];
        assert_eq!((&conflict["code"], &conflict["path"]), (&9.into(), &"f".into()), "{conflict}");
        assert_eq!(conflict["holders"][0]["pid"], peer.pid, "{conflict}");
        assert!(is_recent(conflict["holders"][0]["started"].as_str().unwrap()), "{conflict}");
        // As flock(1), which cron would otherwise mail at every run.
        assert_eq!(case.exits(&format!("lock {options} f touch no"), 1).err, "");
        let on_terminal = |quiet: &str| on_terminal(&case, &format!("lock {quiet} {options} f touch no"));
        assert!(on_terminal("").starts_with(&named[1..]), "{}", on_terminal(""));
        assert_eq!(on_terminal("-q"), "");
        assert!(!case.path("no").exists());
        case.ok(&format!("lock {free} f true"));
        drop(peer);
        eventually(|| case.run(format!("lock {options} f true").split(' ')).code == Some(0));
    }
}

#[test]
fn a_terminal_shows_what_is_waited_for() {
    if !needs("python3") {
        return;
    }
    let case = case();
    let peer = Peer::new(&case, FLOCK);
    let waiting = format!("memsnap: waiting: f is locked by PID {} (python3)", peer.pid);
    let shown = on_terminal(&case, "lock -w 1 f touch no");
    assert!(shown.starts_with(&waiting), "{shown}");
    assert_eq!(on_terminal(&case, "lock -q -w 1 f touch no"), "");
    drop(peer);
    assert_eq!(on_terminal(&case, "lock f true"), "");
}

/// Whether it is a time such as 2026-01-31T12:00:00Z within the last minute, by date(1).
fn is_recent(time: &str) -> bool {
    let ran = finish(Command::new("date").args(["-d", time, "+%s"])).exits(0);
    let then = Duration::from_secs(ran.out.trim().parse().unwrap());
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().abs_diff(then) < Duration::from_secs(60)
}

#[test]
fn several_are_named_and_names_are_harmless() {
    if !needs("python3") {
        return;
    }
    let case = case();
    let code = "fcntl.flock(f,fcntl.LOCK_SH)\nopen('/proc/self/comm','wb').write(b'\\x1b[31m\\n\\xff')\nready()";
    let peers: Vec<_> = (0..7).map(|_| Peer::new(&case, code)).collect();
    let mut ran = case.exits("lock -vn f true", 1);
    eventually(|| {
        ran = case.exits("lock -vn f true", 1);
        ran.err.contains("; 2 more")
    });
    assert_eq!(ran.err.matches("PID ").count(), 5, "{}", ran.err);
    assert!(ran.err.lines().count() == 2 && ran.err.contains("\\u{1b}[31m"), "{}", ran.err);
    let ran = case.exits("lock -n --json f true", 1);
    assert_eq!(json_lines(&ran.err)[0]["holders"].as_array().unwrap().len(), peers.len());
    case.ok("lock -sn f true");
}

#[test]
fn what_a_plain_user_sees() {
    if !is_root() || !needs("setpriv") || !needs("python3") {
        return; // not root: all the others ran as a plain user
    }
    let case = case();
    let peer = Peer::new(&case, FLOCK);
    finish(&mut as_unprivileged(&case, &["lock", "-vn", "f", "true"]))
        .exits(1)
        .says(&format!("by PID {} (python3)", peer.pid));
    drop(peer);
    eventually(|| is_free(&case));
    let peer = Peer::new(&case, OFD);
    finish(&mut as_unprivileged(&case, &["lock", "--fcntl", "-vn", "f", "true"])).exits(1).says("not visible here");
    // Its own processes it does see.
    drop(peer);
    let mut holder = as_unprivileged(&case, &["lock", "f", "-c", "echo in; read end"]);
    let mut holder = start(holder.stdin(Stdio::piped()).stdout(Stdio::piped()));
    holder.stdout.as_mut().unwrap().read_exact(&mut [0; 3]).unwrap();
    finish(&mut as_unprivileged(&case, &["lock", "-vn", "f", "true"])).exits(1).says("by PID ").says("(memsnap)");
    drop(holder.stdin.take());
    holder.wait().unwrap();
    finish(&mut as_unprivileged(&case, &["lock", "-n", "f", "sh", "-c", "id -u; exit 4"])).exits(4).shows("65534");
    // Not readable: as flock(1). In a sticky directory of all, the files of others can be locked, if read.
    chmod(case.path("f"), 0o600);
    finish(&mut as_unprivileged(&case, &["lock", "f", "true"])).exits(66).says("ermission denied");
    chmod(case.path("f"), 0o644);
    chmod(case.dir(), 0o1777);
    finish(&mut as_unprivileged(&case, &["lock", "f", "true"])).exits(0);
    finish(&mut as_unprivileged(&case, &["lock", "--fcntl", "f", "true"])).exits(66);
}

#[test]
fn the_queue_is_the_kernels() {
    let case = case();
    let held =
        case.memsnap(["lock", "f", "-c", "echo in; read end"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut held = held.unwrap();
    held.stdout.as_mut().unwrap().read_exact(&mut [0; 3]).unwrap();
    let mut waiters = Vec::new();
    for i in 0..5 {
        let wait = ["lock", "-w", if i % 2 == 0 { "60" } else { "1e9" }, "f", "-c", &format!("echo {i} >>order")];
        waiters.push(start(&mut case.memsnap(wait)));
        eventually(|| waiting(&case) == i + 1);
    }
    drop(held.stdin.take());
    held.wait().unwrap();
    waiters.iter_mut().for_each(|w| assert!(w.wait().unwrap().success()));
    assert_eq!(case.read("order"), b"0\n1\n2\n3\n4\n");
}

#[test]
fn one_call_waits() {
    if !needs_strace() {
        return;
    }
    for (options, call) in [("", "flock("), ("-w 60", "flock("), ("-w 0.3", "flock("), ("--fcntl", "F_OFD_SETLKW")] {
        let case = case();
        let hold = if call == "flock(" { "lock f -c" } else { "lock --fcntl f -c" };
        let mut holder = case.memsnap(hold.split(' ').chain(["echo in; read end"]));
        let mut holder = start(holder.stdin(Stdio::piped()).stdout(Stdio::piped()));
        holder.stdout.as_mut().unwrap().read_exact(&mut [0; 3]).unwrap();
        let mut waiter = case.command("strace");
        waiter.args(["-qq", "-o", "trace", "-e", "trace=flock,fcntl"]).arg(program()).arg("lock");
        waiter.args(options.split_whitespace()).args(["f", "true"]);
        let mut waiter = start(waiter.stderr(Stdio::null()));
        if options == "-w 0.3" {
            assert_eq!(waiter.wait().unwrap().code(), Some(1));
        }
        eventually(|| waiting(&case) == usize::from(options != "-w 0.3"));
        std::thread::sleep(Duration::from_millis(200));
        drop(holder.stdin.take());
        holder.wait().unwrap();
        waiter.wait().unwrap();
        let trace = String::from_utf8(case.read("trace")).unwrap();
        assert_eq!(trace.lines().filter(|l| l.contains(call)).count(), 1, "{options}: {trace}");
    }
}

#[test]
fn a_wait_has_its_time() {
    let case = case();
    let holder = {
        let _alone = no_forks();
        std::fs::File::open(case.path("f")).unwrap()
    };
    holder.lock().unwrap();
    for (secs, least) in [("0.25", 250), ("0.000001", 0), ("0", 0)] {
        let start = Instant::now();
        case.exits(&format!("lock -w {secs} f touch no"), 1);
        assert!(start.elapsed() >= Duration::from_millis(least) && start.elapsed() < Duration::from_secs(5), "{secs}");
    }
    assert!(!case.path("no").exists() && waiting(&case) == 0);
    // The alarm is gone when the command runs, also in the place of the program.
    drop(holder);
    for options in ["-w 0.1", "-F -w 0.1"] {
        case.ok(&format!("lock {options} f sleep 0.3"));
    }
}

#[test]
fn the_command_in_its_place() {
    let case = case();
    let child = start(case.memsnap(["lock", "-F", "f", "sh", "-c", "echo $$"]).stdout(Stdio::piped()));
    let pid = child.id();
    let ran = Ran::of(child.wait_with_output().unwrap(), "lock -F".into());
    assert_eq!(ran.out.trim(), pid.to_string());
    let ran = case.ok("lock --verbose f true");
    assert!(ran.out.starts_with("memsnap: getting lock took 0.") && ran.out.ends_with("executing true\n"), "{ran:?}");
}

/// 4000 locks with 40 descriptors were a matter of seconds once: each was looked for among all.
#[test]
fn many_locks_are_listed_quickly() {
    if !needs("python3") {
        return;
    }
    let case = case();
    let many = "for i in range(4000): lock(fcntl.F_SETLK,fcntl.F_WRLCK,10*i,5)\nfor i in range(40): os.dup(f)\nready()";
    let _peer = Peer::new(&case, many);
    let ran = case.ok("--json stat --locks f");
    assert_eq!(ran.json()[0]["locks"].as_array().map(Vec::len), Some(4000), "{}", &ran.out[..400]);
    case.exits("lock -vn --start 0 --length 1 f true", 1).says("python3");
}
