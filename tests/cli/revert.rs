//! `revert`: in place, only what differs, and nothing that was not asked for.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::case::{Case, PAGE, noise};

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
    case.exits("revert --yes f@1 --range 1G..2G", 2).says("past the end");
    case.ok("undo --yes f");
}

#[test]
fn modes_come_back_but_no_set_uid() {
    let (case, old) = changed();
    let mode = |mode: u32| std::fs::set_permissions(case.path("f"), PermissionsExt::from_mode(mode)).unwrap();
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
