//! `memsnap restore`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueHint;
use memsnap::ops::Operand;
use memsnap::ops::restore::{self, Options, Report, restore};
use memsnap::ops::set::SetEntry;
use memsnap::page::PageRange;
use memsnap::program::descriptor;

use super::binary_output::{self, is_stdout, refuse_terminal};
use super::common_flags::Global;
use super::confirm::{self, Consent};
use super::exit::{Exit, Hinted};
use super::json::{JsonNotes, JsonPath, JsonRange, object};
use super::operands::{exists, reading};
use super::screen::Screen;
use super::units::duration;
use super::{escape, fault, help, sets, units};

/// Write a snapshot to another file
///
/// OUT gets the bytes, holes, mode, times and extended attributes that FILE
/// had; as root, also its owner. OUT appears under its name only when it is
/// complete. `-` writes the bytes to stdout. A FIFO or descriptor (/dev/fd/3)
/// is written to directly.
///
/// Metadata that could not be restored is reported as a warning. Set-uid and
/// set-gid bits and file capabilities are never restored. Only root can set
/// the attributes trusted.* and security.*; security labels that the system
/// assigns (such as security.selinux) are those of a new file.
///
/// Never writes to FILE (revert does), and never replaces an existing file
/// without --force.
///
/// Examples:
///
///   memsnap restore db.bin@3 -o old.bin
///   memsnap restore db.bin@latest -o - | sha256sum
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = help::RESTORE_EXIT)]
pub(crate) struct Args {
    /// The snapshot, or a set, whose files go to the directory OUT
    #[arg(value_name = "FILE@REF|set:ID", value_hint = ValueHint::FilePath)]
    what: OsString,
    /// The file to write; - is stdout
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    output: PathBuf,
    /// Name the snapshot by REF; do not split the name at @
    #[arg(long, value_name = "REF", allow_hyphen_values = true)]
    at: Option<String>,
    /// Replace OUT if it exists; write to stdout even if it is a terminal
    #[arg(long)]
    force: bool,
    /// Do not ask before replacing OUT
    #[arg(short, long)]
    yes: bool,
    /// Show what would be written, and write nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Write zeros where stored pages are lost; list them, and exit with 4
    ///
    /// Without this option, a snapshot with a damaged, missing or unreadable
    /// page is not restored at all. Every page that is not listed was checked
    /// against its digest. Ranges are half-open: pages 7..9 are 7 and 8.
    #[arg(long, verbatim_doc_comment)]
    skip_damaged: bool,
    /// Read at most SIZE bytes a second
    #[arg(long, value_name = "SIZE", value_parser = units::rate)]
    limit_rate: Option<u64>,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Exit> {
        if let Some(set) = sets::find(&self.what, global.store.as_deref()).context("reading a set")? {
            return self.set(&set, global, screen);
        }
        let what = reading(&self.what, self.at.as_deref(), "latest", screen)?;
        let name = match &self.at {
            Some(at) => format!("{}@{}", escape::os(&self.what), escape::text(at)),
            None => escape::os(&self.what),
        };
        if what.at.is_none() {
            let at = |reference: &str| escape::shell_ref(&self.what, reference);
            let hint = format!("use {}, or {}", at("@latest"), at("@3"));
            return Err(memsnap::Error::refused("restore needs a snapshot", hint).into());
        }
        let options = Options::default()
            .store(global.store.clone())
            .force(self.force)
            .limit_rate(self.limit_rate)
            .skip_damaged(self.skip_damaged);
        if self.dry_run {
            return self.rehearse(&what, &name, &options, screen);
        }
        self.consent(screen)?;
        let bar = screen.bar();
        let report = binary_output::write(&self.output, screen, |out| restore(&what, out, &options, &bar));
        drop(bar);
        let hinted = |error| self.hinted(error, &what.path, global);
        let report = report.map_err(hinted).with_context(|| format!("restoring {name}"))?;
        let Some(report) = report else { return Ok(Exit::Done) };
        self.render(&report, &name, screen)?;
        Ok(if report.lost.is_empty() { Exit::Done } else { Exit::Damaged })
    }

    /// Writes the files of a set into a new directory, which gets its name when all are there.
    fn set(&self, set: &SetEntry, global: &Global, screen: &mut Screen) -> anyhow::Result<Exit> {
        let name = sets::name(set);
        let doing = || format!("restoring {name}");
        let options = Options::default().store(global.store.clone()).limit_rate(self.limit_rate);
        if self.dry_run {
            restore::rehearse_set(set, &self.output).with_context(doing)?;
            screen.line(&format!("would write {name} to {}", escape::path(&self.output)))?;
            return Ok(Exit::Done);
        }
        let bar = screen.bar();
        let report = restore::restore_set(set, &self.output, &options, &bar);
        drop(bar);
        let report = report.with_context(doing)?;
        self.render(&report, &name, screen)?;
        Ok(Exit::Done)
    }

    /// Adds the hint that fits the damaged file.
    fn hinted(&self, error: memsnap::Error, file: &Path, global: &Global) -> anyhow::Error {
        let (memsnap::Error::Damaged { path, .. } | memsnap::Error::Io { path, .. }) = &error else {
            return error.into();
        };
        let verify = global.command("verify", file);
        let hint = match path.extension().and_then(|e| e.to_str()) {
            Some("pack") if !self.skip_damaged => {
                format!("--skip-damaged writes the rest, and zeros for lost pages; `{verify}` shows all damage")
            }
            Some("snap" | "map") => {
                format!(
                    "without this file no page of the snapshot can be found; `{verify}` shows which snapshots are sound"
                )
            }
            _ => return error.into(),
        };
        Hinted { hint, error }.into()
    }

    fn rehearse(&self, what: &Operand, name: &str, options: &Options, screen: &mut Screen) -> anyhow::Result<Exit> {
        let (there, out) = (self.replaces(), escape::path(&self.output));
        restore::rehearse(what, &self.output, options).with_context(|| format!("restoring {name}"))?;
        if screen.is_json() {
            screen.json(&object! {
                schema: "memsnap.restore.plan.1",
                #[serde(flatten)] path: (!is_stdout(&self.output)).then(|| JsonPath::of(&self.output)),
                replaces: there,
            })?;
            return Ok(Exit::Done);
        }
        screen.line(&format!("would write {name} to {out}{}", if there { ", replacing it" } else { "" }))?;
        Ok(Exit::Done)
    }

    fn consent(&self, screen: &mut Screen) -> anyhow::Result<()> {
        refuse_terminal(&self.output, self.force, screen)?;
        if !self.force || !self.replaces() {
            return Ok(());
        }
        let out = escape::path(&self.output);
        match confirm::ask(&format!("Replace {out}?"), self.yes, true, screen) {
            Consent::Given => Ok(()),
            consent => Err(confirm::refusal(consent, &format!("replacing {out}"), "nothing was written")),
        }
    }

    /// Whether a file would be replaced.
    fn replaces(&self) -> bool {
        !is_stdout(&self.output) && !descriptor::is_sink(&self.output) && exists(&self.output)
    }

    fn render(&self, report: &Report, name: &str, screen: &mut Screen) -> anyhow::Result<()> {
        let json = object! {
            schema: "memsnap.restore.1",
            #[serde(flatten)] path: (!is_stdout(&self.output)).then(|| JsonPath::of(&self.output)),
            len: report.len,
            bytes_written: report.bytes_written,
            lost: report.lost.iter().map(|range| JsonRange::within(range, report.len)).collect::<Vec<_>>(),
            damage: &report.damage,
            #[serde(flatten)] notes: JsonNotes::of(&report.notes),
            seconds: report.elapsed.as_secs_f64(),
        };
        binary_output::report(&self.output, &json, screen, |out, screen| {
            let (len, written) = (screen.sizes.show(report.len), screen.sizes.show(report.bytes_written));
            screen.say(&format!("{name} -> {out}: {len}, {written} written, {}", duration(report.elapsed)));
            report.damage.iter().for_each(|fault| screen.warn(&fault::without_number(fault)));
            report.lost.iter().for_each(|range| screen.warn(&format!("{out}: {}", lost(range, report.len))));
            screen.notes(&report.notes, out);
        })
    }
}

/// `pages 7..9 (bytes 28672..36864) are lost: zeros were written`
fn lost(range: &PageRange, len: u64) -> String {
    let bytes = format!("(bytes {}..{})", range.offset(), range.end_offset().min(len));
    match range.len() {
        1 => format!("page {} {bytes} is lost: zeros were written", range.start),
        _ => format!("pages {}..{} {bytes} are lost: zeros were written", range.start, range.end),
    }
}
