//! The names of the files of a history, and what they say.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::page::Digest;
use crate::sys::no_follow;

/// The last number that a snapshot can have.
pub(super) const MOST_NUMBER: u64 = 1_000_000_000_000_000;

/// A snapshot's file name: its number here, and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapName {
    /// Number in this history: 1, 2, 3...
    pub number: u64,
    /// BLAKE3 of the file.
    pub id: Digest,
}

impl SnapName {
    /// Returns the file name.
    #[doc(hidden)]
    pub fn file_name(&self) -> String {
        format!("{:08}-{}.snap", self.number, self.id)
    }

    /// Parses a file name; accepts only what [`SnapName::file_name`] returns.
    #[doc(hidden)]
    pub fn parse(name: &OsStr) -> Option<SnapName> {
        let (number, id) = name.to_str()?.strip_suffix(".snap")?.split_once('-')?;
        let found = SnapName { number: number.parse().ok()?, id: id.parse().ok()? };
        let possible = (1..=MOST_NUMBER).contains(&found.number);
        (possible && found.file_name().as_str() == name).then_some(found)
    }
}

/// The name of the snapshot `name` of a member of `set`, before that set is known to be complete.
pub(super) fn part_name(name: &SnapName, set: &Digest) -> String {
    format!("{:08}-{}.{set}.part", name.number, name.id)
}

/// Parses what [`part_name`] returns.
pub(super) fn part(name: &OsStr) -> Option<(SnapName, Digest)> {
    let (snap, set) = name.to_str()?.strip_suffix(".part")?.split_once('.')?;
    let found = (SnapName::parse(format!("{snap}.snap").as_ref())?, set.parse().ok()?);
    (part_name(&found.0, &found.1).as_str() == name).then_some(found)
}

/// The path of the snapshot `name` in the history at `dir`: that of its `.part` where it has no other yet.
pub(super) fn snapshot_path(dir: &Path, name: &SnapName) -> PathBuf {
    let path = dir.join(name.file_name());
    if no_follow::metadata_if_any(&path).is_ok_and(|found| found.is_some()) {
        return path;
    }
    let names = no_follow::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let part = names.into_iter().find(|file| part(file).is_some_and(|(found, _)| found == *name));
    part.map_or(path, |part| dir.join(part))
}

/// Parses the file name of a pack or map: its id, and whether it is a pack.
pub(super) fn stored_id(name: &OsStr) -> Option<(Digest, bool)> {
    let name = name.to_str()?;
    let (id, pack) = match name.strip_suffix(".pack") {
        Some(id) => (id, true),
        None => (name.strip_suffix(".map")?, false),
    };
    Some((id.parse().ok()?, pack))
}

/// Prefix of the name of the file that records the next number.
const PREFIX: &str = "next-";

/// The name of the file that records `number` as the next.
pub(super) fn record_name(number: u64) -> String {
    format!("{PREFIX}{number:08}")
}

/// The number that a file name records; accepts only what [`record_name`] returns.
pub(super) fn recorded(name: &OsStr) -> Option<u64> {
    let number = name.to_str()?.strip_prefix(PREFIX)?.parse().ok()?;
    (number <= MOST_NUMBER + 1 && record_name(number).as_str() == name).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_as_they_are_written_are_records() {
        for number in [1, 99_999_999, 100_000_000, MOST_NUMBER + 1] {
            assert_eq!(recorded(record_name(number).as_ref()), Some(number));
        }
        for name in [
            "next-",
            "next-1",
            "next-+0000001",
            "next-000000001",
            "next-00000001x",
            "00000001",
            "next-1000000000000002",
        ] {
            assert_eq!(recorded(name.as_ref()), None, "{name}");
        }
    }
}
