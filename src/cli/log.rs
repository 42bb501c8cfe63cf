//! `memsnap log`.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use clap::ValueHint;
use clap::builder::RangedU64ValueParser;
use jiff::{Timestamp, tz::TimeZone};
use memsnap::ops::log::{Entry, Listing, Options, log};
use memsnap::pack::SnapshotKind;
use serde::Serialize;

use super::exit::Exit;
use super::flags::Global;
use super::json::JsonPath;
use super::metadata::JsonMeta;
use super::operands::without_ref;
use super::screen::Screen;
use super::units::{Bytes, age, ago, count};
use super::{escape, metadata, text, units};

/// List the snapshots of FILE, or of all files
///
/// Shows one line for each snapshot, the newest last: number, id and age, the
/// length of the file, the pages that changed and the bytes stored, the
/// grade, tags and message. Snapshots that memsnap took by itself before it
/// wrote to the file are marked (undo); those of what it wrote are marked
/// (result). Without FILE, lists all files of the store in this directory.
///
/// With -v, shows a block of lines for each snapshot: also the full id, exact
/// time, reason for the grade, changes of mode, owner and attributes, and the
/// image digest, which identifies the base and the result of a delta.
///
/// Reads only the store, never the file.
///
/// Examples:
///
///   memsnap log db.bin
///   memsnap log db.bin --range 0x4000+512    which changed these bytes?
///   memsnap log -n 1 --json db.bin | jq -r .id
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = text::LOG_EXIT)]
pub(crate) struct Args {
    /// The file; without it, all files of the store
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// Show only snapshots that changed a byte of this range
    #[arg(short, long, value_name = "RANGE", value_parser = units::range)]
    range: Option<Bytes>,
    /// Show only the newest N snapshots of each file
    #[arg(short = 'n', long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    newest: Option<usize>,
}

#[derive(Serialize)]
struct JsonEntry<'a> {
    schema: &'static str,
    #[serde(flatten)]
    path: JsonPath,
    number: u64,
    id: String,
    image: String,
    parent: Option<String>,
    time: Option<String>,
    time_ns: i64,
    len: u64,
    pages_changed: u64,
    metadata: Vec<JsonMeta>,
    bytes_stored: u64,
    grade: String,
    reason: &'a str,
    automatic: bool,
    tags: &'a [String],
    message: &'a str,
    host: &'a str,
    version: &'a str,
}

/// What is wrong with the history of a file; the list is valid all the same.
#[derive(Serialize)]
struct JsonFault<'a> {
    schema: &'static str,
    #[serde(flatten)]
    path: JsonPath,
    faults: &'a [String],
    interrupted: bool,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Exit> {
        let options = Options::default().store(global.store.clone()).range(self.range);
        let file = self.file.as_deref();
        let found = log(file, &options).map_err(|e| match file {
            Some(file) => without_ref(e, file, "log"),
            None => e,
        });
        let mut listings = found.with_context(|| match &self.file {
            Some(file) => format!("listing the snapshots of {}", escape::path(file)),
            None => "listing all snapshots".into(),
        })?;
        for listing in &mut listings {
            let left_out = listing.snapshots.len().saturating_sub(self.newest.unwrap_or(usize::MAX));
            listing.snapshots.drain(..left_out);
        }
        let mut exit = Exit::Done;
        for (i, listing) in listings.iter().enumerate() {
            if screen.is_json() {
                render_json(listing, screen)?;
            } else {
                if self.file.is_none() {
                    let gap = if i == 0 { "" } else { "\n" };
                    screen.own_text(gap)?;
                    screen.heading(&escape::path(&listing.path))?;
                }
                render_text(listing, global, screen)?;
            }
            if !listing.faults.is_empty() {
                exit = exit.worst(if listing.damaged { Exit::Damaged } else { Exit::Trouble });
            }
        }
        if listings.iter().all(|listing| listing.snapshots.is_empty()) {
            screen.say(if self.range.is_some() { "no snapshot changed this range" } else { "no snapshots" });
        }
        Ok(exit)
    }
}

fn render_text(listing: &Listing, global: &Global, screen: &mut Screen) -> anyhow::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_nanos() as i64);
    match global.verbose {
        true => blocks(listing, now, screen)?,
        false => table(listing, now, screen)?,
    }
    for fault in &listing.faults {
        screen.warn(&format!("{}: {fault}", escape::path(&listing.path)));
    }
    if listing.interrupted {
        let (path, recover) = (escape::path(&listing.path), global.command("recover", &listing.path));
        screen.warn(&format!("{path}: a change was interrupted; `{recover}` finishes it or rolls it back"));
    }
    Ok(())
}

/// One row for each snapshot.
fn table(listing: &Listing, now: i64, screen: &mut Screen) -> anyhow::Result<()> {
    if listing.snapshots.is_empty() {
        return Ok(());
    }
    let mut rows =
        vec![["#", "ID          ", "AGE", "LENGTH", "PAGES", "STORED", "GRADE", "MESSAGE"].map(String::from)];
    rows.extend(listing.snapshots.iter().map(|entry| row(entry, now, screen)));
    let mut lines = aligned(&rows).into_iter();
    if let Some(head) = lines.next() {
        screen.heading(&head)?;
    }
    lines.try_for_each(|line| screen.line(&line))
}

fn row(entry: &Entry, now: i64, screen: &Screen) -> [String; 8] {
    let tags = entry.tags.iter().map(|tag| format!("[{tag}]"));
    let kind = kind(entry.kind).map(|(name, _)| format!("({name})"));
    let message = Some(entry.message.clone()).filter(|message| !message.is_empty());
    let notes: Vec<String> = tags.chain(kind).chain(message).collect();
    [
        entry.number.to_string(),
        entry.id.to_hex()[..12].into(),
        age(now, entry.time_ns),
        screen.sizes.show(entry.len),
        entry.pages_changed.to_string(),
        screen.sizes.show(entry.bytes_stored),
        entry.grade.to_string(),
        escape::text(&notes.join(" ")),
    ]
}

/// What an automatic snapshot is called, and why there is one.
fn kind(kind: SnapshotKind) -> Option<(&'static str, &'static str)> {
    match kind {
        SnapshotKind::Asked => None,
        SnapshotKind::Undo => Some(("undo", "the content before a change, saved automatically")),
        SnapshotKind::Result => Some(("result", "the content after a change, saved automatically")),
    }
}

/// One block of lines for each snapshot, with all that is known of it.
fn blocks(listing: &Listing, now: i64, screen: &mut Screen) -> anyhow::Result<()> {
    for (i, entry) in listing.snapshots.iter().enumerate() {
        if i > 0 {
            screen.line("")?;
        }
        screen.heading(&format!("snapshot {}  {}", entry.number, entry.id.to_hex()))?;
        for (label, text) in block(entry, now, screen) {
            screen.line(&format!("  {label:<8}  {text}"))?;
        }
        if !entry.message.is_empty() {
            screen.line("")?;
            screen.line(&format!("    {}", entry.message))?;
        }
    }
    Ok(())
}

fn block(entry: &Entry, now: i64, screen: &Screen) -> Vec<(&'static str, String)> {
    let sizes = screen.sizes;
    let (pages, stored) = (count(entry.pages_changed, "page"), sizes.show(entry.bytes_stored));
    let reason = if entry.reason.is_empty() { String::new() } else { format!(": {}", entry.reason) };
    let optional = |label, text: String| (!text.is_empty()).then_some((label, text));
    let lines = [
        Some(("time", format!("{} ({})", local_time(entry.time_ns), ago(now, entry.time_ns)))),
        entry.parent.as_ref().map(|id| ("parent", id.to_hex())),
        Some(("image", entry.image.to_hex())),
        Some(("length", sizes.show(entry.len))),
        Some(("changed", format!("{pages}, {stored} stored"))),
        optional("metadata", metadata::words(&entry.metadata).join(", ")),
        Some(("grade", format!("{}{reason}", entry.grade))),
        kind(entry.kind).map(|(name, why)| ("kind", format!("{name}: {why}"))),
        optional("tags", entry.tags.join(", ")),
        optional("host", entry.host.clone()),
    ];
    lines.into_iter().flatten().collect()
}

/// Columns as wide as their widest cell; numbers are aligned right.
fn aligned(rows: &[[String; 8]]) -> Vec<String> {
    const RIGHT: [bool; 8] = [true, false, true, true, true, true, false, false];
    let width = |column: usize| rows.iter().map(|row| escape::columns(&row[column])).max().unwrap_or(0);
    let widths: [usize; 8] = std::array::from_fn(width);
    let line = |row: &[String; 8]| {
        let cells: Vec<_> = (0..row.len()).map(|i| escape::padded(&row[i], widths[i], RIGHT[i])).collect();
        cells.join("  ").trim_end().to_string()
    };
    rows.iter().map(line).collect()
}

/// Formats a time in nanoseconds since 1970, in the local time zone.
pub(crate) fn local_time(ns: i64) -> String {
    match Timestamp::from_nanosecond(ns.into()) {
        Ok(time) => time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => "?".into(),
    }
}

fn render_json(listing: &Listing, screen: &mut Screen) -> anyhow::Result<()> {
    for entry in &listing.snapshots {
        screen.json(&json(entry, listing))?;
    }
    if !listing.faults.is_empty() || listing.interrupted {
        let (faults, interrupted) = (&listing.faults[..], listing.interrupted);
        screen.json(&JsonFault {
            schema: "memsnap.log.fault.1",
            path: JsonPath::of(&listing.path),
            faults,
            interrupted,
        })?;
    }
    Ok(())
}

fn json<'a>(entry: &'a Entry, listing: &Listing) -> JsonEntry<'a> {
    JsonEntry {
        schema: "memsnap.log.1",
        path: JsonPath::of(&listing.path),
        number: entry.number,
        id: entry.id.to_hex(),
        image: entry.image.to_hex(),
        parent: entry.parent.as_ref().map(|id| id.to_hex()),
        time: Timestamp::from_nanosecond(entry.time_ns.into()).ok().map(|time| time.to_string()),
        time_ns: entry.time_ns,
        len: entry.len,
        pages_changed: entry.pages_changed,
        metadata: metadata::json(&entry.metadata),
        bytes_stored: entry.bytes_stored,
        grade: entry.grade.to_string(),
        reason: &entry.reason,
        automatic: entry.automatic,
        tags: &entry.tags,
        message: &entry.message,
        host: &entry.host,
        version: &entry.version,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let row = |number: &str, message: &str| {
            let mut row = ["1", "id", "2 h", "1 B", "3", "4 B", "proven", ""].map(String::from);
            (row[0], row[7]) = (number.into(), message.into());
            row
        };
        let lines = aligned(&[row("1", ""), row("10", "now")]);
        assert_eq!(lines[0], " 1  id  2 h  1 B  3  4 B  proven");
        assert_eq!(lines[1], "10  id  2 h  1 B  3  4 B  proven  now");
        let rows = ["\u{6f22}", "e\u{301}", "ab"].map(|age| {
            let mut row = row("1", "x");
            row[2] = age.into();
            row
        });
        let ends: Vec<_> = aligned(&rows).iter().map(|line| escape::columns(line)).collect();
        assert_eq!(ends, [ends[0]; 3]);
    }
}
