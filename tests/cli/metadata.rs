//! Mode, owner and attributes are part of a history, without any byte that changes.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, chown};

use memsnap::sys::xattr;

use super::case::{Case, PAGE, is_root, no_forks, skip};
use super::trace::{Subject, needs_strace, was_killed};
use super::util::chmod;

/// What a snapshot has to bring back.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    mode: u32,
    owner: (u32, u32),
    attrs: Vec<(Vec<u8>, Vec<u8>)>,
}

fn seen(case: &Case) -> Seen {
    let _alone = no_forks();
    let file = File::open(case.path("f")).unwrap();
    let found = file.metadata().unwrap();
    let attrs = xattr::list(&file).unwrap();
    Seen { mode: found.mode() & 0o7777, owner: (found.uid(), found.gid()), attrs }
}

/// False where there are no attributes.
fn set(case: &Case, name: &[u8], value: &[u8]) -> bool {
    let _alone = no_forks();
    xattr::set(&File::open(case.path("f")).unwrap(), name, value).is_ok()
}

/// Two snapshots of the same bytes; and what they look like.
fn two() -> (Case, Seen, Seen) {
    let case = Case::with_pages(4);
    chmod(case.path("f"), 0o644);
    set(&case, b"user.a", b"one");
    set(&case, b"user.gone", b"x");
    case.ok("snap f").says("f@1");
    let first = seen(&case);
    chmod(case.path("f"), 0o600);
    if set(&case, b"user.a", b"two") && set(&case, b"user.b", b"new") {
        let _alone = no_forks();
        xattr::remove(&File::open(case.path("f")).unwrap(), b"user.gone").unwrap();
    }
    if is_root() {
        chown(case.path("f"), Some(1234), Some(5678)).unwrap();
    }
    let second = seen(&case);
    (case, first, second)
}

#[test]
fn new_metadata_is_a_snapshot_and_new_times_are_none() {
    let (case, first, second) = two();
    assert_ne!(first, second);
    let ran = case.ok("snap f").says("f@2").says("mode 0644 -> 0600").says("0 pages");
    if is_root() {
        ran.says("-> 1234:5678");
    }
    case.ok("snap f").says("unchanged since @2");
    let now = std::time::SystemTime::now();
    File::open(case.path("f")).unwrap().set_modified(now).unwrap();
    case.ok("snap f").says("unchanged since @2");
    // Each alone.
    for n in [3, 4] {
        match n {
            3 => chmod(case.path("f"), 0o640),
            _ if set(&case, b"user.c", b"") => {}
            _ => break,
        }
        case.ok("snap f").says(&format!("f@{n}"));
        case.ok("snap f").says(&format!("unchanged since @{n}"));
    }
    case.ok("verify");
}

#[test]
fn revert_and_undo_bring_metadata_back() {
    let (case, first, second) = two();
    // What undo goes back to is nowhere yet.
    assert_eq!(case.snapshots(), 1);
    let ran = case.ok("revert -n f@1").shows("mode 0600 -> 0644").shows("0 pages");
    if !first.attrs.is_empty() {
        ran.shows("attribute user.a changed").shows("attribute user.b removed").shows("attribute user.gone added");
    }
    let plan = case.ok("--json revert -n f@1").json().remove(0);
    assert_eq!(plan["metadata"][0]["what"], "mode");
    assert_eq!((&plan["metadata"][0]["from"], &plan["metadata"][0]["to"]), (&"0600".into(), &"0644".into()));
    case.exits("revert f@1", 2).says("mode 0600 -> 0644").says("--yes");
    assert_eq!(seen(&case), second, "nothing is done unasked");

    case.ok("revert --yes f@1").says("mode 0600 -> 0644");
    assert_eq!(seen(&case), first);
    let stored = case.snapshots();
    case.ok("revert --yes f@1").says("nothing to write");
    case.ok("revert -n f@1");
    assert_eq!((seen(&case), case.snapshots()), (first.clone(), stored));
    for _ in 0..2 {
        case.ok("undo -n f").shows("mode 0644 -> 0600");
        case.ok("undo --yes f");
        assert_eq!(seen(&case), second);
        case.ok("undo --yes f");
        assert_eq!(seen(&case), first);
    }
    case.ok("verify");
}

/// With bytes that change too, and by the verbs that make a new image: what the file has now stays.
#[test]
fn other_changes_keep_the_metadata_of_now() {
    let (case, first, second) = two();
    case.ok("edit --yes f --at 0 --hex 01");
    assert_eq!(seen(&case), second);
    case.ok("revert --yes f@1");
    assert_eq!(seen(&case), first);
    chmod(case.path("f"), 0o660);
    case.touch(2, 9);
    let now = seen(&case);
    case.ok("revert --yes f@1 --range 0..4096");
    assert_eq!(seen(&case), now);
    case.ok("edit --yes f --at 0 --hex 01");
    case.ok("undo --yes f");
    assert_eq!(seen(&case), now);
}

/// Killed wherever it is, with and without bytes that change: recovery brings the metadata of that end, too.
#[test]
fn a_killed_revert_is_finished_with_its_metadata() {
    if !needs_strace() {
        return;
    }
    let calls = "pwrite64,fchmod,fchown,fsetxattr,fremovexattr,fsync,unlinkat,renameat";
    for touched in [false, true] {
        for way in ["--finish", "--rollback"] {
            let (mut n, mut recovered) = (1, 0);
            loop {
                let (case, first, second) = two();
                if touched {
                    case.touch(1, 77);
                }
                let old = case.read("f");
                let ran =
                    Subject::sound().inject(&case, "revert --yes f@1", calls, &format!("signal=SIGKILL:when={n}"));
                if !was_killed(&ran) {
                    break;
                }
                let begun = !case.stored("intent").is_empty();
                if begun {
                    case.ok(&format!("recover --yes {way} f"));
                    recovered += 1;
                    let expected = if way == "--finish" { &first } else { &second };
                    assert_eq!(&seen(&case), expected, "{way}, killed at {n}");
                    assert!(way == "--finish" || case.read("f") == old, "killed at {n}");
                }
                assert_eq!(case.read("f").len(), 4 * PAGE);
                n += 1;
            }
            assert!(recovered > 2, "{recovered} of {n}");
        }
    }
}

/// Old content that was private is never where others can read it, also when the change is interrupted.
#[test]
fn the_mode_is_narrowed_before_old_content_comes() {
    if !needs_strace() {
        return;
    }
    let case = Case::with_pages(4);
    chmod(case.path("f"), 0o600);
    case.ok("snap f");
    case.touch(1, 5);
    chmod(case.path("f"), 0o644);
    kill_at_the_first_page(&case);
    assert_eq!(seen(&case).mode, 0o600);
    case.ok("recover --yes --rollback f");
    assert_eq!(seen(&case).mode, 0o644);
}

/// Kills `revert --yes f@1` where it writes the first page.
fn kill_at_the_first_page(case: &Case) {
    for n in 1..40 {
        let ran = Subject::sound().inject(case, "revert --yes f@1", "pwrite64", &format!("signal=SIGKILL:when={n}"));
        assert!(was_killed(&ran), "no kill fell on the write into the target");
        if !case.stored("intent").is_empty() {
            return;
        }
    }
    panic!("nothing was begun");
}

/// The bits of the group say something else where another group, an access list or another owner comes with the
/// content: until the change has ended, only the owner of the snapshot reads any of it.
#[test]
fn who_could_not_read_a_snapshot_cannot_read_it_half_way() {
    if !needs_strace() {
        return;
    }
    let acl = b"system.posix_acl_access";
    let entries: [(u16, u16, u32); 5] =
        [(1, 6, u32::MAX), (2, 4, 65534), (4, 4, u32::MAX), (0x10, 4, u32::MAX), (0x20, 0, u32::MAX)];
    let mut list = 2u32.to_le_bytes().to_vec();
    for (tag, perm, id) in entries {
        list.extend([&tag.to_le_bytes()[..], &perm.to_le_bytes(), &id.to_le_bytes()].concat());
    }
    for (with_list, owner) in [(true, None), (false, Some((65534, 0))), (false, Some((0, 65534)))] {
        if owner.is_some() && !is_root() {
            skip("not root");
            continue;
        }
        let case = Case::with_pages(4);
        chmod(case.path("f"), 0o640);
        case.ok("snap f");
        let first = seen(&case);
        case.touch(1, 5);
        if with_list && !set(&case, acl, &list) {
            skip("no access lists here");
            continue;
        }
        if let Some((user, group)) = owner {
            chown(case.path("f"), Some(user), Some(group)).unwrap();
        }
        let second = seen(&case);
        kill_at_the_first_page(&case);
        let half = seen(&case);
        assert_eq!((half.mode & 0o077, half.owner), (0, first.owner), "{with_list} {owner:?}");
        case.ok("recover --yes --rollback f");
        assert_eq!(seen(&case), second);
        case.ok("revert --yes f@1");
        assert_eq!(seen(&case), first);
    }
}

/// Times far away are kept and restored, or refused; where a file system cannot hold them, that is said.
#[test]
fn extreme_times() {
    use memsnap::sys::meta::set_times;
    let case = Case::in_memory();
    case.write("f", b"some bytes");
    let nanos = |seconds: i128| seconds * 1_000_000_000 + 7;
    let times = |path: &std::path::Path| {
        let found = path.metadata().unwrap();
        (found.atime(), found.mtime(), found.atime_nsec(), found.mtime_nsec())
    };
    let put = |atime: i128, mtime: i128| {
        let _alone = no_forks();
        set_times(&File::open(case.path("f")).unwrap(), nanos(atime), nanos(mtime)).unwrap();
        times(&case.path("f")) == (atime as i64, mtime as i64, 7, 7)
    };
    let beyond = tempfile::tempdir().unwrap();
    // The years 2262, 2300, 1600, 2514; and as far as a snapshot goes.
    for (atime, mtime) in
        [(0, 9_223_372_037), (10_413_792_000, -11_676_096_000), (17_179_869_184, 1 << 33), (-1, 600_000_000_000_000)]
    {
        if !put(atime, mtime) {
            return skip("such times cannot be set here");
        }
        case.ok("snap --always f");
        case.ok("restore f@latest -o out");
        assert_eq!(times(&case.path("out")), (atime as i64, mtime as i64, 7, 7));
        fs::remove_file(case.path("out")).unwrap();
        let out = beyond.path().join(format!("{mtime}"));
        let ran = case.run(["restore", "f@latest", "-o", out.to_str().unwrap()]).exits(0);
        if (times(&out).0, times(&out).1) != (atime as i64, mtime as i64) {
            ran.says("times were not restored");
        }
        case.ok("log -v f");
        case.ok("stat f");
    }
    case.ok("verify");
    let n = case.snapshots();
    for (atime, mtime) in [(1 << 60, 0), (0, -(1 << 60))] {
        assert!(put(atime, mtime));
        case.exits("snap f", 2).says("beyond what a snapshot can hold").says("touch ");
        assert_eq!(case.snapshots(), n);
    }
}

/// The bytes are as they were, and a log beside them has more: nothing new is stored, and nothing else is said.
#[test]
fn an_unchanged_file_with_a_log() {
    let case = Case::with_pages(4);
    case.ok("snap f");
    case.write("f-journal", &super::companions::hot_journal());
    for strict in ["", "--strict"] {
        let ran = case.exits(&format!("snap --alone {strict} f"), 3).says("unchanged since @1");
        let ran = ran.says("below the required grade, no new snapshot, as the file did not change");
        assert!(!ran.err.contains("stored and marked"), "{ran:?}");
        assert_eq!(case.snapshots(), 1);
    }
    case.touch(1, 3);
    case.exits("snap --alone f", 3).says("below the required grade, stored and marked");
    assert_eq!(case.snapshots(), 2);
}

/// Nothing but the mode differs: no page is written, and what is taken back is the mode.
#[test]
fn a_revert_of_the_mode_alone() {
    let case = Case::with_pages(4);
    let bytes = case.read("f");
    chmod(case.path("f"), 0o644);
    case.ok("snap f");
    chmod(case.path("f"), 0o600);
    case.ok("revert -n f@1").shows("sets     mode 0600 -> 0644").shows("writes   0 pages");
    case.ok("revert -n --no-undo f@1").shows("final").shows("sets     mode 0600 -> 0644");
    assert_eq!((seen(&case).mode, case.snapshots()), (0o600, 1));

    case.ok("revert --yes f@1").says("mode 0600 -> 0644, now identical to @1").says("previous content saved as @2");
    assert_eq!((seen(&case).mode, case.snapshots()), (0o644, 2));
    case.ok("undo --yes f").says("mode 0644 -> 0600");
    assert_eq!(seen(&case).mode, 0o600);

    let stored = case.snapshots();
    case.ok("revert --yes --no-undo f@1").says("mode 0600 -> 0644").says("final");
    assert_eq!((seen(&case).mode, case.snapshots()), (0o644, stored));
    case.exits("undo --yes f", 2).says("changed nothing");
    case.ok("revert --yes --no-undo f@1").says("nothing to write");
    assert!(case.read("f") == bytes && case.snapshots() == stored);
    case.ok("verify");
}

/// Set-uid and set-gid bits that the snapshot has do not come back: a file without them has nothing left to revert.
#[test]
fn a_set_uid_bit_alone_is_nothing_to_revert() {
    for mode in [0o4755, 0o2755, 0o6755] {
        let case = Case::with_pages(4);
        chmod(case.path("f"), mode);
        case.ok("snap f");
        chmod(case.path("f"), 0o755);
        for words in ["revert --yes f@1", "revert -n f@1", "revert --yes --no-undo f@1", "revert -n --no-undo f@1"] {
            let ran = case.ok(words);
            assert!(!ran.err.contains("mode") && !ran.out.contains("mode"), "{words}: {ran:?}");
            assert_eq!((seen(&case).mode, case.snapshots()), (0o755, 1), "{mode:o}: {words}");
        }
        assert_eq!(case.ok("--json revert --yes f@1").json()[0]["done"], false);
        assert!(case.stored("undo").is_empty() && case.stored("intent").is_empty());
        // Where another bit differs too, that one is set, and this one is not.
        chmod(case.path("f"), 0o700);
        case.ok("revert --yes f@1").says("mode 0700 -> 0755");
        assert_eq!(seen(&case).mode, 0o755);
    }
}
