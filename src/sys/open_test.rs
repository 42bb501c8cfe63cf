use super::*;

fn refusal(result: Result<File>) -> String {
    match result {
        Err(Error::Refused { what, .. }) => what,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn only_regular_files_and_no_hanging() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    std::fs::write(&path, b"abc").unwrap();
    assert_eq!(target_read(&path).unwrap().metadata().unwrap().len(), 3);
    target_write(&path).unwrap();

    assert!(refusal(target_read(dir.path())).contains("a directory"));
    assert!(refusal(target_write(dir.path())).contains("a directory"));
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(refusal(target_read(&link)).contains("a symbolic link"));
    let fifo = dir.path().join("fifo");
    crate::sys::make_fifo(&fifo);
    assert!(refusal(target_read(&fifo)).contains("a FIFO"));
    assert!(refusal(target_write(&fifo)).contains("a FIFO"));
    let socket = dir.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    assert!(refusal(target_read(&socket)).contains("a socket"));
    assert!(refusal(target_read(Path::new("/dev/null"))).contains("a character device"));
    assert!(matches!(target_read(&dir.path().join("none")), Err(Error::Io { doing: "opening", .. })));
}

/// A directory on the way that became a link after the path was resolved.
#[cfg(target_os = "linux")]
#[test]
fn links_that_appear_on_the_way_are_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().canonicalize().unwrap();
    for name in ["a", "victim"] {
        std::fs::create_dir(home.join(name)).unwrap();
        std::fs::write(home.join(name).join("f"), name).unwrap();
    }
    let path = resolve(&home.join("a/f")).unwrap();
    target_write(&path).unwrap();
    std::fs::rename(home.join("a"), home.join("moved")).unwrap();
    std::os::unix::fs::symlink("victim", home.join("a")).unwrap();
    assert!(refusal(target_read(&path)).contains("was not there before"));
    assert!(refusal(target_write(&path)).contains("was not there before"));
}

#[test]
fn paths_are_resolved() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().canonicalize().unwrap();
    std::fs::write(home.join("f"), b"abc").unwrap();
    std::os::unix::fs::symlink("f", home.join("link")).unwrap();
    assert_eq!(resolve(&home.join("link")).unwrap(), home.join("f"));
    assert!(matches!(resolve(&home.join("none")), Err(Error::Io { doing: "finding", .. })));
    assert_eq!(resolve_new(&home.join(".").join("none")).unwrap(), home.join("none"));
    assert_eq!(resolve_new(Path::new("x")).unwrap(), std::env::current_dir().unwrap().join("x"));
    assert!(matches!(resolve_new(Path::new("/")), Err(Error::Refused { .. })));
}

#[test]
fn stamps_tell_states_apart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    std::fs::write(&path, b"abc").unwrap();
    let file = target_read(&path).unwrap();
    let one = stamp(&file, &path).unwrap();
    assert!(one.same_state(&stamp_path(&path).unwrap()));
    assert_eq!(one.len, 3);
    std::fs::write(&path, b"abcd").unwrap();
    let two = stamp(&file, &path).unwrap();
    assert!(one.same_file(&two) && !one.same_state(&two));
    std::fs::write(dir.path().join("g"), b"abc").unwrap();
    std::fs::rename(dir.path().join("g"), &path).unwrap();
    assert!(!one.same_file(&stamp_path(&path).unwrap()));
}
