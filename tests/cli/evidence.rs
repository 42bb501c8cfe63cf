//! A file that did not change since it was read is not read again; whatever may have changed is.
#![allow(unsafe_code, reason = "a writable map is what is tested")]

use std::fs::{self, File};

use memmap2::MmapMut;

use super::case::{Case, PAGE, no_forks, noise, skip};
use super::mount::{Device, Fs, Mount, needs_mounts, scratch};
use super::util::{Evidence, by_size, chmod};

/// How much of `f` was read, and why.
fn read(case: &Case, words: &str) -> (String, String) {
    let ran = case.run(words.split(' '));
    assert!(matches!(ran.code, Some(0 | 1)), "{ran:?}");
    let json = ran.json().pop().unwrap();
    let word = |name: &str| json[name].as_str().unwrap_or_else(|| panic!("{json}")).to_owned();
    (word("read"), word("read_reason"))
}

fn snap(case: &Case) -> (String, String) {
    read(case, "snap --json --require none f")
}

/// A file of 40 pages that was captured; none where evidence counts for nothing.
fn captured() -> Option<Case> {
    let case = Case::with_pages(40);
    case.ok("snap f");
    if !case.history().join("evidence").exists() {
        skip("the file system here does not show whether a file is written");
        return None;
    }
    Some(case)
}

#[test]
fn an_unchanged_file_is_not_read() {
    let Some(case) = captured() else { return };
    let ran = case.ok("snap f").says("unchanged since @1 (not read)").says("proven");
    assert_eq!(case.snapshots(), 1, "{ran:?}");
    case.ok("snap -v f").says("f was not read: no change was seen since it was read for @1");
    case.ok("diff -v f").shows("the file was not read: no change was seen");
    for words in ["snap --json f", "diff --json f", "diff --json f@1..now"] {
        assert_eq!(read(&case, words).0, "nothing", "{words}");
    }
    assert_eq!(case.ok("stat --json --changes f").json()[0]["changes"]["read"], "nothing");
    assert_eq!(case.ok("snap --json f").json()[0]["grade"], "proven");
    case.ok("revert f@1 --dry-run --yes");
    for words in ["--rescan", "--reread 0s", "--reread 1ms"] {
        assert_eq!(read(&case, &format!("snap --json {words} f")).0, "all", "{words}");
        assert_eq!(read(&case, &format!("diff --json {words} f")).0, "all", "{words}");
    }
    assert_eq!(read(&case, "snap --json --reread 1h f").0, "nothing");
    case.exits("snap --reread soon f", 2).says("7d");
}

/// What is stored without reading is what would be stored with it.
#[test]
fn a_snapshot_that_is_wanted_all_the_same() {
    let Some(case) = captured() else { return };
    let of = |words: &str| {
        let mut json = case.ok(words).json().remove(0);
        let fields = json.as_object_mut().unwrap();
        for name in ["id", "number", "seconds", "read", "read_reason", "bytes_read", "reason", "bytes_stored"] {
            fields.remove(name);
        }
        json
    };
    let unread = of("snap --json --always f");
    assert_eq!(snap(&case).0, "nothing");
    assert_eq!(unread, of("snap --json --always --rescan f"));
    case.ok("log -v f").shows("no process wrote to it while it was read for @1");
    assert!(case.ok("restore f@2 -o -").bytes == case.read("f"));
    case.ok("verify");
    // The digest cache is that of the newest.
    case.touch(3, 3);
    assert_eq!(case.ok("snap --json f").json()[0]["pages_changed"], 1);
    // An earlier one is compared by the maps.
    case.ok("snap --rescan f");
    let found = case.exits("diff --json f@1", 1).json().pop().unwrap();
    assert_eq!((found["pages_changed"].as_u64(), found["read"].as_str()), (Some(1), Some("nothing")));
}

#[test]
fn whatever_may_be_a_change_is_looked_at() {
    let Some(case) = captured() else { return };
    let all = |what: &str, why: &str| {
        let (word, reason) = snap(&case);
        assert_eq!(word, "all", "{what}");
        assert!(reason.contains(why), "{what}: {reason}");
        assert_eq!(snap(&case).0, "nothing", "after {what}");
    };
    case.touch(1, 7);
    all("write", "it was written");
    let stamp = fs::metadata(case.path("f")).unwrap().modified().unwrap();
    let same = case.read("f");
    case.patch("f", 0, &same[..1]);
    File::options().write(true).open(case.path("f")).unwrap().set_modified(stamp).unwrap();
    all("the same bytes and the old time", "it was written");
    chmod(case.path("f"), 0o640);
    all("chmod", "it was written");
    case.set_len("f", 10 * PAGE as u64 + 1);
    all("truncate", "it was written");
    fs::copy(case.path("f"), case.path("g")).unwrap();
    fs::rename(case.path("g"), case.path("f")).unwrap();
    all("another file", "another file has its name");
    fs::remove_file(case.history().join("evidence")).unwrap();
    all("no evidence", "no sound reading");
    fs::write(case.history().join("evidence"), "nonsense").unwrap();
    all("nonsense", "no sound reading");
    let whole = fs::read(case.history().join("evidence")).unwrap();
    fs::write(case.history().join("evidence"), &whole[..whole.len() - 1]).unwrap();
    all("cut short", "no sound reading");
    // Itself it can be moved away and back.
    fs::rename(case.path("f"), case.path("g")).unwrap();
    case.run(["snap", "f"]);
    fs::rename(case.path("g"), case.path("f")).unwrap();
    all("a rename", "it was written");
}

#[test]
fn not_after_a_restart_nor_on_another_mount() {
    let Some(case) = captured() else { return };
    let real = Evidence::of(&case.history());
    for (word, other, why) in [
        (Evidence::BOOT, "0123456789abcdef0123456789abcdef", "started anew"),
        (Evidence::MOUNT, "1", "mounted anew"),
        (Evidence::INODE, "2", "another file"),
        (Evidence::SNAPSHOT, &"ab".repeat(32), "its snapshot is gone"),
        (Evidence::READ, "18446744073709551615", "too long ago"),
    ] {
        real.with(word, other).put(&case.history());
        let (word, reason) = read(&case, "diff --json f");
        assert_eq!(word, "all");
        assert!(reason.contains(why), "{reason}");
    }
    real.put(&case.history());
    assert_eq!(read(&case, "diff --json f").0, "nothing");
    // A quiet window lets it be read again after a day.
    real.with(Evidence::MEANS, "quiet").put(&case.history());
    assert_eq!(case.ok("snap --json --always f").json()[0]["grade"], "observed");
}

#[test]
fn a_file_system_that_was_mounted_again() {
    if !needs_mounts() {
        return;
    }
    let dir = scratch();
    let image = dir.path().join("image");
    File::create(&image).and_then(|file| file.set_len(Fs::Ext4.len())).unwrap();
    Fs::Ext4.make(&image);
    let mut mount = Mount::new(Fs::Ext4, Device::new(&image).unwrap()).unwrap();
    let case = mount.case();
    case.write("f", &noise(1, 9 * PAGE));
    case.ok("snap f");
    assert_eq!(snap(&case).0, "nothing");
    mount.down();
    mount.up().unwrap();
    let (word, why) = snap(&case);
    assert_eq!((&*word, &*why), ("all", "its file system was mounted anew since"));
    assert_eq!(snap(&case).0, "nothing");
}

/// A map of `f` that can be stored to.
fn mapped(case: &Case) -> MmapMut {
    let _alone = no_forks();
    let file = File::options().read(true).write(true).open(case.path("f")).unwrap();
    // SAFETY: no test truncates the file while the map lives.
    unsafe { MmapMut::map_mut(&file) }.unwrap()
}

/// The page of the map is dirty before and after, so that a store to it moves neither mtime nor ctime.
#[test]
fn a_second_store_to_a_dirty_page_is_not_missed() {
    let Some(case) = captured() else { return };
    let mut map = mapped(&case);
    let was = map[3 * PAGE];
    // Somebody else may bring the page to the disk at any moment.
    let unseen = (0..20).any(|_| {
        map[3 * PAGE] = !was;
        map[3 * PAGE] = was;
        // The evidence of a reading that did not look for dirty pages.
        let evidence = Evidence::of(&case.history()).now(&case.path("f"));
        evidence.put(&case.history());
        map[3 * PAGE] = !was;
        evidence == evidence.now(&case.path("f"))
    });
    assert!(unseen, "each store moved ctime: this shows nothing");
    let found = case.exits("diff --json f", 1).json().pop().unwrap();
    assert_eq!((found["pages_changed"].as_u64(), found["read"].as_str()), (Some(1), Some("all")));
    assert_eq!(snap(&case).0, "all");
    assert!(case.ok("restore f@2 -o -").bytes == case.read("f"));
    // And each of the next ones, in a window that is too young for evidence.
    for round in 0..5 {
        map[3 * PAGE] = round;
        assert_eq!(snap(&case).0, "all");
        assert!(case.ok("restore f@latest -o -").bytes == case.read("f"));
    }
}

/// An idle program has it open; the last change is long ago.
#[test]
fn a_quiet_window_leaves_evidence_once_the_file_is_settled() {
    if !by_size(false, true, true) {
        return; // it takes 31 seconds
    }
    let case = Case::with_pages(20);
    let _map = mapped(&case);
    case.ok("snap f").says("observed");
    if snap(&case).0 != "all" {
        panic!("a change of a moment ago may still be in flight");
    }
    std::thread::sleep(std::time::Duration::from_secs(31));
    assert_eq!(snap(&case).0, "all");
    assert_eq!(snap(&case).0, "nothing");
    assert_eq!(case.ok("snap --json f").json()[0]["grade"], "observed");
    assert_eq!(read(&case, "snap --json --reread 1h f").0, "nothing");
}

#[test]
fn memory_leaves_no_evidence() {
    let case = Case::in_memory();
    case.write("f", &noise(1, 5 * PAGE));
    case.ok("snap f");
    let kind = File::open(case.path("f")).and_then(|file| memsnap::sys::fs::kind(&file)).unwrap();
    if kind.name() != "tmpfs" {
        return skip("no tmpfs here");
    }
    assert!(case.stored("evidence").is_empty());
    assert_eq!(snap(&case).0, "all");
}

/// It claims what is not so, with a check that is right: it is believed until it is looked at.
#[test]
fn evidence_that_lies() {
    let Some(case) = captured() else { return };
    case.touch(5, 5);
    case.shell("sync f");
    Evidence::of(&case.history()).now(&case.path("f")).put(&case.history());
    assert_eq!(read(&case, "diff --json f").0, "nothing");
    assert_eq!(case.exits("diff --json --rescan f", 1).json().pop().unwrap()["pages_changed"], 1);
    case.ok("snap --rescan f");
    assert!(case.ok("restore f@2 -o -").bytes == case.read("f"));
    case.ok("verify");
}

/// The undo snapshot of a change needs no reading either; the change is a change.
#[test]
fn changes_in_place() {
    let Some(case) = captured() else { return };
    case.touch(2, 2);
    case.ok("snap f");
    let second = case.read("f");
    case.ok("revert --yes f@1");
    assert!(case.read("f") == noise(1, 40 * PAGE));
    assert_eq!(read(&case, "diff --json f@1").0, "all");
    case.ok("undo --yes f");
    assert!(case.read("f") == second);
    case.ok("edit --yes f --at 0 --hex 00ff");
    case.ok("snap f");
    assert_eq!(snap(&case).0, "nothing");
    case.ok("verify");
}
