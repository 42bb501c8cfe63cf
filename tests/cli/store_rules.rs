//! What a store may be, and who may touch it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use super::case::{Case, UNPRIVILEGED, finish, has, is_root, program, skip};
use super::util::{chmod, walk};

/// A shell, as a user whom modes bind, in which `$M` is the program; the directory of `case` is theirs.
fn bound_by_modes(case: &Case, script: &str) -> Command {
    let copy = case.path("memsnap");
    std::fs::copy(program(), &copy).unwrap();
    let mut command = if is_root() {
        for path in [case.dir().to_path_buf(), case.path("f")] {
            std::os::unix::fs::chown(path, Some(UNPRIVILEGED), Some(UNPRIVILEGED)).unwrap();
        }
        case.as_user(UNPRIVILEGED, "sh")
    } else {
        case.command("sh")
    };
    command.args(["-c", script]).env("M", copy);
    command
}

/// No other user may use it, and its owner can.
#[test]
fn private_whatever_the_umask() {
    if is_root() && !has("setpriv") {
        return skip("root is bound by no mode, and setpriv is not there");
    }
    for umask in ["0", "022", "077", "177", "277", "377", "477", "777"] {
        let case = Case::with_pages(3);
        let script = format!(
            "umask {umask}; set -e; \"$M\" snap --tag gold f; printf x | dd of=f conv=notrunc 2>&1
             \"$M\" revert --yes f; \"$M\" undo --yes f; \"$M\" --store new/store snap f 2>&1 || [ $? = 2 ]
             \"$M\" --store other snap f; \"$M\" verify f"
        );
        finish(&mut bound_by_modes(&case, &script)).exits(0);
        for store in [".memsnap", "other"] {
            let store = case.path(store);
            assert_eq!(store.metadata().unwrap().mode() & 0o7777, 0o700);
            walk(&store, &mut |path, meta| {
                let expected = if meta.is_dir() { 0o700 } else { 0o600 };
                assert_eq!(meta.mode() & 0o7777, expected, "umask {umask}: {}", path.display());
            });
        }
        assert_eq!(case.read(".memsnap/.gitignore"), b"*\n");
    }
}

/// A version that obeyed the umask left directories that not even their owner can use.
/// Verbs that only read change no mode, and say what to do; snap mends them.
#[test]
fn directories_that_their_owner_cannot_use_are_mended() {
    if is_root() && !has("setpriv") {
        return skip("root is bound by no mode, and setpriv is not there");
    }
    for (bits, verb) in [("600", "snap f"), ("500", "snap f"), ("300", "snap f"), ("0", "snap f")] {
        let case = Case::with_pages(3);
        let script = format!("mkdir -m {bits} .memsnap; \"$M\" {verb} && \"$M\" log f && stat -c %a .memsnap");
        finish(&mut bound_by_modes(&case, &script)).exits(0).shows("\n700\n");
    }
    for name in [".memsnap", ".memsnap/f-*", ".memsnap/f-*/names"] {
        for bits in ["600", "0"] {
            let case = Case::with_pages(3);
            let script = format!(
                "set -e; \"$M\" snap f; d=$(echo {name}); chmod {bits} $d
                 \"$M\" log f || \"$M\" diff f || \"$M\" revert --yes f || stat -c %a $d
                 \"$M\" snap --always --tag gold f && \"$M\" verify && stat -c %a $d"
            );
            let ran =
                finish(&mut bound_by_modes(&case, &script)).exits(0).shows(&format!("\n{bits}\n")).shows("\n700\n");
            assert_eq!(ran.err.matches("hint: chmod u+rwx ").count(), 3, "{}", ran.err);
        }
    }
    // A store that is there, and may only be read, stays so.
    let case = Case::with_pages(3);
    let script = "\"$M\" snap f && chmod 500 .memsnap .memsnap/f-* && { \"$M\" snap --always f; stat -c %a .memsnap; }";
    finish(&mut bound_by_modes(&case, script)).exits(0).shows("\n500\n").says("ermission denied");
    chmod(case.path(".memsnap"), 0o700);
    chmod(case.history(), 0o700);
}

#[test]
fn one_that_others_could_write_to_is_refused() {
    let case = Case::with_pages(3);
    case.ok("snap f");
    let history = case.history();
    for (path, bits) in [(case.path(".memsnap"), 0o777), (case.path(".memsnap"), 0o720), (history, 0o702)] {
        chmod(&path, bits);
        for verb in ["snap f", "log f", "verify", "restore f@1 -o out", "revert --yes f"] {
            let ran = case.run(verb.split(' '));
            assert!(matches!(ran.code, Some(2 | 4)), "{bits:o} {verb}: {ran:?}");
            assert!(!ran.err.is_empty() || !ran.out.is_empty());
        }
        chmod(&path, 0o700);
    }
    case.ok("verify");
}

#[test]
fn a_store_of_another_user_is_refused() {
    if !is_root() || !has("setpriv") {
        return skip("needs root and setpriv");
    }
    let case = Case::with_pages(3);
    case.ok("snap f");
    chmod(case.dir(), 0o755);
    chmod(case.path("f"), 0o644);
    let copy = case.path("memsnap");
    std::fs::copy(program(), &copy).unwrap();
    for verb in [["snap", "f"], ["log", "f"]] {
        finish(case.as_user(UNPRIVILEGED, &copy).args(verb)).exits(2);
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
    chmod(case.path("full"), 0o700);
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
        chmod(case.history(), 0o500);
        let mut command = case.command("sh");
        command.args(["-c", script]);
        command
    };
    let before = case.read("f");
    let ran = finish(command.env("M", program()));
    if !is_root() {
        chmod(case.history(), 0o700);
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
    let line = format!("{line} {}\n", memsnap::page::Digest::of(line.as_bytes()));
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
    let history = case.history();
    let mut files = vec![case.path(".memsnap/format"), history.join("names/tag-gold"), history.join("lock")];
    files.extend([history.join("digests"), history.join("evidence"), history.join("target")]);
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
            chmod(path, 0o600);
        }
    }
    // A store that is itself a link is not ours either.
    std::fs::rename(case.path(".memsnap"), case.path("real")).unwrap();
    std::os::unix::fs::symlink("real", case.path(".memsnap")).unwrap();
    let ran = case.run(["snap", "f"]);
    assert!(matches!(ran.code, Some(0 | 2)), "{ran:?}");
}

#[test]
fn a_lock_that_is_not_ours_is_left_alone() {
    let case = Case::with_pages(3);
    case.ok("snap f");
    let lock = case.history().join("lock");
    case.write("precious", b"p");
    for len in [1, 9000] {
        case.write("precious", &vec![b'p'; len]);
        std::fs::remove_file(&lock).unwrap();
        std::fs::hard_link(case.path("precious"), &lock).unwrap();
        for verb in ["snap --always f", "revert --yes f@1", "snap --tag t f"] {
            case.exits(verb, 2).says("hard link").says("move it away");
        }
        case.ok("verify");
        assert!(case.read("precious") == vec![b'p'; len]);
    }
    std::fs::remove_file(&lock).unwrap();
    std::fs::write(&lock, b"a diary").unwrap();
    case.exits("snap --always f", 2).says("did not write");
    assert_eq!(std::fs::read(&lock).unwrap(), b"a diary");
    std::fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink(case.path("precious"), &lock).unwrap();
    case.exits("snap --always f", 2).says("symbolic link");
    std::fs::remove_file(&lock).unwrap();
    case.ok("snap --always f");
}

#[test]
fn impossible_names_of_snapshots() {
    let case = Case::with_pages(3);
    case.ok("snap f");
    case.touch(1, 1);
    case.ok("snap f");
    let id = "ab".repeat(32);
    for name in [format!("{}-{id}.snap", u64::MAX), format!("1000000000000001-{id}.snap"), "notes.snap".into()] {
        let path = case.history().join(name);
        std::fs::write(&path, b"x").unwrap();
        case.exits("verify", 4).shows("not the name of a snapshot");
        case.touch(2, 7);
        case.ok("snap --always f");
        std::fs::remove_file(path).unwrap();
    }
    case.ok("verify");
    // The last number there can be.
    let path = case.history().join(format!("1000000000000000-{id}.snap"));
    std::fs::write(&path, b"x").unwrap();
    let ran = case.run(["snap", "--always", "f"]);
    assert!(matches!(ran.code, Some(2 | 4)), "{ran:?}");
    std::fs::remove_file(path).unwrap();
    case.ok("verify");
}

#[test]
fn numbers_are_given_once() {
    let case = Case::with_pages(3);
    case.ok("snap f");
    case.touch(1, 1);
    case.ok("snap f");
    let second = case.stored(".snap").remove(1);
    let id = second.file_name().unwrap().to_str().unwrap()[9..].to_string();
    for (number, says) in [(1, "another snapshot also has the number 1"), (7, "same snapshot as @2")] {
        let path = case.history().join(format!("{number:08}-{id}"));
        std::fs::copy(&second, &path).unwrap();
        case.exits("verify", 4).shows(says);
        std::fs::remove_file(path).unwrap();
    }
    case.ok("verify");
}

#[test]
fn huge_files_of_holes_are_told_by_their_head() {
    let case = Case::with_pages(3);
    case.ok("snap f");
    let mut files = case.stored(".snap");
    let map = case.history().join(format!("{}.map", "ab".repeat(32)));
    std::fs::write(&map, b"x").unwrap();
    files.push(map);
    for path in files {
        let good = std::fs::read(&path).unwrap();
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 42).unwrap();
        for verb in ["verify", "log f", "restore f@1 -o -", "snap --always f"] {
            let ran = finish(case.command("timeout").arg("20").arg(program()).args(verb.split(' ')));
            assert!(matches!(ran.code, Some(0..=4)), "{} {verb}: {ran:?}", path.display());
        }
        std::fs::write(&path, good).unwrap();
    }
}

#[test]
fn a_history_that_is_a_link_is_a_fault() {
    let case = Case::with_pages(3);
    case.ok("snap f");
    let history = case.history();
    let moved = case.path("r");
    std::fs::rename(&history, &moved).unwrap();
    std::os::unix::fs::symlink(&moved, &history).unwrap();
    case.exits("verify", 4).shows("it has the name of a history, but is not a directory");
    std::fs::remove_file(&history).unwrap();
    std::fs::write(&history, b"x").unwrap();
    case.exits("verify", 4).shows("it has the name of a history, but is not a directory");
    std::fs::remove_file(&history).unwrap();
    std::fs::rename(&moved, &history).unwrap();
    // What a killed writer left in the store's own directory is none.
    case.write(".memsnap/tmp-17-0123456789abcdef", b"half");
    case.ok("verify").shows("all good");
}

#[test]
fn directories_named_like_leftover_files_are_kept() {
    let case = Case::with_pages(3);
    case.ok("snap f");
    let dirs = [case.history().join(format!("{}.pack", "ab".repeat(32))), case.history().join("tmp-x")];
    for dir in &dirs {
        std::fs::create_dir(dir).unwrap();
        std::fs::write(dir.join("mine"), b"x").unwrap();
    }
    std::fs::write(case.history().join("lock"), b"w").unwrap();
    std::fs::write(case.history().join("tmp-y"), b"half").unwrap();
    case.ok("snap --always f");
    assert!(!case.history().join("tmp-y").exists());
    let json = case.exits("verify --json", 4).json();
    assert_eq!(json.iter().filter(|line| line["what"] == "it is not a regular file").count(), 2, "{json:?}");
    assert!(dirs.iter().all(|dir| dir.join("mine").exists()));
}
