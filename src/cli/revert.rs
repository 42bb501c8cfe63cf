//! `memsnap revert`.

use std::ffi::OsString;

use clap::ValueHint;
use memsnap::ops::{revert, revert_without_undo};

use super::action::Action;
use super::change::ChangeFlags;
use super::common_flags::Global;
use super::exit::Exit;
use super::operands::writing;
use super::screen::Screen;
use super::units::Bytes;
use super::{help, units};

/// Revert FILE to a snapshot, in place
///
/// Writes only the pages that differ; the file keeps its inode, its name and
/// its links. The mode, the access list, user.* attributes and (as root) the
/// owner are restored too; set-uid and set-gid bits are not. Without REF, the
/// latest snapshot is used. Before the change, the current content is saved
/// as a snapshot, so that `memsnap undo` can revert the change.
///
/// Never writes while other processes have the file open (see --live), and
/// never leaves a half-changed file unnoticed: after a crash, `memsnap
/// recover` finishes the change or rolls it back.
///
/// Examples:
///
///   memsnap revert db.bin                    to the latest snapshot
///   memsnap revert -n db.bin@before-upgrade  what would be written?
///   memsnap revert --yes db.bin@3 --range 1M..2M
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = help::CHANGE_EXIT)]
pub(crate) struct Args {
    /// The file, and the snapshot to revert it to
    #[arg(value_name = "FILE[@REF]", value_hint = ValueHint::FilePath)]
    what: OsString,
    /// The REF; do not split the name at @
    #[arg(long, value_name = "REF", allow_hyphen_values = true)]
    at: Option<String>,
    /// Revert only these bytes; the length stays as it is
    #[arg(short, long, value_name = "RANGE", value_parser = units::range)]
    range: Option<Bytes>,
    /// Do not save the current content: the change is final
    ///
    /// For when there is no space to save it. undo can then revert neither
    /// this change nor an earlier one; if the change is interrupted, recover
    /// can only finish it.
    #[arg(long, verbatim_doc_comment, conflicts_with = "range")]
    no_undo: bool,
    #[command(flatten)]
    change: ChangeFlags,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Exit> {
        let what = writing(&self.what, self.at.as_deref())?;
        let action = Action::new("memsnap.revert.1", "reverting", &what.path);
        let action = Action { is_final: self.no_undo, ..action };
        self.change.run(global, screen, &action, |options| match self.no_undo {
            true => revert_without_undo(&what, options),
            false => revert(&what, self.range, options),
        })
    }
}
