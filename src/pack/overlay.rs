//! One sequence of runs over another, and the differences between two.

use super::cursor::Cursor;
use super::runs::{Run, RunStream, Source};
use super::wire::Bad;
use crate::page::{PageNo, PageRange};

/// The runs of `over`, and those of `base` where `over` has none.
#[derive(Debug)]
pub struct Overlay<B, O> {
    base: Cursor<B>,
    over: Cursor<O>,
}

impl<B: RunStream, O: RunStream> Overlay<B, O> {
    /// `over` over `base`.
    pub fn new(base: B, over: O) -> Overlay<B, O> {
        Overlay { base: Cursor::new(base), over: Cursor::new(over) }
    }

    fn step(&mut self) -> Result<Option<Run>, Bad> {
        let over = self.over.peek()?;
        match (self.base.peek()?, over) {
            (None, _) => self.over.next_before(PageNo::MAX),
            (Some(base), Some(over)) if over.pages.start <= base.pages.start => {
                self.base.skip_to(over.pages.end)?;
                self.over.next_before(PageNo::MAX)
            }
            (Some(_), over) => self.base.next_before(over.map_or(PageNo::MAX, |o| o.pages.start)),
        }
    }
}

impl<B: RunStream, O: RunStream> Iterator for Overlay<B, O> {
    type Item = Result<Run, Bad>;

    fn next(&mut self) -> Option<Result<Run, Bad>> {
        self.step().transpose()
    }
}

/// A run of pages whose sources in two sequences differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The pages.
    pub pages: PageRange,
    /// Their source in the first; [`Source::Hole`] past its end.
    pub a: Source,
    /// Their source in the second.
    pub b: Source,
}

/// The stretches in which the sources of two sequences differ. A hole equals zeros. Pages of different packs count as
/// different; only a comparison of their digests shows whether they are.
#[derive(Debug)]
pub struct Differences<A, B> {
    a: Cursor<A>,
    b: Cursor<B>,
    at: PageNo,
}

impl<A: RunStream, B: RunStream> Differences<A, B> {
    /// The differences between `a` and `b`.
    pub fn new(a: A, b: B) -> Differences<A, B> {
        Differences { a: Cursor::new(a), b: Cursor::new(b), at: 0 }
    }

    /// The next stretch, with equal or different sources.
    fn step(&mut self) -> Result<Option<Difference>, Bad> {
        let (x, y) = (self.a.peek()?, self.b.peek()?);
        let Some(start) = [x, y].iter().flatten().map(|r| r.pages.start.max(self.at)).min() else {
            return Ok(None);
        };
        // A stretch ends where either side's source can change.
        let edge = |run: Option<Run>| match run {
            Some(r) if r.pages.start > start => r.pages.start,
            Some(r) => r.pages.end,
            None => u64::MAX,
        };
        let end = edge(x).min(edge(y));
        let source = |run: Option<Run>| match run {
            Some(r) if r.pages.start <= start => r.source.advance(start - r.pages.start),
            _ => Source::Hole,
        };
        self.a.skip_to(end)?;
        self.b.skip_to(end)?;
        self.at = end;
        Ok(Some(Difference { pages: PageRange { start, end }, a: source(x), b: source(y) }))
    }
}

impl<A: RunStream, B: RunStream> Iterator for Differences<A, B> {
    type Item = Result<Difference, Bad>;

    fn next(&mut self) -> Option<Result<Difference, Bad>> {
        loop {
            match self.step().transpose()? {
                Ok(step) if step.a == step.b || step.a.is_zeros() && step.b.is_zeros() => {}
                found => return Some(found),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::runs::tests::{any_runs, by_page, collect};
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn overlay_is_a_map_updated(base in any_runs(), over in any_runs()) {
            let mut oracle: BTreeMap<_, _> = by_page(&base).into_iter().collect();
            oracle.extend(by_page(&over));
            let mut overlay = Overlay::new(base.into_iter().map(Ok), over.into_iter().map(Ok));
            let runs = collect(&mut overlay).unwrap();
            prop_assert!(runs.iter().all(|r| !r.pages.is_empty()));
            prop_assert_eq!(by_page(&runs), oracle.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn differences_are_those_of_the_pages(a in any_runs(), b in any_runs()) {
            let (x, y): (BTreeMap<_, _>, BTreeMap<_, _>) =
                (by_page(&a).into_iter().collect(), by_page(&b).into_iter().collect());
            let mut oracle = Vec::new();
            for page in 0..10_000 {
                let (s, t) = (x.get(&page).copied().unwrap_or(Source::Hole), y.get(&page).copied().unwrap_or(Source::Hole));
                if s != t && !(s.is_zeros() && t.is_zeros()) {
                    oracle.push((page, s, t));
                }
            }
            let mut found = Vec::new();
            for step in Differences::new(a.into_iter().map(Ok), b.into_iter().map(Ok)) {
                let step = step.unwrap();
                found.extend((0..step.pages.len()).map(|i| (step.pages.start + i, step.a.advance(i), step.b.advance(i))));
            }
            prop_assert_eq!(found, oracle);
        }
    }
}
