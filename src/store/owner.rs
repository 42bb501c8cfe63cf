//! Who may own the store and the history of a target: no user may read more from them than from the target. Only root
//! has to check this, as only root creates files for others. docs/security.md has the rule.

use std::fs::{self, File, Metadata};
use std::path::Path;

use super::Store;
use super::history::History;
use crate::error::{At, Cause, Error, Result};
use crate::sys::create::Owner;
use crate::sys::ext::MetadataExt;
use crate::sys::{create, id, no_follow};

/// The owner of the file or link at `path`; if there is none, the owner of the directory, who can create it.
pub(super) fn owner_at(path: &Path) -> Result<Owner> {
    let found = match no_follow::metadata_if_any(path)? {
        None => look(no_follow::parent(path))?,
        Some(found) => found,
    };
    Ok(Owner::from(&found))
}

fn look(path: &Path) -> Result<Metadata> {
    fs::symlink_metadata(path).at("inspecting", path)
}

/// Whether a directory of `owner` may hold content of a file of `target`. Always true for other users than root.
fn may_hold(owner: Owner, target: Owner) -> bool {
    id::euid() != 0 || owner.uid == 0 || owner.uid == target.uid
}

/// The error of [`may_hold`].
fn foreign(dir: &Path, owner: Owner, target: &Path, theirs: Owner, cause: Cause) -> Error {
    let what = format!(
        "{} belongs to user {}, who is neither you nor the owner of {} (user {})",
        dir.display(),
        owner.uid,
        target.display(),
        theirs.uid
    );
    Error::refused(what, cause)
}

impl Store {
    /// Opens the store of `target`: `chosen`, or the one beside the target, which must belong to the caller, root or
    /// the owner of the target.
    ///
    /// # Errors
    /// As [`Store::open`]; [`Error::Refused`] when it belongs to another user.
    pub fn find(chosen: Option<&Path>, target: &Path) -> Result<Store> {
        let store = Store::open(&Store::place(chosen, target))?;
        if chosen.is_none() {
            store.check_beside(&[target])?;
        }
        Ok(store)
    }

    /// Refuses this store, which stands beside `targets`, if its owner may not own the history of any of them.
    pub(crate) fn check_beside(&self, targets: &[&Path]) -> Result<()> {
        let known = || targets.iter().filter_map(|target| Some((*target, owner_at(target).ok()?)));
        if known().any(|(_, theirs)| may_hold(self.owner, theirs)) {
            return Ok(());
        }
        match known().next() {
            Some((target, theirs)) => Err(foreign(&self.dir, self.owner, target, theirs, Cause::ForeignStore)),
            None => Ok(()),
        }
    }

    /// As [`Store::find`], but creates the store if there is none: a `chosen` one belongs to the caller, one beside the
    /// target to the owner of the target.
    #[doc(hidden)]
    pub fn find_or_create(chosen: Option<&Path>, target: &Path) -> Result<Store> {
        let theirs = owner_at(target)?;
        let check = |dir: &Path, owner| match may_hold(owner, theirs) {
            true => Ok(()),
            false => Err(foreign(dir, owner, target, theirs, Cause::ForeignStore)),
        };
        let owner = chosen.is_none().then_some(theirs);
        Store::open_or_create_for(&Store::place(chosen, target), owner, &check)
    }
}

impl History {
    /// Refuses to store content of `live`, the opened target, if a user who may not read it could read the history.
    /// Checked under the lock; the file to which the path led earlier does not count.
    pub(crate) fn admit(&self, live: &File) -> Result<()> {
        let live = live.metadata().at("inspecting", self.target())?;
        self.admit_from(Owner::from(&live))?;
        self.check_readers(&live)
    }

    /// As [`History::admit`], for content of the target that was not read from the opened file.
    pub(crate) fn admit_path(&self) -> Result<()> {
        self.admit_from(owner_at(self.target())?)
    }

    /// On file systems without modes, files are less private than they were created. All who can read them must be able
    /// to read the target. The lock is checked for all files.
    fn check_readers(&self, live: &Metadata) -> Result<()> {
        let reach = look(no_follow::parent(self.dir()))?.mode() & look(self.dir())?.mode();
        let (lock, may) = (look(&self.dir().join("lock"))?, live.mode());
        // For a class of users: the bit that it needs of the directories, and of the file.
        let open_to = |enter: u32, read: u32| reach & enter != 0 && lock.mode() & read != 0;
        let group_may = may & 0o040 != 0 && live.gid() == lock.gid();
        if may & 0o004 == 0 && (open_to(0o001, 0o004) || open_to(0o010, 0o040) && !group_may) {
            let what = format!(
                "others can read the content stored in {}, but not {} (mode {:o})",
                self.dir().display(),
                self.target().display(),
                may & 0o7777
            );
            return Err(create::exposed(self.dir(), what, Cause::OthersHaveRights(self.dir().into())));
        }
        Ok(())
    }

    fn admit_from(&self, theirs: Owner) -> Result<()> {
        let (store, store_owner) = (no_follow::parent(self.dir()), self.store_owner());
        if !may_hold(store_owner, theirs) {
            return Err(foreign(store, store_owner, self.target(), theirs, Cause::ForeignStore));
        }
        if !may_hold(self.owner(), theirs) {
            let cause = Cause::ForeignHistory { dir: self.dir().into(), owner: (theirs.uid, theirs.gid) };
            return Err(foreign(self.dir(), self.owner(), self.target(), theirs, cause));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::ext::chown;
    use std::time::Duration;

    /// The history was created while the path led to a file of another user; the opened file belongs to root.
    #[test]
    fn the_owner_of_the_opened_file_counts() {
        if id::euid() != 0 {
            return crate::sys::skipped("not root");
        }
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap();
        let (target, secret) = (home.join("f"), home.join("secret"));
        std::fs::write(&target, b"theirs").unwrap();
        std::fs::write(&secret, b"root's").unwrap();
        chown(&target, Some(1234), Some(1234)).unwrap();
        for chosen in [None, Some(home.join("store"))] {
            let store = Store::find_or_create(chosen.as_deref(), &target).unwrap();
            let history = store.make_history(&target).unwrap();
            drop(history.write_lock(Duration::ZERO).unwrap());
            assert_eq!(
                (history.owner().uid, history.store_owner().uid),
                (1234, if chosen.is_none() { 1234 } else { 0 })
            );
            history.admit(&File::open(&target).unwrap()).unwrap();
            history.admit_path().unwrap();
            let refused = history.admit(&File::open(&secret).unwrap()).unwrap_err();
            assert!(refused.to_string().contains("belongs to user 1234"), "{refused}");
        }
    }

    #[test]
    fn a_directory_of_another_user_in_place_of_a_history_is_not_written_to() {
        if id::euid() != 0 {
            return crate::sys::skipped("not root");
        }
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap();
        let store = Store::open_or_create(&home.join("store")).unwrap();
        let history = store.make_history(&home.join("f")).unwrap();
        fs::rename(history.dir(), home.join("moved")).unwrap();
        fs::create_dir(history.dir()).unwrap();
        chown(history.dir(), Some(1234), Some(1234)).unwrap();
        assert!(matches!(history.pending(), Err(Error::Changed { .. })));
        assert!(matches!(history.put_small("tmp-x", b"x"), Err(Error::Changed { .. })));
        assert_eq!(fs::read_dir(history.dir()).unwrap().count(), 0);
    }
}
