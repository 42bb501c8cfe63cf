//! A part of a target: the bytes that `--range` names, and whether the target holds those of a snapshot.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use crate::error::{At, Cause, Error, Result};
use crate::ops::input::Target;
use crate::pack::Run;
use crate::page::{PAGE, PAGE64, PageRange, PageSet, page_digest};
use crate::store::Image;
use crate::sys::ext::FileExt;
use crate::sys::sparse;

/// Bytes compared at once.
const BLOCK: u64 = 1 << 20;

/// What of `range` both have: a target of `now` bytes and a snapshot of `then`.
///
/// # Errors
/// [`Error::Refused`] when that is nothing.
pub(crate) fn clip((start, end): (u64, u64), now: u64, then: u64) -> Result<Range<u64>> {
    let end = end.min(now).min(then);
    if start < end {
        return Ok(start..end);
    }
    Err(Error::refused(
        format!("the range is past the end: the file has {now} bytes, the snapshot {then}"),
        Cause::RangePastEnd,
    ))
}

/// Whether `target` holds what `image` does in these bytes, which both have.
pub(crate) fn holds(target: Target<'_>, image: &Image, bytes: &Range<u64>) -> Result<bool> {
    for run in image.runs_in([PageRange::of_bytes(bytes.start, bytes.end)]) {
        let run = run?;
        let within = bytes.start.max(run.pages.offset())..bytes.end.min(run.pages.end_offset());
        let same = match run.source.is_zeros() {
            true => is_zero(target.file, target.path, &within)?,
            false => is_stored(target, image, &run, &within)?,
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The pages of `differing` that hold bytes of `bytes` which differ: of a page that is only in part in it, the rest
/// may.
pub(crate) fn differing_in(
    target: Target<'_>,
    image: &Image,
    bytes: &Range<u64>,
    differing: &PageSet,
) -> Result<PageSet> {
    let mut found = PageSet::new();
    for run in differing.runs_within(PageRange::of_bytes(bytes.start, bytes.end)) {
        let mut run = run;
        for edge in [run.start, run.end - 1] {
            let part = bytes.start.max(edge * PAGE64)..bytes.end.min((edge + 1) * PAGE64);
            let whole = part.end - part.start == PAGE64;
            if !run.contains(edge) || whole || !holds(target, image, &part)? {
                continue;
            }
            run = if edge == run.start { PageRange { start: edge + 1, ..run } } else { PageRange { end: edge, ..run } };
        }
        found.insert_range(run);
    }
    Ok(found)
}

fn is_zero(file: &File, path: &Path, bytes: &Range<u64>) -> Result<bool> {
    let mut at = bytes.start;
    while let Some((start, stop)) = sparse::next_data(file, at, bytes.end).at("looking for holes in", path)? {
        let n = (stop - start).min(BLOCK);
        let mut found = vec![0; n as usize];
        file.read_exact_at(&mut found, start).at("reading", path)?;
        if found.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        at = start + n;
    }
    Ok(true)
}

fn is_stored(target: Target<'_>, image: &Image, run: &Run, bytes: &Range<u64>) -> Result<bool> {
    for page in bytes.start / PAGE64..bytes.end.div_ceil(PAGE64) {
        let part = bytes.start.max(page * PAGE64)..bytes.end.min((page + 1) * PAGE64);
        let (mut now, mut then) = ([0; PAGE], [0; PAGE]);
        let n = (part.end - part.start) as usize;
        target.file.read_exact_at(&mut now[..n], part.start).at("reading", target.path)?;
        let same = if n == PAGE {
            page_digest(&now) == image.packs().page_digest(run.source.advance(page - run.pages.start))?
        } else {
            image.reader().read_at(&mut then[..n], part.start)?;
            now[..n] == then[..n]
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}
