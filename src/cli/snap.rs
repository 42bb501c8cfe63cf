//! `memsnap snap`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueHint;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use memsnap::capture::Companion;
use memsnap::ops::operand::check_tag;
use memsnap::ops::snap::{Options, Report, snap};
use memsnap::ops::stat::Format;
use memsnap::ops::vec::ElementType;
use memsnap::pack::{FrameCounts, Grade};
use memsnap::program::signal::LastWords;
use serde::Serialize;

use super::exit::Exit;
use super::flags::{Global, LockFlag, ReadingFlags, StoringFlags, without_ref};
use super::json::JsonPath;
use super::metadata::{self, JsonMeta};
use super::screen::Screen;
use super::units::{count, duration};
use super::{escape, text, units};

/// Keep each FILE as it is now
///
/// Reads the file, and stores the pages that differ from the snapshot before.
/// Prints the id of the snapshot on stdout, one line for each FILE, and
/// messages on stderr. If nothing changed since the latest snapshot, none is
/// made and the id of that one is printed, unless the new grade is better. A
/// FILE that a revert brought back to an earlier snapshot gets a new one.
/// A new mode, owner or attribute is a change; new times alone are none.
///
/// Each snapshot is graded by how far it is known to be of one moment:
///
///   proven     nobody could write meanwhile (the kernel's word: a lease)
///   claimed    you assert it (--lock: all writers use flock); on tmpfs, the
///              lease alone, which does not exclude writes to pinned pages
///   unproven   somebody had it open for writing, or nobody can tell
///
/// Never writes to the file, moves its times or waits for its writers.
/// Whether a page changed is decided by its bytes, never by the file's time.
///
/// Examples:
///
///   memsnap snap -m 'before the upgrade' --tag before-upgrade db.bin
///   flock state.bin memsnap snap --lock state.bin
///   id=$(memsnap snap -q --require proven disk.img) && echo "$id"
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = text::SNAP_EXIT)]
pub(crate) struct Args {
    /// Files to keep
    #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    files: Vec<PathBuf>,
    /// Say why, in the log
    #[arg(short, long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    message: String,
    /// Name the snapshot, so that FILE@TAG means it; may be repeated
    #[arg(short, long = "tag", value_name = "TAG", value_parser = tag)]
    tags: Vec<String>,
    /// Make a snapshot even if nothing changed
    #[arg(long)]
    always: bool,
    /// Begin a new history for a FILE that was renamed and has one
    ///
    /// Without it, snap stops where a FILE without history has the inode and
    /// pages of one that is gone: `memsnap adopt` continues its history.
    #[arg(long, verbatim_doc_comment)]
    new: bool,
    /// Exit with 3 below this grade: none, claimed or proven
    #[arg(long, value_name = "GRADE", default_value = "claimed", hide_possible_values = true)]
    #[arg(value_parser = PossibleValuesParser::new(["none", "claimed", "proven"]).try_map(|grade| units::grade(&grade)))]
    require: Grade,
    /// Keep nothing that is below the required grade
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    storing: StoringFlags,
    #[command(flatten)]
    lock: LockFlag,
    #[command(flatten)]
    reading: ReadingFlags,
}

#[derive(Serialize)]
struct JsonReport {
    schema: &'static str,
    #[serde(flatten)]
    path: JsonPath,
    id: Option<String>,
    number: u64,
    new: bool,
    len: u64,
    pages_changed: u64,
    bytes_changed: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metadata: Vec<JsonMeta>,
    bytes_stored: u64,
    frames: JsonFrames,
    grade: String,
    reason: String,
    below: bool,
    repaired: u64,
    damage: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    elements: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
    warnings: Vec<String>,
    seconds: f64,
}

/// How many frames are stored in which way.
#[derive(Serialize)]
struct JsonFrames {
    raw: u64,
    zstd: u64,
}

impl Args {
    /// Goes on after a file that fails; the worst code is the verdict.
    pub(crate) fn run(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Exit> {
        let options = Options {
            store: global.store.clone(),
            message: self.message.clone(),
            tags: self.tags.clone(),
            compress: self.storing.compress,
            always: self.always,
            require: self.require,
            new: self.new,
            strict: self.strict,
            reserve: self.storing.reserve,
            reading: self.reading.reading(self.lock.lock),
        };
        let mut worst = Exit::Done;
        for file in &self.files {
            let words = format!(
                "\nmemsnap: snapping {}: interrupted: a snapshot is stored whole or not at all\n",
                escape::path(file)
            );
            let words = (!screen.is_json()).then(|| LastWords::are(&words));
            let bar = screen.bar();
            let report = snap(file, &options, &bar)
                .map_err(|e| without_ref(e, file, "snap"))
                .with_context(|| format!("snapping {}", escape::path(file)));
            drop((bar, words));
            let exit = match report {
                Ok(report) => {
                    let told = self.render(&report, file, global, screen);
                    let exit = verdict(&report);
                    // What cannot be told is kept all the same, and so are the other files.
                    told.map_or_else(|e| exit.worst(screen.fail(&e)), |()| exit)
                }
                Err(e) => screen.fail(&e),
            };
            worst = worst.worst(exit);
        }
        Ok(worst)
    }

    fn render(&self, report: &Report, file: &Path, global: &Global, screen: &mut Screen) -> anyhow::Result<()> {
        if screen.is_json() {
            screen.json(&json(report))?;
            return screen.flush();
        }
        report.warnings.iter().for_each(|warning| screen.warn(warning));
        if let Some(Format::BrokenVec(what)) = &report.format {
            screen.warn(&format!("{} is a persistent vector that cannot be used as it is: {what}", escape::path(file)));
        }
        let told = match &report.id {
            Some(id) => screen.line(&id.to_hex()).and_then(|()| screen.flush()),
            None => Ok(()),
        };
        screen.say(&format!("{}{}", story(report, file, global, screen), self.tagged(report)));
        if report.repaired > 0 {
            let pages = count(report.repaired, "damaged page");
            screen.warn(&format!("{pages} of earlier snapshots stored again from the file: is the disk sound?"));
        }
        for damage in &report.damage {
            screen.warn(&format!("{damage}; `{}` says more", global.command("verify", file)));
        }
        if report.below {
            screen.warn(&below(report));
        }
        told
    }

    /// The names that a snapshot was given which was there before.
    fn tagged(&self, report: &Report) -> String {
        match self.tags.is_empty() || report.new || report.id.is_none() {
            true => String::new(),
            false => format!("; tagged {}", self.tags.join(", ")),
        }
    }
}

/// A snapshot may be sound although earlier ones are not: whoever keeps a history should hear of it at once.
fn verdict(report: &Report) -> Exit {
    match report.damage.is_empty() {
        false => Exit::Damaged,
        true if report.below => Exit::Below,
        true => Exit::Done,
    }
}

/// `db.bin@3  1a2b3c4d5e6f  105 pages changed (420 KiB), 431 KiB stored, 0.12 s, proven`
fn story(report: &Report, file: &Path, global: &Global, screen: &Screen) -> String {
    let file = escape::path(if global.verbose { &report.path } else { file });
    let time = duration(report.elapsed);
    let grade = match report.grade {
        Grade::Proven if !global.verbose => report.grade.to_string(),
        // A warning may have given the reason.
        grade if report.reason.is_empty() || report.warnings.iter().any(|w| w.starts_with(&report.reason)) => {
            grade.to_string()
        }
        grade => format!("{grade}: {}", report.reason),
    };
    let Some(id) = &report.id else {
        return format!("{file}  not kept, {time}, {grade}");
    };
    let number = report.number;
    let id = &id.to_hex()[..12];
    if !report.new {
        return format!("{file}@{number}  {id}  unchanged since @{number}, {time}, {grade}");
    }
    let sizes = screen.sizes;
    let pages = count(report.pages_changed, "page");
    let changed = if number == 1 { "" } else { " changed" };
    let (bytes, stored) = (sizes.show(report.bytes_changed), sizes.show(report.bytes_stored));
    let metadata: String = metadata::words(&report.metadata).iter().map(|words| format!(", {words}")).collect();
    let how = if global.verbose { frames(report) } else { String::new() };
    let holds = holds(report);
    format!("{file}@{number}  {id}  {pages}{changed} ({bytes}){metadata}, {stored} stored{how}, {time}, {grade}{holds}")
}

/// How the pages are stored: who compresses wants to see that it does.
fn frames(report: &Report) -> String {
    match report.frames {
        FrameCounts { raw: 0, zstd: 0, .. } => String::new(),
        FrameCounts { raw, zstd, .. } => format!(" in {} ({raw} raw, {zstd} zstd)", count(raw + zstd, "frame")),
    }
}

/// What a snapshot of a persistent vector holds.
fn holds(report: &Report) -> String {
    vector(report).map_or(String::new(), |(kind, len)| format!("; {} ({})", count(len, "element"), kind.describe()))
}

fn vector(report: &Report) -> Option<(&ElementType, u64)> {
    match &report.format {
        Some(Format::Vec { kind, len }) => Some((kind, *len)),
        _ => None,
    }
}

fn below(report: &Report) -> String {
    let kept = match report.id {
        Some(_) if report.new => "kept and marked",
        Some(_) => "no new snapshot, as the file did not change",
        None => "not kept",
    };
    let remedy = match (report.grade, Companion::hot_beside(&report.path)) {
        (Grade::Unproven, Some(log)) => {
            let log = escape::text(&log.name());
            format!("see to the {log} first, as the warning says, or allow it with --require none")
        }
        _ if report.reason.starts_with("not the owner") => {
            let run = "run as the owner of the file or as root, use --lock if all its writers use flock";
            format!("{run}, or allow it with --require none")
        }
        (Grade::Unproven, None) => {
            "let its writers finish, use --lock if they all use flock, or allow it with --require none".into()
        }
        _ => "let its writers finish, or allow it with --require claimed".into(),
    };
    format!("below the required grade, {kept}: {remedy}")
}

fn json(report: &Report) -> JsonReport {
    let vector = vector(report);
    JsonReport {
        schema: "memsnap.snap.1",
        path: JsonPath::of(&report.path),
        id: report.id.as_ref().map(|id| id.to_hex()),
        number: report.number,
        new: report.new,
        len: report.len,
        pages_changed: report.pages_changed,
        bytes_changed: report.bytes_changed,
        metadata: metadata::json(&report.metadata),
        bytes_stored: report.bytes_stored,
        frames: JsonFrames { raw: report.frames.raw, zstd: report.frames.zstd },
        grade: report.grade.to_string(),
        reason: report.reason.clone(),
        below: report.below,
        repaired: report.repaired,
        damage: report.damage.clone(),
        elements: vector.map(|(_, len)| len),
        r#type: vector.map(|(kind, _)| kind.describe()),
        warnings: report.warnings.clone(),
        seconds: report.elapsed.as_secs_f64(),
    }
}

fn tag(text: &str) -> Result<String, String> {
    check_tag(text).map(|()| text.into()).map_err(|e| format!("{e}; {}", e.hint()))
}
