//! Writing pages into a target, and proving that they are there.

use std::fs::File;
use std::num::NonZero;
use std::thread;

use super::change::{Work, pages_between};
use super::compose::read_zero_extended;
use super::heal::heal;
use super::take::Target;
use super::{Note, Progress, metadata, set_uid};
use crate::capture::{Base, Leaf};
use crate::error::{At, Error, Result};
use crate::pack::{Run, RunStream, Source};
use crate::page::{Digest, GROUP, GROUP_PAGES, GROUP64, PAGE, PAGE64, PageRange, PageSet, group_digest, groups_of};
use crate::planted::{Bug, planted, sync_once};
use crate::store::{DigestCache, DigestCacheUpdate, Image};
use crate::sys::ext::FileExt;
use crate::sys::sparse;

/// Most bytes written by one call.
const BATCH: usize = 1 << 20;

/// Writes `pages` of `to` into the target, which holds `from`, where that is stored, or something between the two; sets
/// its length, brings it to the disk and reads it back. Gives the number of bytes written.
///
/// The length grows first and shrinks last, so that at any moment every page is that of one image or the other.
pub(crate) fn write(
    work: &mut Work<'_>,
    from: Option<&Image>,
    to: &Image,
    pages: &PageSet,
    progress: &dyn Progress,
) -> Result<u64> {
    let (file, path) = (work.target.file, work.target.path);
    let now = file.metadata().at("looking at", path)?.len();
    if !pages.is_empty() || now != to.len() {
        set_uid::remove(work)?;
        metadata::narrow(work, to)?; // not yet where it had set-uid bits, which a new owner takes without a word
    }
    let written = {
        if now < to.len() {
            file.set_len(to.len()).at("lengthening", path)?;
        }
        progress.begin("writing", pages.len() * PAGE64);
        let written = write_pages(work, to, pages, now.max(to.len()), progress);
        progress.end();
        if now > to.len() {
            file.set_len(to.len()).at("shortening", path)?;
        }
        written?
    };
    bring_to_disk(work.target)?;
    if !planted(Bug::NoReadBack) {
        prove(work, from, to, pages)?;
    }
    Ok(written)
}

/// Once only for what was written: after an error the cache no longer tells what is on the disk.
pub(crate) fn bring_to_disk(target: Target<'_>) -> Result<()> {
    sync_once(Bug::NoTargetSync, || target.file.sync_all()).at("bringing to the disk", target.path)
}

/// Reads, before anything is written, every page that will be: those of `to`, or the target would stay half changed;
/// and those of `from` that they take the place of, or there would be no way back. Damaged ones of `from` are stored
/// again: at this moment the target still holds them.
///
/// # Errors
/// [`Error::Damaged`] when a page of either cannot be had.
pub(crate) fn prove_stored(
    work: &mut Work<'_>,
    from: &Image,
    to: &Image,
    pages: &PageSet,
    progress: &dyn Progress,
) -> Result<()> {
    let back = pages_between(to, from)?;
    progress.begin("checking", (pages.len() + back.len()) * PAGE64);
    let ways = prove_pages_of(to, pages, progress).and_then(|bad| Ok((bad, prove_pages_of(from, &back, progress)?)));
    progress.end();
    let (forth, back) = ways?;
    if let Some((_, error)) = forth.into_iter().next() {
        return Err(error);
    }
    let numbers: Vec<u32> = back.iter().map(|(pack, _)| *pack).collect();
    let healed = heal(work.history, work.writing, &numbers, work.target.file)?;
    match back.into_iter().next() {
        Some((_, error)) if healed.broken || !healed.lost.is_empty() => Err(error),
        Some(_) => {
            let what = format!("{} damaged pages of @{} were stored again", healed.pages, from.name.number);
            work.notes.push(Note::warning(format!("{what}: is the disk sound?")));
            Ok(())
        }
        None => Ok(()),
    }
}

/// Reads every page of `pages` that `image` stores, before the target is changed.
///
/// # Errors
/// [`Error::Damaged`] when one cannot be had.
pub(crate) fn prove_whole(image: &Image, pages: &PageSet, progress: &dyn Progress) -> Result<()> {
    progress.begin("checking", pages.len() * PAGE64);
    let bad = prove_pages_of(image, pages, progress);
    progress.end();
    bad?.into_iter().next().map_or(Ok(()), |(_, error)| Err(error))
}

/// The packs of `image` in which pages of `pages` are not as they were, with the first error of each; every core looks.
fn prove_pages_of(image: &Image, pages: &PageSet, progress: &dyn Progress) -> Result<Vec<(u32, Error)>> {
    let spans = spans(pages, thread::available_parallelism().map_or(1, NonZero::get));
    let look = |span: PageRange| prove_span(image, pages.runs_within(span), progress);
    let parts: Vec<Result<Vec<(u32, Error)>>> = thread::scope(|scope| {
        let start = |span| thread::Builder::new().spawn_scoped(scope, move || look(span)).map_err(|_| span);
        let threads: Vec<_> = spans.into_iter().map(start).collect();
        let join = |thread: Result<thread::ScopedJoinHandle<'_, _>, PageRange>| match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(span) => look(span),
        };
        threads.into_iter().map(join).collect()
    });
    let mut bad: Vec<(u32, Error)> = Vec::new();
    for part in parts {
        for (pack, error) in part? {
            if bad.iter().all(|(p, _)| *p != pack) {
                bad.push((pack, error));
            }
        }
    }
    Ok(bad)
}

/// Cuts all page numbers into `n` spans with about as many of `pages` each; few pages are not cut.
fn spans(pages: &PageSet, n: usize) -> Vec<PageRange> {
    let each = (pages.len() / n as u64 + 1).max(256);
    let (mut spans, mut start, mut seen) = (Vec::new(), 0, 0);
    for run in pages.runs() {
        seen += run.len();
        if seen >= each {
            spans.push(PageRange { start, end: run.end });
            (start, seen) = (run.end, 0);
        }
    }
    spans.push(PageRange { start, end: u64::MAX });
    spans
}

fn prove_span(
    image: &Image,
    wanted: impl Iterator<Item = PageRange>,
    progress: &dyn Progress,
) -> Result<Vec<(u32, Error)>> {
    let mut bad: Vec<(u32, Error)> = Vec::new();
    let mut reader = image.packs().pages();
    runs_in(image, wanted, |run| {
        let Source::Pack(pack, first) = run.source else { return Ok(()) };
        for page in first..first + run.pages.len() {
            match reader.read(pack, page, &mut [0; PAGE]) {
                Err(e @ Error::Damaged { .. }) if bad.iter().all(|(p, _)| *p != pack) => bad.push((pack, e)),
                Err(Error::Damaged { .. }) | Ok(_) => {}
                Err(e) => return Err(e),
            }
        }
        progress.advance(run.pages.len() * PAGE64);
        Ok(())
    })?;
    Ok(bad)
}

/// Calls `each` with the runs of `image` that lie in `wanted`, which ascends.
pub(crate) fn runs_in(
    image: &Image,
    wanted: impl Iterator<Item = PageRange>,
    mut each: impl FnMut(Run) -> Result<()>,
) -> Result<()> {
    let mut wanted = wanted.peekable();
    let Some(first) = wanted.peek() else { return Ok(()) };
    let mut runs = image.runs_from(first.start);
    let mut head: Option<Run> = None;
    for wanted in wanted {
        loop {
            let run = match head.take() {
                Some(run) => run,
                None => match runs.next_run().map_err(|e| e.of(image.path()))? {
                    Some(run) => run,
                    None => return Ok(()),
                },
            };
            let part = run.clip(&wanted);
            if !part.pages.is_empty() {
                each(part)?;
            }
            if run.pages.end >= wanted.end {
                head = Some(run);
                break;
            }
        }
    }
    Ok(())
}

fn write_pages(work: &Work<'_>, to: &Image, pages: &PageSet, len: u64, progress: &dyn Progress) -> Result<u64> {
    let mut reader = work.history.packs().pages();
    let mut batch = Batch { work, len, start: 0, bytes: Vec::with_capacity(BATCH), written: 0 };
    runs_in(to, pages.runs(), |run| {
        if run.source == Source::Hole {
            batch.flush()?;
            batch.punch(run.pages)?;
            progress.advance(run.pages.len() * PAGE64);
            return Ok(());
        }
        for page in run.pages.start..run.pages.end {
            let mut bytes = [0; PAGE];
            if let Source::Pack(pack, source) = run.source.advance(page - run.pages.start) {
                reader.read(pack, source, &mut bytes)?;
            }
            batch.add(page * PAGE64, &bytes)?;
            progress.advance(PAGE64);
        }
        Ok(())
    })?;
    batch.flush()?;
    Ok(batch.written)
}

/// Neighbouring pages, written by one call.
struct Batch<'a> {
    work: &'a Work<'a>,
    /// Nothing is written past this.
    len: u64,
    start: u64,
    bytes: Vec<u8>,
    written: u64,
}

impl Batch<'_> {
    fn add(&mut self, at: u64, page: &[u8; PAGE]) -> Result<()> {
        if self.start + self.bytes.len() as u64 != at || self.bytes.len() == BATCH {
            self.flush()?;
            self.start = at;
        }
        self.bytes.extend_from_slice(page);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let n = self.len.saturating_sub(self.start).min(self.bytes.len() as u64) as usize;
        let target = self.work.target;
        target.file.write_all_at(&self.bytes[..n], self.start).at("writing to", target.path)?;
        self.written += n as u64;
        self.bytes.clear();
        Ok(())
    }

    fn punch(&mut self, pages: PageRange) -> Result<()> {
        let target = self.work.target;
        let end = pages.end_offset().min(self.len);
        if sparse::punch(target.file, pages.offset(), end - pages.offset()).at("punching a hole in", target.path)? {
            return Ok(());
        }
        for page in pages.start..pages.end {
            self.add(page * PAGE64, &[0; PAGE])?;
        }
        self.flush()
    }
}

/// Groups read back at once.
const CHUNK: usize = 4096;

/// Reads back every group that was written into the digest cache, and folds it into the digest of the whole: it must
/// be that of `to`.
fn prove(work: &mut Work<'_>, from: Option<&Image>, to: &Image, pages: &PageSet) -> Result<()> {
    let of =
        |from: &&Image| DigestCache::open(work.history).filter(|t| t.snapshot == from.name.id && t.len == from.len());
    let Some((from, cache)) = from.and_then(|from| Some((from, of(&from)?))) else {
        return prove_pages(work, to, pages);
    };
    let groups = touched(from, to, pages);
    let mut update = DigestCacheUpdate::new(work.history, Some(&cache));
    for groups in groups.chunks(CHUNK) {
        let digests = read_back(work.target.file, groups, to.len()).at("reading back", work.target.path)?;
        match leaves(work, &cache, to, pages, &digests) {
            // The cache turned out broken, and is gone.
            Err(e) if DigestCache::is_cause(work.history, &e) => return prove_pages(work, to, pages),
            leaves => update.put(&leaves?),
        }
    }
    match update.fold(&cache, to.len()) {
        None => prove_pages(work, to, pages),
        Some(digest) if digest == to.digest() => {
            update.finish(&to.name.id, &to.digest(), to.len());
            Ok(())
        }
        Some(_) if work.options.live => {
            work.notes.push(Note::warning("what was written does not read back: somebody else wrote meanwhile"));
            Ok(())
        }
        Some(_) => Err(unproven(work)),
    }
}

fn unproven(work: &Work<'_>) -> Error {
    Error::Changed {
        path: work.target.path.into(),
        what: "what was written to it does not read back; the change stays recorded, for `memsnap recover`".into(),
    }
}

/// Groups of `to` in which something changes: those with pages to be written, and the one that the end cuts.
fn touched(from: &Image, to: &Image, pages: &PageSet) -> Vec<u64> {
    let mut groups: Vec<u64> = pages.runs().flat_map(|r| r.start / GROUP_PAGES..r.end.div_ceil(GROUP_PAGES)).collect();
    if from.len() != to.len() {
        groups.extend([from.len() / GROUP64, to.len() / GROUP64]);
    }
    groups.sort_unstable();
    groups.dedup();
    groups.retain(|g| *g < groups_of(to.len()));
    groups
}

/// The digests of `groups`, read by every core.
fn read_back(file: &File, groups: &[u64], len: u64) -> std::io::Result<Vec<(u64, Digest)>> {
    let read = |groups: &[u64]| -> std::io::Result<Vec<(u64, Digest)>> {
        groups
            .iter()
            .map(|group| {
                let bytes = read_zero_extended(file, group * GROUP64, GROUP, len)?;
                Ok((*group, group_digest(bytes[..].try_into().expect("a group is 64 KiB"))))
            })
            .collect()
    };
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let part = groups.len().div_ceil(workers).max(64);
    thread::scope(|scope| {
        // A part for which there is no thread is read here.
        let start = |groups| thread::Builder::new().spawn_scoped(scope, move || read(groups)).map_err(|_| groups);
        let parts: Vec<_> = groups.chunks(part).map(start).collect();
        let mut out = Vec::with_capacity(groups.len());
        for part in parts {
            out.extend(match part {
                Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?,
                Err(groups) => read(groups)?,
            });
        }
        Ok(out)
    })
}

/// Without a cache of the rest: the pages that were written, one by one.
fn prove_pages(work: &mut Work<'_>, to: &Image, pages: &PageSet) -> Result<()> {
    let mut wrong = false;
    runs_in(to, pages.runs(), |run| {
        for page in run.pages.start..run.pages.end {
            let expected = work.history.packs().page_digest(run.source.advance(page - run.pages.start))?;
            let bytes = read_zero_extended(work.target.file, page * PAGE64, PAGE, to.len());
            let bytes = bytes.at("reading back", work.target.path)?;
            wrong |= crate::page::page_digest(bytes[..].try_into().expect("a page")) != expected;
        }
        Ok(())
    })?;
    if wrong && !work.options.live { Err(unproven(work)) } else { Ok(()) }
}

/// What the cache is to say of the groups that changed: the page digests it had, those of `to` for what was written.
fn leaves(
    work: &Work<'_>,
    cache: &DigestCache,
    to: &Image,
    pages: &PageSet,
    digests: &[(u64, Digest)],
) -> Result<Vec<Leaf>> {
    let mut leaves = Vec::with_capacity(digests.len());
    for (group, digest) in digests {
        let mut known = cache.pages(*group)?;
        let range = PageRange::of_group(*group);
        let end = to.pages();
        known.iter_mut().zip(range.start..).for_each(|(d, page)| {
            if page >= end {
                *d = Digest::ZERO;
            }
        });
        leaves.push(Leaf { group: *group, digest: *digest, pages: known });
    }
    let Some(((first, _), (last, _))) = digests.first().zip(digests.last()) else { return Ok(leaves) };
    let span = PageRange::new(first * GROUP_PAGES, (last + 1) * GROUP_PAGES);
    runs_in(to, pages.runs_within(span), |run| {
        for page in run.pages.start..run.pages.end {
            let digest = work.history.packs().page_digest(run.source.advance(page - run.pages.start))?;
            if let Ok(at) = leaves.binary_search_by_key(&(page / GROUP_PAGES), |l| l.group) {
                leaves[at].pages[(page % GROUP_PAGES) as usize] = digest;
            }
        }
        Ok(())
    })?;
    Ok(leaves)
}
