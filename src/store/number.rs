//! The numbers of snapshots. The next one is recorded in the name of an empty file, so that a number is not given again
//! when the newest snapshot is removed.
//!
//! A name changes at once, cannot be half-written, and is brought to the disk together with the name of the snapshot:
//! the record costs a rename, and no fsync. It is renamed after the snapshot appeared and before it is reported.
//! Who is killed between the two leaves the old record, behind the snapshot that is there; then that one counts.

use std::path::PathBuf;

use super::file_names::{MOST_NUMBER, record_name, recorded};
use super::history::History;
use crate::error::{Cause, Error, Result};
use crate::sys::no_follow;

impl History {
    /// The number of the next snapshot: the one recorded, and at least the one after the highest.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is none left; when the directory cannot be listed.
    pub(super) fn next_number(&self) -> Result<u64> {
        let (names, recorded) = self.listed_agreed()?;
        let next = names.last().map_or(1, |last| last.number + 1).max(recorded);
        if next <= MOST_NUMBER {
            return Ok(next);
        }
        Err(Error::refused(
            format!("{} has given number {}, and no number is higher", self.dir().display(), next - 1),
            Cause::NoNumberLeft,
        ))
    }

    fn record_path(&self, next: u64) -> PathBuf {
        self.dir().join(record_name(next))
    }

    /// Records that `number` was given to a snapshot that is there now. Where that fails, the snapshot itself says it.
    pub(super) fn record_number(&self, number: u64) {
        let next = self.record_path(number + 1);
        if no_follow::rename(&self.record_path(number), &next).is_ok() {
            return;
        }
        // There is none yet, or it was lost, or is behind.
        let made = self.pending().and_then(|file| file.replace_unsynced(record_name(number + 1).as_ref()));
        let others = no_follow::read_dir(self.dir()).into_iter().flatten().flatten().map(|entry| entry.file_name());
        for name in others.filter(|name| made.is_ok() && recorded(name).is_some_and(|other| other <= number)) {
            let _ = no_follow::remove_file(&self.dir().join(name));
        }
    }

    /// Takes back that `number` was given, if it was the last and was not reported. Before the snapshot is removed,
    /// so that a kill between the two leaves no gap.
    pub(super) fn give_back(&self, number: u64) {
        let _ = no_follow::rename(&self.record_path(number + 1), &self.record_path(number));
    }
}
