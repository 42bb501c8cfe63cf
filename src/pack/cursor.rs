//! A cursor over a sequence of runs.

use super::runs::{Run, RunStream, Source};
use super::wire::Bad;
use crate::page::{PageNo, PageRange};

/// A sequence of runs that can be peeked at, taken in parts, and skipped.
#[derive(Debug)]
pub struct Cursor<S> {
    runs: S,
    head: Option<Run>,
}

impl<S: RunStream> Cursor<S> {
    /// A cursor at the start of `runs`.
    pub fn new(runs: S) -> Cursor<S> {
        Cursor { runs, head: None }
    }

    /// Returns the next run without taking it.
    pub fn peek(&mut self) -> Result<Option<Run>, Bad> {
        if self.head.is_none() {
            self.head = self.runs.next_run()?;
        }
        Ok(self.head)
    }

    /// Takes the part of the next run before page `end`, if there is one.
    pub fn next_before(&mut self, end: PageNo) -> Result<Option<Run>, Bad> {
        let Some(run) = self.peek()?.filter(|run| run.pages.start < end) else { return Ok(None) };
        let rest = PageRange { start: run.pages.end.min(end), end: run.pages.end };
        self.head = (!rest.is_empty()).then(|| run.clip(&rest));
        Ok(Some(run.clip(&PageRange { start: run.pages.start, end: rest.start })))
    }

    /// Skips everything before `page`.
    pub fn skip_to(&mut self, page: PageNo) -> Result<(), Bad> {
        while self.next_before(page)?.is_some() {}
        Ok(())
    }

    /// Takes the part of the next run within `range`; skips what is before.
    pub fn next_in(&mut self, range: PageRange) -> Result<Option<Run>, Bad> {
        self.skip_to(range.start)?;
        self.next_before(range.end)
    }

    /// Takes the parts of all runs within `range`; skips what is before.
    pub fn all_in(&mut self, range: PageRange) -> Result<Vec<Run>, Bad> {
        std::iter::from_fn(|| self.next_in(range).transpose()).collect()
    }

    /// Returns the source of `page`: a hole if it is in no run. Skips what is before.
    pub fn source(&mut self, page: PageNo) -> Result<Source, Bad> {
        self.skip_to(page)?;
        let run = self.peek()?.filter(|run| run.pages.contains(page));
        Ok(run.map_or(Source::Hole, |run| run.source))
    }

    /// Returns a page, not before `page`, up to which all pages have an `empty` source or are in no run.
    pub fn data_from(&mut self, page: PageNo, empty: fn(Source) -> bool) -> Result<PageNo, Bad> {
        loop {
            match self.peek()? {
                None => return Ok(PageNo::MAX),
                Some(run) if empty(run.source) && run.pages.end <= page => self.head = None,
                Some(run) if empty(run.source) => return Ok(run.pages.end),
                Some(run) => return Ok(run.pages.start.max(page)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::runs::tests::{any_runs, by_page};
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn parts_of_runs_are_those_of_the_pages(
            runs in any_runs(),
            steps in prop::collection::vec((0u8..3, 0u64..300, 0u64..300), 0..40),
        ) {
            let oracle: BTreeMap<_, _> = by_page(&runs).into_iter().collect();
            let mut cursor = Cursor::new(runs.into_iter().map(Ok));
            let mut at = 0;
            for (kind, gap, len) in steps {
                let range = PageRange::new(at + gap, at + gap + len);
                match kind {
                    0 => {
                        let found = by_page(&cursor.all_in(range).unwrap());
                        let expected: Vec<_> = oracle.range(range.start..range.end).map(|(p, s)| (*p, *s)).collect();
                        prop_assert_eq!(found, expected);
                        at = range.end;
                    }
                    1 => {
                        let expected = oracle.get(&range.start).copied().unwrap_or(Source::Hole);
                        prop_assert_eq!(cursor.source(range.start).unwrap(), expected);
                        at = range.start;
                    }
                    _ => {
                        let data = cursor.data_from(range.start, Source::is_zeros).unwrap();
                        prop_assert!(data >= range.start);
                        prop_assert!(oracle.range(range.start..data).all(|(_, source)| source.is_zeros()));
                        at = range.start;
                    }
                }
            }
        }
    }
}
