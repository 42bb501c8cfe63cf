//! The kept clone: what the target was at the last snapshot, in the blocks that both share. It is disposable.
//!
//! The file `clone` is the clone, the file `cloned` says of what. The record names the inode of the clone and its
//! ctime: a clone that was replaced, restored from a backup or written to is not the one that it speaks of. The clone
//! is on the disk before the record is written, so a record that matches is right, whatever was lost in a crash.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};

use super::history::History;
use super::write_lock::WriteLock;
use crate::page::Digest;
use crate::sys::create::Pending;
use crate::sys::open::Stamp;
use crate::sys::{create, meta, no_follow};

const NAME: &str = "clone";
const RECORD: &str = "cloned";
const MOST: usize = 512;

/// The clone of the image of a snapshot.
#[derive(Debug)]
pub struct KeptClone {
    file: File,
    record: Record,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record {
    snapshot: Digest,
    image: Digest,
    len: u64,
    /// When all of the target was read last, in nanoseconds since 1970.
    read_ns: i64,
    ino: u64,
    ctime_ns: i128,
}

impl Record {
    fn line(&self) -> String {
        let Record { snapshot, image, len, read_ns, ino, ctime_ns } = self;
        let words = format!("{snapshot} {image} {len} {read_ns} {ino} {ctime_ns}");
        let check = Digest::of(format!("memsnap clone 1\n{words}").as_bytes()).to_string();
        format!("{words} {}\n", &check[..16])
    }

    fn parse(line: &str) -> Option<Record> {
        let mut words = line.split(' ');
        let record = Record {
            snapshot: words.next()?.parse().ok()?,
            image: words.next()?.parse().ok()?,
            len: words.next()?.parse().ok()?,
            read_ns: words.next()?.parse().ok()?,
            ino: words.next()?.parse().ok()?,
            ctime_ns: words.next()?.parse().ok()?,
        };
        (record.line() == line).then_some(record)
    }
}

impl KeptClone {
    /// Opens the clone that `history` keeps; `None` if there is none, or its record does not match.
    pub fn open(history: &History) -> Option<KeptClone> {
        let bytes = create::read_small(&history.dir().join(RECORD), MOST).ok()?;
        let record = Record::parse(std::str::from_utf8(&bytes).ok()?)?;
        let file = create::open_own(&history.dir().join(NAME)).ok()?;
        let found = Stamp::from(&file.metadata().ok()?);
        let same = (found.ino, found.ctime_ns, found.len) == (record.ino, record.ctime_ns, record.len);
        (same && meta::links(&file).ok()? == 1).then_some(KeptClone { file, record })
    }

    /// The clone.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Its length.
    pub fn size(&self) -> u64 {
        self.record.len
    }

    /// When all of the target was read last, in nanoseconds since 1970.
    pub fn read_ns(&self) -> i64 {
        self.record.read_ns
    }

    /// Whether it is the image of this snapshot.
    pub fn is_of(&self, snapshot: &Digest, image: &Digest, len: u64) -> bool {
        (&self.record.snapshot, &self.record.image, self.record.len) == (snapshot, image, len)
    }

    /// Keeps `clone`, a file of `history` that is the image of this snapshot, in place of the one before.
    ///
    /// # Errors
    /// When it cannot be brought to the disk. Then none is kept.
    pub fn keep(
        history: &History,
        lock: &WriteLock,
        clone: Pending,
        (snapshot, image, len): (&Digest, &Digest, u64),
        read_ns: i64,
    ) -> io::Result<()> {
        let (snapshot, image) = (*snapshot, *image);
        let kept = (|| {
            let file = clone.file().try_clone()?;
            clone.replace_unsynced(OsStr::new(NAME)).map_err(io::Error::other)?;
            file.sync_all()?;
            let found = Stamp::from(&file.metadata()?);
            let record = Record { snapshot, image, len, read_ns, ino: found.ino, ctime_ns: found.ctime_ns };
            let pending = history.pending().map_err(io::Error::other)?;
            pending.file().write_all(record.line().as_bytes())?;
            pending.replace_unsynced(OsStr::new(RECORD)).map_err(io::Error::other)
        })();
        if kept.is_err() {
            KeptClone::remove(history, lock);
        }
        kept
    }

    /// Removes what a killed process left: a clone that its record does not speak of.
    pub(super) fn sweep(history: &History, lock: &WriteLock) {
        if KeptClone::is_wrong(history) {
            KeptClone::remove(history, lock);
        }
    }

    /// Whether there is a clone, or a record, that is of no use.
    pub fn is_wrong(history: &History) -> bool {
        let exists = |name: &&str| std::fs::symlink_metadata(history.dir().join(name)).is_ok();
        [NAME, RECORD].iter().any(exists) && KeptClone::open(history).is_none()
    }

    /// Removes the clone that `history` keeps, if there is one: it takes space as the target changes.
    pub fn remove(history: &History, _lock: &WriteLock) {
        for name in [RECORD, NAME] {
            let path = history.dir().join(name);
            if std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_file()) {
                let _ = no_follow::remove_file(&path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_records_are_accepted() {
        let (snapshot, image) = (Digest::of(b"snapshot"), Digest::of(b"image"));
        let record = Record { snapshot, image, len: 7, read_ns: -5, ino: u64::MAX, ctime_ns: i128::MIN };
        let line = record.line();
        assert!(line.len() < MOST);
        assert_eq!(Record::parse(&line), Some(record));
        assert_eq!(Record::parse(line.trim_end()), None);
        assert_eq!(Record::parse(&line.replacen(" 7 ", " 8 ", 1)), None);
        assert_eq!(Record::parse(&line.replacen(" 7 ", " 07 ", 1)), None);
        assert_eq!(Record::parse(""), None);
    }
}
