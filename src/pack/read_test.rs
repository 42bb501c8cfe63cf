//! Packs written, read, cut short and flipped.

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

/// Everything a pack says, or why it cannot be believed.
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
