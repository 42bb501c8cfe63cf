//! `memsnap diff --unit byte`: ranges of bytes.

use std::ops::Range;

use memsnap::ops::diff::{Compared, Differing, Report};

use super::super::json::object;
use super::super::screen::Screen;
use super::super::units::{count, differ};
use super::common::{Counted, Run, while_read};
use super::tally::Tally;

/// Finds the ranges of bytes that differ.
#[derive(Default)]
struct Ranges {
    run: Run,
    bytes: u64,
}

impl Ranges {
    /// Adds bytes. Returns the previous range if it has ended.
    fn add(&mut self, start: u64, end: u64) -> Option<Range<u64>> {
        self.bytes += end - start;
        self.run.add(start..end)
    }

    /// Adds what differs in a piece; calls `each` with the ranges that have ended.
    fn piece(
        &mut self,
        piece: &Differing<'_>,
        each: &mut dyn FnMut(Range<u64>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let (at, a, b) = match piece {
            Differing::Tail(tail) => return self.add(tail.start, tail.end).map_or(Ok(()), each),
            Differing::Bytes { at, a, b } => (*at, *a, *b),
        };
        let common = a.len().min(b.len());
        let mut i = 0;
        while i < common {
            let same = a[i..common].iter().zip(&b[i..common]).take_while(|(x, y)| x == y).count();
            let start = i + same;
            let differ = a[start..common].iter().zip(&b[start..common]).take_while(|(x, y)| x != y).count();
            i = start + differ;
            if differ > 0 {
                self.add(at + start as u64, at + i as u64).map_or(Ok(()), &mut *each)?;
            }
        }
        let end = a.len().max(b.len());
        if end > common { self.add(at + common as u64, at + end as u64).map_or(Ok(()), each) } else { Ok(()) }
    }
}

/// Shows the ranges.
pub(super) fn show(
    compared: &Compared,
    report: &Report,
    mut tally: Tally,
    screen: &mut Screen,
) -> anyhow::Result<Counted> {
    let mut ranges = Ranges::default();
    let mut each = |range| {
        if tally.take(1) {
            show_range(range, screen)?;
        }
        while_read(screen)
    };
    compared.pieces(&mut |piece| ranges.piece(&piece, &mut each))?;
    ranges.run.end().map_or(Ok(()), each)?;
    tally.tell_rest("range", screen)?;
    let (bytes, n) = (count(ranges.bytes, "byte"), count(tally.total, "range"));
    Ok(Counted {
        what: Some(format!("{bytes} in {n} {}", differ(ranges.bytes))),
        json: Some(tally.json("byte", ranges.bytes, Some(tally.total))),
        bytes: Some(ranges.bytes),
        same: report.same,
    })
}

fn show_range(Range { start, end }: Range<u64>, screen: &mut Screen) -> anyhow::Result<()> {
    if screen.is_json() {
        return screen.json(&object! { schema: "memsnap.diff.bytes.1", start, end });
    }
    let place = format!("{start:#x}..{end:#x}");
    screen.line(&format!("bytes {place:<26} {:>8}", screen.sizes.show(end - start)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ranges(a: &[u8], b: &[u8], block: usize) -> Vec<Range<u64>> {
        let (mut ranges, mut out) = (Ranges::default(), Vec::new());
        let part = |all: &[u8], at: usize| all[at.min(all.len())..(at + block).min(all.len())].to_vec();
        for at in (0..a.len().max(b.len())).step_by(block) {
            let (a, b) = (part(a, at), part(b, at));
            let piece = Differing::Bytes { at: at as u64, a: &a, b: &b };
            ranges
                .piece(&piece, &mut |range| {
                    out.push(range);
                    Ok(())
                })
                .unwrap();
        }
        out.extend(ranges.run.end());
        assert_eq!(ranges.bytes, out.iter().map(|range| range.end - range.start).sum::<u64>());
        out
    }

    #[test]
    fn what_only_one_has_differs() {
        assert_eq!(ranges(&[1, 2, 3], &[1, 9, 3, 0, 0], 8), [1..2, 3..5]);
        let mut all = Ranges::default();
        let mut out = Vec::new();
        all.piece(&Differing::Bytes { at: 0, a: &[1, 2], b: &[1] }, &mut |range| {
            out.push(range);
            Ok(())
        })
        .unwrap();
        all.piece(&Differing::Tail(2..900), &mut |range| {
            out.push(range);
            Ok(())
        })
        .unwrap();
        assert_eq!((out, all.run.end()), (vec![], Some(1..900)));
    }

    proptest! {
        #[test]
        fn ranges_are_those_found_byte_by_byte(
            a in prop::collection::vec(0u8..3, 0..200), b in prop::collection::vec(0u8..3, 0..200), block in 1usize..64)
        {
            let mut expected: Vec<Range<u64>> = Vec::new();
            for i in (0..a.len().max(b.len())).filter(|i| a.get(*i) != b.get(*i)) {
                match expected.last_mut() {
                    Some(range) if range.end == i as u64 => range.end += 1,
                    _ => expected.push(i as u64..i as u64 + 1),
                }
            }
            prop_assert_eq!(ranges(&a, &b, block), expected);
        }
    }
}
