//! `adopt`: a history goes on under another path.

use super::case::{Case, finish};

#[test]
fn a_file_that_moved() {
    let case = Case::with_pages(10);
    let old = case.read("f");
    case.ok("snap -m one --tag gold f");
    std::fs::rename(case.path("f"), case.path("g")).unwrap();
    case.exits("log g", 2);
    case.ok("adopt f g").says("1 snapshot");
    case.ok("log g").shows("one").shows("[gold]");
    case.exits("log f", 2);
    case.ok("diff g@gold");
    case.patch("g", 0, b"xyz");
    case.ok("snap g").says("g@2").says("1 page");
    case.ok("revert --yes g@1");
    assert!(case.read("g") == old);
    case.ok("undo --yes g");
    case.ok("verify");
}

/// The old path may be relative, and its folder gone.
#[test]
fn a_folder_that_is_gone() {
    let case = Case::new();
    std::fs::create_dir(case.path("one")).unwrap();
    case.write("one/f", b"first");
    case.ok("snap --store s one/f");
    std::fs::rename(case.path("one"), case.path("two")).unwrap();
    let mut adopt = case.memsnap(["adopt", "--store", "../s", "../one/f", "f"]);
    finish(adopt.current_dir(case.path("two"))).exits(0).says("1 snapshot");
    case.ok("log --store s two/f").shows("1");
}

#[test]
fn two_histories_are_not_mixed() {
    let case = Case::with_pages(10);
    case.write("g", b"g");
    case.ok("snap f g");
    case.exits("adopt f g", 2);
    case.exits("adopt nothing h", 2);
    case.ok("log f");
    case.ok("log g");
}

#[test]
fn a_folder_that_moved_needs_nothing() {
    let case = Case::new();
    std::fs::create_dir(case.path("one")).unwrap();
    case.write("one/f", b"first");
    case.ok("snap one/f");
    std::fs::rename(case.path("one"), case.path("two")).unwrap();
    case.ok("log two/f");
    case.ok("diff two/f");
}
