//! What revert, undo, recover, apply and edit share: the options, the plan, its confirmation, and the report.

use std::path::Path;

use clap::Args;

use memsnap::ops::Progress;
use memsnap::ops::change::{Fate, Options, Outcome, Replaced, Report, Request, Summary};
use memsnap::ops::delta;
use memsnap::page::PAGE64;
use memsnap::program::signal::MessageOnSignal;
use serde::Serialize;

use super::action::Action;
use super::common_flags::{Global, ReadingFlags, StoringFlags};
use super::confirm::{self, Consent};
use super::delta::Output;
use super::exit::Exit;
use super::json::{JsonNotes, JsonPath, JsonRange, object};
use super::metadata;
use super::plan::{first_line, of_members, plan_lines, task};
use super::screen::Screen;
use super::units::{count, duration};
use super::{hex, hints};

/// Flags of verbs that write to the file.
#[derive(Args)]
pub(crate) struct ChangeFlags {
    /// Show what would be written, and write nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Do not ask for confirmation
    ///
    /// Required with --json, and where stdin or stderr is not a terminal.
    #[arg(short, long, verbatim_doc_comment)]
    yes: bool,
    /// Write although other processes have the file open
    ///
    /// They see the change page by page, and may overwrite it with data that
    /// they have in memory. Safe only if you know that they do neither.
    #[arg(long, verbatim_doc_comment)]
    live: bool,
    /// Override the safety checks
    ///
    /// They refuse to change a file with a log beside it (FILE-wal,
    /// FILE-journal, FILE.wal) that its database would replay into the
    /// changed file, and to undo a change if the file was changed since.
    #[arg(long, verbatim_doc_comment)]
    force: bool,
    #[command(flatten)]
    storing: StoringFlags,
    #[command(flatten)]
    reading: ReadingFlags,
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
    pub(crate) fn for_delta(&self, output: &Path, level: i32, global: &Global) -> (Output, delta::Options) {
        let options = delta::Options::default()
            .store(global.store.clone())
            .reading(self.reading.reading(false))
            .level(level)
            .force(self.force);
        (Output { output: output.into(), force: self.force }, options)
    }

    /// Plans what `request` asks for, has it confirmed, makes the change, and renders the report.
    pub(crate) fn run<'r>(
        &self,
        global: &Global,
        screen: &mut Screen,
        action: &Action,
        request: impl FnOnce(&Options) -> memsnap::Result<Request<'r>>,
    ) -> anyhow::Result<Exit> {
        let options = Options::default()
            .store(global.store.clone())
            .reading(self.reading.reading(false))
            .live(self.live)
            .force(self.force)
            .compress(self.storing.compress)
            .reserve(self.storing.reserve);
        let request = request(&options).map_err(anyhow::Error::new);
        let done = request.and_then(|request| self.carry_out(request, global, screen, action));
        let report = done.map_err(|e| e.context(action.doing.clone()))?;
        self.render(&report, global, screen, action)?;
        Ok(Exit::Done)
    }

    fn carry_out(
        &self,
        request: Request<'_>,
        global: &Global,
        screen: &mut Screen,
        action: &Action,
    ) -> anyhow::Result<Report> {
        let bar = screen.bar();
        if self.dry_run {
            return Ok(request.plan(&bar)?.dismiss()?);
        }
        if self.yes || !action.in_place {
            let _words = action.in_place.then(|| MessageOnSignal::new(&last_words(action.is_final, action, global)));
            if !action.in_place || !request.is_first()? {
                return Ok(request.run(&bar)?);
            }
            let plan = request.plan(&bar)?;
            bar.end();
            let stored = first_line(plan.changes(), action, screen);
            stored.iter().for_each(|stored| screen.say(&format!("{}: {stored}", action.name)));
            return Ok(plan.run(&bar)?);
        }
        let mut plan = request.plan(&bar)?;
        let mut written = "nothing was written".to_string();
        loop {
            bar.end();
            let changes = plan.changes();
            if plan.needs_consent() {
                let consent = self.consent(changes, action, screen);
                if consent != Consent::Given {
                    let refusal = confirm::refusal(consent, &task(changes, action, screen).0, &written);
                    plan.dismiss()?;
                    return Err(refusal);
                }
            }
            let is_final = changes.no_undo;
            let _words = MessageOnSignal::new(&last_words(is_final, action, global));
            let finishes = changes.finishes.clone();
            plan = match plan.commit(&bar)? {
                Outcome::Done(report) => return Ok(report),
                Outcome::Changed(plan) => plan,
            };
            // If the plan no longer held, nothing was finished: the next plan asks for that again.
            screen.tell(&match finishes.filter(|_| plan.changes().finishes.is_none()) {
                Some(interrupted) => {
                    let finished = format!("the interrupted {interrupted} was finished");
                    written = format!("{finished}, and nothing else was written");
                    format!("{}: {finished}", action.name)
                }
                None => format!("{}: it was changed meanwhile, so this is to be confirmed again", action.name),
            });
        }
    }

    fn consent(&self, changes: &Summary, action: &Action, screen: &mut Screen) -> Consent {
        if action.stdin_free && !action.abandons && screen.terminals.stdin && !screen.is_json() {
            plan_lines(changes, action, screen).iter().for_each(|line| screen.tell(line));
        }
        let question = task(changes, action, screen).1;
        confirm::ask(&question, false, action.stdin_free, screen)
    }

    fn render(&self, report: &Report, global: &Global, screen: &mut Screen, action: &Action) -> anyhow::Result<()> {
        if screen.is_json() {
            return screen.json(&json(report, self.dry_run, action));
        }
        let changes = &report.changes;
        if changes.is_empty() && !changes.edits.is_empty() {
            screen.say(&format!("{}: nothing to change", action.name));
        } else if action.recovers && !report.needed {
            // A note reports that.
        } else if action.abandons {
            match self.dry_run {
                true => screen.line(&format!("{}: would be left as it is, and its change forgotten", action.name))?,
                false => screen.say(&format!("{}: left as it is; its interrupted change is forgotten", action.name)),
            }
        } else if self.dry_run {
            for line in plan_lines(changes, action, screen) {
                screen.line(&line)?;
            }
        } else if report.done {
            screen.say(&done_line(report, screen, action));
            if let (Some((number, id)), true) = (&report.undo, action.in_place) {
                let id = if global.verbose { id.to_string() } else { format!("{id:.12}") };
                let undo = global.command("undo", &action.file);
                screen.say(&format!("previous content saved as @{number} {id}; `{undo}` reverts this"));
            }
            if report.members.iter().any(|member| member.undo.is_some() || member.changes.fate == Fate::Made) {
                let undo = global.command("undo", &action.file);
                screen.say(&format!("previous content saved; `{undo}` reverts this"));
            }
            if changes.no_undo {
                screen.say("the previous content was not stored: this is final");
            }
        } else {
            screen.say(&format!("{}: nothing to write, already identical to {}", action.name, changes.to));
        }
        screen.notes(&report.notes, &action.name);
        Ok(())
    }
}

/// Written when a signal ends the verb after consent was given.
fn last_words(is_final: bool, action: &Action, global: &Global) -> String {
    let recover = global.command("recover", &action.file);
    let ends = match is_final {
        true => format!("`{recover}` with --finish completes the change"),
        false => format!("`{recover}` finishes the change or rolls it back"),
    };
    format!("\nmemsnap: {}: interrupted; the file may be half changed: {ends}\n", action.doing)
}

fn done_line(report: &Report, screen: &Screen, action: &Action) -> String {
    let changes = &report.changes;
    if !changes.members.is_empty() {
        let words = of_members(changes, screen).join(", ");
        return format!("{}: {words}, now as {}, {}", action.name, changes.to, duration(report.elapsed));
    }
    let done = match action.in_place {
        true => written(report, screen).join(", "),
        false => format!("{} written", screen.sizes.show(report.bytes_written)),
    };
    format!("{}: {done}, now identical to {}, {}", action.name, changes.to, duration(report.elapsed))
}

/// What was done to a file in place: pages of zeros become holes, of which nothing is written.
fn written(report: &Report, screen: &Screen) -> Vec<String> {
    let changes = &report.changes;
    let pages = report.bytes_written.div_ceil(PAGE64);
    let holes = changes.pages.saturating_sub(pages);
    let mut words = Vec::new();
    if pages > 0 {
        words.push(format!("{} written ({})", count(pages, "page"), screen.sizes.show(report.bytes_written)));
    }
    if holes > 0 {
        words.push(format!("{} made {}", count(holes, "page"), if holes == 1 { "a hole" } else { "holes" }));
    }
    if changes.from_len != changes.to_len {
        words.push(format!("length {}", screen.sizes.change(changes.from_len, changes.to_len)));
    }
    words.extend(metadata::words(&changes.metadata));
    words
}

fn json(report: &Report, dry_run: bool, action: &Action) -> impl Serialize {
    let changes = &report.changes;
    let edits: Vec<_> = changes.edits.iter().map(json_edit).collect();
    let stores_first = changes.stores_first.filter(|_| action.in_place && !changes.is_empty());
    object! {
        schema: action.schema,
        #[serde(flatten)] path: JsonPath::of(&changes.path),
        from: changes.from.clone(),
        to: changes.to.clone(),
        from_len: changes.from_len,
        to_len: changes.to_len,
        pages: changes.pages,
        bytes: changes.bytes,
        ranges: changes.ranges.iter().map(JsonRange::of).collect::<Vec<_>>(),
        ranges_total: changes.ranges_total,
        metadata: metadata::json(&changes.metadata),
        #[serde(flatten)] edits: (!edits.is_empty()).then(|| object! { edits }),
        #[serde(flatten)] first: stores_first.map(|stores_first| object! { stores_first }),
        #[serde(flatten)] obstacle: changes.obstacle.as_ref().map(|why| object! { obstacle: hints::of_obstacle(why) }),
        #[serde(flatten)] members: (!changes.members.is_empty()).then(|| object! { members: json_members(report) }),
        #[serde(flatten)] no_undo: changes.no_undo.then(|| object! { no_undo: true }),
        dry_run,
        done: report.done,
        undo_number: report.undo.as_ref().map(|undo| undo.0),
        undo_id: report.undo.as_ref().map(|undo| undo.1.to_string()),
        bytes_written: report.bytes_written,
        #[serde(flatten)] notes: JsonNotes::of(&report.notes),
        seconds: report.elapsed.as_secs_f64(),
    }
}

/// What happens to each of several files.
fn json_members(report: &Report) -> Vec<impl Serialize + use<>> {
    let of = |(n, changes): (usize, &Summary)| {
        let done = report.members.get(n);
        let undo = done.and_then(|member| member.undo.as_ref());
        object! {
            #[serde(flatten)] path: JsonPath::of(&changes.path),
            fate: match changes.fate {
                Fate::Stays => "stays",
                Fate::Made => "made",
                Fate::Removed => "removed",
            },
            from: changes.from.clone(),
            to: changes.to.clone(),
            from_len: changes.from_len,
            to_len: changes.to_len,
            pages: changes.pages,
            bytes: changes.bytes,
            metadata: metadata::json(&changes.metadata),
            undo_number: undo.map(|undo| undo.0),
            undo_id: undo.map(|undo| undo.1.to_string()),
        }
    };
    report.changes.members.iter().enumerate().map(of).collect()
}

/// The bytes are the first ones, in hexadecimal.
fn json_edit(edit: &Replaced) -> impl Serialize + use<> {
    object! { at: edit.at, len: edit.len, old: hex::show(&edit.old), new: hex::show(&edit.new) }
}
