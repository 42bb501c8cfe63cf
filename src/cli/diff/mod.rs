//! `memsnap diff`: what differs, as pages, bytes, rows of digits, numbers, or a map.

mod bytes;
mod common;
mod elements;
mod hex_rows;
mod map;
mod numbers;
mod pages;
mod tally;

use std::ffi::OsString;
use std::ops::Range;
use std::path::Path;

use anyhow::Context;
use clap::{ValueEnum, ValueHint};
use memsnap::Ref;
use memsnap::ops::diff::elements::diff_elements;
use memsnap::ops::diff::{Compared, Options, Report, Side, diff};
use memsnap::ops::set::{Member, SetEntry};
use memsnap::ops::{HowRead, Operand};
use memsnap::program::signal::MessageOnSignal;
use serde::Serialize;

use super::common_flags::{Global, LockFlag, ReadingFlags};
use super::exit::Exit;
use super::json::{JsonPath, object};
use super::metadata;
use super::number_type::{self, NumberType};
use super::operands::two_sides;
use super::screen::Screen;
use super::units::{self, Bytes, count};
use super::{escape, help, sets};
use common::Counted;
pub(crate) use common::columns;
use tally::Tally;

/// Show which pages differ between A and B
///
/// A and B are files or snapshots, in any mix: FILE, FILE@3, FILE@latest.
/// With A alone, compares its latest snapshot with the file as it is now. Two
/// plain files need no store. Shows one line for each range of pages that
/// differ (half-open: the end is not part of it), then a summary. On a
/// terminal, output longer than the screen goes through a pager.
///
/// Compares bytes, never times. Mode, owner and attributes that differ between
/// two states of one FILE are reported, but are not a difference. Two snapshots
/// are compared by the digests of their pages, without reading the pages.
///
/// Examples:
///
///   memsnap diff db.bin              changes since the latest snapshot
///   memsnap diff db.bin@1..latest    changes since the first
///   memsnap diff old.img new.img     two files, no snapshots
///   memsnap diff --hex -U 2 db.bin   the bytes themselves, old beside new
///   memsnap diff --range 4k..1M a b  only these bytes
///   memsnap diff --as f32 w.bin@1..2 numbers that changed, old -> new
///   memsnap diff --elements counts@1 elements of a persistent vector
///   memsnap diff --pages db.bin | while read -r page; do ...; done
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = help::DIFF_EXIT)]
#[command(group = clap::ArgGroup::new("form")
    .args(["pages", "unit", "hex", "as_type", "map", "elements"]))]
pub(crate) struct Args {
    /// A file, a snapshot FILE@REF, two of them FILE@A..B, or a set:ID
    #[arg(value_name = "A", value_hint = ValueHint::FilePath)]
    a: OsString,
    /// The other side; by default, the file as it is now
    #[arg(value_name = "B", value_hint = ValueHint::FilePath)]
    b: Option<OsString>,
    /// Name A by REF, and B if given twice; do not split names at @
    #[arg(long, value_name = "REF", allow_hyphen_values = true)]
    at: Vec<String>,
    /// Compare only these bytes: 4k..1M, 0x1000+64, page:17
    ///
    /// The rest is not read. With --as, it must not split a number.
    #[arg(long, value_name = "RANGE", value_parser = units::range, verbatim_doc_comment)]
    #[arg(conflicts_with_all = ["map", "elements"])]
    range: Option<Bytes>,
    /// Show only the summary
    #[arg(long, conflicts_with_all = ["pages", "unit", "hex", "as_type", "map"])]
    stat: bool,
    /// Show only page numbers, one a line
    #[arg(long)]
    pages: bool,
    /// Show ranges of pages or of bytes
    ///
    /// With byte, bytes that only one side has count as changed. With page,
    /// zeros past the end of one side do not.
    #[arg(long, value_name = "UNIT", value_enum, verbatim_doc_comment)]
    unit: Option<Unit>,
    /// Show rows of bytes that changed, old beside new
    ///
    /// A row has 8 bytes, or 16 if the terminal is wide enough. Changed bytes
    /// are coloured; without colours they are in brackets.
    #[arg(long, verbatim_doc_comment)]
    hex: bool,
    /// Show N rows of context around changed rows
    #[arg(short = 'U', long, value_name = "N", default_value = "0", requires = "hex", hide_default_value = true)]
    context: u32,
    /// Show numbers that changed, as index: old -> new
    ///
    /// u8 to u64, i8 to i64, f16 to f64, bf16; little-endian, or big-endian
    /// with a suffix be, as in u32be. The index counts from the start of the
    /// file. Numbers that only one side has count as changed.
    #[arg(long = "as", id = "as_type", value_name = "TYPE", value_parser = number_type::parse, verbatim_doc_comment)]
    as_type: Option<NumberType>,
    /// Treat all NaNs as equal, whatever their bits
    #[arg(long, requires = "as_type")]
    nan_equal: bool,
    /// Draw a map of where in the file the changes are
    #[arg(long)]
    map: bool,
    /// Show at most N changes, and how many more there are
    ///
    /// Consecutive rows of zeros that only one side has are one change.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Show which elements of persistent vectors differ, by their indexes
    ///
    /// Both sides must hold elements of the same type. Elements that only one
    /// side has count as changed.
    #[arg(long, verbatim_doc_comment)]
    elements: bool,
    /// Do not start a pager
    #[arg(long)]
    no_pager: bool,
    #[command(flatten)]
    lock: LockFlag,
    #[command(flatten)]
    reading: ReadingFlags,
}

/// A file that only one of two sets has.
fn only_in(path: &Path, which: &str, screen: &mut Screen) -> anyhow::Result<Exit> {
    match screen.is_json() {
        true => screen.json(
            &object! { schema: "memsnap.diff.only.1", #[serde(flatten)] path: JsonPath::of(path), side: which },
        )?,
        false => screen.line(&format!("{}: only in the {which}", escape::path(path)))?,
    }
    Ok(Exit::Differs)
}

/// The unit of ranges.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Unit {
    Page,
    Byte,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Exit> {
        if self.at.len() > 2 {
            return Err(
                memsnap::Error::refused("--at was given more than twice", "give it once for A and once for B").into()
            );
        }
        if self.a == "-" || self.b.as_ref().is_some_and(|b| b == "-") {
            let hint = "write it to a file first; a file named - is ./-";
            return Err(memsnap::Error::refused("diff does not read standard input", hint).into());
        }
        let reading = self.reading.reading(self.lock.lock);
        let options = Options::default().store(global.store.clone()).reading(reading).range(self.range);
        if let Some(set) = sets::find(&self.a, global.store.as_deref()).context("reading a set")? {
            return self.sets(&set, &options, global, screen);
        }
        let (a, b) = two_sides(&self.a, self.b.as_ref(), &self.at, screen)?;
        self.compare(&a, b.as_ref(), &options, global, screen)
    }

    /// Compares each member of a set with the file as it is now, or with the same member of another set.
    fn sets(&self, a: &SetEntry, options: &Options, global: &Global, screen: &mut Screen) -> anyhow::Result<Exit> {
        let b = match &self.b {
            None => None,
            Some(b) => match sets::find(b, global.store.as_deref()).context("reading a set")? {
                Some(b) => Some(b),
                None => {
                    let hint = "name another set, or leave it out to compare with the files as they are now";
                    return Err(memsnap::Error::refused("a set is compared with a set", hint).into());
                }
            },
        };
        let side = |member: &Member| Operand::new(&member.path, Ref::Prefix(member.id.to_string()));
        let mut worst = Exit::Done;
        for member in &a.members {
            let other = match &b {
                None if !member.path.exists() => None,
                None => Some(Operand::new(&member.path, Ref::Now)),
                Some(b) => b.members.iter().find(|other| other.path == member.path).map(side),
            };
            worst = worst.max(match other {
                Some(other) => self.compare(&side(member), Some(&other), options, global, screen)?,
                None => only_in(&member.path, "first", screen)?,
            });
        }
        let only_b = b.iter().flat_map(|b| &b.members).filter(|member| a.members.iter().all(|o| o.path != member.path));
        for member in only_b {
            worst = worst.max(only_in(&member.path, "second", screen)?);
        }
        Ok(worst)
    }

    fn compare(
        &self,
        a: &Operand,
        b: Option<&Operand>,
        options: &Options,
        global: &Global,
        screen: &mut Screen,
    ) -> anyhow::Result<Exit> {
        if self.elements {
            return self.elements(a, b, options, screen);
        }
        let words = (!screen.is_json()).then(|| MessageOnSignal::new("\nmemsnap: interrupted: nothing was changed\n"));
        let bar = screen.bar();
        let compared = diff(a, b, options, &bar);
        drop((bar, words));
        let compared = compared.with_context(|| self.doing())?;
        screen.page(self.no_pager);
        self.whole_numbers(&compared)?;
        let mut report = compared.report();
        let live = |side: &Operand| matches!(side.at, None | Some(Ref::Now));
        if live(a) && b.is_some_and(live) {
            plain_names(&mut report);
        }
        let found = match self.show(&compared, &report, screen) {
            // The reader has closed the pipe: what it has seen differs.
            Err(_) if screen.closed() => return Ok(Exit::Differs),
            found => found.with_context(|| self.doing())?,
        };
        let same = found.same;
        self.summary(&report, found, &compared, screen)?;
        if global.verbose && !screen.is_json() {
            for side in [&report.a, &report.b] {
                if let Some(image) = side.image {
                    screen.line(&format!("image of {}: {image}", side.name))?;
                }
            }
            if let Some(how) = &report.how {
                let was = if matches!(how, HowRead::Nothing(_)) { "was not read" } else { "was read as a whole" };
                screen.line(&format!("the file {was}: {}", how.why()))?;
            }
        }
        Ok(if same { Exit::Done } else { Exit::Differs })
    }

    /// Refuses a range that begins or ends within a number, which could not be shown.
    fn whole_numbers(&self, compared: &Compared) -> anyhow::Result<()> {
        let (Some(typed), Some((start, end))) = (self.as_type, self.range) else { return Ok(()) };
        let size = typed.size() as u64;
        if start.is_multiple_of(size) && (end.is_multiple_of(size) || end >= compared.len()) {
            return Ok(());
        }
        let what = format!("the range {start}..{end} begins or ends within a number of {size} bytes");
        Err(memsnap::Error::refused(what, format!("use multiples of {size}")).into())
    }

    fn doing(&self) -> String {
        match &self.b {
            Some(b) => format!("comparing {} with {}", escape::os(&self.a), escape::os(b)),
            None => format!("comparing {}", escape::os(&self.a)),
        }
    }

    /// Shows what differs, in the chosen form.
    fn show(&self, compared: &Compared, report: &Report, screen: &mut Screen) -> anyhow::Result<Counted> {
        let tally = Tally::new(self.limit);
        if self.stat {
            return Ok(Counted::pages(report));
        }
        if self.map {
            return map::show(compared, screen).map(|()| Counted::pages(report));
        }
        if self.hex {
            return hex_rows::show(compared, report, u64::from(self.context), tally, screen);
        }
        if let Some(typed) = self.as_type {
            return numbers::show(compared, report, (typed, self.nan_equal), tally, screen);
        }
        match self.unit {
            Some(Unit::Byte) => bytes::show(compared, report, tally, screen),
            _ => pages::show(compared, self.pages, tally, screen).map(|()| Counted::pages(report)),
        }
    }

    fn elements(
        &self,
        a: &Operand,
        b: Option<&Operand>,
        options: &Options,
        screen: &mut Screen,
    ) -> anyhow::Result<Exit> {
        let bar = screen.bar();
        screen.page(self.no_pager);
        let report = diff_elements(a, b, options, &bar);
        drop(bar);
        let report = report.with_context(|| self.doing())?;
        let mut tally = Tally::new(self.limit);
        for range in report.ranges().filter(|_| !self.stat) {
            if tally.take(1) {
                elements::show(range, screen)?;
            }
        }
        tally.tell_rest("range", screen)?;
        elements::summary(&report, screen)
    }

    fn summary(&self, report: &Report, found: Counted, compared: &Compared, screen: &mut Screen) -> anyhow::Result<()> {
        if screen.is_json() {
            return screen.json(&json(report, &found, self.range.map(|_| compared.span())));
        }
        let mut text = summary_line(report, found.what, screen);
        if self.range.is_some() {
            let span = compared.span();
            text += &format!("; only bytes {}..{} compared", span.start, span.end);
        }
        if self.pages || found.same && !self.stat {
            screen.say(&text);
            return Ok(());
        }
        screen.line(&text)
    }
}

/// Removes ` now` from the names of two files: without snapshots it means nothing.
fn plain_names(report: &mut Report) {
    for side in [&mut report.a, &mut report.b] {
        side.name.truncate(side.name.strip_suffix(" now").unwrap_or(&side.name).len());
    }
}

fn summary_line(report: &Report, what: Option<String>, screen: &Screen) -> String {
    let (a, b, sizes) = (&report.a, &report.b, screen.sizes);
    let metadata = metadata::words(&report.metadata).join(", ");
    if report.same {
        let (a, b, len) = (&a.name, &b.name, sizes.show(a.len));
        return match metadata.is_empty() {
            true => format!("{a} and {b} are the same, {len}"),
            false => format!("{a} and {b} have the same content, {len}; metadata differs: {metadata}"),
        };
    }
    let metadata = if metadata.is_empty() { metadata } else { format!(", {metadata}") };
    let length = match a.len == b.len {
        true => format!("length {}", sizes.show(a.len)),
        false => format!("length {}", sizes.step(a.len, b.len)),
    };
    let what = what.unwrap_or_else(|| {
        let (pages, ranges) = (count(report.pages_changed, "page"), count(report.ranges, "range"));
        let differ = units::differ(report.pages_changed);
        format!("{pages} in {ranges} {differ} ({})", sizes.show(report.bytes_changed))
    });
    format!("{} -> {}: {what}, {length}{metadata}", a.name, b.name)
}

fn json(report: &Report, found: &Counted, range: Option<Range<u64>>) -> impl Serialize {
    // The image is unknown when two files are compared.
    let side =
        |side: &Side| object! { name: side.name.clone(), len: side.len, image: side.image.map(|id| id.to_string()) };
    let metadata = metadata::json(&report.metadata);
    object! {
        schema: "memsnap.diff.1",
        a: side(&report.a),
        b: side(&report.b),
        #[serde(flatten)] range: range.map(|range| object! { range: object! { start: range.start, end: range.end } }),
        pages_changed: report.pages_changed,
        ranges: report.ranges,
        bytes_in_pages: report.bytes_changed, // up to the end of the longer side
        #[serde(flatten)] bytes: found.bytes.map(|bytes_changed| object! { bytes_changed }),
        #[serde(flatten)] changes: found.json.map(|changes| object! { changes }),
        same: found.same,
        #[serde(flatten)] how: report.how.as_ref().map(|how| object! { read: how.word(), read_reason: how.why() }),
        #[serde(flatten)] metadata: (!metadata.is_empty()).then(|| object! { metadata }),
    }
}
