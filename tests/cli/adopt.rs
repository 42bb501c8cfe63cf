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

/// A file that was renamed does not get a new history unnoticed, neither by snap nor by a change.
#[test]
fn a_renamed_file_is_recognized() {
    for store in ["", "--store s "] {
        let case = Case::with_pages(10);
        case.ok(&format!("snap {store}f"));
        case.touch(3, 7);
        std::fs::rename(case.path("f"), case.path("g")).unwrap();
        let born = case.path("g").metadata().unwrap().created().is_ok();
        if !born {
            return super::case::skip("no birth times here");
        }
        for words in ["snap", "edit --yes --at 0 --hex 01"] {
            case.exits(&format!("{words} {store}g"), 2).says("has a history").says("memsnap adopt").says("--new");
        }
        case.exits(&format!("log {store}g"), 2).says("no snapshots").says("`memsnap adopt ");
        // Both hints lead on.
        let hint = case.exits(&format!("snap {store}g"), 2).err;
        let command = hint.split('`').nth(1).unwrap().strip_prefix("memsnap ").unwrap();
        case.ok(command).says("1 snapshot");
        case.ok(&format!("snap {store}g")).says("g@2");
        std::fs::rename(case.path("g"), case.path("h")).unwrap();
        let hint = case.exits(&format!("snap {store}h"), 2).err;
        let command = hint.split('`').nth(3).unwrap().strip_prefix("memsnap ").unwrap();
        let ran = case.ok(command).says("h@1");
        assert!(!ran.err.contains("may be"), "{ran:?}");
        case.ok(&format!("snap {store}h"));
        case.ok(&format!("verify {store}"));
    }
}

/// What is only likely is reported, and does not stop the verb: a copy, a file by another name, other content in the same inode.
#[test]
fn what_may_be_a_renamed_file() {
    let case = Case::with_pages(10);
    case.ok("snap f");
    std::fs::copy(case.path("f"), case.path("copy")).unwrap();
    let ran = case.ok("snap copy");
    assert!(!ran.err.contains("may be"), "f is there: {ran:?}");
    std::fs::copy(case.path("f"), case.path("moved")).unwrap();
    std::fs::hard_link(case.path("f"), case.path("linked")).unwrap();
    case.ok("snap linked").says("may be").says("has the same inode and birth time, and holds a page");
    std::fs::remove_file(case.path("f")).unwrap();
    let ran = case.ok("snap moved").says("may be").says("has another inode, and holds most pages");
    // The hint leads on.
    let (_, rest) = ran.err.split_once("(mv ").unwrap();
    std::fs::rename(rest.split_once(" ELSEWHERE)").unwrap().0, case.path("elsewhere")).unwrap();
    let command = rest.split('`').nth(1).unwrap().strip_prefix("memsnap ").unwrap();
    case.ok(command).says("1 snapshot");

    let case = Case::with_pages(10);
    case.ok("snap f");
    std::fs::rename(case.path("f"), case.path("g")).unwrap();
    case.write("g", &super::case::noise(5, 10 * super::case::PAGE));
    case.ok("snap g").says("may be").says("no page of its last snapshot");
    case.write("other", b"other");
    let ran = case.ok("snap other");
    assert!(!ran.err.contains("may be"), "{ran:?}");

    // With a store elsewhere, the hint names it.
    let case = Case::with_pages(10);
    case.ok("snap --store s f");
    std::fs::rename(case.path("f"), case.path("g")).unwrap();
    case.write("g", &super::case::noise(5, 10 * super::case::PAGE));
    let ran = case.ok("snap --store s g").says("may be");
    let (_, rest) = ran.err.split_once("(mv ").unwrap();
    std::fs::rename(rest.split_once(" ELSEWHERE)").unwrap().0, case.path("elsewhere")).unwrap();
    let command = rest.split('`').nth(1).unwrap().strip_prefix("memsnap adopt ").unwrap();
    case.ok(&format!("adopt --yes {command}")).says("1 snapshot");
}

/// Neither an inode number that was given to a new file, nor a few pages of a template, make a renamed file.
#[test]
fn what_is_no_renamed_file() {
    let case = Case::new();
    case.write("a", b"first");
    case.ok("snap a");
    // The new file may get the inode of the old one at once, or a later one.
    std::fs::remove_file(case.path("a")).unwrap();
    for name in ["b", "c", "d"] {
        case.write(name, name.as_bytes());
        let ran = case.ok(&format!("snap {name}"));
        assert!(!ran.err.contains("may be"), "{ran:?}");
        std::fs::remove_file(case.path(name)).unwrap();
    }
    for (shared, warns) in [(5, false), (6, true)] {
        let case = Case::with_pages(10);
        case.ok("snap f");
        let mut other = super::case::noise(5, 10 * super::case::PAGE);
        other[..shared * super::case::PAGE].copy_from_slice(&case.read("f")[..shared * super::case::PAGE]);
        case.write("g", &other);
        std::fs::remove_file(case.path("f")).unwrap();
        let ran = case.ok("snap g");
        assert_eq!(ran.err.contains("may be"), warns, "{shared}: {ran:?}");
    }
}

/// A history is not given to a file that has nothing of it without a question.
#[test]
fn a_file_that_shares_no_page() {
    let case = Case::with_pages(10);
    case.ok("snap f");
    case.touch(0, 5);
    case.ok("snap f");
    case.write("g", &super::case::noise(9, 10 * super::case::PAGE));
    case.exits("adopt f g", 2).says("holds no page").says("--yes");
    case.ok("log f");
    // One page of any snapshot is enough.
    case.patch("g", 0, &super::case::noise(1, super::case::PAGE));
    case.ok("adopt f g").says("2 snapshots");
    case.write("h", b"h");
    case.ok("adopt --yes g h").says("2 snapshots");
    case.ok("log h");
}

/// The old path may be relative, and its directory gone.
#[test]
fn a_directory_that_is_gone() {
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
    let ran = case.exits("adopt f g", 2).says("never mixed");
    case.exits("adopt nothing h", 2);
    case.ok("log f");
    case.ok("log g");
    // The hint leads on, and keeps the other one.
    let command = ran.err.split('`').nth(1).unwrap();
    finish(case.command("sh").args(["-c", &format!("ELSEWHERE=; {}", command.replace("ELSEWHERE", "kept"))])).exits(0);
    case.ok("adopt --yes f g").says("1 snapshot");
    assert!(case.path("kept/target").exists());
}

/// The file that is there, and the path that has the snapshots, in the wrong order.
#[test]
fn the_wrong_order() {
    for store in ["", "--store s "] {
        let case = Case::with_pages(3);
        case.ok(&format!("snap {store}f"));
        std::fs::rename(case.path("f"), case.path("g")).unwrap();
        let ran = case.exits(&format!("adopt {store}g f"), 2).says("g has no snapshots, but f, which is gone, has");
        let command = ran.err.split('`').nth(1).unwrap().strip_prefix("memsnap ").unwrap();
        case.ok(command).says("1 snapshot");
        assert!(!case.exits(&format!("adopt {store}g nothing"), 2).err.contains("comes first"));
    }
}

#[test]
fn a_directory_that_moved_needs_nothing() {
    let case = Case::new();
    std::fs::create_dir(case.path("one")).unwrap();
    case.write("one/f", b"first");
    case.ok("snap one/f");
    std::fs::rename(case.path("one"), case.path("two")).unwrap();
    case.ok("log two/f");
    case.ok("diff two/f");
}
