//! `edit`: bytes of a target replaced, or a delta that would do it.
//!
//! The edits are made in memory first, on copies of the pages that they touch. What the copies were made from is
//! checked again when no other process can write: where a page is not what it was, nothing is written.

use crate::sys::ext::FileExt;
use std::path::{Path, PathBuf};

use super::change::hold::Work;
use super::change::in_place::{Goal, InPlace};
use super::change::{Options, Replaced, Request, Summary};
use super::compare::digest_groups;
use super::delta::changed_pages::{ChangedPage, Refold, numbers, regroup, whole, write_delta};
use super::delta::{self, Stat, hold, mode_of, name_of, unchanged};
use super::input::Target;
use super::input::image::{LiveFile, OpenImage, refuse_unfinished_to_read};
use super::output::{Named, into, scratch_beside};
use super::read::read_zero_extended;
use super::restore::Out;
use super::save::capture::CapturedImage;
use super::save::compose::{Composer, NewPage};
use super::{Progress, history_of};
use crate::error::{At, Cause, Error, Result};
use crate::pack::{DeltaHead, ImageId};
use crate::page::{Digest, GROUP64, MAX_LEN, PAGE, PAGE64, PageNo, PageRange, PageSet, group_digest, page_digest};
use crate::store::Image;
use crate::sys::open;

/// Bytes of an edit that a plan shows.
const SHOWN: usize = 16;

/// Bytes to be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Where, in bytes from the start of the target.
    pub at: u64,
    /// By what.
    pub new: Patch,
}

/// What replaces bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Patch {
    /// These.
    Bytes(Vec<u8>),
    /// So many zeros.
    Zeros(u64),
}

impl Patch {
    /// Number of bytes.
    #[doc(hidden)]
    pub fn len(&self) -> u64 {
        match self {
            Patch::Bytes(bytes) => bytes.len() as u64,
            Patch::Zeros(n) => *n,
        }
    }

    /// Whether there is no byte.
    #[doc(hidden)]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes it, which begins at byte `at` of the target, to the page that begins at `start`.
    fn lay(&self, at: u64, start: u64, page: &mut [u8; PAGE]) {
        let (from, to) = (at.max(start), (at + self.len()).min(start + PAGE64));
        if from >= to {
            return;
        }
        let place = &mut page[(from - start) as usize..(to - start) as usize];
        match self {
            Patch::Bytes(new) => place.copy_from_slice(&new[(from - at) as usize..(to - at) as usize]),
            Patch::Zeros(_) => place.fill(0),
        }
    }
}

/// Makes `edits` in `file`, later ones over earlier ones. Bytes past its end are edited only with `grow`.
///
/// # Errors
/// When the history cannot be read. From the plan and the commit, [`Error::Refused`] when an edit lies past the end.
pub fn edit<'a>(file: &Path, edits: &'a [Edit], grow: bool, options: &Options) -> Result<Request<'a>> {
    let target = open::resolve(file)?;
    let goal = Editing { target: target.clone(), edits, grow, touched: None };
    Ok(Request::new(InPlace::new(goal, target, options)?))
}

/// Edits to be made in a target.
struct Editing<'a> {
    target: PathBuf,
    edits: &'a [Edit],
    grow: bool,
    /// The pages with the edits in them, once they were read.
    touched: Option<Touched>,
}

impl Editing<'_> {
    fn touched(&self) -> &Touched {
        self.touched.as_ref().expect("the pages are read first")
    }
}

impl Goal for Editing<'_> {
    fn verb(&self) -> &'static str {
        "edit"
    }

    fn look(&mut self, _: &Options, _: &dyn Progress) -> Result<Summary> {
        let live = LiveFile::open(&self.target)?;
        let touched = Touched::read(live.target(), self.edits, self.grow)?;
        let changes = touched.changes(&self.target);
        self.touched = Some(touched);
        Ok(changes)
    }

    /// What was edited in memory must be what is there.
    fn enter(&mut self, work: &Work<'_>, confirmed: bool) -> Result<bool> {
        if let Some(touched) = &self.touched {
            match touched.check(work.target) {
                Ok(()) => return Ok(true),
                Err(Error::Changed { .. }) if confirmed => return Ok(false),
                Err(Error::Changed { .. }) => {}
                Err(e) => return Err(e),
            }
        }
        self.touched = Some(Touched::read(work.target, self.edits, self.grow)?);
        Ok(true)
    }

    fn already(&self, _: &Work<'_>, _: &CapturedImage) -> Result<Option<String>> {
        let touched = self.touched();
        let same = touched.dirty().is_empty() && touched.len == touched.result_len;
        Ok(same.then(|| touched.result()))
    }

    fn make(&mut self, work: &mut Work<'_>, from: &Image) -> Result<Image> {
        let touched = self.touched();
        // Once more: with --live, another process may have written since.
        touched.check(work.target)?;
        let mut composer = Composer::new(work, from, touched.result_len);
        touched.dirty().iter().try_for_each(|dirty| composer.put(dirty.page, NewPage::Bytes(&whole(dirty.now))))?;
        composer.finish("edit", None)
    }

    fn is_cheap(&self) -> bool {
        true
    }

    fn complete(&self, changes: &mut Summary) {
        changes.edits.clone_from(&self.touched().replaced);
    }

    fn len(&self) -> Option<u64> {
        self.touched.as_ref().map(|touched| touched.result_len)
    }
}

/// Writes the delta that makes `edits` in `file`, which stays as it is.
///
/// # Errors
/// As [`edit`], and as [`super::delta::make`].
#[doc(hidden)]
pub fn delta(
    file: &Path,
    edits: &[Edit],
    grow: bool,
    out: Out<'_>,
    options: &delta::Options,
    progress: &dyn Progress,
) -> Result<Stat> {
    let target = open::resolve(file)?;
    if let Some(history) = history_of(options.store.as_deref(), &target)? {
        refuse_unfinished_to_read(&history)?;
    }
    let mut side = OpenImage::Live(LiveFile::open(&target)?);
    let before = hold(&mut side, &options.reading)?;
    let OpenImage::Live(live) = &side else { unreachable!("a live file was opened") };
    let touched = Touched::read(live.target(), edits, grow)?;
    let pages = touched.dirty();
    let (base, result) = touched.digests(live, &pages, options, progress)?;
    unchanged(&side, before)?;
    let head = DeltaHead {
        base: ImageId { len: touched.len, digest: base },
        result: ImageId { len: touched.result_len, digest: result },
        reversible: options.reversible,
        name: name_of(&side),
    };
    let scratch = scratch_beside(&out);
    let how = Named { force: options.force, apart: &[&target], logs: &[], mode: mode_of(&side)? };
    into(out, &how, |out, path| write_delta(&pages, &head, options.level, (out, path, &scratch), progress))
}

/// The pages of a target that edits touch. Memory grows with the edits, not with the target.
struct Touched {
    /// Length of the target.
    len: u64,
    /// Its length with the edits.
    result_len: u64,
    /// The digests of all these pages as they were; past the end of the target, zeros.
    seen: Vec<(PageNo, Digest)>,
    /// Those that the edits change: as they were, and as they become.
    changed: Vec<(PageNo, [Box<[u8; PAGE]>; 2])>,
    /// What each edit replaces.
    replaced: Vec<Replaced>,
}

impl Touched {
    fn read(target: Target<'_>, edits: &[Edit], grow: bool) -> Result<Touched> {
        let len = open::stamp(target.file, target.path)?.len;
        let (mut set, mut result_len) = (PageSet::new(), len);
        for edit in edits {
            let end = end_of(edit, len, grow, target.path)?;
            set.insert_range(PageRange::of_bytes(edit.at, end));
            result_len = result_len.max(if edit.new.is_empty() { 0 } else { end });
        }
        let replaced = edits.iter().map(|edit| replaced(target, edit, len)).collect::<Result<_>>()?;
        let mut touched = Touched { len, result_len, seen: Vec::new(), changed: Vec::new(), replaced };
        let mut by_start: Vec<usize> = (0..edits.len()).collect();
        by_start.sort_by_key(|n| std::cmp::Reverse(edits[*n].at));
        // The edits of a page, later ones over earlier ones.
        let mut here: Vec<usize> = Vec::new();
        for page in set.runs().flat_map(|run| run.start..run.end) {
            let start = page * PAGE64;
            while let Some(n) = by_start.pop_if(|n| edits[*n].at < start + PAGE64) {
                here.insert(here.partition_point(|before| *before < n), n);
            }
            here.retain(|n| edits[*n].at + edits[*n].new.len() > start);
            let before = read_zero_extended(target.file, start, len).at("reading", target.path)?;
            let mut now = before.clone();
            here.iter().for_each(|n| edits[*n].new.lay(edits[*n].at, start, &mut now));
            touched.seen.push((page, page_digest(&before)));
            if now != before {
                touched.changed.push((page, [before, now]));
            }
        }
        Ok(touched)
    }

    fn dirty(&self) -> Vec<ChangedPage<'_>> {
        self.changed
            .iter()
            .map(|(page, [before, now])| ChangedPage { page: *page, now: &now[..], before: &before[..] })
            .collect()
    }

    fn changes(&self, path: &Path) -> Summary {
        let (from, to) = (("now", self.len), (&*self.result(), self.result_len));
        Summary { edits: self.replaced.clone(), ..Summary::new(path, from, to, &numbers(&self.dirty())) }
    }

    /// What the target is with the edits, in words.
    fn result(&self) -> String {
        let edits = self.replaced.len();
        format!("now with {edits} edit{}", if edits == 1 { "" } else { "s" })
    }

    /// The target must be what the edits were made in.
    fn check(&self, target: Target<'_>) -> Result<()> {
        let changed = |what: String| Error::Changed { path: target.path.into(), what };
        let len = open::stamp(target.file, target.path)?.len;
        if len != self.len {
            return Err(changed(format!("it has {len} bytes, and had {}", self.len)));
        }
        for (page, digest) in &self.seen {
            let now = read_zero_extended(target.file, page * PAGE64, len).at("reading", target.path)?;
            if page_digest(&now) != *digest {
                return Err(changed("a page is not what it was when the edits were made".into()));
            }
        }
        Ok(())
    }

    /// The image digests of the target and of what the edits make of it.
    fn digests(
        &self,
        live: &LiveFile,
        pages: &[ChangedPage<'_>],
        options: &delta::Options,
        progress: &dyn Progress,
    ) -> Result<(Digest, Digest)> {
        self.check(live.target())?;
        let mut old = Vec::new();
        let new = regroup(pages, |group| {
            let bytes = read_zero_extended(&live.file, group * GROUP64, live.len).at("reading", &live.path)?;
            old.push((group, group_digest(&bytes)));
            Ok(bytes)
        })?;
        // The groups that are edited must still be those that were read above.
        let (mut as_read, mut result) = (Refold::new(self.len, &old), Refold::new(self.result_len, &new));
        let base = digest_groups(live.whole(), &options.reading, progress, |group, digest| {
            as_read.push(group, digest);
            result.push(group, digest);
        })?;
        if as_read.finish() != base {
            return Err(Error::Changed { path: live.path.clone(), what: "another process wrote to it".into() });
        }
        Ok((base, result.finish()))
    }
}

/// The first bytes of an edit, old and new.
fn replaced(target: Target<'_>, edit: &Edit, len: u64) -> Result<Replaced> {
    let new = match &edit.new {
        Patch::Bytes(bytes) => bytes[..bytes.len().min(SHOWN)].to_vec(),
        Patch::Zeros(n) => vec![0; (*n).min(SHOWN as u64) as usize],
    };
    let mut old = vec![0; len.saturating_sub(edit.at).min(new.len() as u64) as usize];
    target.file.read_exact_at(&mut old, edit.at).at("reading", target.path)?;
    Ok(Replaced { at: edit.at, len: edit.new.len(), old, new })
}

/// Where an edit ends; within the target unless that is to grow.
fn end_of(edit: &Edit, len: u64, grow: bool, target: &Path) -> Result<u64> {
    let end = edit.at.checked_add(edit.new.len()).filter(|end| *end <= MAX_LEN);
    let end = end.ok_or_else(|| Error::refused("no file is that long", "check the offset"))?;
    if end > len && !grow {
        return Err(Error::refused(
            format!("the edit at {0} ({0:#x}) ends at byte {end}, and {1} has {len}", edit.at, target.display()),
            Cause::PastEnd,
        ));
    }
    Ok(end)
}

#[cfg(test)]
#[path = "edit_test.rs"]
mod tests;
