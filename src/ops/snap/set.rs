//! Snapshots of several files at one moment, under one set.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::keep::{self, Kept};
use super::member::Members;
use super::{Captured, Options, Report, capture, check, reports};
use crate::capture::Companion;
use crate::error::{At, Error, Result};
use crate::ops::save::capture::CapturedImage;
use crate::ops::{Note, Progress};
use crate::pack::{Grade, Meta};
use crate::page::Digest;
use crate::store::{MOST_MEMBERS, STORE_NAME, Set, SetMember, SnapName, Store};
use crate::sys::{id, open};

/// The result of [`snap_set`].
#[derive(Clone, Debug)]
#[non_exhaustive]
#[doc(hidden)]
pub struct SetReport {
    /// The directory whose files were captured; `None` for files that were named.
    pub directory: Option<PathBuf>,
    /// The set; `None` if nothing was stored.
    pub id: Option<Digest>,
    /// Whether it is new.
    pub new: bool,
    /// The lowest grade of its members.
    pub grade: Grade,
    /// The reason for it.
    pub reason: String,
    /// Its members.
    pub members: Vec<Report>,
    /// Files that the set before it has not.
    pub came: Vec<PathBuf>,
    /// Files of the set before it that it has not.
    pub went: Vec<PathBuf>,
    /// Warnings.
    pub warnings: Vec<Note>,
    /// Time taken.
    pub elapsed: Duration,
}

/// Takes a snapshot of the regular files of a directory that `choose` chooses by their names, at one moment; not of those
/// in directories in it.
///
/// # Errors
/// As [`snap_set`]; when it has no file that is chosen.
#[doc(hidden)]
pub fn snap_directory(
    directory: &Path,
    choose: &dyn Fn(&OsStr) -> bool,
    options: &Options,
    progress: &dyn Progress,
) -> Result<SetReport> {
    let directory = directory.canonicalize().at("resolving", directory)?;
    let (files, directories) = files_in(&directory, choose)?;
    if files.is_empty() {
        let what = format!("no regular file in {} is chosen", directory.display());
        return Err(Error::refused(what, "look at the patterns, or name a directory with files"));
    }
    let store = options.store.clone().unwrap_or_else(|| directory.join(STORE_NAME));
    let options = options.clone().store(store);
    let mut report = snap_files(&files, Some(&directory), &options, progress)?;
    if directories > 0 {
        let what = format!("directories in {} that are not part of the set: {directories}", directory.display());
        report.warnings.push(Note::new(what));
    }
    Ok(report)
}

/// Takes a snapshot of `files` at one moment, and of the logs of databases with them.
///
/// # Errors
/// As [`super::snap`]; [`Error::Refused`] when their stores are not one, or they are too many. Then nothing is stored.
#[doc(hidden)]
pub fn snap_set(files: &[PathBuf], options: &Options, progress: &dyn Progress) -> Result<SetReport> {
    let mut paths = files.iter().map(|file| open::resolve(file)).collect::<Result<Vec<_>>>()?;
    paths.sort();
    paths.dedup();
    snap_files(&paths, None, options, progress)
}

fn snap_files(
    paths: &[PathBuf],
    directory: Option<&Path>,
    options: &Options,
    progress: &dyn Progress,
) -> Result<SetReport> {
    let began = Instant::now();
    check(options)?;
    if options.changed.is_some() {
        let what = "what changed is said of one file, and a set has several";
        return Err(Error::refused(what, "capture that file alone"));
    }
    if paths.len() > MOST_MEMBERS {
        let what = format!("{} files are too many for one set, which has at most {MOST_MEMBERS}", paths.len());
        return Err(Error::refused(what, "choose some of them, or take several sets"));
    }
    let Captured { mut members, taken } = capture(paths, options, directory.is_some(), progress)?;
    let mut report = store_set(&mut members, taken, directory, options)?;
    report.elapsed = began.elapsed();
    Ok(report)
}

/// The regular files in a directory that are chosen, sorted, and the number of directories in it other than a store.
pub(crate) fn files_in(directory: &Path, choose: &dyn Fn(&OsStr) -> bool) -> Result<(Vec<PathBuf>, u64)> {
    let (mut files, mut directories) = (Vec::new(), 0);
    for entry in std::fs::read_dir(directory).at("listing", directory)? {
        let entry = entry.at("listing", directory)?;
        let (path, kind) = (entry.path(), entry.file_type().at("inspecting", &entry.path())?);
        let name = entry.file_name();
        if kind.is_dir() && name != STORE_NAME {
            directories += 1;
        } else if kind.is_file() && choose(&name) && !Companion::is_index(&path) {
            files.push(path);
        }
    }
    files.sort();
    Ok((files, directories))
}

/// Makes what was taken one set.
fn store_set(
    members: &mut Members,
    mut taken: Vec<CapturedImage>,
    directory: Option<&Path>,
    options: &Options,
) -> Result<SetReport> {
    lower_all(members, &mut taken);
    let mut reports = reports(members, &taken);
    let lowest = taken.iter().min_by_key(|taken| taken.grade).expect("a set has members");
    let mut report = SetReport {
        directory: directory.map(Path::to_path_buf),
        id: None,
        new: false,
        grade: lowest.grade,
        reason: lowest.reason.clone(),
        members: Vec::new(),
        came: Vec::new(),
        went: Vec::new(),
        warnings: Vec::new(),
        elapsed: Duration::ZERO,
    };
    if lowest.grade < options.require {
        report.members = reports;
        return Ok(report);
    }
    let clones = super::clones(&mut taken, options);
    let kept = keep_all(members, taken, options, &mut reports)?;
    let set = set_of(members, &kept, directory, options);
    let before = before(&members.store, &set)?;
    if let Some((_, before)) = &before {
        report.came = set.keys_not_in(before).map(|key| members.store.target(key)).collect();
        report.went = before.keys_not_in(&set).map(|key| members.store.target(key)).collect();
    }
    match before {
        Some((id, before)) if before.members == set.members && !options.always => report.id = Some(id),
        before => {
            let set = Set { parent: before.map_or(Digest::ZERO, |(id, _)| id), ..set };
            report.id = Some(commit(members, kept, set, &mut reports)?);
            report.new = true;
        }
    }
    super::settle(clones, members, &mut reports);
    for (member, of) in members.list.iter().zip(&mut reports) {
        if let Some(id) = of.id {
            of.warnings.extend(super::tag_all(&member.history, &member.writing, &options.tags, &id)?);
        }
    }
    report.members = reports;
    Ok(report)
}

/// Lowers the grade of each database to that of its logs.
fn lower_all(members: &Members, taken: &mut [CapturedImage]) {
    for place in 0..taken.len() {
        let of_it = |i: &usize| members.list[*i].database == Some(place);
        let logs: Vec<_> = (0..taken.len()).filter(of_it).map(|i| (taken[i].grade, taken[i].reason.clone())).collect();
        keep::lower(&mut taken[place], &logs);
    }
}

/// Decides for each member, the logs before their databases.
fn keep_all(
    members: &mut Members,
    taken: Vec<CapturedImage>,
    options: &Options,
    reports: &mut [Report],
) -> Result<Vec<Kept>> {
    let mut kept: Vec<Kept> = Vec::new();
    let mut logs: Vec<Digest> = Vec::new();
    for (i, taken) in taken.into_iter().enumerate().rev() {
        let member = &mut members.list[i];
        let own = if member.database.is_none() { logs.drain(..).rev().collect() } else { Vec::new() };
        let one = keep::keep(member, taken, own, options, &mut reports[i])?;
        let one = one.expect("its grade is at least that of the set, which is high enough");
        if member.database.is_some() {
            logs.push(one.id());
        }
        kept.push(one);
    }
    kept.reverse();
    Ok(kept)
}

fn set_of(members: &Members, kept: &[Kept], directory: Option<&Path>, options: &Options) -> Set {
    let member = |(member, kept): (&super::member::Member, &Kept)| SetMember {
        key: members.store.key(&member.path),
        snapshot: kept.id(),
    };
    let mut list: Vec<_> = members.list.iter().zip(kept).map(member).collect();
    list.sort();
    Set {
        time_ns: id::now_ns(),
        parent: Digest::ZERO,
        directory: directory.map(|path| members.store.directory_key(path)),
        message: options.message.clone(),
        host: id::hostname(),
        members: list,
    }
}

/// The newest set of the same directory, or with a member in common.
fn before(store: &Store, set: &Set) -> Result<Option<(Digest, Set)>> {
    let is_before = |other: &Set| match (&set.directory, &other.directory) {
        (Some(ours), Some(theirs)) => ours == theirs,
        (None, None) => other.members.iter().any(|member| set.snapshot_of(&member.key).is_some()),
        _ => false,
    };
    Ok(store.sets()?.0.into_iter().rev().find(|(_, other)| is_before(other)))
}

/// Commits the set with all its new snapshots.
fn commit(members: &mut Members, kept: Vec<Kept>, set: Set, reports: &mut [Report]) -> Result<Digest> {
    let (mut parts, mut rest) = (Vec::new(), Vec::new());
    for (i, (member, kept)) in members.list.iter_mut().zip(kept).enumerate() {
        if let Kept::New(new) = kept {
            let (after, snapshot) = new.split();
            parts.push((&member.history, &mut member.writing, snapshot));
            rest.push((i, after));
        }
    }
    let (id, committed): (Digest, Vec<(SnapName, Meta)>) = members.store.commit_set(parts, &set)?;
    for ((i, after), (name, meta)) in rest.into_iter().zip(committed) {
        after.committed(&members.list[i].history, name, &meta, &mut reports[i])?;
    }
    Ok(id)
}
