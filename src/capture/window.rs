//! Cutting a target into windows: stretches of data to be read, and gaps that need no reading.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{At, Result};
use crate::page::{GROUP64, PAGE64, PageRange};
use crate::sys::sparse;

/// Bytes of data read by one thread at a time.
pub(super) const WINDOW: u64 = 2 << 20;
/// Bytes of a hole passed over at a time.
const GAP: u64 = 64 << 20;

/// Whole groups of the target.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// Its pages; the last may lie past the target's end.
    pub(super) pages: PageRange,
    /// Nothing but a hole.
    pub(super) gap: bool,
    /// The holes in it.
    pub(super) holes: Vec<PageRange>,
}

/// Gives out windows in order. Only one thread may use it: looking for holes moves the file's position.
#[derive(Debug)]
pub(super) struct Windows<'a> {
    file: &'a File,
    path: &'a Path,
    len: u64,
    at: u64,
    next: Option<(u64, u64)>,
    rate: Option<Rate>,
}

impl<'a> Windows<'a> {
    pub(super) fn new(file: &'a File, path: &'a Path, len: u64, rate: Option<u64>) -> Windows<'a> {
        Windows { file, path, len, at: 0, next: None, rate: rate.map(Rate::new) }
    }

    /// The next extent of data, of which the part before `self.at` is done.
    fn extent(&mut self) -> Result<Option<(u64, u64)>> {
        if self.next.is_none_or(|(_, end)| end <= self.at) {
            self.next = sparse::next_data(self.file, self.at, self.len).at("looking for holes in", self.path)?;
        }
        Ok(self.next.map(|(start, end)| (start.max(self.at), end)))
    }

    /// The next window, after waiting as long as the rate limit asks for.
    pub(super) fn next(&mut self) -> Result<Option<Window>> {
        if self.at >= self.len {
            return Ok(None);
        }
        let end = self.len.next_multiple_of(GROUP64);
        let data = self.extent()?.map_or(end, |(start, _)| start / GROUP64 * GROUP64);
        if data > self.at {
            let stop = data.min(self.at + GAP);
            return Ok(Some(self.cut(stop, true, Vec::new())));
        }
        let limit = end.min((self.at / WINDOW + 1) * WINDOW);
        let (mut stop, mut holes) = (self.at, Vec::new());
        let mut seen = self.at;
        // Extents of this window; a group without data ends it.
        while let Some((start, data_end)) = self.sub_extent(seen)? {
            if start >= limit || start / GROUP64 * GROUP64 > stop {
                break;
            }
            push_hole(&mut holes, seen, start);
            seen = data_end.min(limit);
            stop = seen.next_multiple_of(GROUP64).min(limit);
            if data_end >= limit {
                break;
            }
        }
        push_hole(&mut holes, seen, stop.min(self.len.next_multiple_of(PAGE64)));
        if let Some(rate) = &mut self.rate {
            rate.spend(stop - self.at);
        }
        Ok(Some(self.cut(stop, false, holes)))
    }

    fn sub_extent(&mut self, from: u64) -> Result<Option<(u64, u64)>> {
        if from >= self.len {
            return Ok(None);
        }
        if self.next.is_none_or(|(_, end)| end <= from) {
            self.next = sparse::next_data(self.file, from, self.len).at("looking for holes in", self.path)?;
        }
        Ok(self.next.map(|(start, end)| (start.max(from), end)))
    }

    fn cut(&mut self, stop: u64, gap: bool, holes: Vec<PageRange>) -> Window {
        let pages = PageRange::new(self.at / PAGE64, stop / PAGE64);
        self.at = stop;
        Window { pages, gap, holes }
    }
}

fn push_hole(holes: &mut Vec<PageRange>, start: u64, end: u64) {
    let pages = PageRange { start: start.div_ceil(PAGE64), end: end / PAGE64 };
    if pages.start < pages.end {
        holes.push(pages);
    }
}

/// Bytes a second, over the whole scan: a pause is made up for as it comes, not saved up.
#[derive(Debug)]
pub(crate) struct Rate {
    bytes_per_second: u64,
    free_at: Instant,
}

impl Rate {
    /// At most that many, from now on.
    pub(crate) fn new(bytes_per_second: u64) -> Rate {
        Rate { bytes_per_second: bytes_per_second.max(1), free_at: Instant::now() }
    }

    /// Waits until so many may be read.
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
    use proptest::prelude::*;
    use std::os::unix::fs::FileExt;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn windows_cover_the_target_and_miss_no_data(
            writes in prop::collection::vec((0u64..6000, 1u64..40), 0..12), len in 1u64..6000 * 4096)
        {
            let file = tempfile::tempfile().unwrap();
            for (page, n) in &writes {
                file.write_all_at(&vec![1; (*n * PAGE64) as usize], page * PAGE64).unwrap();
            }
            file.set_len(len).unwrap();
            let path = Path::new("target");
            let mut windows = Windows::new(&file, path, len, None);
            let mut at = 0;
            while let Some(window) = windows.next().unwrap() {
                prop_assert_eq!(window.pages.start, at);
                prop_assert!(window.pages.len() > 0 && window.pages.start % 16 == 0);
                at = window.pages.end;
                for page in window.pages.start..window.pages.end.min(len.div_ceil(PAGE64)) {
                    let mut byte = [0];
                    let _ = file.read_at(&mut byte, page * PAGE64).unwrap();
                    if byte[0] == 1 {
                        prop_assert!(!window.gap && window.holes.iter().all(|h| !h.contains(page)), "page {}", page);
                    }
                }
                prop_assert!(window.gap || window.pages.len() * PAGE64 <= WINDOW);
            }
            prop_assert_eq!(at, len.next_multiple_of(GROUP64) / PAGE64);
        }
    }
}
