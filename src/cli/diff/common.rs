//! What a form of output found, and what the forms share.

use std::ops::Range;

use memsnap::ops::diff::Report;
use memsnap::page::{PAGE64, PageRange};
use serde::Serialize;

use super::super::screen::Screen;
use super::super::units::range_text;

/// What was counted in another unit than pages.
#[derive(Clone, Copy, Serialize)]
pub(super) struct JsonChanges {
    pub(super) unit: &'static str,
    pub(super) count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ranges: Option<u64>,
    /// Lines shown; the next field: lines left out.
    pub(super) shown: u64,
    pub(super) more: u64,
}

/// What a form of output found in what differs.
pub(super) struct Counted {
    /// For the summary: `5 bytes in 2 rows`; `None`: pages.
    pub(super) what: Option<String>,
    pub(super) json: Option<JsonChanges>,
    /// Bytes that differ, if they were counted.
    pub(super) bytes: Option<u64>,
    /// Whether the sides count as the same.
    pub(super) same: bool,
}

impl Counted {
    /// Pages, which the report counts.
    pub(super) fn pages(report: &Report) -> Counted {
        Counted { what: None, json: None, bytes: None, same: report.same }
    }
}

/// Joins ranges that follow each other.
#[derive(Default)]
pub(super) struct Run(Option<Range<u64>>);

impl Run {
    /// Adds a range. Returns the previous ones if they have ended.
    pub(super) fn add(&mut self, more: Range<u64>) -> Option<Range<u64>> {
        match &mut self.0 {
            Some(open) if open.end == more.start => {
                open.end = more.end;
                None
            }
            open => open.replace(more),
        }
    }

    /// Returns what may have continued.
    pub(super) fn end(&mut self) -> Option<Range<u64>> {
        self.0.take()
    }
}

/// The rows of two sides; past the end of one, its rows are short or empty.
pub(super) fn rows_of<'a>(a: &'a [u8], b: &'a [u8], width: usize) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    let row = move |all: &'a [u8], i: usize| &all[i.min(all.len())..(i + width).min(all.len())];
    (0..a.len().max(b.len())).step_by(width).map(move |i| (row(a, i), row(b, i)))
}

/// The side that alone has bytes past the end of the other.
pub(super) fn longer(report: &Report) -> &str {
    if report.a.len > report.b.len { &report.a.name } else { &report.b.name }
}

/// The columns of a range, its pages and its bytes, wide enough for a range that ends with page `last`.
pub(crate) fn columns(range: &PageRange, last: u64) -> (String, String) {
    let pages = range_text(range.start, range.end);
    let bytes = format!("{:#x}..{:#x}", range.offset(), range.end_offset());
    let widest = (2 * last.to_string().len() + 2, 2 * format!("{:#x}", last.saturating_mul(PAGE64)).len() + 2);
    let (wide, wider) = (widest.0.max(18), widest.1.max(26));
    (format!("{pages:<wide$}"), format!("{bytes:<wider$}"))
}

/// Counts bytes that differ; those that only one side has count.
pub(super) fn differing(a: &[u8], b: &[u8]) -> u64 {
    (0..a.len().max(b.len())).filter(|i| a.get(*i) != b.get(*i)).count() as u64
}

/// Fails when the reader of stdout is gone, to end the work.
pub(super) fn while_read(screen: &Screen) -> anyhow::Result<()> {
    if screen.closed() { Err(anyhow::anyhow!("the reader of stdout is gone")) } else { Ok(()) }
}
