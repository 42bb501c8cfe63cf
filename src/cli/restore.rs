//! `memsnap restore`.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueHint;
use memsnap::ops::Operand;
use memsnap::ops::restore::{self, Options, Out, Report, restore};
use memsnap::page::PageRange;
use memsnap::program::descriptor;

use super::common_flags::Global;
use super::confirm::{self, Consent};
use super::exit::{Exit, Hinted};
use super::json::{JsonNotes, JsonPath, JsonRange, object};
use super::operands::{exists, reading};
use super::screen::Screen;
use super::units::duration;
use super::{escape, fault, help, units};

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
    /// The snapshot
    #[arg(value_name = "FILE@REF", value_hint = ValueHint::FilePath)]
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
        let to_stdout = is_stdout(&self.output);
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
        let result = match to_stdout {
            true => restore(&what, Out::Stream(&mut screen.stream()), &options, &bar),
            false => restore(&what, Out::Path(&self.output), &options, &bar),
        };
        drop(bar);
        match result {
            Err(_) if to_stdout && screen.closed() => Ok(Exit::Done),
            result => {
                let hinted = |error| self.hinted(error, &what.path, global);
                let report = result.map_err(hinted).with_context(|| format!("restoring {name}"))?;
                self.render(&report, &name, to_stdout, screen)?;
                Ok(if report.lost.is_empty() { Exit::Done } else { Exit::Damaged })
            }
        }
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
        may_take_binary(&self.output, self.force, screen)?;
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

    fn render(&self, report: &Report, name: &str, to_stdout: bool, screen: &mut Screen) -> anyhow::Result<()> {
        if screen.is_json() {
            let json = object! {
                schema: "memsnap.restore.1",
                #[serde(flatten)] path: (!to_stdout).then(|| JsonPath::of(&self.output)),
                len: report.len,
                bytes_written: report.bytes_written,
                lost: report.lost.iter().map(|range| JsonRange::within(range, report.len)).collect::<Vec<_>>(),
                damage: &report.damage,
                #[serde(flatten)] notes: JsonNotes::of(&report.notes),
                seconds: report.elapsed.as_secs_f64(),
            };
            return if to_stdout { screen.json_aside(&json) } else { screen.json(&json) };
        }
        if is_stderr(&self.output) {
            return Ok(());
        }
        let (len, written) = (screen.sizes.show(report.len), screen.sizes.show(report.bytes_written));
        let out = if to_stdout { "stdout".into() } else { escape::path(&self.output) };
        screen.say(&format!("{name} -> {out}: {len}, {written} written, {}", duration(report.elapsed)));
        report.damage.iter().for_each(|fault| screen.warn(&fault::without_number(fault)));
        report.lost.iter().for_each(|range| screen.warn(&format!("{out}: {}", lost(range, report.len))));
        screen.notes(&report.notes, &out);
        Ok(())
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

/// Whether an output is stdout: by `-`, or by a path.
pub(crate) fn is_stdout(output: &Path) -> bool {
    output.as_os_str() == "-" || descriptor::number(output) == Some(1)
}

/// Whether an output is stderr. Then no summary is written: it would end up among the bytes.
pub(crate) fn is_stderr(output: &Path) -> bool {
    descriptor::number(output) == Some(2)
}

/// An error when `output` is a terminal, unless forced.
pub(crate) fn may_take_binary(output: &Path, force: bool, screen: &Screen) -> anyhow::Result<()> {
    if is_stdout(output) {
        return no_binary_on_terminal(force, screen);
    }
    match descriptor::duplicate(output)? {
        Some(file) if file.is_terminal() && !force => Err(binary_on_terminal()),
        _ => Ok(()),
    }
}

/// An error when stdout is a terminal, unless forced.
pub(crate) fn no_binary_on_terminal(force: bool, screen: &Screen) -> anyhow::Result<()> {
    if screen.terminals.stdout && !force {
        return Err(binary_on_terminal());
    }
    Ok(())
}

fn binary_on_terminal() -> anyhow::Error {
    let hint = "redirect it, or add --force";
    memsnap::Error::refused("binary output is not written to a terminal", hint).into()
}
