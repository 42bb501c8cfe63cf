//! A row as hexadecimal digits and as characters.

use std::fmt::Write;

use super::super::screen::paint;

/// The class of a byte, for its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ByteClass {
    Nul,
    Printable,
    White,
    Control,
    High,
}

impl ByteClass {
    fn of(byte: u8) -> ByteClass {
        match byte {
            0 => ByteClass::Nul,
            b' ' | b'\t'..=b'\r' => ByteClass::White,
            0x21..=0x7e => ByteClass::Printable,
            0x80..=0xff => ByteClass::High,
            _ => ByteClass::Control,
        }
    }

    fn color(self) -> &'static str {
        match self {
            ByteClass::Nul => NUL,
            ByteClass::Printable => "36",
            ByteClass::White => "32",
            ByteClass::Control => "35",
            ByteClass::High => "33",
        }
    }
}

/// The colour of zeros.
pub(super) const NUL: &str = "90";

/// How rows are laid out.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowLayout {
    /// Digits of an offset.
    pub(super) digits: usize,
    /// Bytes in a row.
    pub(super) width: usize,
    /// Bytes without a space between them; `None`: a space after every byte, two after eight.
    pub(super) group: Option<usize>,
    /// Whether classes of bytes are coloured.
    pub(super) colored: bool,
}

/// A byte as a character beside the digits.
pub(crate) fn character(byte: u8) -> char {
    if matches!(byte, 0x20..0x7f) { char::from(byte) } else { '.' }
}

impl RowLayout {
    /// The gap between the columns: narrow where 16 bytes would otherwise not fit 80 columns.
    pub(super) fn gap(&self) -> &'static str {
        if self.digits > 10 { " " } else { "  " }
    }

    /// The offset at the beginning of a line.
    pub(super) fn offset(&self, at: u64) -> String {
        format!("{at:0digits$x}{}", self.gap(), digits = self.digits)
    }

    /// A line, with its end.
    pub(super) fn row(&self, at: u64, bytes: &[u8]) -> String {
        let mut line = self.offset(at);
        let mut text = String::new();
        let mut shown = 0;
        for same in bytes.chunk_by(|a, b| ByteClass::of(*a) == ByteClass::of(*b)) {
            let color = ByteClass::of(same[0]).color();
            let mut digits = String::new();
            for (i, byte) in same.iter().enumerate() {
                // A space before a colour begins is not coloured.
                let to = if i == 0 { &mut line } else { &mut digits };
                to.push_str(self.space(shown + i));
                let _ = write!(digits, "{byte:02x}");
            }
            line += &paint(self.colored, color, &digits);
            let characters: String = same.iter().map(|byte| character(*byte)).collect();
            text += &paint(self.colored, color, &characters);
            shown += same.len();
        }
        for i in shown..self.width {
            line += self.space(i);
            line += "  ";
        }
        line + self.gap() + "|" + &text + "|\n"
    }

    /// The space before byte `i` of a row.
    fn space(&self, i: usize) -> &'static str {
        match self.group {
            _ if i == 0 => "",
            None if i.is_multiple_of(8) => "  ",
            None => " ",
            Some(n) if n > 0 && i.is_multiple_of(n) => " ",
            Some(_) => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAIN: RowLayout = RowLayout { digits: 8, width: 16, group: None, colored: false };

    #[test]
    fn as_hexdump_shows_it() {
        let row = PLAIN.row(0x10, b"memsnap\0\xff\n");
        let expected = "00000010  6d 65 6d 73 6e 61 70 00  ff 0a                    |memsnap...|\n";
        assert_eq!(row, expected);
        let four = RowLayout { group: Some(4), width: 8, ..PLAIN };
        assert_eq!(four.row(0, b"memsna"), "00000000  6d656d73 6e61      |memsna|\n");
        let none = RowLayout { group: Some(0), width: 2, ..PLAIN };
        assert_eq!(none.row(0, b"me"), "00000000  6d65  |me|\n");
    }

    #[test]
    fn colours_change_with_the_class() {
        let colored = RowLayout { colored: true, width: 4, ..PLAIN };
        let row = colored.row(0, b"ab\0\n");
        assert_eq!(
            row,
            "00000000  \x1b[36m61 62\x1b[0m \x1b[90m00\x1b[0m \x1b[32m0a\x1b[0m  \
             |\x1b[36mab\x1b[0m\x1b[90m.\x1b[0m\x1b[32m.\x1b[0m|\n"
        );
    }

    /// `text` without what colours it.
    fn bare(text: &str) -> String {
        let mut parts = text.split('\x1b');
        let first = parts.next().unwrap().to_string();
        parts.fold(first, |all, part| all + part.split_once('m').unwrap().1)
    }

    proptest! {
        #[test]
        fn bytes_can_be_read_back(
            bytes in prop::collection::vec(any::<u8>(), 1..40), group in prop::option::of(0usize..9), at: u64)
        {
            let layout = RowLayout { width: 40, group, ..PLAIN };
            let row = layout.row(at, &bytes);
            let (offset, rest) = row.split_once("  ").unwrap();
            prop_assert_eq!(u64::from_str_radix(offset, 16), Ok(at));
            let digits: String = rest.split('|').next().unwrap().split_whitespace().collect();
            prop_assert_eq!(digits, bytes.iter().map(|b| format!("{b:02x}")).collect::<String>());
            prop_assert_eq!(bare(&RowLayout { colored: true, ..layout }.row(at, &bytes)), row);
        }

        #[test]
        fn a_row_fits_80_columns(bytes in prop::collection::vec(any::<u8>(), 1..17), digits in 8usize..13) {
            let layout = RowLayout { digits, ..PLAIN };
            prop_assert!(layout.row(0, &bytes).trim_end().len() <= 80);
        }
    }
}
