//! `memsnap completions`.

use clap::ValueEnum;

use super::exit::Exit;
use super::screen::Screen;

/// Print completions for a shell
///
/// Examples:
///
///   source <(memsnap completions bash)
///   memsnap completions zsh > ~/.zfunc/_memsnap
///   memsnap completions fish > ~/.config/fish/completions/memsnap.fish
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

#[derive(Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Args {
    pub(crate) fn run(&self, screen: &mut Screen) -> anyhow::Result<Exit> {
        screen.own_text(match self.shell {
            Shell::Bash => include_str!("../../completions/memsnap.bash"),
            Shell::Zsh => include_str!("../../completions/_memsnap"),
            Shell::Fish => include_str!("../../completions/memsnap.fish"),
        })?;
        Ok(Exit::Done)
    }
}
