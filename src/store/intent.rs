//! The intent: the record with which an interrupted change of a target is finished or rolled back.

use std::io;
use std::path::Path;

use super::history::History;
use super::write_lock::WriteLock;
use crate::error::{At, Error, Result};
use crate::pack::{Bad, Fields, FileKind};
use crate::page::Digest;
use crate::planted::{Bug, planted};
use crate::sys::{create, no_follow};

/// The record of an unfinished change.
pub(super) const NAME: &str = "intent";
/// The record of the last finished change, which `undo` reverts.
const UNDO: &str = "undo";
const MOST: usize = 256 << 10;
/// Hexadecimal digits of the digest of a record in a change marker.
pub(super) const LABEL_DIGITS: usize = 16;
/// Prefix of the verb of a change that rolls back an interrupted one.
const ROLLBACK: &str = "rollback of ";
/// The flag of a record that names a change of several targets.
const OF_SET: u16 = 1;

/// The record of a change of the target from one snapshot to another. The pages to write follow from their maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The snapshot of the content before; zeros if that was not stored.
    pub from: Digest,
    /// The image digest of `from`, or zeros.
    pub from_image: Digest,
    /// The snapshot of the content after.
    pub to: Digest,
    /// The image digest of `to`.
    pub to_image: Digest,
    /// Device and inode of the target. The number of a device may change with a restart.
    pub file: (u64, u64),
    /// When the change began, in nanoseconds since 1970.
    pub time_ns: i64,
    /// The verb, such as "revert"; "rollback of revert" for the rollback of an interrupted one.
    pub verb: String,
    /// The change of several targets that it is part of: see [`SetChange`](super::SetChange). Then zeros in the place
    /// of a snapshot mean that there was, or is to be, no file.
    pub set: Option<Digest>,
}

impl Intent {
    /// Whether it is the rollback of an interrupted change.
    pub fn is_rollback(&self) -> bool {
        is_rollback(&self.verb)
    }

    /// Whether the content before was not stored, so that the change cannot be rolled back.
    pub fn is_final(&self) -> bool {
        self.from.is_zero() && self.set.is_none()
    }

    /// The change in the opposite direction, begun at `time_ns`.
    pub fn reversed(&self, time_ns: i64) -> Intent {
        let (from, from_image, verb) = (self.to, self.to_image, reversed(&self.verb));
        Intent { from, from_image, to: self.from, to_image: self.from_image, time_ns, verb, ..self.clone() }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = FileKind::Intent.head(if self.set.is_some() { OF_SET } else { 0 }).to_vec();
        for digest in [&self.from, &self.from_image, &self.to, &self.to_image] {
            out.extend_from_slice(&digest.0);
        }
        for n in [self.file.0, self.file.1, self.time_ns.cast_unsigned(), self.verb.len() as u64] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        out.extend_from_slice(self.verb.as_bytes());
        self.set.iter().for_each(|set| out.extend_from_slice(&set.0));
        let check = Digest::of(&out);
        out.extend_from_slice(&check.0);
        out
    }

    /// Its identifier in a change marker.
    pub(super) fn label(&self) -> String {
        Digest::of(&self.encode()).to_string()[..LABEL_DIGITS].into()
    }

    /// The last finished change in the history in `dir`.
    pub(super) fn last_in(dir: &Path) -> Option<Intent> {
        Intent::decode(&create::read_small(&dir.join(UNDO), MOST).ok()?).ok()
    }

    fn decode(bytes: &[u8]) -> std::result::Result<Intent, Bad> {
        let (body, check) = bytes.split_last_chunk::<32>().ok_or_else(|| Bad::Damaged("it ends too early".into()))?;
        if Digest::of(body).0 != *check {
            return Err(Bad::Damaged("it does not match its check".into()));
        }
        let mut fields = Fields::new(body);
        let head = fields.bytes(16)?;
        let flags = FileKind::Intent.check(head.try_into().expect("16 bytes"), OF_SET)?;
        let digests = [fields.digest()?, fields.digest()?, fields.digest()?, fields.digest()?];
        let file = (fields.u64()?, fields.u64()?);
        let time_ns = fields.i64()?;
        let n = usize::try_from(fields.u64()?).unwrap_or(usize::MAX);
        let verb = String::from_utf8(fields.bytes(n)?.to_vec());
        let set = if flags & OF_SET == 0 { None } else { Some(fields.digest()?) };
        fields.end()?;
        let verb = verb.map_err(|_| Bad::Damaged("its verb is not UTF-8".into()))?;
        let [from, from_image, to, to_image] = digests;
        if from.is_zero() != from_image.is_zero() || to.is_zero() != to_image.is_zero() {
            return Err(Bad::Damaged("it names a snapshot without an image, or an image without a snapshot".into()));
        }
        if to.is_zero() && (set.is_none() || from.is_zero()) {
            return Err(Bad::Damaged("it names no snapshot that the target is to hold".into()));
        }
        Ok(Intent { from, from_image, to, to_image, file, time_ns, verb, set })
    }
}

pub(super) fn is_rollback(verb: &str) -> bool {
    verb.starts_with(ROLLBACK)
}

/// The verb of a rollback of a change by `verb`, or of the change that is rolled back.
pub(super) fn reversed(verb: &str) -> String {
    verb.strip_prefix(ROLLBACK).map_or_else(|| format!("{ROLLBACK}{verb}"), String::from)
}

impl History {
    fn read_intent(&self, name: &str) -> Result<Option<Intent>> {
        let path = self.dir().join(name);
        let Some(bytes) = create::read_small_if_any(&path, MOST)? else { return Ok(None) };
        Intent::decode(&bytes).map(Some).map_err(|e| e.of(&path))
    }

    /// Returns the unfinished change, if there is one.
    #[doc(hidden)]
    pub fn intent(&self) -> Result<Option<Intent>> {
        Ok(self.read_intent(NAME)?.filter(|intent| self.ended(intent).is_none()))
    }

    /// The change of several targets that `intent` was part of, as it has ended for this one: it is only to become the
    /// record of the last change.
    fn ended(&self, intent: &Intent) -> Option<Intent> {
        self.set_changes().finished(&intent.set?)?.intent_of(self.key())
    }

    /// As [`History::intent`]; ends here what has ended as a change of several targets.
    pub(crate) fn settled_intent(&self, lock: &WriteLock) -> Result<Option<Intent>> {
        let Some(intent) = self.read_intent(NAME)? else { return Ok(None) };
        let Some(ended) = self.ended(&intent) else { return Ok(Some(intent)) };
        self.end_change(lock, Some(&ended))?;
        Ok(None)
    }

    /// Whether a record here is part of the change `set`.
    pub(super) fn refers_to(&self, set: &Digest) -> bool {
        // What cannot be read may be such a record.
        let refers = |name| self.read_intent(name).map_or(true, |intent| intent.is_some_and(|i| i.set == Some(*set)));
        refers(NAME) || refers(UNDO)
    }

    /// Returns the last finished change, if there is one.
    #[doc(hidden)]
    pub fn last_change(&self) -> Result<Option<Intent>> {
        // Of several targets: it has ended, though not yet here.
        let ended = self.read_intent(NAME).ok().flatten().and_then(|intent| self.ended(&intent));
        if ended.is_some() { Ok(ended) } else { self.undo_record() }
    }

    fn undo_record(&self) -> Result<Option<Intent>> {
        let last = self.read_intent(UNDO)?;
        if last.as_ref().is_some_and(Intent::is_final) {
            return Err(Error::damaged(&self.dir().join(UNDO), "it does not name the snapshot before the change"));
        }
        Ok(last)
    }

    /// Records the beginning of a change: the record is on disk when this returns.
    #[doc(hidden)]
    pub fn begin_change(&self, lock: &WriteLock, intent: &Intent) -> Result<()> {
        lock.check()?;
        // The end of the change would replace the record of a newer version.
        if let Err(newer @ Error::Version { .. }) = self.undo_record() {
            return Err(newer);
        }
        if planted(Bug::NoIntent) {
            return Ok(());
        }
        self.put_small(NAME, &intent.encode())
    }

    /// Removes the record of the unfinished change; `done` becomes the last finished change. After a change without
    /// undo there is no last change, as earlier ones can no longer be undone.
    #[doc(hidden)]
    pub fn end_change(&self, _lock: &WriteLock, done: Option<&Intent>) -> Result<()> {
        let path = self.dir().join(NAME);
        if done.is_some_and(Intent::is_final) {
            let undo = self.dir().join(UNDO);
            match no_follow::remove_file(&undo) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                removed => removed.at("removing", &undo)?,
            }
            create::sync_dir(self.dir())?; // before the record of this change goes
        } else if let Some(intent) = done {
            // Not renamed from the intent: a rollback ends with another record than it began with.
            self.put_small(UNDO, &intent.encode())?;
        }
        match no_follow::remove_file(&path) {
            Err(_) if planted(Bug::NoIntent) => {}
            removed => removed.at("removing", &path)?,
        }
        create::sync_dir(self.dir())
    }
}
