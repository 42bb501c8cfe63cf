//! Cuts bytes that come in pieces of any size into rows, and finds the rows that are all zeros.

use memsnap::ops::view::Piece;
use memsnap::page::is_zero;

/// Most bytes in a row.
pub(super) const WIDEST: usize = 4096 * 8;
static BLANK: [u8; WIDEST] = [0; WIDEST];

/// The content of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Row<'a> {
    /// The bytes of a row; only the last row may be shorter.
    Bytes(&'a [u8]),
    /// More than one row of zeros: this many bytes.
    Zeros(u64),
}

/// Cuts bytes into rows of `width`.
#[derive(Debug)]
pub(super) struct RowSplitter {
    width: usize,
    /// Whether consecutive rows of zeros become one.
    fold: bool,
    /// The offset of the next byte.
    at: u64,
    /// The row that is not full yet.
    open: Vec<u8>,
    /// Zeros in whole rows before it, held back.
    zeros: u64,
}

/// Shows a row, which begins at this offset.
type Show<'a> = &'a mut dyn FnMut(u64, Row<'_>) -> anyhow::Result<()>;

impl RowSplitter {
    /// Creates one that has seen nothing; the first byte has offset `start`.
    ///
    /// # Panics
    /// When `width` is zero, or more than [`WIDEST`].
    pub(super) fn new(width: usize, fold: bool, start: u64) -> RowSplitter {
        assert!((1..=WIDEST).contains(&width), "a row has bytes, and not too many");
        RowSplitter { width, fold, at: start, open: Vec::with_capacity(width), zeros: 0 }
    }

    /// Takes the next bytes, and shows the rows that are full.
    pub(super) fn feed(&mut self, piece: &Piece<'_>, show: Show<'_>) -> anyhow::Result<()> {
        match *piece {
            Piece::Bytes(bytes) => self.bytes(bytes, show),
            Piece::Zeros(n) => self.zeros(n, show),
        }
    }

    fn bytes(&mut self, mut bytes: &[u8], show: Show<'_>) -> anyhow::Result<()> {
        while !bytes.is_empty() {
            if self.open.is_empty() && bytes.len() >= self.width {
                let (row, rest) = bytes.split_at(self.width);
                self.at += self.width as u64;
                bytes = rest;
                self.row(row, show)?;
                continue;
            }
            let (more, rest) = bytes.split_at(bytes.len().min(self.width - self.open.len()));
            self.open.extend_from_slice(more);
            self.at += more.len() as u64;
            bytes = rest;
            if self.open.len() == self.width {
                let row = std::mem::take(&mut self.open);
                self.row(&row, show)?;
                self.open = row;
                self.open.clear();
            }
        }
        Ok(())
    }

    fn zeros(&mut self, n: u64, show: Show<'_>) -> anyhow::Result<()> {
        let width = self.width as u64;
        let first = if self.open.is_empty() { 0 } else { (width - self.open.len() as u64).min(n) };
        self.bytes(&BLANK[..first as usize], show)?;
        let mut left = n - first;
        if self.fold && self.open.is_empty() {
            let whole = left / width * width;
            (self.at, self.zeros, left) = (self.at + whole, self.zeros + whole, left - whole);
        }
        while left > 0 {
            let some = left.min(width);
            self.bytes(&BLANK[..some as usize], show)?;
            left -= some;
        }
        Ok(())
    }

    /// A full row, which ends at `at`.
    fn row(&mut self, row: &[u8], show: Show<'_>) -> anyhow::Result<()> {
        if self.fold && is_zero(row) {
            self.zeros += row.len() as u64;
            return Ok(());
        }
        let start = self.at - row.len() as u64;
        self.show_zeros(start, show)?;
        show(start, Row::Bytes(row))
    }

    /// Shows the zeros that were held back; they end at `end`.
    fn show_zeros(&mut self, end: u64, show: Show<'_>) -> anyhow::Result<()> {
        let zeros = std::mem::take(&mut self.zeros);
        match zeros {
            0 => Ok(()),
            one if one == self.width as u64 => show(end - one, Row::Bytes(&BLANK[..self.width])),
            more => show(end - more, Row::Zeros(more)),
        }
    }

    /// Shows the rest, after the last byte.
    pub(super) fn finish(&mut self, show: Show<'_>) -> anyhow::Result<()> {
        let open = std::mem::take(&mut self.open);
        if self.zeros > 0 && is_zero(&open) {
            self.zeros += open.len() as u64;
            return self.show_zeros(self.at, show);
        }
        let start = self.at - open.len() as u64;
        self.show_zeros(start, show)?;
        if open.is_empty() { Ok(()) } else { show(start, Row::Bytes(&open)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Pieces: (reported as zeros, bytes).
    fn cut(pieces: &[(bool, Vec<u8>)], width: usize, fold: bool, start: u64) -> Vec<(u64, Vec<u8>, bool)> {
        let mut rows = RowSplitter::new(width, fold, start);
        let mut out = Vec::new();
        let mut show = |at: u64, row: Row<'_>| {
            out.push(match row {
                Row::Bytes(bytes) => (at, bytes.to_vec(), false),
                Row::Zeros(n) => (at, vec![0; n as usize], true),
            });
            Ok(())
        };
        for (zeros, bytes) in pieces {
            let piece = if *zeros { Piece::Zeros(bytes.len() as u64) } else { Piece::Bytes(bytes) };
            rows.feed(&piece, &mut show).unwrap();
        }
        rows.finish(&mut show).unwrap();
        out
    }

    fn piece() -> impl Strategy<Value = (bool, Vec<u8>)> {
        prop_oneof![
            (1usize..60).prop_map(|n| (true, vec![0; n])),
            (1usize..60).prop_map(|n| (false, vec![0; n])),
            prop::collection::vec(0u8..2, 1..40).prop_map(|bytes| (false, bytes)),
        ]
    }

    proptest! {
        #[test]
        fn rows_are_those_of_all_bytes_at_once(
            pieces in prop::collection::vec(piece(), 0..12), width in 1usize..20, fold: bool, start in 0u64..100)
        {
            let all: Vec<u8> = pieces.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
            let rows = cut(&pieces, width, fold, start);
            let joined: Vec<u8> = rows.iter().flat_map(|(_, bytes, _)| bytes.clone()).collect();
            prop_assert_eq!(&joined, &all);
            let mut at = start;
            for (offset, bytes, _) in &rows {
                prop_assert_eq!(*offset, at);
                at += bytes.len() as u64;
            }
            if !fold {
                let plain: Vec<Vec<u8>> = all.chunks(width).map(<[u8]>::to_vec).collect();
                prop_assert_eq!(rows.into_iter().map(|row| row.1).collect::<Vec<_>>(), plain);
                return Ok(());
            }
            // Folded: as long as can be, in whole rows but for the end; never one row alone.
            for (i, (offset, bytes, folded)) in rows.iter().enumerate() {
                let last = i + 1 == rows.len();
                prop_assert_eq!((offset - start) % width as u64, 0);
                if *folded {
                    prop_assert!(bytes.len() > width && (last || bytes.len() % width == 0));
                    prop_assert!(last || rows[i + 1].1.iter().any(|b| *b != 0));
                } else {
                    prop_assert!(bytes.len() == width || last);
                    let zero = |row: &(u64, Vec<u8>, bool)| row.1.iter().all(|b| *b == 0);
                    prop_assert!(last || !zero(&rows[i]) || !zero(&rows[i + 1]));
                }
            }
        }
    }
}
