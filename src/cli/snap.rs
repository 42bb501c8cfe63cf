//! `memsnap snap`.

mod report;
mod set;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueHint;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use memsnap::ops::snap::{Options, Report, snap};
use memsnap::ops::stat::Format;
use memsnap::pack::Grade;
use memsnap::program::signal::MessageOnSignal;
use memsnap::store::check_tag;

use report::{below, below_set, json, read, summary};
use set::{SetFlags, Source};

use super::clone_flags::CloneFlags;
use super::common_flags::{Global, LockFlag, ReadingFlags, StoringFlags};
use super::every::{self, EveryFlag};
use super::exit::Exit;
use super::moment_flags::MomentFlags;
use super::operands::without_ref;
use super::screen::Screen;
use super::units::count;
use super::{escape, help, hints, units};

/// Take a snapshot of each FILE
///
/// Reads the file, and stores the pages that differ from the previous
/// snapshot. Prints the id of the snapshot on stdout, one line for each FILE,
/// and messages on stderr. If nothing changed since the latest snapshot, prints
/// the id of that one and takes no new one, unless the new grade is better.
/// A FILE that was reverted to an earlier snapshot gets a new one. A new mode,
/// owner or attribute is a change; new times alone are not.
///
/// The grade says whether the snapshot is consistent (point-in-time):
///
///   proven     guaranteed by the kernel: no process could write while the
///              file was read (a lease), or a clone was read (xfs, btrfs)
///   observed   a process had the file open for writing, and no change was
///              seen while it was read (ext4, xfs, btrfs; Linux 6.13)
///   claimed    asserted by you (--lock: all writers use flock); on tmpfs,
///              by a lease, which does not exclude writes to pinned pages
///   unproven   a process wrote to the file while it was read, or whether
///              one did cannot be determined
///
/// While the file is being written, it is tried again for up to --wait. Then
/// the last reading is kept, as unproven.
///
/// A database of SQLite or DuckDB is captured together with its log, if the log
/// holds changes that FILE lacks: FILE@REF is both. --set captures several FILEs
/// at one moment, and so does the name of a directory, with the regular files
/// in it; set:ID is all of them.
///
/// Never writes to the file or changes its times; stops its writers only with
/// --freeze. What they have written is flushed to the disk.
///
/// Compares pages by their bytes, never by the time of the file. A file that the
/// system shows to be untouched since it was read is not read again for some
/// days (change time, dirty pages; ext4, xfs, btrfs; Linux 6.13).
///
/// Examples:
///
///   memsnap snap -m 'before the upgrade' --tag before-upgrade db.bin
///   memsnap snap --set index.bin data.bin && memsnap log set:latest
///   flock state.bin memsnap snap --lock state.bin
///   id=$(memsnap snap -q --require proven disk.img) && echo "$id"
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = help::SNAP_EXIT)]
pub(crate) struct Args {
    /// The files; a directory stands for the set of its regular files
    #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    files: Vec<PathBuf>,
    /// Store TEXT with the snapshot; log shows it
    #[arg(short, long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    message: String,
    /// Tag the snapshot, to name it as FILE@TAG; may be repeated
    #[arg(short, long = "tag", value_name = "TAG", value_parser = tag)]
    tags: Vec<String>,
    /// Take a snapshot even if nothing changed
    #[arg(long)]
    always: bool,
    /// Begin a new history for a FILE that was renamed
    ///
    /// Without it, snap fails if FILE has no history, but has the inode and
    /// the pages of a file that is gone: `memsnap adopt` moves the history of
    /// that file to FILE.
    #[arg(long, verbatim_doc_comment)]
    new: bool,
    /// Exit with 3 if the grade is below this one
    #[arg(long, value_name = "GRADE", default_value = "claimed")]
    #[arg(value_parser = PossibleValuesParser::new(["none", "claimed", "observed", "proven"]).try_map(|grade| units::grade(&grade)))]
    require: Grade,
    /// Store nothing if the grade is below the required one
    #[arg(long)]
    strict: bool,
    /// Leave out the logs of a database
    ///
    /// Without it, FILE-wal and FILE-journal of SQLite and FILE.wal of DuckDB
    /// are captured with FILE while they hold changes that FILE lacks.
    #[arg(long, verbatim_doc_comment)]
    alone: bool,
    #[command(flatten)]
    sets: SetFlags,
    #[command(flatten)]
    clones: CloneFlags,
    #[command(flatten)]
    storing: StoringFlags,
    #[command(flatten)]
    lock: LockFlag,
    #[command(flatten)]
    reading: ReadingFlags,
    #[command(flatten)]
    moment: MomentFlags,
    #[command(flatten)]
    every: EveryFlag,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Exit> {
        let Some(every) = self.every.every else { return self.run_once(global, screen) };
        every::run(every, &self.files, global, screen, |screen| self.run_once(global, screen))
    }

    /// Continues after a file that fails; the worst code is the verdict.
    fn run_once(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Exit> {
        let options = Options::default()
            .store(global.store.clone())
            .message(&self.message)
            .tags(&*self.tags)
            .compress(self.storing.compress)
            .always(self.always)
            .require(if self.strict { self.require } else { Grade::Unproven })
            .alone(self.alone)
            .new_history(self.new)
            .reserve(self.storing.reserve)
            .freeze(self.moment.freeze)
            .clones(self.clones.clones())
            .changed(self.clones.changed(self.files.len())?)
            .reading(self.reading.reading(self.lock.lock));
        if self.sets.set {
            return Ok(self.moment.around(None, &options, screen, |options, screen| {
                let taken = self.set(&Source::Files(&self.files), options, global, screen);
                taken.unwrap_or_else(|e| screen.fail(&e))
            }));
        }
        let one = |file: &Path, screen: &mut Screen| {
            let is_directory = file.is_dir();
            let named = Some(file).filter(|_| !is_directory);
            self.moment.around(named, &options, screen, |options, screen| {
                let taken = match is_directory {
                    true => self.set(&Source::Directory(file), options, global, screen),
                    false => self.one(file, options, global, screen),
                };
                taken.unwrap_or_else(|e| screen.fail(&e))
            })
        };
        Ok(self.files.iter().fold(Exit::Done, |worst, file| worst.max(one(file, screen))))
    }

    fn one(&self, file: &Path, options: &Options, global: &Global, screen: &mut Screen) -> anyhow::Result<Exit> {
        let words = format!(
            "\nmemsnap: taking a snapshot of {}: interrupted: a snapshot is stored completely or not at all\n",
            escape::path(file)
        );
        let words = (!screen.is_json()).then(|| MessageOnSignal::new(&words));
        let bar = screen.bar();
        let report = snap(file, options, &bar)
            .map_err(|e| without_ref(e, file, "snap"))
            .with_context(|| format!("taking a snapshot of {}", escape::path(file)));
        drop((bar, words));
        let report = report?;
        let rendered = self.render(&report, file, global, screen);
        let exit = self.verdict(&report);
        // A report that cannot be written changes nothing of what is stored.
        Ok(rendered.map_or_else(|e| exit.max(screen.fail(&e)), |()| exit))
    }

    fn set(
        &self,
        source: &Source<'_>,
        options: &Options,
        global: &Global,
        screen: &mut Screen,
    ) -> anyhow::Result<Exit> {
        let bar = screen.bar();
        let report = self.sets.take(source, options, &bar)?;
        drop(bar);
        let line = |member: &Report, file: &Path, screen: &Screen| summary(member, file, global, screen);
        let is_told = report.new || report.grade < self.require || !self.every.is_on() || global.verbose;
        if is_told || screen.is_json() {
            set::render(&report, self.require, global, screen, &line)?;
        }
        if report.grade < self.require {
            screen.warn(&below_set(&report));
        }
        Ok(set::verdict(&report, self.require))
    }

    fn render(&self, report: &Report, file: &Path, global: &Global, screen: &mut Screen) -> anyhow::Result<()> {
        if screen.is_json() {
            screen.json(&json(report, self.is_below(report)))?;
            return screen.flush();
        }
        screen.notes(&report.warnings, "");
        if let Some(Format::BrokenVec(what) | Format::NewerVec(what)) = &report.format {
            screen.warn(&format!("{} is a persistent vector that cannot be used: {what}", escape::path(file)));
        }
        let summary = format!("{}{}", summary(report, file, global, screen), self.tagged(report));
        let printed = match &report.id {
            _ if self.every.is_on() && !report.new && !self.is_below(report) && !global.verbose => Ok(()),
            _ if self.every.is_on() && !global.quiet => screen.line(&summary).and_then(|()| screen.flush()),
            Some(id) => screen.line(&id.to_string()).and_then(|()| screen.flush()),
            None => Ok(()),
        };
        if !self.every.is_on() {
            screen.say(&summary);
        }
        if global.verbose && !report.read_reason.is_empty() {
            let how = match read(report) {
                "nothing" => "was not read",
                "part" => "was read in part",
                _ => "was read as a whole",
            };
            screen.say(&format!("{} {how}: {}", escape::path(file), report.read_reason));
        }
        if report.repaired > 0 {
            let pages = count(report.repaired, "damaged page");
            screen.warn(&format!("{pages} of earlier snapshots stored again from the file: check the disk"));
        }
        for damage in &report.damage {
            screen.warn(&format!("{damage}; `{}` shows all damage", global.command("verify", file)));
        }
        if self.is_below(report) {
            screen.warn(&below(report));
        }
        printed
    }

    fn is_below(&self, report: &Report) -> bool {
        report.grade < self.require
    }

    /// The exit code. A snapshot may be sound although earlier ones are damaged: that must be reported at once.
    fn verdict(&self, report: &Report) -> Exit {
        match report.damage.is_empty() {
            false => Exit::Damaged,
            true if self.is_below(report) => Exit::Below,
            true => Exit::Done,
        }
    }

    /// The tags given to a snapshot that existed before.
    fn tagged(&self, report: &Report) -> String {
        match self.tags.is_empty() || report.new || report.id.is_none() {
            true => String::new(),
            false => format!("; tagged {}", self.tags.join(", ")),
        }
    }
}

fn tag(text: &str) -> Result<String, String> {
    check_tag(text).map(|()| text.into()).map_err(|e| hints::joined(&e))
}
