//! Sets: files that were captured at one moment. A set is one small file in the store, whose appearance is the commit of
//! all snapshots that it names.
//!
//! A new snapshot of a member first appears as a `.part` that names its set; it is garbage until the set appears, and a
//! snapshot from then on, whatever its name. The writer then gives it its name; if it is killed, the next one does.

use std::ffi::OsStr;
use std::path::PathBuf;

use super::commit::UnnamedSnapshot;
use super::file_names::{SnapName, part};
use super::history::History;
use super::place::Store;
use super::set_files;
use super::write_lock::WriteLock;
use crate::error::{At, Cause, Error, Result};
use crate::pack::{Bad, Fields, FileKind, Meta};
use crate::page::Digest;
use crate::planted::{Bug, planted};
use crate::sys::{create, no_follow};

/// The directory of sets in a store.
pub(super) const DIR: &str = "sets";
/// Most members of a set.
pub const MOST_MEMBERS: usize = 4096;
/// Most bytes of a set.
const MOST: usize = 64 << 20;
/// Bytes of the head, and longest text.
const HEAD: usize = 16;
const MOST_TEXT: usize = 64 << 10;

/// Files that were captured at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// When, in nanoseconds since 1970.
    pub time_ns: i64,
    /// The set before it: of the same directory, or with a member in common. [`Digest::ZERO`]: none.
    pub parent: Digest,
    /// The directory whose files it holds, as a key; `None` for files that were named.
    pub directory: Option<Vec<u8>>,
    /// The message of the user.
    pub message: String,
    /// Name of the host.
    pub host: String,
    /// Its members, sorted by key.
    pub members: Vec<SetMember>,
}

/// A member of a set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SetMember {
    /// The bytes by which the store identifies the file.
    pub key: Vec<u8>,
    /// Its snapshot.
    pub snapshot: Digest,
}

impl Set {
    /// The keys that it has and `other` has not.
    pub fn keys_not_in<'a>(&'a self, other: &'a Set) -> impl Iterator<Item = &'a [u8]> {
        let has = |key: &[u8]| other.members.binary_search_by(|member| member.key[..].cmp(key)).is_ok();
        self.members.iter().map(|member| &member.key[..]).filter(move |key| !has(key))
    }

    /// The snapshot of the file with this key.
    pub fn snapshot_of(&self, key: &[u8]) -> Option<Digest> {
        let at = self.members.binary_search_by(|member| member.key[..].cmp(key)).ok()?;
        Some(self.members[at].snapshot)
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = FileKind::Set.head(0).to_vec();
        out.extend_from_slice(&self.time_ns.to_le_bytes());
        out.extend_from_slice(&self.parent.0);
        out.extend_from_slice(&[u8::from(self.directory.is_some()), 0, 0, 0]);
        out.extend_from_slice(&(self.members.len() as u32).to_le_bytes());
        let directory = self.directory.as_deref().unwrap_or_default();
        for text in [directory, self.message.as_bytes(), self.host.as_bytes()] {
            put_text(&mut out, text);
        }
        for member in &self.members {
            out.extend_from_slice(&member.snapshot.0);
            put_text(&mut out, &member.key);
        }
        out
    }

    fn decode(bytes: &[u8]) -> std::result::Result<Set, Bad> {
        let damaged = |what: &str| Bad::Damaged(what.into());
        let mut fields = Fields::new(bytes);
        FileKind::Set.check(fields.bytes(HEAD)?.try_into().expect("16 bytes"), 0)?;
        let (time_ns, parent, has_directory) = (fields.i64()?, fields.digest()?, fields.u8()?);
        fields.zeros(3)?;
        let n = fields.u32()? as usize;
        if n > MOST_MEMBERS || has_directory > 1 {
            return Err(damaged("its fields are impossible"));
        }
        let text = |fields: &mut Fields<'_>| {
            String::from_utf8(take_text(fields)?.to_vec()).map_err(|_| damaged("a text in it is not UTF-8"))
        };
        let directory = take_text(&mut fields)?.to_vec();
        let (message, host) = (text(&mut fields)?, text(&mut fields)?);
        let mut members: Vec<SetMember> = Vec::new();
        for _ in 0..n {
            let (snapshot, key) = (fields.digest()?, take_text(&mut fields)?.to_vec());
            if members.last().is_some_and(|last| last.key >= key) {
                return Err(damaged("its members are not sorted"));
            }
            members.push(SetMember { key, snapshot });
        }
        fields.end()?;
        let directory = (has_directory == 1).then_some(directory);
        Ok(Set { time_ns, parent, directory, message, host, members })
    }
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text);
}

fn take_text<'a>(fields: &mut Fields<'a>) -> std::result::Result<&'a [u8], Bad> {
    let n = fields.u32()? as usize;
    if n > MOST_TEXT {
        return Err(Bad::Damaged("a text in it is too long".into()));
    }
    fields.bytes(n)
}

/// The file name of a set.
fn file_name(id: &Digest) -> String {
    format!("{id}.set")
}

/// Parses what [`file_name`] returns.
fn parse(name: &OsStr) -> Option<Digest> {
    let id = name.to_str()?.strip_suffix(".set")?.parse().ok()?;
    (file_name(&id).as_str() == name).then_some(id)
}

/// Sets with their ids.
pub type Sets = Vec<(Digest, Set)>;

/// A new snapshot of a member of a new set, with the history and its lock.
pub type NewPart<'a> = (&'a History, &'a mut WriteLock, UnnamedSnapshot);

impl Store {
    fn sets_dir(&self) -> PathBuf {
        self.dir.join(DIR)
    }

    /// The path of a set.
    pub(crate) fn set_path(&self, id: &Digest) -> PathBuf {
        self.sets_dir().join(file_name(id))
    }

    /// The ids of all sets, sorted.
    ///
    /// # Errors
    /// When they cannot be listed.
    #[doc(hidden)]
    pub fn set_ids(&self) -> Result<Vec<Digest>> {
        let dir = self.sets_dir();
        let entries = match no_follow::read_dir(&dir) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.at("listing", &dir)?,
        };
        let mut ids = Vec::new();
        for entry in entries {
            ids.extend(parse(&entry.at("listing", &dir)?.file_name()));
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// Reads a set.
    ///
    /// # Errors
    /// [`Error::Damaged`] when its bytes do not match its name.
    #[doc(hidden)]
    pub fn set(&self, id: &Digest) -> Result<Set> {
        let path = self.set_path(id);
        let bytes = create::read_small(&path, MOST)?;
        if Digest::of(&bytes) != *id {
            return Err(Error::damaged(&path, "its bytes are not what its name says"));
        }
        Set::decode(&bytes).map_err(|bad| bad.of(&path))
    }

    /// All sets, oldest first, and the errors of those that cannot be read.
    ///
    /// # Errors
    /// When they cannot be listed.
    #[doc(hidden)]
    pub fn sets(&self) -> Result<(Sets, Vec<Error>)> {
        let (mut sets, mut faults) = (Vec::new(), Vec::new());
        for id in self.set_ids()? {
            match self.set(&id) {
                Ok(set) => sets.push((id, set)),
                Err(e) => faults.push(e),
            }
        }
        sets.sort_by_key(|(id, set)| (set.time_ns, *id));
        Ok((sets, faults))
    }

    /// Finds the set whose id begins with `prefix`, or the newest for `latest`.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is none, [`Error::Refused`] when there are several.
    #[doc(hidden)]
    pub fn find_set(&self, prefix: &str) -> Result<(Digest, Set)> {
        let none = || {
            let what = format!("there is no set {prefix} in {}", self.dir.display());
            Error::missing(what, Cause::NoSet)
        };
        if prefix == "latest" {
            let (mut sets, mut faults) = self.sets()?;
            return sets.pop().map_or_else(|| Err(faults.pop().unwrap_or_else(none)), Ok);
        }
        let mut found = self.set_ids()?.into_iter().filter(|id| id.to_string().starts_with(prefix));
        let (first, second) = (found.next().ok_or_else(none)?, found.next());
        if second.is_some() {
            let what = format!("several sets in {} have an id that begins with {prefix}", self.dir.display());
            return Err(Error::refused(what, "give more digits of the id"));
        }
        Ok((first, self.set(&first)?))
    }

    /// The history that holds the snapshot of `member`, and the name of the snapshot: that of its key, or after the file
    /// was adopted under another path, the one that has it now.
    ///
    /// # Errors
    /// [`Error::Missing`] when no history has it.
    #[doc(hidden)]
    pub fn member(&self, member: &SetMember) -> Result<(History, SnapName)> {
        let named = |history: &History| -> Result<Option<SnapName>> {
            Ok(history.snapshots()?.into_iter().find(|name| name.id == member.snapshot))
        };
        if let Some(history) = self.history_of_key(&member.key)?
            && let Some(name) = named(&history)?
        {
            return Ok((history, name));
        }
        for history in self.histories()?.0 {
            if let Some(name) = named(&history)? {
                return Ok((history, name));
            }
        }
        let what = format!("no history in {} has the snapshot {}", self.dir.display(), member.snapshot);
        Err(Error::missing(what, Cause::NoSnapshotOfSet))
    }

    /// Commits a set and the new snapshots of its members. After an error none of them has appeared.
    ///
    /// # Errors
    /// When the store cannot be written.
    #[doc(hidden)]
    pub fn commit_set(&self, parts: Vec<NewPart<'_>>, set: &Set) -> Result<(Digest, Vec<(SnapName, Meta)>)> {
        debug_assert!(set.members.is_sorted() && set.members.len() <= MOST_MEMBERS);
        let bytes = set.encode();
        let id = Digest::of(&bytes);
        create::make_dir_for(&self.sets_dir(), Some(self.owner))?;
        let put = || set_files::put(&self.sets_dir(), self.owner, OsStr::new(&file_name(&id)), &bytes);
        if planted(Bug::SetBeforeParts) {
            put()?;
        }
        let mut committed = Vec::new();
        let mut locked = Vec::new();
        for (history, lock, snapshot) in parts {
            committed.push(snapshot.commit_part(lock, &id)?);
            locked.push((history, lock));
        }
        create::sync_dir(&self.dir)?; // the directory of sets may be new
        put()?;
        for ((history, lock), (name, _)) in locked.into_iter().zip(&committed) {
            history.name_parts(lock)?;
            history.record_number(name.number);
            lock.committed();
        }
        Ok((id, committed))
    }
}

impl History {
    /// Whether the set of a `.part` has appeared.
    pub(super) fn has_set(&self, set: &Digest) -> bool {
        let path = no_follow::parent(self.dir()).join(DIR).join(file_name(set));
        no_follow::metadata_if_any(&path).is_ok_and(|found| found.is_some())
    }

    /// Gives each member of a complete set the name of a snapshot, and removes those of others.
    pub(super) fn name_parts(&self, _lock: &WriteLock) -> Result<()> {
        for entry in no_follow::read_dir(self.dir()).at("listing", self.dir())? {
            let entry = entry.at("listing", self.dir())?;
            let Some((name, set)) = part(&entry.file_name()) else { continue };
            let path = self.dir().join(entry.file_name());
            if self.has_set(&set) {
                no_follow::rename(&path, &self.dir().join(name.file_name())).at("renaming", &path)?;
            } else {
                no_follow::remove_file(&path).at("removing", &path)?;
            }
        }
        create::sync_dir(self.dir())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_set() -> impl Strategy<Value = Set> {
        let keys = prop::collection::btree_set(prop::collection::vec(1u8.., 1..9), 0..9);
        let texts = (prop::option::of(prop::collection::vec(any::<u8>(), 0..9)), ".{0,9}", ".{0,9}");
        (any::<i64>(), any::<[u8; 32]>(), texts, keys).prop_map(
            |(time_ns, parent, (directory, message, host), keys)| {
                let member = |key: Vec<u8>| SetMember { snapshot: Digest::of(&key), key };
                let members = keys.into_iter().map(member).collect();
                Set { time_ns, parent: Digest(parent), directory, message, host, members }
            },
        )
    }

    proptest! {
        #[test]
        fn sets_come_back(set in any_set()) {
            prop_assert_eq!(Set::decode(&set.encode()).unwrap(), set);
        }

        #[test]
        fn any_bytes_are_read_without_panic(set in any_set(), at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
            let mut bytes = set.encode();
            let n = bytes.len();
            bytes[at.index(n)] = byte;
            let _ = Set::decode(&bytes);
            let _ = Set::decode(&bytes[..cut.index(n)]);
        }
    }

    #[test]
    fn members_that_came_and_went() {
        let set = |keys: &[&str]| {
            let members =
                keys.iter().map(|key| SetMember { key: key.as_bytes().into(), snapshot: Digest::of(key.as_bytes()) });
            let (message, host) = (String::new(), String::new());
            Set { time_ns: 0, parent: Digest::ZERO, directory: None, message, host, members: members.collect() }
        };
        let (old, new) = (set(&["a", "b"]), set(&["b", "c"]));
        assert_eq!(new.keys_not_in(&old).collect::<Vec<_>>(), [b"c"]);
        assert_eq!(old.keys_not_in(&new).collect::<Vec<_>>(), [b"a"]);
        assert_eq!((new.snapshot_of(b"c"), new.snapshot_of(b"a")), (Some(Digest::of(b"c")), None));
    }
}
