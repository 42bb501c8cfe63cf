//! Files of persistent vectors that were made long ago are read as they were meant, and are made the same today, byte by
//! byte, as docs/persistent-vec.md says. `tests/data/vec-1/sealed` was killed between its commit point and its places.

use std::path::{Path, PathBuf};
use std::time::Duration;

use memsnap::ops::vec::{ElementType, Scalar, tag};
use memsnap::vec::internals::{Edit, VecFile, VecFileMut};

fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/vec-1").join(name)
}

fn kind() -> ElementType {
    ElementType { tag: tag("golden").unwrap(), version: 7, ..ElementType::of_scalar(Scalar::U32) }
}

fn elements(file: &VecFile) -> Vec<u32> {
    let mut bytes = vec![0; file.byte_len() as usize];
    file.read_at(&mut bytes, 0).unwrap();
    bytes.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

#[test]
#[cfg_attr(target_endian = "big", ignore = "the files were made on a little-endian processor")]
fn kept_files_are_read() {
    let clean = VecFile::open(&kept("clean"), Duration::ZERO).unwrap();
    assert_eq!(*clean.element_type(), kind());
    assert_eq!(elements(&clean), (0..300).collect::<Vec<u32>>());
    assert!(!clean.is_unfinished() && clean.left_over() == 0);

    let sealed = VecFile::open(&kept("sealed"), Duration::ZERO).unwrap();
    let mut expected: Vec<u32> = (0..300).collect();
    expected[10..13].copy_from_slice(&[7, 8, 9]);
    assert!(sealed.is_unfinished());
    assert_eq!(elements(&sealed), expected);

    // A writer finishes it, on a copy.
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("v");
    std::fs::copy(kept("sealed"), &copy).unwrap();
    let finished = VecFileMut::open(&copy, Duration::ZERO).unwrap();
    assert!(!finished.is_unfinished());
    assert_eq!(elements(&finished), expected);
}

#[test]
#[cfg_attr(target_endian = "big", ignore = "the files were made on a little-endian processor")]
fn files_made_today_are_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("v");
    let mut vec = VecFileMut::create(&path, &kind()).unwrap();
    let bytes: Vec<u8> = (0..300u32).flat_map(u32::to_le_bytes).collect();
    vec.commit(&[Edit { offset: 0, bytes: &bytes }], 300).unwrap();
    drop(vec);
    let made = std::fs::read(&path).unwrap();
    if std::env::var_os("MEMSNAP_BLESS").is_some() {
        std::fs::write(kept("clean"), &made).unwrap();
    }
    assert!(made == std::fs::read(kept("clean")).unwrap(), "the format changed: that needs a new format number");
}

/// The tables of the document, read by hand.
#[test]
fn bytes_are_where_the_document_says() {
    let clean = std::fs::read(kept("clean")).unwrap();
    assert_eq!(clean[..8], *b"memsnapV");
    assert_eq!(clean[8..16], [1, 0, 0, 0, 4, 3, 2, 1]);
    assert_eq!((number(&clean, 16), number(&clean, 24), clean[32], clean[36]), (4, 4, 3, 7));
    assert_eq!(clean[40..46], *b"golden");
    assert_eq!(clean[64..96], *blake3::hash(&clean[..64]).as_bytes());
    for (slot, sequence) in [(1024, 4), (2048, 3)] {
        assert_eq!((number(&clean, slot), number(&clean, slot + 8), number(&clean, slot + 16)), (sequence, 300, 0));
        let digest = blake3::hash(&[&clean[..64], &clean[slot..slot + 64]].concat());
        assert_eq!(clean[slot + 64..slot + 96], *digest.as_bytes());
    }
    assert_eq!(clean.len(), 4096 + 1200);

    let sealed = std::fs::read(kept("sealed")).unwrap();
    let slot = if number(&sealed, 1024) > number(&sealed, 2048) { 1024 } else { 2048 };
    let (at, len) = (number(&sealed, slot + 16) as usize, number(&sealed, slot + 24) as usize);
    assert_eq!((at, len, sealed.len()), (8192, 16 + 16 + 12, 8192 + 44));
    let log = &sealed[at..at + len];
    assert_eq!(sealed[slot + 32..slot + 64], *blake3::hash(log).as_bytes());
    assert_eq!((&log[..8], number(log, 8), number(log, 16), number(log, 24)), (&b"memsnapL"[..], 1, 40, 12));
    assert_eq!(log[32..], [7, 0, 0, 0, 8, 0, 0, 0, 9, 0, 0, 0]);
}
