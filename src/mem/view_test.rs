use super::super::{Options, Snapshot, Tracking, page_size};
use crate::page::PageRange;
use std::sync::Arc;

fn methods() -> Vec<Tracking> {
    if cfg!(miri) {
        vec![Tracking::Compare]
    } else {
        vec![Tracking::WriteProtect, Tracking::WriteProtectAll, Tracking::Pagemap, Tracking::Compare]
    }
}

fn with(tracking: Tracking) -> Options {
    Options::default().tracking(tracking)
}

fn pages(set: crate::page::PageSet) -> Vec<u64> {
    set.runs().flat_map(|r| r.start..r.end).collect()
}

/// What the kernel names is a superset; what is called dirty is exact, also where memory was only read.
#[test]
fn reading_makes_no_page_dirty() {
    let page = page_size();
    for tracking in methods() {
        let snapshot = Snapshot::zeroed(20 * page).unwrap();
        let mut view = snapshot.view_with(&with(tracking)).unwrap();
        assert_eq!(view.iter().map(|byte| u64::from(*byte)).sum::<u64>(), 0);
        view[3 * page..4 * page].fill(0);
        view[5 * page + 1] = 1;
        assert_eq!(pages(view.dirty()), [5]);
        assert!(view.maybe_dirty().contains(5));
        let set = view.dirty();
        assert_eq!(view.page_bytes(&set).map(|(number, bytes)| (number, bytes[1])).collect::<Vec<_>>(), [(5, 1)]);
        let past = [PageRange::new(19, 30)].into_iter().collect();
        assert_eq!(view.page_bytes(&past).count(), 1);
    }
}

#[test]
fn checkpoints_nest() {
    let page = page_size();
    for tracking in methods() {
        let snapshot = Snapshot::from_slice(&vec![7; 9 * page + 10]).unwrap();
        let mut view = snapshot.view_with(&with(tracking)).unwrap();
        assert_eq!(view.tracking(), tracking);
        assert!(view.dirty().is_empty());
        view[3 * page] = 1;
        view[9 * page + 9] = 2;
        assert_eq!(pages(view.dirty()), [3, 9]);
        view[3 * page] = 7;
        assert_eq!(pages(view.dirty()), [9]);
        assert_eq!(view.snap_named("a").unwrap(), 1);
        assert!(view.dirty().is_empty());
        view[0] = 3;
        view[9 * page + 9] = 7;
        assert_eq!(view.snap().unwrap(), 2);
        view[page] = 4;
        assert_eq!(pages(view.dirty()), [1]);
        assert_eq!(pages(view.dirty_since(1)), [0, 1, 9]);
        assert_eq!(pages(view.dirty_since(0)), [0, 1]);
        assert_eq!((pages(view.diff(0, 1)), pages(view.diff(0, 2))), (vec![9], vec![0]));
        let found: Vec<_> =
            view.dirty_pages_since(1).map(|p| (p.number, p.now.len(), p.before[p.now.len() - 1])).collect();
        assert_eq!(found, [(0, page, 7), (1, page, 7), (9, 10, 2)]);
        assert_eq!(
            (view.checkpoint("a"), view.checkpoint_name(1), view.checkpoint_name(2)),
            (Some(1), Some("a"), None)
        );

        view.apply(); // 2 is gone
        assert_eq!(pages(view.dirty()), [0, 1, 9]);
        view.revert();
        assert_eq!((view[0], view[page], view[9 * page + 9]), (7, 7, 2));
        assert_eq!(pages(view.dirty()), [9]);
        view.revert();
        view.revert();
        assert!(view.dirty().is_empty() && view[..] == snapshot[..]);
    }
}

#[test]
fn what_a_mutable_view_wrote_is_kept() {
    for tracking in methods() {
        let mut snapshot = Snapshot::zeroed(100_000).unwrap();
        let clone = snapshot.clone();
        let mut view = snapshot.view_mut_with(&with(tracking)).unwrap();
        view[5] = 1;
        view.snap().unwrap();
        view[99_999] = 2;
        drop(view);
        assert_eq!((snapshot[5], snapshot[99_999], snapshot.len()), (1, 2, 100_000));
        snapshot.view_mut_with(&with(tracking)).unwrap().fill(9);
        assert!(snapshot.iter().all(|b| *b == 9) && clone.iter().all(|b| *b == 0));
        let mut view = snapshot.view_with(&with(tracking)).unwrap();
        assert!(view.dirty().is_empty());
        view[50_000] = 1;
        let taken = view.take_snapshot().unwrap();
        view[50_001] = 1;
        assert_eq!(taken[49_999..50_003], [9, 1, 9, 9]);
        view.restore().unwrap();
        assert!(view[..] == snapshot[..]);
    }
}

#[test]
fn of_nothing() {
    let mut snapshot = Snapshot::from_slice(&[]).unwrap();
    let mut view = snapshot.view_mut().unwrap();
    assert!(view.is_empty() && view.dirty().is_empty());
    view.snap().unwrap();
    view.revert();
    view.restore().unwrap();
    assert!(view.take_snapshot().unwrap().is_empty());
    drop(view);
    let arc = Arc::new(snapshot);
    assert_eq!(arc.view_arc().unwrap().len(), 0);
}

#[test]
fn pages_as_long_as_asked() {
    let unit = 4 * page_size();
    for tracking in methods() {
        let snapshot = Snapshot::zeroed(3 * unit + 1).unwrap();
        let options = with(tracking).page_size(unit);
        let mut view = snapshot.view_with(&options).unwrap();
        view[unit - 1] = 1;
        view[2 * unit] = 1;
        view[3 * unit] = 1;
        assert_eq!(pages(view.dirty()), [0, 2, 3]);
        assert_eq!(view.dirty_pages().map(|p| p.before.len()).collect::<Vec<_>>(), [unit, unit, 1]);
        view.snap().unwrap();
        view[unit] = 1;
        view.revert();
        assert_eq!(view[unit], 0);
        assert_eq!(pages(view.dirty_within(unit..).unwrap()), [2, 3]);
        // The byte that was written is on the page, and not in the range.
        assert_eq!(pages(view.dirty_within(2 * unit + unit / 2..3 * unit - 1).unwrap()), [2]);
    }
    let options = Options::default().page_size(unit + 1);
    assert_eq!(Snapshot::zeroed(1).unwrap().view_with(&options).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
}

#[test]
fn a_range_is_restored() {
    let page = page_size();
    for tracking in methods() {
        let snapshot = Snapshot::from_slice(&vec![5; 4 * page]).unwrap();
        let mut view = snapshot.view_with(&with(tracking)).unwrap();
        view.fill(1);
        view.snap().unwrap();
        view[2 * page..].fill(2);
        view.restore_range(page + 1..3 * page - 1).unwrap();
        let expected = [vec![1; page + 1], vec![5; 2 * page - 2], vec![2; page + 1]].concat();
        assert!(view[..] == expected[..]);
        assert_eq!(pages(view.dirty()), [1, 2, 3]);
        view.revert();
        assert!(view.iter().all(|b| *b == 1));
        assert!(view.restore_range(..4 * page + 1).is_err());
    }
}
