//! Stored sets: what they hold, and what came and went since the set before.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::pack::Grade;
use crate::page::Digest;
use crate::store::{STORE_NAME, Set, SetMember, Store};

/// A stored set.
#[derive(Clone, Debug)]
pub struct SetEntry {
    /// Its id.
    pub id: Digest,
    /// When it was taken, in nanoseconds since 1970.
    pub time_ns: i64,
    /// The directory whose files it holds; `None` for files that were named.
    pub directory: Option<PathBuf>,
    /// Its message.
    pub message: String,
    /// The machine that took it.
    pub host: String,
    /// Its members, sorted by their paths at that time.
    pub members: Vec<Member>,
    /// Files that the set before it has not.
    pub came: Vec<PathBuf>,
    /// Files of the set before it that it has not.
    pub went: Vec<PathBuf>,
    /// What could not be read.
    pub faults: Vec<String>,
}

/// A file of a set.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its path now: that of its history.
    pub path: PathBuf,
    /// Its path when the set was taken, relative to the directory that held the store.
    pub key: PathBuf,
    /// Its snapshot.
    pub id: Digest,
    /// The number of that in the history of the file.
    pub number: u64,
    /// Length of the image in bytes.
    pub len: u64,
    /// Whether the image is consistent (point-in-time).
    pub grade: Grade,
    /// Whether another member is the database whose log it is.
    pub is_log: bool,
}

impl SetEntry {
    /// The lowest grade of its members.
    pub fn grade(&self) -> Grade {
        self.members.iter().map(|member| member.grade).min().unwrap_or(Grade::Unproven)
    }

    fn new(store: &Store, id: Digest, set: &Set) -> SetEntry {
        let (mut members, mut faults, mut logs) = (Vec::new(), Vec::new(), Vec::new());
        for one in &set.members {
            match member(store, one) {
                Ok((member, companions)) => {
                    members.push(member);
                    logs.extend(companions);
                }
                Err(e) => faults.push(e.to_string()),
            }
        }
        for member in &mut members {
            member.is_log = logs.contains(&member.id);
        }
        let (mut came, mut went) = (Vec::new(), Vec::new());
        if !set.parent.is_zero()
            && let Ok(before) = store.set(&set.parent)
        {
            came = set.keys_not_in(&before).map(|key| store.target(key)).collect();
            went = before.keys_not_in(set).map(|key| store.target(key)).collect();
        }
        SetEntry {
            id,
            time_ns: set.time_ns,
            directory: set.directory.as_deref().map(|key| store.directory(key)),
            message: set.message.clone(),
            host: set.host.clone(),
            members,
            came,
            went,
            faults,
        }
    }
}

fn member(store: &Store, member: &SetMember) -> Result<(Member, Vec<Digest>)> {
    use crate::sys::ext::OsStrExt;
    let (history, name) = store.member(member)?;
    let snapshot = history.snapshot(name)?;
    let meta = snapshot.meta();
    let found = Member {
        path: history.target().into(),
        key: Path::new(std::ffi::OsStr::from_bytes(&member.key)).into(),
        id: name.id,
        number: name.number,
        len: meta.len,
        grade: meta.grade,
        is_log: false,
    };
    Ok((found, meta.companions.clone()))
}

fn open(store: Option<&Path>) -> Result<Store> {
    Store::open(store.unwrap_or(Path::new(STORE_NAME)))
}

/// All sets of a store, oldest first: of the chosen one, or that of the working directory. Also the errors of those
/// that cannot be read.
///
/// # Errors
/// When there is no store, or it cannot be listed.
pub fn sets(store: Option<&Path>) -> Result<(Vec<SetEntry>, Vec<Error>)> {
    let store = open(store)?;
    let (sets, faults) = store.sets()?;
    Ok((sets.iter().map(|(id, set)| SetEntry::new(&store, *id, set)).collect(), faults))
}

/// The set whose id begins with `prefix`, or the newest for `latest`.
///
/// # Errors
/// [`Error::Missing`] when there is none, [`Error::Refused`] when there are several, [`Error::Damaged`] when it, or the
/// snapshot of a member, cannot be read.
pub fn set(prefix: &str, store: Option<&Path>) -> Result<SetEntry> {
    let store = open(store)?;
    let (id, set) = store.find_set(prefix)?;
    let entry = SetEntry::new(&store, id, &set);
    match entry.faults.first() {
        None => Ok(entry),
        Some(fault) => Err(Error::damaged(store.dir(), format!("set {id} is incomplete: {fault}"))),
    }
}
