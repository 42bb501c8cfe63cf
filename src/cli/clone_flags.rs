//! Flags of `snap` that say what is read: clones, and ranges that the caller names.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum, ValueHint};
use memsnap::ops::snap::Clones;

use super::{changed_list, escape, input};

const HEADING: &str = "Reading";
/// The longest list that is read.
const MOST: u64 = 1 << 30;

/// The values of `--clone`. (Comments on the variants would become a list in every help.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum WhenToClone {
    #[default]
    Auto,
    Always,
    Never,
    Keep,
}

/// What of a FILE is read.
#[derive(Args)]
pub(crate) struct CloneFlags {
    /// Read a clone of FILE (xfs, btrfs): one moment, and nobody waits
    ///
    /// auto    where a process has FILE open for writing
    /// always  in any case; fails if FILE cannot be cloned
    /// never   watch FILE while it is read
    /// keep    keep the clone in the store until the next snapshot, which
    ///         then reads only what no longer shares its blocks with it.
    ///         What is overwritten in FILE is written to new blocks: that
    ///         takes space, may fail on a full disk, and scatters FILE over
    ///         the disk. Compressed files of btrfs are read as a whole.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, help_heading = HEADING, verbatim_doc_comment)]
    #[arg(conflicts_with = "freeze")]
    clone: WhenToClone,
    /// Read only what LIST says has changed since the last snapshot
    ///
    /// LIST, or - for stdin, holds lines `offset,length` in bytes, the JSON
    /// of `memsnap diff --json` or `qemu-img map --output=json`, or the XML
    /// of thin_delta. Ranges may overlap, in any order. The grade is at most
    /// claimed: you assert that nothing else changed. One in 100 of the
    /// other groups of 64 KiB is read too, and at least 64: if one differs,
    /// nothing is stored. All is read for a first snapshot.
    #[arg(long, value_name = "LIST", value_hint = ValueHint::FilePath, help_heading = HEADING, verbatim_doc_comment)]
    #[arg(conflicts_with = "every")]
    changed: Option<PathBuf>,
}

impl CloneFlags {
    pub(crate) fn clones(&self) -> Clones {
        match self.clone {
            WhenToClone::Auto => Clones::Auto,
            WhenToClone::Always => Clones::Always,
            WhenToClone::Never => Clones::Never,
            WhenToClone::Keep => Clones::Keep,
        }
    }

    /// The ranges that changed, if they are named.
    pub(crate) fn changed(&self, files: usize) -> anyhow::Result<Option<Vec<Range<u64>>>> {
        let Some(path) = &self.changed else { return Ok(None) };
        if files > 1 {
            let (what, hint) = ("--changed says what changed in one FILE", "name one FILE");
            return Err(memsnap::Error::refused(what, hint).into());
        }
        let doing = || format!("reading {}", escape::path(path));
        let list = match input::stream(path.as_os_str()).with_context(doing)? {
            Some(stream) => stream,
            None => File::open(path).with_context(doing)?,
        };
        let mut bytes = Vec::new();
        list.take(MOST + 1).read_to_end(&mut bytes).with_context(doing)?;
        if bytes.len() as u64 > MOST {
            return Err(memsnap::Error::refused("it is longer than 1 GiB", "leave out --changed")).with_context(doing);
        }
        let ranges = changed_list::parse(&bytes).map_err(|why| {
            memsnap::Error::refused(why, "give lines `offset,length`, or a list as --help describes it")
        });
        ranges.map(Some).with_context(doing)
    }
}
