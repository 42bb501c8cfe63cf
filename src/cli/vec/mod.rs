//! `memsnap vec`.

mod input;
mod parsers;
mod read;
mod target;
mod write;

use clap::Subcommand;

use super::exit::Exit;
use super::screen::Screen;

/// Make, read and change persistent vectors: typed arrays in files
///
/// A persistent vector is a file with a header and elements of one type,
/// created here or by the library. Every change is atomic and durable: after a
/// crash at any time the file holds all of it, or none of it. A lock on the
/// file excludes other writers, and readers while it is written.
///
/// Elements are numbered from 0; -1 is the last, -2 the one before. Ranges are
/// half-open: 10..20 (without 20), 5.., ..5, and .. for all. Write -- before a
/// value that begins with a minus and is not a number, such as -3.. or -inf.
#[derive(clap::Args)]
#[command(verbatim_doc_comment, subcommand_value_name = "VERB", subcommand_help_heading = "Verbs")]
#[command(disable_help_subcommand = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: VecVerb,
}

#[derive(Subcommand)]
enum VecVerb {
    Create(write::Create),
    Stat(read::Stat),
    Push(write::Push),
    Pop(write::Pop),
    Get(read::Get),
    Set(write::Set),
    Len(read::Len),
    Truncate(write::Truncate),
    Dump(read::Dump),
    Import(write::Import),
}

impl Args {
    pub(crate) fn run(&self, screen: &mut Screen) -> anyhow::Result<Exit> {
        match &self.verb {
            VecVerb::Create(verb) => verb.run(screen),
            VecVerb::Stat(verb) => verb.run(screen),
            VecVerb::Push(verb) => verb.run(screen),
            VecVerb::Pop(verb) => verb.run(screen),
            VecVerb::Get(verb) => verb.run(screen),
            VecVerb::Set(verb) => verb.run(screen),
            VecVerb::Len(verb) => verb.run(screen),
            VecVerb::Truncate(verb) => verb.run(screen),
            VecVerb::Dump(verb) => verb.run(screen),
            VecVerb::Import(verb) => verb.run(screen),
        }?;
        Ok(Exit::Done)
    }
}
