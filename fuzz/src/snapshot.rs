//! Snapshot files. The id is that of the bytes, so nothing needs to be sealed.

use std::sync::Arc;

use memsnap::pack::{Packs, SnapshotFile, SnapshotWriter};
use memsnap::page::{Digest, MAX_LEN};

use super::runs;

/// A snapshot is refused, or all of it can be written again and then says the same.
pub fn check(input: &[u8]) {
    let file = Arc::new(input.to_vec());
    let mut packs = Packs::default();
    let Ok(snap) = SnapshotFile::open(file.clone(), &Digest::of(input), &mut packs) else { return };
    assert!(snap.meta.len <= MAX_LEN, "no image is that long");
    assert!(SnapshotFile::open(file, &Digest::of(b"another"), &mut packs).is_err(), "it is checked against its id");
    let (Ok(over), Ok(update)) = (runs::all(snap.over()), runs::all(snap.update())) else { return };
    runs::skipping(snap.over(), &over);
    let more = runs::fresh(&mut packs);
    runs::again(&over, &[more]);
    let (over_section, order, over_bytes) = runs::write(&over, snap.packs());
    let (update_section, order, update_bytes) = runs::write(&update, &order);
    let ids = order.iter().map(|number| packs.id(*number)).collect();
    let writer = SnapshotWriter { meta: &snap.meta, packs: ids, over: over_section, update: update_section };
    let mut out = Vec::new();
    let (id, size) = writer.write(&over_bytes, &update_bytes, &mut out).expect("memory takes all");
    assert_eq!((id, size), (Digest::of(&out), out.len() as u64));
    let again = SnapshotFile::open(Arc::new(out), &id, &mut packs).expect("what was written can be read");
    assert_eq!(again.meta, snap.meta, "it says the same");
    assert_eq!(runs::all(again.over()).expect("likewise"), runs::joined(&over));
    assert_eq!(runs::all(again.update()).expect("likewise"), runs::joined(&update));
}
