use super::super::Edit;
use super::super::fixture::{Fixture, all, store};
use super::super::scalar::Scalar;
use super::*;
use crate::Error;

/// A file with some elements, and the same in the middle of a commit.
fn files() -> (Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>) {
    let f = Fixture::new();
    let mut vec = f.create();
    let old: Vec<u8> = (0..600).map(|i| (i % 251) as u8).collect();
    store(&mut vec, &old);
    let clean = f.bytes();
    let new = vec![0xee; 400];
    // As a kill between the commit point and the first page in place leaves it.
    let sealed = {
        let twin = Fixture::new();
        std::fs::write(twin.path(), &clean).unwrap();
        let mut vec = twin.open().unwrap();
        vec.sealed_only(&[Edit { offset: 0, bytes: &new[..400] }], 300);
        drop(vec);
        twin.bytes()
    };
    drop(vec);
    let mut after = old.clone();
    after[..400].fill(0xee);
    (clean, old, sealed, after)
}

fn elements(file: &[u8]) -> Result<Vec<u8>> {
    let from = VecSource::of_bytes(file);
    let content = Content::read(&from, file.len() as u64)?;
    let mut out = vec![0; content.byte_len() as usize];
    content.read_at(&from, &mut out, 0)?;
    Ok(out)
}

#[test]
fn every_flipped_bit_outside_of_the_elements_is_found_or_harmless() {
    let (clean, old, sealed, new) = files();
    for (file, elements_end, right) in [(clean, 4096 + 600, old), (sealed, 4096 + 600, new)] {
        assert!(elements(&file).unwrap() == right);
        for at in (0..4096).chain(elements_end..file.len()) {
            for bit in 0..8 {
                let mut bad = file.clone();
                bad[at] ^= 1 << bit;
                if let Ok(found) = elements(&bad) {
                    assert!(found == right, "bit {bit} of byte {at}");
                }
            }
        }
    }
}

#[test]
fn every_truncation_is_found() {
    let (clean, _, sealed, new) = files();
    for file in [&clean, &sealed] {
        for len in 0..file.len() {
            let result = elements(&file[..len]);
            assert!(matches!(result, Err(Error::Damaged { .. } | Error::Refused { .. })), "{len}: {result:?}");
        }
    }
    // Longer is what an interrupted commit leaves.
    let longer = [&sealed[..], b"abc"].concat();
    assert!(elements(&longer).unwrap() == new);
}

/// The page with other bytes at `at`, and the digest made right again.
fn with_header(at: usize, bytes: &[u8]) -> Vec<u8> {
    let (mut file, ..) = files();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    let digest = blake3::hash(&file[..64]);
    file[64..96].copy_from_slice(digest.as_bytes());
    file
}

#[test]
fn every_field_has_its_own_message() {
    let marker = 0x0102_0304u32;
    let other = if cfg!(target_endian = "little") { marker.swap_bytes() } else { marker };
    let table: [(usize, Vec<u8>, &str); 11] = [
        (0, b"memsnapX".to_vec(), "not a persistent vector"),
        (8, vec![2, 0, 0, 0], "format 2"),
        (12, other.to_le_bytes().to_vec(), "endian"),
        (12, vec![9, 9, 9, 9], "neither order"),
        (16, vec![0], "elements of no bytes"),
        (16, vec![4], "(u16) of 4 bytes"),
        (24, vec![3], "an alignment of 3"),
        (32, vec![77], "kind of number 77"),
        (33, vec![1], "reserved bytes of its header"),
        (60, vec![1], "reserved bytes of its header"),
        (200, vec![1], "reserved bytes of its first page"),
    ];
    for (at, bytes, expected) in table {
        let file = with_header(at, &bytes);
        let said = elements(&file).unwrap_err().to_string();
        assert!(said.contains(expected), "{at}: {said}");
    }
    let (mut file, ..) = files();
    file[45] ^= 1;
    assert!(elements(&file).unwrap_err().to_string().contains("digest of its header"));
    let (mut file, ..) = files();
    file[1024] ^= 1;
    assert!(elements(&file).is_ok(), "one slot is enough");
    file[2048] ^= 1;
    assert!(elements(&file).unwrap_err().to_string().contains("both of its state slots"));
    // A slot of another file does not count.
    let other = Fixture::new();
    let mut page = with_header(40, b"another tag");
    assert!(elements(&page).is_err());
    drop(other.create());
    page[1024..4096].copy_from_slice(&other.bytes()[1024..]);
    assert!(elements(&page).is_err());
}

#[test]
fn what_is_described() {
    let mut kind = ElementType::of_scalar(Scalar::F32);
    assert_eq!(kind.describe(), "f32");
    kind.tag[..5].copy_from_slice(b"point");
    kind.version = 2;
    assert_eq!(kind.describe(), "f32, tag \"point\", version 2");
    kind = ElementType { size: 12, scalar: None, ..kind };
    assert_eq!(kind.describe(), "elements of 12 bytes aligned to 4, tag \"point\", version 2");
}

#[test]
fn other_files_are_no_vectors() {
    for file in [vec![], vec![0; 100], vec![0; 5000], b"memsnap".to_vec()] {
        let error = elements(&file).unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error}");
        assert!(!matches!(&error, Error::Refused { cause, .. } if **cause == crate::Cause::Stated));
    }
    assert!(matches!(elements(b"memsnapV"), Err(Error::Damaged { .. })));
    let f = Fixture::new();
    let vec = f.create();
    assert!(all(&vec).is_empty());
}

#[test]
fn impossible_sequences_and_offsets() {
    let f = Fixture::new();
    let mut vec = f.create();
    store(&mut vec, &[1, 2, 3, 4]);
    assert!(matches!(vec.read_at(&mut [0; 3], u64::MAX - 1), Err(Error::Refused { .. })));
    let kind = *vec.element_type();
    drop(vec);
    let clean = f.bytes();
    for seq in [u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) - 1] {
        let mut file = clean.clone();
        let state = State { seq, count: 1, log: None };
        let (at, slot) = state.encode(&kind);
        file[at as usize..at as usize + slot.len()].copy_from_slice(&slot);
        let len = Content::read(&VecSource::of_bytes(&file), file.len() as u64).unwrap().len();
        assert_eq!(len, if seq < 1 << 63 { 1 } else { 2 }, "{seq}");
    }
}
