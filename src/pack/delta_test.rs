//! Deltas between images in memory.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::{DeltaWriter, encode_frame_against, invert};
use super::*;
use crate::page::{ImageHasher, group_digest};

type Pages = BTreeMap<PageNo, Vec<u8>>;

/// Page `page` of `image`, filled up with zeros.
fn page_of(image: &[u8], page: PageNo) -> [u8; PAGE] {
    let mut out = [0; PAGE];
    let from = (page as usize * PAGE).min(image.len());
    let part = &image[from..image.len().min(from + PAGE)];
    out[..part.len()].copy_from_slice(part);
    out
}

fn id_of(image: &[u8]) -> ImageId {
    let mut hasher = ImageHasher::new(image.len() as u64);
    for (group, bytes) in image.chunks(crate::page::GROUP).enumerate() {
        let mut whole = [0; crate::page::GROUP];
        whole[..bytes.len()].copy_from_slice(bytes);
        hasher.push(group as u64, &group_digest(&whole));
    }
    ImageId { len: image.len() as u64, digest: hasher.finish() }
}

fn delta(a: &[u8], b: &[u8], reversible: bool) -> Vec<u8> {
    let head = DeltaHead { base: id_of(a), result: id_of(b), reversible, name: b"it".to_vec() };
    let mut out = Vec::new();
    let mut writer = DeltaWriter::new(&mut out, &head).unwrap();
    for (old, new) in [(a, b), (b, a)].into_iter().take(1 + usize::from(reversible)) {
        let mut direction = writer.direction(Vec::new()).unwrap();
        let mut pages = Vec::new();
        for page in 0..pages_of(new.len() as u64) {
            let (before, now) = (page_of(old, page), page_of(new, page));
            let digest = page_digest(&now);
            match (before == now, digest.is_zero()) {
                (true, _) => {}
                (_, true) => direction
                    .zeros(PageRange::new(page, page + 1), [Source::Hole, Source::Zero][page as usize % 2])
                    .unwrap(),
                _ => {
                    direction.page(page).unwrap();
                    pages.push((page, digest));
                }
            }
        }
        for list in pages.chunks(16) {
            let [before, now] = [old, new].map(|i| list.iter().flat_map(|(p, _)| page_of(i, *p)).collect::<Vec<_>>());
            direction.frame(list, &encode_frame_against(&now, &before, 1)).unwrap();
        }
        writer = direction.finish().unwrap();
    }
    let bytes = writer.finish().unwrap();
    assert_eq!(bytes, out.len() as u64);
    out
}

fn follow(delta: &DeltaReader<Vec<u8>>, back: bool, base: &[u8]) -> Result<Vec<u8>, Bad> {
    let len = if back { delta.head.base.len } else { delta.head.result.len };
    let mut changes = Pages::new();
    let mut direction = delta.direction(back)?;
    let mut old = |page: PageNo, out: &mut [u8; PAGE]| {
        out.copy_from_slice(&page_of(base, page));
        Ok::<_, Bad>(())
    };
    while let Some(item) = direction.next(&mut old)? {
        match item {
            PageChange::Zeros(run) => changes.extend((run.pages.start..run.pages.end).map(|p| (p, vec![0; PAGE]))),
            PageChange::Page(page, _, bytes) => assert!(changes.insert(page, bytes.to_vec()).is_none()),
        }
    }
    let all = (0..pages_of(len)).flat_map(|p| changes.remove(&p).unwrap_or_else(|| page_of(base, p).to_vec()));
    let mut out: Vec<u8> = all.collect();
    out.truncate(len as usize);
    Ok(out)
}

/// An image of a few pages, and another that differs from it here and there.
fn pair() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let image = prop::collection::vec(prop_oneof![Just(0u8), 1u8..9], 0..60);
    let cut = (0usize..PAGE, 0usize..60 * PAGE);
    let writes = prop::collection::vec((0usize..60, 0usize..PAGE, any::<u8>(), any::<bool>()), 0..40);
    (image, cut, writes).prop_map(|(pages, (tail, len), writes)| {
        let mut a: Vec<u8> = pages
            .iter()
            .enumerate()
            .flat_map(|(i, b)| (0..PAGE).map(move |j| if *b == 0 { 0 } else { (j / 64 * 7 + i) as u8 ^ *b }))
            .collect();
        let mut b = a.clone();
        a.truncate(a.len().saturating_sub(tail));
        b.resize(if len % 3 == 0 { len } else { b.len() }, 0);
        for (page, at, byte, whole) in writes {
            let end = b.len().min((page + 1) * PAGE);
            if whole && page * PAGE < end {
                b[page * PAGE..end].fill(byte % 2);
            } else if let Some(place) = b.get_mut(page * PAGE + at) {
                *place = byte;
            }
        }
        (a, b)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn both_directions_give_their_result((a, b) in pair(), reversible: bool) {
        let bytes = delta(&a, &b, reversible);
        let there = DeltaReader::open(bytes.clone()).unwrap();
        prop_assert_eq!(there.head.base, id_of(&a));
        prop_assert_eq!(follow(&there, false, &a).unwrap(), &b[..]);
        if reversible {
            prop_assert_eq!(follow(&there, true, &b).unwrap(), &a[..]);
            let mut back = Vec::new();
            invert(&there, &mut back).unwrap();
            let back = DeltaReader::open(back).unwrap();
            prop_assert_eq!(follow(&back, false, &b).unwrap(), &a[..]);
            let mut again = Vec::new();
            invert(&back, &mut again).unwrap();
            prop_assert_eq!(again, bytes);
        }
    }

    #[test]
    fn any_bytes_are_a_delta_or_an_error(bytes: Vec<u8>, (a, b) in pair(), at: prop::sample::Index, n in 0usize..40) {
        prop_assert!(DeltaReader::open(bytes.clone()).is_err());
        // Bytes with a valid end marker: any result is allowed but a panic.
        let mut whole = delta(&a, &b, true);
        let at = at.index(whole.len() - 40);
        let n = n.min(bytes.len()).min(whole.len() - 40 - at);
        whole[at..at + n].copy_from_slice(&bytes[..n]);
        let end = whole.len() - 40;
        let check = Digest::of(&whole[..end]);
        whole[end..end + 32].copy_from_slice(&check.0);
        if let Ok(delta) = DeltaReader::open(whole) {
            for back in [false, true].into_iter().take(1 + usize::from(delta.head.reversible)) {
                if delta.head.base.len.max(delta.head.result.len) < 1 << 20 {
                    let _ = follow(&delta, back, if back { &b } else { &a });
                }
            }
        }
    }
}

#[test]
fn every_flipped_bit_and_every_truncation_is_noticed() {
    let a: Vec<u8> = (0..9000u32).map(|i| (i / 50) as u8).collect();
    let mut b = a.clone();
    b[5] ^= 1;
    b[4096..8192].fill(0);
    b[8999] = 77;
    let bytes = delta(&a, &b, true);
    for n in 0..bytes.len() {
        assert!(DeltaReader::open(bytes[..n].to_vec()).is_err(), "cut to {n}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(DeltaReader::open(flipped).is_err(), "bit {bit}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(DeltaReader::open(longer).is_err());
}

#[test]
fn a_missing_direction_is_damage() {
    let (a, b) = (vec![1; 5000], vec![2; 5000]);
    let mut bytes = delta(&a, &b, true);
    bytes[10] = 0;
    let end = bytes.len() - 40;
    let check = Digest::of(&bytes[..end]);
    bytes[end..end + 32].copy_from_slice(&check.0);
    assert!(DeltaReader::open(bytes).is_err());
}

#[test]
fn unknown_flags_are_newer() {
    let (a, b) = (vec![1; 5000], vec![2; 5000]);
    for (at, byte) in [(8, 2), (10, 3), (11, 0x80)] {
        let mut bytes = delta(&a, &b, true);
        bytes[at] = byte;
        assert!(matches!(DeltaReader::open(bytes.clone()), Err(Bad::Damaged(_))), "byte {at} has flipped");
        let end = bytes.len() - 40;
        let check = Digest::of(&bytes[..end]);
        bytes[end..end + 32].copy_from_slice(&check.0);
        assert!(matches!(DeltaReader::open(bytes), Err(Bad::Version(_))), "byte {at} was written so");
    }
}

#[test]
fn a_changed_byte_costs_little() {
    let a: Vec<u8> = (0..64 * PAGE as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut b = a.clone();
    (0..64).for_each(|page| b[page * PAGE + 100] ^= 0x55);
    let bytes = delta(&a, &b, false);
    assert!(bytes.len() < 64 * 100, "{} bytes for 64 changed bytes", bytes.len());
}
