//! `memsnap view`.

mod hex;
mod rows;
mod show;

use std::ffi::OsString;
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
use super::{escape, text};
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
    /// Only these bytes, such as 4k..1M, 0x1000+64 or page:17
    #[arg(long, value_name = "RANGE", value_parser = units::range)]
    range: Option<Bytes>,
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
    /// Numbers: u8 to u64, i8 to i64, f32 or f64; u32be if the high byte comes
    /// first
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

/// Where bytes come from.
enum Origin {
    File(Opened),
    Stdin,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Exit> {
        self.check(screen)?;
        let doing = || format!("viewing {}", escape::os(&self.file));
        let origin = self.open(global, screen)?;
        let (start, end) = self.range.unwrap_or((0, memsnap::page::MAX_LEN));
        if let Origin::File(opened) = &origin {
            self.must_begin_within(opened.len())?;
            if let Some(e) = opened.unfinished() {
                screen.warn(&format!("{e}; it is shown as it is"));
            }
        }
        let done = match self.raw {
            true => self.write(&origin, screen),
            false => {
                screen.page(self.no_pager);
                self.show(&origin, (start, end), screen)
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
        if self.file == "-" && self.at.is_none() {
            return Ok(Origin::Stdin);
        }
        let operand = reading(&self.file, self.at.as_deref(), "now", screen)?;
        let opened = Opened::open(&operand, global.store.clone());
        opened.map(Origin::File).with_context(|| format!("viewing {}", escape::os(&self.file)))
    }

    fn must_begin_within(&self, len: u64) -> anyhow::Result<()> {
        match self.range {
            Some((start, _)) if start > 0 && start >= len => Err(memsnap::Error::refused(
                format!("the range begins at byte {start}, and {} has {len}", escape::os(&self.file)),
                "name a range that begins before its end",
            )
            .into()),
            _ => Ok(()),
        }
    }

    /// The bytes themselves.
    fn write(&self, origin: &Origin, screen: &mut Screen) -> anyhow::Result<()> {
        static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
        let mut out = screen.stream();
        self.read(origin, &mut |_, piece| {
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
            .context("writing to stdout")
        })
    }

    /// Rows, in the form that was asked for.
    fn show(&self, origin: &Origin, (start, end): Bytes, screen: &mut Screen) -> anyhow::Result<()> {
        let (name, len) = match origin {
            Origin::File(opened) => (opened.name(), Some(opened.len())),
            Origin::Stdin => ("-", None),
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
        self.read(origin, &mut |_, piece| rows.feed(&piece, &mut |at, row| shown.row(at, &row, screen)))?;
        rows.finish(&mut |at, row| shown.row(at, &row, screen))?;
        shown.end(name, len, start, screen)
    }

    fn read(&self, origin: &Origin, each: &mut dyn FnMut(u64, Piece<'_>) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let (start, end) = self.range.unwrap_or((0, memsnap::page::MAX_LEN));
        match origin {
            Origin::File(opened) => opened.read(start..end, each),
            Origin::Stdin => {
                let seen = read_stream(&mut std::io::stdin().lock(), start..end, each)?;
                self.must_begin_within(seen)
            }
        }
    }
}
