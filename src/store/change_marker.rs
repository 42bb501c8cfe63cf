//! The change marker: an extended attribute that a target has while it is changed in place, so that no store takes a
//! snapshot of a half-changed file.
//!
//! It names the record of the change, the inode, and the history that has the record. As the file system may be mounted
//! elsewhere later, the record is also looked for in the history of the target's own path, and in the history of the
//! same name in the store that is in use.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::Store;
use super::history::History;
use super::intent::{Intent, LABEL_DIGITS, NAME};
use super::write_lock::is_being_written;
use crate::error::{At, Cause, Error, FileInStore, Result};
use crate::sys::ext::{OsStrExt, OsStringExt};
use crate::sys::open::{self, Stamp};
use crate::sys::xattr::{self, CHANGE_MARKER as ATTR};

/// The change marker of an unfinished change.
#[derive(Clone, Debug)]
pub struct ChangeMarker {
    /// The directory of the history that has, or had, the record.
    history: PathBuf,
    record: RecordPlace,
}

/// Where the record of an interrupted change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RecordPlace {
    /// In the history of the target itself.
    Own,
    /// In the history of another path, or in another store.
    Elsewhere,
    /// It was removed, or cannot be found.
    Gone,
    /// The file is a copy: the change is that of another file.
    OfOriginal,
}

/// The content of the attribute.
struct MarkerValue {
    label: Vec<u8>,
    /// The inode and its birth time, as far as they were known.
    file: Option<(u64, Option<i128>)>,
    history: PathBuf,
}

impl MarkerValue {
    fn encode(history: &History, intent: &Intent, stamp: &Stamp) -> Vec<u8> {
        let born = stamp.born_ns.map_or("-".into(), |ns| ns.to_string());
        let mut value = format!("{} {} {born} ", intent.label(), stamp.ino).into_bytes();
        value.extend_from_slice(history.dir().as_os_str().as_bytes());
        value
    }

    /// In a marker without an inode, the label is followed by the path, which begins with a slash.
    fn decode(bytes: &[u8]) -> Option<MarkerValue> {
        let (label, rest) = bytes.split_at_checked(LABEL_DIGITS)?;
        let rest = rest.strip_prefix(b" ")?;
        let path = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
        if rest.starts_with(b"/") {
            return Some(MarkerValue { label: label.into(), file: None, history: path(rest) });
        }
        let mut words = rest.splitn(3, |b| *b == b' ');
        let mut word = || words.next().and_then(|word| std::str::from_utf8(word).ok());
        let (ino, born) = (word()?.parse().ok()?, word()?.parse().ok());
        Some(MarkerValue { label: label.into(), file: Some((ino, born)), history: path(words.next()?) })
    }

    /// Whether the marker was set on another file than that with the stamp `now`. The device is not compared, as its
    /// number may change with a restart.
    fn is_of_another(&self, now: &Stamp) -> bool {
        let differ = |born: Option<i128>| born.zip(now.born_ns).is_some_and(|(then, now)| then != now);
        self.file.is_some_and(|(ino, born)| ino != now.ino || differ(born))
    }

    /// Whether the history in `dir` records that this change was finished.
    fn is_finished(&self, dir: &Path, now: &Stamp) -> bool {
        Intent::last_in(dir).is_some_and(|done| done.label().as_bytes() == self.label && done.file.1 == now.ino)
    }
}

impl ChangeMarker {
    /// Sets the marker; does nothing on a file system without extended attributes.
    pub fn set(file: &File, path: &Path, history: &History, intent: &Intent) {
        let Ok(stamp) = open::stamp(file, path) else { return };
        let _ = xattr::set(file, ATTR, &MarkerValue::encode(history, intent, &stamp));
    }

    /// Removes the marker. A crash can bring it back until the file is flushed to disk.
    pub fn remove(file: &File, path: &Path) -> Result<()> {
        xattr::remove(file, ATTR).at("removing the change marker of", path)
    }

    /// Returns the marker of an unfinished change of `target`, a resolved path. `store` is the store in use, by default
    /// the one beside the target. The marker of a change that a history records as finished is stale, and ignored.
    pub fn get(file: &File, target: &Path, store: Option<&Path>) -> Option<ChangeMarker> {
        let said = MarkerValue::decode(&xattr::get(file, ATTR).ok().flatten()?)?;
        let now = open::stamp(file, target).ok()?;
        let (store, own) = Store::places(store, target);
        if has_record(&own) != Some(false) {
            return Some(ChangeMarker { history: own, record: RecordPlace::Own });
        }
        if said.is_of_another(&now) {
            return Some(ChangeMarker { history: said.history, record: RecordPlace::OfOriginal });
        }
        let beside = said.history.file_name().map(|name| store.join(name));
        let dirs: Vec<_> = [Some(own), beside, Some(said.history.clone())].into_iter().flatten().collect();
        if let Some(history) = dirs.iter().find(|dir| has_record(dir) != Some(false)) {
            return Some(ChangeMarker { history: history.clone(), record: RecordPlace::Elsewhere });
        }
        let finished = dirs.iter().any(|dir| said.is_finished(dir, &now));
        (!finished).then_some(ChangeMarker { history: said.history, record: RecordPlace::Gone })
    }

    /// The marker of a change whose record is in the history of its target.
    pub fn own(history: &History) -> ChangeMarker {
        ChangeMarker { history: history.dir().into(), record: RecordPlace::Own }
    }

    /// Whether `name` is that of the attribute, which is not part of a target's metadata.
    pub fn is_name(name: &[u8]) -> bool {
        name == ATTR
    }

    /// Whether the change is running: a process holds the lock of the history.
    pub fn is_busy(&self) -> bool {
        matches!(self.record, RecordPlace::Own | RecordPlace::Elsewhere) && is_being_written(&self.history)
    }

    /// Returns the error for a verb that only reads.
    pub fn refusal_to_read(&self, target: &Path) -> Error {
        if self.is_busy() {
            return Error::busy(target, "another memsnap is changing it", "try again when that has ended");
        }
        self.refusal(target)
    }

    /// Returns the error for a verb that needs a consistent file.
    pub fn refusal(&self, target: &Path) -> Error {
        let (file, record) = (target.display(), self.history.display());
        match self.record {
            RecordPlace::Own | RecordPlace::Elsewhere => Error::refused(
                format!("a change of {file} was interrupted (recorded in {record})"),
                self.interrupted(target),
            ),
            RecordPlace::Gone => Error::refused(
                format!("a change of {file} was interrupted, and its record is no longer in {record}"),
                Cause::RecordGone(target.into()),
            ),
            RecordPlace::OfOriginal => Error::refused(
                format!("{file} is a copy of a file that was half changed (recorded in {record})"),
                Cause::CopyOfHalfChanged(target.into()),
            ),
        }
    }

    /// The cause of the error, for its hint.
    fn interrupted(&self, target: &Path) -> Cause {
        let store = self.history.parent().unwrap_or(&self.history);
        let opened = Store::open(store).ok();
        let of = opened.zip(self.history.file_name()).and_then(|(store, name)| History::open_named(&store, name).ok());
        let of = of
            .map(|history| history.target().to_path_buf())
            .filter(|of| self.record != RecordPlace::Own && of != target);
        let is_beside = Store::places(None, of.as_deref().unwrap_or(target)).0 == store;
        let named = |file: &Path| FileInStore::new(file, (!is_beside).then_some(store));
        match of {
            None => Cause::Interrupted(named(target)),
            Some(of) => Cause::InterruptedElsewhere { was: named(&of), file: target.into() },
        }
    }
}

/// Whether the history in `dir` records an unfinished change; `None` if that cannot be determined.
fn has_record(dir: &Path) -> Option<bool> {
    match fs::symlink_metadata(dir.join(NAME)) {
        Ok(_) => Some(true),
        Err(e) => matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory).then_some(false),
    }
}
