//! `stat` and what other processes do with the file: maps, descriptors, locks, leases.

use std::io::Read;
use std::process::{Child, Stdio};

use serde_json::Value;

use super::case::{Case, finish, has, skip, start};
use super::grades::holder_of;

/// Python that runs `script` in the directory of `case` with `f` open as `fd`, says that it is there and waits; none
/// where there is no Python.
fn python(case: &Case, script: &str) -> Option<Child> {
    if !has("python3") {
        skip("python3 is not there");
        return None;
    }
    let script = format!(
        "import fcntl,mmap,os,signal,struct,sys\nfd=os.open('f',os.O_RDWR)\n{script}\nprint('ready',flush=True)\n\
         sys.stdin.read()"
    );
    let mut command = case.command("python3");
    let mut child = start(command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()));
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
    Some(child)
}

fn end(mut child: Child) {
    drop(child.stdin.take());
    child.wait().unwrap();
}

fn json(case: &Case, words: &str) -> Value {
    case.ok(&format!("--json stat {words}")).json().remove(0)
}

fn of_pid(list: &Value, pid: u32) -> Vec<Value> {
    list.as_array().unwrap().iter().filter(|entry| entry["pid"] == pid).cloned().collect()
}

#[test]
fn who_has_it_mapped_and_open() {
    let case = Case::with_pages(64);
    let script = "a=mmap.mmap(fd,8192,offset=65536)\n\
                  b=mmap.mmap(fd,4096,flags=mmap.MAP_PRIVATE,prot=mmap.PROT_READ)\nr=os.open('f',os.O_RDONLY)";
    let Some(peer) = python(&case, script) else { return };
    let ours = json(&case, "f");
    let mapped = &of_pid(&ours["mappers"], peer.id())[0]["ranges"];
    let range = |n: usize| {
        let range = &mapped[n];
        (range["start"].as_u64(), range["end"].as_u64(), range["shared"].as_bool(), range["writable"].as_bool())
    };
    assert_eq!(range(0), (Some(0), Some(4096), Some(false), Some(false)), "{mapped}");
    assert_eq!(range(1), (Some(65536), Some(73728), Some(true), Some(true)), "{mapped}");
    let mut writes: Vec<_> =
        of_pid(&ours["openers"], peer.id()).iter().map(|o| o["writes"].as_bool().unwrap()).collect();
    writes.sort_unstable();
    assert_eq!(writes, [false, true]);
    let pid = peer.id();
    let text = case.ok("stat f");
    let text = text.shows("0x10000..0x12000 shared read+write").shows("0x0..0x1000 private read");
    text.shows(&format!("open in     {pid} python")).shows("for writing");
    case.ok("stat -o mapped,writers,readers f").shows("1        1        1");
    end(peer);
    let text = case.ok("stat f").shows("locked      by no process");
    // Visible: where some process cannot be inspected.
    let shown = text.out.replace("no visible process", "no process");
    assert!(shown.contains("mapped      by no process") && shown.contains("open        by no process"), "{shown}");
}

/// Family, mode, first byte, last byte (none: to the end): as /proc/locks has it.
fn rows(list: &[Value], of: impl Fn(&Value) -> (String, bool, u64, u64)) -> Vec<(String, bool, u64, u64)> {
    let mut rows: Vec<_> = list.iter().map(of).collect();
    rows.sort();
    rows
}

#[test]
fn locks_as_lslocks_lists_them() {
    if !has("lslocks") {
        return skip("lslocks is not there");
    }
    let case = Case::with_pages(4);
    let script =
        "fcntl.flock(fd,fcntl.LOCK_SH)\nfcntl.lockf(fd,fcntl.LOCK_EX,100,50)\nfcntl.lockf(fd,fcntl.LOCK_SH,0,4096)";
    let Some(peer) = python(&case, script) else { return };
    let ran = finish(
        case.command("lslocks")
            .args(["--json", "-b", "-o", "TYPE,MODE,START,END,PID", "-p"])
            .arg(peer.id().to_string()),
    );
    let theirs: Value = serde_json::from_str(&ran.exits(0).out).unwrap();
    let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap();
    let theirs = rows(theirs["locks"].as_array().unwrap(), |lock| {
        let last = number(&lock["end"]);
        let end = if last == 0 { 0 } else { last + 1 };
        let family = lock["type"].as_str().unwrap().to_lowercase();
        (family, lock["mode"] == "WRITE", number(&lock["start"]), end)
    });
    let ours = json(&case, "f");
    let list = ours["locks"].as_array().unwrap();
    assert!(list.iter().all(|lock| lock["holders"][0]["pid"] == peer.id()), "{ours}");
    let ours = rows(list, |lock| {
        let family = lock["kind"].as_str().unwrap().to_owned();
        (family, lock["exclusive"] == true, number(&lock["start"]), lock["end"].as_u64().unwrap_or(0))
    });
    assert_eq!((ours.len(), &ours), (3, &theirs));
    end(peer);
}

#[test]
fn holders_and_waiters_of_every_family() {
    let case = Case::with_pages(4);
    let script = "fcntl.fcntl(fd,37,struct.pack('hhqqixxxx',fcntl.F_WRLCK,0,8,8,0))"; // F_OFD_SETLK
    let Some(peer) = python(&case, script) else { return };
    let pid = peer.id();
    case.ok("stat --locks f").shows(&format!("ofd exclusive 0x8..0x10 by {pid} python"));
    end(peer);
    if !has("flock") {
        return skip("flock is not there");
    }
    let mut holder = holder_of(&case, "f", "-x");
    let mut command = case.command("flock");
    let mut waiter = start(command.args(["f", "true"]));
    let waits = format!("flock exclusive, wanted by {} flock", waiter.id());
    let seen = (0..500).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        case.ok("stat --locks f").out.contains(&waits)
    });
    assert!(seen, "{}", case.ok("stat --locks f").out);
    case.ok("stat --locks f").shows(&format!("flock exclusive by {} sh", holder.id()));
    drop(holder.stdin.take());
    holder.wait().unwrap();
    waiter.wait().unwrap();
}

#[test]
fn locks_alone_for_scripts() {
    let case = Case::with_pages(4);
    case.write("g", b"g");
    assert_eq!(case.exits("stat --locks f g", 1).out, "");
    assert_eq!(case.exits("--json stat --locks f", 1).json()[0]["locked"], false);
    case.exits("stat --locks none f", 2);
    case.exits("stat --locks --content f", 2);
    if !has("flock") {
        return skip("flock is not there");
    }
    let mut holder = holder_of(&case, "f", "-s");
    let line = format!("f: flock shared by {} sh\n", holder.id());
    assert_eq!(case.exits("stat --locks f g", 0).out, line);
    assert_eq!(case.exits("-q stat --locks f", 0).out, "");
    let ours = case.exits("--json stat --locks f", 0).json().remove(0);
    let lock = &ours["locks"][0];
    assert_eq!((&lock["kind"], &lock["exclusive"], &lock["end"]), (&"flock".into(), &false.into(), &Value::Null));
    assert!(lock["holders"][0]["started_ns"].is_i64(), "{ours}");
    drop(holder.stdin.take());
    holder.wait().unwrap();
    case.exits("stat --locks f", 1);
}

#[test]
fn what_can_be_locked_can_be_asked_for() {
    let case = Case::with_pages(1);
    std::fs::create_dir(case.path("dir")).unwrap();
    case.exits("stat --locks dir", 1);
    if !has("flock") {
        return skip("flock is not there");
    }
    let mut holder = holder_of(&case, "dir", "-x");
    case.ok("stat --locks dir").shows(&format!("flock exclusive by {} sh", holder.id()));
    drop(holder.stdin.take());
    holder.wait().unwrap();
}

#[test]
fn holders_come_before_waiters() {
    let case = Case::with_pages(1);
    let script = "fcntl.lockf(fd,fcntl.LOCK_EX,1,0)\nfcntl.lockf(fd,fcntl.LOCK_EX,1,9)";
    let Some(peer) = python(&case, script) else { return };
    // Each waits for the first byte in a process of its own; the last one by its description.
    let wait = |script: &str| {
        let script = format!("import fcntl,os,struct\nfd=os.open('f',os.O_RDWR)\n{script}");
        start(case.command("python3").args(["-c", &script]).stdin(Stdio::null()))
    };
    let posix = "fcntl.lockf(fd,fcntl.LOCK_EX,1,0)";
    let ofd = "fcntl.fcntl(fd,38,struct.pack('hhqqixxxx',fcntl.F_WRLCK,0,0,1,0))"; // F_OFD_SETLKW
    let waiters: Vec<_> = [posix, posix, posix, posix, posix, ofd].into_iter().map(wait).collect();
    let text = || case.ok("stat -v f").out;
    let all = (0..500).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        text().matches("wanted by").count() == waiters.len()
    });
    let whole = text();
    assert!(all, "{whole}");
    let (held, waiting) = (whole.rfind(&format!("exclusive 0x9..0xa by {}", peer.id())), whole.find("wanted by"));
    assert!(held.unwrap() < waiting.unwrap(), "{whole}");
    assert!(
        whole.split_whitespace().collect::<Vec<_>>().join(" ").contains("a process that the kernel does not name"),
        "{whole}"
    );
    case.ok("stat f").shows("exclusive 0x9..0xa by").shows("more (-v lists them)");
    case.ok("stat -o locks f").shows("    2\n");
    end(peer);
    for mut waiter in waiters {
        waiter.wait().unwrap();
    }
}

#[test]
fn a_lease_is_told_and_not_broken() {
    let case = Case::with_pages(4);
    // The default action of SIGIO would end the peer.
    let script = "fcntl.fcntl(fd,fcntl.F_SETLEASE,fcntl.F_WRLCK)";
    let Some(peer) = python(&case, script) else { return };
    let ran = case.ok("stat --content --changes --map f");
    let pid = peer.id();
    if ran.out.contains("locked      by no process") {
        end(peer);
        return skip("no leases here");
    }
    let ran = ran.shows(&format!("locked      lease exclusive by {pid} python"));
    let words: Vec<_> = ran.out.split_whitespace().collect();
    assert!(words.join(" ").contains("has a write lease on it, which reading would break"), "{}", ran.out);
    let ours = json(&case, "--content f");
    assert!(ours["unseen"]["file"].as_str().unwrap().contains("lease"), "{ours}");
    case.ok("stat --locks f").shows("lease exclusive");
    end(peer);
    case.ok("stat f").shows("data");
}
