//! What revert, undo, recover, apply and edit share: the flags, the plan shown before anything is written, the report.

use std::path::{Path, PathBuf};

use clap::Args;

use memsnap::ops::change::{Confirm, Options, Plan, Replaced, Report};
use memsnap::ops::delta::MakeOptions;
use memsnap::ops::{Note, Progress};
use memsnap::page::PAGE64;
use memsnap::program::signal::LastWords;
use serde::Serialize;

use super::confirm::{self, Consent};
use super::delta::Output;
use super::diff::columns;
use super::escape;
use super::exit::Exit;
use super::flags::{Global, ReadingFlags, StoringFlags};
use super::hex;
use super::json::{JsonNotes, JsonPath, JsonRange};
use super::metadata::{self, JsonMeta};
use super::screen::Screen;
use super::units::{count, duration};

/// Ranges shown of a plan before the rest is only counted.
const SHOWN: usize = 20;
/// Bytes of an edit that are shown in one line, old and new.
const SHORT: usize = 8;
/// The note of a recovery that found nothing to do; it is all there is to say.
const NOT_INTERRUPTED: &str = "no change was interrupted";

/// Flags of verbs that write to the file.
#[derive(Args)]
pub(crate) struct ChangeFlags {
    /// Show what would be written, and write nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Do not ask
    ///
    /// Needed with --json, and where stdin or stderr is no terminal: nothing
    /// is asked for there.
    #[arg(short, long, verbatim_doc_comment)]
    yes: bool,
    /// Write although others have the file open
    ///
    /// They see the change happen page by page, and may write over it from
    /// their own memory. Safe only when you know that they do neither.
    #[arg(long, verbatim_doc_comment)]
    live: bool,
    /// Write although a rule forbids it
    ///
    /// The rules: no log beside it (FILE-wal, FILE-journal, FILE.wal) that
    /// its database would play into the changed file; nothing for undo to
    /// take back that it has not seen.
    #[arg(long, verbatim_doc_comment)]
    force: bool,
    #[command(flatten)]
    storing: StoringFlags,
    #[command(flatten)]
    reading: ReadingFlags,
}

/// What a verb may say about its way of changing a file.
pub(crate) struct Verb {
    /// The schema of its report.
    pub(crate) schema: &'static str,
    /// What is being done, for errors: "reverting db.bin".
    pub(crate) doing: String,
    /// The file, as the user named it.
    pub(crate) name: String,
    /// The same, as a path.
    pub(crate) file: PathBuf,
    /// The file itself is written; otherwise only a copy.
    pub(crate) in_place: bool,
    /// stdin can be used to ask.
    pub(crate) stdin_free: bool,
}

#[derive(Serialize)]
struct JsonReport {
    schema: &'static str,
    #[serde(flatten)]
    path: JsonPath,
    from: String,
    to: String,
    from_len: u64,
    to_len: u64,
    pages: u64,
    bytes: u64,
    ranges: Vec<JsonRange>,
    ranges_total: u64,
    metadata: Vec<JsonMeta>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    edits: Vec<JsonEdit>,
    /// Only where there is no snapshot yet: bytes that are stored first, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    stores_first: Option<u64>,
    /// Why the change would be refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    obstacle: Option<String>,
    /// Only `true`: what the file held before was not stored.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    no_undo: bool,
    dry_run: bool,
    done: bool,
    undo_number: Option<u64>,
    undo_id: Option<String>,
    bytes_written: u64,
    #[serde(flatten)]
    notes: JsonNotes,
    seconds: f64,
}

/// The bytes are the first ones, in hexadecimal.
#[derive(Serialize)]
struct JsonEdit {
    at: u64,
    len: u64,
    old: String,
    new: String,
}

impl ChangeFlags {
    /// Whether consent has to be asked for.
    pub(crate) fn must_ask(&self) -> bool {
        !self.yes && !self.dry_run
    }

    /// Whether nothing is to be written.
    pub(crate) fn is_dry(&self) -> bool {
        self.dry_run
    }

    /// The same flags for a delta that goes to `output`.
    pub(crate) fn for_delta(&self, output: &Path, level: i32, global: &Global) -> (Output, MakeOptions) {
        let options = MakeOptions {
            store: global.store.clone(),
            reading: self.reading.reading(false),
            reversible: false,
            level,
            force: self.force,
        };
        (Output { output: output.into(), force: self.force }, options)
    }

    /// Runs `op` with a plan that is shown and confirmed, and renders its report.
    pub(crate) fn run(
        &self,
        global: &Global,
        screen: &mut Screen,
        verb: &Verb,
        op: impl FnOnce(&Options, Confirm<'_>, &dyn Progress) -> memsnap::Result<Report>,
    ) -> anyhow::Result<Exit> {
        let options = Options {
            store: global.store.clone(),
            reading: self.reading.reading(false),
            dry_run: self.dry_run,
            ask: !self.yes && verb.in_place,
            live: self.live,
            force: self.force,
            compress: self.storing.compress,
            reserve: self.storing.reserve,
        };
        let bar = screen.bar();
        let (mut refused, mut words) = (None, None);
        let result = op(
            &options,
            &mut |plan| {
                bar.end();
                let consent = self.consent(plan, verb, screen);
                if consent != Consent::Given && !self.dry_run {
                    refused = Some(confirm::refusal(consent, &format!("writing {}", extent(plan, verb, screen))));
                }
                if consent == Consent::Given && verb.in_place {
                    words = Some(LastWords::are(&last_words(plan, verb, global)));
                }
                consent == Consent::Given
            },
            &bar,
        );
        drop(words);
        bar.end();
        let report = result.map_err(|e| anyhow::Error::new(e).context(verb.doing.clone()))?;
        if let Some(refused) = refused {
            return Err(refused.context(verb.doing.clone()));
        }
        self.render(&report, global, screen, verb)?;
        Ok(Exit::Done)
    }

    fn consent(&self, plan: &Plan, verb: &Verb, screen: &mut Screen) -> Consent {
        if self.dry_run {
            return Consent::Declined;
        }
        if self.yes || !verb.in_place {
            first_line(plan, verb, screen).iter().for_each(|stored| screen.say(&format!("{}: {stored}", verb.name)));
            return Consent::Given;
        }
        if verb.stdin_free && screen.terminals.stdin && !screen.is_json() {
            plan_lines(plan, verb, screen).iter().for_each(|line| screen.tell(line));
        }
        let undo = if plan.no_undo { ", without undo" } else { "" };
        let question = format!("Write {}{undo}?", extent(plan, verb, screen));
        confirm::ask(&question, false, verb.stdin_free, screen)
    }

    fn render(&self, report: &Report, global: &Global, screen: &mut Screen, verb: &Verb) -> anyhow::Result<()> {
        if screen.is_json() {
            return screen.json(&json(report, self.dry_run, verb));
        }
        let plan = &report.plan;
        let idle = |note: &&Note| !report.done && plan.is_empty() && ***note == *NOT_INTERRUPTED;
        if let Some(note) = report.notes.iter().find(idle) {
            screen.say(&format!("{}: {note}", verb.name));
            return Ok(());
        }
        if plan.is_empty() && !plan.edits.is_empty() {
            screen.say(&format!("{}: nothing to change", verb.name));
        } else if self.dry_run {
            for line in plan_lines(plan, verb, screen) {
                screen.line(&line)?;
            }
        } else if report.done {
            screen.say(&done_line(report, screen, verb));
            if let (Some((number, id)), true) = (&report.undo, verb.in_place) {
                let id = if global.verbose { id.to_hex() } else { id.to_hex()[..12].into() };
                let undo = global.command("undo", &verb.file);
                screen.say(&format!("kept as it was as @{number} {id}; `{undo}` takes this back"));
            }
            if plan.no_undo {
                screen.say("the previous content was not stored: this is final");
            }
        } else {
            screen.say(&format!("{}: nothing to write, it is already as {}", verb.name, plan.to));
        }
        screen.notes(&report.notes, &verb.name);
        Ok(())
    }
}

/// Said when a signal ends the verb after consent was given.
fn last_words(plan: &Plan, verb: &Verb, global: &Global) -> String {
    let recover = global.command("recover", &verb.file);
    let ends = match plan.no_undo {
        true => format!("`{recover}` with --finish completes the change"),
        false => format!("`{recover}` finishes the change or rolls it back"),
    };
    format!("\nmemsnap: {}: interrupted; the file may be half changed: {ends}\n", verb.doing)
}

fn done_line(report: &Report, screen: &Screen, verb: &Verb) -> String {
    let plan = &report.plan;
    let done = match verb.in_place {
        true => written(report, screen).join(", "),
        false => format!("{} written", screen.sizes.show(report.bytes_written)),
    };
    format!("{}: {done}, now as {}, {}", verb.name, plan.to, duration(report.elapsed))
}

/// What was done to a file in place: pages of zeros become holes, of which nothing is written.
fn written(report: &Report, screen: &Screen) -> Vec<String> {
    let plan = &report.plan;
    let pages = report.bytes_written.div_ceil(PAGE64);
    let holes = plan.pages.saturating_sub(pages);
    let mut words = Vec::new();
    if pages > 0 {
        words.push(format!("{} written ({})", count(pages, "page"), screen.sizes.show(report.bytes_written)));
    }
    if holes > 0 {
        words.push(format!("{} made {}", count(holes, "page"), if holes == 1 { "a hole" } else { "holes" }));
    }
    if plan.from_len != plan.to_len {
        words.push(format!("length {}", screen.sizes.change(plan.from_len, plan.to_len)));
    }
    words.extend(metadata::words(&plan.metadata));
    words
}

/// What is to be written: `12 pages (48 KiB) to FILE`.
fn extent(plan: &Plan, verb: &Verb, screen: &Screen) -> String {
    match plan.pages {
        0 if plan.from_len == plan.to_len => format!("{} to {}", metadata::words(&plan.metadata).join(", "), verb.name),
        0 => format!("the length {} to {}", screen.sizes.show(plan.to_len), verb.name),
        n => format!("{} ({}) to {}", count(n, "page"), screen.sizes.show(plan.bytes), verb.name),
    }
}

/// What is stored before anything is written, where nothing was before.
fn first_line(plan: &Plan, verb: &Verb, screen: &Screen) -> Option<String> {
    let bytes = plan.stores_first.filter(|_| verb.in_place && !plan.is_empty())?;
    Some(format!("there is no snapshot yet: all of it is stored for undo (up to {})", screen.sizes.show(bytes)))
}

fn plan_lines(plan: &Plan, verb: &Verb, screen: &Screen) -> Vec<String> {
    let sizes = screen.sizes;
    let mut lines = vec![format!("{}: from {} to {}", verb.name, plan.from, plan.to)];
    if let Some(stored) = first_line(plan, verb, screen) {
        lines.push(format!("  first    {stored}"));
    }
    if plan.no_undo {
        lines.push("  final    what it holds now is not stored: nothing can bring it back".into());
    }
    if plan.from_len != plan.to_len {
        lines.push(format!("  length   {}", sizes.change(plan.from_len, plan.to_len)));
    }
    lines.extend(metadata::words(&plan.metadata).iter().map(|words| format!("  sets     {words}")));
    lines.extend(plan.edits.iter().take(SHOWN).flat_map(edit_lines));
    if let Some(rest) = plan.edits.len().checked_sub(SHOWN).filter(|rest| *rest > 0) {
        lines.push(format!("  and      {} more", count(rest as u64, "edit")));
    }
    let (pages, ranges) = (count(plan.pages, "page"), count(plan.ranges_total, "range"));
    lines.push(format!("  writes   {pages} in {ranges} ({})", sizes.show(plan.bytes)));
    let last = plan.ranges.iter().take(SHOWN).next_back().map_or(0, |range| range.end);
    for range in plan.ranges.iter().take(SHOWN) {
        let (pages, bytes) = columns(range, last);
        lines.push(format!("  pages    {pages} {}", bytes.trim_end()));
    }
    let rest = plan.ranges_total.saturating_sub(plan.ranges.len().min(SHOWN) as u64);
    if rest > 0 {
        lines.push(format!("  and      {} more", count(rest, "range")));
    }
    lines.extend(plan.obstacle.iter().map(|why| format!("  refused  {}", escape::text(why))));
    lines
}

/// `  at       0x1000  00 00 -> de ad`
fn edit_lines(edit: &Replaced) -> Vec<String> {
    let side = |bytes: &[u8]| match bytes {
        [] => "nothing".into(),
        _ if edit.len > bytes.len() as u64 && bytes.len() == edit.new.len() => format!("{} ...", hex::show(bytes)),
        _ => hex::show(bytes),
    };
    let (at, old, new) = (edit.at, side(&edit.old), side(&edit.new));
    if edit.new.len() <= SHORT && edit.len == edit.new.len() as u64 {
        return vec![format!("  at       {at:#x}  {old} -> {new}")];
    }
    let len = count(edit.len, "byte");
    vec![format!("  at       {at:#x}, {len}"), format!("  was      {old}"), format!("  now      {new}")]
}

fn json(report: &Report, dry_run: bool, verb: &Verb) -> JsonReport {
    let plan = &report.plan;
    JsonReport {
        schema: verb.schema,
        path: JsonPath::of(&plan.path),
        from: plan.from.clone(),
        to: plan.to.clone(),
        from_len: plan.from_len,
        to_len: plan.to_len,
        pages: plan.pages,
        bytes: plan.bytes,
        ranges: plan.ranges.iter().map(JsonRange::of).collect(),
        ranges_total: plan.ranges_total,
        metadata: metadata::json(&plan.metadata),
        edits: plan.edits.iter().map(json_edit).collect(),
        stores_first: plan.stores_first.filter(|_| verb.in_place && !plan.is_empty()),
        obstacle: plan.obstacle.clone(),
        no_undo: plan.no_undo,
        dry_run,
        done: report.done,
        undo_number: report.undo.as_ref().map(|undo| undo.0),
        undo_id: report.undo.as_ref().map(|undo| undo.1.to_hex()),
        bytes_written: report.bytes_written,
        notes: JsonNotes::of(&report.notes),
        seconds: report.elapsed.as_secs_f64(),
    }
}

fn json_edit(edit: &Replaced) -> JsonEdit {
    JsonEdit { at: edit.at, len: edit.len, old: hex::show(&edit.old), new: hex::show(&edit.new) }
}
