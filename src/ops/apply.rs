//! `apply`: bring a file from the base of a delta to its result, in place or in a copy.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::change::{Base, Confirm, Goal, Options, Plan, Report, Stop, Work};
use super::compare::digest_of;
use super::compose::{Composer, New};
use super::delta::{Delta, Named, directory_of, into_file, open_delta, pages_in};
use super::edit::{history_of, stores_first};
use super::in_place::{Place, in_place};
use super::plan::obstacle;
use super::sides::{LiveSide, refuse_unfinished_to_read};
use super::take::Taken;
use super::{Note, Progress};
use crate::error::{At, Error, Result, command, shell_word};
use crate::pack::{FileKind, Item};
use crate::page::{Digest, PAGE, PAGE64, PageSet};
use crate::store::{Image, SnapName};
use crate::sys::ext::FileExt;
use crate::sys::{create, open, sparse};

/// Where a delta comes from.
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

/// Bytes copied at once.
const BLOCK: usize = 1 << 20;

/// Applies `delta` to `file`, or, with `out`, to a copy of it.
///
/// # Errors
/// [`Error::Damaged`] when the delta is not whole; [`Error::Base`] when the file is neither its base nor, in place, its
/// result already: then nothing was touched and nothing stored. Else as [`super::revert`].
pub fn apply(
    file: &Path,
    delta: Input,
    out: Option<&Path>,
    options: &Options,
    confirm: Confirm<'_>,
    progress: &dyn Progress,
) -> Result<Report> {
    let target = open::resolve(file)?;
    let named = if let Input::Path(path) = &delta { Some(path.clone()) } else { None };
    let opened = open_delta(delta, directory_of(out.unwrap_or(&target)));
    let (delta, name) = opened.map_err(|e| in_order(file, named.as_deref()).unwrap_or(e))?;
    let job = Job { target: &target, delta: &delta, name: &name, options, began: Instant::now() };
    let done = match out {
        Some(out) => return job.copy(out, confirm, progress).map_err(|e| job.with_fitting(e, out, file)),
        None if options.dry_run => {
            if let Some(history) = history_of(options.store.as_deref(), &target)? {
                refuse_unfinished_to_read(&history)?;
            }
            job.plan_in_place(progress).map(|plan| {
                let obstacle = obstacle(&target, options);
                job.report(Plan { obstacle, ..plan })
            })
        }
        None => job.in_place(confirm, progress),
    };
    match done {
        Err(Error::Base { found, .. }) if found == job.delta.head.result.digest => Ok(job.nothing()),
        done => done.map_err(|e| job.with_fitting(e, &target, file)),
    }
}

/// The error where the delta was written first, and the file second.
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
    let hint = format!("the file comes first: `memsnap apply {} {}`", shell_word(delta), shell_word(file));
    swapped.then(|| Error::refused(what, hint))
}

/// What is to be applied to what.
struct Job<'a> {
    target: &'a Path,
    delta: &'a Delta,
    name: &'a Path,
    options: &'a Options,
    began: Instant,
}

impl Job<'_> {
    /// Scans the target, which must be the base, and says what would be written to `to`.
    fn plan(&self, to: &Path, progress: &dyn Progress) -> Result<(LiveSide, Plan)> {
        let live = LiveSide::open(self.target)?;
        let head = &self.delta.head;
        let found = digest_of(&live, &self.options.reading, progress)?;
        if found != head.base.digest || live.len != head.base.len {
            return Err(Error::Base {
                path: self.target.into(),
                expected: head.base.digest,
                found,
                hint: String::new(),
            });
        }
        let pages = pages_in(self.delta, self.name)?;
        let from = ("the base of the delta".into(), head.base.len);
        let plan = Plan::new(to, from, (self.result(), head.result.len), &pages);
        Ok((live, plan))
    }

    /// The same for a change in place, which may have to store all of the target first.
    fn plan_in_place(&self, progress: &dyn Progress) -> Result<Plan> {
        let (live, plan) = self.plan(self.target, progress)?;
        let history = history_of(self.options.store.as_deref(), self.target)?;
        Ok(Plan { stores_first: stores_first(history.as_ref(), &live)?, ..plan })
    }

    fn result(&self) -> String {
        format!("the result of {}", self.name.display())
    }

    /// The target is the result already.
    fn nothing(&self) -> Report {
        let len = self.delta.head.result.len;
        self.report(Plan::new(self.target, ("now".into(), len), (self.result(), len), &PageSet::new()))
    }

    fn report(&self, plan: Plan) -> Report {
        let elapsed = self.began.elapsed();
        Report { plan, done: false, undo: None, notes: Vec::new(), bytes_written: 0, elapsed }
    }

    /// Names the snapshot that would have been the base, where the history has it.
    fn with_fitting(&self, e: Error, to: &Path, file: &Path) -> Error {
        e.of_base(|expected| {
            let store = self.options.store.as_deref();
            let at = |n: u64| {
                let mut word = file.as_os_str().to_owned();
                word.push(format!("@{n}"));
                word
            };
            match self.fitting(expected) {
                Some(n) if to == self.target => {
                    let revert = command("revert", store, at(n));
                    format!("the base of the delta is @{n}: go back to it first with `{revert}`")
                }
                Some(n) => {
                    let restore = command("restore", store, at(n));
                    format!(
                        "the base of the delta is @{n}: write it to a file with `{restore} -o BASE`, and apply to that"
                    )
                }
                None => "apply it to the file that it was made from; `memsnap log -v` shows image digests".into(),
            }
        })
    }

    /// The number of the newest snapshot that holds that image.
    fn fitting(&self, image: &Digest) -> Option<u64> {
        let history = history_of(self.options.store.as_deref(), self.target).ok()??;
        let holds = |name: &SnapName| history.snapshot(*name).is_ok_and(|snap| snap.meta().image == *image);
        history.snapshots().ok()?.into_iter().rev().find(holds).map(|name| name.number)
    }

    /// Writes a copy, which gets its name when it is proven to be the result.
    fn copy(&self, out: &Path, confirm: Confirm<'_>, progress: &dyn Progress) -> Result<Report> {
        let (live, plan) = self.plan(out, progress)?;
        let mut report = self.report(plan);
        if self.options.dry_run || !confirm(&report.plan) {
            return Ok(report);
        }
        let mut notes = Vec::new();
        let mode = open::stamp(&live.file, &live.path)?.mode & 0o7777;
        let how = Named { force: self.options.force, apart: &[self.target], mode };
        report.bytes_written = into_file(out, &how, |copy| {
            let len = self.delta.head.result.len;
            copy.set_len(len).at("lengthening", out)?;
            let written = copy_data(&live, copy, out, len, progress)?;
            let written = written + self.change_copy(&live, copy, out)?;
            if mode & 0o6000 != 0 {
                let note = format!("the file has mode {mode:04o}: set-uid and set-gid are not given to the copy");
                notes.push(Note::warning(note));
            }
            self.prove(copy, out, progress)?;
            Ok(written)
        })?;
        report.done = true;
        report.notes = notes;
        report.elapsed = self.began.elapsed();
        Ok(report)
    }

    /// Lays what the delta says over a copy of the base.
    fn change_copy(&self, live: &LiveSide, copy: &File, out: &Path) -> Result<u64> {
        let (len, mut written) = (self.delta.head.result.len, 0);
        self.each(&live.file, live.len, |item| {
            match item {
                Item::Page(page, _, bytes) => {
                    let n = (len - page * PAGE64).min(PAGE64) as usize;
                    copy.write_all_at(&bytes[..n], page * PAGE64).at("writing", out)?;
                    written += n as u64;
                }
                Item::Zeros(run) => {
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
        let file = copy.try_clone().at("reading", out)?;
        let side = LiveSide { name: String::new(), path: out.into(), file, len: result.len };
        if digest_of(&side, &self.options.reading, progress)? == result.digest {
            return Ok(());
        }
        // The base was proven before: either it changed since, or the delta never was what it says.
        digest_of(&LiveSide::open(self.target)?, &self.options.reading, progress).and_then(|found| {
            if found == self.delta.head.base.digest {
                return Err(Error::damaged(self.name, "what it makes of its base is not the result that it promises"));
            }
            Err(Error::Changed { path: self.target.into(), what: "somebody wrote to it".into() })
        })
    }

    /// Calls `each` with everything that the delta says; `file` holds its base.
    fn each(&self, file: &File, len: u64, mut each: impl FnMut(Item<'_>) -> Result<()>) -> Result<()> {
        let mut direction = self.delta.direction(false).map_err(|e| e.of(self.name))?;
        let mut old = |page: u64, out: &mut [u8; PAGE]| {
            let there = len.saturating_sub(page * PAGE64).min(PAGE64) as usize;
            file.read_exact_at(&mut out[..there], page * PAGE64).at("reading", self.target).map_err(Stop::Ours)
        };
        loop {
            match direction.next(&mut old).map_err(|e| e.of(self.name))? {
                Some(item) => each(item)?,
                None => return Ok(()),
            }
        }
    }

    fn in_place(&self, confirm: Confirm<'_>, progress: &dyn Progress) -> Result<Report> {
        let (base, result) = (self.delta.head.base, self.delta.head.result);
        // A delta of nothing.
        let already = |_: &Work<'_>, taken: &Taken| {
            Ok(((taken.image, taken.len) == (result.digest, result.len)).then(|| self.result()))
        };
        let goal = Goal { verb: "apply", base: Base::Is(base.digest), already: &already };
        let plan = || self.plan_in_place(progress).map(|plan| self.report(plan));
        let place = Place { target: self.target, len: self.delta.head.result.len, plan: &plan };
        let mut report =
            in_place(&place, &goal, self.options, confirm, progress, |work, from| self.compose(work, from))?;
        report.elapsed = self.began.elapsed();
        Ok(report)
    }

    /// Makes the result a snapshot.
    fn compose(&self, work: &mut Work<'_>, from: &Image) -> Result<Image> {
        let (base, result) = (self.delta.head.base, self.delta.head.result);
        if from.len() != base.len {
            let what = format!("its base is {} bytes long, and it says {}", from.len(), base.len);
            return Err(Error::damaged(self.name, what));
        }
        let file = work.target.file;
        let mut composer = Composer::new(work, from, result.len);
        self.each(file, from.len(), |item| match item {
            Item::Page(page, _, bytes) => composer.put(page, New::Bytes(bytes)),
            Item::Zeros(run) => (run.pages.start..run.pages.end)
                .try_for_each(|page| composer.put(page, New::Stored(run.source, &[0; PAGE]))),
        })?;
        composer.finish("apply", Some(result.digest)).map_err(|e| match e {
            Error::Base { .. } => {
                Error::damaged(self.name, "what it makes of its base is not the result that it promises")
            }
            e => e,
        })
    }
}

/// Copies the data of a file up to `len`; holes stay holes.
fn copy_data(live: &LiveSide, copy: &File, out: &Path, len: u64, progress: &dyn Progress) -> Result<u64> {
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
