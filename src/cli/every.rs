//! `snap --every`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use memsnap::ops::OnlyOne;
use memsnap::program::repeat::Repeat;

use super::common_flags::Global;
use super::exit::Exit;
use super::operands::without_ref;
use super::screen::Screen;
use super::{escape, units};

/// `--every`.
#[derive(clap::Args)]
pub(crate) struct EveryFlag {
    /// Take a snapshot again and again, at each multiple of DURATION
    ///
    /// DURATION is a number of seconds, or a number with s, m, h or d. The
    /// times are its multiples since 1970 in UTC: with 15m at :00, :15, :30
    /// and :45. Times that pass during a capture, or while the system
    /// sleeps, are skipped. Prints one line for each new snapshot on stdout,
    /// with -v also for files that did not change. Errors are printed, and
    /// do not end it. On SIGTERM and SIGINT, ends after the present capture,
    /// with 0; a second signal ends it at once. Another process that runs
    /// snap --every for one of the files is an error (75).
    #[arg(long, value_name = "DURATION", value_parser = units::interval, verbatim_doc_comment)]
    #[arg(conflicts_with = "changed")]
    pub(crate) every: Option<Duration>,
}

impl EveryFlag {
    pub(crate) fn is_on(&self) -> bool {
        self.every.is_some()
    }
}

/// Runs `once` at each multiple of `every`, until a signal asks for the end. No other process does so for one of `files`
/// meanwhile.
pub(crate) fn run(
    every: Duration,
    files: &[PathBuf],
    global: &Global,
    screen: &mut Screen,
    once: impl Fn(&mut Screen) -> anyhow::Result<Exit>,
) -> anyhow::Result<Exit> {
    let _only: Vec<_> = files.iter().map(|file| only_one(file, global)).collect::<anyhow::Result<_>>()?;
    let repeat = Repeat::new(every).context("preparing for signals")?;
    while repeat.wait() {
        // Errors are reported when they happen; the next capture may succeed.
        if let Err(e) = once(screen).and_then(|_| screen.flush()) {
            screen.fail(&e);
        }
    }
    Ok(Exit::Done)
}

fn only_one(file: &Path, global: &Global) -> anyhow::Result<OnlyOne> {
    OnlyOne::new(file, global.store.as_deref())
        .map_err(|e| without_ref(e, file, "snap"))
        .with_context(|| format!("taking snapshots of {}", escape::path(file)))
}
