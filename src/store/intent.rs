//! The intent: the record that lets an interrupted change of a target be finished or rolled back.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::room::{Room, Writing, is_being_written};
use crate::error::{At, Error, Result};
use crate::pack::{Bad, Fields, FileKind};
use crate::page::Digest;
use crate::planted::{Bug, planted};
use crate::sys::{create, straight, xattr};

const NAME: &str = "intent";
/// The record of the last change that was finished: what `undo` goes by.
const UNDO: &str = "undo";
const MOST: usize = 256 << 10;
const ATTR: &[u8] = b"user.memsnap.intent";
/// How the verb of a change begins that is the way back of an interrupted one.
const WAY_BACK: &str = "rollback of ";

/// "Bring the target from image X to image Y." Both are snapshots of the room; the pages to write follow from their
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

    /// What a mark calls it.
    fn label(&self) -> String {
        Digest::of(&self.encode()).to_hex()[..MARK_DIGITS].into()
    }

    fn decode(bytes: &[u8]) -> std::result::Result<Intent, Bad> {
        let mut fields = Fields::new(bytes);
        let head = fields.bytes(16)?;
        FileKind::Intent.check(head.try_into().expect("16 bytes"), 0)?;
        let digests = [fields.digest()?, fields.digest()?, fields.digest()?, fields.digest()?];
        let file = (fields.u64()?, fields.u64()?);
        let time_ns = fields.i64()?;
        let n = usize::try_from(fields.u64()?).unwrap_or(usize::MAX);
        let verb = String::from_utf8(fields.bytes(n)?.to_vec());
        let check = fields.digest()?;
        fields.end()?;
        if Digest::of(&bytes[..bytes.len() - 32]) != check {
            return Err(Bad::Damaged("it does not match its check".into()));
        }
        let verb = verb.map_err(|_| Bad::Damaged("its verb is not UTF-8".into()))?;
        let [from, from_image, to, to_image] = digests;
        if from.is_zero() != from_image.is_zero() {
            return Err(Bad::Damaged("it names a snapshot without an image, or an image without a snapshot".into()));
        }
        Ok(Intent { from, from_image, to, to_image, file, time_ns, verb })
    }
}

impl Room {
    fn read_intent(&self, name: &str) -> Result<Option<Intent>> {
        let path = self.dir().join(name);
        let Some(bytes) = create::read_small_if_any(&path, MOST)? else { return Ok(None) };
        Intent::decode(&bytes).map(Some).map_err(|e| e.of(&path))
    }

    /// The change that was begun and not finished, if there is one.
    ///
    /// # Errors
    /// When its record cannot be read or believed.
    pub fn intent(&self) -> Result<Option<Intent>> {
        self.read_intent(NAME)
    }

    /// The last change that was finished, if there was one.
    ///
    /// # Errors
    /// When its record cannot be read or believed.
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
    /// What writing says; [`Error::Busy`] when the room's lock is not ours any more.
    pub fn begin_change(&self, writing: &Writing, intent: &Intent) -> Result<()> {
        writing.check()?;
        if planted(Bug::NoIntent) {
            return Ok(());
        }
        create::write_small(self.dir(), OsStr::new(NAME), &intent.encode())
    }

    /// Ends a change: its record becomes that of the last one. With `None` it is forgotten. After one without undo there is
    /// none: an earlier one could not be taken back any more.
    ///
    /// # Errors
    /// What the system says.
    pub fn end_change(&self, _writing: &Writing, done: Option<&Intent>) -> Result<()> {
        let path = self.dir().join(NAME);
        if done.is_some_and(Intent::is_final) {
            let undo = self.dir().join(UNDO);
            match straight::remove_file(&undo) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                removed => removed.at("removing", &undo)?,
            }
        } else if let Some(intent) = done {
            // Written anew, not renamed: a rollback ends a change other than the one that was begun.
            create::write_small(self.dir(), OsStr::new(UNDO), &intent.encode())?;
        }
        match straight::remove_file(&path) {
            Err(_) if planted(Bug::NoIntent) => {}
            removed => removed.at("removing", &path)?,
        }
        create::sync_dir(self.dir())
    }
}

/// The mark on a target that is being changed: an extended attribute with the path of the room whose intent it is, so
/// that no other store captures a half-changed file unaware.
#[derive(Clone, Debug)]
pub struct Mark {
    /// The folder of the room.
    pub room: PathBuf,
}

/// Digits of an intent's digest in a mark.
const MARK_DIGITS: usize = 16;

impl Mark {
    /// Puts the mark on. A file system without attributes goes without.
    pub fn set(file: &File, room: &Room, intent: &Intent) {
        let mut value = intent.label().into_bytes();
        value.push(b' ');
        value.extend_from_slice(room.dir().as_os_str().as_bytes());
        let _ = xattr::set(file, ATTR, &value);
    }

    /// Takes the mark off.
    pub fn clear(file: &File) {
        let _ = xattr::remove(file, ATTR);
    }

    /// The mark of a change that is still unfinished. One is stale only where its room says that this very change was
    /// finished: a crash may keep a mark that was taken off.
    pub fn get(file: &File) -> Option<Mark> {
        let bytes = xattr::get(file, ATTR).ok().flatten()?;
        let (label, path) = bytes.split_at_checked(MARK_DIGITS + 1)?;
        let room = PathBuf::from(OsString::from_vec(path.to_vec()));
        let finished = || {
            let record = create::read_small(&room.join(UNDO), MOST).ok()?;
            let done = Intent::decode(&record).ok()?;
            Some(done.label().as_bytes() == &label[..MARK_DIGITS])
        };
        let no_record = fs::symlink_metadata(room.join(NAME)).is_err_and(|e| e.kind() == io::ErrorKind::NotFound);
        let stale = no_record && finished() == Some(true);
        (!stale).then_some(Mark { room })
    }

    /// Whether an attribute of this name is the mark: it is no part of a target's history.
    pub fn is_name(name: &[u8]) -> bool {
        name == ATTR
    }

    /// Whether the change is under way at this moment: somebody holds the room's lock.
    pub fn is_busy(&self) -> bool {
        is_being_written(&self.room)
    }

    /// The error for a verb that only reads.
    pub fn refusal_to_read(&self, target: &std::path::Path) -> Error {
        if self.is_busy() {
            return Error::Busy {
                path: target.into(),
                holder: "another memsnap is changing it".into(),
                hint: "try again when that has ended".into(),
            };
        }
        self.refusal(target)
    }

    /// The error for a verb that needs a whole file.
    pub fn refusal(&self, target: &std::path::Path) -> Error {
        Error::refused(
            format!("a change of {} was interrupted (recorded in {})", target.display(), self.room.display()),
            "run `memsnap recover` on it first, with the --store that it was changed with".to_string(),
        )
    }
}
