//! `apply`: bring a file from the base of a delta to its result, in place or in a copy.

use crate::sys::ext::FileExt;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::change::hold::Work;
use super::change::in_place::{Goal, InPlace, expect};
use super::change::request::{Method, Planned, Task};
use super::change::{Options, Report, Request, Summary};
use super::compare::digest_of;
use super::delta::Input;
use super::delta::{Delta, open_delta, pages_in};
use super::input::image::LiveFile;
use super::output::{Named, into_file};
use super::save::capture::CapturedImage;
use super::save::compose::{Composer, NewPage};
use super::{Note, Progress, history_of};
use crate::error::{At, Cause, Error, FileInStore, Result};
use crate::pack::{Bad, FileKind, PageChange};
use crate::page::{Digest, PAGE, PAGE64};
use crate::store::{Image, Intent, SnapName};
use crate::sys::{create, no_follow, open, sparse};

/// Bytes copied at once.
const BLOCK: usize = 1 << 20;

/// Applies `delta` to `file`, or, with `out`, to a copy of it.
///
/// # Errors
/// [`Error::Damaged`] when the delta is not whole; from the plan and the commit, [`Error::Base`] when the file is
/// neither its base nor, in place, its result already: then nothing was touched and nothing stored.
pub fn apply(file: &Path, delta: Input, out: Option<&Path>, options: &Options) -> Result<Request<'static>> {
    let target = open::resolve(file)?;
    let named = if let Input::Path(path) = &delta { Some(path.clone()) } else { None };
    let opened = open_delta(delta, no_follow::parent(out.unwrap_or(&target)));
    let (delta, name) = opened.map_err(|e| in_order(file, named.as_deref()).unwrap_or(e))?;
    let apply = Apply { target: target.clone(), file: file.into(), delta, name, options: options.clone() };
    Ok(match out {
        Some(out) => Request::new(InCopy { apply, out: out.into() }),
        None => Request::new(InPlace::new(apply, target, options)?),
    })
}

/// The error for swapped arguments: the first file is a delta, the second is none.
fn in_order(file: &Path, delta: Option<&Path>) -> Option<Error> {
    let delta = delta?;
    let begins = |path: &Path| {
        let mut start = [0; 8];
        let file = open::target_read(&open::resolve(path).ok()?).ok()?;
        file.read_exact_at(&mut start, 0).ok()?;
        Some(FileKind::Delta.head(0)[..8] == start)
    };
    let swapped = begins(file) == Some(true) && begins(delta) == Some(false);
    let what = format!("{} is a delta, and {} is none", file.display(), delta.display());
    swapped.then(|| Error::refused(what, Cause::DeltaNamedFirst { file: delta.into(), delta: file.into() }))
}

/// What is to be applied to what.
struct Apply {
    target: PathBuf,
    /// As the user named it.
    file: PathBuf,
    delta: Delta,
    name: PathBuf,
    options: Options,
}

impl Goal for Apply {
    fn verb(&self) -> &'static str {
        "apply"
    }

    fn look(&mut self, _: &Options, progress: &dyn Progress) -> Result<Summary> {
        let live = LiveFile::open(&self.target)?;
        let found = digest_of(live.whole(), &self.options.reading, progress)?;
        match self.is_result(found, live.len) {
            true => Ok(Summary::none(&self.target, &self.result(), live.len)),
            false => self.changes(found, live.len, &self.target),
        }
    }

    fn already(&self, work: &Work<'_>, taken: &CapturedImage) -> Result<Option<String>> {
        if self.is_result(taken.image, taken.len) {
            return Ok(Some(self.result()));
        }
        self.is_base(work.target.path, taken.image, taken.len).map(|()| None)
    }

    fn fits(&self, intent: &Intent) -> bool {
        intent.to_image == self.delta.head.base.digest
    }

    fn len(&self) -> Option<u64> {
        Some(self.delta.head.result.len)
    }

    fn make(&mut self, work: &mut Work<'_>, from: &Image) -> Result<Image> {
        let result = self.delta.head.result;
        let file = work.target.file;
        let mut composer = Composer::new(work, from, result.len);
        self.each(file, from.len(), |item| match item {
            PageChange::Page(page, _, bytes) => composer.put(page, NewPage::Bytes(bytes)),
            PageChange::Zeros(run) => (run.pages.start..run.pages.end)
                .try_for_each(|page| composer.put(page, NewPage::Stored(run.source, &[0; PAGE]))),
        })?;
        composer.finish("apply", Some(result.digest)).map_err(|e| match e {
            Error::Base { .. } => {
                Error::damaged(&self.name, "what it makes of its base is not the result that it promises")
            }
            e => e,
        })
    }

    fn explain(&self, e: Error) -> Error {
        self.with_fitting(e, true)
    }
}

impl Apply {
    fn result(&self) -> String {
        format!("the result of {}", self.name.display())
    }

    fn is_result(&self, found: Digest, len: u64) -> bool {
        let result = &self.delta.head.result;
        (found, len) == (result.digest, result.len)
    }

    fn is_base(&self, path: &Path, found: Digest, len: u64) -> Result<()> {
        let base = &self.delta.head.base;
        expect(path, base.digest, found)?;
        // The digest covers the length.
        if len == base.len {
            return Ok(());
        }
        Err(Error::damaged(&self.name, format!("its base is {len} bytes long, and the delta says {}", base.len)))
    }

    /// What is written to `to`; the target, of `len` bytes, must be the base.
    fn changes(&self, found: Digest, len: u64, to: &Path) -> Result<Summary> {
        self.is_base(&self.target, found, len)?;
        let pages = pages_in(&self.delta, &self.name)?;
        let result = (&*self.result(), self.delta.head.result.len);
        Ok(Summary::new(to, ("the base of the delta", len), result, &pages))
    }

    /// Names the snapshot that would have been the base, where the history has it.
    fn with_fitting(&self, e: Error, in_place: bool) -> Error {
        e.of_base(|expected| {
            let file = FileInStore::new(&self.file, self.options.store.as_deref());
            Cause::NotTheBase { file, number: self.fitting(expected), in_place }
        })
    }

    /// The number of the newest snapshot that holds that image.
    fn fitting(&self, image: &Digest) -> Option<u64> {
        let history = history_of(self.options.store.as_deref(), &self.target).ok()??;
        let holds = |name: &SnapName| history.snapshot(*name).is_ok_and(|snap| snap.meta().image == *image);
        history.snapshots().ok()?.into_iter().rev().find(holds).map(|name| name.number)
    }

    /// Calls `each` with every change of the delta; `file` holds its base.
    fn each(&self, file: &File, len: u64, mut each: impl FnMut(PageChange<'_>) -> Result<()>) -> Result<()> {
        let mut direction = self.delta.direction(false).map_err(|e| e.of(&self.name))?;
        let mut old = |page: u64, out: &mut [u8; PAGE]| {
            let there = len.saturating_sub(page * PAGE64).min(PAGE64) as usize;
            file.read_exact_at(&mut out[..there], page * PAGE64).at("reading", &self.target).map_err(Stop::Ours)
        };
        loop {
            match direction.next(&mut old).map_err(|e| e.of(&self.name))? {
                Some(item) => each(item)?,
                None => return Ok(()),
            }
        }
    }

    /// Applies the delta to a copy of the base.
    fn change_copy(&self, live: &LiveFile, copy: &File, out: &Path) -> Result<u64> {
        let (len, mut written) = (self.delta.head.result.len, 0);
        self.each(&live.file, live.len, |item| {
            match item {
                PageChange::Page(page, _, bytes) => {
                    let n = (len - page * PAGE64).min(PAGE64) as usize;
                    copy.write_all_at(&bytes[..n], page * PAGE64).at("writing", out)?;
                    written += n as u64;
                }
                PageChange::Zeros(run) => {
                    let (start, end) = (run.pages.offset(), run.pages.end_offset().min(len));
                    if !sparse::punch(copy, start, end - start).at("punching a hole in", out)? {
                        written += write_zeros(copy, start, end).at("writing", out)?;
                    }
                }
            }
            Ok(())
        })?;
        Ok(written)
    }

    /// The copy is read back: it must be what the delta promised.
    fn prove(&self, copy: &File, out: &Path, progress: &dyn Progress) -> Result<()> {
        let result = &self.delta.head.result;
        if digest_of((copy, out, result.len), &self.options.reading, progress)? == result.digest {
            return Ok(());
        }
        // The base was proven before: either it changed since, or the delta does not make the result that it promises.
        digest_of(LiveFile::open(&self.target)?.whole(), &self.options.reading, progress).and_then(|found| {
            if found == self.delta.head.base.digest {
                return Err(Error::damaged(&self.name, "what it makes of its base is not the result that it promises"));
            }
            Err(Error::Changed { path: self.target.clone(), what: "another process wrote to it".into() })
        })
    }
}

/// Applies a delta to a copy of the file.
struct InCopy {
    apply: Apply,
    out: PathBuf,
}

impl InCopy {
    fn open(&self, progress: &dyn Progress) -> Result<(LiveFile, Summary)> {
        let apply = &self.apply;
        let live = LiveFile::open(&apply.target)?;
        let found = digest_of(live.whole(), &apply.options.reading, progress)?;
        let changes = apply.changes(found, live.len, &self.out)?;
        Ok((live, changes))
    }
}

impl Method for InCopy {
    fn plan(&mut self, progress: &dyn Progress) -> Result<Planned> {
        let (_, changes) = self.open(progress)?;
        Ok(Planned { task: Task::Change, ..Planned::of(changes) })
    }

    /// Writes a copy, which gets its name when it is proven to be the result.
    fn commit(&mut self, _: bool, progress: &dyn Progress) -> Result<Option<Report>> {
        let (live, changes) = self.open(progress)?;
        let (apply, out, mut notes) = (&self.apply, &*self.out, Vec::new());
        let mode = open::stamp(&live.file, &live.path)?.mode & 0o7777;
        let how = Named { force: apply.options.force, apart: &[&apply.target], logs: &[], mode };
        let written = into_file(out, &how, |copy| {
            let len = apply.delta.head.result.len;
            copy.set_len(len).at("lengthening", out)?;
            let written = copy_data(&live, copy, out, len, progress)?;
            let written = written + apply.change_copy(&live, copy, out)?;
            if mode & 0o6000 != 0 {
                let note = format!("the file has mode {mode:04o}: set-uid and set-gid are not given to the copy");
                notes.push(Note::warning(note));
            }
            apply.prove(copy, out, progress)?;
            Ok(written)
        })?;
        Ok(Some(Report { notes, ..Report::done(changes, written) }))
    }

    fn explain(&self, e: Error) -> Error {
        self.apply.with_fitting(e, false)
    }
}

/// An error of ours, or of the delta being read.
enum Stop {
    /// One of ours.
    Ours(Error),
    /// One of the delta.
    Bad(Bad),
}

impl From<Bad> for Stop {
    fn from(bad: Bad) -> Stop {
        Stop::Bad(bad)
    }
}

impl Stop {
    /// The error of the library; `path` is that of the delta.
    fn of(self, path: &Path) -> Error {
        match self {
            Stop::Ours(e) => e,
            Stop::Bad(bad) => bad.of(path),
        }
    }
}

/// Copies the data of a file up to `len`; holes stay holes.
fn copy_data(live: &LiveFile, copy: &File, out: &Path, len: u64, progress: &dyn Progress) -> Result<u64> {
    let (end, mut at, mut written) = (live.len.min(len), 0, 0);
    let mut buf = vec![0; BLOCK.min(end as usize)];
    progress.begin("copying", end);
    while let Some((start, stop)) = sparse::next_data(&live.file, at, end).at("looking for holes in", &live.path)? {
        progress.advance(start - at);
        at = start;
        while at < stop {
            let part = (stop - at).min(BLOCK as u64) as usize;
            live.file.read_exact_at(&mut buf[..part], at).at("reading", &live.path)?;
            copy.write_all_at(&buf[..part], at).at("writing", out)?;
            create::start_writeback(copy, at, part as u64);
            at += part as u64;
            written += part as u64;
            progress.advance(part as u64);
        }
    }
    progress.end();
    Ok(written)
}

/// Where holes cannot be punched.
fn write_zeros(file: &File, start: u64, end: u64) -> std::io::Result<u64> {
    let zeros = [0; 64 << 10];
    let mut at = start;
    while at < end {
        let n = (end - at).min(zeros.len() as u64);
        file.write_all_at(&zeros[..n as usize], at)?;
        at += n;
    }
    Ok(end - start)
}

#[cfg(test)]
#[path = "apply_test.rs"]
mod tests;
