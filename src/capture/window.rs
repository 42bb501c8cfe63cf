//! Dividing a target into windows: data to be read, and holes that need no reading.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use super::scope::Scope;
use crate::error::{At, Result};
use crate::page::{GROUP64, PAGE64, PageNo, PageRange};
use crate::sys::sparse;

/// Bytes of data that one thread reads at a time.
pub(super) const WINDOW: u64 = 2 << 20;
/// Bytes of the target that a window with data spans at most, holes included.
const SPAN: u64 = 64 << 20;

/// Whole groups of the target.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// Its pages; the last may be past the end of the target.
    pub(super) pages: PageRange,
    /// Whole groups that hold data.
    pub(super) data: Vec<PageRange>,
    /// The holes in it.
    pub(super) holes: Vec<PageRange>,
}

/// Returns windows in order. Only one thread may use it: looking for holes moves the file's position.
#[derive(Debug)]
pub(super) struct Windows<'a> {
    file: &'a File,
    path: &'a Path,
    len: u64,
    at: u64,
    /// Where the range of bytes ends that is gone through: whole groups.
    end: u64,
    /// The ranges after it.
    rest: std::vec::IntoIter<PageRange>,
    /// The range of data that was found last.
    next: Option<(u64, u64)>,
    rate: Option<Rate>,
}

impl<'a> Windows<'a> {
    /// Over all groups of a file of `len` bytes, or those of `scope`.
    pub(super) fn new(
        (file, path, len): (&'a File, &'a Path, u64),
        scope: Option<&Scope>,
        rate: Option<u64>,
    ) -> Windows<'a> {
        let all = PageRange { start: 0, end: len.next_multiple_of(GROUP64) / PAGE64 };
        let ranges = scope.map_or_else(|| vec![all], |scope| scope.ranges().to_vec());
        let rest = ranges.into_iter();
        Windows { file, path, len, at: 0, end: 0, rest, next: None, rate: rate.map(Rate::new) }
    }

    /// Goes on to the next range when one is done; false after the last.
    fn proceed(&mut self) -> bool {
        while self.at >= self.end {
            let Some(range) = self.rest.next() else { return false };
            (self.at, self.end) = (range.offset(), range.end_offset());
        }
        true
    }

    /// The next data at or after `from`.
    fn extent(&mut self, from: u64) -> Result<Option<(u64, u64)>> {
        if from >= self.len {
            return Ok(None);
        }
        if self.next.is_none_or(|(_, end)| end <= from) {
            self.next = sparse::next_data(self.file, from, self.len).at("looking for holes in", self.path)?;
        }
        Ok(self.next.map(|(start, end)| (start.max(from), end)))
    }

    /// Returns the hole at which the next window would begin, in whole spans; none when it is shorter.
    pub(super) fn gap(&mut self) -> Result<Option<PageRange>> {
        if !self.proceed() {
            return Ok(None);
        }
        let end = self.end;
        let data = self.extent(self.at)?.map_or(end, |(data, _)| (data / SPAN * SPAN).min(end));
        Ok((data > self.at).then(|| PageRange::new(self.at / PAGE64, data / PAGE64)))
    }

    /// Returns the hole up to `page` as one window, however long it is.
    pub(super) fn skip(&mut self, page: PageNo) -> Window {
        let pages = PageRange::new(self.at / PAGE64, page);
        let hole = pages.intersect(&PageRange::of_len(self.len));
        self.at = page * PAGE64;
        Window { pages, data: Vec::new(), holes: vec![hole] }
    }

    /// Returns the next window, after waiting as the rate limit requires.
    pub(super) fn next(&mut self) -> Result<Option<Window>> {
        if !self.proceed() {
            return Ok(None);
        }
        let mut stop = self.end.min((self.at / SPAN + 1) * SPAN);
        let (mut data, mut holes): (Vec<PageRange>, Vec<PageRange>) = (Vec::new(), Vec::new());
        let (mut seen, mut left) = (self.at, WINDOW);
        while let Some((from, to)) = self.extent(seen)?.filter(|(from, _)| *from < stop) {
            push_hole(&mut holes, seen, from);
            let first = (from / GROUP64 * GROUP64).max(data.last().map_or(0, PageRange::end_offset));
            let last = to.next_multiple_of(GROUP64).min(stop).min(first.saturating_add(left).max(first));
            if last > first {
                left -= last - first;
                push_data(&mut data, first, last);
            }
            seen = to.min(data.last().map_or(to, PageRange::end_offset));
            if left == 0 {
                stop = last.max(first);
                break;
            }
        }
        push_hole(&mut holes, seen, stop.min(self.len.next_multiple_of(PAGE64)));
        if let Some(rate) = &mut self.rate {
            rate.spend(WINDOW - left);
        }
        let pages = PageRange::new(self.at / PAGE64, stop / PAGE64);
        self.at = stop;
        Ok(Some(Window { pages, data, holes }))
    }
}

fn push_data(data: &mut Vec<PageRange>, start: u64, end: u64) {
    let (start, end) = (start / PAGE64, end / PAGE64);
    match data.last_mut() {
        Some(last) if last.end == start => last.end = end,
        _ => data.push(PageRange::new(start, end)),
    }
}

fn push_hole(holes: &mut Vec<PageRange>, start: u64, end: u64) {
    let pages = PageRange { start: start.div_ceil(PAGE64), end: end / PAGE64 };
    if pages.start < pages.end {
        holes.push(pages);
    }
}

/// A limit in bytes per second. Time in which nothing is read does not allow a faster rate later.
#[derive(Debug)]
pub(crate) struct Rate {
    bytes_per_second: u64,
    free_at: Instant,
}

impl Rate {
    /// Begins now.
    pub(crate) fn new(bytes_per_second: u64) -> Rate {
        Rate { bytes_per_second: bytes_per_second.max(1), free_at: Instant::now() }
    }

    /// Waits until `bytes` more may be read.
    pub(crate) fn spend(&mut self, bytes: u64) {
        let now = Instant::now();
        std::thread::sleep(self.free_at.saturating_duration_since(now));
        let cost = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
        self.free_at = self.free_at.max(now) + cost;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::ext::FileExt;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn windows_cover_the_target_and_miss_no_data(
            writes in prop::collection::vec((prop_oneof![0u64..6000, 0u64..100_000], 1u64..40), 0..12),
            len in 1u64..100_000 * 4096,
            scope in prop::option::of(prop::collection::vec((0u64..100_000, 1u64..3000), 0..6)),
            whole in any::<bool>())
        {
            let scope = scope.map(|ranges| {
                Scope::new(ranges.into_iter().map(|(page, n)| page * PAGE64..(page + n) * PAGE64), len, len)
            });
            let file = tempfile::tempfile().unwrap();
            for (page, n) in &writes {
                file.write_all_at(&vec![1; (*n * PAGE64) as usize], page * PAGE64).unwrap();
            }
            file.set_len(len).unwrap();
            let path = Path::new("target");
            let mut windows = Windows::new((&file, path, len), scope.as_ref(), None);
            let all = Scope::new([0..len], len, len);
            let scope = scope.unwrap_or(all);
            let (mut at, mut seen) = (0, 0);
            let mut step = || match windows.gap().unwrap() {
                Some(gap) if whole => Some(windows.skip(gap.end)),
                _ => windows.next().unwrap(),
            };
            while let Some(window) = step() {
                prop_assert!(window.pages.start >= at);
                prop_assert!((window.pages.start / 16..window.pages.end / 16).all(|group| scope.holds(group)));
                seen += window.pages.len();
                prop_assert!(!window.pages.is_empty() && window.pages.start % 16 == 0);
                prop_assert!(window.data.iter().all(|d| d.start % 16 == 0 && d.end % 16 == 0));
                prop_assert!(window.data.windows(2).all(|w| w[0].end < w[1].start));
                at = window.pages.end;
                let written = writes.iter().flat_map(|(page, n)| *page..page + n);
                for page in written.filter(|page| window.pages.contains(*page) && *page < len.div_ceil(PAGE64)) {
                    let mut byte = [0];
                    let _ = file.read_at(&mut byte, page * PAGE64).unwrap();
                    if byte[0] == 1 {
                        prop_assert!(window.data.iter().any(|d| d.contains(page)), "page {} is data", page);
                        prop_assert!(window.holes.iter().all(|h| !h.contains(page)), "page {} is no hole", page);
                    }
                }
                prop_assert!(window.data.iter().map(|d| d.len() * PAGE64).sum::<u64>() <= WINDOW);
            }
            prop_assert_eq!(seen * PAGE64, scope.bytes(), "every page of it, and once");
        }
    }
}
