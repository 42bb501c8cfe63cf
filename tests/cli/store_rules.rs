//! What a store may be, and who may touch it.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::case::{Case, finish, has, is_root, program, skip};

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

fn walk(dir: &Path, each: &mut dyn FnMut(&Path, &std::fs::Metadata)) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let meta = path.symlink_metadata().unwrap();
        each(&path, &meta);
        if meta.is_dir() {
            walk(&path, each);
        }
    }
}

#[test]
fn private_whatever_the_umask() {
    let case = Case::with_pages(3);
    let line = "umask 0; \"$M\" snap --tag gold f && printf x | dd of=f conv=notrunc 2>&1 && \"$M\" revert --yes f";
    finish(case.command("sh").args(["-c", line]).env("M", program())).exits(0);
    let store = case.path(".memsnap");
    assert_eq!(store.metadata().unwrap().mode() & 0o7777, 0o700);
    walk(&store, &mut |path, meta| {
        let expected = if meta.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(meta.mode() & 0o7777, expected, "{}", path.display());
    });
    assert_eq!(case.read(".memsnap/.gitignore"), b"*\n");
}

#[test]
fn made_by_root_it_belongs_to_the_owner_of_the_folder() {
    if !is_root() {
        return skip("not root");
    }
    let case = Case::with_pages(3);
    for path in [case.dir().to_path_buf(), case.path("f")] {
        std::os::unix::fs::chown(path, Some(1234), Some(2345)).unwrap();
    }
    case.ok("snap --tag gold f");
    case.touch(1, 1);
    case.ok("snap f");
    case.ok("revert --yes f@1");
    case.ok("undo --yes f");
    walk(&case.path(".memsnap"), &mut |path, meta| {
        assert_eq!((meta.uid(), meta.gid()), (1234, 2345), "{}", path.display());
    });
    assert_eq!(case.path("f").metadata().unwrap().uid(), 1234);
}

#[test]
fn one_that_others_could_write_to_is_refused() {
    let case = Case::with_pages(3);
    case.ok("snap f");
    let room = case.room();
    for (path, bits) in [(case.path(".memsnap"), 0o777), (case.path(".memsnap"), 0o720), (room, 0o702)] {
        mode(&path, bits);
        for verb in ["snap f", "log f", "verify", "restore f@1 -o out", "revert --yes f"] {
            let ran = case.run(verb.split(' '));
            assert!(matches!(ran.code, Some(2 | 4)), "{bits:o} {verb}: {ran:?}");
            assert!(!ran.err.is_empty() || !ran.out.is_empty());
        }
        mode(&path, 0o700);
    }
    case.ok("verify");
}

#[test]
fn a_store_of_somebody_else_is_refused() {
    if !is_root() || !has("setpriv") {
        return skip("needs root and setpriv");
    }
    let case = Case::with_pages(3);
    case.ok("snap f");
    mode(case.dir(), 0o755);
    mode(&case.path("f"), 0o644);
    let copy = case.path("memsnap");
    std::fs::copy(program(), &copy).unwrap();
    for verb in [["snap", "f"], ["log", "f"]] {
        let mut command = case.command("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&copy).args(verb);
        finish(&mut command).exits(2);
    }
}

#[test]
fn one_that_is_missing() {
    let case = Case::with_pages(3);
    for verb in ["log f", "diff f", "revert --yes f", "undo --yes f", "restore f@1 -o out", "verify f", "recover f"] {
        case.exits(verb, 2).says("memsnap snap");
    }
    assert!(!case.path(".memsnap").exists(), "reading makes nothing");
    case.exits("--store nowhere log", 2).says("nowhere");
    case.ok("--store deep snap f");
    case.ok("log --store deep f");
    finish(case.memsnap(["log", "f"]).env("MEMSNAP_STORE", "deep")).exits(0);
    finish(case.memsnap(["log", "f"]).env("MEMSNAP_STORE", "")).exits(2);
    case.write("file", b"x");
    case.exits("--store file snap f", 2);
    std::fs::create_dir(case.path("full")).unwrap();
    case.write("full/mine", b"x");
    mode(&case.path("full"), 0o700);
    case.exits("--store full snap f", 2).says("neither empty nor a store");
    assert_eq!(case.read("full/mine"), b"x");
}

#[test]
fn one_that_can_only_be_read() {
    if is_root() && !has("unshare") {
        return skip("root writes everywhere, and unshare is not there");
    }
    let case = Case::with_pages(3);
    case.ok("snap f");
    case.touch(1, 1);
    let script = "set -e
        \"$M\" log f; \"$M\" verify; \"$M\" restore f@1 -o - >/dev/null
        \"$M\" diff f && exit 21 || [ $? = 1 ]
        \"$M\" snap f && exit 22 || [ $? = 2 ]
        \"$M\" revert --yes f && exit 23 || [ $? = 2 ]";
    let mut command = if is_root() {
        let mut command = case.command("unshare");
        let bind = "mount --bind .memsnap .memsnap && mount -o remount,bind,ro .memsnap || exit 99\n";
        command.args(["-m", "sh", "-c", &format!("{bind}{script}")]);
        command
    } else {
        mode(&case.room(), 0o500);
        let mut command = case.command("sh");
        command.args(["-c", script]);
        command
    };
    let before = case.read("f");
    let ran = finish(command.env("M", program()));
    if !is_root() {
        mode(&case.room(), 0o700);
    }
    if matches!(ran.code, Some(1 | 99)) && ran.err.contains("mount") || ran.err.contains("unshare") {
        return skip(&format!("nothing can be mounted here: {}", ran.err.trim()));
    }
    ran.exits(0);
    assert!(case.read("f") == before);
}

#[test]
fn a_newer_format() {
    let case = Case::with_pages(3);
    case.ok("snap f");
    let line = format!("memsnap 2 {}", "0".repeat(32));
    let line = format!("{line} {}\n", memsnap::page::Digest::of(line.as_bytes()).to_hex());
    case.write(".memsnap/format", line.as_bytes());
    for verb in ["snap f", "log f", "verify", "restore f@1 -o out", "revert --yes f"] {
        case.exits(verb, 2).says("format 2");
    }
}

#[test]
fn planted_links_and_pipes_are_not_followed() {
    let case = Case::with_pages(3);
    case.ok("snap --tag gold f");
    case.write("victim", b"precious");
    let plant = |path: &Path| {
        std::fs::remove_file(path).unwrap();
        std::os::unix::fs::symlink(case.path("victim"), path).unwrap();
    };
    let fifo = |path: &Path| {
        std::fs::remove_file(path).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    };
    let room = case.room();
    let mut files = vec![case.path(".memsnap/format"), room.join("names/tag-gold"), room.join("lock")];
    files.extend([room.join("tree"), room.join("target")]);
    for ending in [".snap", ".pack", ".map"] {
        files.extend(case.stored(ending));
    }
    for path in files.iter().filter(|path| path.exists()) {
        let good = std::fs::read(path).unwrap();
        for plant in [&plant as &dyn Fn(&Path), &fifo] {
            plant(path);
            for verb in ["snap f", "diff f", "restore f@gold -o -", "verify", "log f"] {
                let mut command = case.command("timeout");
                let ran = finish(command.arg("20").arg(program()).args(verb.split(' ')));
                assert!(matches!(ran.code, Some(0..=4)), "{} {verb}: {ran:?}", path.display());
            }
            assert_eq!(case.read("victim"), b"precious", "{}", path.display());
            std::fs::remove_file(path).unwrap();
            std::fs::write(path, &good).unwrap();
            mode(path, 0o600);
        }
    }
    // A store that is itself a link is not ours either.
    std::fs::rename(case.path(".memsnap"), case.path("real")).unwrap();
    std::os::unix::fs::symlink("real", case.path(".memsnap")).unwrap();
    let ran = case.run(["snap", "f"]);
    assert!(matches!(ran.code, Some(0 | 2)), "{ran:?}");
}
