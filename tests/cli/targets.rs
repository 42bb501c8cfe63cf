//! What a target may be, and what may happen to it while it is read.

use std::os::unix::fs::MetadataExt;
use std::process::Stdio;
use std::time::Duration;

use super::case::{Case, PAGE, Ran, UNPRIVILEGED, finish, has, is_root, noise, program, skip, start};
use super::util::chmod;

#[test]
fn a_symlink_is_followed_once_for_all() {
    let case = Case::with_pages(5);
    std::os::unix::fs::symlink("f", case.path("link")).unwrap();
    case.ok("snap link");
    case.ok("log f");
    case.touch(2, 2);
    case.ok("revert --yes link");
    assert!(case.read("f") == noise(1, 5 * PAGE));
    assert!(case.path("link").symlink_metadata().unwrap().is_symlink());
    std::os::unix::fs::symlink("gone", case.path("dangling")).unwrap();
    case.exits("snap dangling", 2);
    std::os::unix::fs::symlink("loop", case.path("loop")).unwrap();
    case.exits("snap loop", 2);
}

#[test]
fn a_hard_link_keeps_its_other_name() {
    let case = Case::with_pages(5);
    std::fs::hard_link(case.path("f"), case.path("g")).unwrap();
    case.ok("snap f");
    case.touch(2, 2);
    case.ok("revert --yes f");
    assert!(case.read("g") == noise(1, 5 * PAGE));
    assert_eq!(case.path("g").metadata().unwrap().ino(), case.path("f").metadata().unwrap().ino());
}

#[test]
fn write_and_rename_keeps_the_history() {
    let case = Case::with_pages(5);
    case.ok("snap f");
    let mut new = case.read("f");
    new[PAGE] ^= 1;
    case.write("f.new", &new);
    std::fs::rename(case.path("f.new"), case.path("f")).unwrap();
    case.ok("snap f").says("f@2").says("1 page changed");
    case.ok("revert --yes f@1");
    assert!(case.read("f") == noise(1, 5 * PAGE));
}

#[test]
fn what_is_no_regular_file() {
    let case = Case::with_pages(1);
    case.ok("snap f");
    let fifo = case.path("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    std::fs::create_dir(case.path("dir")).unwrap();
    for what in ["fifo", "dir", "/dev/null", "/dev/zero", "/proc/self/status", "/"] {
        // A directory is a set of its files.
        let snap = (what != "/").then_some("snap");
        for verb in ["revert --yes", "undo --yes", "diff"].into_iter().chain(snap) {
            let ran = case.run(format!("{verb} {what}").split(' '));
            assert_eq!(ran.code, Some(2), "{verb} {what}: {ran:?}");
        }
        case.exits(&format!("delta make f {what} -o d"), 2);
        assert!(!case.path("d").exists());
    }
}

#[test]
fn without_permission_to_read() {
    let case = Case::with_pages(2);
    chmod(case.path("f"), 0o000);
    let mut command = if !is_root() {
        case.memsnap(["snap", "f"])
    } else if has("setpriv") {
        chmod(case.dir(), 0o777);
        let copy = case.path("memsnap");
        std::fs::copy(program(), &copy).unwrap();
        let mut command = case.as_user(UNPRIVILEGED, copy);
        command.args(["snap", "f"]);
        command
    } else {
        return skip("root may read all, and setpriv is not there");
    };
    finish(&mut command).exits(2).says("ermission denied").says("f");
    assert!(!case.path(".memsnap").exists() || case.snapshots() == 0);
}

/// Runs `snap` so slowly that `f` can be changed meanwhile by `change`. It is read once.
fn meanwhile(io: &str, extra: &[&str], change: impl FnOnce(&Case)) -> (Case, Ran) {
    let case = Case::new();
    case.write("f", &noise(1, 8 << 20));
    let mut command = case.memsnap(["snap", "--io", io, "--limit-rate", "6M", "--wait", "0", "--require", "none", "f"]);
    command.args(extra).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = start(&mut command);
    std::thread::sleep(Duration::from_millis(500));
    change(&case);
    let ran = Ran::of(child.wait_with_output().unwrap(), format!("{command:?}"));
    (case, ran)
}

#[test]
fn a_target_that_shrinks_while_it_is_read() {
    for io in ["map", "pread"] {
        for len in [0, 4 << 20, PAGE as u64 + 1] {
            let (case, ran) = meanwhile(io, &[], |case| case.set_len("f", len));
            ran.exits(2).says("changed while it was read");
            assert_eq!(case.snapshots(), 0, "{io} {len}");
            case.ok("snap f");
            case.ok("verify");
        }
    }
}

#[test]
fn a_target_that_is_replaced_or_removed_while_it_is_read() {
    for io in ["map", "pread"] {
        let (case, ran) = meanwhile(io, &[], |case| {
            case.write("new", &noise(2, 8 << 20));
            std::fs::rename(case.path("new"), case.path("f")).unwrap();
        });
        ran.exits(2).says("another file took its place");
        assert_eq!(case.snapshots(), 0);
        let (case, ran) = meanwhile(io, &[], |case| std::fs::remove_file(case.path("f")).unwrap());
        ran.exits(2).says("removed");
        assert_eq!(case.snapshots(), 0);
    }
}

#[test]
fn of_one_that_grows_the_first_length_is_taken() {
    for io in ["map", "pread"] {
        let (case, ran) = meanwhile(io, &[], |case| {
            let len = case.path("f").metadata().unwrap().len();
            case.patch("f", len, &noise(3, PAGE));
        });
        ran.exits(0).says("unproven");
        assert!(case.ok("restore f@1 -o -").bytes == noise(1, 8 << 20), "{io}");
    }
}

#[test]
fn a_writer_meanwhile_lowers_the_grade() {
    for io in ["map", "pread"] {
        let (case, ran) = meanwhile(io, &["--json"], |case| case.touch(2000, 4));
        let line = &ran.exits(0).json()[0];
        assert_eq!(line["grade"], "unproven", "{io}");
        // Whatever it took, it is the same that it digested.
        case.ok("verify");
    }
}

#[test]
fn what_is_inside_of_a_store() {
    let case = Case::with_pages(3);
    case.ok("snap f");
    let before = std::fs::read_dir(case.history()).unwrap().count();
    let history = case.history();
    for path in [case.path(".memsnap/format"), case.stored(".snap").remove(0), history.join("target")] {
        let path = path.to_str().unwrap();
        case.exits(&format!("snap {path}"), 2).says("inside the store");
        case.exits(&format!("--store other snap {path}"), 2).says("inside the store");
        case.exits(&format!("adopt f {path}"), 2).says("inside the store");
    }
    let (label, store) = (history.join("target"), history.join("store"));
    let (label, store) = (label.to_str().unwrap(), store.to_str().unwrap());
    case.ok(&format!("delta make {label} f -o d"));
    let good = std::fs::read(label).unwrap();
    case.exits(&format!("apply --yes {label} d"), 2).says("inside the store");
    assert!(std::fs::read(label).unwrap() == good);
    case.exits(&format!("--store {store} snap d"), 2).says("inside the store");
    assert!(!history.join("store").exists());
    assert!(!case.path("other").exists());
    assert!(!case.path(".memsnap/.memsnap").exists() && !history.join(".memsnap").exists());
    assert_eq!(std::fs::read_dir(&history).unwrap().count(), before);
    case.ok("verify").shows("all good");
}
