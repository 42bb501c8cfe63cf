//! One row for each file: the columns, and their cells.

use std::path::Path;

use memsnap::ops::stat::{Aspect, Aspects, CacheState, Content, Extents, Format, Layout, Report, SinceLatest};
use memsnap::page::PAGE64;
use memsnap::sys::openers::FileUse;
use memsnap::sys::unseen::Unseen;

use super::super::units::Sizes;
use super::super::{escape, table};
use super::full::percent;
use super::output::Line;

const NOTHING: Aspects =
    Aspects { layout: false, cache: false, users: false, format: false, content: false, changes: false };
const LAYOUT: Aspects = Aspects { layout: true, ..NOTHING };
const CACHE: Aspects = Aspects { cache: true, ..NOTHING };
const USERS: Aspects = Aspects { users: true, ..NOTHING };
const FORMAT: Aspects = Aspects { format: true, ..NOTHING };
const CONTENT: Aspects = Aspects { content: true, ..NOTHING };
const CHANGES: Aspects = Aspects { changes: true, ..NOTHING };
/// The aspects that read no bytes of the file.
pub(super) const CHEAP: Aspects =
    Aspects { content: false, changes: false, layout: true, cache: true, users: true, format: true };

/// A column.
#[derive(Debug)]
pub(crate) struct Column {
    /// The name that `-o` takes, and the heading.
    name: &'static str,
    /// Whether it is aligned left, as numbers are not.
    is_text: bool,
    /// What has to be inspected for it.
    pub(super) aspects: Aspects,
    /// Its cell; `None`: unknown.
    cell: fn(&File<'_>) -> Option<String>,
}

const fn text(name: &'static str, aspects: Aspects, cell: fn(&File<'_>) -> Option<String>) -> Column {
    Column { name, is_text: true, aspects, cell }
}

const fn number(name: &'static str, aspects: Aspects, cell: fn(&File<'_>) -> Option<String>) -> Column {
    Column { name, is_text: false, aspects, cell }
}

static ALL: [Column; 27] = [
    text("file", NOTHING, |f| Some(escape::path(f.name))),
    number("inode", NOTHING, |f| Some(f.report.stamp.ino.to_string())),
    number("length", NOTHING, |f| f.size(f.report.stamp.len)),
    number("allocated", NOTHING, |f| f.size(f.report.stamp.blocks * 512)),
    number("data", LAYOUT, |f| f.size(f.layout()?.data)),
    number("runs", LAYOUT, |f| Some(f.layout()?.runs.to_string())),
    number("holes", LAYOUT, |f| Some(f.layout()?.holes.to_string())),
    number("extents", LAYOUT, |f| Some(f.extents()?.count.to_string())),
    number("fragments", LAYOUT, |f| Some(f.extents()?.fragments.to_string())),
    number("shared", LAYOUT, |f| f.size(f.extents()?.shared)),
    number("unwritten", LAYOUT, |f| f.size(f.extents()?.unwritten)),
    text("fs", NOTHING, |f| f.report.fs.kind.clone()),
    text("reflink", NOTHING, |f| Some(if f.report.fs.reflink? { "yes" } else { "no" }.into())),
    number("resident", CACHE, |f| f.size(seen(&f.report.cache)?.resident)),
    number("dirty", CACHE, |f| f.size(f.cached()?.dirty)),
    number("writeback", CACHE, |f| f.size(f.cached()?.writeback)),
    number("evicted", CACHE, |f| f.size(f.cached()?.evicted)),
    number("mapped", USERS, |f| f.report.mappers.as_ref().and_then(|m| counted(m.list.len(), &m.unseen))),
    number("writers", USERS, |f| f.openers(FileUse::OpenWrite)),
    number("readers", USERS, |f| f.openers(FileUse::OpenRead)),
    number("locks", NOTHING, |f| Some(f.report.locks.held().count().to_string())),
    text("kind", FORMAT, |f| Some(kind(f.report.format.as_ref()))),
    number("zero", CONTENT, |f| f.size(f.content()?.zero_pages * PAGE64)),
    number("duplicate", CONTENT, |f| f.size(f.content()?.duplicate_pages * PAGE64)),
    number("compressed", CONTENT, |f| Some(percent(f.content()?.compressed, f.content()?.sampled))),
    number("snapshots", CHANGES, |f| Some(f.changes()?.map_or(0, |found| found.snapshots).to_string())),
    number("changed", CHANGES, |f| f.changes()?.map_or(Some("-".into()), |found| f.size(found.bytes))),
];

/// The columns shown for several files: those asked for, and others as far as 80 columns allow.
pub(super) fn usual(content: bool, changes: bool) -> Vec<&'static Column> {
    let first: &[&str] = match (content, changes) {
        (false, false) => &["length", "allocated", "extents", "resident", "dirty", "mapped", "writers", "locks"],
        (true, false) => &["length", "allocated", "resident"],
        (false, true) => &["length", "allocated", "resident", "dirty"],
        (true, true) => &["length"],
    };
    let mut columns = first.iter().filter_map(|name| named(name)).collect();
    add(&mut columns, content, changes);
    columns.extend(named("file"));
    columns
}

/// Adds the columns of --content and --changes that are missing.
pub(super) fn add(columns: &mut Vec<&'static Column>, content: bool, changes: bool) {
    let content: &[&str] = if content { &["zero", "duplicate", "compressed"] } else { &[] };
    let changes: &[&str] = if changes { &["snapshots", "changed"] } else { &[] };
    for name in content.iter().chain(changes) {
        if !columns.iter().any(|column| column.name == *name) {
            columns.extend(named(name));
        }
    }
}

fn named(name: &str) -> Option<&'static Column> {
    ALL.iter().find(|column| column.name == name)
}

/// Reads `-o`.
pub(crate) fn parse(text: &str) -> Result<Vec<&'static Column>, String> {
    let one = |word: &str| {
        let word = word.trim().to_ascii_lowercase();
        let known = || ALL.each_ref().map(|column| column.name).join(", ");
        named(&word).ok_or_else(|| format!("there is no column `{word}`; the columns are {}", known()))
    };
    text.split(',').map(one).collect()
}

/// A file, of which a row is shown.
struct File<'a> {
    name: &'a Path,
    report: &'a Report,
    sizes: Sizes,
}

impl<'a> File<'a> {
    fn size(&self, bytes: u64) -> Option<String> {
        Some(self.sizes.show(bytes))
    }

    fn layout(&self) -> Option<&'a Layout> {
        seen(&self.report.layout)
    }

    fn extents(&self) -> Option<&'a Extents> {
        seen(&self.report.extents)
    }

    fn cached(&self) -> Option<&'a CacheState> {
        seen(&self.report.cache)?.state.as_ref()
    }

    fn content(&self) -> Option<&'a Content> {
        seen(&self.report.content)
    }

    fn changes(&self) -> Option<Option<&'a SinceLatest>> {
        seen(&self.report.changes).map(Option::as_ref)
    }

    fn openers(&self, how: FileUse) -> Option<String> {
        let openers = self.report.openers.as_ref()?;
        counted(openers.list.iter().filter(|opener| opener.how == how).count(), &openers.unseen)
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
fn seen<T>(aspect: &Option<Aspect<T>>) -> Option<&T> {
    aspect.as_ref()?.as_ref().ok()
}

fn kind(format: Option<&Format>) -> String {
    match format {
        None => "-",
        Some(Format::Vec { .. }) => "vector",
        Some(Format::BrokenVec(_)) => "broken vector",
        Some(Format::NewerVec(_)) => "newer vector",
        Some(Format::Delta) => "delta",
        Some(Format::Stored(what)) => what,
    }
    .into()
}

/// The cells of a file.
pub(super) fn row(name: &Path, report: &Report, columns: &[&Column], sizes: Sizes) -> Vec<String> {
    let file = File { name, report, sizes };
    columns.iter().map(|column| (column.cell)(&file).unwrap_or_else(|| "?".into())).collect()
}

/// A heading and the rows.
pub(super) fn table(columns: &[&Column], mut rows: Vec<Vec<String>>, lines: &mut Vec<Line>) {
    rows.insert(0, columns.iter().map(|column| column.name.to_ascii_uppercase()).collect());
    let mut table = table::lines(&rows, |i| !columns[i].is_text).into_iter();
    lines.extend(table.next().map(Line::Head));
    lines.extend(table.map(Line::Text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read() {
        let names = |columns: Vec<&Column>| columns.iter().map(|column| column.name).collect::<Vec<_>>();
        assert_eq!(parse("file,LENGTH, dirty").map(names), Ok(vec!["file", "length", "dirty"]));
        for column in &ALL {
            assert_eq!(parse(column.name).map(names), Ok(vec![column.name]));
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
        for Column { name, .. } in &ALL {
            assert!(named.contains(name), "{name} is not in the help");
        }
    }

    #[test]
    fn usual_columns_fit() {
        let names = |columns: &[&Column]| columns.iter().map(|column| column.name).collect::<Vec<_>>();
        assert_eq!(names(&usual(false, false)).len(), 9);
        for (content, changes) in [(false, true), (true, false), (true, true)] {
            let columns = usual(content, changes);
            let widest = |c: &Column| c.name.len().max(if c.is_text { 4 } else { "1023 KiB".len() });
            let width = columns.iter().map(|column| widest(column) + 2).sum::<usize>();
            assert!(width <= 70, "{width}: no room for names");
        }
        let mut columns = parse("file,changed").unwrap();
        add(&mut columns, true, true);
        assert_eq!(names(&columns), ["file", "changed", "zero", "duplicate", "compressed", "snapshots"]);
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
        table(&parse("length,file").unwrap(), vec![row("1.0 KiB", "a"), row("12 B", "b c")], &mut lines);
        assert_eq!(lines[0], Line::Head(" LENGTH  FILE".into()));
        assert_eq!(lines[2], Line::Text("   12 B  b c".into()));
    }
}
