//! `memsnap adopt`.

use std::path::PathBuf;

use anyhow::Context;
use clap::ValueHint;
use memsnap::Error;
use memsnap::ops::adopt;

use super::common_flags::Global;
use super::confirm::{self, Consent};
use super::exit::Exit;
use super::json::{JsonPath, object};
use super::screen::Screen;
use super::units::count;
use super::{escape, help};

/// Move the history of OLD to NEW
///
/// Snapshots belong to a path. If a file was moved or renamed, or its store
/// comes from elsewhere, adopt moves the snapshots of OLD to NEW. OLD need not
/// exist.
///
/// Never writes to either file, and never merges two histories: NEW must have
/// no snapshots of its own. Asks first if NEW holds no page of the snapshots.
///
/// Example:
///
///   mv db.bin db-2025.bin && memsnap adopt db.bin db-2025.bin
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = help::ADOPT_EXIT)]
pub(crate) struct Args {
    /// The path that the snapshots belong to now
    #[arg(value_name = "OLD", value_hint = ValueHint::AnyPath)]
    old: PathBuf,
    /// The path that they will belong to
    #[arg(value_name = "NEW", value_hint = ValueHint::FilePath)]
    new: PathBuf,
    /// Do not ask, even if NEW holds no page of these snapshots
    #[arg(short, long)]
    yes: bool,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Exit> {
        let doing = || format!("moving the history of {}", escape::path(&self.old));
        let new = escape::path(&self.new);
        let mut consent = Consent::Given;
        let mut ask = || {
            let question = format!("{new} holds no page of these snapshots. Move the history anyway?");
            consent = confirm::ask(&question, self.yes, true, screen);
            consent == Consent::Given
        };
        let report = adopt(&self.old, &self.new, global.store.as_deref(), &mut ask).with_context(doing)?;
        if !report.done {
            let why = match consent {
                Consent::Declined => Error::refused("declined; nothing was moved", ""),
                _ => Error::refused(
                    format!("{new} holds no page of these snapshots"),
                    "if it is the right file, add --yes",
                ),
            };
            return Err(anyhow::Error::new(why).context(doing()));
        }
        let (from, to, snapshots) = (&report.from, &report.to, report.snapshots);
        if screen.is_json() {
            let (from, to) = (JsonPath::of(from), JsonPath::of(to));
            screen.json(&object! { schema: "memsnap.adopt.1", from, to, snapshots })?;
            return Ok(Exit::Done);
        }
        let snapshots = count(snapshots, "snapshot");
        screen.say(&format!("{snapshots} of {} moved to {}", escape::path(from), escape::path(to)));
        Ok(Exit::Done)
    }
}
