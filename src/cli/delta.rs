//! `memsnap delta make`, `delta stat` and `delta invert`.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use anyhow::Context;
use clap::{Subcommand, ValueHint};
use memsnap::ops::delta::Input;
use memsnap::ops::delta::{self, Stat};
use memsnap::ops::restore::Out;
use serde::Serialize;

use super::binary_output::{self, refuse_terminal};
use super::common_flags::{Global, LockFlag, ReadingFlags};
use super::exit::Exit;
use super::json::object;
use super::operands::two_sides;
use super::screen::Screen;
use super::units::count;
use super::{escape, help, input, units};

/// Make, inspect and reverse deltas
///
/// A delta holds the pages that turn one image into another, with the digests
/// and lengths of both. It can be written to a file or a pipe, also through
/// ssh. `memsnap apply` applies it; it refuses any other base, and verifies the
/// result.
#[derive(clap::Args)]
#[command(verbatim_doc_comment, subcommand_value_name = "VERB", subcommand_help_heading = "Verbs")]
#[command(disable_help_subcommand = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: DeltaVerb,
}

#[derive(Subcommand)]
enum DeltaVerb {
    Make(Make),
    Stat(Describe),
    Invert(Invert),
}

/// Write the delta that turns A into B
///
/// A and B are files or snapshots, as for diff.
///
/// Never writes to either of them.
///
/// Examples:
///
///   memsnap delta make db.bin@1..2 -o monday.delta
///   memsnap delta make db.bin@latest db.bin@now -o - | ssh host ...
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = help::DELTA_EXIT)]
struct Make {
    /// The base: a file, a snapshot FILE@REF, or FILE@A..B for both sides
    #[arg(value_name = "A", value_hint = ValueHint::FilePath)]
    a: OsString,
    /// The result: a file, or a snapshot
    #[arg(value_name = "B", value_hint = ValueHint::FilePath)]
    b: Option<OsString>,
    /// Name A by REF, and B if given twice; do not split names at @
    #[arg(long, value_name = "REF", allow_hyphen_values = true)]
    at: Vec<String>,
    /// Include the old pages, so that the delta can be reversed
    #[arg(long)]
    reversible: bool,
    /// Compress at this zstd level, 1 to 19
    #[arg(long, value_name = "LEVEL", default_value = "3", value_parser = units::zstd_level)]
    level: i32,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    lock: LockFlag,
    #[command(flatten)]
    reading: ReadingFlags,
}

/// Describe a delta
///
/// Checks the whole delta, and shows the digest and length of its base and of
/// its result, the number of pages, and its size. Needs no other file.
///
/// Example:
///
///   memsnap delta stat monday.delta
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = help::DELTA_EXIT)]
struct Describe {
    /// The delta; - is stdin
    #[arg(value_name = "DELTA", value_hint = ValueHint::FilePath)]
    delta: OsString,
}

/// Reverse a delta: from its result back to its base
///
/// Needs no file but the delta, which must have been made with --reversible.
///
/// Example:
///
///   memsnap delta invert monday.delta -o back.delta
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = help::DELTA_EXIT)]
struct Invert {
    /// The delta; - is stdin
    #[arg(value_name = "DELTA", value_hint = ValueHint::FilePath)]
    delta: OsString,
    #[command(flatten)]
    output: Output,
}

/// Where a delta is written.
#[derive(clap::Args)]
pub(crate) struct Output {
    /// The delta to write; - is stdout
    #[arg(short, long, value_name = "DELTA", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,
    /// Replace it if it exists; write to stdout even if it is a terminal
    #[arg(long)]
    pub(crate) force: bool,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Exit> {
        match &self.verb {
            DeltaVerb::Make(make) => make.run(global, screen),
            DeltaVerb::Stat(describe) => describe.run(global, screen),
            DeltaVerb::Invert(invert) => invert.run(screen),
        }
    }
}

impl Make {
    fn run(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Exit> {
        let (a, b) = two_sides(&self.a, self.b.as_ref(), &self.at, screen)?;
        let Some(b) = b else {
            let at = |reference: &str| escape::shell_ref(&a.path, reference);
            let hint = match &a.at {
                Some(base) => format!("use {} {}", at(&format!("@{base}")), at("@now")),
                None => format!("use {}, or {} {}", at("@1..2"), at("@latest"), at("@now")),
            };
            return Err(memsnap::Error::refused("a delta needs a base and a result", hint).into());
        };
        let options = delta::Options::default()
            .store(global.store.clone())
            .reading(self.reading.reading(self.lock.lock))
            .reversible(self.reversible)
            .level(self.level)
            .force(self.output.force);
        let bar = screen.bar();
        let stat = self.output.write(screen, |out| delta::make(&a, &b, out, &options, &bar));
        drop(bar);
        self.output.render(stat.context("making the delta")?, screen)
    }
}

impl Describe {
    fn run(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Exit> {
        let doing = || format!("reading {}", escape::os(&self.delta));
        let stat = input(&self.delta).and_then(delta::stat).with_context(doing)?;
        if screen.is_json() {
            screen.json(&json(&stat))?;
            return Ok(Exit::Done);
        }
        let id = |digest: &memsnap::page::Digest| match global.verbose {
            true => digest.to_string(),
            false => format!("{:.12}", digest),
        };
        let sizes = screen.sizes;
        let (pages, ranges) = (count(stat.pages, "page"), count(stat.ranges, "range"));
        if !stat.name.is_empty() {
            screen.line(&format!("of      {}", stat.name))?;
        }
        screen.line(&format!("base    {}  {}", id(&stat.base), sizes.show(stat.base_len)))?;
        screen.line(&format!("result  {}  {}", id(&stat.result), sizes.show(stat.result_len)))?;
        screen.line(&format!("writes  {pages} in {ranges}"))?;
        screen.line(&format!("size    {}", sizes.show(stat.bytes)))?;
        screen.line(if stat.reversible { "reversible" } else { "not reversible" })?;
        Ok(Exit::Done)
    }
}

impl Invert {
    fn run(&self, screen: &mut Screen) -> anyhow::Result<Exit> {
        let doing = || format!("reversing {}", escape::os(&self.delta));
        let force = self.output.force;
        let stat = self.output.write(screen, |out| delta::invert(input(&self.delta)?, out, force));
        self.output.render(stat.with_context(doing)?, screen)
    }
}

impl Output {
    /// Writes a delta; `None` if the reader of stdout is gone.
    pub(crate) fn write(
        &self,
        screen: &mut Screen,
        make: impl FnOnce(Out<'_>) -> memsnap::Result<Stat>,
    ) -> anyhow::Result<Option<Stat>> {
        refuse_terminal(&self.output, self.force, screen)?;
        Ok(binary_output::write(&self.output, screen, make)?)
    }

    pub(crate) fn render(&self, stat: Option<Stat>, screen: &mut Screen) -> anyhow::Result<Exit> {
        let Some(stat) = stat else { return Ok(Exit::Done) };
        binary_output::report(&self.output, &json(&stat), screen, |out, screen| {
            let (pages, ranges) = (count(stat.pages, "page"), count(stat.ranges, "range"));
            let size = screen.sizes.show(stat.bytes);
            screen.say(&format!("{out}: {pages} in {ranges}, {size}, for base {}", &stat.base.to_string()[..12]));
        })?;
        Ok(Exit::Done)
    }
}

/// Opens a delta named on the command line; `-` is stdin.
pub(crate) fn input(arg: &OsStr) -> memsnap::Result<Input> {
    Ok(match arg == "-" {
        true => Input::Stream(Box::new(input::stdin()?)),
        false => Input::Path(arg.into()),
    })
}

fn json(stat: &Stat) -> impl Serialize {
    object! {
        schema: "memsnap.delta.1",
        base: stat.base.to_string(),
        result: stat.result.to_string(),
        base_len: stat.base_len,
        result_len: stat.result_len,
        pages: stat.pages,
        ranges: stat.ranges,
        bytes: stat.bytes,
        reversible: stat.reversible,
        name: &stat.name,
    }
}
