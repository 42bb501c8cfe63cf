//! The golden stores are read, and were made once.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::images::*;
use memsnap::page::{PAGE, PAGE64};

#[test]
fn golden_images_are_what_they_were() {
    for (name, images) in [("none", images_none()), ("zstd", images_zstd())] {
        let directory = copy(name);
        let history = history(directory.path());
        assert_eq!(history.label(), "db.bin");
        assert_eq!(history.snapshots().unwrap().len(), images.len());
        for (number, expected) in images.iter().enumerate() {
            let (meta, found) = stored(&history, number);
            assert!(found == *expected, "{name} @{}: other pages", number + 1);
            assert_eq!(meta.image, expected.digest(), "{name} @{}", number + 1);
            assert_eq!((meta.host.as_str(), &meta.path[..]), ("golden", &b"/golden/db.bin"[..]));
        }
    }
}

#[test]
fn golden_stores_hold_what_they_are_to_show() {
    let directory = copy("zstd");
    let history = history(directory.path());
    let all = history.snapshots().unwrap();
    let (first, last) = (stored(&history, 0).0, stored(&history, all.len() - 1).0);
    assert_eq!(first.message, "the first");
    assert!(first.stored.map.is_zero() && !last.stored.map.is_zero(), "without a map, and with one");
    assert_eq!(history.tagged("first").unwrap(), Some(all[0].id));
    let undo = history.last_change().unwrap().unwrap();
    assert_eq!((undo.from, undo.to, undo.verb.as_str()), (all[9].id, all[2].id, "revert"));
    assert_eq!(undo.from_image, last.image);
    assert_eq!(files(history.dir(), "next-00000011").len(), 1, "the number after that of the last snapshot");
}

#[test]
fn golden_stores_verify() {
    for name in ["none", "zstd"] {
        let directory = copy(name);
        must(directory.path(), &["verify", "--store", ".memsnap"]);
    }
}

#[test]
fn golden_undo_is_taken_back() {
    let directory = copy("zstd");
    let images = images_zstd();
    let file = directory.path().join("db.bin");
    images[2].write(&file);
    must(directory.path(), &["undo", "--yes", "db.bin"]);
    assert!(Expected::read(&file) == images[9]);
}

#[test]
fn golden_history_goes_on() {
    let directory = copy("none");
    let file = directory.path().join("db.bin");
    let mut image = images_none()[2].clone();
    image.set(0, noise(200, PAGE));
    image.write(&file);
    must(directory.path(), &["snap", "--require", "none", "db.bin"]);
    let (meta, found) = stored(&history(directory.path()), 3);
    assert!(found == image && meta.changed.pages == 1);
}

#[test]
fn golden_delta_applies_both_ways() {
    let directory = tempfile::tempdir().unwrap();
    let images = images_none();
    let (file, delta) = (directory.path().join("db.bin"), golden().join("change.delta"));
    images[0].write(&file);
    must(directory.path(), &["apply", "--yes", "db.bin", delta.to_str().unwrap()]);
    assert!(Expected::read(&file) == images[1]);
    must(directory.path(), &["delta", "invert", delta.to_str().unwrap(), "-o", "back.delta"]);
    must(directory.path(), &["apply", "--yes", "db.bin", "back.delta"]);
    assert!(Expected::read(&file) == images[0]);
}

/// Made once, in a directory /golden on a host of that name. Format 1 never gets others.
#[test]
#[ignore = "makes what is committed in tests/data/format-1"]
fn make_golden() {
    let directory = Path::new("/golden");
    let file = directory.join("db.bin");
    assert!(directory.is_dir() && !golden().exists());
    fs::create_dir_all(golden()).unwrap();
    let keep = |name: &str| {
        copy_dir(&directory.join(".memsnap"), &golden().join(name));
        fs::remove_dir_all(directory.join(".memsnap")).unwrap();
    };
    for (image, n) in images_none().into_iter().zip(0..) {
        image.write(&file);
        if n == 1 {
            fs::File::options().write(true).open(&file).unwrap().write_all_at(&[0; PAGE], 9 * PAGE64).unwrap();
        }
        must(directory, &["snap", "--compress", "none", "db.bin"]);
    }
    let delta = golden().join("change.delta");
    must(directory, &["delta", "make", "--reversible", "db.bin@1", "db.bin@2", "-o", delta.to_str().unwrap()]);
    keep("none");
    for (image, n) in images_zstd().into_iter().zip(0..) {
        image.write(&file);
        let first = ["snap", "-m", "the first", "--tag", "first", "db.bin"];
        must(directory, if n == 0 { &first } else { &["snap", "db.bin"] });
    }
    must(directory, &["revert", "--yes", "db.bin@3"]);
    keep("zstd");
    for store in ["none", "zstd"].map(|name| golden().join(name)) {
        fs::remove_file(store.join(".gitignore")).unwrap(); // it would hide the store from git
        for history in files(&store, "") {
            let _ = fs::remove_file(history.join("digests"));
        }
    }
}
