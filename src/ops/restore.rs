//! `restore`: writes an image to another file, or to a stream.

mod logs;
mod reader;
mod set;

pub(crate) use logs::{StoredLog, stored_logs};
#[doc(hidden)]
pub use set::{rehearse_set, restore_set};

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::change::metadata;
use super::input::operand::Operand;
use super::options::options;
pub use super::output::Out;
use super::output::{Named, check_out, make_file_after};
use super::{Note, Progress, find_history};
use crate::error::Result;
use crate::page::{Digest, PageRange};
use crate::store::{Image, Ref};
use crate::sys::{create, descriptor};
use logs::WrittenLogs;
use reader::Reader;

options! {
    /// Options of [`restore`].
    Options {
        /// Sets the store; by default it is the one beside the file.
        store: Option<PathBuf> = None, into;
        /// Sets whether an existing file is replaced.
        force: bool = false;
        /// Sets the most bytes that are written in a second; by default there is no limit.
        limit_rate: Option<u64> = None, into;
        /// Sets whether pages in damaged or missing packs are written as zeros, instead of failing.
        skip_damaged: bool = false;
    }
}

/// The result of [`restore`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Length of the image.
    pub len: u64,
    /// Bytes written; holes are not.
    pub bytes_written: u64,
    /// With [`Options::skip_damaged`], the pages that are lost: they were written as zeros.
    pub lost: Vec<PageRange>,
    /// The damage in the store that they are lost by.
    pub damage: Vec<String>,
    /// Notes and warnings: what was not restored.
    pub notes: Vec<Note>,
    /// Time taken.
    pub elapsed: Duration,
}

/// Writes the image that `what` names (the latest when it names none) to `out`, which gets its name once all of it is
/// there and proven.
///
/// # Errors
/// [`Error::Refused`](crate::Error::Refused) when `out` exists and `force` is not set, or is the target itself; [`Error::Damaged`](crate::Error::Damaged) when the
/// image cannot be read completely; with [`Options::skip_damaged`], if not even its list of pages can.
pub fn restore(what: &Operand, out: Out<'_>, options: &Options, progress: &dyn Progress) -> Result<Report> {
    let began = Instant::now();
    let history = find_history(options.store.as_deref(), &what.path)?;
    let name = history.resolve(what.at.as_ref().unwrap_or(&Ref::Latest))?;
    let image = history.image(name)?;
    let logs = stored_logs(&history, &image)?;
    let mut reader = Reader::new(&image, options.limit_rate, progress);
    reader.salvage = options.skip_damaged.then(Mutex::default);
    progress.begin("restoring", image.len());
    let done = match out {
        Out::Stream(stream) => reader.stream_to(stream, Path::new("-")).map(|written| (written, lacking(&logs))),
        Out::Path(path) => match descriptor::sink(path)? {
            Some(mut sink) => reader.stream_to(&mut sink, path).map(|written| (written, lacking(&logs))),
            None => to_path(&mut reader, path, history.target(), &logs, options.force),
        },
    };
    progress.end();
    let (bytes_written, notes) = done?;
    let salvage = reader.salvage.map(|salvage| salvage.into_inner().unwrap_or_else(PoisonError::into_inner));
    let (lost, damage) = salvage.unwrap_or_default().into_parts();
    Ok(Report { len: image.len(), bytes_written, lost, damage, notes, elapsed: began.elapsed() })
}

/// Finds out whether [`restore`] would write to the path `out`, and writes nothing.
///
/// # Errors
/// As [`restore`], but for what only reading and writing finds.
#[doc(hidden)]
pub fn rehearse(what: &Operand, out: &Path, options: &Options) -> Result<()> {
    let history = find_history(options.store.as_deref(), &what.path)?;
    let name = history.resolve(what.at.as_ref().unwrap_or(&Ref::Latest))?;
    if !descriptor::is_sink(out) {
        let logs = stored_logs(&history, &history.image(name)?)?;
        check_outs(out, history.target(), &logs, options.force)?;
    }
    Ok(())
}

/// Writes `image` into a new file of zeros, `path` in errors, every page proven; returns the digests of its groups that are not zeros.
pub(crate) fn fill(image: &Image, file: &File, path: &Path, progress: &dyn Progress) -> Result<Vec<(u64, Digest)>> {
    let mut reader = Reader { groups: Some(Vec::new()), ..Reader::new(image, None, progress) };
    progress.begin("restoring", image.len());
    let written = reader.write_to(file, path);
    progress.end();
    written?;
    Ok(reader.groups.unwrap_or_default())
}

fn to_path(
    reader: &mut Reader<'_>,
    out: &Path,
    target: &Path,
    logs: &[StoredLog],
    force: bool,
) -> Result<(u64, Vec<Note>)> {
    let (out, beside) = check_outs(out, target, logs, force)?;
    let with_it = WrittenLogs::write(logs, &out, force, reader.progress)?;
    let (of_logs, mut notes) = (with_it.bytes, with_it.notes.clone());
    let mut published = Vec::new();
    let write = |file: &File| {
        let written = reader.write_to(file, &out)?;
        Ok((written, metadata::give_all(file, reader.image, &out)?))
    };
    let publish_logs = || {
        published = with_it.publish(force)?;
        Ok(())
    };
    let made = make_file_after(&out, force, &beside, write, publish_logs);
    if made.is_err() {
        logs::withdraw(&published);
    }
    let (written, more) = made?;
    notes.extend(more);
    Ok((written + of_logs, notes))
}

/// The paths at which the image and its logs may be made. Never in place of the target; the metadata is set by
/// [`metadata::give_all`].
fn check_outs(out: &Path, target: &Path, logs: &[StoredLog], force: bool) -> Result<(PathBuf, Vec<PathBuf>)> {
    let path = create::resolve_output(out)?;
    let beside: Vec<_> = logs.iter().map(|log| log.beside(&path)).collect();
    let out = check_out(out, &Named { force, apart: &[target], logs: &beside, mode: 0 })?;
    beside.iter().try_for_each(|path| logs::check(path, force))?;
    Ok((out, beside))
}

/// What a stream lacks.
fn lacking(logs: &[StoredLog]) -> Vec<Note> {
    let lacks = |log: &StoredLog| {
        let name = log.history.label();
        Note::warning(format!("{name}, which holds changes that are not in the file, is not part of the stream"))
    };
    logs.iter().map(lacks).collect()
}

#[cfg(test)]
#[path = "restore_test.rs"]
mod tests;
