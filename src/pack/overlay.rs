//! One sequence of runs laid over another, and what differs between two.

use super::runs::{Run, RunStream, Source};
use super::wire::Bad;
use crate::page::{PageNo, PageRange};

/// Runs of `over` where it has any, of `base` elsewhere; both in their order.
#[derive(Debug)]
pub struct Overlay<B, O> {
    base: Peek<B>,
    over: Peek<O>,
}

impl<B: RunStream, O: RunStream> Overlay<B, O> {
    /// `over` laid over `base`.
    pub fn new(base: B, over: O) -> Overlay<B, O> {
        Overlay { base: Peek::new(base), over: Peek::new(over) }
    }
}

impl<B: RunStream, O: RunStream> RunStream for Overlay<B, O> {
    fn next_run(&mut self) -> Result<Option<Run>, Bad> {
        let over = self.over.peek()?;
        match (self.base.peek()?, over) {
            (None, _) => Ok(self.over.take(u64::MAX)),
            (Some(base), Some(over)) if over.pages.start <= base.pages.start => {
                self.base.skip(over.pages.end)?;
                Ok(self.over.take(u64::MAX))
            }
            (Some(_), over) => Ok(self.base.take(over.map_or(u64::MAX, |o| o.pages.start))),
        }
    }
}

/// A stream whose next run can be looked at and taken in parts.
#[derive(Debug)]
struct Peek<S> {
    stream: S,
    head: Option<Run>,
}

impl<S: RunStream> Peek<S> {
    fn new(stream: S) -> Peek<S> {
        Peek { stream, head: None }
    }

    fn peek(&mut self) -> Result<Option<Run>, Bad> {
        if self.head.is_none() {
            self.head = self.stream.next_run()?;
        }
        Ok(self.head)
    }

    /// The part of the run looked at that lies before `end`; the rest stays.
    fn take(&mut self, end: PageNo) -> Option<Run> {
        let run = self.head.take()?;
        let rest = PageRange { start: run.pages.end.min(end), end: run.pages.end };
        if !rest.is_empty() {
            self.head = Some(run.clip(&rest));
        }
        Some(run.clip(&PageRange { start: run.pages.start, end: rest.start }))
    }

    /// Drops everything before `end`.
    fn skip(&mut self, end: PageNo) -> Result<(), Bad> {
        while let Some(run) = self.peek()? {
            if run.pages.start >= end {
                break;
            }
            self.take(end);
        }
        Ok(())
    }
}

/// A run of pages that has one source on either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The pages.
    pub pages: PageRange,
    /// Where they come from in the first; [`Source::Hole`] past its end.
    pub a: Source,
    /// Where they come from in the second.
    pub b: Source,
}

/// Walks two sequences side by side and calls `each` for every stretch whose sources differ. Holes and zeros are no
/// difference; pages of different packs are, whatever they hold: only their digests can tell.
///
/// # Errors
/// What reading says, or `each`.
pub fn differing<E: From<Bad>>(
    a: impl RunStream,
    b: impl RunStream,
    mut each: impl FnMut(Step) -> Result<(), E>,
) -> Result<(), E> {
    let (mut a, mut b) = (Peek::new(a), Peek::new(b));
    let mut at = 0;
    loop {
        let (x, y) = (a.peek()?, b.peek()?);
        let Some(start) = [x, y].iter().flatten().map(|r| r.pages.start.max(at)).min() else {
            return Ok(());
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
        let step = Step { pages: PageRange { start, end }, a: source(x), b: source(y) };
        if step.a != step.b && !(step.a.is_zeros() && step.b.is_zeros()) {
            each(step)?;
        }
        a.skip(end)?;
        b.skip(end)?;
        at = end;
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
            let mut overlay = Overlay::new(base.into_iter(), over.into_iter());
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
            differing::<Bad>(a.into_iter(), b.into_iter(), |step| {
                found.extend((0..step.pages.len()).map(|i| (step.pages.start + i, step.a.advance(i), step.b.advance(i))));
                Ok(())
            }).unwrap();
            prop_assert_eq!(found, oracle);
        }
    }
}
