//! `memsnap view`.

mod forms;
mod hex_row;
mod rows;

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;

use anyhow::Context;
use clap::ValueHint;
use clap::builder::RangedU64ValueParser;
use memsnap::ops::view::{Opened, Piece, read_stream};

use super::cell_map::digits;
use super::common_flags::Global;
use super::exit::Exit;
use super::number_type::{self, NumberType};
use super::operands::reading;
use super::screen::Screen;
use super::units::{self, Bytes};
use super::{escape, help, input, sets};
use forms::{Form, RowWriter};
pub(crate) use hex_row::character;
use rows::RowSplitter;

/// Show the bytes of a file or a snapshot
///
/// FILE is the file as it is now, FILE@REF a snapshot of it, which is read from
/// the store without being restored; - is standard input. By default shows 16
/// bytes in a row, as hexadecimal digits and as characters; consecutive rows of
/// zeros become one line. Holes are not read: a sparse file of any size is
/// shown at once.
///
/// On a terminal, output longer than the screen goes through a pager.
///
/// Examples:
///
///   memsnap view db.bin --range 4k+64
///   memsnap view db.bin@1 --range page:17     a page of a snapshot
///   memsnap view --as f32 weights.bin         as numbers
///   memsnap view --raw db.bin@latest --range ..1M | sha256sum
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = help::VIEW_EXIT)]
#[command(group = clap::ArgGroup::new("form").args(["plain", "raw", "as_type"]))]
pub(crate) struct Args {
    /// The file, or a snapshot of it; - is standard input
    #[arg(value_name = "FILE[@REF]", value_hint = ValueHint::FilePath)]
    file: OsString,
    /// Name the snapshot by REF; do not split the name at @
    #[arg(long, value_name = "REF", allow_hyphen_values = true)]
    at: Option<String>,
    /// Show only these bytes: 4k..1M, 4k+64, page:17; -64.. is the last 64
    #[arg(long, value_name = "RANGE", value_parser = wanted, allow_hyphen_values = true)]
    range: Option<Wanted>,
    /// Show rows of zeros like any other
    #[arg(short = 'a', long)]
    no_fold: bool,
    /// Put a space after every N bytes; 0 for no spaces
    #[arg(long, value_name = "N", conflicts_with = "form", value_parser = RangedU64ValueParser::<usize>::new().range(0..=4096))]
    group: Option<usize>,
    /// Show N bytes, or numbers, in a row
    #[arg(long, value_name = "N", conflicts_with = "raw", value_parser = RangedU64ValueParser::<usize>::new().range(1..=4096))]
    columns: Option<usize>,
    /// Write digits only, as xxd -p does
    #[arg(long)]
    plain: bool,
    /// Write the bytes themselves
    #[arg(long)]
    raw: bool,
    /// Show numbers: u8 to u64, i8 to i64, f16 to f64, bf16
    ///
    /// Little-endian on every machine; a suffix be, as in u32be, makes it
    /// big-endian. The first number begins where the range begins.
    #[arg(long = "as", id = "as_type", value_name = "TYPE", value_parser = number_type::parse, verbatim_doc_comment)]
    as_type: Option<NumberType>,
    /// Write bytes even to a terminal
    #[arg(long, requires = "raw")]
    force: bool,
    /// Do not start a pager
    #[arg(long)]
    no_pager: bool,
}

/// The range to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Span(Bytes),
    /// The last bytes, this many.
    Last(u64),
}

/// Parses a range of bytes; `-64..` is the last 64.
fn wanted(text: &str) -> Result<Wanted, String> {
    let Some(last) = text.strip_prefix('-') else { return units::range(text).map(Wanted::Span) };
    let last = last.strip_suffix("..").ok_or("counting from the end, only -N.. is possible: the last N bytes")?;
    match units::size(last)? {
        0 => Err("the range is empty".into()),
        n => Ok(Wanted::Last(n)),
    }
}

/// The source of the bytes.
enum Origin {
    File(Opened),
    /// Read once, from front to back.
    Stream(RefCell<File>),
}

impl Args {
    pub(crate) fn run(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Exit> {
        self.check(screen)?;
        if let Some(set) = sets::find(&self.file, global.store.as_deref()).context("reading a set")? {
            if screen.is_json() {
                screen.json(&sets::json(&set))?
            } else {
                sets::show(&set, screen)?
            }
            return Ok(Exit::Done);
        }
        let doing = || format!("viewing {}", escape::os(&self.file));
        let origin = self.open(global, screen)?;
        let span = self.span(&origin).with_context(doing)?;
        if let Origin::File(opened) = &origin {
            must_begin_within(span, opened.len()).with_context(doing)?;
            if let Some(e) = opened.unfinished() {
                screen.warn(&format!("{e}; the content is shown as it is"));
            }
        }
        let done = match self.raw {
            true => write(&origin, span, screen),
            false => {
                screen.page(self.no_pager);
                self.show(&origin, span, screen)
            }
        };
        match done {
            Err(_) if screen.closed() => Ok(Exit::Done),
            done => done.with_context(doing).map(|()| Exit::Done),
        }
    }

    fn check(&self, screen: &Screen) -> anyhow::Result<()> {
        let refused = |what, hint| Err(memsnap::Error::refused(what, hint).into());
        if self.raw && screen.is_json() {
            return refused("--raw writes bytes, --json writes JSON", "leave one of them out");
        }
        if self.raw && screen.terminals.stdout && !self.force {
            return refused(
                "binary output is not written to a terminal",
                "redirect it, leave out --raw, or add --force",
            );
        }
        Ok(())
    }

    fn open(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Origin> {
        let doing = || format!("viewing {}", escape::os(&self.file));
        if self.at.is_none()
            && let Some(stream) = input::stream(&self.file).with_context(doing)?
        {
            // A redirected file has an end, and can be read anywhere.
            let is_file = stream.metadata().is_ok_and(|found| found.is_file());
            if !is_file || self.file == "-" {
                return Ok(Origin::Stream(RefCell::new(stream)));
            }
        }
        let operand = reading(&self.file, self.at.as_deref(), "now", screen)?;
        let opened = Opened::open(&operand, global.store.clone());
        opened.map(Origin::File).with_context(doing)
    }

    /// The range to show, as offsets.
    fn span(&self, origin: &Origin) -> anyhow::Result<Bytes> {
        match (self.range, origin) {
            (None, _) => Ok((0, memsnap::page::MAX_LEN)),
            (Some(Wanted::Span(span)), _) => Ok(span),
            (Some(Wanted::Last(n)), Origin::File(opened)) => {
                Ok((opened.len().saturating_sub(n), memsnap::page::MAX_LEN))
            }
            (Some(Wanted::Last(n)), Origin::Stream(_)) => {
                let hint = format!("cut it first: `tail -c {n} | memsnap view -`");
                Err(memsnap::Error::refused("the end of a stream is not known in advance", hint).into())
            }
        }
    }

    /// Shows rows in the chosen form.
    fn show(&self, origin: &Origin, (start, end): Bytes, screen: &mut Screen) -> anyhow::Result<()> {
        let (name, len) = match origin {
            Origin::File(opened) => (opened.name(), Some(opened.len())),
            Origin::Stream(_) => ("-", None),
        };
        // The end of a stream is not known: its offsets may become wider.
        let digits = digits(len.map_or(0, |len| len.min(end)));
        let form = match self.as_type {
            Some(typed) => Form::Numbers(typed),
            None if self.plain => Form::Plain,
            None => Form::Hex(self.group),
        };
        let mut shown = RowWriter::new(form, self.columns, digits, screen);
        let mut rows = RowSplitter::new(shown.row_bytes(), !self.no_fold && !self.plain, start);
        origin.read((start, end), &mut |_, piece| {
            rows.feed(&piece, &mut |at, row| shown.row(at, &row, screen))?;
            if let Origin::Stream(_) = origin { screen.bring_out() } else { Ok(()) }
        })?;
        rows.finish(&mut |at, row| shown.row(at, &row, screen))?;
        shown.end(name, len, start, screen)
    }
}

impl Origin {
    fn read(&self, span: Bytes, each: &mut dyn FnMut(u64, Piece<'_>) -> anyhow::Result<()>) -> anyhow::Result<()> {
        match self {
            Origin::File(opened) => opened.read(span.0..span.1, each),
            Origin::Stream(from) => {
                let seen = read_stream(&mut *from.borrow_mut(), span.0..span.1, each)?;
                must_begin_within(span, seen)
            }
        }
    }
}

fn must_begin_within((start, _): Bytes, len: u64) -> anyhow::Result<()> {
    if start == 0 || start < len {
        return Ok(());
    }
    let what = format!("the range begins at byte {start} ({start:#x}), but there are only {len} bytes ({len:#x})");
    Err(memsnap::Error::refused(what, "use a range that begins before the end").into())
}

/// Writes the bytes themselves.
fn write(origin: &Origin, span: Bytes, screen: &mut Screen) -> anyhow::Result<()> {
    static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
    let mut out = screen.stream();
    origin.read(span, &mut |_, piece| {
        match piece {
            Piece::Bytes(bytes) => out.write_all(bytes),
            Piece::Zeros(mut n) => loop {
                let some = n.min(ZEROS.len() as u64);
                n -= some;
                match out.write_all(&ZEROS[..some as usize]) {
                    Ok(()) if n > 0 => {}
                    done => break done,
                }
            },
        }
        .and_then(|()| if let Origin::Stream(_) = origin { out.flush() } else { Ok(()) })
        .context("writing to stdout")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_from_the_end() {
        assert_eq!((wanted("-16.."), wanted("-4k..")), (Ok(Wanted::Last(16)), Ok(Wanted::Last(4096))));
        assert_eq!(wanted("1..2"), Ok(Wanted::Span((1, 2))));
        for text in ["-", "-16", "-0..", "-16..-8", "-x..", "--raw", "-..", "16..-1"] {
            assert!(wanted(text).is_err(), "{text}");
        }
    }
}
