//! What the tests of this module share.

use memsnap::mem::{Options, Snapshot, Tracking};
use memsnap::page::PageSet;

pub(crate) use crate::util::{noise, skip};

pub(crate) const METHODS: [Tracking; 4] =
    [Tracking::WriteProtect, Tracking::WriteProtectAll, Tracking::Pagemap, Tracking::Compare];

pub(crate) fn with(tracking: Tracking) -> Options {
    Options::default().tracking(tracking)
}

/// Whether writes can be tracked in this way here.
pub(crate) fn can(tracking: Tracking) -> bool {
    match Snapshot::zeroed(1).unwrap().view_with(&with(tracking)) {
        Ok(_) => true,
        Err(e) => {
            skip(&format!("{tracking:?}: {e}"));
            false
        }
    }
}

/// The ways that can be had here.
pub(crate) fn methods() -> impl Iterator<Item = Tracking> {
    METHODS.into_iter().filter(|tracking| can(*tracking))
}

pub(crate) fn numbers(set: &PageSet) -> Vec<u64> {
    set.runs().flat_map(|run| run.start..run.end).collect()
}

/// The pages of `unit` bytes that differ, found the simple way.
pub(crate) fn differing(a: &[u8], b: &[u8], unit: usize) -> Vec<u64> {
    assert_eq!(a.len(), b.len());
    let pages = a.chunks(unit).zip(b.chunks(unit));
    pages.enumerate().filter(|(_, (a, b))| a != b).map(|(i, _)| i as u64).collect()
}
