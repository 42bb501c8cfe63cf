//! The report of `memsnap snap`, as text and as JSON.

use std::path::Path;

use memsnap::capture::Companion;
use memsnap::ops::snap::{Report, SetReport};
use memsnap::ops::stat::Format;
use memsnap::ops::vec::ElementType;
use memsnap::pack::{FrameCounts, Grade};
use serde::Serialize;

use crate::cli::common_flags::Global;
use crate::cli::json::{JsonPath, object};
use crate::cli::moment_flags::stopped;
use crate::cli::screen::Screen;
use crate::cli::units::{count, duration};
use crate::cli::{escape, hints, metadata};

pub(super) fn below_set(report: &SetReport) -> String {
    let outcome = if report.id.is_some() { "stored and marked" } else { "not stored" };
    let remedy = "stop the writers, wait longer with --wait, or accept it with --require none";
    format!("below the required grade, {outcome}: {remedy}")
}

/// `db.bin@3  1a2b3c4d5e6f  105 pages changed (420 KiB), 431 KiB stored, 0.12 s, proven`
pub(super) fn summary(report: &Report, file: &Path, global: &Global, screen: &Screen) -> String {
    let file = escape::path(if global.verbose { &report.path } else { file });
    let time = duration(report.elapsed);
    let grade = match report.grade {
        Grade::Proven if !global.verbose => report.grade.to_string(),
        // A warning may have given the reason already.
        grade if report.reason.is_empty() || report.warnings.iter().any(|w| w.text.starts_with(&report.reason)) => {
            grade.to_string()
        }
        grade => format!("{grade}: {}", report.reason),
    };
    let stopped = stopped(report.frozen.as_ref());
    let Some(id) = &report.id else {
        return format!("{file}  not stored, {time}{stopped}, {grade}");
    };
    let number = report.number;
    let id = &id.to_string()[..12];
    if !report.new {
        let unread = if read(report) == "nothing" { " (not read)" } else { "" };
        return format!("{file}@{number}  {id}  unchanged since @{number}{unread}, {time}{stopped}, {grade}");
    }
    let sizes = screen.sizes;
    let pages = count(report.pages_changed, "page");
    let changed = if number == 1 { "" } else { " changed" };
    let (bytes, stored) = (sizes.show(report.bytes_changed), sizes.show(report.bytes_stored));
    let metadata: String = metadata::words(&report.metadata).iter().map(|words| format!(", {words}")).collect();
    let how = if global.verbose { frames(report) } else { String::new() };
    let holds = with_logs(report) + &holds(report);
    format!(
        "{file}@{number}  {id}  {pages}{changed} ({bytes}){metadata}, {stored} stored{how}, {time}{stopped}, {grade}{holds}"
    )
}

/// The logs that were captured with it.
fn with_logs(report: &Report) -> String {
    let names = report
        .companions
        .iter()
        .map(|log| escape::text(&log.path.file_name().unwrap_or_default().to_string_lossy()).to_string());
    let names: Vec<_> = names.collect();
    if names.is_empty() { String::new() } else { format!("; with {}", names.join(", ")) }
}

/// How much of the file was read.
pub(super) fn read(report: &Report) -> &'static str {
    match report.bytes_read {
        None => "all",
        Some(0) if report.len > 0 => "nothing",
        Some(_) => "part",
    }
}

/// How the pages are stored: shows whether compression helps.
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

pub(super) fn below(report: &Report) -> String {
    let outcome = match report.id {
        Some(_) if report.new => "stored and marked",
        Some(_) => "no new snapshot, as the file did not change",
        None => "not stored",
    };
    let remedy = match (report.grade, Companion::hot_beside(&report.path)) {
        (Grade::Unproven, Some(log)) => {
            let log = escape::text(&log.name());
            format!("deal with the {log} first, as the warning says, or accept it with --require none")
        }
        _ if report.reason.starts_with("not the owner") => {
            let run = "run as the owner of the file or as root, use --lock if all writers use flock";
            format!("{run}, or accept it with --require none")
        }
        (Grade::Unproven, None) => {
            // Otherwise nothing shows whether it is written, however long it takes.
            let wait = if report.reason.contains("written") { "wait longer with --wait, " } else { "" };
            format!("stop the writers, {wait}use --lock if all of them use flock, or accept it with --require none")
        }
        (grade, _) => format!("stop the writers, or accept it with --require {grade}"),
    };
    format!("below the required grade, {outcome}: {remedy}")
}

pub(super) fn json(report: &Report, below: bool) -> impl Serialize {
    let metadata = metadata::json(&report.metadata);
    object! {
        schema: "memsnap.snap.1",
        #[serde(flatten)] path: JsonPath::of(&report.path),
        id: report.id.as_ref().map(|id| id.to_string()),
        number: report.number,
        new: report.new,
        len: report.len,
        pages_changed: report.pages_changed,
        bytes_changed: report.bytes_changed,
        #[serde(flatten)] metadata: (!metadata.is_empty()).then(|| object! { metadata }),
        bytes_stored: report.bytes_stored,
        frames: object! { raw: report.frames.raw, zstd: report.frames.zstd },
        grade: report.grade.to_string(),
        reason: &report.reason,
        #[serde(flatten)] frozen: report.frozen.as_ref().map(|frozen| object! {
            frozen_ms: frozen.pause.as_secs_f64() * 1e3,
            frozen_pids: frozen.stopped.iter().map(|(pid, _)| *pid).collect::<Vec<_>>(),
            not_frozen: &frozen.left,
        }),
        below,
        read: read(report),
        bytes_read: report.bytes_read,
        read_reason: (!report.read_reason.is_empty()).then_some(&report.read_reason),
        repaired: report.repaired,
        damage: &report.damage,
        #[serde(flatten)] vector: vector(report).map(|(kind, len)| object! { elements: len, r#type: kind.describe() }),
        #[serde(flatten)] companions: (!report.companions.is_empty()).then(|| object! { companions: companions(report) }),
        warnings: report.warnings.iter().map(hints::of_note).collect::<Vec<_>>(),
        seconds: report.elapsed.as_secs_f64(),
    }
}

/// The snapshots of its logs.
fn companions(report: &Report) -> Vec<impl Serialize> {
    let one = |log: &Report| {
        object! {
            #[serde(flatten)] path: JsonPath::of(&log.path),
            id: log.id.as_ref().map(|id| id.to_string()),
            number: log.number,
            len: log.len,
        }
    };
    report.companions.iter().map(one).collect()
}
