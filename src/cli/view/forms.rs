//! A row in each of its forms.

use std::fmt::Write;

use super::super::hex;
use super::super::json::{JsonNumber, object};
use super::super::number_type::NumberType;
use super::super::screen::{Screen, paint};
use super::super::units::count;
use super::hex_row::{NUL, RowLayout};
use super::rows::Row;

/// How bytes are shown.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// Digits and characters, in groups of this many bytes.
    Hex(Option<usize>),
    /// Digits only.
    Plain,
    /// Numbers.
    Numbers(NumberType),
}

/// Bytes in a row of digits and characters.
const HEX_BYTES: usize = 16;
/// Bytes in a row of digits, as xxd has it.
const PLAIN_BYTES: usize = 30;
/// Columns of a row of numbers, unless --columns is given.
const COLUMNS: usize = 80;

/// Shows rows, and counts the bytes shown.
pub(super) struct RowWriter {
    form: Form,
    layout: RowLayout,
    bytes: u64,
}

impl RowWriter {
    /// Creates one with rows of `columns`, or of the usual width.
    pub(super) fn new(form: Form, columns: Option<usize>, digits: usize, screen: &Screen) -> RowWriter {
        let width = match form {
            Form::Hex(_) => columns.unwrap_or(HEX_BYTES),
            Form::Plain => columns.unwrap_or(PLAIN_BYTES),
            Form::Numbers(typed) => {
                let fit = (COLUMNS - digits - 1) / (typed.width() + 1);
                columns.unwrap_or(1 << fit.max(1).ilog2()) * typed.size()
            }
        };
        let group = if let Form::Hex(group) = form { group } else { None };
        RowWriter { form, layout: RowLayout { digits, width, group, colored: screen.colors().0 }, bytes: 0 }
    }

    /// Bytes in a row.
    pub(super) fn row_bytes(&self) -> usize {
        self.layout.width
    }

    /// Shows a row.
    ///
    /// # Errors
    /// When the reader of stdout is gone.
    pub(super) fn row(&mut self, at: u64, row: &Row<'_>, screen: &mut Screen) -> anyhow::Result<()> {
        match (row, self.form) {
            (Row::Zeros(n), _) => self.zeros(at, *n, screen)?,
            (Row::Bytes(bytes), Form::Numbers(typed)) => self.numbers(at, bytes, typed, screen)?,
            (Row::Bytes(bytes), _) if screen.is_json() => {
                screen.json(&object! { schema: "memsnap.view.row.1", offset: at, hex: hex::digits(bytes) })?;
            }
            (Row::Bytes(bytes), Form::Plain) => screen.own_text(&(hex::digits(bytes) + "\n"))?,
            (Row::Bytes(bytes), Form::Hex(_)) => screen.own_text(&self.layout.row(at, bytes))?,
        }
        self.bytes += match row {
            Row::Zeros(n) => *n,
            Row::Bytes(bytes) => bytes.len() as u64,
        };
        if screen.closed() { Err(anyhow::anyhow!("the reader of stdout is gone")) } else { Ok(()) }
    }

    fn zeros(&self, at: u64, n: u64, screen: &mut Screen) -> anyhow::Result<()> {
        if screen.is_json() {
            return screen.json(&object! { schema: "memsnap.view.zeros.1", offset: at, len: n });
        }
        let size = if n < 1024 { String::new() } else { format!(" ({})", screen.sizes.show(n)) };
        let text = format!("* {}{size}", count(n, "zero byte"));
        screen.own_text(&format!("{}{}\n", self.layout.offset(at), paint(self.layout.colored, NUL, &text)))
    }

    fn numbers(&self, at: u64, bytes: &[u8], typed: NumberType, screen: &mut Screen) -> anyhow::Result<()> {
        let elements = bytes.chunks_exact(typed.size());
        let rest = elements.remainder();
        let numbers = elements.map(|element| typed.number(element));
        if screen.is_json() {
            return screen.json(&object! {
                schema: "memsnap.view.values.1",
                offset: at,
                r#type: typed.name(),
                values: numbers.map(JsonNumber).collect::<Vec<_>>(),
                #[serde(flatten)] left_over: (!rest.is_empty()).then(|| object! { left_over: hex::digits(rest) }),
            });
        }
        let mut line = self.layout.offset(at);
        for (i, number) in numbers.enumerate() {
            let space = if i == 0 { "" } else { " " };
            let _ = write!(line, "{space}{:>width$}", typed.text(number), width = typed.width());
        }
        if bytes.len() >= typed.size() {
            screen.own_text(&(line + "\n"))?;
        }
        if rest.is_empty() {
            return Ok(());
        }
        let offset = self.layout.offset(at + (bytes.len() - rest.len()) as u64);
        let (over, kind) = (count(rest.len() as u64, "byte"), typed.name());
        screen.own_text(&format!("{offset}{over} left, not a whole {kind}: {}\n", hex::digits(rest)))
    }

    /// Writes the JSON summary; on a terminal, reports an empty file.
    pub(super) fn end(&self, name: &str, len: Option<u64>, start: u64, screen: &mut Screen) -> anyhow::Result<()> {
        if screen.is_json() {
            let len = len.map(|len| object! { len });
            let end = start + self.bytes;
            return screen.json(&object! { schema: "memsnap.view.1", name, #[serde(flatten)] len, start, end });
        }
        if self.bytes == 0 {
            screen.say(&format!("{name} is empty"));
        }
        Ok(())
    }
}
