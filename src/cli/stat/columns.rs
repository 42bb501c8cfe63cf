//! One row for each file: the columns, and their cells.

use std::path::Path;

use memsnap::ops::stat::{Aspects, Cache, CacheState, Changes, Content, Extents, Format, Layout, Report, Seen};
use memsnap::page::PAGE64;
use memsnap::sys::openers::FileUse;
use memsnap::sys::unseen::Unseen;

use super::super::escape;
use super::super::units::Sizes;
use super::look::Line;
use super::show::percent;

/// The aspects that read no bytes of the file.
pub(super) const CHEAP: Aspects =
    Aspects { layout: true, cache: true, users: true, format: true, content: false, changes: false };
const NONE: Aspects =
    Aspects { layout: false, cache: false, users: false, format: false, content: false, changes: false };

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    File,
    Inode,
    Length,
    Allocated,
    Data,
    Runs,
    Holes,
    Pieces,
    Fragments,
    Shared,
    Unwritten,
    Fs,
    Reflink,
    Resident,
    Dirty,
    Writeback,
    Evicted,
    Mapped,
    Writers,
    Readers,
    Locks,
    Kind,
    Zero,
    Duplicate,
    Compressed,
    Snapshots,
    Changed,
}

use Column::*;

/// All, by the names that `-o` takes.
const ALL: [(&str, Column); 27] = [
    ("file", File),
    ("inode", Inode),
    ("length", Length),
    ("allocated", Allocated),
    ("data", Data),
    ("runs", Runs),
    ("holes", Holes),
    ("extents", Pieces),
    ("fragments", Fragments),
    ("shared", Shared),
    ("unwritten", Unwritten),
    ("fs", Fs),
    ("reflink", Reflink),
    ("resident", Resident),
    ("dirty", Dirty),
    ("writeback", Writeback),
    ("evicted", Evicted),
    ("mapped", Mapped),
    ("writers", Writers),
    ("readers", Readers),
    ("locks", Locks),
    ("kind", Kind),
    ("zero", Zero),
    ("duplicate", Duplicate),
    ("compressed", Compressed),
    ("snapshots", Snapshots),
    ("changed", Changed),
];

/// The columns shown for several files: those asked for, and others as far as 80 columns allow.
pub(super) fn usual(content: bool, changes: bool) -> Vec<Column> {
    let first: &[Column] = match (content, changes) {
        (false, false) => &[Length, Allocated, Pieces, Resident, Dirty, Mapped, Writers, Locks],
        (true, false) => &[Length, Allocated, Resident],
        (false, true) => &[Length, Allocated, Resident, Dirty],
        (true, true) => &[Length],
    };
    let mut columns = first.to_vec();
    add(&mut columns, content, changes);
    columns.push(File);
    columns
}

/// Adds the columns of --content and --changes that are missing.
pub(super) fn add(columns: &mut Vec<Column>, content: bool, changes: bool) {
    let content: &[Column] = if content { &[Zero, Duplicate, Compressed] } else { &[] };
    let changes: &[Column] = if changes { &[Snapshots, Changed] } else { &[] };
    for column in content.iter().chain(changes) {
        if !columns.contains(column) {
            columns.push(*column);
        }
    }
}

/// Reads `-o`.
pub(crate) fn parse(text: &str) -> Result<Vec<Column>, String> {
    let known = || ALL.map(|(name, _)| name).join(", ");
    let one = |word: &str| {
        let word = word.trim().to_ascii_lowercase();
        let found = ALL.iter().find(|(name, _)| *name == word).map(|(_, column)| *column);
        found.ok_or_else(|| format!("there is no column `{word}`; the columns are {}", known()))
    };
    text.split(',').map(one).collect()
}

impl Column {
    /// What has to be inspected for it.
    pub(super) fn aspects(self) -> Aspects {
        match self {
            File | Inode | Length | Allocated | Fs | Reflink | Locks => NONE,
            Data | Runs | Holes | Pieces | Fragments | Shared | Unwritten => Aspects { layout: true, ..NONE },
            Resident | Dirty | Writeback | Evicted => Aspects { cache: true, ..NONE },
            Mapped | Writers | Readers => Aspects { users: true, ..NONE },
            Kind => Aspects { format: true, ..NONE },
            Zero | Duplicate | Compressed => Aspects { content: true, ..NONE },
            Snapshots | Changed => Aspects { changes: true, ..NONE },
        }
    }

    fn is_text(self) -> bool {
        matches!(self, File | Fs | Reflink | Kind)
    }

    fn heading(self) -> String {
        ALL.iter().find(|(_, column)| *column == self).map_or_else(String::new, |(name, _)| name.to_ascii_uppercase())
    }

    fn cell(self, file: &Path, report: &Report, sizes: Sizes) -> String {
        let size = |bytes: u64| sizes.show(bytes);
        let layout = |of: fn(&Layout) -> u64| seen(&report.layout).map(of);
        let extents = |of: fn(&Extents) -> u64| seen(&report.extents).map(of);
        let state =
            |of: fn(&CacheState) -> u64| seen(&report.cache).and_then(|cache: &Cache| cache.state.as_ref()).map(of);
        let content = |of: fn(&Content) -> u64| seen(&report.content).map(of);
        let openers = |how| {
            let openers = report.openers.as_ref()?;
            counted(openers.list.iter().filter(|o| o.how == how).count(), &openers.unseen)
        };
        let changes = |of: fn(&Changes) -> u64| seen(&report.changes).map(|found| found.as_ref().map(of));
        let shown = match self {
            File => Some(escape::path(file)),
            Inode => Some(report.stamp.ino.to_string()),
            Length => Some(size(report.stamp.len)),
            Allocated => Some(size(report.stamp.blocks * 512)),
            Data => layout(|l| l.data).map(size),
            Runs => layout(|l| l.runs).map(|n| n.to_string()),
            Holes => layout(|l| l.holes).map(|n| n.to_string()),
            Pieces => extents(|e| e.count).map(|n| n.to_string()),
            Fragments => extents(|e| e.fragments).map(|n| n.to_string()),
            Shared => extents(|e| e.shared).map(size),
            Unwritten => extents(|e| e.unwritten).map(size),
            Fs => report.fs.kind.clone(),
            Reflink => report.fs.reflink.map(|can| if can { "yes" } else { "no" }.into()),
            Resident => seen(&report.cache).map(|cache| size(cache.resident)),
            Dirty => state(|s| s.dirty).map(size),
            Writeback => state(|s| s.writeback).map(size),
            Evicted => state(|s| s.evicted).map(size),
            Mapped => report.mappers.as_ref().and_then(|m| counted(m.list.len(), &m.unseen)),
            Writers => openers(FileUse::OpenWrite),
            Readers => openers(FileUse::OpenRead),
            Locks => Some(report.locks.held().count().to_string()),
            Kind => Some(kind(report.format.as_ref())),
            Zero => content(|c| c.zero_pages * PAGE64).map(size),
            Duplicate => content(|c| c.duplicate_pages * PAGE64).map(size),
            Compressed => seen(&report.content).map(|c| percent(c.compressed, c.sampled)),
            Snapshots => changes(|c| c.snapshots).map(|n| n.unwrap_or(0).to_string()),
            Changed => changes(|c| c.bytes).map(|bytes| bytes.map_or("-".into(), size)),
        };
        shown.unwrap_or_else(|| "?".into())
    }
}

/// `2`, or `2+` if there may be others; `None` if none is visible but there may be some.
fn counted(n: usize, unseen: &Unseen) -> Option<String> {
    match (n, unseen.may_use_files()) {
        (0, true) => None,
        (n, true) => Some(format!("{n}+")),
        (n, false) => Some(n.to_string()),
    }
}

/// An aspect that was inspected.
fn seen<T>(aspect: &Option<Seen<T>>) -> Option<&T> {
    aspect.as_ref()?.as_ref().ok()
}

fn kind(format: Option<&Format>) -> String {
    match format {
        None => "-",
        Some(Format::Vec { .. }) => "vector",
        Some(Format::BrokenVec(_)) => "broken vector",
        Some(Format::Delta) => "delta",
        Some(Format::Stored(what)) => what,
    }
    .into()
}

/// The cells of a file.
pub(super) fn row(file: &Path, report: &Report, columns: &[Column], sizes: Sizes) -> Vec<String> {
    columns.iter().map(|column| column.cell(file, report, sizes)).collect()
}

/// A heading and the rows, in columns as wide as their widest cell; numbers to the right.
pub(super) fn table(columns: &[Column], mut rows: Vec<Vec<String>>, lines: &mut Vec<Line>) {
    rows.insert(0, columns.iter().map(|column| column.heading()).collect());
    let width = |i: usize| rows.iter().map(|row| escape::columns(&row[i])).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    for (n, row) in rows.iter().enumerate() {
        let cell = |(i, text): (usize, &String)| escape::padded(text, widths[i], !columns[i].is_text());
        let text = row.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ").trim_end().to_owned();
        lines.push(if n == 0 { Line::Head(text) } else { Line::Text(text) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read() {
        assert_eq!(parse("file,LENGTH, dirty"), Ok(vec![File, Length, Dirty]));
        for (name, column) in ALL {
            assert_eq!(parse(name), Ok(vec![column]));
            assert_eq!(column.heading(), name.to_uppercase());
        }
        let error = parse("file,size").unwrap_err();
        assert!(error.contains("`size`") && error.contains("length, allocated"), "{error}");
        assert!(parse("").is_err());
    }

    #[test]
    fn the_help_names_every_column() {
        let help = <super::super::Args as clap::Args>::augment_args(clap::Command::new("stat"));
        let arg = help.get_arguments().find(|arg| arg.get_id() == "columns").unwrap();
        let text = arg.get_long_help().unwrap().to_string().replace(['\n', '.'], " ");
        let named: Vec<_> = text.split([' ', ',']).filter(|word| !word.is_empty()).collect();
        for (name, _) in ALL {
            assert!(named.contains(&name), "{name} is not in the help");
        }
    }

    #[test]
    fn usual_columns_fit() {
        for (content, changes) in [(false, true), (true, false), (true, true)] {
            let columns = usual(content, changes);
            let widest = |c: &Column| c.heading().len().max(if c.is_text() { 4 } else { "1023 KiB".len() });
            let width = columns.iter().map(|column| widest(column) + 2).sum::<usize>();
            assert!(width <= 70, "{width}: no room for names");
        }
        let mut columns = vec![File, Changed];
        add(&mut columns, true, true);
        assert_eq!(columns, [File, Changed, Zero, Duplicate, Compressed, Snapshots]);
    }

    #[test]
    fn counts_of_what_was_seen() {
        let some = Unseen { hidden: true, ..Unseen::default() };
        assert_eq!((counted(0, &some), counted(2, &some)), (None, Some("2+".into())));
        assert_eq!(counted(0, &Unseen::default()), Some("0".into()));
    }

    #[test]
    fn columns_line_up() {
        let mut lines = Vec::new();
        let row = |length: &str, file: &str| vec![length.to_owned(), file.to_owned()];
        table(&[Length, File], vec![row("1.0 KiB", "a"), row("12 B", "b c")], &mut lines);
        assert_eq!(lines[0], Line::Head(" LENGTH  FILE".into()));
        assert_eq!(lines[2], Line::Text("   12 B  b c".into()));
        let mut lines = Vec::new();
        let row = |file: &str, length: &str| vec![file.to_owned(), length.to_owned()];
        table(&[File, Length], vec![row("\u{6f22}\u{5b57}", "1 B"), row("e\u{301}x", "22 B")], &mut lines);
        let text = |at: usize| match &lines[at] {
            Line::Head(text) | Line::Text(text) | Line::Own(text) => text.clone(),
        };
        assert_eq!([0, 1, 2].map(text), ["FILE  LENGTH", "\u{6f22}\u{5b57}     1 B", "e\u{301}x      22 B"]);
    }
}
