use super::super::Store;
use super::*;

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
    let lock = history.write_lock(Duration::ZERO).unwrap();
    assert!(is_being_written(history.dir()));
    drop(lock);
    assert!(!is_being_written(history.dir()));
    let reader = File::open(history.dir().join("lock")).unwrap();
    reader.lock_shared().unwrap();
    assert!(!is_being_written(history.dir()), "a reader holds a shared lock");
}

#[test]
fn a_sweep_can_be_asked_for_while_no_process_writes() {
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
