//! Step 4: proves that both images can be read. A damaged page must stop a change before it begins.

use std::sync::{Mutex, PoisonError};

use super::hold::Work;
use crate::error::{Error, Result};
use crate::ops::save::heal::heal;
use crate::ops::{Note, Progress};
use crate::pack::Source;
use crate::page::{PAGE, PAGE64, PageRange, PageSet};
use crate::store::Image;
use crate::sys::pool;

/// Reads, before anything is written, every page that will be: those of `to`, or the target would stay half changed;
/// and those of `from` that they replace, or the change could not be undone. Damaged ones of `from` are stored again:
/// the target still holds them. `None`: there is no file, or is to be none.
///
/// # Errors
/// [`Error::Damaged`] when a page of either cannot be read.
pub(crate) fn prove_both(
    work: &mut Work<'_>,
    from: Option<&Image>,
    to: Option<&Image>,
    pages: &PageSet,
    progress: &dyn Progress,
) -> Result<()> {
    let back = match (from, to) {
        (Some(from), Some(to)) => to.changed(from, PageRange::of_len(from.len()))?,
        (Some(from), None) => all_pages(from)?,
        (None, _) => PageSet::new(),
    };
    progress.begin("checking", (pages.len() + back.len()) * PAGE64);
    let prove = |image: Option<&Image>, pages| image.map_or(Ok(Vec::new()), |i| prove_pages_of(i, pages, progress));
    let both = prove(to, pages).and_then(|bad| Ok((bad, prove(from, &back)?)));
    progress.end();
    let (forward, back) = both?;
    if let Some((_, error)) = forward.into_iter().next() {
        return Err(error);
    }
    let numbers: Vec<u32> = back.iter().map(|(pack, _)| *pack).collect();
    let healed = heal(work.history, work.writing, &numbers, work.target.file)?;
    match back.into_iter().next() {
        Some((_, error)) if healed.broken || !healed.lost.is_empty() => Err(error),
        Some(_) => {
            let number = from.map_or(0, |from| from.name.number);
            let what = format!("{} damaged pages of @{number} were stored again", healed.pages);
            work.notes.push(Note::warning(format!("{what}: is the disk sound?")));
            Ok(())
        }
        None => Ok(()),
    }
}

/// The pages of `image` that are no holes.
pub(crate) fn all_pages(image: &Image) -> Result<PageSet> {
    let mut pages = PageSet::new();
    for run in image.runs_in([PageRange::of_len(image.len())]) {
        let run = run?;
        if run.source != Source::Hole {
            pages.insert_range(run.pages);
        }
    }
    Ok(pages)
}

/// Reads every page of `pages` that `image` stores, before the target is changed.
///
/// # Errors
/// [`Error::Damaged`] when one cannot be read.
pub(crate) fn prove_one(image: &Image, pages: &PageSet, progress: &dyn Progress) -> Result<()> {
    progress.begin("checking", pages.len() * PAGE64);
    let bad = prove_pages_of(image, pages, progress);
    progress.end();
    bad?.into_iter().next().map_or(Ok(()), |(_, error)| Err(error))
}

/// The packs of `image` in which pages of `pages` are damaged, with the first error of each; read on every core.
fn prove_pages_of(image: &Image, pages: &PageSet, progress: &dyn Progress) -> Result<Vec<(u32, Error)>> {
    let spans = spans(pages, pool::workers());
    let threads = spans.len();
    let (spans, found) = (Mutex::new(spans.into_iter()), Mutex::new(Vec::new()));
    let next = || spans.lock().unwrap_or_else(PoisonError::into_inner).next();
    pool::spread(threads, &|| {
        while let Some(span) = next() {
            let bad = prove_span(image, pages.runs_within(span), progress)?;
            found.lock().unwrap_or_else(PoisonError::into_inner).push((span.start, bad));
        }
        Ok(())
    })?;
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_unstable_by_key(|(start, _)| *start);
    let mut bad: Vec<(u32, Error)> = Vec::new();
    for (pack, error) in found.into_iter().flat_map(|(_, bad)| bad) {
        if bad.iter().all(|(p, _)| *p != pack) {
            bad.push((pack, error));
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
    for run in image.runs_in(wanted) {
        let run = run?;
        let Source::Pack(pack, first) = run.source else { continue };
        for page in first..first + run.pages.len() {
            match reader.read(pack, page, &mut [0; PAGE]) {
                Err(e @ Error::Damaged { .. }) if bad.iter().all(|(p, _)| *p != pack) => bad.push((pack, e)),
                Err(Error::Damaged { .. }) | Ok(_) => {}
                Err(e) => return Err(e),
            }
        }
        progress.advance(run.pages.len() * PAGE64);
    }
    Ok(bad)
}
