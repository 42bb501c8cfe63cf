//! `delta make`, `delta stat`, `delta invert`: what changed between two images, to be carried elsewhere.

pub(crate) mod changed_pages;
pub(crate) mod encode;

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::encode::Stat;
use self::encode::{delta_images, write_delta};
use super::input::image::OpenImage;
use super::input::operand::Operand;
use super::options::options;
use super::output::{Named, Out, into, scratch_beside};
use super::{Progress, Reading};
use crate::error::{At, Cause, Error, Result};
use crate::pack::{self, Bad, DeltaHead, DeltaReader, MOST_HEAD, MOST_NEWER, ReadAt};
use crate::page::{PageSet, pages_of};
use crate::store::Spool;
use crate::sys::descriptor;
use crate::sys::ext::MetadataExt;
use crate::sys::open;

/// The input of a delta.
pub enum Input {
    /// A file.
    Path(PathBuf),
    /// A stream, which is spooled first.
    Stream(Box<dyn Read + Send>),
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Input::Path(path) => f.debug_tuple("Path").field(path).finish(),
            Input::Stream(_) => f.write_str("Stream"),
        }
    }
}

options! {
    /// Options of [`make`].
    Options {
        /// Sets the store; by default it is the one beside each file.
        store: Option<PathBuf> = None, into;
        /// Sets how live files are read.
        reading: Reading = Reading::default();
        /// Sets whether the delta carries the reverse direction, too.
        reversible: bool = false;
        /// Sets the level of zstd, 1 to 19.
        level: i32 = 3;
        /// Sets whether a file that is there is replaced.
        force: bool = false;
    }
}

/// Writes the delta that turns `a` into `b`.
///
/// # Errors
/// When either cannot be read; [`Error::Changed`] when a live file changes meanwhile; [`Error::Refused`] when `out`
/// is there and not to be replaced. Then no file appears.
pub fn make(a: &Operand, b: &Operand, out: Out<'_>, options: &Options, progress: &dyn Progress) -> Result<Stat> {
    let (a, b) = OpenImage::open_both(a, b, options.store.as_deref())?;
    let (scratch, mode) = (scratch_beside(&out), mode_of(&a)? & mode_of(&b)?);
    let targets = [&a, &b].map(|side| side.target().to_path_buf());
    let apart = targets.each_ref().map(PathBuf::as_path);
    let how = Named { force: options.force, apart: &apart, logs: &[], mode };
    into(out, &how, |out, path| make_into([a, b], out, path, &scratch, options, progress))
}

fn make_into(
    [mut a, mut b]: [OpenImage; 2],
    out: &mut dyn Write,
    path: &Path,
    scratch: &Path,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Stat> {
    let reading = &options.reading;
    let before = [hold(&mut a, reading)?, hold(&mut b, reading)?];
    let (a, b) = (&a, &b);
    let (set, base, result) = delta_images((a, b), reading, scratch, progress)?;
    for (side, before) in [a, b].into_iter().zip(before) {
        unchanged(side, before)?;
    }
    let head = DeltaHead { base: base.id, result: result.id, reversible: options.reversible, name: name_of(b) };
    write_delta(&head, (&base, &result), &set, options.level, (out, path, scratch), progress)
}

/// Locks a live file if that was asked for; its stamp before it is read.
pub(crate) fn hold(side: &mut OpenImage, reading: &Reading) -> Result<Option<open::Stamp>> {
    side.lock(reading)?;
    let OpenImage::Live(live) = side else { return Ok(None) };
    let before = open::stamp(&live.file, &live.path)?;
    live.len = before.len;
    Ok(Some(before))
}

/// What was compared and scanned in turn must have been one image.
pub(crate) fn unchanged(side: &OpenImage, before: Option<open::Stamp>) -> Result<()> {
    let (OpenImage::Live(live), Some(before)) = (side, before) else { return Ok(()) };
    if open::stamp(&live.file, &live.path)?.same_state(&before) {
        return Ok(());
    }
    Err(Error::Changed { path: live.path.clone(), what: "another process wrote to it".into() })
}

/// The permissions of what it is of.
pub(crate) fn mode_of(side: &OpenImage) -> Result<u32> {
    match side {
        OpenImage::Live(live) => open::stamp(&live.file, &live.path).map(|stamp| stamp.mode),
        OpenImage::Stored(stored) => Ok(stored.image.meta().mode),
    }
}

pub(crate) fn name_of(side: &OpenImage) -> Vec<u8> {
    use crate::sys::ext::OsStrExt;
    side.target().file_name().unwrap_or_default().as_bytes().to_vec()
}

/// Describes a delta; reads and checks all of it.
///
/// # Errors
/// [`Error::Refused`] when it is no delta, [`Error::Damaged`] when it is not whole, [`Error::Version`] when it is of
/// another format.
pub fn stat(input: Input) -> Result<Stat> {
    let (delta, path) = open_delta(input, &tempfile::env::temp_dir())?;
    stat_of(&delta, &path)
}

pub(crate) fn stat_of(delta: &Delta, path: &Path) -> Result<Stat> {
    let set = pages_in(delta, path)?;
    Ok(Stat::new(&delta.head, delta.pages(), set.runs().count() as u64, delta.size()))
}

/// Writes the reverse of a delta.
///
/// # Errors
/// As [`stat`]; [`Error::Refused`] when the reverse direction is not in it, or `out` is there and not to be replaced.
pub fn invert(input: Input, out: Out<'_>, force: bool) -> Result<Stat> {
    let mode = match &input {
        Input::Path(path) => std::fs::metadata(path).at("inspecting", path)?.mode(),
        Input::Stream(_) => 0o666,
    };
    let (delta, path) = open_delta(input, &scratch_beside(&out))?;
    if !delta.head.reversible {
        return Err(Error::refused(
            format!("{} does not carry the reverse direction", path.display()),
            Cause::NotReversible,
        ));
    }
    into(out, &Named { force, apart: &[], logs: &[], mode }, |out, to| {
        let bytes = pack::invert(&delta, out).at("writing", to)?;
        let head = DeltaHead { base: delta.head.result, result: delta.head.base, ..delta.head.clone() };
        let set = delta.direction_runs(true).map(|run| run.map(|run| run.pages));
        let set = set.collect::<std::result::Result<PageSet, _>>().map_err(|e| e.of(&path))?;
        Ok(Stat::new(&head, set.len(), set.runs().count() as u64, bytes))
    })
}

/// A delta from anywhere.
pub(crate) type Delta = DeltaReader<Arc<dyn ReadAt>>;

/// Opens a delta, checked; one from a stream is first copied to `scratch`. Also returns its name for messages.
pub(crate) fn open_delta(input: Input, scratch: &Path) -> Result<(Delta, PathBuf)> {
    let (bytes, path): (Arc<dyn ReadAt>, PathBuf) = match input {
        Input::Path(path) => match descriptor::source(&path)? {
            Some(stream) => (Arc::new(spooled(stream, &path, scratch)?), path),
            None => (Arc::new(open::target_read(&open::resolve(&path)?)?), path),
        },
        Input::Stream(stream) => {
            (Arc::new(spooled(stream, Path::new("the input"), scratch)?), PathBuf::from("the delta"))
        }
    };
    let delta = DeltaReader::open(bytes).map_err(|e| e.of(&path))?;
    Ok((delta, path))
}

/// Copies a delta from a stream: no more of it than a delta with such a head can have.
fn spooled(mut from: impl Read, path: &Path, scratch: &Path) -> Result<Spool> {
    let mut start = Vec::new();
    from.by_ref().take(MOST_HEAD as u64).read_to_end(&mut start).at("reading", path)?;
    if start.is_empty() {
        return Err(Error::refused(
            format!("{} is empty: no delta came", path.display()),
            "find out whether the command that was to write it failed",
        ));
    }
    let (most, too_long) = match DeltaHead::of_start(&start) {
        Ok(head) => (head.most_bytes(), Error::damaged(path, "it is longer than its head allows")),
        // Its end marker shows whether a newer version made it, or its head is damaged.
        Err(newer @ Bad::Version(_)) => (MOST_NEWER, newer.of(path)),
        Err(e) => return Err(e.of(path)),
    };
    let mut spool = Spool::new(scratch);
    let mut rest = from.take((most + 1).saturating_sub(start.len() as u64));
    io::copy(&mut start.chain(&mut rest), &mut spool).at("spooling the delta to", scratch)?;
    if spool.len() > most {
        return Err(too_long);
    }
    Ok(spool)
}

/// The pages that it writes, which lie within its result.
pub(crate) fn pages_in(delta: &Delta, path: &Path) -> Result<PageSet> {
    let end = pages_of(delta.head.result.len);
    let mut set = PageSet::new();
    for run in delta.direction_runs(false) {
        let run = run.map_err(|e| e.of(path))?;
        if run.pages.end > end {
            return Err(Error::damaged(path, "it writes past the end of its result"));
        }
        set.insert_range(run.pages);
    }
    Ok(set)
}
