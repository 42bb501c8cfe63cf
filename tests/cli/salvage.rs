//! `restore --skip-damaged`: whatever is damaged in a pack, every page that comes out is right, or listed.

use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;

use super::case::{Case, PAGE, Ran, noise};
use super::trace::{Subject, needs_strace};

/// `f` with three snapshots: the last takes its pages from three packs, coded and raw, and ends within a page.
fn history() -> (Case, Vec<u8>) {
    let case = Case::in_memory();
    let text: Vec<u8> = (0..).flat_map(|n: u32| n.to_le_bytes()).take(100 * PAGE).collect();
    let mut bytes = [&noise(1, 64 * PAGE)[..], &vec![0; 16 * PAGE], &text].concat();
    case.write("f", &bytes);
    case.ok("snap -q f");
    for (number, page) in [(2, 7), (3, 90)] {
        bytes[page * PAGE..(page + 9) * PAGE].copy_from_slice(&noise(number, 9 * PAGE));
        bytes.resize(bytes.len() + 1000, 5);
        case.write("f", &bytes);
        case.ok("snap -q f");
    }
    assert_eq!(case.stored(".pack").len(), 3);
    (case, bytes)
}

/// The page ranges that a report lists, half-open.
fn listed(report: &Value) -> Vec<(u64, u64)> {
    let number = |range: &Value, name: &str| range[name].as_u64().unwrap();
    let ranges = report["lost"].as_array().unwrap();
    ranges.iter().map(|range| (number(range, "first_page"), number(range, "end_page"))).collect()
}

/// Every page is right, or it is listed and zeros. How many are listed.
#[track_caller]
fn check(ran: &Ran, report: &Value, whole: &[u8], got: &[u8]) -> u64 {
    assert_eq!(got.len(), whole.len());
    let lost = listed(report);
    for (page, (got, whole)) in (0..).zip(got.chunks(PAGE).zip(whole.chunks(PAGE))) {
        let is_lost = lost.iter().any(|(first, end)| (*first..*end).contains(&page));
        assert!(if is_lost { got.iter().all(|b| *b == 0) } else { got == whole }, "page {page}, listed {lost:?}");
    }
    let count = lost.iter().map(|(first, end)| end - first).sum();
    assert_eq!(ran.code, Some(if count == 0 { 0 } else { 4 }), "{report}");
    assert_eq!(report["damage"].as_array().unwrap().is_empty(), count == 0, "{report}");
    count
}

/// Restores the last snapshot to a file and to stdout; both must be right in the same way.
#[track_caller]
fn salvage(case: &Case, whole: &[u8]) -> u64 {
    let ran = case.run("restore f@3 -o out --force --yes --skip-damaged --json".split(' '));
    let report = ran.json().remove(0);
    let count = check(&ran, &report, whole, &case.read("out"));
    let piped = case.run("restore f@3 -o - --skip-damaged --json".split(' '));
    let aside = super::case::json_lines(&piped.err).remove(0);
    assert_eq!((&aside["lost"], aside["len"].as_u64()), (&report["lost"], Some(whole.len() as u64)));
    check(&piped, &aside, whole, &piped.bytes);
    count
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn every_page_is_right_or_listed(flips in prop::collection::vec((0usize..3, any::<prop::sample::Index>(), 1u8..), 1..6)) {
        let (case, whole) = history();
        let mut packs = case.stored(".pack");
        packs.sort();
        for (pack, at, mask) in flips {
            change(&packs[pack], |bytes| { let at = at.index(bytes.len()); bytes[at] ^= mask });
        }
        salvage(&case, &whole);
    }
}

#[test]
fn what_is_whole_is_restored_whole() {
    let (case, whole) = history();
    assert_eq!(salvage(&case, &whole), 0);
}

#[test]
fn packs_that_are_missing_cut_or_empty() {
    let cut = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2);
    for number in 0..3 {
        let (case, whole) = history();
        let pack = case.stored(".pack").remove(number);
        change(&pack, cut);
        let cut = salvage(&case, &whole);
        std::fs::write(&pack, b"").unwrap();
        assert_eq!(salvage(&case, &whole), cut, "without its directory nothing of it can be had");
        std::fs::remove_file(&pack).unwrap();
        assert!(salvage(&case, &whole) == cut && cut > 0);
    }
}

#[test]
fn one_page_and_one_frame() {
    let (case, whole) = history();
    let packs = case.stored(".pack");
    let first = packs.iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let place = |bytes: &[u8], page: usize| {
        let wanted = &whole[page * PAGE..(page + 1) * PAGE];
        bytes.windows(PAGE).position(|found| found == wanted).unwrap()
    };
    // Noise is stored as it is.
    change(first, |bytes| {
        let at = place(bytes, 20);
        bytes[at + 5] ^= 1;
    });
    let hint = case.exits("restore f@3 -o no", 4).says("--skip-damaged").err;
    assert!(!case.path("no").exists() && hint.contains("verify"), "{hint}");
    assert_eq!(salvage(&case, &whole), 1);
    let ran = case.exits("restore f@3 -o text --skip-damaged -q", 4);
    ran.says("page 20 (bytes 81920..86016) is lost: zeros were written").says(".pack is damaged");
    // Behind the noise are numbers, coded: the pages of a frame go together.
    change(first, |bytes| {
        let at = place(bytes, 63) + PAGE + 100;
        bytes[at] ^= 1;
    });
    let report = case.exits("restore f@1 -o old --skip-damaged --json", 4).json().remove(0);
    let pages: Vec<_> = listed(&report).iter().map(|(first, end)| end - first).collect();
    assert!(pages.len() == 2 && pages[0] == 1 && (2..=16).contains(&pages[1]), "{report}");
}

/// Nothing says where the pages are.
#[test]
fn without_its_own_file_nothing_of_a_snapshot_is_written() {
    let (case, _) = history();
    let third = case.stored(".snap").into_iter().find(|path| path.to_string_lossy().contains("3-"));
    let third = third.unwrap_or_else(|| panic!("{:?}", case.stored(".snap")));
    change(&third, |bytes| bytes[300] ^= 1);
    case.exits("restore f@3 -o out --skip-damaged", 4).says("no page of the snapshot can be found").says("verify");
    assert!(!case.path("out").exists());
    case.ok("restore f@2 -o out --skip-damaged");
}

#[test]
fn what_the_disk_cannot_read_is_lost_and_what_may_not_be_read_is_not() {
    if !needs_strace() {
        return;
    }
    let (case, whole) = history();
    let words = "restore f@3 -o out --force --yes --skip-damaged --json";
    let pack = case.stored(".pack").into_iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let path = pack.to_str().unwrap();
    for (fault, lost) in [("EIO:when=4", true), ("EIO:when=4+", true), ("ENOMEM:when=4+", false)] {
        let inject = format!("inject=pread64:error={fault}");
        let options = ["-o", "/dev/null", "-P", path, "-e", "trace=pread64", "-e", &inject];
        let ran = super::case::finish(&mut Subject::sound().strace(&case, &options, words));
        if lost {
            let report = ran.json().remove(0);
            check(&ran, &report, &whole, &case.read("out"));
        } else {
            assert_eq!(ran.code, Some(2), "{}", ran.err);
        }
    }
}
