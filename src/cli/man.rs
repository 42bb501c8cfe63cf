//! `memsnap man`.

use clap::ValueEnum;

use super::exit::Exit;
use super::screen::Screen;

/// Print the manual pages
///
/// Examples:
///
///   memsnap man | man -l -
///   memsnap man > ~/.local/share/man/man1/memsnap.1
///   memsnap man store | man -l -       the format of a store
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The page: memsnap(1) or memsnap-store(5)
    #[arg(value_name = "PAGE", value_enum, default_value_t)]
    page: ManualPage,
}

/// A manual page.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum ManualPage {
    /// memsnap(1)
    #[default]
    Program,
    /// memsnap-store(5)
    Store,
}

impl Args {
    pub(crate) fn run(&self, screen: &mut Screen) -> anyhow::Result<Exit> {
        screen.own_text(match self.page {
            ManualPage::Program => include_str!("../../man/memsnap.1"),
            ManualPage::Store => include_str!("../../man/memsnap-store.5"),
        })?;
        Ok(Exit::Done)
    }
}
