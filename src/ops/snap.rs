//! `snap`: captures a target and stores what changed.

mod checks;
mod keep;
mod member;
mod report;
mod set;

pub(crate) use checks::{check, tag_all};
pub use report::{Options, Report};

#[doc(hidden)]
pub(crate) use set::files_in;
pub use set::{SetReport, snap_directory, snap_set};

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::Progress;
use super::input::Target;
use super::save::capture::{CaptureOptions, CapturedImage};
pub use super::save::clone::Clones;
use super::save::keep_clone::ToKeep;
use super::save::moment;
use crate::error::{Error, Result};
use crate::page::Digest;
use crate::sys::open;
use keep::Kept;
use member::{Members, with_logs};

/// Takes a snapshot of `file`, and of the hot logs of a database with it.
///
/// # Errors
/// When it cannot be read or stored; [`Error::Changed`] when it shrinks or is replaced meanwhile; [`Error::Busy`]
/// when a lock is not free in time. Then there is no new snapshot.
pub fn snap(file: &Path, options: &Options, progress: &dyn Progress) -> Result<Report> {
    let began = Instant::now();
    check(options)?;
    let path = open::resolve(file)?;
    let Captured { mut members, mut taken } = capture(&[path], options, false, progress)?;
    let clones = clones(&mut taken, options);
    let mut reports = store_alone(&mut members, taken, options)?;
    settle(clones, &members, &mut reports);
    let mut report = reports.remove(0);
    report.companions = reports;
    if let Some(id) = report.id {
        let member = &members.list[0];
        report.warnings.extend(tag_all(&member.history, &member.writing, &options.tags, &id)?);
    }
    report.elapsed = began.elapsed();
    Ok(report)
}

/// The clones that were read, of which some may be kept.
fn clones(taken: &mut [CapturedImage], options: &Options) -> Vec<ToKeep> {
    taken.iter_mut().map(|taken| ToKeep::of(taken, options.clones)).collect()
}

/// Keeps clones, after what they are clones of was stored.
fn settle(clones: Vec<ToKeep>, members: &Members, reports: &mut [Report]) {
    for ((clone, member), report) in clones.into_iter().zip(&members.list).zip(reports) {
        report.warnings.extend(clone.settle(&member.history, &member.writing, (report.id, report.new)));
    }
}

/// Members, and the image of each.
struct Captured {
    members: Members,
    taken: Vec<CapturedImage>,
}

/// Captures `paths`, and the logs of those that are databases, at one moment. Begins again when a log comes or goes.
fn capture(paths: &[PathBuf], options: &Options, may_be_new: bool, progress: &dyn Progress) -> Result<Captured> {
    let how = CaptureOptions {
        reading: &options.reading,
        compress: options.compress,
        reserve: options.reserve,
        exclusive: false,
        patience: options.reading.wait,
        freeze: options.freeze,
        around: options.around.as_deref(),
        clones: options.clones,
        changed: options.changed.as_deref(),
    };
    let mut tries = 5;
    loop {
        tries -= 1;
        let members = Members::open(with_logs(paths, options)?, options, may_be_new)?;
        let targets = members.list.iter().map(|member| moment::Member {
            history: &member.history,
            writing: &member.writing,
            target: Target { file: &member.live, path: &member.path },
        });
        let taken = moment::take_all(&targets.collect::<Vec<_>>(), &how, progress);
        let is_log = |path: &Path| members.list.iter().any(|m| m.database.is_some() && m.path == *path);
        match taken {
            Err(Error::Changed { path, .. }) if tries > 0 && is_log(&path) => {}
            Ok(taken) if tries > 0 && !taken.iter().all(CapturedImage::was_whole) && members.lacks_log(options) => {}
            taken => {
                let taken = taken?;
                members.refuse_unfinished()?;
                return Ok(Captured { members, taken });
            }
        }
    }
}

/// Makes what was taken of one file and its logs snapshots: the logs come first. Returns their reports in the order of
/// the members.
fn store_alone(members: &mut Members, mut taken: Vec<CapturedImage>, options: &Options) -> Result<Vec<Report>> {
    let logs: Vec<_> = taken[1..].iter().map(|log| (log.grade, log.reason.clone())).collect();
    keep::lower(&mut taken[0], &logs);
    let mut reports = reports(members, &taken);
    let mut kept = Vec::new();
    for (i, taken) in taken.into_iter().enumerate().rev() {
        let logs: Vec<Digest> = if i == 0 { kept.iter().rev().map(Kept::id).collect() } else { Vec::new() };
        let Some(one) = keep::keep(&mut members.list[i], taken, logs, options, &mut reports[i])? else {
            return Ok(reports);
        };
        kept.push(one);
    }
    for (i, kept) in (0..members.list.len()).rev().zip(kept) {
        let member = &mut members.list[i];
        kept.commit(&member.history, &mut member.writing, &mut reports[i])?;
    }
    Ok(reports)
}

fn reports(members: &mut Members, taken: &[CapturedImage]) -> Vec<Report> {
    let report = |(i, taken)| keep::report(members, i, taken);
    taken.iter().enumerate().map(report).collect()
}
