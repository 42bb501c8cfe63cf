use super::super::Store;
use super::super::write_lock::is_being_written;
use super::*;
use std::fs::File;

fn history() -> (tempfile::TempDir, History) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_or_create(&dir.path().join("store")).unwrap();
    let history = store.make_history(&dir.path().canonicalize().unwrap().join("f")).unwrap();
    (dir, history)
}

#[test]
fn a_writer_is_seen() {
    let (_dir, history) = history();
    assert!(!is_being_written(history.dir()), "there is no lock yet");
    let writing = history.write_lock(Duration::ZERO).unwrap();
    assert!(is_being_written(history.dir()));
    drop(writing);
    assert!(!is_being_written(history.dir()));
    let reader = File::open(history.dir().join("lock")).unwrap();
    reader.lock_shared().unwrap();
    assert!(!is_being_written(history.dir()), "who only reads does not write");
}

#[test]
fn a_sweep_is_asked_for_where_nobody_writes() {
    let (_dir, history) = history();
    history.ask_for_sweep();
    assert!(!history.dir().join("lock").exists());
    drop(history.write_lock(Duration::ZERO).unwrap());
    std::fs::write(history.dir().join("tmp-1"), b"half").unwrap();
    drop(history.write_lock(Duration::ZERO).unwrap());
    assert!(history.dir().join("tmp-1").exists());
    history.ask_for_sweep();
    drop(history.write_lock(Duration::ZERO).unwrap());
    assert!(!history.dir().join("tmp-1").exists());
    assert_eq!(std::fs::metadata(history.dir().join("lock")).unwrap().len(), 0);
}
