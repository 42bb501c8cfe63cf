//! Full maps. The id is that of the bytes, so nothing needs to be sealed.

use std::sync::Arc;

use memsnap::pack::{MapFile, Packs, write_map};
use memsnap::page::Digest;

use super::runs;

/// A map is refused, or its runs ascend, and written again it says the same.
pub fn check(input: &[u8]) {
    let file = Arc::new(input.to_vec());
    let mut packs = Packs::default();
    let Ok(map) = MapFile::open(file.clone(), &Digest::of(input), &mut packs) else { return };
    assert!(MapFile::open(file, &Digest::of(b"another"), &mut packs).is_err(), "a map is checked against its id");
    let Ok(runs) = runs::all(map.runs()) else { return };
    runs::skipping(map.runs(), &runs);
    let len = runs.last().map_or(0, |last| last.pages.end_offset());
    let mut out = Vec::new();
    let stream = &mut runs.iter().copied().map(Ok);
    let (id, size) = write_map(len, stream, &packs, Vec::new(), &mut out).expect("memory takes all");
    assert_eq!(size, out.len() as u64);
    let again = MapFile::open(Arc::new(out), &id, &mut packs).expect("what was written can be read");
    assert_eq!(runs::all(again.runs()).expect("likewise"), runs::joined(&runs), "runs come back as they were");
}
