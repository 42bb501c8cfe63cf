use std::fs::File;

use proptest::prelude::*;

use super::super::delta::Input;
use super::super::fixture::{Fixture, flip};
use super::super::{Quiet, Reserve, restore, undo};
use super::*;
use crate::mem::{self, CowView};
use crate::pack::Grade;
use crate::page::PAGE;
use crate::store::Ref;

fn options() -> change::Options {
    change::Options::default().reserve(Reserve::Percent(0))
}

fn keep_options() -> snap::Options {
    snap::Options::default().reserve(Reserve::Percent(0))
}

fn make_options(reversible: bool) -> delta::Options {
    delta::Options::default().reversible(reversible).level(1)
}

fn opened(fixture: &Fixture, number: u64) -> Origin {
    open(&fixture.at(number), None, &Quiet).unwrap()
}

fn restored(fixture: &Fixture, number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    restore::restore(&fixture.at(number), Out::Stream(&mut bytes), &restore::Options::default(), &Quiet).unwrap();
    bytes
}

fn delta_of(origin: &Origin, view: &CowView<'_>, reversible: bool) -> Vec<u8> {
    let mut out = Vec::new();
    delta(origin, view, Out::Stream(&mut out), &make_options(reversible), &Quiet).unwrap();
    out
}

fn stream(bytes: &[u8]) -> Input {
    Input::Stream(Box::new(std::io::Cursor::new(bytes.to_vec())))
}

/// A stretch of a page's worth of noise, or zeros, at a place given in parts of the image.
fn write_all(bytes: &mut [u8], writes: &[(f64, usize, u8)]) {
    for (place, n, seed) in writes {
        let at = (bytes.len() as f64 * place) as usize;
        let end = bytes.len().min(at + n);
        let noise = |i: usize| if *seed == 0 { 0 } else { (i as u8).wrapping_mul(*seed) ^ seed };
        bytes[at..end].iter_mut().enumerate().for_each(|(i, b)| *b = noise(i));
    }
}

fn writes() -> impl Strategy<Value = Vec<(f64, usize, u8)>> {
    prop::collection::vec((0.0..1.0, 1usize..3 * PAGE, prop_oneof![Just(0u8), any::<u8>()]), 0..10)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn what_a_view_holds_comes_back_from_the_store_from_a_delta_and_from_the_file(
        len in 0usize..80 * PAGE,
        first in writes(),
        changes in writes(),
        unit in 1usize..4,
    ) {
        let fixture = Fixture::new();
        fixture.cut(len as u64);
        let mut old = vec![0; len];
        write_all(&mut old, &first);
        fixture.write(0, &old);
        fixture.snap();

        let origin = opened(&fixture, 1);
        prop_assert_eq!(&origin.snapshot()[..], &old[..]);
        let live = open(&Operand::new(fixture.target(), None), None, &Quiet).unwrap();
        prop_assert_eq!((live.digest(), live.snapshot().len(), live.stored()), (origin.digest(), len, None));
        prop_assert_eq!(&live.groups, &origin.groups);

        let wide = mem::Options::default().page_size(unit * mem::page_size());
        let mut view = origin.snapshot().view_with(&wide).unwrap();
        write_all(&mut view, &changes);
        // Checkpoints are no concern of disks: all is against the snapshot.
        view.snap().unwrap();
        let new = view.to_vec();

        let kept = keep(&origin, &view, &keep_options(), &Quiet).unwrap();
        prop_assert_eq!(kept.new, old != new);
        prop_assert_eq!(restored(&fixture, kept.number), &new[..]);
        let again = opened(&fixture, kept.number);
        prop_assert_eq!(again.digest(), origin.changes(&view).unwrap().1);
        let differ = old.chunks(PAGE).zip(new.chunks(PAGE)).filter(|(a, b)| a != b).count();
        prop_assert_eq!(kept.pages_changed, differ as u64);

        let made = delta_of(&origin, &view, true);
        let mut other = live.snapshot().view().unwrap();
        apply(stream(&made), &live, &mut other).unwrap();
        prop_assert_eq!(&other[..], &new[..]);
        let mut back = Vec::new();
        super::super::delta::invert(stream(&made), Out::Stream(&mut back), false).unwrap();
        apply(stream(&back), &live, &mut other).unwrap();
        prop_assert_eq!(&other[..], &old[..]);
        if old != new {
            let refused = apply(stream(&back), &live, &mut other);
            prop_assert!(matches!(refused, Err(Error::Base { .. })), "{:?}", refused);
            prop_assert_eq!(&other[..], &old[..]);
        }

        let done = write(&fixture.target(), &origin, &view, &options()).and_then(|request| request.run(&Quiet)).unwrap();
        prop_assert_eq!(done.done, old != new);
        prop_assert_eq!(fixture.bytes(), &new[..]);
        if old != new {
            undo::undo(&fixture.target(), &options()).and_then(|request| request.run(&Quiet)).unwrap();
            prop_assert_eq!(fixture.bytes(), &old[..]);
        }
    }
}

#[test]
fn a_kept_snapshot_says_what_it_is() {
    let fixture = Fixture::new();
    fixture.pages(0, 20, 1);
    fixture.snap();
    let before = fixture.bytes();
    let origin = opened(&fixture, 1);
    let mut view = origin.snapshot().view_arc().unwrap();
    view[5 * PAGE] ^= 1;
    let options = keep_options().tags(["try".into()]).message("made up");
    let kept = keep(&origin, &view, &options, &Quiet).unwrap();
    assert_eq!((kept.number, kept.new, kept.pages_changed, kept.bytes_changed), (2, true, 1, PAGE as u64));
    let history = fixture.history();
    let image = history.image(history.resolve(&Ref::Tag("try".into())).unwrap()).unwrap();
    let meta = image.meta();
    assert_eq!(
        (meta.kind, meta.reason.as_str(), meta.message.as_str()),
        (SnapshotKind::Asked, "made in memory from @1", "made up")
    );
    assert_eq!(Some(meta.parent), origin.stored().map(|stored| stored.1));
    let base = origin.stored.as_ref().unwrap().image.meta();
    assert_eq!((meta.grade, meta.mode, meta.mtime_ns), (base.grade, base.mode, base.mtime_ns));
    assert_eq!(history.resolve(&Ref::Latest).unwrap().number, 2);

    // The file is no part of it, and need not even be there.
    assert_eq!(fixture.bytes(), before);
    std::fs::remove_file(fixture.target()).unwrap();
    view.restore().unwrap();
    let same = keep(&origin, &view, &keep_options(), &Quiet).unwrap();
    assert_eq!((same.number, same.new, same.pages_changed), (1, false, 0));
    view[0] ^= 1;
    assert_eq!(keep(&origin, &view, &keep_options(), &Quiet).unwrap().number, 3);
}

#[test]
fn less_than_was_required_is_not_kept() {
    let fixture = Fixture::new();
    fixture.pages(0, 2, 1);
    let held = File::options().write(true).open(fixture.target()).unwrap();
    fixture.snap();
    drop(held);
    let origin = opened(&fixture, 1);
    let mut view = origin.snapshot().view().unwrap();
    view[0] ^= 1;
    let strict = keep_options().require(Grade::Proven);
    let kept = keep(&origin, &view, &strict, &Quiet).unwrap();
    assert!(kept.id.is_none() && kept.grade < Grade::Proven, "{kept:?}");
}

#[test]
fn a_damaged_page_makes_no_snapshot() {
    let fixture = Fixture::new();
    fixture.pages(0, 40, 1);
    fixture.snap();
    let pack = &fixture.stored(".pack")[0];
    flip(pack, 20_000);
    assert!(matches!(open(&fixture.at(1), None, &Quiet), Err(Error::Damaged { .. })));
    flip(pack, 20_000);
    assert_eq!(&opened(&fixture, 1).snapshot()[..], &fixture.bytes()[..]);
}

#[test]
fn a_view_of_something_else_is_refused() {
    let fixture = Fixture::new();
    fixture.pages(0, 3, 1);
    fixture.snap();
    let (origin, same) = (opened(&fixture, 1), opened(&fixture, 1));
    let mut view = same.snapshot().view().unwrap();
    view[0] ^= 1;
    assert!(matches!(keep(&origin, &view, &keep_options(), &Quiet), Err(Error::Refused { .. })));
    let out = Out::Stream(&mut Vec::new());
    assert!(matches!(delta(&origin, &view, out, &make_options(false), &Quiet), Err(Error::Refused { .. })));
    assert!(matches!(apply(stream(&[]), &origin, &mut view), Err(Error::Refused { .. })));
    // A file that was not stored is no parent.
    let live = open(&Operand::new(fixture.target(), Ref::Now), None, &Quiet).unwrap();
    let mut view = live.snapshot().view().unwrap();
    view[0] ^= 1;
    assert!(matches!(keep(&live, &view, &keep_options(), &Quiet), Err(Error::Refused { .. })));
    let clone = Snapshot::clone(live.snapshot());
    assert!(live.changes(&clone.view().unwrap()).is_ok());
}

#[test]
fn a_wrong_base_or_a_damaged_delta_leaves_all_as_it_was() {
    let fixture = Fixture::new();
    fixture.pages(0, 40, 1);
    fixture.snap();
    let origin = opened(&fixture, 1);
    let mut view = origin.snapshot().view().unwrap();
    view[7 * PAGE..9 * PAGE].fill(3);
    let made = delta_of(&origin, &view, false);

    let mut other = origin.snapshot().view().unwrap();
    assert!(matches!(apply(stream(b""), &origin, &mut other), Err(Error::Refused { .. })));
    for n in [made.len() / 2, made.len() - 1] {
        assert!(matches!(apply(stream(&made[..n]), &origin, &mut other), Err(Error::Damaged { .. })));
    }
    other[0] ^= 1;
    let changed = other.to_vec();
    assert!(matches!(apply(stream(&made), &origin, &mut other), Err(Error::Base { .. })));
    assert_eq!(other[..], changed[..]);

    // One that promises another result than it makes.
    let head = DeltaHead {
        base: origin.image,
        result: ImageId { digest: Digest::of(b"else"), ..origin.image },
        reversible: false,
        name: Vec::new(),
    };
    let mut lie = Vec::new();
    write_delta(&dirty_in(&view), &head, 1, (&mut lie, Path::new("lie"), fixture.dir.path()), &Quiet).unwrap();
    other[0] ^= 1;
    assert!(matches!(apply(stream(&lie), &origin, &mut other), Err(Error::Damaged { .. })));
    assert_eq!(other[..], origin.snapshot()[..]);

    // A file that is not the base is not written.
    fixture.write(100, b"x");
    let bytes = fixture.bytes();
    let refused = write(&fixture.target(), &origin, &view, &options()).and_then(|request| request.run(&Quiet));
    assert!(matches!(refused, Err(Error::Base { .. })), "{refused:?}");
    assert_eq!(fixture.bytes(), bytes);
    assert_eq!(fixture.history().snapshots().unwrap().len(), 1);
}

#[test]
fn a_delta_that_changes_the_length_is_refused() {
    let fixture = Fixture::new();
    fixture.pages(0, 4, 1);
    fixture.snap();
    fixture.cut(9000);
    fixture.snap();
    let mut made = Vec::new();
    let (a, b) = (fixture.at(1), fixture.at(2));
    super::super::delta::make(&a, &b, Out::Stream(&mut made), &make_options(false), &Quiet).unwrap();
    let origin = opened(&fixture, 1);
    let mut view = origin.snapshot().view().unwrap();
    assert!(matches!(apply(stream(&made), &origin, &mut view), Err(Error::Refused { .. })));
    assert_eq!(view[..], origin.snapshot()[..]);
}

#[test]
fn holes_cost_nothing() {
    let fixture = Fixture::new();
    fixture.cut(64 << 30);
    fixture.write(40 << 30, b"here");
    fixture.snap();
    let origin = opened(&fixture, 1);
    let live = open(&Operand::new(fixture.target(), None), None, &Quiet).unwrap();
    assert_eq!((origin.digest(), origin.groups.len()), (live.digest(), 1));
    let mut view = origin.snapshot().view().unwrap();
    assert_eq!(view[40 << 30..(40 << 30) + 4], *b"here");
    view[50 << 30] = 1;
    assert_eq!(keep(&origin, &view, &keep_options(), &Quiet).unwrap().pages_changed, 1);
}
