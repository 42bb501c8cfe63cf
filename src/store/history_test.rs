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
    assert!(!history.is_being_written(), "there is no lock yet");
    let writing = history.write(Duration::ZERO).unwrap();
    assert!(history.is_being_written() && history.clone().is_being_written());
    drop(writing);
    assert!(!history.is_being_written());
    let reader = File::open(history.dir().join("lock")).unwrap();
    reader.lock_shared().unwrap();
    assert!(!history.is_being_written(), "who only reads does not write");
}

#[test]
fn a_sweep_is_asked_for_where_nobody_writes() {
    let (_dir, history) = history();
    history.ask_for_sweep();
    assert!(!history.dir().join("lock").exists());
    drop(history.write(Duration::ZERO).unwrap());
    std::fs::write(history.dir().join("tmp-1"), b"half").unwrap();
    drop(history.write(Duration::ZERO).unwrap());
    assert!(history.dir().join("tmp-1").exists());
    history.ask_for_sweep();
    drop(history.write(Duration::ZERO).unwrap());
    assert!(!history.dir().join("tmp-1").exists());
    assert_eq!(std::fs::metadata(history.dir().join("lock")).unwrap().len(), 0);
}

#[test]
fn names_of_snapshots() {
    let id = "0f".repeat(32);
    let parse = |name: &str| SnapName::parse(OsStr::new(name)).map(|name| name.number);
    assert_eq!(parse(&format!("00000001-{id}.snap")), Some(1));
    assert_eq!(parse(&format!("1000000000000000-{id}.snap")), Some(MOST_NUMBER));
    for number in ["00000000", "1", "000000001", "1000000000000001", "18446744073709551615", "99999999999999999999"] {
        assert_eq!(parse(&format!("{number}-{id}.snap")), None, "{number}");
    }
}
