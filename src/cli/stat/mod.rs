//! `memsnap stat`.

mod columns;
mod full;
mod json;
mod locks;
mod map;
mod output;
mod watch;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::ValueHint;
use memsnap::Error;
use memsnap::ops::stat::{self, Aspects, Options, Report, Subject, Unseen};

use super::common_flags::{Global, ReadingFlags};
use super::exit::Exit;
use super::operands::without_ref;
use super::screen::Screen;
use super::{escape, help, units};
use columns::Column;
use output::{Inspection, Line};

/// Show holes, extents, page cache, processes and locks of a file
///
/// Shows one file in full, several in one row each. Writes nothing, and breaks
/// no lease. Also reports what could not be inspected: without privilege, the
/// processes of other users, and the page cache of files that you may not
/// write to. In a table, 2+ means two, and possibly more; ? means unknown.
/// Process 1 and processes outside this container do not count as unknown
/// there.
///
///   cached   the kernel counts whole folios: a byte written to a file that
///            was read in large pieces may show as 2 MiB dirty
///   evicted  not in memory any more, as far as the kernel remembers
///   mapped   processes, with the mapped part; private maps never change the
///            file
///   locked   flock, fcntl locks of processes (posix) and of open files
///            (ofd), and leases: first the processes that hold a lock now,
///            even if another one took it, then those that wait. The column
///            counts the locks that are held.
///
/// --content and --changes read the whole file, except for holes, and leave
/// the page cache as it was; so does --map if there is a snapshot.
///
/// Examples:
///
///   memsnap stat db.bin
///   memsnap stat --map --watch db.bin          watch a program write
///   memsnap stat -o file,length,dirty,locks *.bin
///   memsnap lock -n db.bin start               only if it is not locked
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = help::STAT_EXIT)]
pub(crate) struct Args {
    /// The files
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    files: Vec<PathBuf>,
    /// Show these columns, one row for each file
    ///
    /// A list, separated by commas, of: file, inode, length, allocated, data,
    /// runs, holes, extents, fragments, shared, unwritten, fs, reflink,
    /// resident, dirty, writeback, evicted, mapped, writers, readers, locks,
    /// kind, zero, duplicate, compressed, snapshots, changed. Those after
    /// kind read the whole file. ? means unknown. May be repeated to add
    /// columns; --content and --changes add theirs.
    #[arg(short = 'o', long, value_name = "COLS", value_parser = columns::parse, verbatim_doc_comment)]
    #[arg(conflicts_with_all = ["map", "locks"])]
    columns: Vec<Columns>,
    /// Draw a map of the file
    ///
    /// A cell stands for a part of the file, and shows the first of these
    /// that it has: pages that changed since the latest snapshot (#), dirty
    /// pages (*), pages in memory (=), other data (-), holes (.).
    #[arg(long, verbatim_doc_comment)]
    map: bool,
    /// Show only locks, also of directories; exit with 1 if none is held
    #[arg(long, conflicts_with_all = ["map", "content", "changes"])]
    locks: bool,
    /// Count zero pages and duplicate pages, and measure compression
    #[arg(long)]
    content: bool,
    /// Count the pages that changed since the latest snapshot
    #[arg(long)]
    changes: bool,
    /// Repeat every second, or every SECS seconds, until Ctrl-C
    #[arg(long, value_name = "SECS", num_args = 0..=1, require_equals = true, default_missing_value = "1")]
    #[arg(value_parser = watch::every)]
    watch: Option<Duration>,
    #[command(flatten)]
    reading: ReadingFlags,
}

/// A type name of its own: clap would treat a plain `Vec` as many values.
type Columns = Vec<&'static Column>;

impl Args {
    pub(crate) fn run(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Exit> {
        if screen.is_json() && !self.columns.is_empty() {
            return Err(Error::refused("-o selects columns of a table, and JSON has all fields", "leave out -o").into());
        }
        match self.watch {
            Some(every) => watch::watch(every, screen, |screen| self.inspect(global, screen)),
            None => {
                let inspection = self.inspect(global, screen)?;
                inspection.show(screen)?;
                let verdict = if self.locks && !inspection.locked { Exit::Differs } else { Exit::Done };
                Ok(inspection.errors.iter().fold(verdict, |exit, e| exit.max(screen.fail(e))))
            }
        }
    }

    fn inspect(&self, global: &Global, screen: &Screen) -> anyhow::Result<Inspection> {
        let mut inspection = Inspection::default();
        let columns = self.columns();
        let columns = columns.as_deref();
        for file in &self.files {
            let doing = || format!("inspecting {}", escape::path(file));
            if self.locks {
                match self.found(file, stat::locks_of(file)).with_context(doing) {
                    Err(e) => inspection.errors.push(e),
                    Ok(found) => locks::show(file, &found, self.files.len() > 1, global, screen, &mut inspection)?,
                }
            } else {
                match self
                    .found(file, Subject::find(file))
                    .map_err(|e| without_ref(e, file, "stat"))
                    .with_context(doing)
                {
                    Err(e) => inspection.errors.push(e),
                    Ok(subject) => self.one(file, subject, columns, global, screen, &mut inspection)?,
                }
            }
        }
        if let Some(columns) = columns.filter(|_| !inspection.rows.is_empty()) {
            columns::table(columns, std::mem::take(&mut inspection.rows), &mut inspection.lines);
        }
        Ok(inspection)
    }

    /// The columns, if the output is a table.
    fn columns(&self) -> Option<Vec<&'static Column>> {
        if self.columns.is_empty() {
            return (self.files.len() > 1 && !self.map).then(|| columns::usual(self.content, self.changes));
        }
        let mut columns = self.columns.concat();
        columns::add(&mut columns, self.content, self.changes);
        Some(columns)
    }

    /// Explains a missing file whose name is a number: probably the seconds of `--watch`.
    fn found<T>(&self, file: &Path, found: memsnap::Result<T>) -> memsnap::Result<T> {
        found.map_err(|e| match file.to_str().filter(|_| self.watch.is_some() && !file.exists()) {
            Some(text) if units::seconds(text).is_ok() => {
                Error::refused(format!("there is no file {text}"), format!("to set the seconds, use --watch={text}"))
            }
            _ => e,
        })
    }

    fn one(
        &self,
        file: &Path,
        subject: Subject,
        columns: Option<&[&Column]>,
        global: &Global,
        screen: &Screen,
        inspection: &mut Inspection,
    ) -> anyhow::Result<()> {
        let map = self.map.then(|| map::cell_map(subject.len(), screen));
        let cells = map.iter().flat_map(|map| map.spans()).collect();
        let options = Options::default()
            .store(global.store.clone())
            .reading(self.reading.reading(false))
            .aspects(self.aspects(columns, screen.is_json()))
            .cells(cells);
        let bar = screen.bar();
        let report = subject.look(&options, &bar);
        drop(bar);
        inspection.seen += 1;
        if screen.is_json() {
            inspection.json.push(super::json::line(&json::of(file, &report))?);
        } else if let Some(columns) = columns {
            inspection.rows.push(columns::row(file, &report, columns, screen.sizes));
        } else {
            let gap = (!inspection.lines.is_empty()).then(|| Line::Text(String::new()));
            inspection.lines.extend(gap);
            let full = self.files.len() == 1;
            full::block(file, &report, full, global.verbose, screen, &mut inspection.lines);
            map.iter().for_each(|map| map::draw(map, &report, screen, &mut inspection.lines));
        }
        inspection.errors.extend(failures(file, report));
        Ok(())
    }

    /// What has to be inspected for what is shown; `all`: at least what reads nothing.
    fn aspects(&self, columns: Option<&[&Column]>, all: bool) -> Aspects {
        let of_columns = |aspect: fn(&Aspects) -> bool| {
            let is_shown = columns.is_some_and(|columns| columns.iter().any(|column| aspect(&column.aspects)));
            is_shown || (all || columns.is_none()) && aspect(&columns::CHEAP)
        };
        Aspects {
            layout: of_columns(|a| a.layout),
            cache: of_columns(|a| a.cache),
            users: of_columns(|a| a.users),
            format: of_columns(|a| a.format),
            content: self.content || of_columns(|a| a.content),
            changes: self.changes || self.map || of_columns(|a| a.changes),
        }
    }
}

/// Errors of single aspects.
fn failures(file: &Path, report: Report) -> Vec<anyhow::Error> {
    let aspects = [
        report.layout.and_then(Result::err),
        report.extents.and_then(Result::err),
        report.cache.and_then(Result::err),
        report.content.and_then(Result::err),
        report.changes.and_then(Result::err),
    ];
    let failed = |unseen| match unseen {
        Unseen::Failed(e) => Some(anyhow::Error::new(e).context(format!("inspecting {}", escape::path(file)))),
        Unseen::Hidden(_) => None,
    };
    aspects.into_iter().flatten().filter_map(failed).collect()
}
