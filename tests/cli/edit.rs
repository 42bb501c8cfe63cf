//! `edit`: bytes given on the command line, shown, written in place or to a delta.

use std::fs::OpenOptions;
use std::os::unix::fs::MetadataExt;

use super::case::{Case, PAGE, finish_with, has, is_root, no_forks, noise, program, skip};
use super::trace::{interrupted, needs_strace};
use super::util::chmod;

/// What the edits of these tests make of `old`.
fn patched(old: &[u8], patches: &[(usize, &[u8])]) -> Vec<u8> {
    let mut new = old.to_vec();
    for (at, bytes) in patches {
        new.resize(new.len().max(at + bytes.len()), 0);
        new[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    new
}

#[test]
fn every_way_to_say_what_and_undo_brings_it_back() {
    let case = Case::with_pages(40);
    let old = case.read("f");
    let inode = case.path("f").metadata().unwrap().ino();
    let patch = noise(7, PAGE + 100);
    case.write("patch", &patch);
    let words = ["edit", "--yes", "f", "--at", "4k", "--hex", "de ad:be_ef", "--at", "page:17+1", "--text", "-né"];
    let more = ["--at", "0x14000", "--from", "patch", "--at", "100000", "--zero", "9k"];
    let new = patched(
        &old,
        &[
            (4096, &[0xde, 0xad, 0xbe, 0xef]),
            (17 * PAGE + 1, "-né".as_bytes()),
            (0x14000, &patch),
            (100_000, &[0; 9216]),
        ],
    );
    case.run(words.iter().chain(&more)).exits(0).says("pages written").says("undo");
    assert!(case.read("f") == new);
    assert_eq!(case.path("f").metadata().unwrap().ino(), inode);
    case.ok("undo --yes f");
    assert!(case.read("f") == old);
    case.ok("undo --yes f");
    assert!(case.read("f") == new);
    case.ok("log f").shows("(undo)").shows("(result)");
    case.ok("verify").shows("all good");
}

#[test]
fn later_edits_lie_over_earlier_ones() {
    let case = Case::with_pages(3);
    let old = case.read("f");
    case.ok("edit --yes f --at 4000 --zero 300 --at 4090 --text abcdefghij --at 4095 --hex 00");
    assert!(case.read("f") == patched(&old, &[(4000, &[0; 300]), (4090, b"abcde\0ghij")]));
}

#[test]
fn a_dry_run_shows_and_writes_nothing() {
    let case = Case::new();
    case.write("f", &patched(&[0; 5 * PAGE], &[(4096, b"\x01\x02")]));
    let old = case.read("f");
    let words = "edit -n f --at 4k --hex aabb --at 8k --zero 20 --at page:3 --from patch";
    case.write("patch", &[7; 40]);
    case.ok(words)
        .shows("there is no snapshot yet")
        .shows("0x1000  01 02 -> aa bb")
        .shows("0x3000, 40 bytes")
        .shows("2 pages in 2 ranges")
        .shows("0x1000..0x2000");
    let json = &case.ok(&format!("--json {words}")).json()[0];
    assert_eq!((json["pages"].as_u64(), json["dry_run"].as_bool()), (Some(2), Some(true)));
    assert_eq!((json["edits"][0]["old"].as_str(), json["edits"][0]["new"].as_str()), (Some("01 02"), Some("aa bb")));
    case.ok(&format!("{words} -o d")).shows("aa bb");
    let other = Case::with_pages(1);
    other.ok("snap f");
    assert!(!other.ok("edit -n f --at 0 --hex 00").out.contains("no snapshot yet"));
    assert!(case.read("f") == old && !case.path("d").exists() && !case.path(".memsnap").exists());
}

#[test]
fn without_consent_nothing_is_written() {
    let case = Case::with_pages(3);
    let old = case.read("f");
    case.exits("edit f --at 0 --hex 00", 2).says("--yes");
    let ran = finish_with(&mut case.memsnap(["edit", "f", "--at", "0", "--from", "-"]), b"new").exits(2);
    assert!(ran.err.contains("--yes"), "{}", ran.err);
    assert!(case.read("f") == old && !case.path(".memsnap").exists());
    finish_with(&mut case.memsnap(["edit", "--yes", "f", "--at", "1", "--from", "-"]), b"new").exits(0);
    assert!(case.read("f") == patched(&old, &[(1, b"new")]));
}

#[test]
fn edits_that_change_nothing() {
    let case = Case::new();
    case.write("f", b"hello");
    for words in
        ["edit f --at 1 --text ell", "edit -n f --at 1 --text ell", "edit f --at 1 --zero 2 --at 0 --text hell"]
    {
        case.ok(words).says("nothing to change");
    }
    assert!(!case.path(".memsnap").exists());
    let json = &case.ok("edit --json f --at 0 --text h").json()[0];
    assert_eq!((json["done"].as_bool(), json["pages"].as_u64()), (Some(false), Some(0)));
    case.ok("edit f --at 1 --text ell -o d").says("nothing to change");
    case.ok("apply --yes f d");
    assert_eq!(case.read("f"), b"hello");
}

#[test]
fn past_the_end_only_when_told() {
    let case = Case::with_pages(2);
    let old = case.read("f");
    let len = old.len();
    case.exits(&format!("edit --yes f --at {len} --hex 00"), 2).says("--grow");
    case.exits(&format!("edit --yes f --at {} --hex 0000", len - 1), 2).says("--grow");
    case.exits("edit --yes f --grow --at 0x7fffffffffffffff --hex 00", 2).says("no file is that long");
    assert!(case.read("f") == old);
    case.ok(&format!("edit --yes f --grow --at {} --text abcd", len - 2));
    let grown = patched(&old, &[(len - 2, b"abcd")]);
    assert!(case.read("f") == grown);
    case.ok("edit --yes f --grow --at 10M --text x --at 11M --zero 5");
    let longer = patched(&grown, &[(10 << 20, b"x"), (11 << 20, &[0; 5])]);
    assert!(case.read("f") == longer);
    assert!(case.path("f").metadata().unwrap().blocks() * 512 < 1 << 20, "what is between is a hole");
    case.ok("edit f --grow --at 20M --zero 1 --at 1M --text there -o d");
    case.ok("undo --yes f");
    assert!(case.read("f") == grown);
    case.ok("undo --yes f");
    case.ok("apply --yes f d");
    assert!(case.read("f") == patched(&longer, &[(20 << 20, &[0]), (1 << 20, b"there")]));
    case.ok("verify");
}

#[test]
fn a_delta_applied_is_the_edit_made() {
    let case = Case::with_pages(60);
    let old = case.read("f");
    case.write("g", &old);
    let edits = "--at 17 --text seventeen --at page:20 --zero 300000 --grow --at 240000 --hex 0102";
    let json = &case.ok(&format!("edit --json f {edits} -o d")).json()[0];
    assert_eq!((json["schema"].as_str(), json["reversible"].as_bool()), (Some("memsnap.delta.1"), Some(false)));
    assert!(case.read("f") == old && !case.path(".memsnap").exists());
    case.exits(&format!("edit f {edits} -o d"), 2).says("--force");
    case.ok(&format!("edit f {edits} -o d --force"));
    let to_stdout = case.ok(&format!("edit f {edits} -o -"));
    assert!(to_stdout.bytes == case.read("d"));
    case.ok("apply --yes f d");
    case.ok(&format!("edit --yes g {edits}"));
    assert!(case.read("f") == case.read("g") && case.read("f") != old);
    case.ok("apply --yes f d").says("nothing to write");
}

#[test]
fn what_is_said_wrong() {
    let case = Case::with_pages(1);
    for (words, why) in [
        ("edit f", "no edits are given"),
        ("edit f --at 4", "nothing says what is to be at 4"),
        ("edit f --hex 00", "no --at says where"),
        ("edit f --at 1 --hex 0", "`0` at position 1 has no second digit"),
        ("edit f --at 1 --hex 00zz", "`z` at position 3"),
        ("edit f --at x --hex 00", "not a size"),
        ("edit f --at 1 --from nowhere", "opening nowhere"),
        ("edit nowhere --at 1 --hex 00", "nowhere"),
        ("edit . --at 1 --hex 00", "is a directory"),
    ] {
        case.exits(words, 2).says(why);
    }
    assert!(!case.path(".memsnap").exists());
}

#[test]
fn a_file_that_may_not_be_written() {
    if is_root() {
        return;
    }
    let case = Case::with_pages(2);
    let old = case.read("f");
    chmod(case.path("f"), 0o444);
    case.exits("edit --yes f --at 0 --hex 00", 2).says("ermission denied");
    assert!(case.read("f") == old);
    case.ok("edit f --at 0 --hex 00 -o d");
}

#[test]
fn a_file_that_others_have_open() {
    let case = Case::with_pages(2);
    let old = case.read("f");
    let alone = no_forks();
    let held = OpenOptions::new().read(true).write(true).open(case.path("f")).unwrap();
    drop(alone);
    case.exits("edit --yes f --at 0 --text x", 75).says("open in");
    assert!(case.read("f") == old);
    case.ok("edit --yes --live f --at 0 --text x");
    drop(held);
    assert!(case.read("f") == patched(&old, &[(0, b"x")]));
    case.write("f-journal", &super::companions::hot_journal());
    case.exits("edit --yes f --at 0 --text y", 2).says("--force");
    case.ok("edit --yes --force f --at 0 --text y");
}

#[test]
fn an_interrupted_change_is_finished_first() {
    if !needs_strace() {
        return;
    }
    let (case, old, _) = interrupted();
    let half = case.read("f");
    case.exits("edit -n f --at 0 --text x", 2).says("recover");
    case.exits("edit f --at 0 --text x -o d", 2).says("recover");
    case.exits("edit f --at 0 --text x", 2).says("--yes");
    assert!(case.read("f") == half);
    case.ok("edit --yes f --at 0 --text x").says("an interrupted revert was finished first");
    assert!(case.read("f") == patched(&old, &[(0, b"x")]));
    case.ok("undo --yes f");
    assert!(case.read("f") == old);
}

#[test]
fn a_refusal_after_an_interrupted_change_was_finished_says_so() {
    if !needs_strace() {
        return;
    }
    if !has("script") {
        return skip("needs script");
    }
    let (case, old, _) = interrupted();
    let mut command = case.command("script");
    command.args(["-qec", "\"$M\" edit f --at 0 --text x; echo code $?", "/dev/null"]).env("M", program());
    let ran = finish_with(&mut command, b"y\nn\n").exits(0);
    let said = "declined; the interrupted revert was finished, and nothing else was written";
    assert!(ran.out.contains(said) && ran.out.contains("code 2"), "{}", ran.out);
    assert!(case.read("f") == old);
    case.exits("recover -n f", 0).says("no change was interrupted");
}

#[test]
fn the_target_is_not_replaced_by_its_delta() {
    let case = Case::with_pages(3);
    let old = case.read("f");
    case.ok("snap f");
    std::os::unix::fs::symlink("f", case.path("link")).unwrap();
    std::fs::hard_link(case.path("f"), case.path("other")).unwrap();
    for out in ["f", "./f", "link", "other"] {
        case.exits(&format!("edit f --at 0 --hex 00 -o {out} --force"), 2).says("the target itself");
        case.exits(&format!("delta make f@1 f -o {out} --force"), 2).says("the target itself");
        case.exits(&format!("delta make f@1 f@1 -o {out} --force"), 2).says("the target itself");
    }
    case.ok("edit f --at 0 --hex 00 -o d");
    case.exits("apply --yes f d -o link --force", 2).says("the target itself");
    case.ok("edit f --at 0 --hex 0x01 -o d --force");
    assert!(case.read("f") == old);
}

#[test]
fn stdin_is_not_read_before_consent() {
    let case = Case::with_pages(3);
    case.exits("edit f --at 0 --from -", 2).says("needs consent").says("editing f");
    case.exits("edit --yes f --at 0 --from nothing", 2).says("editing f").says("opening nothing");
    case.exits("edit --yes f --hex 00", 2).says("--hex");
}

#[test]
fn a_store_whose_making_was_cut_short_is_made_on() {
    for made in [&[][..], &[".gitignore"]] {
        let case = Case::with_pages(3);
        std::fs::create_dir(case.path(".memsnap")).unwrap();
        chmod(case.path(".memsnap"), 0o700);
        made.iter().for_each(|name| case.write(format!(".memsnap/{name}"), b"*\n"));
        case.exits("log f", 2).says("was interrupted");
        case.ok("edit --yes f --at 0 --hex 00");
        case.ok("undo --yes f");
    }
}
