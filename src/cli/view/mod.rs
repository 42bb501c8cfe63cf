//! `memsnap view`.

mod hex;
mod rows;
mod show;

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;

use anyhow::Context;
use clap::ValueHint;
use clap::builder::RangedU64ValueParser;
use memsnap::ops::view::{Opened, Piece, read_stream};

use super::exit::Exit;
use super::flags::{Global, reading};
use super::screen::Screen;
use super::strip::digits;
use super::typed::{Typed, typed};
use super::units::{self, Bytes};
use super::{escape, input, text};
pub(crate) use hex::character;
use rows::Rows;
use show::{Form, Shown};

/// Show the bytes of a file or a snapshot
///
/// FILE is a file as it is, FILE@REF a snapshot of it, which is read where it
/// is kept, without restoring it; - is standard input. By default bytes are
/// shown as digits and characters, 16 in a row, and rows of zeros as one line
/// that says how many. Holes are not read: a sparse file of any size is shown
/// at once.
///
/// On a terminal, what is longer than the screen goes through a pager.
///
/// Examples:
///
///   memsnap view db.bin --range 4k+64
///   memsnap view db.bin@1 --range page:17     what was in that page?
///   memsnap view --as f32 weights.bin         numbers
///   memsnap view --raw db.bin@latest --range ..1M | sha256sum
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = text::VIEW_EXIT)]
#[command(group = clap::ArgGroup::new("form").args(["plain", "raw", "as_type"]))]
pub(crate) struct Args {
    /// The file, or a snapshot of it; - is standard input
    #[arg(value_name = "FILE[@REF]", value_hint = ValueHint::FilePath)]
    file: OsString,
    /// The REF; the name is taken whole
    #[arg(long, value_name = "REF", allow_hyphen_values = true)]
    at: Option<String>,
    /// Only these bytes: 4k..1M, 0x1000+64, page:17; -64.. is the last 64
    #[arg(long, value_name = "RANGE", value_parser = wanted, allow_hyphen_values = true)]
    range: Option<Wanted>,
    /// Show rows of zeros like all others
    #[arg(short = 'a', long)]
    no_fold: bool,
    /// Put N bytes together, without spaces; 0 all of a row
    #[arg(long, value_name = "N", conflicts_with = "form", value_parser = RangedU64ValueParser::<usize>::new().range(0..=4096))]
    group: Option<usize>,
    /// Put N bytes, or numbers, in a row
    #[arg(long, value_name = "N", conflicts_with = "raw", value_parser = RangedU64ValueParser::<usize>::new().range(1..=4096))]
    columns: Option<usize>,
    /// Only digits, as xxd -p writes them
    #[arg(long)]
    plain: bool,
    /// The bytes themselves
    #[arg(long)]
    raw: bool,
    /// Numbers: u8 to u64, i8 to i64, f16 to f64, bf16; u32be: big-endian
    ///
    /// The low byte comes first if not said otherwise, on every machine. The
    /// first number begins with the range.
    #[arg(long = "as", id = "as_type", value_name = "TYPE", value_parser = typed, verbatim_doc_comment)]
    as_type: Option<Typed>,
    /// Write bytes even to a terminal
    #[arg(long, requires = "raw")]
    force: bool,
    /// Never start a pager
    #[arg(long)]
    no_pager: bool,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Span(Bytes),
    /// So many bytes at the end.
    Last(u64),
}

/// Reads a range of bytes; `-64..` is the last 64.
fn wanted(text: &str) -> Result<Wanted, String> {
    let Some(last) = text.strip_prefix('-') else { return units::range(text).map(Wanted::Span) };
    let last = last.strip_suffix("..").ok_or("from the end goes only -N.., the last N bytes")?;
    match units::size(last)? {
        0 => Err("it holds no byte".into()),
        n => Ok(Wanted::Last(n)),
    }
}

/// Where bytes come from.
enum Origin {
    File(Opened),
    /// To be read once, from front to back.
    Stream(RefCell<File>),
}

impl Args {
    pub(crate) fn run(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Exit> {
        self.check(screen)?;
        let doing = || format!("viewing {}", escape::os(&self.file));
        let origin = self.open(global, screen)?;
        let span = self.span(&origin).with_context(doing)?;
        if let Origin::File(opened) = &origin {
            must_begin_within(span, opened.len()).with_context(doing)?;
            if let Some(e) = opened.unfinished() {
                screen.warn(&format!("{e}; it is shown as it is"));
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
            return refused("--raw writes bytes, which are not JSON", "leave one of the two out");
        }
        if self.raw && screen.terminals.stdout && !self.force {
            return refused("binary does not go to a terminal", "redirect it, leave out --raw, or add --force");
        }
        Ok(())
    }

    fn open(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Origin> {
        let doing = || format!("viewing {}", escape::os(&self.file));
        if self.at.is_none()
            && let Some(stream) = input::stream(&self.file).with_context(doing)?
        {
            // A redirected file has an end, and is read at any place.
            let is_file = stream.metadata().is_ok_and(|found| found.is_file());
            if !is_file || self.file == "-" {
                return Ok(Origin::Stream(RefCell::new(stream)));
            }
        }
        let operand = reading(&self.file, self.at.as_deref(), "now", screen)?;
        let opened = Opened::open(&operand, global.store.clone());
        opened.map(Origin::File).with_context(doing)
    }

    /// What is asked for, from the start on.
    fn span(&self, origin: &Origin) -> anyhow::Result<Bytes> {
        match (self.range, origin) {
            (None, _) => Ok((0, memsnap::page::MAX_LEN)),
            (Some(Wanted::Span(span)), _) => Ok(span),
            (Some(Wanted::Last(n)), Origin::File(opened)) => {
                Ok((opened.len().saturating_sub(n), memsnap::page::MAX_LEN))
            }
            (Some(Wanted::Last(n)), Origin::Stream(_)) => {
                let hint = format!("cut it before: `tail -c {n} | memsnap view -`");
                Err(memsnap::Error::refused("where a stream ends is not known when it begins", hint).into())
            }
        }
    }

    /// Rows, in the form that was asked for.
    fn show(&self, origin: &Origin, (start, end): Bytes, screen: &mut Screen) -> anyhow::Result<()> {
        let (name, len) = match origin {
            Origin::File(opened) => (opened.name(), Some(opened.len())),
            Origin::Stream(_) => ("-", None),
        };
        // The end of a stream is not known: longer offsets are as long as they are.
        let digits = digits(len.map_or(0, |len| len.min(end)));
        let form = match self.as_type {
            Some(typed) => Form::Numbers(typed),
            None if self.plain => Form::Plain,
            None => Form::Hex(self.group),
        };
        let mut shown = Shown::new(form, self.columns, digits, screen);
        let mut rows = Rows::new(shown.row_bytes(), !self.no_fold && !self.plain, start);
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
    let what = format!("the range begins at byte {start} ({start:#x}), but there are only {len} ({len:#x})");
    Err(memsnap::Error::refused(what, "name a range that begins before the end").into())
}

/// The bytes themselves.
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
