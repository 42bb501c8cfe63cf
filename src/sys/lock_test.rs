//! Locks among real processes: shells that run flock(1), and this test program run under them.

use super::*;
use crate::sys::eventually;
use std::io::Read;
use std::process::{Child, Command, Stdio};

const CHILD: &str = "MEMSNAP_TEST_LOCK";

fn target() -> tempfile::TempPath {
    tempfile::NamedTempFile::new().unwrap().into_temp_path()
}

fn open(path: &Path) -> File {
    File::options().read(true).write(true).open(path).unwrap()
}

fn has_flock() -> bool {
    let has = Command::new("flock").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !has {
        crate::sys::skipped("no flock(1)");
    }
    has
}

/// A shell that runs `script` with `$1` the path, and has said "ready".
fn shell(script: &str, path: &Path) -> Child {
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(path).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
    child
}

fn end(mut child: Child) {
    drop(child.stdin.take());
    child.wait().unwrap();
}

fn busy_holder(result: Result<Held>) -> String {
    match result {
        Err(Error::Busy { holder, .. }) => holder,
        other => panic!("not busy: {other:?}"),
    }
}

#[test]
fn shared_and_alone() {
    let path = target();
    let (one, two) = (open(&path), open(&path));
    assert_eq!(flock(&one, &path, LockMode::Shared, Duration::ZERO).unwrap(), Held::ByUs);
    assert_eq!(flock(&two, &path, LockMode::Shared, Duration::ZERO).unwrap(), Held::ByUs);
    let ours = std::process::id();
    let is_ours = |l: &Lock| !l.exclusive && l.kind == LockKind::Flock && l.holders.iter().all(|h| h.pid == ours);
    assert!(eventually(|| kernel_locks::of(&one).held().all(is_ours)));
    let holder = busy_holder(flock(&one, &path, LockMode::Exclusive, Duration::ZERO));
    assert!(holder.starts_with("locked by PID "), "{holder}");
}

#[test]
fn waiting_has_an_end_or_succeeds() {
    let path = target();
    let (one, two) = (open(&path), open(&path));
    let _ = flock(&one, &path, LockMode::Exclusive, Duration::ZERO).unwrap();
    let start = Instant::now();
    busy_holder(flock(&two, &path, LockMode::Shared, Duration::from_millis(60)));
    assert!(start.elapsed() >= Duration::from_millis(60) && start.elapsed() < Duration::from_secs(5));
    let opener = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        drop(one);
    });
    assert_eq!(flock(&two, &path, LockMode::Exclusive, Duration::from_secs(20)).unwrap(), Held::ByUs);
    opener.join().unwrap();
}

#[test]
fn the_holder_is_named_though_who_locked_is_gone() {
    if !has_flock() {
        return;
    }
    let path = target();
    // The shell holds it; the number on record is of the flock(1) that has ended.
    let child = shell("exec 9>>\"$1\"; flock 9; echo ready; read end", &path);
    let file = open(&path);
    let expected = format!("locked by PID {} (sh)", child.id());
    assert!(eventually(|| busy_holder(flock(&file, &path, LockMode::Shared, Duration::ZERO)) == expected));
    end(child);
    assert!(eventually(|| kernel_locks::of(&file).locks.is_empty()));
}

#[test]
fn a_waiter_is_no_holder() {
    if !has_flock() {
        return;
    }
    let path = target();
    let file = open(&path);
    let _ = flock(&file, &path, LockMode::Exclusive, Duration::ZERO).unwrap();
    let child = shell("echo ready; exec flock \"$1\" true", &path);
    let waits = || std::fs::read_to_string("/proc/locks").unwrap().contains(&format!(" {} ", child.id()));
    let start = Instant::now();
    while !waits() && start.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(waits());
    assert!(eventually(|| kernel_locks::of(&file)
        .held()
        .all(|l| l.holders.iter().all(|h| h.pid == std::process::id()))));
    assert_eq!(kernel_locks::of(&file).held().count(), 1);
    drop(file);
    end(child);
}

/// Runs this very test again under `script` ("$0" is the program, "$1" the path) and returns what it says.
fn under(script: &str, path: &Path) -> String {
    let out = Command::new("sh")
        .args(["-c", &script.replace("TEST", "\"$0\" --exact sys::lock::tests::ancestors_lend_theirs --nocapture")])
        .arg(std::env::current_exe().unwrap())
        .arg(path)
        .env(CHILD, path)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    text.lines().find_map(|l| l.strip_prefix("result: ").map(str::to_owned)).unwrap_or(text)
}

#[test]
fn ancestors_lend_theirs() {
    if let Some(path) = std::env::var_os(CHILD) {
        use std::io::Write;
        let path = Path::new(&path);
        let result = match flock(&open(path), path, LockMode::Exclusive, Duration::from_millis(300)) {
            Ok(held) => format!("{held:?}"),
            Err(e) => format!("{e}; {e:?}"),
        };
        writeln!(std::io::stderr(), "result: {result}").unwrap();
        return;
    }
    if !has_flock() {
        return;
    }
    let path = target();
    assert_eq!(under("TEST", &path), "ByUs");
    assert_eq!(under("flock \"$1\" TEST", &path), "ByAncestor");
    assert_eq!(under("flock \"$1\" sh -c 'TEST; true' \"$0\" \"$1\"", &path), "ByAncestor");
    assert_eq!(under("exec 9>>\"$1\"; flock 9; TEST; true", &path), "ByAncestor");
    // flock -o closes it for the command, and is the ancestor that holds it.
    assert_eq!(under("flock -o \"$1\" TEST; true", &path), "ByAncestor");
    let shared = under("flock -s \"$1\" TEST", &path);
    assert!(shared.contains("is busy") && shared.contains("LentShared"), "{shared}");
    // Not an ancestor: a sibling.
    let child = shell("exec 9>>\"$1\"; flock 9; echo ready; read end", &path);
    assert!(under("TEST", &path).contains(&format!("locked by PID {}", child.id())));
    end(child);
}
