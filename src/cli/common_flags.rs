//! Flags that several verbs share.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum, ValueHint};
use memsnap::capture::Io;
use memsnap::ops::{Reading, Reserve};
use memsnap::pack::Compress;

use super::{escape, units};

const HEADING: &str = "Global options";
const READING: &str = "Reading";

/// When to do something that usually makes sense on a terminal only: `Auto` is on a terminal. (Comments on the variants
/// would become a list in every help.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    #[default]
    Auto,
    Always,
    Never,
}

/// Options of every verb, before or after the verb.
#[derive(Args, Default)]
pub(crate) struct Global {
    /// Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE
    #[arg(long, value_name = "DIR", global = true, help_heading = HEADING)]
    #[arg(value_hint = ValueHint::DirPath)]
    pub(crate) store: Option<PathBuf>,
    /// Whether `store` is from the command line, not from the environment.
    #[arg(skip)]
    pub(crate) store_typed: bool,
    /// Write results and errors as JSON, one object a line
    #[arg(long, global = true, help_heading = HEADING)]
    pub(crate) json: bool,
    /// Suppress progress messages: only results, warnings and errors
    #[arg(short, long, global = true, help_heading = HEADING, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Show more: full ids, exact times, reasons for grades
    #[arg(short, long, global = true, help_heading = HEADING)]
    pub(crate) verbose: bool,
    /// Colour the output; auto: on a terminal
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, global = true, help_heading = HEADING)]
    pub(crate) color: When,
    /// Show progress on stderr; auto: on a terminal; always: also elsewhere,
    /// one line a second
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, global = true, help_heading = HEADING)]
    pub(crate) progress: When,
    /// Show sizes in bytes, not rounded to KiB, MiB or GiB
    #[arg(long, global = true, help_heading = HEADING)]
    pub(crate) bytes: bool,
}

impl Global {
    /// Adds what the environment sets and the command line does not. An empty variable counts as unset.
    pub(crate) fn with_environment(mut self) -> Global {
        self.store_typed = self.store.is_some();
        let store = || std::env::var_os("MEMSNAP_STORE").filter(|dir| !dir.is_empty());
        self.store = self.store.or_else(|| store().map(PathBuf::from));
        self
    }

    /// A command of this program for `file` with the same store, quoted for a shell.
    pub(crate) fn command(&self, verb: &str, file: &Path) -> String {
        let store = match &self.store {
            Some(dir) if self.store_typed => format!(" --store {}", escape::shell(dir)),
            _ => String::new(),
        };
        format!("memsnap {verb}{store} {}", escape::shell(file))
    }
}

/// How a live file is read.
#[derive(Args)]
pub(crate) struct ReadingFlags {
    /// Read by mmap (map) or by pread; auto uses the faster one
    #[arg(long, value_name = "METHOD", default_value = "auto", help_heading = READING)]
    #[arg(value_parser = PossibleValuesParser::new(["auto", "map", "pread"]).try_map(|method| units::io(&method)))]
    io: Io,
    /// Read at most SIZE bytes a second
    #[arg(long, value_name = "SIZE", help_heading = READING, value_parser = units::rate)]
    limit_rate: Option<u64>,
    /// Wait up to SECS seconds for locks, and for a file that is being written to be quiet
    #[arg(long, value_name = "SECS", default_value = "10", help_heading = READING, value_parser = units::seconds)]
    #[arg(allow_negative_numbers = true)]
    wait: Duration,
    /// Read again a file that was read longer ago than DURATION [default: 7d, 1d if then observed]
    #[arg(long, value_name = "DURATION", help_heading = READING, value_parser = units::period)]
    #[arg(allow_negative_numbers = true)]
    reread: Option<Duration>,
    /// Read the file, even if nothing shows a change since it was read
    #[arg(long, help_heading = READING, conflicts_with = "reread")]
    rescan: bool,
}

impl ReadingFlags {
    /// The library's form of these flags; `lock` is `--lock`, which only reading verbs have.
    pub(crate) fn reading(&self, lock: bool) -> Reading {
        let reading = Reading::default().io(self.io).limit_rate(self.limit_rate).lock(lock).wait(self.wait);
        reading.reread(self.reread).rescan(self.rescan)
    }
}

/// `--lock`.
#[derive(Args)]
pub(crate) struct LockFlag {
    /// Hold a shared flock on the file while reading it
    ///
    /// With it you assert that every program that writes to the file holds an
    /// exclusive flock while it does. A lock held by the command that runs
    /// memsnap, as in `flock FILE memsnap snap FILE`, counts.
    #[arg(long, help_heading = READING, verbatim_doc_comment)]
    pub(crate) lock: bool,
}

/// How pages are stored.
#[derive(Args)]
pub(crate) struct StoringFlags {
    /// Compress stored pages: none, zstd or zstd:LEVEL (1 to 19)
    ///
    /// Data that does not shrink is stored uncompressed. Level 1 is about as
    /// fast as a disk; higher levels are slower and compress better.
    #[arg(long, value_name = "METHOD", default_value = "zstd:1", value_parser = units::compress, verbatim_doc_comment)]
    pub(crate) compress: Compress,
    /// Leave SIZE of the store's disk free: bytes, or a percentage
    #[arg(long, value_name = "SIZE", default_value = "5%", value_parser = units::reserve)]
    pub(crate) reserve: Reserve,
}
