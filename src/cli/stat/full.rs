//! One file in full: labels and values, within the width of the screen.

use std::collections::BTreeSet;
use std::path::Path;

use memsnap::ops::stat::{Aspect, Cache, Content, Extents, Format, Fs, Layout, Report, SinceLatest, Unseen};
use memsnap::page::PAGE64;
use memsnap::sys::extents::Extent;
use memsnap::sys::id::now_ns;
use memsnap::sys::openers::{FileUse, Opener};

use super::super::screen::Screen;
use super::super::units::{Sizes, ago, count};
use super::super::{escape, hints};
use super::locks;
use super::output::Line;

/// Columns that labels take.
const LABELS: usize = 12;
/// Entries of a list that are shown without -v.
const FEW: usize = 4;

struct Sheet<'a> {
    lines: &'a mut Vec<Line>,
    width: usize,
    sizes: Sizes,
    /// Whether lists are shown in full.
    all: bool,
    /// Whether the file could not be opened.
    closed: bool,
}

/// Everything found for a file; without `full`, only its name.
pub(super) fn block(file: &Path, report: &Report, full: bool, all: bool, screen: &Screen, lines: &mut Vec<Line>) {
    lines.push(Line::Head(escape::path(file)));
    if !full {
        return;
    }
    let mut sheet = Sheet { lines, width: screen.columns(), sizes: screen.sizes, all, closed: report.closed.is_some() };
    if report.is_link {
        sheet.put("leads to", &escape::path(&report.path));
    }
    sheet.length(report);
    sheet.aspect("data", &report.layout, Sheet::layout);
    sheet.aspect("extents", &report.extents, Sheet::extents);
    sheet.fs(&report.fs);
    sheet.aspect("cached", &report.cache, |sheet, cache| sheet.cache(cache, report.stamp.len));
    sheet.users(report);
    sheet.locks(report);
    if let Some(unfinished) = &report.unfinished {
        sheet.put("unfinished", &escape::text(&hints::joined(unfinished)));
    }
    if let Some(format) = &report.format {
        sheet.format(format);
    }
    sheet.aspect("content", &report.content, Sheet::content);
    sheet.aspect("changed", &report.changes, |sheet, found| sheet.changes(found.as_ref()));
    sheet.unseen(report);
}

impl Sheet<'_> {
    fn size(&self, bytes: u64) -> String {
        self.sizes.show(bytes)
    }

    /// Adds a label and text, wrapped between words.
    fn put(&mut self, label: &str, text: &str) {
        let width = self.width.saturating_sub(LABELS + 2).max(20);
        let mut label = label;
        let mut line = String::new();
        let mut flush = |line: &mut String| {
            self.lines.push(Line::Text(format!("  {label:<LABELS$}{line}").trim_end().to_owned()));
            label = "";
            line.clear();
        };
        for word in text.split(' ') {
            if !line.is_empty() && escape::columns(&line) + 1 + escape::columns(word) > width {
                flush(&mut line);
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line += word;
        }
        flush(&mut line);
    }

    /// Adds a list, of which only the first entries are shown.
    fn list(&mut self, label: &str, entries: impl ExactSizeIterator<Item = String>, more: u64) {
        let n = entries.len();
        let shown = if self.all || n <= FEW + 1 && more == 0 { n } else { FEW };
        for (i, entry) in entries.take(shown).enumerate() {
            self.put(if i == 0 { label } else { "" }, &entry);
        }
        let rest = (n - shown) as u64 + more;
        if rest > 0 {
            self.put("", &format!("and {rest} more{}", if self.all { "" } else { " (-v lists them)" }));
        }
    }

    fn aspect<T>(&mut self, label: &str, aspect: &Option<Aspect<T>>, show: impl FnOnce(&mut Self, &T)) {
        match aspect {
            None => {}
            Some(Ok(found)) => show(self, found),
            Some(Err(Unseen::Hidden(_))) if self.closed => {} // said once, below
            Some(Err(Unseen::Hidden(why))) => self.put(label, &format!("unknown: {why}")),
            Some(Err(Unseen::Failed(_))) => self.put(label, "unknown: see the error below"),
        }
    }

    fn length(&mut self, report: &Report) {
        let len = report.stamp.len;
        let exact = if self.sizes.exact || len < 1024 { String::new() } else { format!(" ({len} bytes)") };
        self.put("length", &format!("{}{exact}", self.size(len)));
        self.put("allocated", &self.size(report.stamp.blocks * 512));
    }

    fn layout(&mut self, layout: &Layout) {
        let holes = match layout.holes {
            0 => "no holes".into(),
            n => format!("{} ({})", count(n, "hole"), self.size(layout.hole_bytes)),
        };
        let text = format!("{} in {}, {holes}", self.size(layout.data), count(layout.runs, "run"));
        self.put("data", &text);
    }

    fn extents(&mut self, extents: &Extents) {
        let mut parts = vec![match (extents.count, extents.fragments) {
            (0, _) => "none".into(),
            (n, pieces) => format!("{n} in {}", count(pieces, "fragment")),
        }];
        let sums = [
            (extents.shared, "shared with other files"),
            (extents.unwritten, "unwritten"),
            (extents.unplaced, "not allocated yet"),
            (extents.encoded, "compressed or encrypted"),
            (extents.inline, "inline"),
        ];
        parts.extend(sums.iter().filter(|(sum, _)| *sum > 0).map(|(sum, what)| format!("{} {what}", self.size(*sum))));
        self.put("extents", &parts.join(", "));
        self.list("", extents.list.iter().map(place), extents.count - extents.list.len() as u64);
    }

    fn fs(&mut self, fs: &Fs) {
        let kind = fs.kind.as_deref().unwrap_or("unknown file system");
        let mount = fs.mount.as_ref().map_or(String::new(), |point| format!(" at {}", escape::path(point)));
        let only = if fs.read_only { ", read-only" } else { "" };
        let reflink = match fs.reflink {
            Some(true) => "can share blocks (reflinks)",
            Some(false) => "cannot share blocks (no reflinks)",
            None => "sharing of blocks unknown",
        };
        self.put("on", &format!("{kind}{mount}{only}, {reflink}"));
    }

    fn cache(&mut self, cache: &Cache, len: u64) {
        let mut text = format!("{} ({})", self.size(cache.resident), percent(cache.resident.min(len), len));
        match &cache.state {
            None => text += "; this system does not report dirty pages",
            Some(state) => {
                text += &format!(", {} dirty", self.size(state.dirty));
                let sums = [
                    (state.writeback, "under writeback"),
                    (state.evicted, "evicted"),
                    (state.recently_evicted, "of it recently"),
                ];
                for (sum, what) in sums.iter().filter(|(sum, _)| *sum > 0) {
                    text += &format!(", {} {what}", self.size(*sum));
                }
            }
        }
        self.put("cached", &text);
    }

    fn users(&mut self, report: &Report) {
        if let Some(mappers) = &report.mappers {
            let ranges = mappers.list.iter().flat_map(|mapper| {
                let who = format!("{} {}", mapper.pid, escape::text(&mapper.command));
                mapper.ranges.iter().map(move |r| format!("{who}: {:#x}..{:#x} {}", r.start, r.end, r.describe()))
            });
            self.some("mapped by", "mapped", ranges.collect(), !mappers.unseen.is_empty());
        }
        if let Some(openers) = &report.openers {
            let open = |how, what: &str| {
                let these = openers.list.iter().filter(move |opener| opener.how == how);
                let name = |o: &Opener| match o.pid {
                    0 => escape::text(&o.command),
                    pid => format!("{pid} {}", escape::text(&o.command)),
                };
                these.map(|o| name(o) + what).collect::<Vec<_>>()
            };
            let all = [open(FileUse::OpenWrite, " for writing"), open(FileUse::OpenRead, " for reading")].concat();
            self.some("open in", "open", all, !openers.unseen.is_empty());
        }
    }

    fn some(&mut self, label: &str, none: &str, list: Vec<String>, unseen: bool) {
        if list.is_empty() {
            self.put(none, if unseen { "by no visible process" } else { "by no process" });
        }
        self.list(label, list.into_iter(), 0);
    }

    fn locks(&mut self, report: &Report) {
        let (waiting, held): (Vec<_>, Vec<_>) = report.locks.locks.iter().partition(|lock| lock.waiting);
        let list = held.into_iter().chain(waiting).map(locks::describe).collect();
        self.some("locked", "locked", list, !report.locks.complete);
    }

    fn format(&mut self, format: &Format) {
        match format {
            Format::Vec { kind, len } => {
                self.put("holds", &format!("a persistent vector: {} of {}", count(*len, "element"), kind.describe()));
            }
            Format::NewerVec(what) => self.put("holds", &format!("a persistent vector of a newer memsnap: {what}")),
            Format::BrokenVec(what) => self.put("holds", &format!("a persistent vector that cannot be used: {what}")),
            Format::Delta => self.put("holds", "a delta; `memsnap delta stat` describes it"),
            Format::Stored(what) => self.put("holds", &format!("a {what} of a store")),
        }
    }

    fn content(&mut self, content: &Content) {
        let pages = |n: u64| format!("{} ({})", count(n, "page"), self.size(n * PAGE64));
        let holes = match content.hole_pages {
            0 => String::new(),
            n => format!(", and {} in holes", pages(n)),
        };
        let zeros = format!("{}{holes}", pages(content.zero_pages));
        let about = if content.exact { "" } else { "about " };
        let duplicates = format!("{about}{}", pages(content.duplicate_pages));
        let all = (content.pages - content.hole_pages - content.zero_pages) * PAGE64;
        let of = match content.sampled {
            n if n >= all => String::new(),
            n => format!(", by a sample of {}", self.size(n)),
        };
        let shrinks = match content.sampled {
            0 => "nothing to compress".into(),
            n => format!("to {} by zstd at level 1{of}", percent(content.compressed, n)),
        };
        self.put("zeros", &zeros);
        self.put("duplicates", &duplicates);
        self.put("compresses", &shrinks);
    }

    fn changes(&mut self, found: Option<&SinceLatest>) {
        let Some(found) = found else { return self.put("changed", "no snapshots") };
        let latest = &found.latest;
        let what = match found.pages {
            0 => "nothing".into(),
            n => format!("{} in {} ({})", count(n, "page"), count(found.ranges, "range"), self.size(found.bytes)),
        };
        let when = ago(now_ns(), latest.time_ns);
        let text = format!("{what} since @{} ({when}), {}", latest.number, count(found.snapshots, "snapshot"));
        self.put("changed", &text);
    }

    fn unseen(&mut self, report: &Report) {
        if let Some(why) = &report.closed {
            self.put("unknown", &format!("holes, extents, page cache and content: {}", escape::text(why)));
        }
        if let Some(unseen) = users_unseen(report) {
            self.put("unknown", &unseen);
        }
        if !report.locks.complete {
            self.put("unknown", "possibly other locks, or other holders");
        }
    }
}

/// The processes that could not be inspected, in words; `None`: there are none, or they were not asked for.
pub(super) fn users_unseen(report: &Report) -> Option<String> {
    let mappers = report.mappers.iter().map(|mappers| &mappers.unseen);
    let all: Vec<_> = mappers.chain(report.openers.iter().map(|openers| &openers.unseen)).collect();
    let pids: BTreeSet<_> = all.iter().flat_map(|unseen| &unseen.pids).collect();
    let parts = [
        (!pids.is_empty()).then(|| format!("{} that could not be inspected", processes(pids.len()))),
        all.iter().any(|unseen| unseen.hidden).then(|| "processes that /proc does not show".into()),
        all.iter().any(|unseen| unseen.outside).then(|| "processes outside this container".into()),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn processes(n: usize) -> String {
    if n == 1 { "1 process".into() } else { format!("{n} processes") }
}

/// `0x0..0x1000 at 0x7000, shared`.
fn place(extent: &Extent) -> String {
    let end = extent.logical.saturating_add(extent.len);
    let at = match extent.is_unplaced() || extent.is_inline() {
        true => String::new(),
        false => format!(" at {:#x}", extent.physical),
    };
    let marks = [
        (extent.is_shared(), ", shared"),
        (extent.is_unwritten(), ", unwritten"),
        (extent.is_unplaced(), ", not allocated yet"),
        (extent.is_encoded(), ", encoded"),
        (extent.is_inline(), ", inline"),
    ];
    let marks: String = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect();
    format!("{:#x}..{end:#x}{at}{marks}", extent.logical)
}

/// `48 %`; never 0 % of something, nor 100 % of less than all.
pub(super) fn percent(part: u64, whole: u64) -> String {
    let rounded = (u128::from(part) * 100 + u128::from(whole) / 2).checked_div(whole.into());
    match rounded {
        None => "-".into(),
        Some(0) if part > 0 => "<1 %".into(),
        Some(100) if part < whole => ">99 %".into(),
        Some(n) => format!("{n} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents() {
        assert_eq!((percent(0, 0), percent(0, 9), percent(1, 1000)), ("-".into(), "0 %".into(), "<1 %".into()));
        assert_eq!((percent(999, 1000), percent(1, 2), percent(7, 7)), (">99 %".into(), "50 %".into(), "100 %".into()));
        assert_eq!(percent(u64::MAX, u64::MAX), "100 %");
    }

    #[test]
    fn lines_are_broken_between_words() {
        let mut lines = Vec::new();
        let mut sheet =
            Sheet { lines: &mut lines, width: 40, sizes: Sizes { exact: false }, all: false, closed: false };
        sheet.put("label", "one two three four five six seven");
        sheet.list("list", (0..9).map(|n| n.to_string()), 3);
        let Line::Text(first) = &lines[0] else { panic!() };
        assert_eq!(first, "  label       one two three four five");
        assert!(lines.iter().all(|line| matches!(line, Line::Text(text) if text.len() <= 40)), "{lines:?}");
        assert_eq!(lines.last(), Some(&Line::Text("              and 8 more (-v lists them)".into())));
    }
}
