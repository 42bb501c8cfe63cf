//! `snap --changed`: only what a list names is read, and a sample of the rest; and `--clone` where there are no clones.

use super::case::{Case, PAGE, finish_with, noise};

const GROUP: u64 = 65536;

/// A file of 200 groups with one snapshot.
fn ground() -> Case {
    let case = Case::in_memory();
    case.write("f", &noise(1, 200 * GROUP as usize));
    case.ok("snap --require none f");
    case
}

fn with_list(case: &Case, list: &str) -> super::case::Ran {
    finish_with(&mut case.memsnap(["snap", "--json", "--require", "none", "--changed", "-", "f"]), list.as_bytes())
}

#[test]
fn a_list_of_each_kind() {
    let at = |page: u64| page * PAGE as u64;
    let qemu = |page: u64| {
        let (start, end) = (at(page), 200 * GROUP);
        format!(
            r#"[{{"start":0,"length":{start},"depth":1}},{{"start":{start},"length":4096,"depth":0}},
               {{"start":{},"length":{},"depth":1}}]"#,
            start + 4096,
            end - start - 4096
        )
    };
    let thin = |page: u64| {
        format!(
            r#"<superblock uuid="" data_block_size="8"><diff left="1" right="2">
               <same begin="0" length="{page}"/><different begin="{page}" length="1"/></diff></superblock>"#
        )
    };
    let case = ground();
    let lists: [&dyn Fn(u64) -> String; 3] = [&|page| format!("{},1\n", at(page) + 7), &qemu, &thin];
    for (i, list) in lists.iter().enumerate() {
        let page = 100 + i as u64;
        case.patch("f", at(page), b"changed");
        let report = &with_list(&case, &list(page)).exits(0).json()[0];
        assert_eq!((&report["pages_changed"], &report["grade"]), (&1.into(), &"claimed".into()), "{report}");
        assert_eq!(report["bytes_read"], 65 * GROUP, "the group, and 64 others");
        assert_eq!(case.ok("restore f@latest -o -").bytes, case.read("f"));
    }
    // What differs between two snapshots is such a list, as it is.
    let other = case.path("other");
    std::fs::create_dir(&other).unwrap();
    let copy = Case::at(&other);
    copy.write("f", &case.ok("restore f@1 -o -").bytes);
    copy.ok("snap --require none f");
    copy.write("f", &case.read("f"));
    let list = case.run(["diff", "--json", "f@1", "f@latest"]).out;
    let report = &with_list(&copy, &list).exits(0).json()[0];
    assert_eq!(report["pages_changed"], 3, "{report}");
    assert_eq!(copy.ok("restore f@latest -o -").bytes, case.read("f"));
    copy.ok("verify f");
}

#[test]
fn what_is_not_named_is_looked_at() {
    let case = ground();
    for group in 0..200 {
        case.patch("f", group * GROUP, b"changed");
    }
    let ran = with_list(&case, "0,4096\n");
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.out.contains("not in the ranges") || ran.err.contains("not in the ranges"), "{ran:?}");
    assert_eq!(case.snapshots(), 1);
    // All of them named: in any order, twice, and past the end.
    let all: String = (0..250u64).rev().chain(0..9).map(|group| format!("{},8\n", group * GROUP)).collect();
    case.ok("snap --require none f");
    case.ok("revert --yes f@1");
    case.write("f", &case.ok("restore f@2 -o -").bytes);
    let report = &with_list(&case, &all).exits(0).json()[0];
    assert_eq!(report["pages_changed"], 200, "{report}");
}

#[test]
fn the_ends_are_always_read() {
    let case = ground();
    for len in [150 * GROUP + 5, 190 * GROUP + 77, 190 * GROUP + 70, 3, 0, 5 * GROUP] {
        case.set_len("f", len);
        if len > 70 {
            case.patch("f", len - 60, b"end");
        }
        let end = len.saturating_sub(70);
        with_list(&case, &format!("{end},70")).exits(0);
        assert_eq!(case.ok("restore f@latest -o -").bytes, case.read("f"), "{len}");
    }
    case.ok("verify f");
}

#[test]
fn without_an_earlier_snapshot_all_is_read() {
    let case = Case::in_memory();
    case.write("f", &noise(1, 70 * GROUP as usize));
    let report = &with_list(&case, "").exits(0).json()[0];
    assert_eq!((&report["read"], &report["read_reason"]), (&"all".into(), &"there is no earlier snapshot".into()));
    assert_eq!(case.ok("restore f@latest -o -").bytes, case.read("f"));
    std::fs::remove_file(case.history().join("digests")).unwrap();
    case.patch("f", 0, b"not named");
    let report = &with_list(&case, "").exits(0).json()[0];
    assert_eq!((&report["read"], &report["read_reason"]), (&"all".into(), &"there is no digest cache".into()));
    assert_eq!(case.ok("restore f@latest -o -").bytes, case.read("f"));
}

#[test]
fn what_does_not_go_together() {
    let case = ground();
    case.write("g", b"other");
    case.write("list", b"0,1\n");
    case.exits("snap --changed list f g", 2).says("one FILE");
    case.exits("snap --changed list --clone=keep f", 2).says("--clone=keep, which finds");
    case.write("list", b"what");
    case.exits("snap --changed list f", 2).says("line 1 is not `offset,length`");
    case.exits("snap --clone=always f", 2).says("has no clones").says("leave out --clone=always");
    case.ok("snap --clone=keep --always --require none f").says("no clone is kept");
    case.ok("snap --clone=never --require none f");
}
