use super::*;

/// A write-ahead log of SQLite, with a frame for each given size after the commit.
fn wal(big_endian: bool, page: u32, version: u32, commits: &[u32]) -> Vec<u8> {
    let mut sum = (0, 0);
    let mut add = |bytes: &mut Vec<u8>, from: usize| {
        sum = checksum(big_endian, sum, &bytes[from..]);
        [sum.0.to_be_bytes(), sum.1.to_be_bytes()].concat()
    };
    let magic = 0x377f_0682 + u32::from(big_endian);
    let mut out: Vec<u8> = [magic, version, page, 0, 11, 12].iter().flat_map(|n: &u32| n.to_be_bytes()).collect();
    let first = add(&mut out, 0);
    out.extend(first);
    for (i, commit) in commits.iter().enumerate() {
        let mut summed: Vec<u8> = [i as u32 + 1, *commit].iter().flat_map(|n| n.to_be_bytes()).collect();
        let content: Vec<u8> = (0..page).map(|n| (n * 7 + i as u32) as u8).collect();
        out.extend(&summed);
        out.extend([11u32, 12].iter().flat_map(|n| n.to_be_bytes()));
        summed.extend(&content);
        let sums = add(&mut summed, 0);
        out.extend(sums);
        out.extend(content);
    }
    out
}

fn hot(suffix: &str, bytes: &[u8]) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    std::fs::write(dir.path().join(format!("f{suffix}")), bytes).unwrap();
    let found = Companion::hot_beside(&file);
    assert!(found.as_ref().is_none_or(|log| log.fault.is_none()), "{found:?}");
    found.is_some()
}

#[test]
fn a_log_with_a_whole_transaction_is_hot() {
    for big_endian in [false, true] {
        let whole = wal(big_endian, 1024, 3_007_000, &[0, 0, 3]);
        assert!(hot("-wal", &whole));
        assert!(hot("-wal", &wal(big_endian, 65536, 3_007_000, &[1])));
        assert!(hot("-wal", &wal(big_endian, 512, 3_007_001, &[])), "a future version");
        assert!(!hot("-wal", &wal(big_endian, 1024, 3_007_000, &[])));
        assert!(!hot("-wal", &wal(big_endian, 1024, 3_007_000, &[0, 0])), "no commit");
        assert!(!hot("-wal", &whole[..whole.len() - 1]), "torn");
        for at in [0, 9, 17, 25, 32, 37, 41, 49, 60, 32 + 1048 + 30, whole.len() - 1] {
            let mut other = whole.clone();
            other[at] ^= 0x40;
            assert!(!hot("-wal", &other), "byte {at}");
        }
    }
    assert!(!hot("-wal", &[0; 100_000]) && !hot("-wal", b"some other log"));
}

#[test]
fn a_journal_with_its_header_is_hot() {
    let mut journal = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7].to_vec();
    journal.resize(512, 0);
    assert!(hot("-journal", &journal));
    assert!(!hot("-journal", &journal[..511]), "no whole header");
    journal[..28].fill(0);
    assert!(!hot("-journal", &journal), "zeroed when the transaction ended");
    assert!(!hot("-journal", &[b'x'; 600]));
}

#[test]
fn only_logs_are_companions() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    let log = dir.path().join("f-wal");
    crate::sys::make_fifo(&log);
    std::fs::create_dir(dir.path().join("f-journal")).unwrap();
    assert!(Companion::hot_beside(&file).is_none());
    std::fs::remove_file(&log).unwrap();
    crate::sys::ext::symlink("f-wal", &log).unwrap();
    assert!(Companion::hot_beside(&file).unwrap().what().contains("could not be inspected (it is a symbolic link)"));
    assert!(Companion::hot_beside(&dir.path().join("n".repeat(250))).is_none());
    let Err(Error::Refused { cause, .. }) = Companion::refuse_beside(&file, &[]) else { panic!("it is refused") };
    let log = HotLog { kind: Log::SqliteWal, path: dir.path().join("f-wal"), database: file };
    assert_eq!(*cause, Cause::LogWithoutDatabase(log));
}
