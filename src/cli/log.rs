//! `memsnap log`.

use std::path::PathBuf;

use anyhow::Context;
use clap::ValueHint;
use clap::builder::RangedU64ValueParser;
use jiff::{Timestamp, tz::TimeZone};
use memsnap::ops::log::{Entry, Listing, Options, log};
use memsnap::pack::SnapshotKind;
use memsnap::sys::id::now_ns;
use serde::Serialize;

use super::common_flags::Global;
use super::exit::Exit;
use super::json::{JsonPath, object};
use super::operands::without_ref;
use super::screen::Screen;
use super::units::{Bytes, age, ago, count};
use super::{escape, help, metadata, sets, table, units};

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
#[command(verbatim_doc_comment, after_long_help = help::LOG_EXIT)]
pub(crate) struct Args {
    /// The file, or a set; without it, all files of the store
    #[arg(value_name = "FILE|set:ID", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// List the sets of the store
    #[arg(long, conflicts_with_all = ["file", "range"])]
    sets: bool,
    /// Show only snapshots that changed a byte of this range
    #[arg(short, long, value_name = "RANGE", value_parser = units::range)]
    range: Option<Bytes>,
    /// Show only the newest N snapshots of each file
    #[arg(short = 'n', long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    newest: Option<usize>,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Exit> {
        if self.sets {
            return self.sets(global, screen);
        }
        let set = self.file.as_ref().and_then(|file| sets::find(file.as_os_str(), global.store.as_deref()).transpose());
        if let Some(set) = set {
            let set = set.context("reading a set")?;
            if screen.is_json() {
                screen.json(&sets::json(&set))?
            } else {
                sets::show(&set, screen)?
            }
            return Ok(Exit::Done);
        }
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
                exit = exit.max(if listing.damaged { Exit::Damaged } else { Exit::Trouble });
            }
        }
        if listings.iter().all(|listing| listing.snapshots.is_empty()) {
            screen.say(if self.range.is_some() { "no snapshot changed this range" } else { "no snapshots" });
        }
        Ok(exit)
    }
}

impl Args {
    /// One line for each set; with -v, its members too.
    fn sets(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Exit> {
        let (mut found, faults) = memsnap::ops::set::sets(global.store.as_deref()).context("listing the sets")?;
        found.drain(..found.len().saturating_sub(self.newest.unwrap_or(usize::MAX)));
        for set in &found {
            match screen.is_json() {
                true => screen.json(&sets::json(set))?,
                false if global.verbose => sets::show(set, screen)?,
                false => {
                    let line = sets::line(set, screen);
                    screen.line(&line)?;
                }
            }
        }
        if found.is_empty() {
            screen.say("no sets");
        }
        faults.iter().for_each(|fault| screen.warn(&fault.to_string()));
        let whole = faults.is_empty() && found.iter().all(|set| set.faults.is_empty());
        Ok(if whole { Exit::Done } else { Exit::Damaged })
    }
}

fn render_text(listing: &Listing, global: &Global, screen: &mut Screen) -> anyhow::Result<()> {
    let now = now_ns();
    match global.verbose {
        true => blocks(listing, now, screen)?,
        false => rows(listing, now, screen)?,
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
fn rows(listing: &Listing, now: i64, screen: &mut Screen) -> anyhow::Result<()> {
    if listing.snapshots.is_empty() {
        return Ok(());
    }
    let mut rows =
        vec![["#", "ID          ", "AGE", "LENGTH", "PAGES", "STORED", "GRADE", "MESSAGE"].map(String::from)];
    rows.extend(listing.snapshots.iter().map(|entry| row(entry, now, screen)));
    const RIGHT: [bool; 8] = [true, false, true, true, true, true, false, false]; // numbers
    let mut lines = table::lines(&rows, |i| RIGHT[i]).into_iter();
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
        format!("{:.12}", entry.id),
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
        screen.heading(&format!("snapshot {}  {}", entry.number, entry.id))?;
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
        entry.parent.as_ref().map(|id| ("parent", id.to_string())),
        Some(("image", entry.image.to_string())),
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
    if listing.faults.is_empty() && !listing.interrupted {
        return Ok(());
    }
    // The list is valid all the same.
    screen.json(&object! {
        schema: "memsnap.log.fault.1",
        #[serde(flatten)] path: JsonPath::of(&listing.path),
        faults: &listing.faults,
        interrupted: listing.interrupted,
    })
}

fn json(entry: &Entry, listing: &Listing) -> impl Serialize {
    object! {
        schema: "memsnap.log.1",
        #[serde(flatten)] path: JsonPath::of(&listing.path),
        number: entry.number,
        id: entry.id.to_string(),
        image: entry.image.to_string(),
        parent: entry.parent.as_ref().map(ToString::to_string),
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
