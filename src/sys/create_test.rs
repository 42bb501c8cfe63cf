//! Making files, on the real file system of the temporary directory.

use super::*;
use crate::sys::no_follow;
use rustix::fs::{AtFlags, linkat};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Both kinds of pending file: the unnamed, and the fallback.
fn both(dir: &Path) -> [Pending; 2] {
    [Pending::new(dir).unwrap(), Pending::named(no_follow::directory(dir).unwrap(), dir).unwrap()]
}

#[test]
fn a_name_is_given_once() {
    let dir = tempfile::tempdir().unwrap();
    for (i, pending) in both(dir.path()).into_iter().enumerate() {
        pending.file().write_all(b"one").unwrap();
        let name = format!("f{i}");
        let path = dir.path().join(&name);
        assert!(!path.exists());
        assert_eq!(pending.publish(name.as_ref()).unwrap(), Published::New);
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    }
    for pending in both(dir.path()) {
        pending.file().write_all(b"two").unwrap();
        assert_eq!(pending.publish("f0".as_ref()).unwrap(), Published::Existed);
    }
    assert_eq!(std::fs::read(dir.path().join("f0")).unwrap(), b"one");
    assert_eq!(names(dir.path()), ["f0", "f1"]);
}

#[test]
fn a_place_is_taken_at_once() {
    let dir = tempfile::tempdir().unwrap();
    for (i, pending) in both(dir.path()).into_iter().enumerate() {
        pending.file().write_all(&[i as u8]).unwrap();
        pending.replace("f".as_ref()).unwrap();
        assert_eq!(std::fs::read(dir.path().join("f")).unwrap(), [i as u8]);
    }
    assert_eq!(names(dir.path()), ["f"]);
    // A directory in the way: refused, and nothing left lying about.
    std::fs::create_dir(dir.path().join("d")).unwrap();
    for pending in both(dir.path()) {
        assert!(matches!(pending.replace("d".as_ref()), Err(Error::Io { doing: "replacing", .. })));
    }
    assert_eq!(names(dir.path()), ["d", "f"]);
}

#[test]
fn dropped_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let pending = both(dir.path());
    assert!(pending[1].path.file_name().unwrap().to_str().unwrap().starts_with(TMP_PREFIX));
    assert!(pending[1].path.exists());
    drop(pending);
    assert!(names(dir.path()).is_empty());
    assert!(Pending::new(&dir.path().join("none")).is_err());
}

#[test]
fn without_a_name_by_descriptor_alone() {
    let dir = tempfile::tempdir().unwrap();
    let pending = Pending::new(dir.path()).unwrap();
    match linkat(&pending.file, "", &pending.dir, "f", AtFlags::EMPTY_PATH) {
        Ok(()) => assert_eq!(names(dir.path()), ["f"]),
        Err(e) => crate::sys::skipped(&format!("no linking without /proc here: {e}")),
    }
}

#[test]
fn root_gives_to_the_owner_that_is_named() {
    if id::euid() != 0 {
        return crate::sys::skipped("not root");
    }
    let owner_of = |path: &Path| Owner::from(&std::fs::metadata(path).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let theirs = Owner { uid: 1234, gid: 5678 };
    let path = |name: &str| dir.path().join(name);
    std::os::unix::fs::chown(dir.path(), Some(theirs.uid), Some(theirs.gid)).unwrap();
    // Without an owner, what is made belongs to the caller, whatever the owner of the directory.
    assert_eq!(Pending::new(dir.path()).unwrap().publish("ours".as_ref()).unwrap(), Published::New);
    make_dir_for(&path("our dir"), None).unwrap();
    assert!(["ours", "our dir"].iter().all(|name| owner_of(&path(name)).uid == 0));
    write_small_for(dir.path(), theirs, "f".as_ref(), b"x").unwrap();
    make_dir_for(&path("d"), Some(theirs)).unwrap();
    assert!(["f", "d"].iter().all(|name| owner_of(&path(name)) == theirs));
    // A directory that was put in the place of theirs does not get a file.
    let other = Owner { uid: 4321, gid: 4321 };
    assert!(matches!(Pending::owned(dir.path(), other), Err(Error::Changed { .. })));
}

#[test]
fn small_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let owner = check_private(dir.path()).unwrap();
    write_small_for(dir.path(), owner, "f".as_ref(), b"one").unwrap();
    write_small_for(dir.path(), owner, "f".as_ref(), b"three").unwrap();
    assert_eq!(read_small(&path, 5).unwrap(), b"three");
    assert!(matches!(read_small(&path, 4), Err(Error::Damaged { .. })));
    symlink("f", dir.path().join("link")).unwrap();
    crate::sys::make_fifo(&dir.path().join("fifo"));
    for name in ["link", "fifo", "."] {
        assert!(matches!(read_small(&dir.path().join(name), 9), Err(Error::Damaged { .. })), "{name}");
    }
    assert!(matches!(open_own(&dir.path().join("none")), Err(Error::Io { .. })));
    let file = open_own(&path).unwrap();
    start_writeback(&file, 0, 5);
    assert_eq!(read_small(&path, 5).unwrap(), b"three");
}

#[test]
fn directories_are_real_and_private() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    assert!(make_dir_for(&store, None).unwrap());
    assert!(!make_dir_for(&store, None).unwrap());
    assert_eq!(std::fs::metadata(&store).unwrap().mode() & 0o7777, 0o700);
    check_private(&store).unwrap();
    sync_dir(dir.path()).unwrap();

    symlink("store", dir.path().join("link")).unwrap();
    std::fs::write(dir.path().join("file"), b"").unwrap();
    for name in ["link", "file"] {
        assert!(matches!(make_dir_for(&dir.path().join(name), None), Err(Error::Refused { .. })), "{name}");
        assert!(matches!(check_private(&dir.path().join(name)), Err(Error::Refused { .. })), "{name}");
    }
    std::fs::set_permissions(&store, std::fs::Permissions::from_mode(0o770)).unwrap();
    let Err(Error::Refused { cause, .. }) = check_private(&store) else { panic!("others can write to it") };
    assert_eq!(*cause, crate::Cause::OthersCanWrite(store));
}

#[test]
fn a_free_name_is_taken_at_once() {
    let dir = tempfile::tempdir().unwrap();
    for text in ["one", "two"] {
        let pending = Pending::new(dir.path()).unwrap();
        pending.file().write_all(text.as_bytes()).unwrap();
        pending.replace("f".as_ref()).unwrap();
        assert_eq!(std::fs::read(dir.path().join("f")).unwrap(), text.as_bytes());
        assert_eq!(std::fs::metadata(dir.path().join("f")).unwrap().nlink(), 1);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
