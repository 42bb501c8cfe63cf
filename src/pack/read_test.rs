//! Packs that are written, read, truncated and flipped.

use super::super::block::BLOCK_HEAD;
use super::super::{Compress, PackWriter, encode_frame};
use super::*;
use crate::page::page_digest;

type Pages = Vec<(PageNo, Vec<u8>)>;

/// Pages 3, 4, 9.. with a byte each, in frames of up to five.
fn small(compress: Compress, n: u64) -> (Vec<u8>, Digest, Pages) {
    let pages: Vec<_> = (0..n).map(|i| (3 + i + i / 2 * 4, vec![(i % 255) as u8 + 1; PAGE])).collect();
    let mut writer = PackWriter::new(Vec::new()).unwrap();
    for chunk in pages.chunks(5) {
        let list: Vec<_> = chunk.iter().map(|(p, b)| (*p, page_digest(b[..].try_into().unwrap()))).collect();
        let bytes: Vec<u8> = chunk.iter().flat_map(|(_, b)| b.clone()).collect();
        writer.push(&list, Some(&encode_frame(&bytes, compress))).unwrap();
    }
    let (summary, bytes) = writer.finish().unwrap();
    assert_eq!(summary.bytes, bytes.len() as u64);
    (bytes, summary.id, pages)
}

/// The whole content of a pack, or why it cannot be used.
fn read_all(bytes: Vec<u8>, id: &Digest) -> Result<Pages, Bad> {
    let pack = PackReader::open(bytes, id)?;
    let mut out = Vec::new();
    for b in 0..pack.blocks() {
        let block = pack.block(b)?;
        for f in 0..block.frames() {
            let bytes = pack.frame(&block, f, None)?;
            for ((page, digest), bytes) in block.frame_pages(f).into_iter().zip(bytes.chunks(PAGE)) {
                if page_digest(bytes.try_into().unwrap()) != digest {
                    return Err(Bad::new("a page does not match its digest"));
                }
                out.push((page, bytes.to_vec()));
            }
        }
    }
    Ok(out)
}

#[test]
fn packs_come_back() {
    for compress in [Compress::None, Compress::Zstd(1)] {
        for n in [0, 1, 5, 23, 9000] {
            let (bytes, id, pages) = small(compress, n);
            let pack = PackReader::open(bytes.clone(), &id).unwrap();
            assert_eq!(pack.pages(), n);
            if let Some((page, content)) = pages.last() {
                let block = pack.block(pack.block_of(*page).unwrap()).unwrap();
                let frame = block.frame_of(*page).unwrap();
                let mut out = vec![0; PAGE];
                if pack.raw_page(&block, frame, *page, &mut out).unwrap() {
                    assert_eq!(&out, content);
                }
                assert!(block.digest(*page + 1).is_none());
            }
            assert_eq!(read_all(bytes, &id).unwrap(), pages);
        }
    }
}

#[test]
fn pages_left_out_keep_the_id() {
    let (_, id, pages) = small(Compress::None, 10);
    let mut writer = PackWriter::new(Vec::new()).unwrap();
    for (i, chunk) in pages.chunks(5).enumerate() {
        let list: Vec<_> = chunk.iter().map(|(p, b)| (*p, page_digest(b[..].try_into().unwrap()))).collect();
        let bytes: Vec<u8> = chunk.iter().flat_map(|(_, b)| b.clone()).collect();
        let frame = encode_frame(&bytes, Compress::None);
        writer.push(&list, (i == 1).then_some(&frame)).unwrap();
    }
    let (summary, bytes) = writer.finish().unwrap();
    assert_eq!(summary.id, id);
    let pack = PackReader::open(bytes.clone(), &id).unwrap();
    let block = pack.block(0).unwrap();
    assert_eq!(block.frame_of(pages[0].0), None);
    assert_eq!(block.frame_of(pages[7].0), Some(0));
    assert_eq!(read_all(bytes, &id).unwrap(), pages[5..]);
}

#[test]
fn every_flipped_bit_and_every_truncation_is_noticed() {
    for compress in [Compress::None, Compress::Zstd(1)] {
        let (bytes, id, _) = small(compress, 3);
        for n in 0..bytes.len() {
            assert!(read_all(bytes[..n].to_vec(), &id).is_err(), "cut to {n}");
        }
        let step = if compress == Compress::None { 97 } else { 1 };
        for bit in (0..bytes.len() * 8).step_by(step) {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(read_all(flipped, &id).is_err(), "bit {bit}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(read_all(longer, &id).is_err());
    }
}

/// A sound pack with its directory changed and sealed again: the id does not cover all of a row.
fn with_row(at: usize, new: &[u8]) -> Vec<u8> {
    let (mut bytes, _, _) = small(Compress::None, 3);
    let tail = bytes.len() - TAIL as usize;
    let row = tail - DirEntry::BYTES + at;
    bytes[row..row + new.len()].copy_from_slice(new);
    seal(&mut bytes);
    bytes
}

/// Makes the check of a pack with one block right.
fn seal(bytes: &mut [u8]) {
    let tail = bytes.len() - TAIL as usize;
    let check = Digest::of(&[&bytes[..HEAD], &bytes[tail - DirEntry::BYTES..tail + 24]].concat());
    bytes[tail + 24..tail + 56].copy_from_slice(&check.0);
}

/// A pack of one page in a raw frame, with `kind` in the place of the kind of that frame.
fn with_kind(kind: u8) -> Vec<u8> {
    let (mut bytes, _, _) = small(Compress::None, 1);
    let (tail, block) = (bytes.len() - TAIL as usize, HEAD + PAGE);
    let end = tail - DirEntry::BYTES - 32;
    bytes[end - FrameEntry::BYTES + 3] = kind;
    let check = Digest::of(&bytes[block..end]);
    bytes[end..end + 32].copy_from_slice(&check.0);
    seal(&mut bytes);
    bytes
}

#[test]
fn unknown_kinds_and_flags_are_newer() {
    for kind in [3, 7, 255] {
        let pack = PackReader::open_any(with_kind(kind)).unwrap();
        assert!(matches!(pack.block(0), Err(Bad::Version(_))), "kind {kind}");
    }
    // Known, and not here.
    let pack = PackReader::open_any(with_kind(2)).unwrap();
    assert!(matches!(pack.block(0), Err(Bad::Damaged(_))));
    for (at, byte) in [(8, 2), (10, 1), (11, 0x80)] {
        let (mut bytes, id, _) = small(Compress::None, 3);
        bytes[at] = byte;
        assert!(matches!(PackReader::open(bytes.clone(), &id), Err(Bad::Damaged(_))), "byte {at} has flipped");
        seal(&mut bytes);
        assert!(matches!(PackReader::open(bytes, &id), Err(Bad::Version(_))), "byte {at} was written so");
    }
}

#[test]
fn a_block_has_the_pages_that_its_row_says() {
    let last = 24;
    let good = PackReader::open_any(with_row(last, &9u64.to_le_bytes())).unwrap();
    assert!(good.block(0).is_ok());
    for page in [10u64, 1 << 40] {
        let pack = PackReader::open_any(with_row(last, &page.to_le_bytes())).unwrap();
        assert!(matches!(pack.block(0), Err(Bad::Damaged(_))), "last page {page}");
    }
}

/// No pack holds pages of zeros; a forged one with such a page could not be rewritten.
#[test]
fn a_page_of_zeros_is_refused() {
    let zero = [(3, Digest::ZERO)];
    let (mut bytes, _, _) = small(Compress::None, 1);
    let (tail, block) = (bytes.len() - TAIL as usize, HEAD + PAGE);
    let body = block + BLOCK_HEAD + 12;
    bytes[body..body + 32].fill(0);
    let end = tail - DirEntry::BYTES - 32;
    let check = Digest::of(&bytes[block..end]);
    bytes[end..end + 32].copy_from_slice(&check.0);
    let row = tail - DirEntry::BYTES;
    bytes[row + 32..row + 64].copy_from_slice(&block_key(&zero).0);
    seal(&mut bytes);
    let pack = PackReader::open_any(bytes).unwrap();
    assert!(matches!(pack.block(0), Err(Bad::Damaged(_))));
}

/// A place that cannot be is damage, not a sum that ends the program.
#[test]
fn frames_at_the_end_of_all_numbers() {
    let mut entry = Vec::new();
    entry.extend_from_slice(&0u16.to_le_bytes());
    entry.extend_from_slice(&[1, 0]); // one page, raw
    entry.extend_from_slice(&(PAGE as u32).to_le_bytes());
    entry.extend_from_slice(&0u64.to_le_bytes());
    let at = |first| decode_frames(&mut Fields::new(&entry), 1, 1, first, 1 << 20, 1).is_ok();
    assert!(at(HEAD as u64));
    assert!(!at(0) && !at(1 << 20) && !at(u64::MAX - 4000) && !at(u64::MAX));
}
