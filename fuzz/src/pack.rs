//! Packs: the first byte says whether to seal the others.

use memsnap::pack::{Block, PackReader, PackWriter};
use memsnap::page::{PAGE, page_digest};

use super::seal;

/// A pack is refused, or its pages ascend and are where it says, and written again it keeps its id.
pub fn check(input: &[u8]) {
    let Some((how, bytes)) = input.split_first() else { return };
    let mut bytes = bytes.to_vec();
    if how & 1 == 1 {
        seal::pack(&mut bytes);
    }
    let Ok(pack) = PackReader::open_any(bytes) else { return };
    let pack = if how & 2 == 2 { pack.with_prefixes() } else { pack };
    let mut blocks = Vec::new();
    for index in 0..pack.blocks() {
        let Ok(block) = pack.block(index) else { continue };
        places(&pack, &block, index);
        (0..block.frames()).for_each(|frame| decode(&pack, &block, frame));
        blocks.push(block);
    }
    if blocks.len() == pack.blocks() {
        again(&pack, &blocks);
    }
}

/// Every page of a block is found where it is, and no other.
fn places(pack: &PackReader<Vec<u8>>, block: &Block, index: usize) {
    let (first, last) = pack.block_span(index);
    let pages: Vec<_> = block.entries().collect();
    assert!(pages.is_sorted_by(|a, b| a.0 < b.0), "pages ascend");
    assert_eq!((pages[0].0, pages[pages.len() - 1].0), (first, last), "a block has the pages of its row");
    for (page, digest) in &pages {
        assert!(pack.block_of(*page) == Some(index) && block.digest(*page) == Some(*digest));
        assert!(!digest.is_zero(), "zeros are in no pack");
        if let Some(frame) = block.frame_of(*page) {
            assert!(block.frame_pages(frame).contains(&(*page, *digest)));
        }
    }
}

/// A frame is refused or decodes to its pages; the same in part as in whole.
fn decode(pack: &PackReader<Vec<u8>>, block: &Block, frame: usize) {
    let pages = block.frame_pages(frame);
    let old = vec![7; pages.len() * PAGE];
    let Ok(bytes) = pack.frame(block, frame, Some(&old)) else { return };
    assert_eq!(bytes.len(), pages.len() * PAGE);
    for ((page, _), whole) in pages.iter().zip(bytes.as_chunks::<PAGE>().0) {
        let mut part = [0; PAGE];
        if pack.raw_page(block, frame, *page, &mut part).expect("it was read before") {
            assert_eq!(page_digest(&part), page_digest(whole));
        }
    }
}

/// All frames in another pack, which then has the same id: it is derived from the content, not from offsets.
fn again(pack: &PackReader<Vec<u8>>, blocks: &[Block]) {
    let mut writer = PackWriter::new(Vec::new()).expect("memory takes all");
    for block in blocks {
        let mut frames = (0..block.frames()).map(|n| (block.frame_pages(n), n)).peekable();
        for entry in block.entries() {
            match frames.peek() {
                Some((pages, _)) if pages[0] == entry => {
                    let (pages, n) = frames.next().expect("it was there");
                    let Ok(frame) = pack.coded_frame(block, n) else { return };
                    writer.push(&pages, Some(&frame)).expect("memory takes all");
                }
                // A page in the frame before, or one whose bytes are left out.
                _ if block.frame_of(entry.0).is_some() => {}
                _ => writer.push(&[entry], None).expect("memory takes all"),
            }
        }
        writer.end_block().expect("memory takes all");
    }
    let (summary, bytes) = writer.finish().expect("memory takes all");
    assert_eq!((summary.id, summary.pages), (pack.id(), pack.pages()));
    PackReader::open(bytes, &pack.id()).expect("what was written can be read");
}
