//! The pages in which two sides differ within a range of bytes: nothing outside of it is read or compared.

use std::ops::Range;

use crate::capture::Rate;
use crate::error::Result;
use crate::ops::input::image::{LiveFile, OpenImage, refuse_unfinished_to_read};
use crate::ops::view::next_data;
use crate::ops::{Progress, Reading};
use crate::page::{PAGE, PAGE64, PageRange, PageSet, is_zero};

/// Bytes of each side read at once: whole pages.
const BLOCK: u64 = 256 << 10;

/// The pages that hold bytes of `span` in which the sides differ; what lies past the end of one counts as zeros.
pub(crate) fn compare_within(
    (a, b): (&OpenImage, &OpenImage),
    span: &Range<u64>,
    reading: &Reading,
    progress: &dyn Progress,
) -> Result<PageSet> {
    let span = span.start..span.end.min(a.len().max(b.len()));
    if span.is_empty() {
        return Ok(PageSet::new());
    }
    match (a, b) {
        (OpenImage::Stored(x), OpenImage::Stored(y)) => {
            let found = x.image.changed(&y.image, PageRange::of_bytes(span.start, span.end))?;
            // Of the first and the last page only a part may be meant.
            let inner = PageRange { start: span.start.div_ceil(PAGE64), end: span.end / PAGE64 };
            let mut set = PageSet::new();
            for page in found.pages() {
                let part = span.start.max(page * PAGE64)..span.end.min((page + 1) * PAGE64);
                if inner.contains(page) || bytes(a, &part)? != bytes(b, &part)? {
                    set.insert(page);
                }
            }
            Ok(set)
        }
        (OpenImage::Stored(stored), OpenImage::Live(live)) | (OpenImage::Live(live), OpenImage::Stored(stored)) => {
            if live.path == stored.history.target() {
                refuse_unfinished_to_read(&stored.history)?;
            }
            by_bytes((a, b), span, reading, progress)
        }
        (OpenImage::Live(_), OpenImage::Live(_)) => by_bytes((a, b), span, reading, progress),
    }
}

fn by_bytes(
    (a, b): (&OpenImage, &OpenImage),
    span: Range<u64>,
    reading: &Reading,
    progress: &dyn Progress,
) -> Result<PageSet> {
    let mut rate = reading.limit_rate.map(Rate::new);
    let (mut set, mut at) = (PageSet::new(), span.start);
    progress.begin("comparing", span.end - span.start);
    while at < span.end {
        let part = at..span.end.min((at / BLOCK + 1) * BLOCK);
        if let Some(rate) = &mut rate {
            rate.spend(part.end - part.start);
        }
        let (x, y) = (bytes(a, &part)?, bytes(b, &part)?);
        for (page, cut) in cuts(&part) {
            if x[cut.clone()] != y[cut] {
                set.insert(page);
            }
        }
        let mut next = part.end;
        if is_zero(&x) && is_zero(&y) && next < span.end {
            // There may be holes of any length.
            let left = next..span.end;
            next = data_from(a, &left)?.min(data_from(b, &left)?);
        }
        progress.advance(next - at);
        at = next;
    }
    progress.end();
    Ok(set)
}

/// The bytes of `span`; zeros past the end.
fn bytes(side: &OpenImage, span: &Range<u64>) -> Result<Vec<u8>> {
    let mut all = vec![0; (span.end - span.start) as usize];
    let there = span.end.min(side.len()).saturating_sub(span.start) as usize;
    side.read(&mut all[..there], span.start)?;
    Ok(all)
}

/// The pages that `span` touches, and where in it they are.
fn cuts(span: &Range<u64>) -> impl Iterator<Item = (u64, Range<usize>)> + use<> {
    let (start, end) = (span.start, span.end);
    let within = move |at: u64| (at.clamp(start, end) - start) as usize;
    let pages = PageRange::of_bytes(start, end);
    (pages.start..pages.end).map(move |page| (page, within(page * PAGE64)..within(page * PAGE64 + PAGE as u64)))
}

/// The first byte of `span` that may be anything but zero; its end if there is none.
fn data_from(side: &OpenImage, span: &Range<u64>) -> Result<u64> {
    match side {
        OpenImage::Live(live) => live_data_from(live, span),
        OpenImage::Stored(stored) => Ok(span.start + stored.image.reader().zeros_in(span.clone())?),
    }
}

fn live_data_from(live: &LiveFile, span: &Range<u64>) -> Result<u64> {
    let end = span.end.min(live.len);
    if span.start >= end {
        return Ok(span.end);
    }
    let (start, stop) = next_data(live, span.start..end)?;
    Ok(if start == stop { span.end } else { start })
}
