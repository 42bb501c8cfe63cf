//! The intent: the record that lets an interrupted change of a target be finished or rolled back.

use std::io;
use std::path::Path;

use super::history::History;
use super::write_lock::WriteLock;
use crate::error::{At, Error, Result};
use crate::pack::{Bad, Fields, FileKind};
use crate::page::Digest;
use crate::planted::{Bug, planted};
use crate::sys::{create, no_follow};

/// The record of a change that was begun and has not ended.
pub(super) const NAME: &str = "intent";
/// The record of the last change that was finished: what `undo` reverts.
const UNDO: &str = "undo";
const MOST: usize = 256 << 10;
/// Digits of its digest by which a change marker names a record.
pub(super) const LABEL_DIGITS: usize = 16;
/// Prefix of the verb of a change that rolls back an interrupted one.
const WAY_BACK: &str = "rollback of ";

/// "Bring the target from image X to image Y." Both are snapshots of the history; the pages to write follow from their
/// maps, so they are not listed again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The snapshot that the target held before; zeros when that was not stored.
    pub from: Digest,
    /// Its image digest; or zeros.
    pub from_image: Digest,
    /// The snapshot that it is to hold.
    pub to: Digest,
    /// Its image digest.
    pub to_image: Digest,
    /// Device and inode of the target. After a restart, a device may have another number.
    pub file: (u64, u64),
    /// When it was begun, nanoseconds since 1970.
    pub time_ns: i64,
    /// The verb: "revert", "undo", "apply"; "rollback of revert" when that was interrupted and is taken back.
    pub verb: String,
}

impl Intent {
    /// Whether this takes back a change that was interrupted.
    pub fn is_way_back(&self) -> bool {
        self.verb.starts_with(WAY_BACK)
    }

    /// Whether what the target held before was not stored: it can only be finished.
    pub fn is_final(&self) -> bool {
        self.from.is_zero()
    }

    /// The change the other way round, begun at this time.
    pub fn turned(&self, time_ns: i64) -> Intent {
        let verb = self.verb.strip_prefix(WAY_BACK).map_or_else(|| format!("{WAY_BACK}{}", self.verb), String::from);
        Intent {
            from: self.to,
            from_image: self.to_image,
            to: self.from,
            to_image: self.from_image,
            file: self.file,
            time_ns,
            verb,
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = FileKind::Intent.head(0).to_vec();
        for digest in [&self.from, &self.from_image, &self.to, &self.to_image] {
            out.extend_from_slice(&digest.0);
        }
        out.extend_from_slice(&self.file.0.to_le_bytes());
        out.extend_from_slice(&self.file.1.to_le_bytes());
        out.extend_from_slice(&self.time_ns.to_le_bytes());
        out.extend_from_slice(&(self.verb.len() as u64).to_le_bytes());
        out.extend_from_slice(self.verb.as_bytes());
        let check = Digest::of(&out);
        out.extend_from_slice(&check.0);
        out
    }

    /// What a change marker calls it.
    pub(super) fn label(&self) -> String {
        Digest::of(&self.encode()).to_string()[..LABEL_DIGITS].into()
    }

    /// The last change that was finished according to the history in `dir`.
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

    /// The change that was begun and not finished, if there is one.
    ///
    /// # Errors
    /// When its record cannot be read or believed.
    #[doc(hidden)]
    pub fn intent(&self) -> Result<Option<Intent>> {
        self.read_intent(NAME)
    }

    /// The last change that was finished, if there was one.
    ///
    /// # Errors
    /// When its record cannot be read or believed.
    #[doc(hidden)]
    pub fn last_change(&self) -> Result<Option<Intent>> {
        let last = self.read_intent(UNDO)?;
        if last.as_ref().is_some_and(Intent::is_final) {
            return Err(Error::damaged(&self.dir().join(UNDO), "it says nothing of what the target held before"));
        }
        Ok(last)
    }

    /// Begins a change: the record is on disk when this returns.
    ///
    /// # Errors
    /// What writing says; [`Error::Busy`] when the history's lock is not ours any more.
    #[doc(hidden)]
    pub fn begin_change(&self, writing: &WriteLock, intent: &Intent) -> Result<()> {
        writing.check()?;
        // Its place is taken at the end.
        if let Err(newer @ Error::Version { .. }) = self.last_change() {
            return Err(newer);
        }
        if planted(Bug::NoIntent) {
            return Ok(());
        }
        self.put_small(NAME, &intent.encode())
    }

    /// Ends a change: its record becomes that of the last one. With `None` it is forgotten. After one without undo
    /// there is none: an earlier one could not be taken back any more.
    #[doc(hidden)]
    pub fn end_change(&self, _writing: &WriteLock, done: Option<&Intent>) -> Result<()> {
        let path = self.dir().join(NAME);
        if done.is_some_and(Intent::is_final) {
            let undo = self.dir().join(UNDO);
            match no_follow::remove_file(&undo) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                removed => removed.at("removing", &undo)?,
            }
            create::sync_dir(self.dir())?; // before the record of this change goes
        } else if let Some(intent) = done {
            // Written anew, not renamed: a rollback ends a change other than the one that was begun.
            self.put_small(UNDO, &intent.encode())?;
        }
        match no_follow::remove_file(&path) {
            Err(_) if planted(Bug::NoIntent) => {}
            removed => removed.at("removing", &path)?,
        }
        create::sync_dir(self.dir())
    }
}
