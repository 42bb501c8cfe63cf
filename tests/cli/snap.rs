//! `snap`: what is kept, what is said, and when nothing is made.

use super::case::{Case, PAGE, noise};

#[test]
fn only_the_id_is_on_stdout() {
    let case = Case::with_pages(40);
    let ran = case.ok("snap f").says("f@1").says("40 pages").says("proven");
    let id = ran.out.trim_end();
    assert!(ran.out.ends_with('\n') && id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{}", ran.out);
    assert!(case.stored(".snap")[0].to_string_lossy().contains(id));
}

#[test]
fn only_changed_pages_are_stored() {
    let case = Case::with_pages(200);
    case.ok("snap f");
    [3, 77, 150].iter().for_each(|page| case.touch(*page, page + 5));
    let before: u64 = case.stored(".pack").iter().map(|p| p.metadata().unwrap().len()).sum();
    case.ok("snap f").says("f@2").says("3 pages changed (12 KiB)");
    let after: u64 = case.stored(".pack").iter().map(|p| p.metadata().unwrap().len()).sum();
    let new = after - before;
    assert!((3 * PAGE as u64..4 * PAGE as u64).contains(&new), "{new} bytes for 3 pages");
}

/// A frame that does not shrink says nothing of those that follow it.
#[test]
fn pages_are_compressed_in_any_order() {
    let case = Case::new();
    let text: Vec<u8> = (0..1_000_000).flat_map(|n| format!("{n}\n").into_bytes()).take(96 << 16).collect();
    let noise = noise(1, 32 << 16);
    case.write("a", &[&noise[..], &text].concat());
    case.write("b", &[&text[..], &noise].concat());
    let stored = ["a", "b"].map(|name| {
        let report = case.ok(&format!("snap --json {name}")).json().remove(0);
        assert_eq!((&report["frames"]["raw"], &report["frames"]["zstd"]), (&32.into(), &96.into()), "{report}");
        report["bytes_stored"].as_u64().unwrap()
    });
    assert!(stored[0].abs_diff(stored[1]) < 1000 && stored[0] < 4 << 20, "{stored:?}");
    case.patch("a", 0, &text[..PAGE]);
    case.ok("snap -v a").says("stored in 1 frame (0 raw, 1 zstd)");
}

#[test]
fn unchanged_is_said_and_nothing_made() {
    let case = Case::with_pages(5);
    let first = case.ok("snap f");
    let second = case.ok("snap f").says("unchanged");
    assert_eq!((first.out, case.snapshots()), (second.out, 1));
    let third = case.ok("snap --always f");
    assert_eq!(case.snapshots(), 2);
    assert_ne!(second.err, third.err);
    case.ok("snap -m why f").says("not stored");
}

#[test]
fn a_message_and_tags_are_kept() {
    let case = Case::with_pages(5);
    case.run(["snap", "-m", "before the upgrade", "--tag", "gold", "-t", "v1.2", "f"]).exits(0);
    case.ok("log f").shows("before the upgrade").shows("[gold]").shows("[v1.2]");
    // A tag may be given to what is there already, and moves.
    case.touch(1, 9);
    case.ok("snap --tag gold f");
    case.ok("diff f@gold");
    case.exits("diff f@v1.2", 1);
}

#[test]
fn bad_tags_make_nothing() {
    let case = Case::with_pages(5);
    for tag in ["beef", "1a", "latest", "a@b", "a/b", "a..b", ""] {
        case.run(["snap", "--tag", tag, "f"]).exits(2);
    }
    assert_eq!(case.snapshots(), 0);
}

#[test]
fn several_files_and_the_worst_verdict() {
    let case = Case::with_pages(3);
    case.write("g", b"g");
    let ran = case.exits("snap f missing g", 2).says("missing");
    assert_eq!(ran.out.lines().count(), 2, "the others are kept");
}

#[test]
fn files_around_the_edges() {
    let case = Case::new();
    for len in [0, 1, PAGE - 1, PAGE, PAGE + 1, 65535, 65536, 65537] {
        let name = format!("f{len}");
        case.write(&name, &noise(len as u64, len));
        case.ok(&format!("snap {name}"));
        case.ok(&format!("diff {name}"));
        let ran = case.ok(&format!("restore {name}@1 -o -"));
        assert!(ran.bytes == case.read(&name), "{len}");
    }
    case.ok("verify");
}

#[test]
fn holes_and_zeros_take_no_space() {
    let case = Case::new();
    case.write("f", &noise(1, PAGE));
    case.set_len("f", 1 << 36);
    let ran = case.ok("snap --json f");
    assert_eq!(ran.json()[0]["len"], 1u64 << 36);
    let stored: u64 =
        case.stored("").iter().filter(|p| !p.ends_with("digests")).map(|p| p.metadata().unwrap().len()).sum();
    assert!(stored < 64 << 10, "{stored}");
}

#[test]
fn compression_is_chosen() {
    let case = Case::new();
    case.write("f", &b"all work and no play ".repeat(100 * PAGE / 21));
    let stored = |how: &str| {
        let ran = case.ok(&format!("snap --json --store s-{how} --compress {how} f"));
        ran.json()[0]["bytes_stored"].as_u64().unwrap()
    };
    assert!(stored("none") > 10 * stored("zstd:1"));
    assert!(stored("zstd") > 0);
    for bad in ["zstd:0", "zstd:99", "lz4", ""] {
        case.run(["snap", "--compress", bad, "f"]).exits(2);
    }
}

#[test]
fn the_reserve_is_kept_free() {
    let case = Case::with_pages(5);
    case.exits("snap --reserve 100% f", 2).says("reserve");
    assert_eq!(case.snapshots(), 0);
    case.ok("snap --reserve 0 f");
}

/// Who only ever snaps must hear of damage, too.
#[test]
fn damage_to_earlier_snapshots_is_reported() {
    let case = Case::with_pages(5);
    case.ok("snap f");
    case.touch(1, 7);
    case.ok("snap f");
    let pack = case.stored("pack").into_iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    case.patch(&pack, pack.metadata().unwrap().len() / 2, b"flipped");
    // A reader leaves a hint for the next writer: the time of the pack alone may be that of its snapshot.
    case.exits("verify", 4);
    case.ok("snap f").says("unchanged").says("damaged page").says("stored again");
    case.ok("snap f").says("unchanged");
    case.ok("verify");
    let latest = case.stored("snap").into_iter().max().unwrap();
    case.patch(&latest, 70, b"flipped");
    case.exits("snap f", 4).says("f@3").says("snapshot @2 is damaged").says("`memsnap verify f`");
    case.ok("snap f").says("unchanged");
    let latest = case.stored("snap").into_iter().max().unwrap();
    case.patch(&latest, 70, b"flipped");
    assert_eq!(case.exits("snap f --json", 4).json()[0]["damage"][0], "snapshot @3 is damaged");
    case.exits("verify", 4);
}

#[test]
fn a_name_given_later_is_told() {
    let case = Case::with_pages(5);
    case.ok("snap f");
    case.ok("snap --tag gold f").says("unchanged since @1").says("tagged gold");
}

#[test]
fn the_times_of_the_file_stay() {
    use std::os::unix::fs::MetadataExt;
    let case = Case::with_pages(5);
    let times = || {
        let m = case.path("f").metadata().unwrap();
        (m.atime(), m.atime_nsec(), m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec())
    };
    let before = times();
    case.ok("snap --io pread f");
    case.ok("snap --io map --always f");
    assert_eq!(times(), before);
}
