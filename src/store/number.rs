//! The numbers of snapshots. The next number is recorded in the name of an empty file, so that no number is used again
//! after the newest snapshot was removed.
//!
//! A rename is atomic, and becomes durable together with the name of the snapshot: the record needs no fsync. It is
//! renamed after the snapshot appeared and before it is reported. A kill in between leaves a record that is behind; then
//! the number of the newest snapshot counts.

use std::path::PathBuf;

use super::file_names::{MOST_NUMBER, record_name, recorded};
use super::history::History;
use crate::error::{Cause, Error, Result};
use crate::sys::no_follow;

impl History {
    /// The number of the next snapshot: the recorded one, and at least the one after the highest.
    pub(super) fn next_number(&self) -> Result<u64> {
        let (names, recorded) = self.listed_agreed()?;
        let next = names.last().map_or(1, |last| last.number + 1).max(recorded);
        if next <= MOST_NUMBER {
            return Ok(next);
        }
        Err(Error::refused(
            format!("{} has used number {}, and there is no higher one", self.dir().display(), next - 1),
            Cause::NoNumberLeft,
        ))
    }

    fn record_path(&self, next: u64) -> PathBuf {
        self.dir().join(record_name(next))
    }

    /// Records that a snapshot has `number`. If that fails, the name of the snapshot still shows it.
    pub(super) fn record_number(&self, number: u64) {
        let next = self.record_path(number + 1);
        if no_follow::rename(&self.record_path(number), &next).is_ok() {
            return;
        }
        // The record is missing or behind.
        let made = self.pending().and_then(|file| file.replace_unsynced(record_name(number + 1).as_ref()));
        let others = no_follow::read_dir(self.dir()).into_iter().flatten().flatten().map(|entry| entry.file_name());
        for name in others.filter(|name| made.is_ok() && recorded(name).is_some_and(|other| other <= number)) {
            let _ = no_follow::remove_file(&self.dir().join(name));
        }
    }

    /// Makes `number`, which was the last and was not reported, the next again. Called before the snapshot is removed,
    /// so that a kill in between leaves no gap.
    pub(super) fn give_back(&self, number: u64) {
        let _ = no_follow::rename(&self.record_path(number + 1), &self.record_path(number));
    }
}
