//! `memsnap recover`.

use std::path::PathBuf;

use anyhow::Context;
use clap::ValueHint;
use memsnap::ops::{Resolution, recover, recover_set};

use super::action::Action;
use super::change::ChangeFlags;
use super::common_flags::Global;
use super::exit::Exit;
use super::operands::without_ref;
use super::screen::Screen;
use super::{help, sets};

/// Finish or roll back a change of FILE that was interrupted
///
/// If a revert, undo, apply or edit was interrupted (power loss, kill -9, a
/// full disk), the file holds old and new pages. If every page is either old
/// or new, recover finishes the change. Otherwise it says what it found, and
/// you choose:
///
///   --finish     write the new pages: the change is complete
///   --rollback   write the old pages: the change is undone
///   --abandon    write nothing, and forget the change
///
/// --abandon also accepts a copy of a half-changed file, or a file whose
/// snapshots were removed, as it is.
///
/// A change of several files is finished or rolled back for all of them,
/// whichever is named; or withdrawn, if nothing of it was written.
///
/// Never overwrites a page that is neither old nor new unless you choose; and
/// then the current content is saved as a snapshot first.
///
/// Example:
///
///   memsnap recover -n db.bin        what was interrupted?
///   memsnap recover --rollback --yes db.bin
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = help::RECOVER_EXIT)]
pub(crate) struct Args {
    /// The file, or a set
    #[arg(value_name = "FILE|set:ID", value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Complete the change
    #[arg(long, group = "how")]
    finish: bool,
    /// Restore the content from before the change
    #[arg(long, group = "how")]
    rollback: bool,
    /// Leave the file as it is, and forget the change
    #[arg(long, group = "how")]
    abandon: bool,
    #[command(flatten)]
    change: ChangeFlags,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Exit> {
        let action = Action::new("memsnap.recover.1", "recovering", &self.file);
        let action = Action { recovers: true, abandons: self.abandon, is_final: self.finish, ..action };
        let set = sets::find(self.file.as_os_str(), global.store.as_deref()).context("reading a set")?;
        if let Some(set) = set {
            return self.change.run(global, screen, &action, |options| recover_set(&set, self.how(), options));
        }
        self.change.run(global, screen, &action, |options| {
            recover(&self.file, self.how(), options).map_err(|e| without_ref(e, &self.file, "recover"))
        })
    }

    fn how(&self) -> Option<Resolution> {
        match (self.finish, self.rollback, self.abandon) {
            (true, ..) => Some(Resolution::Finish),
            (_, true, _) => Some(Resolution::Rollback),
            (.., true) => Some(Resolution::Abandon),
            _ => None,
        }
    }
}
