//! Snapshots that are made of parts, copied or mapped: where they are, and what they cost.
#![allow(unsafe_code, reason = "files that do not change, mapped")]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use memsnap::mem::{Compose, Snapshot};
use proptest::prelude::*;

use super::ground::{noise, numbers, skip};
use super::process::alone;

const PAGE: usize = 4096;
const MIB: usize = 1 << 20;

#[derive(Clone, Debug)]
struct Part {
    /// 0 bytes, 1 a copy of a file, 2 the file itself.
    kind: u8,
    at: usize,
    offset: usize,
    len: usize,
}

fn place(compose: Compose, part: &Part, file: &File, bytes: &[u8]) -> std::io::Result<Compose> {
    let Part { kind, at, offset, len } = *part;
    match kind {
        0 => compose.bytes(at, &bytes[offset..offset + len]),
        1 => compose.file(at, file, offset as u64, len),
        // SAFETY: no process writes to the file: it has no name, and is written before.
        _ => unsafe { compose.share(at, file.try_clone()?, offset as u64, len) },
    }
}

#[test]
fn parts_lie_where_they_were_placed() {
    const LEN: usize = 9 * MIB;
    let bytes = noise(8, 4 * MIB + 1234);
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(&bytes, 0).unwrap();
    let place_of = |most: usize| {
        prop_oneof![0..most, (0..most / PAGE).prop_map(|n| n * PAGE), (0..most / MIB + 1).prop_map(|n| n * MIB)]
    };
    let length = prop_oneof![Just(0), 1..9000_usize, Just(MIB), MIB..3 * MIB, Just(bytes.len())];
    let part = (0..3_u8, place_of(LEN), place_of(bytes.len()), length).prop_map(|(kind, at, offset, len)| Part {
        kind,
        at,
        offset,
        len,
    });
    let total = prop_oneof![Just(LEN), 0..LEN];
    let config = ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(len in total, parts in prop::collection::vec(part, 0..12))| {
        let (mut fit, mut all) = (Vec::<Part>::new(), vec![0; len]);
        let laid = |fit: &[Part]| {
            fit.iter().fold(Snapshot::compose(len), |compose, part| place(compose, part, &file, &bytes).unwrap())
        };
        for part in parts {
            let there = part.offset + part.len <= bytes.len();
            let inside = part.at + part.len <= len;
            let free = fit.iter().all(|other| part.at + part.len <= other.at || other.at + other.len <= part.at);
            if inside && there && (free || part.len == 0) {
                all[part.at..part.at + part.len].copy_from_slice(&bytes[part.offset..part.offset + part.len]);
                fit.extend(Some(part).filter(|part| part.len > 0));
            } else if there || part.kind > 0 {
                prop_assert!(place(laid(&fit), &part, &file, &bytes).is_err(), "{part:?} among {fit:?}");
            }
        }
        let snapshot = laid(&fit).build()?;
        prop_assert!(snapshot[..] == all[..]);
        let mut view = snapshot.view()?;
        prop_assert!(view[..] == all[..] && view.dirty().is_empty());
        view.fill(3);
        view.revert();
        prop_assert!(view[..] == all[..] && view.take_snapshot()?[..] == all[..]);
    });
}

#[test]
fn small_parts_cost_no_mappings() {
    if !alone("parts::small_parts_cost_no_mappings") {
        return;
    }
    let mappings = || std::fs::read_to_string("/proc/self/maps").unwrap().lines().count();
    let (before, bytes) = (mappings(), noise(4, PAGE));
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(&bytes, 0).unwrap();
    let mut compose = Snapshot::compose(10_000 * 16 * PAGE);
    for i in 0..5_000 {
        compose = compose.bytes(2 * i * 16 * PAGE, &bytes).unwrap();
        compose = compose.file((2 * i + 1) * 16 * PAGE, &file, 0, PAGE).unwrap();
    }
    let snapshot = compose.build().unwrap();
    let view = snapshot.view().unwrap();
    assert!((0..10_000).all(|i| view[16 * i * PAGE..][..PAGE] == bytes[..] && view[16 * i * PAGE + PAGE] == 0));
    assert!(mappings() - before < 600, "{} mappings", mappings() - before);
}

/// Short parts, too: one mapping each, and no memory, until there are too many.
#[test]
fn shared_parts_are_mapped_up_to_a_limit() {
    if !alone("parts::shared_parts_are_mapped_up_to_a_limit") {
        return;
    }
    const PARTS: usize = 30_000;
    let mappings = || std::fs::read_to_string("/proc/self/maps").unwrap().lines().count();
    let bytes = noise(4, 64 * PAGE);
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(&bytes, 0).unwrap();
    let file = Arc::new(file);
    let compose = |parts: usize| {
        (0..parts).fold(Snapshot::compose(parts * PAGE), |compose, i| {
            // No part follows the one before it in the file.
            // SAFETY: no process writes to the file: it has no name, and is written before.
            unsafe { compose.share(i * PAGE, file.clone(), (i * 7 % 64 * PAGE) as u64, PAGE) }.unwrap()
        })
    };
    let as_laid =
        |all: &[u8]| all.chunks(PAGE).enumerate().all(|(i, page)| page == &bytes[i * 7 % 64 * PAGE..][..PAGE]);
    let before = mappings();
    let few = compose(4000).build().unwrap();
    let more = mappings() - before;
    assert!((4000..4010).contains(&more) && as_laid(&few), "{more} mappings");
    drop(few);
    // Neighbours in the file are one.
    // SAFETY: as above.
    let share = |compose: Compose, i: usize| unsafe { compose.share(i * PAGE, file.clone(), (i * PAGE) as u64, PAGE) };
    let one = (0..64).fold(Snapshot::compose(64 * PAGE), |compose, i| share(compose, i).unwrap()).build().unwrap();
    assert!(one[..] == bytes[..] && mappings() - before < 10, "{} mappings", mappings() - before);

    let limit: usize = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap().trim().parse().unwrap();
    if limit > 70_000 {
        return skip("vm.max_map_count is not the usual one");
    }
    let many = compose(PARTS).build().unwrap();
    assert!(as_laid(&many));
    let mut views: Vec<_> = (0..3).map(|_| many.view().unwrap()).collect();
    for view in &mut views {
        assert!(as_laid(view) && view.dirty().is_empty());
        view[20_000 * PAGE] ^= 1;
        view[29_999 * PAGE] ^= 1;
        view.snap().unwrap();
        assert_eq!(numbers(&view.dirty_since(0)), [20_000, 29_999]);
        view.revert_to(0).unwrap();
        assert!(as_laid(view));
    }
    assert!(mappings() < limit * 4 / 5, "{} mappings", mappings());
    drop(views);
    drop(many);
    assert!(mappings() - before < 10 && compose(4000).build().is_ok_and(|few| as_laid(&few)));
}
