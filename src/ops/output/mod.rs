//! Output to another file or a stream. A file gets its name when it is complete.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::capture::Companion;
use crate::error::{At, Cause, Error, Result};
use crate::store::refuse_stored;
use crate::sys::create::{self, Pending, Published};
use crate::sys::{descriptor, meta, no_follow, open};

/// The destination of an output.
#[allow(missing_debug_implementations, reason = "a stream may be anything")]
pub enum Out<'a> {
    /// To a new file, or in place of one. A FIFO or a name of a descriptor, such as `/dev/fd/3`, is written to
    /// directly.
    Path(&'a Path),
    /// To a stream, in order, zeros included.
    Stream(&'a mut dyn Write),
}

/// A directory for scratch space: that of the file being written.
pub(crate) fn scratch_beside(out: &Out<'_>) -> PathBuf {
    match out {
        Out::Path(path) => no_follow::parent(path).to_path_buf(),
        Out::Stream(_) => tempfile::env::temp_dir(),
    }
}

/// How an output gets its name.
pub(crate) struct Named<'a> {
    /// In the place of a file that has it.
    pub(crate) force: bool,
    /// Files whose history this is about: they are never replaced, by whatever name.
    pub(crate) apart: &'a [&'a Path],
    /// Logs beside it that are written with it.
    pub(crate) logs: &'a [PathBuf],
    /// The permissions of what it is made from: as with cp(1), it has them too, but for those that the umask takes
    /// away.
    pub(crate) mode: u32,
}

/// Runs `f` on the destination. A file gets its name when all of it is on the disk.
pub(crate) fn into<T>(out: Out<'_>, how: &Named<'_>, f: impl FnOnce(&mut dyn Write, &Path) -> Result<T>) -> Result<T> {
    match out {
        Out::Stream(stream) => f(stream, Path::new("the output")),
        Out::Path(path) => match descriptor::sink(path)? {
            Some(sink) => {
                let mut sink = BufWriter::new(sink);
                let done = f(&mut sink, path)?;
                sink.flush().at("writing", path)?;
                Ok(done)
            }
            None => into_file(path, how, |file| f(&mut &*file, path)),
        },
    }
}

/// Runs `f` on a new file, which then gets the name `path`: one that is there is refused, or replaced. Until then
/// only the caller can open it.
pub(crate) fn into_file<T>(path: &Path, how: &Named<'_>, f: impl FnOnce(&File) -> Result<T>) -> Result<T> {
    if descriptor::is_sink(path) {
        let what = format!("{} is a pipe or a descriptor, and this output is written in any order", path.display());
        return Err(Error::refused(what, "name a regular file"));
    }
    let path = &check_out(path, how)?;
    make_file(path, how.force, |file| {
        let done = f(file)?;
        meta::set_mode_where_kept(file, how.mode & 0o777 & !meta::umask()).at("setting the mode of", path)?;
        Ok(done)
    })
}

/// The absolute path of `out`, at which a file may be made.
pub(crate) fn check_out(out: &Path, how: &Named<'_>) -> Result<PathBuf> {
    let out = create::resolve_output(out)?;
    refuse_stored(&out)?;
    let there = match std::fs::symlink_metadata(&out) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        there => Some(there.at("inspecting", &out)?),
    };
    if let Some(there) = there {
        if !there.is_file() && !there.is_symlink() {
            return Err(Error::refused(format!("{} is not a regular file", out.display()), "name another file"));
        }
        if how.apart.iter().any(|file| open::same_file(&out, file)) {
            return Err(Error::refused(format!("{} is the target itself", out.display()), Cause::OutputIsTarget));
        }
        if !how.force {
            return Err(exists(&out));
        }
    }
    Companion::refuse_beside(&out, how.logs)?;
    Ok(out)
}

pub(crate) fn exists(out: &Path) -> Error {
    Error::refused(format!("{} exists", out.display()), Cause::OutputExists)
}

/// Runs `f` on a new file, which then gets the name `path`, that [`check_out`] returned.
pub(crate) fn make_file<T>(path: &Path, force: bool, f: impl FnOnce(&File) -> Result<T>) -> Result<T> {
    make_file_after(path, force, &[], f, || Ok(()))
}

/// As [`make_file`], but runs `before` right before the file gets its name; `logs` are written with it.
pub(crate) fn make_file_after<T>(
    path: &Path,
    force: bool,
    logs: &[PathBuf],
    f: impl FnOnce(&File) -> Result<T>,
    before: impl FnOnce() -> Result<()>,
) -> Result<T> {
    let (dir, name) = (no_follow::parent(path), path.file_name().unwrap_or_default());
    let pending = Pending::new(dir)?;
    let done = f(pending.file())?;
    Companion::refuse_beside(path, logs)?; // again: a long time may have passed
    before()?;
    if force {
        pending.replace(name)?;
    } else if pending.publish(name)? == Published::Existed {
        return Err(exists(path));
    }
    create::sync_dir(dir)?;
    Ok(done)
}
