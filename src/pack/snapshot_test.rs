//! Snapshots and maps written and read back.

use super::super::runs::tests::{any_runs, by_page, collect};
use super::super::{MapFile, RunsWriter, write_map};
use super::*;
use proptest::prelude::*;

fn any_meta() -> impl Strategy<Value = Meta> {
    let attrs = prop::collection::btree_map("[a-z]{1,9}", prop::collection::vec(any::<u8>(), 0..40), 0..4);
    (
        any::<[u8; 32]>(),
        any::<i64>(),
        "\\PC{0,40}",
        attrs,
        0u64..1 << 40,
        prop::collection::vec(any::<[u8; 32]>(), 0..3),
    )
        .prop_map(|(id, time_ns, message, attrs, len, companions)| Meta {
            len,
            image: Digest(id),
            parent: Digest::of(&id),
            time_ns,
            changed: Changed { pages: len / 9, bytes: len / 2 },
            stored: Stored { pack: Digest(id), pack_bytes: 9, map: Digest::ZERO, map_bytes: 0, debt: 77 },
            mtime_ns: i128::from(time_ns) * i128::from(id[0]),
            atime_ns: i128::from(time_ns) / 3,
            mode: 0o100_644,
            uid: 7,
            gid: 8,
            grade: Grade::Claimed,
            kind: SnapshotKind::Undo,
            path: vec![0xff, b'/', b'\n'],
            message,
            reason: "because".into(),
            host: "here".into(),
            version: "0.1.0".into(),
            attrs: attrs.into_iter().map(|(n, v)| (n.into_bytes(), v)).collect(),
            companions: companions.into_iter().map(Digest).collect(),
        })
}

/// From the sign bit of the low half to where there is no room.
#[test]
fn times_that_fit() {
    let edge = 1i128 << 79;
    for ns in [0, -1, i64::MAX.into(), i64::MIN.into(), 1 << 63, -(1 << 63) - 1, 1 << 64, edge / 2, -edge / 2] {
        assert!(fits_time(ns), "{ns}");
        assert_eq!(join_time(ns as i64, high_of(ns)), ns);
        assert_eq!(high_of(ns) == 0, i64::try_from(ns).is_ok(), "{ns}");
    }
    for ns in [edge, -2 * edge, i128::MAX, i128::MIN] {
        assert!(!fits_time(ns), "{ns}");
    }
}

fn one_meta() -> Meta {
    use proptest::strategy::ValueTree;
    any_meta().new_tree(&mut proptest::test_runner::TestRunner::deterministic()).unwrap().current()
}

/// The id distinguishes what a newer version wrote from a flipped bit.
#[test]
fn unknown_flags_grades_and_kinds_are_newer() {
    let (meta, mut packs) = (one_meta(), packs());
    let (id, snap) = write(&meta, &[], &packs);
    let mut map = Vec::new();
    let (map_id, _) = write_map(9, &mut std::iter::empty(), &packs, Vec::new(), &mut map).unwrap();
    for (at, byte) in [(8, 2), (10, 1), (11, 0x80), (228, 4), (229, 3)] {
        let mut bytes = snap.clone();
        bytes[at] = byte;
        let new = Digest::of(&bytes);
        assert!(matches!(SnapshotFile::open(bytes.clone(), &id, &mut packs), Err(Bad::Damaged(_))), "byte {at}");
        assert!(matches!(SnapshotFile::open(bytes, &new, &mut packs), Err(Bad::Version(_))), "byte {at}");
        if at < HEAD {
            let mut bytes = map.clone();
            bytes[at] = byte;
            let new = Digest::of(&bytes);
            assert!(
                matches!(MapFile::open(bytes.clone(), &map_id, &mut packs), Err(Bad::Damaged(_))),
                "map, byte {at}"
            );
            assert!(matches!(MapFile::open(bytes, &new, &mut packs), Err(Bad::Version(_))), "map, byte {at}");
        }
    }
}

fn packs() -> Packs {
    let mut packs = Packs::default();
    (0u8..5).for_each(|n| {
        packs.intern(Digest([n + 1; 32]));
    });
    packs
}

fn write(meta: &Meta, over: &[super::super::Run], packs: &Packs) -> (Digest, Vec<u8>) {
    let mut writer = RunsWriter::new(Vec::new());
    over.iter().for_each(|r| writer.push(*r).unwrap());
    let (section, order, bytes) = writer.finish().unwrap();
    let ids = order.iter().map(|n| packs.id(*n)).collect();
    let writer = SnapshotWriter { meta, packs: ids, over: section, update: Section::default() };
    let mut out = Vec::new();
    let (id, size) = writer.write(&bytes, &Vec::new(), &mut out).unwrap();
    assert_eq!(size, out.len() as u64);
    (id, out)
}

proptest! {
    #[test]
    fn snapshots_come_back(meta in any_meta(), runs in any_runs()) {
        let mut packs = packs();
        let (id, bytes) = write(&meta, &runs, &packs);
        let snap = SnapshotFile::open(bytes, &id, &mut packs).unwrap();
        prop_assert_eq!(&snap.meta, &meta);
        prop_assert_eq!(by_page(&collect(&mut snap.over()).unwrap()), by_page(&runs));
        prop_assert_eq!(collect(&mut snap.update()).unwrap(), vec![]);
    }

    #[test]
    fn maps_come_back(runs in any_runs(), len in 0u64..1 << 40) {
        let mut packs = packs();
        let mut out = Vec::new();
        let (id, _) = write_map(len, &mut runs.clone().into_iter().map(Ok), &packs, Vec::new(), &mut out).unwrap();
        let map = MapFile::open(out, &id, &mut packs).unwrap();
        prop_assert_eq!(by_page(&collect(&mut map.runs()).unwrap()), by_page(&runs));
    }

    /// With the check of the id out of the way, the structure must still hold.
    #[test]
    fn any_change_is_an_error_or_another_snapshot(meta in any_meta(), at: prop::sample::Index, byte in 1u8..) {
        let packs0 = packs();
        let (_, mut bytes) = write(&meta, &[], &packs0);
        let at = at.index(bytes.len());
        bytes[at] ^= byte;
        let id = Digest::of(&bytes);
        if let Ok(snap) = SnapshotFile::open(bytes, &id, &mut packs()) {
            let runs = (collect(&mut snap.over()), collect(&mut snap.update()));
            prop_assert!(snap.meta != meta || runs.0.is_err() || runs.1.is_err());
        }
    }
}
