//! `memsnap diff`.

use std::ffi::OsString;

use anyhow::Context;
use clap::ValueHint;
use memsnap::ops::diff::{Options, Report, diff};
use memsnap::ops::elements::diff_elements;
use memsnap::ops::operand::{Operand, Ref};
use memsnap::page::{PAGE64, PageRange};
use serde::Serialize;

use super::exit::Exit;
use super::flags::{Global, LockFlag, ReadingFlags, two_sides};
use super::json::JsonRange;
use super::screen::Screen;
use super::units::count;
use super::{elements, escape, text};

/// Show which pages differ between A and B
///
/// A and B are files or snapshots, in any mix: FILE, FILE@3, FILE@latest.
/// With A alone, its latest snapshot is compared with the file as it is. Two
/// plain files need no store. One line for each run of pages that differ (the
/// end is not part of it), then a summary.
///
/// Compares bytes, never times. Snapshots are compared by what the store
/// knows of their pages; those are read only where that does not tell.
///
/// Examples:
///
///   memsnap diff db.bin              what changed since the last snapshot?
///   memsnap diff db.bin@1..latest    and since the first?
///   memsnap diff old.img new.img     two files, no snapshots
///   memsnap diff --elements counts@1 which elements of a persistent vector?
///   memsnap diff --pages db.bin | while read -r page; do ...; done
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = text::DIFF_EXIT)]
pub(crate) struct Args {
    /// A file, a snapshot FILE@REF, or two of them FILE@A..B
    #[arg(value_name = "A", value_hint = ValueHint::FilePath)]
    a: OsString,
    /// The other side; without it, the file as it is
    #[arg(value_name = "B", value_hint = ValueHint::FilePath)]
    b: Option<OsString>,
    /// The REF of A, and when given twice that of B; names are taken whole
    #[arg(long, value_name = "REF", allow_hyphen_values = true)]
    at: Vec<String>,
    /// Only the summary
    #[arg(long, conflicts_with = "pages")]
    stat: bool,
    /// Only page numbers, one a line
    #[arg(long)]
    pages: bool,
    /// Show which elements of persistent vectors differ, by their indexes
    ///
    /// Both sides must hold elements of the same type. Elements that only one
    /// side has count as changed.
    #[arg(long, conflicts_with = "pages", verbatim_doc_comment)]
    elements: bool,
    #[command(flatten)]
    lock: LockFlag,
    #[command(flatten)]
    reading: ReadingFlags,
}

#[derive(Serialize)]
struct JsonDiffRange {
    schema: &'static str,
    #[serde(flatten)]
    range: JsonRange,
}

#[derive(Serialize)]
struct JsonSummary {
    schema: &'static str,
    a: JsonSide,
    b: JsonSide,
    pages_changed: u64,
    ranges: u64,
    bytes_changed: u64,
    same: bool,
}

#[derive(Serialize)]
struct JsonSide {
    name: String,
    len: u64,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Exit> {
        if self.at.len() > 2 {
            return Err(memsnap::Error::refused("--at was given more than twice", "once for A, once for B").into());
        }
        let (a, b) = two_sides(&self.a, self.b.as_ref(), &self.at, screen)?;
        let options = Options { store: global.store.clone(), reading: self.reading.reading(self.lock.lock) };
        if self.elements {
            return self.elements(&a, b.as_ref(), &options, screen);
        }
        let bar = screen.bar();
        let mut shown = Ok(());
        // Held back one row: what the last one holds of the longer file is known at the end.
        let (mut held, mut before) = (None, 0);
        let report = diff(&a, b.as_ref(), &options, &bar, &mut |range| {
            let Some(range) = held.replace(range) else { return };
            let bytes = range.len() * PAGE64;
            before += bytes;
            if shown.is_ok() && screen.is_shared() {
                shown = bar.aside(|| self.show(&range, bytes, screen).and_then(|()| screen.flush()));
            } else if shown.is_ok() {
                shown = self.show(&range, bytes, screen);
            }
        });
        drop(bar);
        let mut report = report.with_context(|| self.doing())?;
        shown?;
        if let Some(range) = held {
            self.show(&range, report.bytes_changed.saturating_sub(before), screen)?;
        }
        let live = |side: &Operand| matches!(side.at, None | Some(Ref::Now));
        if live(&a) && b.as_ref().is_some_and(live) {
            plain_names(&mut report);
        }
        self.summary(&report, screen)?;
        Ok(if report.same { Exit::Done } else { Exit::Differs })
    }

    fn doing(&self) -> String {
        match &self.b {
            Some(b) => format!("comparing {} with {}", escape::os(&self.a), escape::os(b)),
            None => format!("comparing {}", escape::os(&self.a)),
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
        let mut shown = Ok(());
        let report = diff_elements(a, b, options, &bar, &mut |start, end| {
            if shown.is_ok() && !self.stat {
                shown = elements::show(start, end, screen);
            }
        });
        drop(bar);
        let report = report.with_context(|| self.doing())?;
        shown?;
        elements::summary(&report, screen)
    }

    fn show(&self, range: &PageRange, bytes: u64, screen: &mut Screen) -> anyhow::Result<()> {
        if self.stat {
            return Ok(());
        }
        if screen.is_json() {
            return screen.json(&JsonDiffRange { schema: "memsnap.diff.range.1", range: JsonRange::of(range) });
        }
        if self.pages {
            return (range.start..range.end).try_for_each(|page| screen.line(&page.to_string()));
        }
        let (pages, place) = columns(range);
        let size = screen.sizes.show(bytes);
        screen.line(&format!("pages {pages} {place} {size:>8}"))
    }

    fn summary(&self, report: &Report, screen: &mut Screen) -> anyhow::Result<()> {
        if screen.is_json() {
            return screen.json(&json(report));
        }
        let text = summary_line(report, screen);
        if self.pages || report.same && !self.stat {
            screen.say(&text);
            return Ok(());
        }
        screen.line(&text)
    }
}

/// The columns of a range: its pages, and its bytes.
pub(crate) fn columns(range: &PageRange) -> (String, String) {
    let pages = format!("{}..{}", range.start, range.end);
    let bytes = format!("{:#x}..{:#x}", range.offset(), range.end_offset());
    (format!("{pages:<18}"), format!("{bytes:<26}"))
}

/// Two files without any snapshot: that both are meant as they are now goes without saying.
fn plain_names(report: &mut Report) {
    for side in [&mut report.a, &mut report.b] {
        side.name.truncate(side.name.strip_suffix(" now").unwrap_or(&side.name).len());
    }
}

fn summary_line(report: &Report, screen: &Screen) -> String {
    let (a, b, sizes) = (&report.a, &report.b, screen.sizes);
    if report.same {
        return format!("{} and {} are the same, {}", a.name, b.name, sizes.show(a.len));
    }
    let (pages, ranges) = (count(report.pages_changed, "page"), count(report.ranges, "range"));
    let length = match a.len == b.len {
        true => format!("length {}", sizes.show(a.len)),
        false => format!("length {}", sizes.change(a.len, b.len)),
    };
    let changed = sizes.show(report.bytes_changed);
    format!("{} -> {}: {pages} in {ranges} differ ({changed}), {length}", a.name, b.name)
}

fn json(report: &Report) -> JsonSummary {
    JsonSummary {
        schema: "memsnap.diff.1",
        a: JsonSide { name: report.a.name.clone(), len: report.a.len },
        b: JsonSide { name: report.b.name.clone(), len: report.b.len },
        pages_changed: report.pages_changed,
        ranges: report.ranges,
        bytes_changed: report.bytes_changed,
        same: report.same,
    }
}
