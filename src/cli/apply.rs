//! `memsnap apply`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::ValueHint;
use memsnap::ops::apply;

use super::action::Action;
use super::binary_output::is_stdout;
use super::change::ChangeFlags;
use super::common_flags::Global;
use super::delta::input;
use super::exit::Exit;
use super::screen::Screen;
use super::{escape, help, input::is_stdin};

/// Apply a delta to FILE
///
/// DELTA comes from `memsnap delta make`; `-` reads it from stdin. FILE must
/// be exactly the base that the delta was made from, and becomes exactly its
/// result, in place; `memsnap undo` reverts this. With -o, FILE stays as it
/// is and the result is written to OUT.
///
/// Never writes to FILE before the whole delta has been read and checked, and
/// never applies it to another base: then the exit code is 5, and the message
/// has both digests. If FILE already is the result, there is nothing to do.
///
/// Examples:
///
///   memsnap apply db.bin monday.delta
///   ssh host memsnap delta make db@1..2 -o - | memsnap apply --yes db -
///   memsnap apply db.bin monday.delta -o db-monday.bin
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = help::CHANGE_EXIT)]
pub(crate) struct Args {
    /// The file
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// The delta; - is stdin (needs --yes)
    #[arg(value_name = "DELTA", value_hint = ValueHint::FilePath)]
    delta: OsString,
    /// Write the result to OUT, and leave FILE as it is
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
    #[command(flatten)]
    change: ChangeFlags,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Exit> {
        let out = self.output.as_deref();
        if out.is_some_and(is_stdout) {
            let hint = "apply to a copy (-o OUT), then read that; `-o ./-` is a file of that name";
            return Err(memsnap::Error::refused("the result cannot go to stdout", hint).into());
        }
        let action = Action {
            name: escape::path(out.unwrap_or(&self.file)),
            in_place: out.is_none(),
            stdin_free: !is_stdin(&self.delta),
            ..Action::new("memsnap.apply.1", &format!("applying {} to", escape::os(&self.delta)), &self.file)
        };
        self.change.run(global, screen, &action, |options| apply(&self.file, input(&self.delta)?, out, options))
    }
}
