//! `undo`: takes back the last change, and only that.

use super::case::{Case, PAGE, finish, has, program};
use super::trace::{interrupted, needs_strace};

fn reverted() -> (Case, Vec<u8>, Vec<u8>) {
    let case = Case::with_pages(20);
    let old = case.read("f");
    case.ok("snap f");
    case.touch(2, 7);
    case.set_len("f", 21 * PAGE as u64 + 3);
    let new = case.read("f");
    case.ok("revert --yes f");
    (case, old, new)
}

#[test]
fn undo_and_undo_of_the_undo() {
    let (case, old, new) = reverted();
    for round in 0..3 {
        assert!(case.read("f") == old, "{round}");
        case.ok("undo --yes f");
        assert!(case.read("f") == new, "{round}");
        case.ok("undo --yes f");
    }
    case.ok("verify");
}

#[test]
fn not_when_it_was_changed_since() {
    let (case, _, new) = reverted();
    case.touch(9, 1);
    let now = case.read("f");
    case.exits("undo --yes f", 5);
    assert!(case.read("f") == now);
    case.ok("undo --yes --force f");
    assert!(case.read("f") == new);
    case.ok("undo --yes f");
    assert!(case.read("f") == now, "even what was in the way comes back");
}

#[test]
fn nothing_to_undo() {
    let case = Case::with_pages(3);
    case.exits("undo --yes f", 2).says("no snapshots");
    case.ok("snap f");
    case.exits("undo --yes f", 2).says("changed nothing");
}

/// A dry run of whatever would change a half-changed file says that it is one.
#[test]
fn half_changed_nothing_is_planned() {
    if !needs_strace() {
        return;
    }
    let (case, ..) = interrupted();
    case.write("g", &case.read("f"));
    case.ok("snap g");
    case.ok("delta make g@1 g@1 -o d");
    for words in ["undo -n f", "revert -n f@1", "revert -n --no-undo f@1", "apply -n f d", "edit -n f --at 0 --hex 00"]
    {
        case.exits(words, 2).says("interrupted").says("memsnap recover");
    }
}

#[test]
fn a_dry_run_writes_nothing() {
    let (case, old, _) = reverted();
    case.ok("undo -n f").shows("pages");
    assert!(case.read("f") == old);
}

/// A file without history: the first change stores all of it for undo, and says so before it does.
#[test]
fn the_first_change_says_what_it_stores() {
    let case = Case::with_pages(4);
    // Holes are not counted.
    case.set_len("f", 64 << 20);
    case.ok("edit f --at 0 --text new -o d");
    let said = "there is no snapshot yet: all of it is stored for undo (up to 16 KiB)";
    for words in ["apply {} f d", "edit {} f --at 0 --text new"] {
        let with = |flag: &str| words.replace("{}", flag);
        case.ok(&with("-n")).shows(&format!("  first    {said}"));
        assert_eq!(case.ok(&format!("--json {}", with("-n"))).json()[0]["stores_first"], 4 * PAGE, "{words}");
        // The question shows the plan, of which this is a line.
        let line = format!("\"$M\" {}", with(""));
        if has("script") {
            let asked = finish(case.command("script").args(["-qec", &line, "/dev/null"]).env("M", program()));
            assert!(asked.out.contains(said) && asked.out.contains("Write 1 page"), "{words}: {asked:?}");
        }
        assert!(!case.path(".memsnap").exists(), "{words}: nothing is stored before consent");
        case.ok(&with("--yes")).says(&format!("f: {said}"));
        // Now there is a history.
        case.ok("undo --yes f");
        for ran in [case.ok(&with("-n")), case.ok(&with("--yes"))] {
            assert!(!ran.out.contains("no snapshot yet") && !ran.err.contains("no snapshot yet"), "{ran:?}");
        }
        case.ok("undo --yes f");
        assert!(case.ok(&format!("--json {}", with("-n"))).json()[0]["stores_first"].is_null());
        std::fs::remove_dir_all(case.path(".memsnap")).unwrap();
    }
    // An output elsewhere stores nothing.
    let ran = case.ok("apply --yes f d -o out");
    assert!(!ran.err.contains("no snapshot yet") && !case.path(".memsnap").exists(), "{ran:?}");
}
