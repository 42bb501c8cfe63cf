//! `memsnap diff --unit byte`: ranges of bytes.

use memsnap::ops::diff::{Compared, Piece, Report};
use serde::Serialize;

use super::super::screen::Screen;
use super::super::units::{count, differ};
use super::found::{Found, JsonChanges, while_read};
use super::tally::Tally;

#[derive(Serialize)]
struct JsonBytes {
    schema: &'static str,
    start: u64,
    end: u64,
}

/// Joins bytes that differ into maximal ranges.
#[derive(Default)]
struct Ranges {
    /// The range that may continue.
    open: Option<(u64, u64)>,
    bytes: u64,
}

impl Ranges {
    /// Adds bytes `start..end`. Returns the previous range if it has ended.
    fn add(&mut self, start: u64, end: u64) -> Option<(u64, u64)> {
        self.bytes += end - start;
        match &mut self.open {
            Some((_, last)) if *last == start => {
                *last = end;
                None
            }
            open => open.replace((start, end)),
        }
    }

    /// Adds what differs in a piece; calls `each` with the ranges that have ended.
    fn piece(
        &mut self,
        piece: &Piece<'_>,
        each: &mut dyn FnMut((u64, u64)) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let (at, a, b) = match piece {
            Piece::Tail(tail) => return self.add(tail.start, tail.end).map_or(Ok(()), each),
            Piece::Bytes { at, a, b } => (*at, *a, *b),
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
) -> anyhow::Result<Found> {
    let mut ranges = Ranges::default();
    let mut each = |(start, end)| {
        if tally.take(1) {
            show_range(start, end, screen)?;
        }
        while_read(screen)
    };
    compared.pieces(&mut |piece| ranges.piece(&piece, &mut each))?;
    ranges.open.take().map_or(Ok(()), each)?;
    tally.tell_rest("range", screen)?;
    let (bytes, n) = (count(ranges.bytes, "byte"), count(tally.total, "range"));
    Ok(Found {
        what: Some(format!("{bytes} in {n} {}", differ(ranges.bytes))),
        json: Some(JsonChanges {
            unit: "byte",
            count: ranges.bytes,
            ranges: Some(tally.total),
            shown: tally.shown,
            more: tally.left_out(),
        }),
        bytes: Some(ranges.bytes),
        same: report.same,
    })
}

fn show_range(start: u64, end: u64, screen: &mut Screen) -> anyhow::Result<()> {
    if screen.is_json() {
        return screen.json(&JsonBytes { schema: "memsnap.diff.bytes.1", start, end });
    }
    let place = format!("{start:#x}..{end:#x}");
    screen.line(&format!("bytes {place:<26} {:>8}", screen.sizes.show(end - start)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ranges(a: &[u8], b: &[u8], block: usize) -> Vec<(u64, u64)> {
        let (mut ranges, mut out) = (Ranges::default(), Vec::new());
        let part = |all: &[u8], at: usize| all[at.min(all.len())..(at + block).min(all.len())].to_vec();
        for at in (0..a.len().max(b.len())).step_by(block) {
            let (a, b) = (part(a, at), part(b, at));
            let piece = Piece::Bytes { at: at as u64, a: &a, b: &b };
            ranges
                .piece(&piece, &mut |range| {
                    out.push(range);
                    Ok(())
                })
                .unwrap();
        }
        out.extend(ranges.open);
        assert_eq!(ranges.bytes, out.iter().map(|(start, end)| end - start).sum::<u64>());
        out
    }

    #[test]
    fn what_only_one_has_differs() {
        assert_eq!(ranges(&[1, 2, 3], &[1, 9, 3, 0, 0], 8), [(1, 2), (3, 5)]);
        let mut all = Ranges::default();
        let mut out = Vec::new();
        all.piece(&Piece::Bytes { at: 0, a: &[1, 2], b: &[1] }, &mut |range| {
            out.push(range);
            Ok(())
        })
        .unwrap();
        all.piece(&Piece::Tail(2..900), &mut |range| {
            out.push(range);
            Ok(())
        })
        .unwrap();
        assert_eq!((out, all.open), (vec![], Some((1, 900))));
    }

    proptest! {
        #[test]
        fn ranges_are_those_found_byte_by_byte(
            a in prop::collection::vec(0u8..3, 0..200), b in prop::collection::vec(0u8..3, 0..200), block in 1usize..64)
        {
            let mut expected: Vec<(u64, u64)> = Vec::new();
            for i in (0..a.len().max(b.len())).filter(|i| a.get(*i) != b.get(*i)) {
                match expected.last_mut() {
                    Some((_, end)) if *end == i as u64 => *end += 1,
                    _ => expected.push((i as u64, i as u64 + 1)),
                }
            }
            prop_assert_eq!(ranges(&a, &b, block), expected);
        }
    }
}
