//! `memsnap diff --as TYPE`: numbers that changed, old and new.

use std::ops::Range;

use memsnap::ops::diff::{Compared, Differing, Report};
use memsnap::ops::vec::Number;
use memsnap::page::is_zero;

use super::super::json::{JsonNumber, object};
use super::super::number_type::{NumberType, is_nan};
use super::super::screen::Screen;
use super::super::units::{count, differ};
use super::common::{Counted, Run, differing, longer, rows_of, while_read};
use super::tally::Tally;

/// Finds the numbers that changed, and shows them.
struct Numbers<'a> {
    compared: &'a Compared,
    /// The name of the longer side: it alone has bytes past the end of the other.
    longer: &'a str,
    typed: NumberType,
    nan_equal: bool,
    tally: Tally,
    /// Bytes that differ.
    bytes: u64,
    /// Indexes of zeros that only one side has; the run may continue.
    zeros: Run,
    /// Whether bytes differ that are part of no whole number on either side.
    rest: bool,
}

/// Shows the numbers.
pub(super) fn show(
    compared: &Compared,
    report: &Report,
    (typed, nan_equal): (NumberType, bool),
    tally: Tally,
    screen: &mut Screen,
) -> anyhow::Result<Counted> {
    let (longer, zeros) = (longer(report), Run::default());
    let mut numbers = Numbers { compared, longer, typed, nan_equal, tally, bytes: 0, zeros, rest: false };
    compared.pieces(&mut |piece| {
        match piece {
            Differing::Bytes { at, a, b } => numbers.piece(at, a, b, screen),
            Differing::Tail(tail) => numbers.tail(tail, screen),
        }?;
        while_read(screen)
    })?;
    numbers.end_zeros(screen)?;
    let Numbers { tally, rest, bytes, .. } = numbers;
    tally.tell_rest("value", screen)?;
    let name = typed.name();
    if rest && !screen.is_json() {
        screen.tell(&format!("bytes at the end, less than one {name}, differ too"));
    }
    Ok(Counted {
        what: Some(format!("{} ({name}) {}", count(tally.total, "value"), differ(tally.total))),
        json: Some(tally.json("value", tally.total, None)),
        bytes: Some(bytes),
        same: report.same || nan_equal && tally.total == 0 && !rest && compared.ends_together(),
    })
}

impl Numbers<'_> {
    fn piece(&mut self, at: u64, a: &[u8], b: &[u8], screen: &mut Screen) -> anyhow::Result<()> {
        let size = self.typed.size();
        let numbers = rows_of(a, b, size).zip(at / size as u64..);
        numbers.filter(|((x, y), _)| x != y).try_for_each(|((x, y), index)| self.compare(index, x, y, screen))
    }

    /// The number in all of these bytes.
    fn whole(&self, bytes: &[u8]) -> Option<Number> {
        (bytes.len() == self.typed.size()).then(|| self.typed.number(bytes))
    }

    /// Compares the bytes of a number on both sides.
    fn compare(&mut self, index: u64, a: &[u8], b: &[u8], screen: &mut Screen) -> anyhow::Result<()> {
        self.bytes += differing(a, b);
        match (self.whole(a), self.whole(b)) {
            (None, None) => self.rest |= a != b,
            (Some(x), Some(y)) if self.nan_equal && is_nan(x) && is_nan(y) => {}
            _ if a == b => {}
            _ if (a.is_empty() || b.is_empty()) && is_zero(a) && is_zero(b) => {
                self.add_zeros(index..index + 1, screen)?;
            }
            (x, y) => {
                self.end_zeros(screen)?;
                if self.tally.take(1) {
                    show_number((index, self.typed), x, y, screen)?;
                }
            }
        }
        Ok(())
    }

    /// Holds back zeros that only one side has: a run is shown as one line.
    fn add_zeros(&mut self, more: Range<u64>, screen: &mut Screen) -> anyhow::Result<()> {
        self.zeros.add(more).map_or(Ok(()), |zeros| self.show_zeros(zeros, screen))
    }

    /// Adds numbers that only one side has: zeros, except for a number that begins before the end of the other side.
    fn tail(&mut self, tail: Range<u64>, screen: &mut Screen) -> anyhow::Result<()> {
        let size = self.typed.size() as u64;
        let mut first = tail.start / size;
        if !tail.start.is_multiple_of(size) {
            let [a, b] = self.compared.read(first * size..(first + 1) * size)?;
            self.compare(first, &a, &b, screen)?;
            first += 1;
        }
        let end = tail.end / size;
        self.rest |= !tail.end.is_multiple_of(size);
        self.bytes += tail.end.saturating_sub(first * size);
        if first < end { self.add_zeros(first..end, screen) } else { Ok(()) }
    }

    fn end_zeros(&mut self, screen: &mut Screen) -> anyhow::Result<()> {
        self.zeros.end().map_or(Ok(()), |zeros| self.show_zeros(zeros, screen))
    }

    /// Shows zeros that were held back, as one line if there are several.
    fn show_zeros(&mut self, Range { start: first, end }: Range<u64>, screen: &mut Screen) -> anyhow::Result<()> {
        if !self.tally.take(end - first) {
            return Ok(());
        }
        if end - first == 1 {
            let size = self.typed.size() as u64;
            let [a, b] = self.compared.read(first * size..end * size)?;
            return show_number((first, self.typed), self.whole(&a), self.whole(&b), screen);
        }
        let only_in = self.longer;
        if screen.is_json() {
            let schema = "memsnap.diff.zeros.1";
            return screen.json(&object! { schema, first_index: first, end_index: end, only_in });
        }
        screen.line(&format!("{first}..{end}: zeros only in {only_in}"))
    }
}

fn show_number(
    (index, typed): (u64, NumberType),
    old: Option<Number>,
    new: Option<Number>,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let alike = old.zip(new).filter(|(old, new)| is_nan(*old) && is_nan(*new));
    if screen.is_json() {
        // Only their bits distinguish two NaNs.
        let bits = alike.map(|(old, new)| object! { old_bits: typed.bits(old), new_bits: typed.bits(new) });
        let (old, new) = (old.map(JsonNumber), new.map(JsonNumber));
        return screen.json(&object! { schema: "memsnap.diff.value.1", index, old, new, #[serde(flatten)] bits });
    }
    let text = |number: Option<Number>| match number {
        None => "-".into(),
        Some(number) if alike.is_some() => format!("{number} ({})", typed.bits(number)),
        Some(number) => number.to_string(),
    };
    screen.line(&format!("{index}: {} -> {}", text(old), text(new)))
}
