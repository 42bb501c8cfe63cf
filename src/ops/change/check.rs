//! Steps 8 and 9: flushes what was written to the disk, once, and reads it back.

use std::sync::{Mutex, PoisonError};

use super::hold::Work;
use crate::capture::{Base, Leaf};
use crate::error::{At, Error, Result};
use crate::ops::Note;
use crate::ops::input::Target;
use crate::ops::read::read_zero_extended;
use crate::page::{Digest, GROUP_PAGES, GROUP64, PAGE64, PageRange, PageSet, group_digest, groups_of, page_digest};
use crate::planted::{Bug, planted, sync_once};
use crate::store::{DigestCache, DigestCacheUpdate, Image};
use crate::sys::pool;

/// Flushes the target to the disk. Never twice for the same bytes: after a failed flush, the page cache does not show
/// what is on the disk.
pub(crate) fn flush(target: Target<'_>) -> Result<()> {
    sync_once(Bug::NoTargetSync, || target.file.sync_all()).at("bringing to the disk", target.path)
}

/// Groups read back at once.
const CHUNK: usize = 4096;

/// Reads back what was written, and compares it with `to`. Where the digest cache has the rest of the image, the
/// digests of the groups are folded with it into that of the whole.
pub(crate) fn read_back(work: &mut Work<'_>, from: Option<&Image>, to: &Image, pages: &PageSet) -> Result<()> {
    if planted(Bug::NoReadBack) {
        return Ok(());
    }
    let of =
        |from: &&Image| DigestCache::open(work.history).filter(|t| t.snapshot == from.name.id && t.len == from.len());
    let Some((from, cache)) = from.and_then(|from| Some((from, of(&from)?))) else {
        return prove_pages(work, to, pages);
    };
    let groups = touched(from, to, pages);
    let mut update = DigestCacheUpdate::new(work.history, Some(&cache));
    for groups in groups.chunks(CHUNK) {
        let digests = digests_of(work.target, groups, to.len())?;
        match leaves(work, &cache, to, pages, &digests) {
            // The cache is damaged, and was removed.
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
            work.notes.push(Note::warning(
                "what was written does not read back: another process wrote to the file meanwhile",
            ));
            Ok(())
        }
        Some(_) => Err(unproven(work)),
    }
}

fn unproven(work: &Work<'_>) -> Error {
    Error::Changed {
        path: work.target.path.into(),
        what: "what was written to it does not read back; the change stays recorded".into(),
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

/// The digests of `groups` of the target, whose length is `len`, read by every core.
fn digests_of(target: Target<'_>, groups: &[u64], len: u64) -> Result<Vec<(u64, Digest)>> {
    let mut digests: Vec<_> = groups.iter().map(|group| (*group, Digest::ZERO)).collect();
    let part = groups.len().div_ceil(pool::workers()).max(64);
    let parts = Mutex::new(digests.chunks_mut(part));
    let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
    pool::spread(groups.len().div_ceil(part), &|| {
        for (group, digest) in std::iter::from_fn(next).flatten() {
            let bytes = read_zero_extended(target.file, *group * GROUP64, len).at("reading back", target.path)?;
            *digest = group_digest(&bytes);
        }
        Ok(())
    })?;
    Ok(digests)
}

/// Without a cache of the rest: the pages that were written, one by one.
fn prove_pages(work: &mut Work<'_>, to: &Image, pages: &PageSet) -> Result<()> {
    let mut wrong = false;
    for run in to.runs_in(pages.runs()) {
        let run = run?;
        for page in run.pages.start..run.pages.end {
            let expected = work.history.packs().page_digest(run.source.advance(page - run.pages.start))?;
            let bytes = read_zero_extended(work.target.file, page * PAGE64, to.len());
            wrong |= page_digest(&*bytes.at("reading back", work.target.path)?) != expected;
        }
    }
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
    for run in to.runs_in(pages.runs_within(span)) {
        let run = run?;
        for page in run.pages.start..run.pages.end {
            let digest = work.history.packs().page_digest(run.source.advance(page - run.pages.start))?;
            if let Ok(at) = leaves.binary_search_by_key(&(page / GROUP_PAGES), |l| l.group) {
                leaves[at].pages[(page % GROUP_PAGES) as usize] = digest;
            }
        }
    }
    Ok(leaves)
}
