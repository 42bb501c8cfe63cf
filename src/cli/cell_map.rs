//! A map of a file: each cell stands for some bytes, and its mark shows what they are.
//!
//! The marks are the same with and without colours, so that a map can be read and compared either way.

use std::ops::Range;

/// A class of cells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CellClass {
    /// Its mark: one ASCII character.
    pub(crate) mark: char,
    /// How it is coloured, as the parameters of SGR: `31`, `1;33`; empty for no colour.
    pub(crate) color: &'static str,
    /// Its name in the legend.
    pub(crate) name: &'static str,
}

/// How a file is divided into cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CellMap {
    len: u64,
    /// Bytes in a cell: a power of two times the unit.
    cell: u64,
    /// Cells in a row: a power of two, so that rows begin at round offsets.
    row: u64,
}

impl CellMap {
    /// Divides `len` bytes into cells of `unit` bytes, or into larger ones if there would be more than `rows` rows of
    /// at most `width` columns.
    ///
    /// # Panics
    /// When `unit` or `rows` is zero.
    pub(crate) fn new(len: u64, unit: u64, width: usize, rows: u64) -> CellMap {
        assert!(unit > 0 && rows > 0, "a map has cells");
        let columns = (width.saturating_sub(digits(len) + 2) as u64).max(1);
        let row = 1 << columns.ilog2();
        let mut cell = unit;
        while len.div_ceil(cell) > row * rows {
            cell *= 2;
        }
        CellMap { len, cell, row }
    }

    /// Bytes in a cell.
    pub(crate) fn cell(&self) -> u64 {
        self.cell
    }

    /// The bytes of each cell, in order; the last ends with the file.
    pub(crate) fn spans(&self) -> impl Iterator<Item = Range<u64>> + use<> {
        let CellMap { len, cell, .. } = *self;
        (0..len.div_ceil(cell)).map(move |n| n * cell..((n + 1).saturating_mul(cell)).min(len))
    }

    /// The rows, each with the offset of its first byte. `class_of` returns the index in `classes` of the bytes of a
    /// cell.
    pub(crate) fn rows(
        &self,
        classes: &[CellClass],
        colored: bool,
        mut class_of: impl FnMut(Range<u64>) -> usize,
    ) -> Vec<String> {
        let all: Vec<usize> = self.spans().map(&mut class_of).collect();
        let digits = digits(self.len);
        let row = |(n, cells): (usize, &[usize])| {
            let mut text = format!("{:0digits$x}  ", n as u64 * self.row * self.cell);
            for same in cells.chunk_by(|a, b| a == b) {
                let class = &classes[same[0]];
                push(&mut text, class, same.len(), colored);
            }
            text
        };
        all.chunks(self.row as usize).enumerate().map(row).collect()
    }

    /// What the marks mean, and the size of a cell (`cell`, as text).
    pub(crate) fn legend(&self, classes: &[CellClass], colored: bool, cell: &str) -> String {
        let mut text = " ".repeat(digits(self.len) + 2);
        for class in classes {
            push(&mut text, class, 1, colored);
            text += &format!(" {}  ", class.name);
        }
        text + &format!("(a cell is {cell})")
    }
}

/// Hexadecimal digits of the offsets in a file of `len` bytes: 8, or more if needed.
pub(crate) fn digits(len: u64) -> usize {
    let last = len.saturating_sub(1).max(1);
    (last.ilog2() as usize / 4 + 1).max(8)
}

fn push(text: &mut String, class: &CellClass, times: usize, colored: bool) {
    let paint = colored && !class.color.is_empty();
    if paint {
        *text += &format!("\x1b[{}m", class.color);
    }
    text.extend(std::iter::repeat_n(class.mark, times));
    if paint {
        *text += "\x1b[0m";
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CLASSES: [CellClass; 2] =
        [CellClass { mark: '.', color: "", name: "same" }, CellClass { mark: '#', color: "31", name: "changed" }];

    #[test]
    fn rows_begin_at_round_offsets() {
        let map = CellMap::new(100 * 4096, 4096, 80, 4);
        let rows = map.rows(&CLASSES, false, |span| usize::from(span.contains(&(65 * 4096))));
        assert_eq!(rows, [format!("00000000  {}", ".".repeat(64)), format!("00040000  .#{}", ".".repeat(34))]);
        assert_eq!(map.legend(&CLASSES, false, "4.0 KiB"), "          . same  # changed  (a cell is 4.0 KiB)");
        let map = CellMap::new(1 << 40, 4096, 80, 1);
        assert_eq!((map.cell(), map.spans().count()), (1 << 34, 64));
        assert_eq!(CellMap::new(0, 4096, 80, 4).rows(&CLASSES, false, |_| 0), [""; 0]);
    }

    #[test]
    fn colour_changes_no_mark() {
        let map = CellMap::new(4 * 4096, 4096, 80, 1);
        let rows = map.rows(&CLASSES, true, |span| (span.start / 4096 % 3 > 0).into());
        assert_eq!(rows, ["00000000  .\x1b[31m##\x1b[0m."]);
    }

    proptest! {
        #[test]
        fn cells_cover_the_file_and_fit(len in 0u64..1 << 50, width in 0usize..300, rows in 1u64..9) {
            let map = CellMap::new(len, 4096, width, rows);
            let mut at = 0;
            for span in map.spans() {
                prop_assert!(span.start == at && span.end > at);
                at = span.end;
            }
            prop_assert_eq!(at, len);
            let drawn = map.rows(&CLASSES, false, |_| 1);
            prop_assert!(drawn.len() as u64 <= rows);
            let fits = |row: &String| row.len() <= width.max(digits(len) + 3);
            prop_assert!(drawn.iter().all(fits));
            // No coarser than it must be.
            prop_assert!(map.cell() == 4096 || len.div_ceil(map.cell() / 2) > rows * map.row);
        }
    }
}
