//! Flags that several verbs share.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum, ValueHint};
use memsnap::capture::Io;
use memsnap::ops::operand::Operand;
use memsnap::ops::{Reading, Reserve};
use memsnap::pack::Compress;

use super::screen::Screen;
use super::{escape, units};

const HEADING: &str = "Global options";
const READING: &str = "Reading";

/// When to do something that only makes sense on a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal
    #[default]
    Auto,
    /// In any case
    Always,
    /// In no case
    Never,
}

/// Options that every verb takes, before or after the verb.
#[derive(Args, Default)]
pub(crate) struct Global {
    /// Keep snapshots in DIR (or MEMSNAP_STORE), not in .memsnap beside FILE
    #[arg(long, value_name = "DIR", global = true, help_heading = HEADING)]
    #[arg(value_hint = ValueHint::DirPath)]
    pub(crate) store: Option<PathBuf>,
    /// `store` is from the command line, not from the environment.
    #[arg(skip)]
    pub(crate) store_typed: bool,
    /// Write results and errors as JSON, one object a line
    #[arg(long, global = true, help_heading = HEADING)]
    pub(crate) json: bool,
    /// Suppress progress messages: only results, warnings and errors
    #[arg(short, long, global = true, help_heading = HEADING, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Show more: full ids, exact times, reasons
    #[arg(short, long, global = true, help_heading = HEADING)]
    pub(crate) verbose: bool,
    /// Colour the output: auto (on a terminal), always or never
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, global = true, help_heading = HEADING)]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    pub(crate) color: When,
    /// Show progress on stderr: auto (on a terminal), always (elsewhere as
    /// lines, one a second) or never
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, global = true, help_heading = HEADING)]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    pub(crate) progress: When,
    /// Show sizes to the byte
    #[arg(long, global = true, help_heading = HEADING)]
    pub(crate) bytes: bool,
}

impl Global {
    /// With what the environment says where the command line says nothing. A variable set to nothing is not set.
    pub(crate) fn with_environment(mut self) -> Global {
        self.store_typed = self.store.is_some();
        let store = || std::env::var_os("MEMSNAP_STORE").filter(|dir| !dir.is_empty());
        self.store = self.store.or_else(|| store().map(PathBuf::from));
        self
    }

    /// A command of this program for `file`, with the same store, such as a shell takes it.
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
    /// Read through maps or by pread; auto: what is faster here
    #[arg(long, value_name = "WAY", default_value = "auto", help_heading = READING, hide_possible_values = true)]
    #[arg(value_parser = PossibleValuesParser::new(["auto", "map", "pread"]).try_map(|way| units::io(&way)))]
    io: Io,
    /// Read at most SIZE bytes a second
    #[arg(long, value_name = "SIZE", help_heading = READING, value_parser = units::rate)]
    limit_rate: Option<u64>,
    /// Wait up to SECS for locks; 0 gives up at once
    #[arg(long, value_name = "SECS", default_value = "10", help_heading = READING, value_parser = units::seconds)]
    #[arg(allow_negative_numbers = true)]
    wait: Duration,
}

impl ReadingFlags {
    /// As the library takes it; `lock` is `--lock`, which only reading verbs have.
    pub(crate) fn reading(&self, lock: bool) -> Reading {
        Reading { io: self.io, limit_rate: self.limit_rate, lock, wait: self.wait }
    }
}

/// `--lock`.
#[derive(Args)]
pub(crate) struct LockFlag {
    /// Hold a shared flock on the file while reading it
    ///
    /// States that everybody who writes to the file holds an exclusive flock
    /// meanwhile. A lock held by the command that runs memsnap, as in
    /// `flock FILE memsnap snap FILE`, counts.
    #[arg(long, help_heading = READING, verbatim_doc_comment)]
    pub(crate) lock: bool,
}

/// How stored pages are kept.
#[derive(Args)]
pub(crate) struct StoringFlags {
    /// Compress stored pages: none, zstd or zstd:LEVEL (1 to 19)
    ///
    /// What does not shrink is stored as it is. The default, level 1, is
    /// about as fast as a disk; higher levels are slower and smaller.
    #[arg(long, value_name = "HOW", default_value = "zstd:1", value_parser = units::compress, verbatim_doc_comment)]
    pub(crate) compress: Compress,
    /// Keep SIZE of the store's disk free: bytes, or a part such as 5%
    #[arg(long, value_name = "SIZE", default_value = "5%", value_parser = units::reserve)]
    pub(crate) reserve: Reserve,
}

/// Reads an operand for a verb that only reads: ambiguity about the name is a warning. `whole` is the REF by which the
/// verb takes a file with an `@` in its name: `now` where it reads live files, else `latest`.
pub(crate) fn reading(arg: &OsStr, at: Option<&str>, whole: &str, screen: &mut Screen) -> anyhow::Result<Operand> {
    let operand = Operand::parse(arg, at, &exists)?;
    warn_of_doubt(&operand, whole, screen);
    Ok(operand)
}

/// Reads `FILE@A..B` for a verb that only reads the file.
pub(crate) fn reading_pair(arg: &OsStr, screen: &mut Screen) -> anyhow::Result<Option<(Operand, Operand)>> {
    let pair = Operand::parse_pair(arg, &exists)?;
    if let Some((a, _)) = &pair {
        warn_of_doubt(a, "now", screen);
    }
    Ok(pair)
}

/// The two sides of a comparison: `A B`, `FILE@A..B`, or one file with `--at` for either side. `A` alone has no other.
pub(crate) fn two_sides(
    a: &OsStr,
    b: Option<&OsString>,
    at: &[String],
    screen: &mut Screen,
) -> anyhow::Result<(Operand, Option<Operand>)> {
    let (at_a, at_b) = (at.first().map(String::as_str), at.get(1).map(String::as_str));
    if b.is_none()
        && at.is_empty()
        && let Some((a, b)) = reading_pair(a, screen)?
    {
        return Ok((a, Some(b)));
    }
    // One file alone is compared as it is with its latest snapshot.
    let alone = b.is_none() && at_b.is_none();
    let first = reading(a, at_a, if alone { "latest" } else { "now" }, screen)?;
    let second = match (b, at_b) {
        (Some(b), _) => Some(reading(b, at_b, "now", screen)?),
        (None, Some(at_b)) => Some(reading(a, Some(at_b), "now", screen)?),
        (None, None) => None,
    };
    Ok((first, second))
}

/// Reads an operand for a verb that writes to the file: ambiguity about the name is an error.
pub(crate) fn writing(arg: &OsStr, at: Option<&str>) -> anyhow::Result<Operand> {
    let operand = Operand::parse(arg, at, &exists)?;
    if let (Some(whole), Some(at)) = (&operand.ambiguity, &operand.at) {
        let (whole, path) = (escape::shell(whole), escape::shell(&operand.path));
        return Err(memsnap::Error::refused(
            format!("`{whole}` may mean @{at} of {path}, or the file of that name"),
            format!("write `{path} --at {at}` for the snapshot, `{whole} --at latest` for the file"),
        )
        .into());
    }
    Ok(operand)
}

/// The error of `verb`, which takes no `@REF`, where `file` was written with one and is not there.
pub(crate) fn without_ref(e: memsnap::Error, file: &Path, verb: &str) -> memsnap::Error {
    let is_missing = match &e {
        memsnap::Error::Missing { .. } => true,
        memsnap::Error::Io { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    };
    if !is_missing || exists(file) {
        return e;
    }
    match Operand::parse(file.as_os_str(), None, &exists) {
        Ok(Operand { path, at: Some(at), .. }) if exists(&path) => memsnap::Error::refused(
            format!("{verb} takes a file, not a snapshot of it: @{at}"),
            format!("name the file: {}", escape::shell(path)),
        ),
        _ => e,
    }
}

fn warn_of_doubt(operand: &Operand, now: &str, screen: &mut Screen) {
    if let (Some(whole), Some(at)) = (&operand.ambiguity, &operand.at) {
        let (whole, path) = (escape::path(whole), escape::path(&operand.path));
        screen.warn(&format!("taken as @{at} of {path}; there is also a file {whole} (name it with --at {now})"));
    }
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
