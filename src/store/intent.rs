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
}

impl Intent {
    /// Whether it is the rollback of an interrupted change.
    pub fn is_rollback(&self) -> bool {
        self.verb.starts_with(ROLLBACK)
    }

    /// Whether the content before was not stored, so that the change cannot be rolled back.
    pub fn is_final(&self) -> bool {
        self.from.is_zero()
    }

    /// The change in the opposite direction, begun at `time_ns`.
    pub fn reversed(&self, time_ns: i64) -> Intent {
        let verb = self.verb.strip_prefix(ROLLBACK).map_or_else(|| format!("{ROLLBACK}{}", self.verb), String::from);
        let (from, from_image) = (self.to, self.to_image);
        Intent { from, from_image, to: self.from, to_image: self.from_image, file: self.file, time_ns, verb }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = FileKind::Intent.head(0).to_vec();
        for digest in [&self.from, &self.from_image, &self.to, &self.to_image] {
            out.extend_from_slice(&digest.0);
        }
        for n in [self.file.0, self.file.1, self.time_ns.cast_unsigned(), self.verb.len() as u64] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        out.extend_from_slice(self.verb.as_bytes());
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
        FileKind::Intent.check(head.try_into().expect("16 bytes"), 0)?;
        let digests = [fields.digest()?, fields.digest()?, fields.digest()?, fields.digest()?];
        let file = (fields.u64()?, fields.u64()?);
        let time_ns = fields.i64()?;
        let n = usize::try_from(fields.u64()?).unwrap_or(usize::MAX);
        let verb = String::from_utf8(fields.bytes(n)?.to_vec());
        fields.end()?;
        let verb = verb.map_err(|_| Bad::Damaged("its verb is not UTF-8".into()))?;
        let [from, from_image, to, to_image] = digests;
        if from.is_zero() != from_image.is_zero() {
            return Err(Bad::Damaged("it names a snapshot without an image, or an image without a snapshot".into()));
        }
        Ok(Intent { from, from_image, to, to_image, file, time_ns, verb })
    }
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
        self.read_intent(NAME)
    }

    /// Returns the last finished change, if there is one.
    #[doc(hidden)]
    pub fn last_change(&self) -> Result<Option<Intent>> {
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
        if let Err(newer @ Error::Version { .. }) = self.last_change() {
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
