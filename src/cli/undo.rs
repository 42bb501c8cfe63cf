//! `memsnap undo`.

use std::path::PathBuf;

use anyhow::Context;
use clap::ValueHint;
use memsnap::ops::{undo, undo_set};

use super::action::Action;
use super::change::ChangeFlags;
use super::common_flags::Global;
use super::exit::Exit;
use super::operands::without_ref;
use super::screen::Screen;
use super::{help, sets};

/// Revert the last revert, apply, edit or undo of FILE
///
/// Restores what the file held before memsnap last wrote to it. The undo of
/// an undo makes the change again.
///
/// A change of several files (of a set, or of a database with its log) is
/// undone for all of them, whichever is named: files that it made are
/// removed, and files that it removed are made again.
///
/// Never loses data: if the file is not exactly what that change left,
/// nothing is written and the exit code is 5. With --force it is written
/// nevertheless, and the previous content is saved as a snapshot. A change
/// that was interrupted is finished first, and then reverted.
///
/// Example:
///
///   memsnap revert db.bin@3 && ./check db.bin || memsnap undo --yes db.bin
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = help::CHANGE_EXIT)]
pub(crate) struct Args {
    /// The file, or a set
    #[arg(value_name = "FILE|set:ID", value_hint = ValueHint::FilePath)]
    file: PathBuf,
    #[command(flatten)]
    change: ChangeFlags,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Exit> {
        let action = Action::new("memsnap.undo.1", "undoing the last change of", &self.file);
        let set = sets::find(self.file.as_os_str(), global.store.as_deref()).context("reading a set")?;
        if let Some(set) = set {
            return self.change.run(global, screen, &action, |options| undo_set(&set, options));
        }
        self.change.run(global, screen, &action, |options| {
            undo(&self.file, options).map_err(|e| without_ref(e, &self.file, "undo"))
        })
    }
}
