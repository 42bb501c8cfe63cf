//! `snap --every`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use memsnap::ops::OnlyOne;
use memsnap::program::repeat::Repeat;

use super::common_flags::Global;
use super::escape;
use super::exit::Exit;
use super::operands::without_ref;
use super::screen::Screen;

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
