//! The owner of a store: no user reads from it what he could not read from the target, and root gives nothing to others.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::process::Command;

use super::case::{Case, PAGE, Ran, UNPRIVILEGED, finish, has, is_root, noise, program, skip, start};
use super::trace::{Subject, needs_strace};
use super::util::chmod;

/// A user without any rights.
/// Two that own files here.
const ONE: u32 = 1234;
const TWO: u32 = 4321;

/// A directory that all may enter, with a copy of the program that all may run; nothing where users cannot be changed.
fn shared() -> Option<Case> {
    if !is_root() || !has("setpriv") {
        skip("needs root and setpriv");
        return None;
    }
    let case = Case::new();
    chmod(case.dir(), 0o755);
    fs::copy(program(), case.path("memsnap")).unwrap();
    Some(case)
}

fn command(case: &Case, uid: u32) -> Command {
    case.as_user(uid, case.path("memsnap"))
}

fn as_user(case: &Case, uid: u32, words: &str) -> Ran {
    finish(command(case, uid).args(words.split(' ')))
}

/// A file of noise for `uid`, which only they can read.
fn file(case: &Case, name: &str, uid: u32) {
    case.write(name, &noise(u64::from(uid), 3 * PAGE));
    chmod(case.path(name), 0o600);
    chown(case.path(name), Some(uid), Some(uid)).unwrap();
}

fn dir(case: &Case, name: &str, uid: u32, bits: u32) {
    fs::create_dir(case.path(name)).unwrap();
    chmod(case.path(name), bits);
    chown(case.path(name), Some(uid), Some(uid)).unwrap();
}

/// Every directory and file in `dir`, and itself, belongs to `uid` and is for them alone.
#[track_caller]
fn all_of(dir: &Path, uid: u32) {
    let meta = dir.symlink_metadata().unwrap();
    let bits = if meta.is_dir() { 0o700 } else { 0o600 };
    assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), (uid, uid, bits), "{}", dir.display());
    if meta.is_dir() {
        fs::read_dir(dir).unwrap().for_each(|entry| all_of(&entry.unwrap().path(), uid));
    }
}

/// Names and sizes of all that is in a directory.
fn listing(dir: &Path) -> Vec<(std::path::PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let meta = entry.metadata().unwrap();
        found.push((entry.path(), meta.len()));
        if meta.is_dir() {
            found.extend(listing(&entry.path()));
        }
    }
    found.sort();
    found
}

/// In a directory where all may make files, another user was first: root neither stores there nor believes it.
#[test]
fn a_store_that_another_user_has_put_beside_the_file() {
    let Some(case) = shared() else { return };
    dir(&case, "sticky", 0, 0o1777);
    file(&case, "sticky/mine", UNPRIVILEGED);
    file(&case, "sticky/secret", 0);
    case.write("delta", b"");
    as_user(&case, UNPRIVILEGED, "snap sticky/mine").exits(0);
    let before = listing(&case.path("sticky"));
    let verbs = [
        "snap F",
        "edit --yes F --at 0 --hex 00",
        "log F",
        "restore F@1 -o out",
        "revert --yes F@1",
        "undo --yes F",
        "recover F",
        "verify F",
        "diff F",
        "adopt sticky/gone F",
    ];
    for verb in verbs {
        case.exits(&verb.replace('F', "sticky/secret"), 2).says("user 65534").says("--store");
    }
    assert_eq!(listing(&case.path("sticky")), before);
    // What the hint says helps.
    case.ok("--store own snap sticky/secret");
    case.ok("--store own restore sticky/secret@1 -o out");
    all_of(&case.path("own"), 0);
    // A store of theirs that is named is one, too; it may be read.
    case.exits("--store sticky/.memsnap snap sticky/secret", 2).says("user 65534");
    case.ok("--store sticky/.memsnap log sticky/mine");
    // An empty directory of theirs is no better.
    fs::remove_dir_all(case.path("sticky/.memsnap")).unwrap();
    dir(&case, "sticky/.memsnap", UNPRIVILEGED, 0o700);
    case.exits("snap sticky/secret", 2).says("--store");
    assert!(fs::read_dir(case.path("sticky/.memsnap")).unwrap().next().is_none());
    // Root's own file in the home of a user: the store that the user has there is theirs.
    dir(&case, "home", ONE, 0o755);
    file(&case, "home/theirs", ONE);
    as_user(&case, ONE, "snap home/theirs").exits(0);
    file(&case, "home/secret", 0);
    case.exits("snap home/secret", 2).says("user 1234");
    case.ok("snap --require none home/theirs");
}

/// What root stores of a user's file, the user can go on with; also where others own the directory.
#[test]
fn root_works_for_the_owner_of_the_file() {
    let Some(case) = shared() else { return };
    for (home, holder) in [("home", ONE), ("srv", 0)] {
        dir(&case, home, holder, 0o755);
        let name = format!("{home}/f");
        file(&case, &name, ONE);
        case.ok(&format!("snap --tag gold {name}"));
        case.patch(&name, 0, &[1; PAGE]);
        case.ok(&format!("snap {name}"));
        case.ok(&format!("revert --yes {name}@1"));
        case.ok(&format!("undo --yes {name}"));
        all_of(&case.path(home).join(".memsnap"), ONE);
        as_user(&case, ONE, &format!("revert --yes {name}@gold")).exits(0);
        as_user(&case, ONE, &format!("snap --always --tag more {name}")).exits(0);
        case.ok(&format!("snap --always --tag again {name}"));
        all_of(&case.path(home).join(".memsnap"), ONE);
        // The file of another user there is not for them to read.
        file(&case, &format!("{home}/g"), TWO);
        case.exits(&format!("snap {home}/g"), 2).says("user 1234").says("--store");
        as_user(&case, TWO, &format!("snap {home}/g")).exits(2).says("--store");
    }
    // Nor does a store of root help a user: another place does.
    dir(&case, "both", 0, 0o1777);
    file(&case, "both/ours", 0);
    case.ok("snap both/ours");
    file(&case, "both/theirs", ONE);
    for verb in ["snap both/theirs", "log both/theirs", "edit --yes both/theirs --at 0 --hex 00"] {
        as_user(&case, ONE, verb).exits(2).says("belongs to root").says("--store");
    }
}

/// One store of root for the files of many: only root enters it, and each history belongs to the owner of its file.
#[test]
fn a_store_of_root_for_files_of_many() {
    let Some(case) = shared() else { return };
    for (name, uid) in [("a", ONE), ("b", TWO), ("c", 0)] {
        file(&case, name, uid);
        case.ok(&format!("--store all snap --tag gold {name}"));
    }
    let store = case.path("all");
    let meta = store.metadata().unwrap();
    assert_eq!((meta.uid(), meta.mode() & 0o7777), (0, 0o700));
    for (name, uid) in [("a-", ONE), ("b-", TWO), ("c-", 0)] {
        let mut histories = fs::read_dir(&store).unwrap().map(|entry| entry.unwrap().path());
        let is_it = |path: &std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(name);
        all_of(&histories.find(is_it).unwrap(), uid);
    }
    as_user(&case, ONE, "--store all log a").exits(2);
    // Root may let them in, each to their own.
    chmod(&store, 0o711);
    chmod(store.join("format"), 0o644);
    as_user(&case, ONE, "--store all snap --always a").exits(0);
    as_user(&case, ONE, "--store all restore a@gold -o -").exits(0);
    as_user(&case, ONE, "--store all restore b@gold -o -").exits(2);
    case.ok("--store all verify");
}

/// The former owner of a file has its history, and gets nothing new in it.
#[test]
fn a_file_that_was_given_to_another_user() {
    let Some(case) = shared() else { return };
    file(&case, "f", ONE);
    case.ok("--store all snap f");
    chown(case.path("f"), Some(TWO), Some(TWO)).unwrap();
    for verb in ["snap --always f", "revert --yes f@1", "edit --yes f --at 0 --hex 00"] {
        let ran = case.exits(&format!("--store all {verb}"), 2).says("user 1234");
        assert!(ran.err.contains("chown -R 4321:4321 "), "{ran:?}");
    }
    case.ok("--store all log f");
    // What the hint says helps.
    let err = case.run(["--store", "all", "snap", "f"]).err;
    let chown_it = err.lines().find_map(|line| line.split_once("chown -R ")).unwrap().1;
    finish(case.command("sh").args(["-c", &format!("chown -R {chown_it}")])).exits(0);
    case.ok("--store all snap --always f");
    // Beside the file, a leftover store cannot be distinguished from a planted one.
    file(&case, "g", ONE);
    case.ok("snap g");
    chown(case.path("g"), Some(TWO), Some(TWO)).unwrap();
    for verb in ["snap g", "log g", "restore g@1 -o out"] {
        case.exits(verb, 2).says("user 1234").says("--store");
    }
    case.ok("--store .memsnap restore g@1 -o out");
}

/// Outputs belong to the caller, as with cp; what is restored, as root, to whom it says.
#[test]
fn outputs_belong_to_the_caller() {
    let Some(case) = shared() else { return };
    dir(&case, "home", ONE, 0o755);
    file(&case, "home/f", TWO);
    chmod(case.path("home/f"), 0o646);
    case.ok("--store own snap home/f");
    case.write("new", &noise(9, 3 * PAGE));
    chmod(case.path("new"), 0o664);
    let owner = |name: &str| {
        let meta = case.path(name).metadata().unwrap();
        (meta.uid(), meta.mode() & 0o7777)
    };
    for (umask, delta, copy) in [("022", 0o644, 0o644), ("0", 0o644, 0o646), ("077", 0o600, 0o600), ("777", 0, 0)] {
        let line = format!(
            "set -e; umask {umask}; cd home; M=\"$0\"
             \"$M\" delta make --reversible f ../new -o d.$$; \"$M\" delta invert d.$$ -o i.$$
             \"$M\" apply --yes f d.$$ -o a.$$; \"$M\" edit f --at 0 --hex 00 -o e.$$
             \"$M\" --store ../own restore f@1 -o r.$$; \"$M\" vec create --type u8 v.$$
             for x in d i a e r v; do mv $x.$$ $x; done"
        );
        finish(case.command("sh").args(["-c", &line]).arg(program())).exits(0);
        for name in ["home/d", "home/i", "home/e"] {
            let want = if name == "home/e" { copy } else { delta };
            assert_eq!(owner(name), (0, want), "{name}, umask {umask}");
        }
        assert_eq!(owner("home/a"), (0, copy), "umask {umask}");
        assert_eq!(owner("home/r"), (TWO, 0o646), "umask {umask}");
        assert_eq!(owner("home/v"), (0, 0o600), "umask {umask}");
        for name in ["d", "i", "a", "e", "r", "v"] {
            fs::remove_file(case.path("home").join(name)).unwrap();
        }
    }
}

/// Until an output is complete, no other user may open it, whatever the umask: also where it has a temporary name.
#[test]
fn outputs_are_private_until_they_are_complete() {
    if !needs_strace() {
        return;
    }
    let case = Case::with_pages(3);
    chmod(case.path("f"), 0o666);
    case.ok("snap f");
    case.write("new", &noise(9, 3 * PAGE));
    chmod(case.path("new"), 0o666);
    case.ok("delta make --reversible f new -o d");
    chmod(case.path("d"), 0o666);
    let verbs = [
        "restore f@1 -o out",
        "apply --yes f d -o out",
        "delta make f new -o out",
        "delta invert d -o out",
        "edit f --at 0 --hex 00 -o out",
    ];
    for verb in verbs {
        let script = "umask 0; exec strace -f -qq -o log -e trace=openat,fchmod,pwrite64,write,pread64 \"$@\"";
        let mut command = case.command("sh");
        command.args(["-c", script, "sh"]).arg(program()).args(verb.split(' '));
        finish(&mut command).exits(0);
        let log = String::from_utf8(case.read("log")).unwrap();
        let made: Vec<_> = log.lines().filter(|line| line.contains("O_TMPFILE") || line.contains("O_CREAT")).collect();
        assert!(!made.is_empty() && made.iter().all(|line| line.contains(", 0600)")), "{verb}: {made:?}");
        let lines: Vec<_> =
            log.lines().filter(|line| !line.contains("write(1,") && !line.contains("write(2,")).collect();
        let opened = lines.iter().position(|line| line.contains("fchmod(") && !line.contains(", 0600)")).unwrap();
        let is_content = |line: &&str| ["pwrite64(", "pread64(", " write("].iter().any(|call| line.contains(call));
        assert!(opened > lines.iter().rposition(is_content).unwrap(), "{verb}: {log}");
        assert_eq!(case.path("out").metadata().unwrap().mode() & 0o777, 0o666, "{verb}");
        fs::remove_file(case.path("out")).unwrap();
    }
}

/// Who may read the target until it becomes private, and opens it just then, waits for the lease: and has the old
/// content only if the change gave way.
#[test]
fn who_opens_a_target_as_it_becomes_private_reads_nothing_private() {
    let Some(case) = shared() else { return };
    if !needs_strace() {
        return;
    }
    let secret = noise(1, 3 * PAGE);
    case.write("f", &secret);
    chmod(case.path("f"), 0o600);
    case.ok("snap f");
    case.patch("f", 0, &noise(2, 2 * PAGE));
    chmod(case.path("f"), 0o644);
    case.ok("snap f");
    let public = case.read("f");
    let delay = ["-e", "trace=fchmod", "-e", "inject=fchmod:delay_enter=700000"];
    let mut changing = Subject::sound().strace(&case, &delay, "revert --yes f@1");
    let mut changing = start(&mut changing);
    while case.stored("intent").is_empty() && changing.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let mut reading = case.as_user(UNPRIVILEGED, "head");
    reading.args(["-c", "4096", "f"]);
    let seen = reading.output().unwrap().stdout;
    let code = changing.wait().unwrap().code();
    assert_ne!(seen, secret[..PAGE], "private content was read");
    if code == Some(75) {
        assert_eq!(seen, public[..PAGE]);
        assert_eq!(case.read("f"), public);
        assert_eq!(case.path("f").metadata().unwrap().mode() & 0o777, 0o644, "the mode is put back");
        assert!(case.stored("intent").is_empty());
    }
}

/// A directory can give access lists to what is made in it: a restored file has that of its snapshot, or none.
#[test]
fn a_restored_file_has_no_access_list_from_its_directory() {
    let Some(case) = shared() else { return };
    file(&case, "f", 0);
    chmod(case.path("f"), 0o640);
    case.ok("snap f");
    dir(&case, "d", 0, 0o755);
    let list = list_for_unprivileged();
    let directory = fs::File::open(case.path("d")).unwrap();
    if let Err(e) = memsnap::sys::xattr::set(&directory, b"system.posix_acl_default", &list) {
        return skip(&format!("no access lists here: {e}"));
    }
    case.ok("restore f@1 -o d/out");
    let out = fs::File::open(case.path("d/out")).unwrap();
    assert_eq!(memsnap::sys::xattr::get(&out, b"system.posix_acl_access").unwrap(), None);
    assert_eq!(out.metadata().unwrap().mode() & 0o777, 0o640);
}

/// An access list that gives all rights to `UNPRIVILEGED`, too: acl_ea_header and acl_ea_entry of linux/posix_acl_xattr.h.
fn list_for_unprivileged() -> Vec<u8> {
    let mut list = 2u32.to_le_bytes().to_vec();
    for (tag, id) in [(1u16, u32::MAX), (2, UNPRIVILEGED), (4, u32::MAX), (0x10, u32::MAX), (0x20, u32::MAX)] {
        let rights = if tag == 4 { 0u16 } else { 7 };
        list.extend([&tag.to_le_bytes()[..], &rights.to_le_bytes(), &id.to_le_bytes()].concat());
    }
    list
}

/// With an access list, the bits of the group are its mask: where the list cannot be set, the group is to get nothing.
#[test]
fn a_restored_file_without_its_access_list_is_closed_to_the_group() {
    let Some(case) = shared() else { return };
    if !needs_strace() {
        return;
    }
    file(&case, "f", 0);
    let f = fs::File::open(case.path("f")).unwrap();
    if let Err(e) = memsnap::sys::xattr::set(&f, b"system.posix_acl_access", &list_for_unprivileged()) {
        return skip(&format!("no access lists here: {e}"));
    }
    drop(f);
    case.ok("snap f");
    let failing = ["-e", "trace=fsetxattr", "-e", "inject=fsetxattr:error=EOPNOTSUPP"];
    let ran = super::case::finish(&mut Subject::sound().strace(&case, &failing, "restore f@1 -o out"));
    assert!(ran.err.contains("posix_acl_access was not restored"), "{ran:?}");
    assert_eq!(case.path("out").metadata().unwrap().mode() & 0o070, 0);
}
