use super::super::fixture::{Fixture, all, store};
use super::super::scalar::Scalar;
use super::*;

#[test]
fn the_front_is_taken_away() {
    let f = Fixture::new();
    let most = 3 * BLOCK as u64 / 2 + 77;
    for n in [0, 1, 2, 2048, 5000, most - 1, most] {
        let bytes: Vec<u8> = (0..most).flat_map(|i| ((i * 7 % 65521) as u16).to_le_bytes()).collect();
        let mut vec = f.create();
        store(&mut vec, &bytes);
        vec.remove_front(n).unwrap();
        assert!(all(&vec) == bytes[2 * n as usize..], "{n}");
        // Goes on as usual, and is as long as its elements need.
        store(&mut vec, &[9; 100]);
        vec.remove_front(1).unwrap();
        assert_eq!(all(&vec), [9; 98]);
        assert!(vec.remove_front(50).unwrap_err().to_string().contains("only 49 elements"));
        drop(vec);
        assert_eq!((f.read().unwrap().len(), f.bytes().len()), (98, 4096 + 98));
        std::fs::remove_file(f.path()).unwrap();
    }
}

/// In an empty file, and in what a crash leaves of the first page; not in anything else.
#[test]
fn an_empty_file_begins_a_vector() {
    let f = Fixture::new();
    let kind = ElementType::of_scalar(Scalar::U16);
    let begin = || VecFileMut::open_or_begin(&f.path(), &kind, Duration::ZERO);
    let page = format::new_page(&kind);
    let torn = |sectors: &[usize], len: usize| {
        let mut bytes = vec![0; page.len()];
        sectors.iter().for_each(|s| bytes[s * SECTOR..][..SECTOR].copy_from_slice(&page[s * SECTOR..][..SECTOR]));
        bytes.truncate(len);
        bytes
    };
    let left = [vec![], torn(&[0], 4096), torn(&[0, 4], 4096), torn(&[2, 4], 4096), torn(&[0, 2], 2048)];
    for bytes in left.iter().chain([&torn(&[0], 512), &torn(&[0, 2], 1100), &page]) {
        std::fs::write(f.path(), bytes).unwrap();
        let mut vec = begin().unwrap();
        assert_eq!((vec.len(), *vec.element_type()), (0, kind));
        store(&mut vec, &[1, 2]);
        drop(vec);
        assert_eq!(begin().unwrap().len(), 1);
    }
    for bytes in [vec![0; 1], vec![0; 4096], b"text".to_vec(), torn(&[0, 2], 4096), vec![1; 5000]] {
        let mut bytes = bytes;
        if bytes[0] == page[0] {
            bytes[600] = 1; // neither ours nor zeros
        }
        std::fs::write(f.path(), &bytes).unwrap();
        begin().unwrap_err();
        assert!(f.bytes() == bytes, "it is left alone");
    }
    std::fs::remove_file(f.path()).unwrap();
    assert!(begin().is_err() && !f.path().exists());
    // Not while another process begins one.
    std::fs::write(f.path(), b"").unwrap();
    let other = std::fs::File::open(f.path()).unwrap();
    other.lock().unwrap();
    assert!(matches!(begin(), Err(Error::Busy { .. })) && f.bytes().is_empty());
}
