//! `revert`: in place, only what differs, and nothing that was not asked for.

use std::os::unix::fs::MetadataExt;

use super::case::{Case, PAGE, noise};
use super::util::chmod;

fn changed() -> (Case, Vec<u8>) {
    let case = Case::with_pages(40);
    let old = case.read("f");
    case.ok("snap f");
    [2, 3, 20].iter().for_each(|page| case.touch(*page, page + 7));
    (case, old)
}

#[test]
fn brings_it_back_in_place() {
    let (case, old) = changed();
    let inode = case.path("f").metadata().unwrap().ino();
    case.ok("revert --yes f").says("3 pages written (12 KiB)").says("undo");
    assert!(case.read("f") == old);
    assert_eq!(case.path("f").metadata().unwrap().ino(), inode);
    case.ok("revert --yes f@1").says("nothing to write");
    case.ok("verify");
}

#[test]
fn to_any_snapshot_with_lengths_and_holes() {
    let case = Case::with_pages(20);
    let mut images = vec![case.read("f")];
    case.ok("snap f");
    case.set_len("f", 3 * PAGE as u64 + 5);
    images.push(case.read("f"));
    case.ok("snap f");
    case.set_len("f", 90 * PAGE as u64);
    case.patch("f", 80 * PAGE as u64, b"x");
    images.push(case.read("f"));
    case.ok("snap f");
    for number in [1, 3, 2, 3, 1] {
        case.ok(&format!("revert --yes f@{number}"));
        assert!(case.read("f") == images[number - 1], "@{number}");
        case.ok(&format!("diff f@{number}"));
    }
    case.ok("revert --yes f@3");
    assert!(case.path("f").metadata().unwrap().blocks() * 512 < 40 * PAGE as u64, "holes came back as holes");
}

#[test]
fn a_dry_run_writes_nothing() {
    let (case, old) = changed();
    let new = case.read("f");
    case.ok("revert -n f").shows("3 pages in 2 ranges").shows("2..4");
    let json = case.ok("revert -n --json f").json();
    assert_eq!((json[0]["pages"].as_u64(), json[0]["dry_run"].as_bool()), (Some(3), Some(true)));
    assert!(case.read("f") == new && new != old);
    assert_eq!(case.snapshots(), 1);
}

#[test]
fn without_consent_nothing_is_written() {
    let (case, _) = changed();
    let new = case.read("f");
    case.exits("revert f", 2).says("--yes");
    assert!(case.read("f") == new);
    case.exits("undo f", 2);
}

#[test]
fn only_the_bytes_asked_for() {
    let (case, old) = changed();
    let mut expected = case.read("f");
    let (from, to) = (2 * PAGE + 100, 3 * PAGE + 50);
    expected[from..to].copy_from_slice(&old[from..to]);
    case.ok(&format!("revert --yes f --range {from}..{to}"));
    assert!(case.read("f") == expected);
    case.ok("undo --yes f");
}

/// With consent, without it and in a dry run alike.
#[test]
fn a_range_past_the_end_is_an_error() {
    let (case, _) = changed();
    let (now, stored) = (case.read("f"), case.snapshots());
    for way in ["-n", "--yes", ""] {
        case.exits(&format!("revert {way} f@1 --range 1G..2G"), 2).says("past the end");
    }
    assert!(case.read("f") == now && case.snapshots() == stored);
}

#[test]
fn nothing_to_do_stores_nothing() {
    let (case, old) = changed();
    case.ok("snap f");
    let now = case.read("f");
    // A change that no snapshot holds, in another page; and one in the same page, but in other bytes.
    case.touch(12, 500);
    case.patch("f", 2 * PAGE as u64 + 5, b"other");
    let (held, stored) = (case.read("f"), case.snapshots());
    let nothing = |words: &str| {
        case.ok(words).says("nothing to write");
        assert!(case.read("f") == held && case.snapshots() == stored, "{words}");
    };
    nothing("revert --yes f@2 --range 12k..48k");
    let (from, to) = (2 * PAGE + 100, 3 * PAGE + 50);
    nothing(&format!("revert --yes f@2 --range {from}..{to}"));
    case.ok(&format!("revert -n f@2 --range {from}..{to}")).shows("0 pages");
    case.ok(&format!("revert --yes f@2 --range {}..{to}", 2 * PAGE));
    assert!(case.read("f")[2 * PAGE..3 * PAGE] == now[2 * PAGE..3 * PAGE]);
    // The image of an old snapshot, which is not the last.
    case.ok("revert --yes f@1");
    case.ok("snap f");
    case.write("f", &now);
    let (held, stored) = (case.read("f"), case.snapshots());
    case.ok("revert --yes f@2").says("nothing to write");
    assert!(case.read("f") == held && case.snapshots() == stored && old != held);
    // A delta of nothing, to a file without history.
    case.write("g", &now);
    case.ok("delta make f@2 f@2 -o d");
    case.ok("apply --yes g d").says("nothing to write");
    assert_eq!(case.snapshots(), stored);
}

/// A hole of the snapshot, and zeros of the file, are the same bytes.
#[test]
fn a_range_of_zeros_holds() {
    let case = Case::new();
    case.write("f", b"");
    case.set_len("f", 64 * PAGE as u64);
    case.ok("snap f");
    case.patch("f", 10 * PAGE as u64, &[0; 3 * PAGE]);
    case.touch(40, 1);
    let stored = case.snapshots();
    case.ok("revert --yes f@1 --range 0..160k").says("nothing to write");
    assert_eq!(case.snapshots(), stored);
    case.ok("revert --yes f@1 --range 0..164k");
    assert!(case.read("f") == vec![0; 64 * PAGE]);
}

#[test]
fn without_undo_it_is_final() {
    let (case, old) = changed();
    let now = case.read("f");
    case.ok("revert --yes f@1");
    case.ok("undo --yes f");
    case.ok("revert --yes f@1");
    case.touch(7, 70);
    case.set_len("f", 3 * PAGE as u64 + 5);
    let stored = case.snapshots();
    case.ok("revert -n --no-undo f@1").shows("final").shows("is not stored");
    case.exits("revert --no-undo f@1", 2).says("--yes");
    case.exits("revert --yes --no-undo f@1 --range 0..1", 2);
    assert_eq!(case.ok("revert --json -n --no-undo f@1").json()[0]["no_undo"], true);
    let ran = case.ok("revert --yes --no-undo f@1").says("final");
    assert!(!ran.err.contains("undo f"), "{}", ran.err);
    assert!(case.read("f") == old && now != old);
    assert_eq!(case.snapshots(), stored);
    case.exits("undo --yes f", 2).says("that it could take back");
    case.ok("revert --yes --no-undo f@1").says("nothing to write");
    case.ok("verify");
}

/// With too little space for undo: said, and then it is done.
#[test]
fn without_undo_it_needs_no_space() {
    let (case, old) = changed();
    case.exits("revert --yes --reserve 1000T f@1", 2).says("--no-undo");
    case.ok("revert --yes --reserve 1000T --no-undo f@1");
    assert!(case.read("f") == old);
}

#[test]
fn modes_come_back_but_no_set_uid() {
    let (case, old) = changed();
    let mode = |mode: u32| chmod(case.path("f"), mode);
    mode(0o4755);
    case.ok("snap f");
    mode(0o600);
    case.touch(9, 9);
    case.ok("revert --yes f@2").says("set-uid");
    assert_eq!(case.path("f").metadata().unwrap().mode() & 0o7777, 0o755);
    case.ok("revert --yes f@1");
    assert!(case.read("f") == old);
}

#[test]
fn a_read_only_reader_is_in_the_way_too() {
    let (case, old) = changed();
    let open = std::fs::File::open(case.path("f")).unwrap();
    let new = case.read("f");
    case.exits("revert --yes f", 75).says(&format!("({})", std::process::id())).says("--live");
    assert!(case.read("f") == new);
    case.ok("revert --yes --live f");
    assert!(case.read("f") == old);
    drop(open);
}

#[test]
fn a_target_that_is_gone() {
    let (case, _) = changed();
    std::fs::remove_file(case.path("f")).unwrap();
    case.exits("revert --yes f", 2).says("f");
    case.write("f", &noise(3, 10));
    case.ok("revert --yes f@1");
}

/// A snapshot of a file that was brought back to an earlier one is the latest, as any other.
#[test]
fn a_snapshot_after_a_revert_is_the_latest() {
    let case = Case::with_pages(4);
    case.ok("snap f");
    let good = case.read("f");
    case.touch(1, 2);
    case.ok("snap f");
    case.ok("revert --yes f@1");
    case.ok("snap f -m good").says("f@3").says("0 pages changed");
    case.ok("diff f");
    case.ok("snap f").says("unchanged since @3");
    case.touch(2, 3);
    case.ok("revert --yes f");
    assert!(case.read("f") == good);
}
