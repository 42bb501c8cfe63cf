//! Removing the leftover files of a killed writer: unfinished files, and packs and maps that no snapshot names.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::file_names::{SnapName, part, stored_id};
use super::history::History;
use super::intent::Intent;
use super::kept_clone::KeptClone;
use super::write_lock::WriteLock;
use crate::error::{At, Result};
use crate::page::Digest;
use crate::sys::{create, no_follow};

impl History {
    /// Returns the packs and maps that snapshots name; `None` if a snapshot cannot be read.
    pub(crate) fn needed(&self) -> Result<Option<HashSet<Digest>>> {
        let mut needed = HashSet::new();
        for name in self.listed_agreed()?.0 {
            // With its own pack cache, which then numbers only the packs of this snapshot.
            let Ok(image) = self.with_own_cache().image(name) else {
                return Ok(None);
            };
            needed.insert(image.meta().stored.map);
            needed.insert(image.meta().stored.pack);
            image.packs().with_packs(|p| needed.extend(p.ids()));
        }
        Ok(Some(needed))
    }

    /// Returns the leftover files, given the packs and maps that are [needed](History::needed), and the paths that have
    /// the name of a leftover file but are not regular files: memsnap did not create these, and never removes them. If
    /// it is unknown what is needed, only unfinished files are leftover files.
    pub(crate) fn left_over(&self, needed: Option<&HashSet<Digest>>) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
        let (mut out, mut others) = unfinished(&self.dir().join("names"));
        for entry in no_follow::read_dir(self.dir()).at("listing", self.dir())? {
            let entry = entry.at("listing", self.dir())?;
            let name = entry.file_name();
            let unfinished = is_unfinished(&name) || part(&name).is_some_and(|(_, set)| !self.has_set(&set));
            let unnamed = stored_id(&name).is_some_and(|(id, _)| needed.is_some_and(|n| !n.contains(&id)));
            if unfinished || unnamed {
                let path = self.dir().join(name);
                let kind = entry.file_type().at("inspecting", &path)?;
                if kind.is_file() { out.push(path) } else { others.push(path) }
            }
        }
        Ok((out, others))
    }

    /// Removes the snapshot `name`, which was not reported yet, unless the record of a change names it. The next
    /// snapshot gets its number.
    pub(crate) fn remove_unused(&self, lock: &WriteLock, name: &SnapName) -> Result<()> {
        lock.check()?;
        let names = |change: Option<Intent>| change.is_some_and(|change| [change.from, change.to].contains(&name.id));
        if names(self.intent()?) || names(self.last_change()?) {
            return Ok(());
        }
        self.give_back(name.number);
        let path = self.snapshot_path(name);
        no_follow::remove_file(&path).at("removing", &path)?;
        create::sync_dir(self.dir())?;
        self.sweep(lock)
    }

    /// Removes the leftover files.
    pub(crate) fn sweep(&self, lock: &WriteLock) -> Result<()> {
        KeptClone::sweep(self, lock);
        self.name_parts(lock)?;
        for path in self.left_over(self.needed()?.as_ref())?.0 {
            no_follow::remove_file(&path).at("removing", &path)?;
        }
        Ok(())
    }
}

/// Whether `name` is a temporary name, under which a file is written.
fn is_unfinished(name: &OsStr) -> bool {
    name.to_str().is_some_and(|n| n.starts_with(create::TMP_PREFIX))
}

/// The unfinished files in `dir`, as far as it can be listed, and other things with such names.
fn unfinished(dir: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let entries = no_follow::read_dir(dir).into_iter().flatten().flatten().filter(|e| is_unfinished(&e.file_name()));
    let (files, others): (Vec<_>, Vec<_>) = entries.partition(|e| e.file_type().is_ok_and(|kind| kind.is_file()));
    let paths = |entries: Vec<fs::DirEntry>| entries.iter().map(|entry| dir.join(entry.file_name())).collect();
    (paths(files), paths(others))
}
