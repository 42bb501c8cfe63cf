//! `memsnap revert`.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Context;
use clap::ValueHint;
use memsnap::ops::set::SetEntry;
use memsnap::ops::{revert, revert_set, revert_without_undo};

use super::action::Action;
use super::change::ChangeFlags;
use super::common_flags::Global;
use super::exit::Exit;
use super::operands::writing;
use super::screen::Screen;
use super::units::Bytes;
use super::{help, sets, units};

/// Revert FILE to a snapshot, in place
///
/// Writes only the pages that differ; the file keeps its inode, its name and
/// its links. The mode, the access list, user.* attributes and (as root) the
/// owner are restored too; set-uid and set-gid bits are not. Without REF, the
/// latest snapshot is used. Before the change, the current content is saved
/// as a snapshot, so that `memsnap undo` can revert the change.
///
/// A database is reverted with its logs: those that were captured with it
/// come back, and a log that the snapshot does not have is removed (undo
/// brings it back). set:ID reverts all files of a set, or those that are
/// named: all of them or, whatever happens, none. Files that are gone are
/// made again; files that the set does not have stay, and are listed.
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
///   memsnap revert set:latest a.idx b.idx    two files of the last set
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = help::CHANGE_EXIT)]
pub(crate) struct Args {
    /// The file, and the snapshot to revert it to; or a set
    #[arg(value_name = "FILE[@REF]|set:ID", value_hint = ValueHint::FilePath)]
    what: OsString,
    /// Of a set, only these files; by default, all of them
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    files: Vec<PathBuf>,
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
        if let Some(set) = sets::find(&self.what, global.store.as_deref()).context("reading a set")? {
            return self.set(&set, global, screen);
        }
        if !self.files.is_empty() {
            return Err(
                memsnap::Error::refused("only files of a set can be named", "use set:ID FILE, or one FILE").into()
            );
        }
        let what = writing(&self.what, self.at.as_deref())?;
        let action = Action::new("memsnap.revert.1", "reverting", &what.path);
        let action = Action { is_final: self.no_undo, ..action };
        self.change.run(global, screen, &action, |options| match self.no_undo {
            true => revert_without_undo(&what, options),
            false => revert(&what, self.range, options),
        })
    }

    fn set(&self, set: &SetEntry, global: &Global, screen: &mut Screen) -> anyhow::Result<Exit> {
        if self.range.is_some() || self.no_undo || self.at.is_some() {
            let hint = "name one file of it";
            return Err(memsnap::Error::refused("a set is reverted as a whole, with undo", hint).into());
        }
        let action = Action::new("memsnap.revert.1", "reverting", sets::name(set).as_ref());
        self.change.run(global, screen, &action, |options| revert_set(set, &self.files, options))
    }
}
