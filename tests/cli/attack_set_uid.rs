//! Targets with set-uid bits and more: set-uid, capabilities, lists of access, chattr, mounts that cannot be written
//! to.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;

use memsnap::sys::xattr;

use super::case::{Case, PAGE, finish, has, is_root, noise, program, skip};
use super::trace::needs_strace;
use super::util::chmod;

fn mode(case: &Case, name: &str) -> u32 {
    case.path(name).metadata().unwrap().mode() & 0o7777
}

/// A case with two snapshots, and a delta that leads from the newest on.
fn prepared() -> Case {
    let case = Case::with_pages(4);
    chmod(case.path("f"), 0o640);
    case.ok("snap f");
    case.touch(1, 2);
    case.ok("snap f");
    case.write("g", &noise(3, 4 * PAGE));
    case.ok("delta make f g -o d");
    case
}

const CHANGES: [&str; 4] = ["edit --yes f --at 0 --hex 01", "undo --yes f", "apply --yes f d", "revert --yes f@1"];

#[test]
fn set_id_bits_go_with_the_old_content_and_are_told_of() {
    let case = prepared();
    for verb in CHANGES {
        chmod(case.path("f"), 0o6755);
        let ran = case.ok(verb).says("set-uid and set-gid bits were removed").says("chmod 6755");
        assert_eq!(mode(&case, "f") & 0o6000, 0, "{verb}: {ran:?}");
        // A dry run, and a change of nothing, take nothing.
        chmod(case.path("f"), 0o4755);
        case.ok("revert -n f@2");
        assert_eq!(mode(&case, "f"), 0o4755, "{verb}");
        chmod(case.path("f"), 0o755);
    }
    // Nor do they come back from a snapshot, or go over to a copy.
    chmod(case.path("f"), 0o4711);
    case.ok("snap --always --tag powerful f");
    case.touch(3, 9);
    chmod(case.path("f"), 0o711);
    case.ok("revert --yes f@powerful").says("set-uid and set-gid bits are not restored");
    assert_eq!(mode(&case, "f"), 0o711);
    case.ok("restore f@powerful -o out").says("set-uid and set-gid bits are not restored");
    assert_eq!(mode(&case, "out"), 0o711);
    chmod(case.path("f"), 0o4711);
    fs::copy(case.path("f"), case.path("h")).unwrap();
    case.ok("delta make f g -o d2");
    case.ok("apply --yes f d2 -o copy").says("are not given to the copy");
    assert_eq!((mode(&case, "copy"), mode(&case, "f")), (0o711, 0o4711));
}

/// Killed at the first byte it writes into the target: the bits are gone already.
#[test]
fn set_id_bits_go_before_the_first_byte() {
    if !needs_strace() {
        return;
    }
    let case = prepared();
    chmod(case.path("f"), 0o4755);
    let f = case.path("f").canonicalize().unwrap();
    let mut command = case.command("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-P"]).arg(&f).args(["-e", "trace=pwrite64"]);
    command.args(["-e", "inject=pwrite64:signal=KILL:when=1"]).arg(program()).args(["revert", "--yes", "f@1"]);
    let ran = finish(&mut command);
    assert!(ran.signal == Some(9) || ran.code == Some(137), "{ran:?}");
    assert_eq!(mode(&case, "f") & 0o6000, 0);
    case.ok("recover --yes f");
    assert_eq!(mode(&case, "f") & 0o6000, 0);
}

#[test]
fn capabilities_go_and_are_told_of() {
    if !is_root() {
        return skip("only root gives capabilities");
    }
    let case = prepared();
    let name = b"security.capability";
    // cap_net_raw, permitted and effective.
    let mut value = vec![1, 0, 0, 2, 0, 0x20, 0, 0];
    value.resize(20, 0);
    for verb in CHANGES {
        let file = File::open(case.path("f")).unwrap();
        if let Err(e) = xattr::set(&file, name, &value) {
            return skip(&format!("no capabilities here: {e}"));
        }
        drop(file);
        case.ok(verb).says("capabilities were removed");
        assert_eq!(xattr::get(&File::open(case.path("f")).unwrap(), name).unwrap(), None, "{verb}");
    }
    // They are no part of a snapshot.
    xattr::set(&File::open(case.path("f")).unwrap(), name, &value).unwrap();
    case.ok("snap --always --tag caps f");
    case.ok("restore f@caps -o out");
    assert_eq!(xattr::get(&File::open(case.path("out")).unwrap(), name).unwrap(), None);
}

#[test]
fn lists_of_access_and_attributes_stay() {
    let case = prepared();
    let acl = b"system.posix_acl_access";
    // user::rw-, user:1234:r--, group::r--, mask::r--, other::---
    let mut list = vec![2, 0, 0, 0];
    for (tag, perm, id) in
        [(1u16, 6u16, u32::MAX), (2, 4, 1234), (4, 4, u32::MAX), (16, 4, u32::MAX), (32, 0, u32::MAX)]
    {
        list.extend([&tag.to_le_bytes()[..], &perm.to_le_bytes(), &id.to_le_bytes()].concat());
    }
    let file = File::open(case.path("f")).unwrap();
    if let Err(e) = xattr::set(&file, acl, &list).and_then(|()| xattr::set(&file, b"user.note", b"mine")) {
        return skip(&format!("no lists of access here: {e}"));
    }
    drop(file);
    case.ok("snap --always f");
    for verb in CHANGES {
        // A revert to a snapshot that has none of them takes them away, and nothing else does.
        let verb = verb.replace("f@1", "f@3");
        case.ok(&verb);
        let file = File::open(case.path("f")).unwrap();
        assert_eq!(xattr::get(&file, acl).unwrap().as_ref(), Some(&list), "{verb}");
        assert_eq!(xattr::get(&file, b"user.note").unwrap().unwrap(), b"mine", "{verb}");
        drop(file);
        case.ok("revert --yes f@3");
    }
    case.ok("revert --yes f@1").says("attribute system.posix_acl_access removed");
    assert_eq!(xattr::list(&File::open(case.path("f")).unwrap()).unwrap(), []);
    // What lets others read the target does not let them read its store.
    for path in case.stored("") {
        assert_eq!(path.metadata().unwrap().mode() & 0o077, 0, "{}", path.display());
    }
    case.ok("restore f@3 -o out");
    assert_eq!(xattr::get(&File::open(case.path("out")).unwrap(), acl).unwrap(), Some(list));
}

#[test]
fn files_marked_by_chattr() {
    if !is_root() || !has("chattr") {
        return skip("needs root and chattr");
    }
    let case = prepared();
    let chattr = |flag: &str, name: &str| {
        finish(&mut {
            let mut command = case.command("chattr");
            command.args([flag, name]);
            command
        })
    };
    for (letter, says) in [("i", "immutable"), ("a", "appending only")] {
        let marked = chattr(&format!("+{letter}"), "f");
        if marked.code != Some(0) {
            return skip(&format!("no marks here: {}", marked.err.trim()));
        }
        let (before, stored) = (case.read("f"), case.snapshots());
        let verbs = ["revert --yes f@1", "edit --yes f --at 0 --hex 0102", "apply --yes f d", "recover --yes f"];
        let ran = verbs.map(|verb| (verb, case.run(verb.split(' '))));
        let forced = case.run("restore f@1 -o f2 --force --yes".split(' '));
        chattr(&format!("-{letter}"), "f");
        for (verb, ran) in ran {
            ran.exits(2).says(says).says(&format!("chattr -{letter} "));
            assert_eq!((case.read("f") == before, case.snapshots()), (true, stored), "{verb}: nothing was done");
        }
        forced.exits(0);
        // It can be read all the same.
        chattr(&format!("+{letter}"), "f");
        let snap = case.run(["snap", "--always", "f"]);
        chattr(&format!("-{letter}"), "f");
        snap.exits(0);
    }
    // An output that is there and marked stays.
    case.write("out", b"precious");
    chattr("+i", "out");
    let ran = case.run("restore f@1 -o out --force --yes".split(' '));
    chattr("-i", "out");
    ran.exits(2).says("out");
    assert_eq!(case.read("out"), b"precious");
}

#[test]
fn a_mount_that_cannot_be_written_to() {
    if !is_root() || !has("unshare") {
        return skip("needs root and unshare");
    }
    let case = prepared();
    let before = case.read("f");
    let script = "mount --bind . . && mount -o remount,bind,ro . || exit 99
        cd \"$PWD\"; for verb in 'revert --yes f@1' 'edit --yes f --at 0 --hex 0102' 'apply --yes f d' \
            'undo --yes f' 'snap --always f' 'restore f@1 -o out' 'delta make f@1 f -o e'; do
            timeout 10 \"$M\" $verb; [ $? = 2 ] || exit 21
        done
        \"$M\" log f && \"$M\" verify && \"$M\" restore f@1 -o - >/dev/null || exit 22";
    let ran = finish(case.command("unshare").args(["-m", "sh", "-c", script]).env("M", program()));
    if ran.code == Some(99) || ran.err.contains("unshare:") {
        return skip(&format!("nothing can be mounted here: {}", ran.err.trim()));
    }
    let ran = ran.exits(0).says("Read-only file system");
    assert!(ran.err.contains("--store DIR on another disk"), "{}", ran.err);
    let in_place = ran.err.matches("is on a file system that is mounted read-only").count();
    assert!(in_place == 3 && ran.err.contains("mount it for writing, or change a copy"), "{}", ran.err);
    assert!(case.read("f") == before);
}
