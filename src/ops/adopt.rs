//! `adopt`: moves the history of an old path to a new one.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::input::renamed::shares_page;
use super::{has_none, history_of, resolve};
use crate::error::{Cause, Error, FileInStore, Result};
use crate::store::{History, Store, refuse_stored};
use crate::sys::ext::OsStrExt;
use crate::sys::open;

/// How long to wait for another writer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The result of [`adopt`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Adopted {
    /// The path that had the history.
    pub from: PathBuf,
    /// The path that has it now.
    pub to: PathBuf,
    /// The number of its snapshots.
    pub snapshots: u64,
    /// Whether it was moved; false if `confirm` returned false.
    pub done: bool,
}

/// Moves the history of `old`, which may be gone, to `new`. The history is searched in `store`, or else
/// beside `old` and beside `new`. Calls `confirm` if `new` holds no page of it; false cancels.
///
/// # Errors
/// [`Error::Missing`] when `old` has no history; [`Error::Refused`] when `new` is no regular file or has one of its
/// own, or a change of `old` was interrupted.
pub fn adopt(old: &Path, new: &Path, store: Option<&Path>, confirm: &mut dyn FnMut() -> bool) -> Result<Adopted> {
    let new = open::resolve(new).map_err(|e| swapped(old, new, store).unwrap_or(e))?;
    if !std::fs::symlink_metadata(&new).is_ok_and(|m| m.is_file()) {
        return Err(Error::refused(format!("{} is not a regular file", new.display()), "adopt needs a regular file"));
    }
    refuse_stored(&new)?;
    let place = Store::place(store, &new);
    let Some(history) = find(old, &new, store)? else {
        return finish(old, &new, &place);
    };
    if history.target() == new {
        return Err(Error::refused("both paths are the same file", "there is nothing to move"));
    }
    let writing = history.write_lock(PATIENCE)?;
    if history.intent()?.is_some() {
        return Err(Error::refused(
            format!("a change of {} was interrupted", history.target().display()),
            Cause::InterruptedBeforeMove,
        ));
    }
    let snapshots = history.snapshots()?.len() as u64;
    let live = open::target_read(&new)?;
    // One that has snapshots of its own is refused below, whatever it holds.
    let is_new = has_none(history_of(store, &new)?.as_ref())?;
    if is_new && shares_page(&history, &live, &new, usize::MAX, u64::MAX) == Some(false) && !confirm() {
        return Ok(Adopted { from: history.target().into(), to: new, snapshots, done: false });
    }
    let to = Store::find_or_create(store, &new)?;
    let given = history.give(&writing, &to, &new)?;
    Ok(Adopted { from: history.target().into(), to: given.target().into(), snapshots, done: true })
}

/// The history of `old`: by its path as it is now, as it was typed, or as the store recorded it.
fn find(old: &Path, new: &Path, chosen: Option<&Path>) -> Result<Option<History>> {
    let mut paths = vec![];
    paths.extend(resolve(old).ok());
    paths.extend(std::path::absolute(old).ok());
    paths.extend(removed(old));
    let mut places: Vec<_> = paths.iter().map(|old| Store::place(chosen, old)).collect();
    places.push(Store::place(chosen, new));
    places.dedup();
    for place in places {
        if std::fs::symlink_metadata(&place).is_err() {
            continue;
        }
        let store = Store::open(&place)?;
        if chosen.is_none() {
            store.check_beside(&[old, new])?;
        }
        let mut keys: Vec<_> = paths.iter().map(|old| store.key(old)).collect();
        keys.push(old.as_os_str().as_bytes().to_vec());
        for key in keys {
            if let Some(history) = store.history_of_key(&key)? {
                return Ok(Some(history));
            }
        }
    }
    Ok(None)
}

/// The absolute path of what is gone, perhaps with its directories: what is left of it resolved, the rest as it was
/// typed.
fn removed(old: &Path) -> Option<PathBuf> {
    let whole = std::path::absolute(old).ok()?;
    let (there, at) = whole.ancestors().find_map(|part| Some((part.canonicalize().ok()?, part)))?;
    let rest = whole.strip_prefix(at).ok()?;
    let plain = rest.components().all(|part| matches!(part, Component::Normal(_)));
    plain.then(|| there.join(rest))
}

/// The error for swapped arguments: `new` is gone and has the snapshots, `old` is a file and has none.
fn swapped(old: &Path, new: &Path, store: Option<&Path>) -> Option<Error> {
    let (file, gone) = (open::resolve(old).ok()?, removed(new)?);
    let none = |target: &Path| has_none(history_of(store, target).ok()?.as_ref()).ok();
    (none(&file)? && !none(&gone)?).then(|| {
        Error::missing(
            format!("{} has no snapshots, but {}, which is gone, has", old.display(), new.display()),
            Cause::HistoryNamedSecond { history: FileInStore::new(new, store), file: old.into() },
        )
    })
}

/// Completes a move that was killed half-way: `old` no longer has a history.
fn finish(old: &Path, new: &Path, place: &Path) -> Result<Adopted> {
    let none = || {
        Error::missing(
            format!("{} has no snapshots beside it or in {}", old.display(), place.display()),
            Cause::NoHistoryThere,
        )
    };
    if std::fs::symlink_metadata(place).is_err() {
        return Err(none());
    }
    let history = Store::open(place)?.history(new)?.filter(|history| !history.is_labelled()).ok_or_else(none)?;
    // Taking the write lock rewrites the label.
    drop(history.write_lock(PATIENCE)?);
    Ok(Adopted { from: old.into(), to: new.into(), snapshots: history.snapshots()?.len() as u64, done: true })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;

    #[test]
    fn a_renamed_target_keeps_its_history() {
        let f = Fixture::new();
        f.pages(0, 4, 1);
        f.snap();
        std::fs::create_dir(f.path("sub")).unwrap();
        let (old, new) = (f.target(), f.path("sub/new"));
        assert!(matches!(adopt(&old, &new, None, &mut || false), Err(Error::Io { .. })), "NEW must exist");
        std::fs::rename(&old, &new).unwrap();
        let report = adopt(&old, &new, None, &mut || false).unwrap();
        assert_eq!((report.snapshots, report.from), (1, old.clone()));
        assert_eq!(report.to, new.canonicalize().unwrap());
        let history = super::super::find_history(None, &new).unwrap();
        assert!(history.is_labelled() && history.snapshots().unwrap().len() == 1);
        assert!(matches!(adopt(&old, &new, None, &mut || false), Err(Error::Missing { .. })), "it is done");
        std::fs::rename(&new, &old).unwrap();
        adopt(&new, &old, Some(&f.path("sub/.memsnap")), &mut || false).unwrap();
        let store = f.path("sub/.memsnap");
        let history = super::super::find_history(Some(&store), &old).unwrap();
        assert_eq!(history.snapshots().unwrap().len(), 1);
        // Killed between the two steps: the history has its new name and its old label.
        std::fs::write(history.dir().join("target"), b"new").unwrap();
        assert_eq!(adopt(&new, &old, Some(&store), &mut || false).unwrap().snapshots, 1);
        assert!(history.is_labelled());
    }

    #[test]
    fn histories_are_never_mixed() {
        let f = Fixture::new();
        f.pages(0, 4, 1);
        f.snap();
        let other = f.path("other");
        std::fs::copy(f.target(), &other).unwrap();
        let store = Store::open(&f.path(".memsnap")).unwrap();
        let there = store.make_history(&other.canonicalize().unwrap()).unwrap();
        std::fs::write(there.dir().join(SNAP), b"x").unwrap();
        assert!(matches!(adopt(&f.target(), &other, None, &mut || false), Err(Error::Refused { .. })));
        assert_eq!(f.history().snapshots().unwrap().len(), 1);
        std::fs::remove_file(there.dir().join(SNAP)).unwrap();
        assert_eq!(adopt(&f.target(), &other, None, &mut || false).unwrap().snapshots, 1, "an empty history gives way");
        assert!(matches!(adopt(&f.target(), &f.path("."), None, &mut || false), Err(Error::Refused { .. })));
    }

    const SNAP: &str = "00000001-0000000000000000000000000000000000000000000000000000000000000001.snap";
}
