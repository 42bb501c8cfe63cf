//! `memsnap diff --as TYPE`: numbers that changed, from what to what.

use std::ops::Range;

use memsnap::ops::diff::{Compared, Piece, Report};
use memsnap::ops::vec::Number;
use serde::Serialize;

use super::super::json::JsonNumber;
use super::super::screen::Screen;
use super::super::typed::{Typed, is_nan};
use super::super::units::count;
use super::{Found, JsonChanges, Tally, while_read};

#[derive(Serialize)]
struct JsonValue {
    schema: &'static str,
    index: u64,
    old: Option<JsonNumber>,
    new: Option<JsonNumber>,
}

#[derive(Serialize)]
struct JsonZeros<'a> {
    schema: &'static str,
    first_index: u64,
    end_index: u64,
    only_in: &'a str,
}

/// Finds the numbers that changed, and shows them.
struct Numbers<'a> {
    compared: &'a Compared,
    /// The name of the longer side, which alone has what lies past the end of the other.
    longer: &'a str,
    typed: Typed,
    nan_equal: bool,
    tally: Tally,
    /// Bytes differ that belong to no whole number of either side.
    rest: bool,
}

/// Shows the numbers.
pub(super) fn show(
    compared: &Compared,
    report: &Report,
    (typed, nan_equal): (Typed, bool),
    tally: Tally,
    screen: &mut Screen,
) -> anyhow::Result<Found> {
    let longer = if report.a.len > report.b.len { &report.a.name } else { &report.b.name };
    let mut numbers = Numbers { compared, longer, typed, nan_equal, tally, rest: false };
    compared.pieces(&mut |piece| {
        match piece {
            Piece::Bytes { at, a, b } => numbers.piece(at, a, b, screen),
            Piece::Tail(tail) => numbers.tail(tail, screen),
        }?;
        while_read(screen)
    })?;
    let Numbers { tally, rest, .. } = numbers;
    tally.tell_rest("value", screen)?;
    let name = typed.name();
    if rest {
        screen.say(&format!("bytes at the end that are no whole {name} differ too"));
    }
    Ok(Found {
        what: Some(format!("{} ({name}) differ", count(tally.total, "value"))),
        json: Some(JsonChanges { unit: "value", count: tally.total, ranges: None, shown: tally.shown }),
        same: report.same || nan_equal && tally.total == 0 && !rest && report.a.len == report.b.len,
    })
}

impl Numbers<'_> {
    fn piece(&mut self, at: u64, a: &[u8], b: &[u8], screen: &mut Screen) -> anyhow::Result<()> {
        let size = self.typed.size();
        for i in (0..a.len().max(b.len())).step_by(size) {
            let part = |all: &'_ [u8]| all[i.min(all.len())..(i + size).min(all.len())].to_vec();
            if a.get(i..i + size).is_some_and(|x| b.get(i..i + size) == Some(x)) {
                continue;
            }
            self.compare((at + i as u64) / size as u64, &part(a), &part(b), screen)?;
        }
        Ok(())
    }

    /// Compares what both sides have of a number.
    fn compare(&mut self, index: u64, a: &[u8], b: &[u8], screen: &mut Screen) -> anyhow::Result<()> {
        let whole = |bytes: &[u8]| (bytes.len() == self.typed.size()).then(|| self.typed.number(bytes));
        match (whole(a), whole(b)) {
            (None, None) => self.rest |= a != b,
            (Some(x), Some(y)) if self.nan_equal && is_nan(x) && is_nan(y) => {}
            _ if a == b => {}
            (x, y) if self.tally.take(1) => show_number(index, x, y, screen)?,
            _ => {}
        }
        Ok(())
    }

    /// Numbers that only one side has; all zeros, but for one that begins before the end of the other.
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
        if first >= end || !self.tally.take(end - first) {
            return Ok(());
        }
        let only_in = self.longer;
        if screen.is_json() {
            let schema = "memsnap.diff.zeros.1";
            return screen.json(&JsonZeros { schema, first_index: first, end_index: end, only_in });
        }
        screen.line(&format!("{first}..{end}: zeros only in {only_in}"))
    }
}

fn show_number(index: u64, old: Option<Number>, new: Option<Number>, screen: &mut Screen) -> anyhow::Result<()> {
    if screen.is_json() {
        let (old, new) = (old.map(JsonNumber), new.map(JsonNumber));
        return screen.json(&JsonValue { schema: "memsnap.diff.value.1", index, old, new });
    }
    let text = |number: Option<Number>| number.map_or("-".into(), |n| n.to_string());
    screen.line(&format!("{index}: {} -> {}", text(old), text(new)))
}
