//! Carrying out a change whose images are both known: the intent, the last look at the lease, the pages, the end.
//!
//! A lease that is broken before the first byte is written ends the verb: nothing is written, and the intent and the
//! change marker are withdrawn. From the first byte on the lease is kept: whoever opens the file waits for the short
//! rest. If the kernel takes it by force meanwhile, the verb fails, and says whether what it wrote reads back.

use crate::error::{Error, Result, shell_word};
use crate::ops::Progress;
use crate::ops::change::space::Space;
use crate::ops::change::write::{bring_to_disk, write};
use crate::ops::change::{Work, finish};
use crate::ops::change::{metadata, set_uid};
use crate::page::PageSet;
use crate::store::{ChangeMarker, Image, Intent};
use crate::sys::open;

/// A change that is decided on.
pub(crate) struct Step<'s> {
    /// What its record says.
    pub(crate) intent: &'s Intent,
    /// The record that is there already; it is there again when nothing is written.
    pub(crate) recorded: Option<&'s Intent>,
    /// What the target holds, if nothing was interrupted; none of a change without undo.
    pub(crate) from: Option<&'s Image>,
    pub(crate) to: &'s Image,
    /// The pages to be written.
    pub(crate) pages: &'s PageSet,
}

/// Brings the target to `step.to`. Gives the number of bytes written.
///
/// # Errors
/// [`Error::Busy`] when somebody opened it before the first byte: nothing was written, nothing is recorded. The same
/// when the kernel gave it to somebody before the last byte was read back; then the change is complete, or, where what
/// was written does not read back, the error is in an [`Error::Unfinished`]. So is every other error from the first
/// byte on.
pub(crate) fn carry_out(work: &mut Work<'_>, step: &Step<'_>, progress: &dyn Progress) -> Result<u64> {
    let mut space = Space::none(work.target)?;
    if let Err(e) = space.reserve(step.to, step.pages).and_then(|()| record(work, step)) {
        space.release(work.lease.as_ref());
        return Err(e);
    }
    // Before the last look: who opens the target from there on waits, and has what it was allowed when it opened.
    let before = open::stamp(work.target.file, work.target.path)?;
    let writes = !step.pages.is_empty() || before.len != step.to.len();
    if writes && !set_uid::has_any(work.target)? {
        metadata::narrow(work, step.to).map_err(unfinished(work))?;
    }
    // What was reserved is not released then: whoever opened the target may have written there.
    if !work.lease.as_ref().is_none_or(|lease| lease.keep()) {
        metadata::put_back(work, &before);
        withdraw(work, step)?;
        return Err(work.opened());
    }
    let written = write(work, step.from, step.to, step.pages, progress);
    let lost = work.lease.as_ref().is_some_and(|lease| lease.is_broken());
    let result = match written {
        Ok(bytes) => finish(work, step.intent, step.to).map(|()| bytes).map_err(unfinished(work)),
        // Whoever got the file by force may have written to it.
        Err(Error::Changed { .. }) if lost => Err(unfinished(work)(work.taken(None))),
        Err(e) => Err(unfinished(work)(e)),
    };
    if let Some(lease) = &work.lease {
        lease.give_way();
    }
    work.notes.append(&mut work.cautions);
    if lost && result.is_ok() {
        return Err(work.taken(Some(step.to)));
    }
    result.and_then(|bytes| work.still_named().map(|()| bytes))
}

/// Makes the records of a change: from now on the target may be half changed.
fn record(work: &mut Work<'_>, step: &Step<'_>) -> Result<()> {
    if step.recorded != Some(step.intent) {
        work.history.begin_change(work.writing, step.intent)?;
        ChangeMarker::set(work.target.file, work.target.path, work.history, step.intent);
    }
    Ok(())
}

/// Takes back the records of a change of which no byte was written, durably.
fn withdraw(work: &mut Work<'_>, step: &Step<'_>) -> Result<()> {
    if step.recorded == Some(step.intent) {
        return Ok(());
    }
    if let Some(recorded) = step.recorded {
        work.history.begin_change(work.writing, recorded)?;
        ChangeMarker::set(work.target.file, work.target.path, work.history, recorded);
        return Ok(());
    }
    // The marker first: without its record it would keep the file from every verb.
    ChangeMarker::remove(work.target.file, work.target.path)?;
    bring_to_disk(work.target)?;
    work.history.end_change(work.writing, None)
}

/// The error of a change that stopped on its way.
fn unfinished(work: &Work<'_>) -> impl FnOnce(Error) -> Error + use<> {
    let path = work.target.path.to_path_buf();
    move |source| Error::Unfinished { path, source: Box::new(source) }
}

impl Work<'_> {
    /// An error when somebody has opened the target since the lease was taken. For all that comes before the first
    /// byte.
    pub(crate) fn still_alone(&self) -> Result<()> {
        let broken = self.lease.as_ref().is_some_and(|lease| lease.is_broken());
        if broken { Err(self.opened()) } else { Ok(()) }
    }

    /// What was `done` counts only if nobody has opened the target meanwhile; its own errors may come of that.
    pub(crate) fn if_alone<T>(&self, done: Result<T>) -> Result<T> {
        self.still_alone().and(done)
    }

    /// An error when another file has the name of the target now, as after an editor's write-and-rename: then the
    /// change is complete, and not to be seen there.
    fn still_named(&self) -> Result<()> {
        let (file, path) = (self.target.file, self.target.path);
        let changed = open::stamp(file, path)?;
        if open::stamp_path(path).is_ok_and(|now| now.same_file(&changed)) {
            return Ok(());
        }
        Err(Error::Busy {
            path: path.into(),
            holder: "another file took its place, or it was removed, while it was changed; what is there now was not \
                     changed"
                .into(),
            hint: "run it again to change that file".into(),
        })
    }

    /// The error of a verb that has written nothing, because somebody opened the target.
    fn opened(&self) -> Error {
        if self.lease.as_ref().is_some_and(|lease| lease.was_stopped()) {
            return Error::Busy {
                path: self.target.path.into(),
                holder: format!("memsnap was stopped, and others may have opened it meanwhile; {}", self.so_far),
                hint: "run it again".into(),
            };
        }
        Error::Busy {
            path: self.target.path.into(),
            holder: format!("opened meanwhile by {}; {}", self.opener(), self.so_far),
            hint: "run it again when that has closed the file".into(),
        }
    }

    /// The error of a verb whose lease the kernel took by force; with `to` where that is what reads back.
    fn taken(&self, to: Option<&Image>) -> Error {
        let path = self.target.path;
        let holder = format!(
            "{} waited for longer than fs.lease-break-time allows, and was let in before the change had ended; ",
            self.opener()
        );
        let (holder, hint) = match to {
            Some(to) => {
                let file = shell_word(path);
                let compare = format!("`memsnap diff {file}@{} {file}` shows what was written since", to.name.number);
                (holder + "what was written reads back, and the change is complete", compare)
            }
            None => (holder + "what was written does not read back", "end that process first".into()),
        };
        Error::Busy { path: path.into(), holder, hint }
    }

    /// Who opened the target, in words.
    fn opener(&self) -> String {
        let seen = self.lease.as_ref().map(|lease| lease.wanted_by()).unwrap_or_default();
        let mut names: Vec<_> = seen.into_iter().map(|o| o.describe()).collect();
        names.dedup();
        names.truncate(5);
        match names[..] {
            [] => "a process that is not visible here, or has closed it".into(),
            _ => names.join(", "),
        }
    }
}
