//! `memsnap diff --hex`: rows of bytes that changed, old beside new.

use std::ops::Range;

use memsnap::ops::diff::{Compared, Differing, Report};
use memsnap::page::is_zero;

use super::super::cell_map::digits;
use super::super::json::object;
use super::super::screen::Screen;
use super::super::units::{count, differ};
use super::super::view::character;
use super::super::{escape, hex};
use super::common::{Counted, Run, differing, longer, rows_of, while_read};
use super::tally::Tally;

/// How old and new are coloured.
const COLORS: [&str; 2] = ["31", "32"];

/// Shows rows that changed, and their context.
struct HexRows<'a> {
    compared: &'a Compared,
    report: &'a Report,
    /// Bytes in a row.
    width: u64,
    /// Bytes of context.
    around: u64,
    digits: usize,
    tally: Tally,
    /// Bytes that differ.
    bytes: u64,
    /// The end of what was shown; the next field: of what is still to be shown.
    shown: u64,
    wanted: u64,
    /// Zeros that only one side has; the run may continue.
    zeros: Run,
    begun: bool,
}

/// Shows the rows.
pub(super) fn show(
    compared: &Compared,
    report: &Report,
    context: u64,
    tally: Tally,
    screen: &mut Screen,
) -> anyhow::Result<Counted> {
    let digits = digits(compared.len());
    let width = if columns(digits, 16) <= screen.columns() { 16 } else { 8 };
    let mut rows = HexRows {
        compared,
        report,
        width,
        around: context * width,
        digits,
        tally,
        bytes: 0,
        shown: compared.span().start,
        wanted: 0,
        zeros: Run::default(),
        begun: false,
    };
    compared.pieces(&mut |piece| {
        match piece {
            Differing::Bytes { at, a, b } => rows.piece(at, a, b, screen),
            Differing::Tail(tail) => rows.add_zeros(tail, screen),
        }?;
        while_read(screen)
    })?;
    rows.end_zeros(screen)?;
    rows.finish_hunk(compared.span().end, screen)?;
    let HexRows { tally, bytes, .. } = rows;
    tally.tell_rest("row", screen)?;
    Ok(Counted {
        what: Some(format!("{} in {} {}", count(bytes, "byte"), count(tally.total, "row"), differ(bytes))),
        json: Some(tally.json("row", tally.total, None)),
        bytes: Some(bytes),
        same: report.same,
    })
}

/// Columns of a line with `width` bytes on each side.
fn columns(digits: usize, width: usize) -> usize {
    digits + 1 + 2 * (3 * width + 1 + width) + 2
}

impl HexRows<'_> {
    fn piece(&mut self, at: u64, a: &[u8], b: &[u8], screen: &mut Screen) -> anyhow::Result<()> {
        for (i, (x, y)) in rows_of(a, b, self.width as usize).enumerate() {
            if x == y {
                continue;
            }
            let at = at + i as u64 * self.width;
            if (x.is_empty() || y.is_empty()) && is_zero(x) && is_zero(y) {
                self.add_zeros(at..at + x.len().max(y.len()) as u64, screen)?;
                continue;
            }
            self.end_zeros(screen)?;
            self.bytes += differing(x, y);
            self.changed_row(at, x, y, screen)?;
        }
        Ok(())
    }

    fn changed_row(&mut self, at: u64, x: &[u8], y: &[u8], screen: &mut Screen) -> anyhow::Result<()> {
        if !self.tally.take(1) {
            return self.finish_hunk(at, screen);
        }
        self.lead_to(at, screen)?;
        self.row(at, x, y, screen)?;
        self.shown = at + self.width;
        self.wanted = self.shown + self.around;
        Ok(())
    }

    /// Holds back zeros that only one side has: a run is shown as one line.
    fn add_zeros(&mut self, more: Range<u64>, screen: &mut Screen) -> anyhow::Result<()> {
        self.bytes += more.end - more.start;
        self.zeros.add(more).map_or(Ok(()), |zeros| self.show_zeros(zeros, screen))
    }

    fn end_zeros(&mut self, screen: &mut Screen) -> anyhow::Result<()> {
        self.zeros.end().map_or(Ok(()), |zeros| self.show_zeros(zeros, screen))
    }

    /// Shows zeros that were held back, as one line if they are more than a row.
    fn show_zeros(&mut self, tail: Range<u64>, screen: &mut Screen) -> anyhow::Result<()> {
        if tail.start.is_multiple_of(self.width) && tail.end - tail.start <= self.width {
            let [a, b] = self.compared.read(tail.clone())?;
            return self.changed_row(tail.start, &a, &b, screen);
        }
        self.finish_hunk(tail.start, screen)?;
        if !self.tally.take(tail.end.div_ceil(self.width) - tail.start / self.width) {
            return Ok(());
        }
        let only_in = longer(self.report);
        if screen.is_json() {
            let schema = "memsnap.diff.zeros.1";
            screen.json(&object! { schema, start: tail.start, end: tail.end, only_in })?;
        } else {
            self.separate(tail.start, screen)?;
            let (digits, n) = (self.digits, count(tail.end - tail.start, "zero byte"));
            screen.line(&format!("{:0digits$x}  {n} only in {only_in}", tail.start))?;
        }
        (self.shown, self.wanted) = (tail.end, tail.end);
        Ok(())
    }

    /// Shows the context after the last change and before the row at `at`.
    fn lead_to(&mut self, at: u64, screen: &mut Screen) -> anyhow::Result<()> {
        self.finish_hunk(at, screen)?;
        let from = at.saturating_sub(self.around).max(self.shown);
        self.separate(from, screen)?;
        self.same_rows(from..at, screen)
    }

    fn finish_hunk(&mut self, before: u64, screen: &mut Screen) -> anyhow::Result<()> {
        let to = self.wanted.min(before);
        if to > self.shown {
            self.same_rows(self.shown..to, screen)?;
            self.shown = to;
        }
        self.wanted = self.shown;
        Ok(())
    }

    /// Shows the heading first; then, if there is context, a separator for a gap before `at`.
    fn separate(&mut self, at: u64, screen: &mut Screen) -> anyhow::Result<()> {
        if screen.is_json() {
            return Ok(());
        }
        if !std::mem::replace(&mut self.begun, true) {
            let column = 4 * self.width as usize;
            let (a, b) = (end_of(&self.report.a.name, column), end_of(&self.report.b.name, column));
            return screen.heading(&format!(
                "{:digits$}  {} | {b}",
                "",
                escape::padded(&a, column, false),
                digits = self.digits
            ));
        }
        if self.around > 0 && at > self.shown { screen.line("--") } else { Ok(()) }
    }

    /// Shows rows that did not change.
    fn same_rows(&self, span: Range<u64>, screen: &mut Screen) -> anyhow::Result<()> {
        if span.is_empty() {
            return Ok(());
        }
        let [a, b] = self.compared.read(span.clone())?;
        let offsets = (span.start..).step_by(self.width as usize);
        rows_of(&a, &b, self.width as usize).zip(offsets).try_for_each(|((x, y), at)| self.row(at, x, y, screen))
    }

    fn row(&self, at: u64, a: &[u8], b: &[u8], screen: &mut Screen) -> anyhow::Result<()> {
        if screen.is_json() {
            let [old, new] = [a, b].map(hex::digits);
            let schema = "memsnap.diff.row.1";
            return screen.json(&object! { schema, offset: at, old, new, changed: a != b });
        }
        let (digits, width) = (self.digits, self.width as usize);
        let [old, new] = if screen.colors().0 { COLORS.map(Some) } else { [None; 2] };
        let line = format!("{at:0digits$x} {} |{}", side(a, b, width, old), side(b, a, width, new));
        screen.own_text(&(line.trim_end().to_string() + "\n"))
    }
}

/// A name, escaped; the end of a long one, which distinguishes it best.
fn end_of(name: &str, columns: usize) -> String {
    let name = escape::text(name);
    if escape::columns(&name) <= columns {
        return name;
    }
    let fits = |start: &usize| escape::columns(&name[*start..]) + 3 <= columns;
    let start = name.char_indices().map(|(at, _)| at).find(fits).unwrap_or(name.len());
    format!("...{}", &name[start..])
}

/// A row of one side. Bytes that differ are coloured, or in brackets without colours.
fn side(own: &[u8], other: &[u8], width: usize, color: Option<&str>) -> String {
    let differs = |i: usize| i < width && own.get(i) != other.get(i);
    let (mut digits, mut text) = (String::new(), String::new());
    let on = color.map_or(String::new(), |color| format!("\x1b[{color}m"));
    let off = if color.is_some() { "\x1b[0m" } else { "" };
    for i in 0..=width {
        let edge = (i > 0 && differs(i - 1), differs(i));
        let space = match edge {
            (false, true) if color.is_none() => "[",
            (true, false) if color.is_none() => "]",
            _ => " ",
        };
        match edge {
            (false, true) => {
                digits += &format!("{space}{on}");
                text += &on;
            }
            (true, false) => {
                digits += &format!("{off}{space}");
                text += off;
            }
            _ => digits += space,
        }
        if i == width {
            break;
        }
        match own.get(i) {
            Some(byte) => {
                digits += &format!("{byte:02x}");
                text.push(character(*byte));
            }
            None => {
                digits += "  ";
                text.push(' ');
            }
        }
    }
    digits + &text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn long_names_keep_their_end() {
        assert_eq!((end_of("short@1", 8), end_of("a-long-name@1", 8)), ("short@1".into(), "...ame@1".into()));
        assert_eq!(end_of("\x1b[31m", 20), "\\u{1b}[31m");
        assert_eq!(end_of("\u{6f22}\u{5b57}\u{6f22}\u{5b57}@1", 8), "...\u{5b57}@1", "wide");
        assert_eq!(end_of("e\u{301}e\u{301}@1", 4), "e\u{301}e\u{301}@1", "combining");
    }

    #[test]
    fn changes_stand_in_brackets() {
        assert_eq!(side(b"abcd", b"aXXd", 4, None), " 61[62 63]64 abcd");
        assert_eq!(side(b"abcd", b"abc", 4, None), " 61 62 63[64]abcd");
        assert_eq!(side(b"abc", b"abcd", 4, None), " 61 62 63[  ]abc ");
        assert_eq!(side(b"ab", b"ab", 4, None), " 61 62       ab  ");
        assert_eq!(side(b"ab", b"aX", 2, Some("31")), " 61 \x1b[31m62\x1b[0m a\x1b[31mb\x1b[0m");
    }

    proptest! {
        #[test]
        fn every_changed_byte_is_marked_and_no_other(
            own in prop::collection::vec(0u8..3, 0..9), other in prop::collection::vec(0u8..3, 0..9))
        {
            let row: Vec<char> = side(&own, &other, 8, None).chars().collect();
            prop_assert_eq!(row.len() * 2 + 2 + 8 + 1, columns(8, 8));
            let mut inside = false;
            for i in 0..8 {
                match row[3 * i] {
                    '[' => inside = true,
                    ']' => inside = false,
                    _ => {}
                }
                prop_assert_eq!(inside, own.get(i) != other.get(i), "byte {}", i);
                let digits: String = row[3 * i + 1..3 * i + 3].iter().collect();
                prop_assert_eq!(digits.trim(), own.get(i).map_or(String::new(), |b| format!("{b:02x}")));
            }
        }
    }
}
