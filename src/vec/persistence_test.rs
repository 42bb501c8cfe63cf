use super::*;
use crate::vec::fixture::Fixture;

/// What `persistence` 0.0.5 writes for elements of two bytes: {1, 2} is their default.
#[allow(clippy::host_endian_bytes, reason = "these files are in the order of the machine that wrote them")]
fn file(elements: &[u8]) -> Vec<u8> {
    let mut out = b"TESTFILE".to_vec();
    out.extend(0x1234u16.to_ne_bytes());
    out.extend([0, 0, 5, 0, 1, 0, 1, 2]);
    out.extend((4096u16 - 20).to_ne_bytes());
    out.resize(4096, 0);
    out.extend(elements);
    out
}

fn open(bytes: &[u8], size: u64) -> Result<PersistenceFile> {
    let f = Fixture::new();
    std::fs::write(f.path(), bytes).unwrap();
    PersistenceFile::open(&f.path(), size, Some(*b"TESTFILE"), Some([0, 1, 0]))
}

#[test]
fn elements_are_read() {
    let old = open(&file(&[1, 2, 3, 4, 5, 6]), 2).unwrap();
    let mut bytes = [0; 4];
    old.read_at(&mut bytes, 2).unwrap();
    assert_eq!((old.len(), bytes), (3, [3, 4, 5, 6]));
    assert!(old.read_at(&mut bytes, 4).is_err());
    assert!(open(&file(&[]), 2).unwrap().len() == 0);
    assert_eq!((header_len(2), header_len(4078), header_len(4079)), (4096, 4096, 8192));
}

#[test]
fn every_field_has_its_own_message() {
    let swapped = if cfg!(target_endian = "little") { [0x12, 0x34] } else { [0x34, 0x12] };
    let table: [(usize, &[u8], &str); 6] = [
        (0, b"X", "magic bytes are \"XESTFILE\""),
        (8, &swapped, "wrong endianness"),
        (8, &[7, 7], "neither order"),
        (12, &[6], "0.0.6"),
        (15, &[9], "version 0.1.9, not 0.1.0"),
        (18, &[0, 0], "0 bytes of padding"),
    ];
    for (at, bytes, expected) in table {
        let mut bad = file(&[1, 2]);
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        let said = open(&bad, 2).unwrap_err().to_string();
        assert!(said.contains(expected), "{said}");
    }
    assert!(open(&file(&[1, 2]), 4).unwrap_err().to_string().contains("another type"));
    assert!(open(&file(&[1, 2, 3]), 2).unwrap_err().to_string().contains("not a multiple"));
    for len in 0..4096 {
        let said = open(&file(&[])[..len], 2).unwrap_err().to_string();
        assert!(said.contains("too short") || said.contains("within its padding"), "{len}: {said}");
    }
}
