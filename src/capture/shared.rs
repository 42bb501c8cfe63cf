//! Which bytes of two files lie in the same blocks of the disk, and so are the same: the extents of both are compared.
//!
//! Neither file is written to while they are compared, and each holds on to its blocks, so that a block that both have
//! at the same offset is one block, with the same bytes in both. Whatever leaves a doubt counts as different.

use std::fs::File;
use std::io;
use std::ops::Range;

use crate::planted::{Bug, planted};
use crate::sys::extents::{self, Extent};

/// Most extents that are compared: 32 MiB of them for each look.
const MOST: u64 = 1 << 20;

/// Why extents were not compared.
#[derive(Debug)]
pub enum NotCompared {
    /// One of the two has more extents than this.
    TooMany(u64),
    /// Blocks were moved meanwhile, by a defragmenter or a balance.
    Moved,
    /// They cannot be asked for.
    Failed(io::Error),
}

impl std::fmt::Display for NotCompared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NotCompared::TooMany(most) => write!(f, "it has more than {most} extents"),
            NotCompared::Moved => f.write_str("its blocks were moved meanwhile"),
            NotCompared::Failed(e) => write!(f, "its extents could not be listed: {e}"),
        }
    }
}

/// The ranges of the first `len` bytes in which `new` may differ from `old`, ascending. Both are on one file system,
/// and neither is written to.
///
/// # Errors
/// Why it is not known.
pub fn differences(old: &File, new: &File, len: u64) -> Result<Vec<Range<u64>>, NotCompared> {
    let before = list(old)?;
    let found = between(&before, &list(new)?, len);
    // A block that was moved may leave its place to another one between two looks. In the places where `old` was before
    // and after the look at `new`, nothing else was at that time.
    if list(old)? == before { Ok(found) } else { Err(NotCompared::Moved) }
}

fn list(file: &File) -> Result<Vec<Extent>, NotCompared> {
    if extents::are_more_than(file, MOST).map_err(NotCompared::Failed)? {
        return Err(NotCompared::TooMany(MOST));
    }
    let mut found = Vec::new();
    extents::each(file, &mut |extent| found.push(extent)).map_err(NotCompared::Failed)?;
    Ok(found)
}

/// Where the bytes of a range are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Hole,
    /// On the disk: the distance from the offset in the file.
    Disk(u64),
    /// Not known for certain, or not for all time.
    Doubtful,
}

/// The ranges of the first `len` bytes in which two files with these extents may differ.
fn between(old: &[Extent], new: &[Extent], len: u64) -> Vec<Range<u64>> {
    let (mut old, mut new) = (Walk::new(old), Walk::new(new));
    let mut found: Vec<Range<u64>> = Vec::new();
    let mut at = 0;
    while at < len {
        let ((was, old_end), (is, new_end)) = (old.at(at), new.at(at));
        let end = old_end.min(new_end).min(len);
        if was != is || was == Place::Doubtful {
            match found.last_mut() {
                Some(last) if last.end == at => last.end = end,
                _ => found.push(at..end),
            }
        }
        at = end;
    }
    found
}

/// Goes through extents, ascending.
struct Walk<'a> {
    rest: &'a [Extent],
    /// Where the last extent ended: one that begins before that is not understood.
    end: u64,
}

impl<'a> Walk<'a> {
    fn new(extents: &'a [Extent]) -> Walk<'a> {
        Walk { rest: extents, end: 0 }
    }

    /// The place of byte `at`, and where it may change. `at` ascends.
    fn at(&mut self, at: u64) -> (Place, u64) {
        while let Some((first, rest)) = self.rest.split_first() {
            let end = first.logical.saturating_add(first.len);
            if first.logical < self.end || first.len == 0 || end == u64::MAX {
                return (Place::Doubtful, u64::MAX);
            }
            if end > at {
                return match first.logical > at {
                    true => (Place::Hole, first.logical),
                    false => (place(first), end),
                };
            }
            (self.rest, self.end) = (rest, end);
        }
        (Place::Hole, u64::MAX)
    }
}

fn place(extent: &Extent) -> Place {
    // What is compressed has the offset of its first byte for all of them, and what is in the inode has none.
    match extent.is_plain() || planted(Bug::DoubtfulIsShared) {
        true => Place::Disk(extent.physical.wrapping_sub(extent.logical)),
        false => Place::Doubtful,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BLOCK: u64 = 4096;

    /// A block of a file.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Block {
        Hole,
        Disk(u64),
        Doubtful(u64, u32),
    }

    fn block() -> impl Strategy<Value = Block> {
        // Unknown, delalloc, encoded, inline, unwritten, and one that no kernel has yet.
        let flags = prop::sample::select(vec![0x2, 0x4 | 0x2, 0x8, 0x200, 0x800, 0x8000]);
        prop_oneof![
            2 => Just(Block::Hole),
            4 => (0u64..12).prop_map(Block::Disk),
            1 => (0u64..12, flags).prop_map(|(at, flags)| Block::Doubtful(at, flags)),
        ]
    }

    /// The extents of a file of these blocks. Neighbours are joined where `cuts` has no bit for it.
    fn extents(blocks: &[Block], cuts: u64) -> Vec<Extent> {
        let mut found: Vec<Extent> = Vec::new();
        for (i, block) in blocks.iter().enumerate() {
            let (at, flags) = match *block {
                Block::Hole => continue,
                Block::Disk(at) => (at, if cuts >> (i + 7) & 1 == 1 { 0x2000 } else { 0 }),
                Block::Doubtful(at, flags) => (at, flags),
            };
            let extent = Extent { logical: i as u64 * BLOCK, physical: (100 + at) * BLOCK, len: BLOCK, flags };
            match found.last_mut() {
                Some(last)
                    if cuts >> i & 1 == 0
                        && last.flags == flags
                        && last.logical + last.len == extent.logical
                        && last.physical + last.len == extent.physical =>
                {
                    last.len += BLOCK;
                }
                _ => found.push(extent),
            }
        }
        found
    }

    proptest! {
        #[test]
        fn as_block_by_block(
            old in prop::collection::vec(block(), 0..24), new in prop::collection::vec(block(), 0..24),
            same in prop::collection::vec(any::<bool>(), 24), cuts in any::<(u64, u64)>(), len in 0u64..24 * BLOCK)
        {
            let mut new = new;
            for (i, block) in new.iter_mut().enumerate() {
                if let (Some(old), true) = (old.get(i), same[i]) {
                    *block = *old;
                }
            }
            let found = between(&extents(&old, cuts.0), &extents(&new, cuts.1), len);
            prop_assert!(found.windows(2).all(|w| w[0].end < w[1].start), "{:?}", found);
            prop_assert!(found.iter().all(|range| range.start < range.end && range.end <= len));
            for i in 0..len.div_ceil(BLOCK) {
                let of = |blocks: &[Block]| blocks.get(i as usize).copied().unwrap_or(Block::Hole);
                let known = match (of(&old), of(&new)) {
                    (Block::Hole, Block::Hole) => true,
                    (Block::Disk(old), Block::Disk(new)) => old == new,
                    _ => false,
                };
                let last = ((i + 1) * BLOCK).min(len) - 1;
                for byte in [i * BLOCK, last] {
                    prop_assert_eq!(found.iter().any(|range| range.contains(&byte)), !known, "byte {}", byte);
                }
            }
        }
    }

    #[test]
    fn what_is_not_understood_is_different() {
        let extent = |logical, len| Extent { logical, physical: 100 * BLOCK + logical, len, flags: 0 };
        let (whole, all) = ([extent(0, 4 * BLOCK)], 0..4 * BLOCK);
        assert_eq!(between(&whole, &whole, 4 * BLOCK), []);
        assert_eq!(between(&whole, &[extent(0, 2 * BLOCK), extent(2 * BLOCK, 9 * BLOCK)], 4 * BLOCK), [], "split");
        let odd = [extent(0, 3 * BLOCK), extent(BLOCK, 3 * BLOCK)];
        assert_eq!(between(&odd, &odd, 4 * BLOCK), [3 * BLOCK..4 * BLOCK], "overlapping");
        let endless = [extent(0, u64::MAX)];
        assert_eq!(between(&endless, &endless, 4 * BLOCK), std::slice::from_ref(&all));
        assert_eq!(between(&[extent(0, 0)], &[extent(0, 0)], 4 * BLOCK), [all], "empty");
    }
}
