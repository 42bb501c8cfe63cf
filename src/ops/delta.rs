//! `delta make`, `delta stat`, `delta invert`: what changed between two images, to be carried elsewhere.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::apply::Input;
use super::encode::{encode, facets};
use super::operand::Operand;
use super::restore::Out;
use super::sides::Side;
use super::{Progress, Reading};
use crate::error::{At, Error, Result};
use crate::pack::{self, DeltaHead, DeltaReader, DeltaWriter, ImageId, MOST_HEAD, ReadAt, RunStream};
use crate::page::{Digest, PageRange, PageSet, pages_of};
use crate::store::{Spool, refuse_stored};
use crate::sys::create::{self, Pending, Published};
use crate::sys::descriptor;
use crate::sys::lock;
use crate::sys::open;

/// How to make a delta.
#[derive(Clone, Debug)]
pub struct MakeOptions {
    /// The store; `None`: beside each file.
    pub store: Option<PathBuf>,
    /// How live files are read.
    pub reading: Reading,
    /// Whether it is to carry the way back.
    pub reversible: bool,
    /// Level of zstd.
    pub level: i32,
    /// Replace a file that is there.
    pub force: bool,
}

/// What a delta is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Image digest of the base.
    pub base: Digest,
    /// Image digest of the result.
    pub result: Digest,
    /// Length of the base.
    pub base_len: u64,
    /// Length of the result.
    pub result_len: u64,
    /// Pages that it writes.
    pub pages: u64,
    /// Ranges that they form.
    pub ranges: u64,
    /// Bytes of the delta.
    pub bytes: u64,
    /// Whether it can be inverted.
    pub reversible: bool,
    /// Name of the file.
    pub name: String,
}

impl Stat {
    pub(crate) fn new(head: &DeltaHead, pages: u64, ranges: u64, bytes: u64) -> Stat {
        Stat {
            base: head.base.digest,
            result: head.result.digest,
            base_len: head.base.len,
            result_len: head.result.len,
            pages,
            ranges,
            bytes,
            reversible: head.reversible,
            name: String::from_utf8_lossy(&head.name).into_owned(),
        }
    }
}

/// Writes the delta that turns `a` into `b`.
///
/// # Errors
/// When either cannot be read; [`Error::Changed`] when a live file changes meanwhile; [`Error::Refused`] when `out`
/// is there and not to be replaced. Then no file appears.
pub fn make(a: &Operand, b: &Operand, out: Out<'_>, options: &MakeOptions, progress: &dyn Progress) -> Result<Stat> {
    let (a, b) = Side::open_both(a, b, options.store.as_deref())?;
    let (scratch, apart) = (scratch_beside(&out), [a.target(), b.target()]);
    into(out, options.force, &apart, |out, path| make_into((&a, &b), out, path, &scratch, options, progress))
}

fn make_into(
    (a, b): (&Side, &Side),
    out: &mut dyn Write,
    path: &Path,
    scratch: &Path,
    options: &MakeOptions,
    progress: &dyn Progress,
) -> Result<Stat> {
    let reading = &options.reading;
    let before = [hold(a, reading)?, hold(b, reading)?];
    let (set, base, result) = facets((a, b), reading, scratch, progress)?;
    for (side, before) in [a, b].into_iter().zip(before) {
        unchanged(side, before)?;
    }
    let head = DeltaHead {
        base: ImageId { len: a.len(), digest: base.image },
        result: ImageId { len: b.len(), digest: result.image },
        reversible: options.reversible,
        name: name_of(b),
    };
    let failed = |e| Error::Io { doing: "writing", path: path.into(), source: e };
    let mut writer = DeltaWriter::new(out, &head).map_err(failed)?;
    for ways in [(&base, &result), (&result, &base)].into_iter().take(1 + usize::from(options.reversible)) {
        let mut way = writer.way(Spool::new(scratch)).map_err(failed)?;
        encode(ways, &set, options.level, &mut way, path, progress)?;
        writer = way.finish().map_err(failed)?;
    }
    let bytes = writer.finish().map_err(failed)?;
    let within = PageRange::of_len(b.len());
    let written: PageSet = set.runs().map(|r| r.intersect(&within)).filter(|r| !r.is_empty()).collect();
    Ok(Stat::new(&head, written.len(), written.runs().count() as u64, bytes))
}

/// A live file at the moment before it is read, locked if that was asked for.
pub(crate) fn hold(side: &Side, reading: &Reading) -> Result<Option<open::Stamp>> {
    let Side::Live(live) = side else { return Ok(None) };
    if reading.lock {
        let _ = lock::flock(&live.file, &live.path, lock::Kind::Shared, reading.wait)?;
    }
    open::stamp(&live.file, &live.path).map(Some)
}

/// What was compared and scanned in turn must have been one image.
pub(crate) fn unchanged(side: &Side, before: Option<open::Stamp>) -> Result<()> {
    let (Side::Live(live), Some(before)) = (side, before) else { return Ok(()) };
    if open::stamp(&live.file, &live.path)?.same_state(&before) {
        return Ok(());
    }
    Err(Error::Changed { path: live.path.clone(), what: "somebody wrote to it".into() })
}

pub(crate) fn name_of(side: &Side) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    side.target().file_name().unwrap_or_default().as_bytes().to_vec()
}

/// Says what a delta is about; all of it is read and checked.
///
/// # Errors
/// [`Error::Damaged`] when it is not whole, [`Error::Version`] when it is of another format.
pub fn stat(input: Input) -> Result<Stat> {
    let (delta, path) = open_delta(input, &tempfile::env::temp_dir())?;
    stat_of(&delta, &path)
}

pub(crate) fn stat_of(delta: &Delta, path: &Path) -> Result<Stat> {
    let set = pages_in(delta, path)?;
    Ok(Stat::new(&delta.head, delta.pages(), set.runs().count() as u64, delta.size()))
}

/// Writes the delta that leads back.
///
/// # Errors
/// As [`stat`]; [`Error::Refused`] when the way back is not in it, or `out` is there and not to be replaced.
pub fn invert(input: Input, out: Out<'_>, force: bool) -> Result<Stat> {
    let (delta, path) = open_delta(input, &scratch_beside(&out))?;
    if !delta.head.reversible {
        return Err(Error::refused(
            format!("{} does not carry the way back", path.display()),
            "make it with --reversible",
        ));
    }
    into(out, force, &[], |out, to| {
        let bytes = pack::invert(&delta, out).at("writing", to)?;
        let head = DeltaHead { base: delta.head.result, result: delta.head.base, ..delta.head.clone() };
        let mut set = PageSet::new();
        let mut runs = delta.way_runs(true);
        while let Some(run) = runs.next_run().map_err(|e| e.of(&path))? {
            set.insert_range(run.pages);
        }
        Ok(Stat::new(&head, set.len(), set.runs().count() as u64, bytes))
    })
}

/// A delta from anywhere.
pub(crate) type Delta = DeltaReader<Arc<dyn ReadAt>>;

/// Opens a delta, checked; one from a stream is first brought to `scratch`. Also gives what to call it.
pub(crate) fn open_delta(input: Input, scratch: &Path) -> Result<(Delta, PathBuf)> {
    let (bytes, path): (Arc<dyn ReadAt>, PathBuf) = match input {
        Input::Path(path) => match descriptor::source(&path)? {
            Some(stream) => (Arc::new(spooled(stream, &path, scratch)?), path),
            None => (Arc::new(open::target_read(&open::resolve(&path)?)?), path),
        },
        Input::Stream(stream) => {
            let path = PathBuf::from("the delta");
            (Arc::new(spooled(stream, &path, scratch)?), path)
        }
    };
    let delta = DeltaReader::open(bytes).map_err(|e| e.of(&path))?;
    Ok((delta, path))
}

/// A delta that can only be read once. No more of it is taken than a delta with such a head can have.
fn spooled(mut from: impl Read, path: &Path, scratch: &Path) -> Result<Spool> {
    let mut start = Vec::new();
    from.by_ref().take(MOST_HEAD as u64).read_to_end(&mut start).at("reading", path)?;
    let most = DeltaHead::of_start(&start).map_err(|e| e.of(path))?.most_bytes();
    let mut spool = Spool::new(scratch);
    let mut rest = from.take((most + 1).saturating_sub(start.len() as u64));
    io::copy(&mut start.chain(&mut rest), &mut spool).at("spooling the delta to", scratch)?;
    if spool.len() > most {
        return Err(Error::damaged(path, "it is longer than its head allows"));
    }
    Ok(spool)
}

/// The pages that it writes, which lie within its result.
pub(crate) fn pages_in(delta: &Delta, path: &Path) -> Result<PageSet> {
    let end = pages_of(delta.head.result.len);
    let (mut set, mut runs) = (PageSet::new(), delta.way_runs(false));
    while let Some(run) = runs.next_run().map_err(|e| e.of(path))? {
        if run.pages.end > end {
            return Err(Error::damaged(path, "it writes past the end of its result"));
        }
        set.insert_range(run.pages);
    }
    Ok(set)
}

/// A folder for scratch space: that of the file being written.
pub(crate) fn scratch_beside(out: &Out<'_>) -> PathBuf {
    match out {
        Out::Path(path) => folder_of(path).to_path_buf(),
        Out::Stream(_) => tempfile::env::temp_dir(),
    }
}

/// The folder that a path is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Runs `f` on where its bytes are to go. A file appears under its name when all of it is written and on the disk.
pub(crate) fn into<T>(
    out: Out<'_>,
    force: bool,
    apart: &[&Path],
    f: impl FnOnce(&mut dyn Write, &Path) -> Result<T>,
) -> Result<T> {
    match out {
        Out::Stream(stream) => f(stream, Path::new("the output")),
        Out::Path(path) => match descriptor::sink(path)? {
            Some(sink) => {
                let mut sink = BufWriter::new(sink);
                let done = f(&mut sink, path)?;
                sink.flush().at("writing", path)?;
                Ok(done)
            }
            None => into_file(path, force, apart, |file| f(&mut &*file, path)),
        },
    }
}

/// Runs `f` on a new file, which then gets the name `path`: one that is there is refused, or with `force` replaced. Files
/// whose history this is about, `apart`, are never replaced, by whatever name.
pub(crate) fn into_file<T>(path: &Path, force: bool, apart: &[&Path], f: impl FnOnce(&File) -> Result<T>) -> Result<T> {
    if descriptor::is_sink(path) {
        let what = format!("{} is a pipe or a descriptor, and this output is written in any order", path.display());
        return Err(Error::refused(what, "name a regular file"));
    }
    let path = &create::resolve_output(path)?;
    if apart.iter().any(|file| open::same_file(path, file)) {
        return Err(Error::refused(format!("{} is the target itself", path.display()), "name another file"));
    }
    refuse_stored(path)?;
    let taken = || Error::refused(format!("{} is there already", path.display()), "replace it with --force");
    match std::fs::symlink_metadata(path) {
        Ok(there) if !force || !(there.is_file() || there.is_symlink()) => {
            let only = || Error::refused(format!("{} is not a regular file", path.display()), "choose another name");
            return Err(if there.is_file() || there.is_symlink() { taken() } else { only() });
        }
        _ => {}
    }
    let (dir, name) = (folder_of(path), path.file_name().unwrap_or_default());
    let pending = Pending::new(dir)?;
    let done = f(pending.file())?;
    if force {
        pending.replace(name)?;
    } else if pending.publish(name)? == Published::Existed {
        return Err(taken());
    }
    create::sync_dir(dir)?;
    Ok(done)
}
