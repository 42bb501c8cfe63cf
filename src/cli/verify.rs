//! `memsnap verify`.

use std::ffi::OsString;

use anyhow::Context;
use clap::ValueHint;
use memsnap::ops::Operand;
use memsnap::ops::verify::{Fault, Options, Report, verify};
use memsnap::page::PageRange;
use memsnap::program::signal::MessageOnSignal;
use memsnap::store::Ref;
use serde::Serialize;

use super::common_flags::Global;
use super::exit::Exit;
use super::json::{JsonNotes, JsonPath, JsonRange, object};
use super::operands::reading;
use super::screen::Screen;
use super::units::{count, range_text};
use super::{escape, help, hints, sets};

/// Ranges and snapshots shown of a fault before the rest is only counted.
const SHOWN: usize = 8;

/// Check that all snapshots can be read back
///
/// Reads every file of the store; checks its structure, the digest of every
/// stored page and the digest of every image. Lists all faults, each with the
/// snapshots and pages that it affects. Without FILE, checks the whole store
/// in this directory.
///
/// With --repair, stores damaged pages again from the file, if the file still
/// holds them; writes the file `format` of the store and, if FILE is given,
/// `target` again; and removes files that no snapshot needs. Without it,
/// changes nothing that is stored. Only the modification time of a damaged
/// pack is set to now, so that the next snap stores its damaged pages again.
///
/// Examples:
///
///   memsnap verify
///   memsnap verify --quick db.bin
///   memsnap verify --repair db.bin
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = help::VERIFY_EXIT)]
pub(crate) struct Args {
    /// A file, one snapshot of it, or a set; by default, the whole store
    #[arg(value_name = "FILE[@REF]|set:ID", value_hint = ValueHint::FilePath)]
    what: Option<OsString>,
    /// Name the snapshot by REF; do not split the name at @
    #[arg(long, value_name = "REF", requires = "what", allow_hyphen_values = true)]
    at: Option<String>,
    /// Check the structure only, not the pages
    #[arg(long, conflicts_with = "repair")]
    quick: bool,
    /// Store damaged pages again from the file, if it still has them
    #[arg(long)]
    repair: bool,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Exit> {
        let set = self.what.as_ref().and_then(|what| sets::find(what, global.store.as_deref()).transpose());
        if let Some(set) = set {
            let set = set.context("reading a set")?;
            let mut worst = Exit::Done;
            for member in &set.members {
                let what = Operand::new(&member.path, Ref::Prefix(member.id.to_string()));
                worst = worst.max(self.verify(Some(what), global, screen)?);
            }
            return Ok(worst);
        }
        let what = match &self.what {
            Some(what) => Some(reading(what, self.at.as_deref(), "latest", screen)?),
            None => None,
        };
        self.verify(what, global, screen)
    }

    fn verify(&self, what: Option<Operand>, global: &Global, screen: &mut Screen) -> anyhow::Result<Exit> {
        let options = Options::default().store(global.store.clone()).quick(self.quick).repair(self.repair);
        let words = (!screen.is_json() && !self.repair)
            .then(|| MessageOnSignal::new("\nmemsnap: interrupted: nothing was changed\n"));
        let bar = screen.bar();
        let report = verify(what.as_ref(), &options, &bar);
        drop((bar, words));
        let report = report.with_context(|| match &self.what {
            Some(what) => format!("verifying {}", escape::os(what)),
            None => "verifying the store".into(),
        })?;
        for fault in &report.faults {
            match screen.is_json() {
                true => screen.json(&json_fault(fault))?,
                false => screen.line(&fault_line(fault))?,
            }
        }
        match screen.is_json() {
            true => screen.json(&json_summary(&report))?,
            false => self.summary(&report, screen)?,
        }
        let left = |newer| report.faults.iter().any(|fault| !fault.repaired && fault.newer == newer);
        Ok(match (left(false), left(true)) {
            (true, _) => Exit::Damaged,
            (false, true) => Exit::Trouble,
            (false, false) => Exit::Done,
        })
    }

    fn summary(&self, report: &Report, screen: &mut Screen) -> anyhow::Result<()> {
        let (targets, snapshots) = (count(report.targets, "file"), count(report.snapshots, "snapshot"));
        let (files, pages) = (count(report.files, "stored file"), count(report.pages, "page"));
        let read = screen.sizes.show(report.bytes);
        let newer = report.faults.iter().filter(|fault| fault.newer).count() as u64;
        let faults = report.faults.len() as u64 - newer;
        let repaired = report.faults.iter().filter(|fault| fault.repaired).count() as u64;
        let mut verdict = Vec::new();
        match (faults, repaired) {
            (0, _) => {}
            (n, 0) => verdict.push(count(n, "fault")),
            (n, repaired) => verdict.push(format!("{}, {repaired} repaired", count(n, "fault"))),
        }
        if newer > 0 {
            verdict.push(format!("{} made by a newer memsnap", count(newer, "file")));
        }
        if verdict.is_empty() {
            verdict.push(if self.quick { "structure is sound, pages not read" } else { "all good" }.into());
        }
        let verdict = verdict.join(", ");
        screen.line(&format!("{snapshots} of {targets}: {files}, {pages}, {read} read: {verdict}"))?;
        if report.garbage > 0 {
            let garbage = count(report.garbage, "file");
            screen.say(&format!(
                "{garbage} left by an interrupted command; the next snap removes what no snapshot needs"
            ));
        }
        screen.notes(&report.notes, "");
        if newer > 0 {
            screen.say("use the newest version of memsnap that has written in this store");
        }
        if faults > 0 && !self.repair {
            screen.say("`memsnap verify --repair` repairs what can be repaired");
        }
        Ok(())
    }
}

/// `FILE: what; affects pages 7..9, 12 of @2, @3`
fn fault_line(fault: &Fault) -> String {
    let mut line = format!("{}: {}", escape::path(&fault.path), fault.what);
    let snapshots = listed(&fault.snapshots, |number| format!("@{number}"));
    let ranges = listed(&fault.ranges, |range: &PageRange| range_text(range.start, range.end));
    let noun = if matches!(&fault.ranges[..], [range] if range.len() == 1) { "page" } else { "pages" };
    match (snapshots.is_empty(), ranges.is_empty()) {
        (false, false) => line += &format!("; affects {noun} {ranges} of {snapshots}"),
        (false, true) => line += &format!("; affects {snapshots}"),
        (true, false) => line += &format!("; affects {noun} {ranges}"),
        (true, true) => {}
    }
    if fault.repaired {
        line += "; repaired";
    } else if !fault.unrepaired.is_empty() {
        line += &format!("; not repaired: {}", hints::of_fault(fault));
    }
    line
}

fn listed<T>(all: &[T], show: impl Fn(&T) -> String) -> String {
    let mut text = all.iter().take(SHOWN).map(show).collect::<Vec<_>>().join(", ");
    if all.len() > SHOWN {
        text += &format!(" and {} more", all.len() - SHOWN);
    }
    text
}

fn json_fault(fault: &Fault) -> impl Serialize {
    let unrepaired = Some(hints::of_fault(fault)).filter(|why| !why.is_empty());
    object! {
        schema: "memsnap.verify.fault.1",
        #[serde(flatten)] path: JsonPath::of(&fault.path),
        what: &fault.what,
        snapshots: &fault.snapshots,
        ranges: fault.ranges.iter().map(JsonRange::of).collect::<Vec<_>>(),
        #[serde(flatten)] newer: fault.newer.then(|| object! { newer: true }),
        repaired: fault.repaired,
        #[serde(flatten)] unrepaired: unrepaired.map(|unrepaired| object! { unrepaired }),
    }
}

fn json_summary(report: &Report) -> impl Serialize {
    object! {
        schema: "memsnap.verify.1",
        targets: report.targets,
        snapshots: report.snapshots,
        files: report.files,
        pages: report.pages,
        bytes: report.bytes,
        faults: report.faults.len(),
        repaired: report.faults.iter().filter(|fault| fault.repaired).count(),
        garbage: report.garbage,
        #[serde(flatten)] notes: JsonNotes::of(&report.notes),
    }
}
