//! The content of a file: zeros, duplicate pages, compression.
//!
//! All of it is read once, in windows. How many pages are different is counted in a set of bounded size: when it is
//! full, only digests with one more leading zero bit stay in it, which are half of them, and each then counts twice. So
//! up to `MOST_KEPT` different pages (8 GiB) the count is exact, and beyond that within about 0.1 %, with some 40 MiB
//! of memory.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

use crate::capture::{NoBase, ScannedWindow, scan};
use crate::error::{At, Result};
use crate::ops::{Progress, Reading};
use crate::pack::{Compress, encode_frame};
use crate::page::{Digest, GROUP_PAGES, PAGE, PageRange, pages_of};
use crate::sys::ext::MetadataExt;

/// Different pages that are counted exactly.
const MOST_KEPT: usize = 1 << 21;
/// Bytes that are compressed to see how far they do, about; of more, evenly chosen groups.
const SAMPLE: u64 = 256 << 20;

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Pages in all.
    pub pages: u64,
    /// Of these, in holes; they are not read.
    pub hole_pages: u64,
    /// Of these, not in holes and all zeros.
    pub zero_pages: u64,
    /// Of the others, those that repeat an earlier page.
    pub duplicate_pages: u64,
    /// Whether `duplicate_pages` is exact, not an estimate.
    pub exact: bool,
    /// Bytes of pages that were compressed, without zeros.
    pub sampled: u64,
    /// Their compressed size: each group of 16 pages by zstd at level 1, as in a snapshot.
    pub compressed: u64,
}

/// The counts of one window.
#[derive(Default)]
struct WindowCounts {
    pages: u64,
    holes: u64,
    digests: Vec<Digest>,
    sampled: u64,
    compressed: u64,
}

impl Content {
    /// Reads `len` bytes of `file`.
    ///
    /// # Errors
    /// When it cannot be read, or shrinks meanwhile.
    pub(super) fn look(
        file: &File,
        path: &Path,
        len: u64,
        reading: &Reading,
        progress: &dyn Progress,
    ) -> Result<Content> {
        let data = (file.metadata().at("inspecting", path)?.blocks() * 512).min(len);
        let one_in = data.div_ceil(SAMPLE).max(1);
        let mut found = Content::default();
        let (mut distinct, mut others) = (Distinct::new(MOST_KEPT), 0);
        progress.begin("reading", len);
        let scanned = scan(
            (file, path, len),
            None,
            &NoBase,
            reading.how(true),
            &|bytes| progress.advance(bytes),
            &|found| Ok(part(&found, len, one_in)),
            |part| {
                found.pages += part.pages;
                found.hole_pages += part.holes;
                found.zero_pages += part.pages - part.holes - part.digests.len() as u64;
                found.sampled += part.sampled;
                found.compressed += part.compressed;
                others += part.digests.len() as u64;
                part.digests.iter().for_each(|digest| distinct.insert(digest));
                Ok(())
            },
        );
        progress.end();
        scanned?;
        found.duplicate_pages = others.saturating_sub(distinct.count());
        found.exact = distinct.zeros == 0;
        Ok(found)
    }
}

/// Counts a window, and compresses one group in so many of it.
fn part(found: &ScannedWindow, len: u64, one_in: u64) -> WindowCounts {
    let all = PageRange { start: 0, end: pages_of(len) };
    let clipped = |range: &PageRange| range.intersect(&all).len();
    let mut part = WindowCounts {
        pages: found.window.as_ref().map_or(0, clipped),
        holes: found.holes.iter().map(clipped).sum(),
        digests: found.changed.iter().map(|(_, digest)| *digest).collect(),
        ..WindowCounts::default()
    };
    let mut at = 0;
    for group in found.changed.chunk_by(|a, b| a.0 / GROUP_PAGES == b.0 / GROUP_PAGES) {
        let bytes = &found.bytes[at..at + group.len() * PAGE];
        at += bytes.len();
        if is_chosen(group[0].0 / GROUP_PAGES, one_in) {
            part.sampled += bytes.len() as u64;
            part.compressed += encode_frame(bytes, Compress::default()).bytes.len() as u64;
        }
    }
    part
}

/// Scattered over the file, so that no pattern in it meets the choice.
fn is_chosen(group: u64, one_in: u64) -> bool {
    (group.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32).is_multiple_of(one_in)
}

/// Counts different digests, by the first 64 bits of each.
struct Distinct {
    most: usize,
    /// Leading zero bits that a digest must have to be kept.
    zeros: u32,
    kept: HashSet<u64>,
}

impl Distinct {
    fn new(most: usize) -> Distinct {
        Distinct { most, zeros: 0, kept: HashSet::new() }
    }

    fn insert(&mut self, digest: &Digest) {
        let (first, _) = digest.0.split_first_chunk::<8>().expect("a digest has 32 bytes");
        #[allow(clippy::big_endian_bytes, reason = "any order does: it is never stored")]
        let key = u64::from_be_bytes(*first);
        if key.leading_zeros() < self.zeros {
            return;
        }
        self.kept.insert(key);
        while self.kept.len() > self.most {
            self.zeros += 1;
            let zeros = self.zeros;
            self.kept.retain(|key| key.leading_zeros() >= zeros);
        }
    }

    fn count(&self) -> u64 {
        (self.kept.len() as u64) << self.zeros
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Quiet;
    use crate::sys::ext::FileExt;
    use proptest::prelude::*;

    fn look(file: &File) -> Content {
        let len = file.metadata().unwrap().len();
        Content::look(file, Path::new("f"), len, &Reading::default(), &Quiet).unwrap()
    }

    #[test]
    fn a_full_set_estimates() {
        let mut distinct = Distinct::new(1000);
        let digest = |n: u32| Digest::of(&n.to_le_bytes());
        (0..1000).for_each(|n| distinct.insert(&digest(n)));
        assert_eq!((distinct.count(), distinct.zeros), (1000, 0));
        for _ in 0..2 {
            (0..100_000).for_each(|n| distinct.insert(&digest(n)));
        }
        assert!(distinct.zeros > 0 && distinct.kept.len() <= 1000);
        assert!((80_000..120_000).contains(&distinct.count()), "{}", distinct.count());
    }

    #[test]
    fn compressible_or_not() {
        let file = tempfile::tempfile().unwrap();
        let mut noise = vec![0; 1 << 20];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        file.write_all_at(&noise, 0).unwrap();
        let found = look(&file);
        assert_eq!((found.sampled, found.compressed), (1 << 20, 1 << 20));
        file.write_all_at(&b"abcdefgh".repeat(1 << 17), 0).unwrap();
        let found = look(&file);
        assert!(found.sampled == 1 << 20 && found.compressed < 1 << 14, "{found:?}");
        assert_eq!(found.duplicate_pages, 255);
    }

    #[test]
    fn a_part_is_chosen_evenly() {
        for one_in in [1, 2, 3, 10, 64] {
            let chosen = (0..64_000u64).filter(|group| is_chosen(*group, one_in)).count() as u64;
            let wanted = 64_000 / one_in;
            assert!((wanted * 9 / 10..=wanted * 11 / 10).contains(&chosen), "{chosen} of {wanted}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        /// Pages of few kinds, in a file with holes, whose last page may be short, against counting by hand.
        #[test]
        fn counted_as_by_hand(pages in prop::collection::vec(0u8..5, 0..200), rest in 0u64..4096) {
            let file = tempfile::tempfile().unwrap();
            // 0 is a hole, 1 zeros that were written.
            for (i, kind) in pages.iter().enumerate().filter(|(_, kind)| **kind > 0) {
                file.write_all_at(&[kind - 1; PAGE], (i * PAGE) as u64).unwrap();
            }
            let len = (pages.len() * PAGE) as u64 + rest;
            file.set_len(len).unwrap();
            let found = look(&file);
            prop_assert_eq!(found.pages, len.div_ceil(4096));
            let others: Vec<_> = pages.iter().filter(|kind| **kind > 1).collect();
            prop_assert_eq!(found.zero_pages + found.hole_pages, found.pages - others.len() as u64);
            let kinds: HashSet<_> = others.iter().collect();
            prop_assert_eq!(found.duplicate_pages, (others.len() - kinds.len()) as u64);
            prop_assert!(found.exact);
            prop_assert_eq!(found.sampled, (others.len() * PAGE) as u64);
        }
    }
}
