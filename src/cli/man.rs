//! `memsnap man`.

use super::exit::Exit;
use super::screen::Screen;

/// Print the manual page
///
/// Examples:
///
///   memsnap man | man -l -
///   memsnap man > ~/.local/share/man/man1/memsnap.1
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(&self, screen: &mut Screen) -> anyhow::Result<Exit> {
        screen.own_text(include_str!("../../man/memsnap.1"))?;
        Ok(Exit::Done)
    }
}
