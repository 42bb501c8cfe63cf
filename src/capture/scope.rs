//! The part of a target that is read; of the rest it is known that it is as in the base.

use std::ops::Range;

use crate::page::{GROUP_PAGES, GROUP64, PageRange, groups_of};

/// Groups of an image, as ranges of pages: ascending, and none touches the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope(Vec<PageRange>);

impl Scope {
    /// The groups that hold any of the bytes in `ranges`, of an image of `len` bytes whose base has `base_len`. Ranges
    /// may be in any order, overlap, and reach past the end. What lies between the two ends always belongs to it, and
    /// with it the group in which the shorter one ends: its last page may hold other bytes there.
    pub fn new(ranges: impl IntoIterator<Item = Range<u64>>, base_len: u64, len: u64) -> Scope {
        let ends = if base_len == len { 0..0 } else { base_len.min(len)..len.max(base_len) };
        let last = groups_of(len);
        let groups = |bytes: Range<u64>| (bytes.start / GROUP64, bytes.end.div_ceil(GROUP64).min(last));
        let ranges = ranges.into_iter().chain([ends]).filter(|bytes| bytes.start < bytes.end);
        let mut found: Vec<(u64, u64)> = ranges.map(groups).filter(|(start, end)| start < end).collect();
        found.sort_unstable();
        let mut scope: Vec<PageRange> = Vec::with_capacity(found.len());
        for (start, end) in found {
            let pages = PageRange { start: start * GROUP_PAGES, end: end * GROUP_PAGES };
            match scope.last_mut() {
                Some(before) if pages.start <= before.end => before.end = before.end.max(pages.end),
                _ => scope.push(pages),
            }
        }
        Scope(scope)
    }

    /// Its ranges.
    pub fn ranges(&self) -> &[PageRange] {
        &self.0
    }

    /// Bytes in it; the last group counts as whole.
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|pages| pages.end_offset() - pages.offset()).sum()
    }

    /// Whether `group` belongs to it.
    pub fn holds(&self, group: u64) -> bool {
        let page = group * GROUP_PAGES;
        let after = self.0.partition_point(|pages| pages.end <= page);
        self.0.get(after).is_some_and(|pages| pages.contains(page))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ends_belong_to_it() {
        let scope = |ranges: &[Range<u64>], base, len| Scope::new(ranges.iter().cloned(), base, len).0;
        assert_eq!(scope(&[], 100, 100), []);
        assert_eq!(scope(&[], 100, 200), [PageRange { start: 0, end: 16 }]);
        assert_eq!(scope(&[], 200, 100), [PageRange { start: 0, end: 16 }]);
        assert_eq!(scope(&[], 3 * GROUP64, GROUP64), [], "groups past the end are none of this image");
        assert_eq!(scope(&[], GROUP64, 3 * GROUP64), [PageRange { start: 16, end: 48 }]);
        assert_eq!(scope(&[5..5, 0..0], 100, 100), [], "no byte");
        assert_eq!(scope(&[0..u64::MAX], 1 << 20, 1 << 20), [PageRange { start: 0, end: 256 }]);
        assert_eq!(scope(&[1 << 40..1 << 41], 1 << 20, 1 << 20), [], "past the end");
    }

    proptest! {
        #[test]
        fn it_is_the_groups_that_the_ranges_meet(
            ranges in prop::collection::vec((0u64..2_000_000, 0u64..300_000), 0..8),
            base_len in 0u64..2_000_000, len in 0u64..2_000_000)
        {
            let ranges: Vec<_> = ranges.into_iter().map(|(start, len)| start..start + len).collect();
            let scope = Scope::new(ranges.clone(), base_len, len);
            prop_assert!(scope.0.windows(2).all(|w| w[0].end < w[1].start));
            let ends = if base_len == len { 0..0 } else { base_len.min(len)..base_len.max(len) };
            for group in 0..40 {
                let bytes = group * GROUP64..(group + 1) * GROUP64;
                let meets = |range: &Range<u64>| {
                    !range.is_empty() && range.start < bytes.end && bytes.start < range.end
                };
                let wanted = group < groups_of(len) && (meets(&ends) || ranges.iter().any(meets));
                prop_assert_eq!(scope.holds(group), wanted, "group {}", group);
            }
            let groups = (0..40).filter(|group| scope.holds(*group)).count() as u64;
            prop_assert_eq!(scope.bytes(), groups * GROUP64);
        }
    }
}
