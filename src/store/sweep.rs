//! Clearing away what a killed writer left: files of our own pattern that no snapshot names.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::file_names::{SnapName, stored_id};
use super::history::History;
use super::intent::Intent;
use super::write_lock::WriteLock;
use crate::error::{At, Result};
use crate::page::Digest;
use crate::sys::{create, no_follow};

impl History {
    /// Packs and maps that some snapshot names; `None` when a snapshot cannot be read, so that it is unknown.
    pub(crate) fn needed(&self) -> Result<Option<HashSet<Digest>>> {
        let mut needed = HashSet::new();
        for name in self.listed_agreed()?.0 {
            // Each with a pack cache of its own, which then has the packs of this snapshot and no others.
            let Ok(image) = self.afresh().image(name) else {
                return Ok(None);
            };
            needed.insert(image.meta().stored.map);
            needed.insert(image.meta().stored.pack);
            image.packs().with_packs(|p| needed.extend(p.ids()));
        }
        Ok(Some(needed))
    }

    /// Files here that no snapshot needs. Without a full list of what is needed: only unfinished files.
    pub(crate) fn garbage(&self) -> Result<Vec<PathBuf>> {
        self.litter(self.needed()?.as_ref())
    }

    /// As [`History::garbage`], with the list of what is needed at hand.
    pub(crate) fn litter(&self, needed: Option<&HashSet<Digest>>) -> Result<Vec<PathBuf>> {
        let (out, _) = self.left_over(needed)?;
        Ok(out)
    }

    /// What has the name of such a file, and is none: never made by us, and never removed.
    pub(crate) fn impostors(&self, needed: Option<&HashSet<Digest>>) -> Result<Vec<PathBuf>> {
        let (_, others) = self.left_over(needed)?;
        Ok(others)
    }

    fn left_over(&self, needed: Option<&HashSet<Digest>>) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
        let (mut out, mut others) = unfinished(&self.dir().join("names"));
        for entry in no_follow::read_dir(self.dir()).at("listing", self.dir())? {
            let entry = entry.at("listing", self.dir())?;
            let name = entry.file_name();
            let unfinished = is_unfinished(&name);
            let unnamed = stored_id(&name).is_some_and(|(id, _)| needed.is_some_and(|n| !n.contains(&id)));
            if unfinished || unnamed {
                let path = self.dir().join(name);
                let kind = entry.file_type().at("inspecting", &path)?;
                if kind.is_file() { out.push(path) } else { others.push(path) }
            }
        }
        Ok((out, others))
    }

    /// Removes the snapshot `name`, which was not reported yet, unless the record of a change names it. The next one
    /// gets its number.
    ///
    /// # Errors
    /// When it cannot be removed, or a record cannot be read.
    pub(crate) fn remove_unused(&self, writing: &WriteLock, name: &SnapName) -> Result<()> {
        writing.check()?;
        let names = |change: Option<Intent>| change.is_some_and(|change| [change.from, change.to].contains(&name.id));
        if names(self.intent()?) || names(self.last_change()?) {
            return Ok(());
        }
        self.give_back(name.number);
        let path = self.dir().join(name.file_name());
        no_follow::remove_file(&path).at("removing", &path)?;
        create::sync_dir(self.dir())?;
        self.sweep(writing)
    }

    /// Removes what no snapshot needs, now.
    ///
    /// # Errors
    /// When something of it cannot be removed.
    pub(crate) fn sweep(&self, _writing: &WriteLock) -> Result<()> {
        sweep(self)
    }
}

/// A file that was being written under a temporary name.
fn is_unfinished(name: &OsStr) -> bool {
    name.to_str().is_some_and(|n| n.starts_with(create::TMP_PREFIX))
}

/// Such files in `dir`, as far as it can be listed, and what has such a name and is no file.
fn unfinished(dir: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let entries = no_follow::read_dir(dir).into_iter().flatten().flatten().filter(|e| is_unfinished(&e.file_name()));
    let (files, others): (Vec<_>, Vec<_>) = entries.partition(|e| e.file_type().is_ok_and(|kind| kind.is_file()));
    let paths = |entries: Vec<fs::DirEntry>| entries.iter().map(|entry| dir.join(entry.file_name())).collect();
    (paths(files), paths(others))
}

/// Removes the garbage of a history. The caller holds its lock.
pub(super) fn sweep(history: &History) -> Result<()> {
    for path in history.garbage()? {
        no_follow::remove_file(&path).at("removing", &path)?;
    }
    Ok(())
}
