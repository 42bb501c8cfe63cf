//! `restore`: an image elsewhere, whole or not at all.

use std::os::unix::fs::MetadataExt;

use super::case::{Case, PAGE, noise};
use super::util::chmod;

#[test]
fn bytes_mode_times_and_holes() {
    let case = Case::new();
    case.write("f", &noise(1, PAGE));
    case.set_len("f", 500 * PAGE as u64);
    case.patch("f", 300 * PAGE as u64, &noise(2, PAGE));
    chmod(case.path("f"), 0o640);
    case.ok("snap f");
    let (old, before) = (case.read("f"), case.path("f").metadata().unwrap());
    case.touch(5, 5);
    case.ok("restore f@1 -o out");
    let after = case.path("out").metadata().unwrap();
    assert!(case.read("out") == old);
    assert_eq!((after.mode(), after.mtime(), after.mtime_nsec()), (before.mode(), before.mtime(), before.mtime_nsec()));
    assert!(after.blocks() * 512 < 100 * PAGE as u64, "holes stay holes");
    case.ok("diff f@1 out");
}

#[test]
fn refuses_to_overwrite() {
    let case = Case::with_pages(5);
    let old = case.read("f");
    case.ok("snap f");
    case.write("out", b"mine");
    case.exits("restore f@1 -o out", 2).says("--force");
    case.exits("restore f@1 -o out --force", 2).says("--yes");
    assert_eq!(case.read("out"), b"mine");
    case.ok("restore f@1 -o out --force --dry-run");
    assert_eq!(case.read("out"), b"mine");
    case.ok("restore f@1 -o out --force --yes");
    assert!(case.read("out") == old);
    case.ok("restore f@1 -o - --force");
}

#[test]
fn to_stdout() {
    let case = Case::with_pages(33);
    case.ok("snap f");
    let ran = case.ok("restore f@latest -o -");
    assert!(ran.bytes == case.read("f"));
    std::fs::remove_file(case.path("f")).unwrap();
    assert!(case.ok("restore f@1 -o -").bytes == noise(1, 33 * PAGE), "the file itself is not needed");
    let ran = case.ok("restore f@1 -o - --json");
    assert!(ran.bytes == noise(1, 33 * PAGE));
    assert_eq!(super::case::json_lines(&ran.err)[0]["len"], 33 * PAGE);
}

#[test]
fn no_half_written_file_is_seen() {
    let case = Case::with_pages(50);
    case.ok("snap f");
    let pack = case.stored(".pack").remove(0);
    let mut bytes = std::fs::read(&pack).unwrap();
    bytes[40 * PAGE] ^= 1;
    std::fs::write(&pack, &bytes).unwrap();
    let before = std::fs::read_dir(case.dir()).unwrap().count();
    case.exits("restore f@1 -o out", 4).says("verify");
    assert_eq!(std::fs::read_dir(case.dir()).unwrap().count(), before);
    case.write("out", b"mine");
    case.exits("restore f@1 -o out --force --yes", 4);
    assert_eq!(case.read("out"), b"mine");
}

#[test]
fn names_what_is_missing() {
    let case = Case::with_pages(5);
    case.ok("snap f");
    case.exits("restore f -o out", 2).says("f@latest");
    case.exits("restore f@2 -o out", 2);
    case.exits("restore f@1 -o no/such/out", 2);
    case.exits("restore f@1", 2).says("--output");
}
