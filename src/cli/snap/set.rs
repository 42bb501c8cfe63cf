//! `memsnap snap --set`, and of directories.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use glob::Pattern;
use memsnap::ops::Progress;
use memsnap::ops::snap::{Options, Report, SetReport, snap_directory, snap_set};
use memsnap::pack::Grade;
use serde::Serialize;

use crate::cli::common_flags::Global;
use crate::cli::exit::Exit;
use crate::cli::json::{JsonPath, object};
use crate::cli::screen::Screen;
use crate::cli::units::{count, duration};
use crate::cli::{escape, hints};

/// Flags of sets.
#[derive(clap::Args)]
pub(super) struct SetFlags {
    /// Take the FILEs at one moment, as one set
    ///
    /// All of them are in one store. set:ID names the set for other verbs.
    #[arg(long)]
    pub(super) set: bool,
    /// From a DIR, take only files that match PATTERN; may be repeated
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    include: Vec<Pattern>,
    /// From a DIR, leave out files that match PATTERN; may be repeated
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    exclude: Vec<Pattern>,
}

/// What is captured as a set.
pub(super) enum Source<'a> {
    Files(&'a [PathBuf]),
    Directory(&'a Path),
}

impl SetFlags {
    pub(super) fn take(&self, source: &Source<'_>, options: &Options, bar: &dyn Progress) -> anyhow::Result<SetReport> {
        memsnap::program::limits::allow_most_files();
        match source {
            Source::Files(files) => Ok(snap_set(files, options, bar).context("taking a snapshot of a set")?),
            Source::Directory(directory) => {
                let matches = |patterns: &[Pattern], name: &OsStr| {
                    let name = name.to_string_lossy();
                    patterns.iter().any(|pattern| pattern.matches(&name))
                };
                let choose = |name: &OsStr| {
                    (self.include.is_empty() || matches(&self.include, name)) && !matches(&self.exclude, name)
                };
                let taken = snap_directory(directory, &choose, options, bar);
                taken.with_context(|| format!("taking a snapshot of the files in {}", escape::path(directory)))
            }
        }
    }
}

fn pattern(text: &str) -> Result<Pattern, String> {
    Pattern::new(text).map_err(|e| format!("{} at character {}", e.msg, e.pos + 1))
}

/// Prints the set on stdout, and what there is to say of its members on stderr.
pub(super) fn render(
    report: &SetReport,
    required: Grade,
    global: &Global,
    screen: &mut Screen,
    line: &dyn Fn(&Report, &Path, &Screen) -> String,
) -> anyhow::Result<()> {
    if screen.is_json() {
        screen.json(&json(report, report.grade < required))?;
        return screen.flush();
    }
    screen.notes(&report.warnings, "");
    let printed = match &report.id {
        Some(id) => screen.line(&format!("set:{id}")).and_then(|()| screen.flush()),
        None => Ok(()),
    };
    for member in &report.members {
        screen.notes(&member.warnings, "");
        if member.new || global.verbose || report.id.is_none() {
            let text = line(member, &member.path, screen);
            screen.say(&text);
        }
        for damage in &member.damage {
            screen.warn(&format!("{damage}; `{}` shows all damage", global.command("verify", &member.path)));
        }
    }
    for (files, what) in [(&report.came, "new in the set"), (&report.went, "no longer in the set")] {
        for file in files {
            screen.say(&format!("{}  {what}", escape::path(file)));
        }
    }
    screen.say(&summary(report));
    printed
}

/// `set:1a2b3c4d5e6f  12 files, 3 changed, 0.12 s, observed: ...`
fn summary(report: &SetReport) -> String {
    let files = count(report.members.len() as u64, "file");
    let changed = match (&report.id, report.new) {
        (None, _) => "not stored".into(),
        (Some(_), false) => "unchanged".into(),
        (Some(_), true) => format!("{} changed", report.members.iter().filter(|member| member.new).count()),
    };
    let name = report.id.as_ref().map_or("set".into(), |id| format!("set:{}", &id.to_string()[..12]));
    let grade = match report.grade {
        Grade::Proven => report.grade.to_string(),
        grade => format!("{grade}: {}", report.reason),
    };
    format!("{name}  {files}, {changed}, {}, {grade}", duration(report.elapsed))
}

fn json(report: &SetReport, below: bool) -> impl Serialize {
    let paths = |files: &[PathBuf]| {
        files.iter().map(|file| object! { #[serde(flatten)] path: JsonPath::of(file) }).collect::<Vec<_>>()
    };
    object! {
        schema: "memsnap.snap-set.1",
        set: report.id.as_ref().map(|id| id.to_string()),
        new: report.new,
        directory: report.directory.as_ref().map(|path| path.to_string_lossy()),
        grade: report.grade.to_string(),
        reason: &report.reason,
        below,
        members: report.members.iter().map(member_json).collect::<Vec<_>>(),
        came: paths(&report.came),
        went: paths(&report.went),
        warnings: report.warnings.iter().map(hints::of_note).collect::<Vec<_>>(),
        seconds: report.elapsed.as_secs_f64(),
    }
}

fn member_json(member: &Report) -> impl Serialize {
    object! {
        #[serde(flatten)] path: JsonPath::of(&member.path),
        id: member.id.as_ref().map(|id| id.to_string()),
        number: member.number,
        new: member.new,
        len: member.len,
        pages_changed: member.pages_changed,
        bytes_stored: member.bytes_stored,
        grade: member.grade.to_string(),
        reason: &member.reason,
        damage: &member.damage,
        warnings: member.warnings.iter().map(hints::of_note).collect::<Vec<_>>(),
    }
}

/// The worst of what became of the members.
pub(super) fn verdict(report: &SetReport, required: Grade) -> Exit {
    match report.members.iter().all(|member| member.damage.is_empty()) {
        false => Exit::Damaged,
        true if report.grade < required => Exit::Below,
        true => Exit::Done,
    }
}
