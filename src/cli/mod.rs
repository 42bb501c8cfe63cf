//! The command line: one file per verb, each with its flags (whose doc comments are the help), one call into the
//! library, and the rendering of its report. Only this module uses terminals, the environment and exit codes.

mod action;
mod adopt;
mod apply;
mod binary_output;
mod cell_map;
mod change;
mod changed_list;
mod clone_flags;
mod common_flags;
mod completions;
mod confirm;
mod delta;
mod diff;
mod edit;
mod escape;
mod every;
mod exit;
mod fault;
#[cfg(test)]
mod generated;
mod help;
mod hex;
mod hints;
mod input;
mod json;
mod lock;
mod log;
mod man;
mod metadata;
mod moment_flags;
mod number_type;
mod operands;
mod pager;
mod plan;
mod progress;
mod recover;
mod restore;
mod revert;
mod screen;
mod sets;
mod snap;
mod stat;
mod table;
#[cfg(test)]
mod tests;
mod undo;
mod units;
mod vec;
mod verify;
mod view;

use std::ffi::OsString;

use clap::{ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand};

use common_flags::{Global, When};
use exit::Exit;
use screen::Screen;

/// Page-level history for big files that are changed in place
///
/// memsnap takes snapshots of files such as databases, virtual machine images,
/// indexes and tensors. A snapshot stores only the pages (4096 bytes) that
/// changed since the previous one. diff shows these pages, revert writes back
/// only what differs, and undo undoes the revert.
///
///   memsnap snap db.bin            take a snapshot of db.bin
///   memsnap diff db.bin            show what changed since then
///   memsnap revert db.bin          restore the snapshot, in place
///   memsnap undo db.bin            undo the revert
///   memsnap log db.bin             list all snapshots
///
/// Snapshots are stored in .memsnap beside the file, or in --store DIR. A store
/// on the same disk is not a backup: send deltas elsewhere (memsnap delta).
#[derive(Parser)]
#[command(
    name = "memsnap",
    version,
    verbatim_doc_comment,
    after_help = "`memsnap VERB --help` describes a verb, `memsnap man | man -l -` all of them.",
    after_long_help = help::PROGRAM,
    max_term_width = 80,
    subcommand_value_name = "VERB",
    subcommand_help_heading = "Verbs",
    disable_help_subcommand = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// The verbs, in the order in which help lists them.
#[derive(Subcommand)]
enum Verb {
    Snap(snap::Args),
    Log(log::Args),
    Diff(diff::Args),
    View(view::Args),
    Stat(stat::Args),
    Revert(revert::Args),
    Undo(undo::Args),
    Edit(edit::Args),
    Recover(recover::Args),
    Restore(restore::Args),
    Delta(delta::Args),
    Apply(apply::Args),
    Verify(verify::Args),
    Adopt(adopt::Args),
    Lock(lock::Args),
    Vec(vec::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// Runs the program with `args`, the first of which is its name.
pub(crate) fn main(args: Vec<OsString>) -> Exit {
    let args = with_help(args);
    let color = typed_color(&args);
    let choice = match color {
        When::Auto => ColorChoice::Auto,
        When::Always => ColorChoice::Always,
        When::Never => ColorChoice::Never,
    };
    let parsed = Cli::command().color(choice).try_get_matches_from(&args).and_then(|m| Cli::from_arg_matches(&m));
    let (mut screen, verdict) = match parsed {
        Ok(Cli { global, verb }) => {
            let cli = Cli { global: global.with_environment(), verb };
            let mut screen = Screen::of_process(&cli.global);
            let verdict = cli.run(&mut screen);
            (screen, verdict)
        }
        Err(mut e) => {
            hints::advise(&mut e);
            let json = args.iter().take_while(|a| *a != "--").any(|a| a == "--json");
            let mut screen = Screen::of_process(&Global { json, color, ..Global::default() });
            let verdict = screen.usage(&e, usage_exit(&args));
            (screen, verdict)
        }
    };
    let verdict = verdict.unwrap_or_else(|e| screen.fail(&e));
    match screen.flush() {
        Ok(()) => verdict,
        Err(e) => verdict.max(screen.fail(&e)),
    }
}

impl Cli {
    fn run(&self, screen: &mut Screen) -> anyhow::Result<Exit> {
        let global = &self.global;
        // Like flock(1), `lock` leaves this to the command that it runs.
        if !matches!(self.verb, Verb::Lock(_)) {
            screen.must_be_open()?;
        }
        match &self.verb {
            Verb::Snap(args) => args.run(global, screen),
            Verb::Log(args) => args.run(global, screen),
            Verb::Diff(args) => args.run(global, screen),
            Verb::View(args) => args.run(global, screen),
            Verb::Stat(args) => args.run(global, screen),
            Verb::Revert(args) => args.run(global, screen),
            Verb::Undo(args) => args.run(global, screen),
            Verb::Edit(args) => args.run(global, screen),
            Verb::Recover(args) => args.run(global, screen),
            Verb::Restore(args) => args.run(global, screen),
            Verb::Delta(args) => args.run(global, screen),
            Verb::Apply(args) => args.run(global, screen),
            Verb::Verify(args) => args.run(global, screen),
            Verb::Adopt(args) => args.run(global, screen),
            Verb::Lock(args) => args.run(global, screen),
            Verb::Vec(args) => args.run(screen),
            Verb::Completions(args) => args.run(screen),
            Verb::Man(args) => args.run(screen),
        }
    }
}

/// `memsnap help VERB` is `memsnap VERB --help`.
fn with_help(mut args: Vec<OsString>) -> Vec<OsString> {
    if args.get(1).is_some_and(|word| word == "help") {
        args.remove(1);
        args.push("--help".into());
    }
    args
}

/// The exit code for a usage error: `lock` has that of flock(1).
fn usage_exit(args: &[OsString]) -> Exit {
    let parsed = Cli::command().ignore_errors(true).try_get_matches_from(args);
    let verb = parsed.ok().and_then(|matches| matches.subcommand_name().map(str::to_owned));
    if verb.as_deref() == Some("lock") { lock::USAGE } else { Exit::Trouble }
}

/// `--color` as typed. Help and usage errors come from parsing the arguments, so it is needed before that.
fn typed_color(args: &[OsString]) -> When {
    let mut words = args.iter().take_while(|a| *a != "--").filter_map(|a| a.to_str());
    let mut color = When::Auto;
    while let Some(word) = words.next() {
        let value = if word == "--color" { words.next() } else { word.strip_prefix("--color=") };
        color = match value {
            Some("always") => When::Always,
            Some("never") => When::Never,
            Some("auto") => When::Auto,
            _ => color,
        };
    }
    color
}
