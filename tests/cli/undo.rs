//! `undo`: takes back the last change, and only that.

use super::case::{Case, PAGE};
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
