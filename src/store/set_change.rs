//! Changes of several targets, all or nothing: the record of one that is under way or was interrupted, and that of the
//! last finished one, which `undo` reverts.
//!
//! Both are in the directory `sets` of the store. The record appears before the intent of any member and names all of
//! them. It alone says in which direction the change goes. Its new name, when all is written, is the commit: until then
//! every member has an intent, so that where one has none, nothing has been written.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use super::Store;
use super::history::History;
use super::intent::{Intent, is_rollback, reversed};
use super::set::DIR;
use super::set_files;
use crate::error::{At, Result};
use crate::pack::{Bad, Fields, FileKind};
use crate::page::Digest;
use crate::planted::{Bug, planted};
use crate::sys::create::Owner;
use crate::sys::{create, id, no_follow};

const UNFINISHED: &str = "intent";
const FINISHED: &str = "undo";
const MOST: usize = 32 << 20;

/// The record of a change of several targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetChange {
    /// Chosen at random; the name of its file.
    pub id: Digest,
    /// When the change began, in nanoseconds since 1970.
    pub time_ns: i64,
    /// The verb, as that of an [`Intent`].
    pub verb: String,
    /// Its targets, in the order in which they are written.
    pub members: Vec<SetChangeMember>,
}

/// A target of a change of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetChangeMember {
    /// By which the store knows the target.
    pub key: Vec<u8>,
    /// The snapshot of the content before, and its image digest; `None`: there was no file.
    pub from: Option<(Digest, Digest)>,
    /// The snapshot of the content after, and its image digest; `None`: there is to be no file.
    pub to: Option<(Digest, Digest)>,
    /// Device and inode of the target before; zeros if there was none.
    pub file: (u64, u64),
}

impl SetChange {
    /// A change by `verb` that begins now.
    pub fn new(verb: &str, members: Vec<SetChangeMember>) -> SetChange {
        let random = [id::random16(), id::random16()].concat();
        SetChange { id: Digest::of(&random), time_ns: id::now_ns(), verb: verb.into(), members }
    }

    /// Whether it is the rollback of an interrupted change.
    pub fn is_rollback(&self) -> bool {
        is_rollback(&self.verb)
    }

    /// The same change in the opposite direction.
    pub fn reversed(&self) -> SetChange {
        let back = |m: &SetChangeMember| SetChangeMember { from: m.to, to: m.from, ..m.clone() };
        let members = self.members.iter().map(back).collect();
        SetChange { id: self.id, time_ns: id::now_ns(), verb: reversed(&self.verb), members }
    }

    /// The intent of the target with this key.
    pub fn intent_of(&self, key: &[u8]) -> Option<Intent> {
        let member = self.members.iter().find(|member| member.key == key)?;
        let none = (Digest::ZERO, Digest::ZERO);
        let ((from, from_image), (to, to_image)) = (member.from.unwrap_or(none), member.to.unwrap_or(none));
        let (file, time_ns, verb) = (member.file, self.time_ns, self.verb.clone());
        Some(Intent { from, from_image, to, to_image, file, time_ns, verb, set: Some(self.id) })
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = FileKind::SetChange.head(0).to_vec();
        out.extend_from_slice(&self.id.0);
        out.extend_from_slice(&self.time_ns.to_le_bytes());
        for n in [self.verb.len(), self.members.len()] {
            out.extend_from_slice(&(n as u64).to_le_bytes());
        }
        out.extend_from_slice(self.verb.as_bytes());
        for member in &self.members {
            for (snapshot, image) in [member.from, member.to].map(|end| end.unwrap_or((Digest::ZERO, Digest::ZERO))) {
                out.extend_from_slice(&snapshot.0);
                out.extend_from_slice(&image.0);
            }
            for n in [member.file.0, member.file.1, member.key.len() as u64] {
                out.extend_from_slice(&n.to_le_bytes());
            }
            out.extend_from_slice(&member.key);
        }
        let check = Digest::of(&out);
        out.extend_from_slice(&check.0);
        out
    }

    fn decode(bytes: &[u8], id: &Digest) -> std::result::Result<SetChange, Bad> {
        let damaged = |what: &str| Bad::Damaged(what.into());
        let (body, check) = bytes.split_last_chunk::<32>().ok_or_else(|| damaged("it ends too early"))?;
        if Digest::of(body).0 != *check {
            return Err(damaged("it does not match its check"));
        }
        let mut fields = Fields::new(body);
        FileKind::SetChange.check(fields.bytes(16)?.try_into().expect("16 bytes"), 0)?;
        if fields.digest()? != *id {
            return Err(damaged("it has the name of another one"));
        }
        let (time_ns, verb, count) = (fields.i64()?, size(fields.u64()?), fields.u64()?);
        let verb = String::from_utf8(fields.bytes(verb)?.to_vec()).map_err(|_| damaged("its verb is not UTF-8"))?;
        let mut members: Vec<SetChangeMember> = Vec::new();
        for _ in 0..count {
            let (from, to) = (end(&mut fields)?, end(&mut fields)?);
            let (file, key) = ((fields.u64()?, fields.u64()?), size(fields.u64()?));
            let key = fields.bytes(key)?.to_vec();
            if from.is_none() && to.is_none() {
                return Err(damaged("a member of it is no file before and after"));
            }
            members.push(SetChangeMember { key, from, to, file });
        }
        fields.end()?;
        let mut keys: Vec<_> = members.iter().map(|member| &member.key).collect();
        keys.sort_unstable();
        if keys.is_empty() || keys.windows(2).any(|two| two[0] == two[1]) {
            return Err(damaged("it names no member, or one twice"));
        }
        Ok(SetChange { id: *id, time_ns, verb, members })
    }
}

fn size(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// A snapshot and its image digest; zeros in both are no file.
fn end(fields: &mut Fields<'_>) -> std::result::Result<Option<(Digest, Digest)>, Bad> {
    let (snapshot, image) = (fields.digest()?, fields.digest()?);
    if snapshot.is_zero() != image.is_zero() {
        return Err(Bad::Damaged("it names a snapshot without an image, or an image without a snapshot".into()));
    }
    Ok((!snapshot.is_zero()).then_some((snapshot, image)))
}

/// The records of a store.
#[derive(Clone, Debug)]
pub struct SetChanges {
    dir: PathBuf,
    owner: Owner,
}

impl History {
    /// Those of its store.
    pub(crate) fn set_changes(&self) -> SetChanges {
        SetChanges { dir: no_follow::parent(self.dir()).join(DIR), owner: self.store_owner() }
    }
}

impl Store {
    /// Those of this store.
    pub(crate) fn set_changes(&self) -> SetChanges {
        SetChanges { dir: self.dir().join(DIR), owner: self.owner }
    }
}

impl SetChanges {
    fn path(&self, id: &Digest, kind: &str) -> PathBuf {
        self.dir.join(format!("{id}.{kind}"))
    }

    fn read(&self, id: &Digest, kind: &str) -> Result<Option<SetChange>> {
        let path = self.path(id, kind);
        let Some(bytes) = create::read_small_if_any(&path, MOST)? else { return Ok(None) };
        SetChange::decode(&bytes, id).map(Some).map_err(|e| e.of(&path))
    }

    /// The change `id`, if it has begun and not ended.
    pub(crate) fn unfinished(&self, id: &Digest) -> Result<Option<SetChange>> {
        self.read(id, UNFINISHED)
    }

    /// The unfinished change of which the target with this key is one.
    pub(crate) fn unfinished_of(&self, key: &[u8]) -> Result<Option<SetChange>> {
        let changes = self.all()?.into_iter().filter(|(_, unfinished, _)| *unfinished);
        let mut changes = changes.filter_map(|(_, _, change)| change.ok());
        Ok(changes.find(|change| change.members.iter().any(|member| member.key == key)))
    }

    /// The change `id`, if it has ended and can be undone; an error if its record cannot be read.
    pub(crate) fn last(&self, id: &Digest) -> Result<Option<SetChange>> {
        self.read(id, FINISHED)
    }

    /// The change `id`, if it has ended and its record can be read.
    pub(crate) fn finished(&self, id: &Digest) -> Option<SetChange> {
        self.last(id).ok().flatten()
    }

    /// Records the beginning of a change, or another direction of it: the record is on disk when this returns. The
    /// caller holds the locks of all members.
    pub(crate) fn begin(&self, change: &SetChange) -> Result<()> {
        if create::make_dir_for(&self.dir, Some(self.owner))? {
            create::sync_dir(no_follow::parent(&self.dir))?;
        }
        create::check_private(&self.dir)?;
        let name = OsString::from(format!("{}.{UNFINISHED}", change.id));
        set_files::put(&self.dir, self.owner, &name, &change.encode())
    }

    /// The commit: from now on the change has ended for all members, and is the last of each.
    pub(crate) fn end(&self, id: &Digest) -> Result<()> {
        let (from, to) = (self.path(id, UNFINISHED), self.path(id, FINISHED));
        match no_follow::rename(&from, &to) {
            Err(_) if planted(Bug::SetIntentLate) => {}
            renamed => renamed.at("renaming", &from)?,
        }
        set_files::sweep(&self.dir);
        create::sync_dir(&self.dir)
    }

    /// Removes the record of a change that no member records any more.
    pub(crate) fn withdraw(&self, id: &Digest) -> Result<()> {
        let path = self.path(id, UNFINISHED);
        match no_follow::remove_file(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            removed => removed.at("removing", &path)?,
        }
        set_files::sweep(&self.dir);
        create::sync_dir(&self.dir)
    }

    /// All records, with their paths: those of unfinished changes, and those of finished ones.
    pub(crate) fn all(&self) -> Result<Vec<(PathBuf, bool, Result<SetChange>)>> {
        let mut found = Vec::new();
        if no_follow::metadata_if_any(&self.dir)?.is_none() {
            return Ok(found);
        }
        for entry in no_follow::read_dir(&self.dir).at("listing", &self.dir)? {
            let name = entry.at("listing", &self.dir)?.file_name();
            let Some((id, kind)) = parse(&name) else { continue };
            match self.read(&id, kind) {
                // It was renamed or removed meanwhile.
                Ok(None) => {}
                Ok(Some(change)) => found.push((self.dir.join(&name), kind == UNFINISHED, Ok(change))),
                Err(e) => found.push((self.dir.join(&name), kind == UNFINISHED, Err(e))),
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    /// Removes the records of finished changes that no member has as its last one any more. None becomes that again,
    /// so no lock is needed. What cannot be read or removed stays.
    pub(crate) fn sweep(&self, store: &Store) {
        let needed = |change: &SetChange, key: &[u8]| {
            store.history_of_key(key).map_or(true, |history| history.is_some_and(|h| h.refers_to(&change.id)))
        };
        for (path, unfinished, change) in self.all().unwrap_or_default() {
            let Ok(change) = change else { continue };
            if !unfinished && !change.members.iter().any(|member| needed(&change, &member.key)) {
                let _ = no_follow::remove_file(&path);
            }
        }
    }
}

/// The id and the kind of a record, by its name.
fn parse(name: &OsStr) -> Option<(Digest, &'static str)> {
    let (id, kind) = Path::new(name).to_str()?.split_once('.')?;
    let kind = [UNFINISHED, FINISHED].into_iter().find(|known| *known == kind)?;
    Some((id.parse().ok()?, kind))
}

#[cfg(test)]
#[path = "set_change_test.rs"]
mod tests;
