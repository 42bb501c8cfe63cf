//! `memsnap undo`.

use std::path::PathBuf;

use clap::ValueHint;
use memsnap::ops::undo::undo;

use super::change::{ChangeFlags, Verb};
use super::exit::Exit;
use super::flags::{Global, without_ref};
use super::screen::Screen;
use super::{escape, text};

/// Take back the last revert, apply, edit or undo of FILE
///
/// Brings the file to what it was before memsnap last wrote to it. The undo
/// of an undo does the change again.
///
/// Never throws work away: if the file is not exactly what that change left,
/// nothing is written and the exit is 5. With --force it is written all the
/// same, and what was there is kept as a snapshot. A change that was
/// interrupted is finished first, and then taken back.
///
/// Example:
///
///   memsnap revert db.bin@3 && ./check db.bin || memsnap undo --yes db.bin
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = text::CHANGE_EXIT)]
pub(crate) struct Args {
    /// The file
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
    #[command(flatten)]
    change: ChangeFlags,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Exit> {
        let name = escape::path(&self.file);
        let doing = format!("undoing the last change of {name}");
        let verb = Verb {
            schema: "memsnap.undo.1",
            doing,
            name,
            file: self.file.clone(),
            in_place: true,
            stdin_free: true,
            recovers: false,
            is_final: false,
        };
        self.change.run(global, screen, &verb, |options| {
            undo(&self.file, options).map_err(|e| without_ref(e, &self.file, "undo"))
        })
    }
}
