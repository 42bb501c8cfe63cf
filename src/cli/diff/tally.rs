//! `--limit`: counts what is shown and what is left out.

use super::super::screen::Screen;
use super::super::units::count;
use super::common::JsonChanges;

/// Counts changes and the lines that show them, of one change or several. Those past the limit are counted too, so that
/// their number can be shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tally {
    limit: Option<u64>,
    /// All changes there are.
    pub(super) total: u64,
    /// The lines that show them.
    lines: u64,
    /// Those lines that are shown.
    shown: u64,
}

impl Tally {
    /// Creates one that has counted nothing.
    pub(super) fn new(limit: Option<u64>) -> Tally {
        Tally { limit, total: 0, lines: 0, shown: 0 }
    }

    /// Counts `n` changes on one line. Returns whether to show it.
    pub(super) fn take(&mut self, n: u64) -> bool {
        let show = self.limit.is_none_or(|limit| self.shown < limit);
        self.total += n;
        self.lines += 1;
        self.shown += u64::from(show);
        show
    }

    /// Counts `n` changes with a line each. Returns how many to show.
    pub(super) fn take_part(&mut self, n: u64) -> u64 {
        let part = n.min(self.limit.map_or(n, |limit| limit.saturating_sub(self.shown)));
        self.total += n;
        self.lines += n;
        self.shown += part;
        part
    }

    /// Lines left out.
    pub(super) fn left_out(&self) -> u64 {
        self.lines - self.shown
    }

    /// What was counted, for JSON: `count` units, in this number of ranges.
    pub(super) fn json(&self, unit: &'static str, count: u64, ranges: Option<u64>) -> JsonChanges {
        JsonChanges { unit, count, ranges, shown: self.shown, more: self.left_out() }
    }

    /// Shows how many lines were left out, if any.
    pub(super) fn tell_rest(&self, noun: &str, screen: &mut Screen) -> anyhow::Result<()> {
        match self.left_out() {
            0 => Ok(()),
            _ if screen.is_json() => Ok(()),
            more => screen.line(&format!("and {}", count(more, &format!("more {noun}")))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_counted() {
        let mut tally = Tally::new(Some(2));
        assert_eq!([1, 900, 5, 1].map(|n| tally.take(n)), [true, true, false, false]);
        assert_eq!((tally.total, tally.shown, tally.left_out()), (907, 2, 2));
        let mut tally = Tally::new(Some(4));
        assert_eq!([3, 3, 3].map(|n| tally.take_part(n)), [3, 1, 0]);
        assert_eq!((tally.total, tally.shown, tally.left_out()), (9, 4, 5));
        assert!(Tally::new(None).take(u64::MAX) && !Tally::new(Some(0)).take(1));
    }
}
