//! Sets of pages.

use std::collections::BTreeMap;
use std::fmt;

use super::{PageNo, PageRange};

/// Pages covered by one entry of the map: 16 MiB of the target, 512 bytes of bits.
const CHUNK: u64 = 4096;
const WORDS: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Chunk {
    All,
    Some(Box<[u64; WORDS]>),
}

/// A set of pages. Each aligned 4096 pages take one entry if all are in the set, a bit for each page if some are, and
/// nothing if none is.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PageSet {
    chunks: BTreeMap<u64, Chunk>,
}

/// Formats its runs: `{1..2, 5..9}`.
impl fmt::Debug for PageSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.runs().map(|run| run.start..run.end)).finish()
    }
}

impl PageSet {
    /// Creates an empty set.
    #[doc(hidden)]
    pub fn new() -> PageSet {
        PageSet::default()
    }

    /// Adds a page.
    #[doc(hidden)]
    pub fn insert(&mut self, page: PageNo) {
        self.insert_range(PageRange { start: page, end: page + 1 });
    }

    /// Adds all pages of `range`.
    #[doc(hidden)]
    pub fn insert_range(&mut self, range: PageRange) {
        let mut at = range.start;
        while at < range.end {
            let chunk = at / CHUNK;
            let stop = range.end.min((chunk + 1) * CHUNK);
            if stop - at == CHUNK {
                self.chunks.insert(chunk, Chunk::All);
            } else {
                self.set_bits(chunk, at % CHUNK, stop - chunk * CHUNK);
            }
            at = stop;
        }
    }

    fn set_bits(&mut self, chunk: u64, from: u64, to: u64) {
        let entry = self.chunks.entry(chunk).or_insert_with(|| Chunk::Some(Box::new([0; WORDS])));
        let Chunk::Some(bits) = entry else { return };
        for bit in from..to {
            bits[(bit / 64) as usize] |= 1 << (bit % 64);
        }
        if bits.iter().all(|w| *w == u64::MAX) {
            *entry = Chunk::All;
        }
    }

    /// Whether `page` is in the set.
    pub fn contains(&self, page: PageNo) -> bool {
        match self.chunks.get(&(page / CHUNK)) {
            None => false,
            Some(Chunk::All) => true,
            Some(Chunk::Some(bits)) => bits[(page % CHUNK / 64) as usize] >> (page % 64) & 1 == 1,
        }
    }

    /// Whether any page of `range` is in the set.
    #[doc(hidden)]
    pub fn meets(&self, range: PageRange) -> bool {
        if range.is_empty() {
            return false;
        }
        let mut chunks = self.chunks.range(range.start / CHUNK..=(range.end - 1) / CHUNK);
        chunks.any(|(no, chunk)| match chunk {
            Chunk::All => true,
            Chunk::Some(bits) => {
                let from = range.start.saturating_sub(no * CHUNK);
                next_bit(bits, from, true).is_some_and(|bit| no * CHUNK + bit < range.end)
            }
        })
    }

    /// Returns the number of pages.
    pub fn len(&self) -> u64 {
        self.chunks
            .values()
            .map(|c| match c {
                Chunk::All => CHUNK,
                Chunk::Some(bits) => bits.iter().map(|w| u64::from(w.count_ones())).sum(),
            })
            .sum()
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Returns its runs of consecutive pages, ascending and as long as possible.
    pub fn runs(&self) -> impl Iterator<Item = PageRange> + '_ {
        self.runs_within(PageRange { start: 0, end: u64::MAX })
    }

    /// Returns its pages, ascending.
    pub fn pages(&self) -> impl Iterator<Item = PageNo> + '_ {
        self.runs().flat_map(|run| run.start..run.end)
    }

    /// Returns the parts of its runs within `range`.
    #[doc(hidden)]
    pub fn runs_within(&self, range: PageRange) -> impl Iterator<Item = PageRange> + '_ {
        let chunks = self.chunks.range(range.start / CHUNK..=range.end.max(range.start) / CHUNK);
        let cut = move |run: PageRange| run.intersect(&range);
        let mut raw =
            chunks.flat_map(|(no, chunk)| chunk_runs(*no, chunk)).map(cut).filter(|r| !r.is_empty()).peekable();
        std::iter::from_fn(move || {
            let mut run = raw.next()?;
            while let Some(next) = raw.next_if(|n| n.start == run.end) {
                run.end = next.end;
            }
            Some(run)
        })
    }
}

/// Runs within one chunk.
fn chunk_runs(no: u64, chunk: &Chunk) -> impl Iterator<Item = PageRange> + '_ {
    let base = no * CHUNK;
    let mut at = 0;
    std::iter::from_fn(move || {
        let bits = match chunk {
            Chunk::All if at == 0 => {
                at = CHUNK;
                return Some(PageRange { start: base, end: base + CHUNK });
            }
            Chunk::All => return None,
            Chunk::Some(bits) => bits,
        };
        let start = next_bit(bits, at, true)?;
        at = next_bit(bits, start, false).unwrap_or(CHUNK);
        Some(PageRange { start: base + start, end: base + at })
    })
}

/// The first bit at or after `from` that is `set`.
fn next_bit(bits: &[u64; WORDS], from: u64, set: bool) -> Option<u64> {
    let mut at = from;
    while at < CHUNK {
        let word = bits[(at / 64) as usize];
        let word = (if set { word } else { !word }) >> (at % 64);
        if word != 0 {
            return Some(at + u64::from(word.trailing_zeros()));
        }
        at = (at / 64 + 1) * 64;
    }
    None
}

impl FromIterator<PageRange> for PageSet {
    fn from_iter<I: IntoIterator<Item = PageRange>>(ranges: I) -> PageSet {
        let mut set = PageSet::new();
        ranges.into_iter().for_each(|r| set.insert_range(r));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn agrees_with_a_plain_set(ranges in prop::collection::vec((0u64..20_000, 0u64..6_000), 0..12)) {
            let mut oracle = BTreeSet::new();
            let mut set = PageSet::new();
            for (start, len) in ranges {
                set.insert_range(PageRange::new(start, start + len));
                oracle.extend(start..start + len);
            }
            prop_assert_eq!(set.len(), oracle.len() as u64);
            prop_assert_eq!(set.is_empty(), oracle.is_empty());
            let runs: Vec<_> = set.runs().collect();
            prop_assert!(runs.windows(2).all(|w| w[0].end < w[1].start), "runs are maximal and ascending");
            let pages: Vec<u64> = runs.iter().flat_map(|r| r.start..r.end).collect();
            prop_assert_eq!(pages, oracle.iter().copied().collect::<Vec<_>>());
            let part = PageRange::new(3_000, 9_000);
            let inner: Vec<u64> = set.runs_within(part).flat_map(|r| r.start..r.end).collect();
            prop_assert_eq!(inner, oracle.range(3_000..9_000).copied().collect::<Vec<_>>());
            for (start, len) in [(0, 1), (60, 10), (4090, 10), (0, 5000), (8192, 4096), (9000, 0), (30_000, 9)] {
                let meets = oracle.range(start..start + len).next().is_some();
                prop_assert_eq!(set.meets(PageRange::new(start, start + len)), meets);
            }
            for page in [0, 1, 63, 64, 4095, 4096, 8191, 19_999] {
                prop_assert_eq!(set.contains(page), oracle.contains(&page));
            }
        }
    }
}
