//! Whose store and history may hold what of a target: no user may read from them what he could not read from the
//! target. Only root can break that, as only root gives away what it makes. The rule is in docs/security.md.

use std::fs::{self, File, Metadata};
use std::path::Path;

use super::Store;
use super::history::History;
use crate::error::{At, Cause, Error, Result};
use crate::sys::create::Owner;
use crate::sys::ext::MetadataExt;
use crate::sys::{create, id, no_follow};

/// The owner of what is at `path`, a link not followed; where nothing is, of the directory, who decides what will be.
pub(super) fn owner_at(path: &Path) -> Result<Owner> {
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let dir = no_follow::parent(path);
            fs::symlink_metadata(dir).at("inspecting", dir).map(|found| Owner::from(&found))
        }
        found => found.at("inspecting", path).map(|found| Owner::from(&found)),
    }
}

/// Whether a directory of `owner` may hold content of a file of `target`. Only root has to ask: others own what they
/// make.
fn may_hold(owner: Owner, target: Owner) -> bool {
    id::euid() != 0 || owner.uid == 0 || owner.uid == target.uid
}

/// The error when it may not.
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
    /// Opens the store of `target`: `chosen`, or the one beside it, which must belong to the caller, root or the owner
    /// of the target.
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

    /// Whether this store, which was not chosen, belongs to a user who may say what happened to one of `targets`.
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

    /// Opens the store for `target` as [`Store::find`] does, making it when there is none: one that is `chosen` belongs
    /// to the caller, one beside the target to the owner of the target.
    ///
    /// # Errors
    /// As [`Store::open_or_create`]; [`Error::Refused`] when it belongs to a user who may not read the target.
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
    /// Whether content of `live`, the opened target, may be stored here: asked under the lock, before any is. What the
    /// path led to earlier does not count.
    ///
    /// # Errors
    /// [`Error::Refused`] when a user who may not read `live` could read it here.
    pub(crate) fn admit(&self, live: &File) -> Result<()> {
        let live = live.metadata().at("inspecting", self.target())?;
        self.admit_from(Owner::from(&live))?;
        self.check_readers(&live)
    }

    /// As [`History::admit`], for content of the target that comes from elsewhere.
    ///
    /// # Errors
    /// As [`History::admit`]; when the target cannot be looked at.
    pub(crate) fn admit_path(&self) -> Result<()> {
        self.admit_from(owner_at(self.target())?)
    }

    /// Where files are not as private as they were made, as on file systems without modes, those who can read them must
    /// be able to read the target. The lock stands for all files.
    fn check_readers(&self, live: &Metadata) -> Result<()> {
        let look = |path: &Path| fs::symlink_metadata(path).at("inspecting", path);
        let reach = look(no_follow::parent(self.dir()))?.mode() & look(self.dir())?.mode();
        let (lock, may) = (look(&self.dir().join("lock"))?, live.mode());
        // Each class: what it needs of the directories, what of the file.
        let open_to = |enter: u32, read: u32| reach & enter != 0 && lock.mode() & read != 0;
        let group_may = may & 0o040 != 0 && live.gid() == lock.gid();
        if may & 0o004 == 0 && (open_to(0o001, 0o004) || open_to(0o010, 0o040) && !group_may) {
            let what = format!(
                "others can read what is stored in {}, and not {} (mode {:o})",
                self.dir().display(),
                self.target().display(),
                may & 0o7777
            );
            return Err(create::exposed(self.dir(), what, Cause::OthersHaveRights(self.dir().into())));
        }
        Ok(())
    }

    fn admit_from(&self, theirs: Owner) -> Result<()> {
        let (store, keeper) = (no_follow::parent(self.dir()), self.keeper());
        if !may_hold(keeper, theirs) {
            return Err(foreign(store, keeper, self.target(), theirs, Cause::ForeignStore));
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

    /// While the path led to a file of another user, that user got a history; what was opened then is root's.
    #[test]
    fn the_opened_file_counts_and_not_what_the_path_led_to() {
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
            assert_eq!((history.owner().uid, history.keeper().uid), (1234, if chosen.is_none() { 1234 } else { 0 }));
            history.admit(&File::open(&target).unwrap()).unwrap();
            history.admit_path().unwrap();
            let refused = history.admit(&File::open(&secret).unwrap()).unwrap_err();
            assert!(refused.to_string().contains("belongs to user 1234"), "{refused}");
        }
    }

    /// A history that was replaced by a directory of another user gets no file.
    #[test]
    fn what_took_the_place_of_a_history_is_not_written_to() {
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
