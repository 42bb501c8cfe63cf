use proptest::prelude::*;

use super::super::apply::apply;
use super::super::delta::Input;
use super::super::fixture::Fixture;
use super::super::{Quiet, Reserve, undo};
use super::*;
use crate::ops::change::Outcome;
use crate::page::pages_of;

fn options() -> Options {
    Options::default().reserve(Reserve::Percent(0))
}

fn bytes_at(at: u64, bytes: &[u8]) -> Edit {
    Edit { at, new: Patch::Bytes(bytes.into()) }
}

/// What the edits make of `old`, byte by byte.
fn oracle(old: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut new = old.to_vec();
    for edit in edits.iter().filter(|edit| !edit.new.is_empty()) {
        let (at, n) = (edit.at as usize, edit.new.len() as usize);
        new.resize(new.len().max(at + n), 0);
        match &edit.new {
            Patch::Bytes(bytes) => new[at..at + n].copy_from_slice(bytes),
            Patch::Zeros(_) => new[at..at + n].fill(0),
        }
    }
    new
}

fn some_edits() -> impl Strategy<Value = Vec<Edit>> {
    let patch = prop_oneof![
        (0u64..3 * PAGE64).prop_map(Patch::Zeros),
        (1usize..3 * PAGE, any::<u8>()).prop_map(|(n, seed)| Patch::Bytes(vec![seed; n])),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Patch::Bytes),
    ];
    prop::collection::vec((0u64..50 * PAGE64, patch).prop_map(|(at, new)| Edit { at, new }), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn as_byte_by_byte_in_place_and_by_delta(len in 0u64..40 * PAGE64, edits in some_edits()) {
        let fixture = Fixture::new();
        fixture.pages(0, pages_of(len), 1);
        fixture.cut(len);
        let old = fixture.bytes();
        let expected = oracle(&old, &edits);
        let target = fixture.target();

        let mut made = Vec::new();
        let making = delta::Options::default().reversible(true).level(1);
        let stat = delta(&target, &edits, true, Out::Stream(&mut made), &making, &Quiet).unwrap();
        prop_assert_eq!((stat.base == stat.result, stat.result_len), (old == expected, expected.len() as u64));
        let copy = fixture.path("copy");
        let input = Input::Stream(Box::new(std::io::Cursor::new(made)));
        apply(&target, input, Some(&copy), &options()).and_then(|request| request.run(&Quiet)).unwrap();
        prop_assert_eq!(std::fs::read(&copy).unwrap(), &expected[..]);

        let within = edits.iter().all(|edit| edit.at + edit.new.len() <= len);
        let short = edit(&target, &edits, false, &options()).and_then(|request| request.plan(&Quiet));
        prop_assert_eq!(short.is_ok(), within);
        let done = edit(&target, &edits, true, &options()).and_then(|request| request.run(&Quiet)).unwrap();
        prop_assert_eq!(done.done, old != expected);
        prop_assert_eq!(fixture.bytes(), &expected[..]);
        if done.done {
            undo::undo(&target, &options()).and_then(|request| request.run(&Quiet)).unwrap();
            prop_assert_eq!(fixture.bytes(), &old[..]);
        }
    }
}

#[test]
fn what_changes_between_looking_and_writing() {
    let fixture = Fixture::new();
    fixture.pages(0, 20, 1);
    let old = fixture.bytes();
    let edits = [bytes_at(5 * PAGE64, b"new"), bytes_at(9 * PAGE64, &old[9 * PAGE..9 * PAGE + 3])];
    let snapshots = || fixture.history().snapshots().unwrap().len();
    // A page that is edited; one that the edits leave as it is; the length.
    let changes: [&dyn Fn(); 3] =
        [&|| fixture.write(5 * PAGE64 + 100, b"x"), &|| fixture.write(9 * PAGE64, b"x"), &|| fixture.cut(19 * PAGE64)];
    for (n, change) in changes.iter().enumerate() {
        fixture.write(0, &old);
        fixture.snap();
        let stored = snapshots();
        let target = fixture.target();
        let plan = edit(&target, &edits, false, &options()).unwrap().plan(&Quiet).unwrap();
        assert_eq!((plan.changes().pages, plan.changes().edits.len()), (1, 2));
        change();
        // What was confirmed is not what would be done: it is asked again, and nothing is stored.
        let Ok(Outcome::Changed(again)) = plan.commit(&Quiet) else { panic!("change {n}") };
        assert_eq!(again.changes().from_len, fixture.bytes().len() as u64);
        assert!(!fixture.bytes()[5 * PAGE..].starts_with(b"new") && snapshots() == stored, "change {n}");
    }
    // Others are no concern of an edit.
    fixture.write(0, &old);
    let plan = edit(&fixture.target(), &edits, false, &options()).unwrap().plan(&Quiet).unwrap();
    fixture.write(7 * PAGE64, b"else");
    assert!(matches!(plan.commit(&Quiet), Ok(Outcome::Done(report)) if report.done));
    let bytes = fixture.bytes();
    assert!(bytes[5 * PAGE..].starts_with(b"new") && bytes[7 * PAGE..].starts_with(b"else"));
    undo::undo(&fixture.target(), &options()).and_then(|request| request.run(&Quiet)).unwrap();
    assert!(fixture.bytes()[7 * PAGE..].starts_with(b"else"));
}

#[test]
fn plans_show_what_was_there() {
    let fixture = Fixture::new();
    fixture.write(0, &[7; 5000]);
    let edits = [bytes_at(4990, &[1; 20]), Edit { at: 6000, new: Patch::Zeros(100) }, bytes_at(0, &[])];
    let plan = edit(&fixture.target(), &edits, true, &options()).unwrap().plan(&Quiet).unwrap();
    let plan = plan.changes();
    assert_eq!((plan.from_len, plan.to_len, plan.pages), (5000, 6100, 1));
    assert_eq!(plan.edits[0], Replaced { at: 4990, len: 20, old: vec![7; 10], new: vec![1; 16] });
    assert_eq!(plan.edits[1], Replaced { at: 6000, len: 100, old: vec![], new: vec![0; 16] });
    assert_eq!(plan.edits[2], Replaced { at: 0, len: 0, old: vec![], new: vec![] });
}

#[test]
fn a_long_file_costs_what_is_edited() {
    let fixture = Fixture::new();
    fixture.cut(1 << 42);
    let edits = [bytes_at(1 << 41, b"there"), Edit { at: (1 << 40) - 1, new: Patch::Zeros(3) }];
    let touched = Touched::read(LiveFile::open(&fixture.target()).unwrap().target(), &edits, false).unwrap();
    assert_eq!((touched.seen.len(), touched.changed.len()), (3, 1));
    assert_eq!(touched.changed[0].0, (1 << 41) / PAGE64);
}
