//! `delta` and `apply`: changes written out, brought elsewhere, refused where they do not fit.

use super::case::{Case, PAGE, finish, finish_with, noise};

/// Two snapshots, the delta between them in `d`, and the old bytes in `other`.
fn made(extra: &str) -> (Case, Vec<u8>, Vec<u8>) {
    let case = Case::with_pages(40);
    let old = case.read("f");
    case.ok("snap f");
    [2, 3, 30].iter().for_each(|page| case.touch(*page, page + 7));
    case.set_len("f", 41 * PAGE as u64 + 9);
    case.ok("snap f");
    let new = case.read("f");
    case.ok(&format!("delta make f@1..2 -o d {extra}"));
    case.write("other", &old);
    (case, old, new)
}

#[test]
fn through_a_file() {
    let (case, old, new) = made("");
    case.ok("delta stat d").shows("base").shows("not reversible");
    case.exits("apply other d", 2).says("--yes");
    case.ok("apply -n other d").shows("pages");
    assert!(case.read("other") == old);
    case.ok("apply --yes other d");
    assert!(case.read("other") == new);
    case.ok("undo --yes other");
    assert!(case.read("other") == old);
    assert!(case.path("d").metadata().unwrap().len() < 6 * PAGE as u64);
}

/// A second time there is nothing to do: scripts may be run again.
#[test]
fn applied_already() {
    let (case, _, new) = made("");
    case.ok("apply --yes other d");
    case.ok("apply --yes other d").says("nothing to write");
    case.ok("apply other d").says("nothing to write");
    case.ok("apply -n other d").shows("0 pages");
    assert!(case.read("other") == new);
    case.ok("undo --yes other");
    case.touch(4, 5);
    case.exits("apply --yes f d", 5);
    case.exits("apply f d -o out", 5);
}

#[test]
fn through_a_pipe() {
    let (case, _, new) = made("");
    let delta = case.ok("delta make f@1 f@2 -o -").bytes;
    finish_with(&mut case.memsnap(["apply", "other", "-"]), &delta).exits(2).says("--yes");
    finish_with(&mut case.memsnap(["apply", "--yes", "other", "-"]), &delta).exits(0);
    assert!(case.read("other") == new);
    let line = "\"$M\" delta make f@2 f@1 -o - | \"$M\" apply --yes other -";
    finish(case.command("sh").args(["-c", line]).env("M", super::case::program())).exits(0);
    case.ok("diff other f@1");
}

#[test]
fn to_a_copy() {
    let (case, old, new) = made("");
    case.ok("apply other d -o out");
    assert!(case.read("other") == old && case.read("out") == new);
    case.exits("apply other d -o out", 2);
    assert!(case.read("out") == new);
}

#[test]
fn of_plain_files() {
    let (case, ..) = made("");
    let case2 = Case::new();
    case2.write("a", &case.read("other"));
    case2.write("b", &case.read("f"));
    case2.ok("delta make a b -o d");
    assert!(!case2.path(".memsnap").exists(), "no store is needed");
    case2.ok("apply a d -o c");
    assert!(case2.read("c") == case2.read("b"));
    case2.exits("delta make a b -o d", 2);
    case2.ok("delta make a b -o d --force");
}

#[test]
fn the_wrong_base_is_refused() {
    let (case, ..) = made("");
    case.patch("other", 5, b"!");
    let before = case.read("other");
    let ran = case.exits("apply --yes other d", 5);
    let digests = ran.err.split(|c: char| !c.is_ascii_hexdigit()).filter(|word| word.len() >= 12).count();
    assert!(digests >= 2, "both digests are named: {}", ran.err);
    case.exits("apply other d -o out", 5);
    assert!(case.read("other") == before && !case.path("out").exists());
    case.write("short", &before[..PAGE]);
    case.exits("apply --yes short d", 5);
}

#[test]
fn inverted() {
    let (case, old, new) = made("--reversible");
    case.ok("delta stat d").shows("\nreversible\n");
    case.ok("delta invert d -o back");
    case.ok("apply f back -o out");
    assert!(case.read("out") == old);
    case.ok("delta invert back -o again");
    case.ok("apply other again -o out2");
    assert!(case.read("out2") == new);
    let (case, ..) = made("");
    case.exits("delta invert d -o back", 2).says("--reversible");
    assert!(!case.path("back").exists());
}

#[test]
fn any_damage_is_found_before_anything_is_written() {
    let (case, old, _) = made("");
    let good = case.read("d");
    let mut bits: Vec<usize> = (0..good.len() * 8).step_by((good.len() * 8 / 60) | 1).collect();
    bits.extend([0, 70, 130, good.len() * 8 - 1]);
    for bit in bits {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        case.write("bad", &bad);
        let ran = case.run(["apply", "--yes", "other", "bad"]);
        assert!(matches!(ran.code, Some(2 | 4 | 5)), "bit {bit}: {ran:?}");
    }
    for len in [0, 1, 15, 16, 100, good.len() / 2, good.len() - 1] {
        let ran = finish_with(&mut case.memsnap(["apply", "--yes", "other", "-"]), &good[..len]);
        assert!(matches!(ran.code, Some(2 | 4)), "cut to {len}: {ran:?}");
    }
    case.write("bad", &[&good[..], b"x"].concat());
    case.run(["apply", "--yes", "other", "bad"]).exits(4);
    assert!(case.read("other") == old);
}

#[test]
fn what_is_no_delta_is_told_so() {
    let (case, old, _) = made("");
    case.write("short", b"hello\n");
    for other in ["short", "f"] {
        for line in [format!("delta stat {other}"), format!("apply --yes other {other}")] {
            case.exits(&line, 2).says(&format!("{other} is not a delta"));
        }
    }
    case.write("empty", b"");
    case.exits("delta stat empty", 2).says("empty is not a delta");
    case.write("cut", &case.read("d")[..50]);
    case.exits("delta stat cut", 4).says("ends too early");
    assert!(case.read("other") == old);
}

#[test]
fn close_content_is_coded_against_the_old() {
    let case = Case::new();
    let old = noise(1, 64 * PAGE);
    let mut new = old.clone();
    (0..64).for_each(|page| new[page * PAGE + 100] ^= 0xff);
    case.write("a", &old);
    case.write("b", &new);
    case.ok("delta make a b -o d");
    assert!(case.path("d").metadata().unwrap().len() < 8 * PAGE as u64, "a byte a page");
    case.ok("apply --yes a d");
    assert!(case.read("a") == new);
}
