//! Persistent vectors: header, slots, redo log, and finishing an interrupted commit.
//!
//! The first byte says whether to seal. Then come the 64 bytes of the header, 32 of each slot, the number of bytes of
//! elements (two bytes), these, and what lies on the next page: a log.

use std::time::Duration;

use memsnap::page::PAGE;
use memsnap::vec::internals::{Content, ELEMENTS, Edit, VecFile, VecFileMut, VecSource};

use super::{ground, seal};

const FIXED: usize = 64 + 2 * 32 + 2;

/// A file is refused, or its elements are the same before and after it is opened for writing; then it takes a commit.
pub fn check(input: &[u8]) {
    let Some((how, rest)) = input.split_first() else { return };
    let Some((head, rest)) = rest.split_first_chunk::<FIXED>() else { return };
    let mut bytes = file(head, rest);
    if how & 1 == 1 {
        seal::vec(&mut bytes);
    }
    let from = VecSource::of_bytes(&bytes);
    let Ok(content) = Content::read(&from, bytes.len() as u64) else { return };
    let mut before = vec![0; content.byte_len() as usize];
    content.read_at(&from, &mut before, 0).expect("all of it is there");
    let in_log: Vec<_> = content.in_log().collect();
    assert!(in_log.is_sorted_by(|a, b| a.0 + a.1 <= b.0), "parts of a log ascend, and are apart");
    ground::with(|ground| {
        let path = ground.path("vec");
        ground.put(&path, &bytes);
        let read = || {
            let vec = VecFile::open(&path, Duration::ZERO).expect("it was read before");
            assert_eq!(vec.element_type(), content.element_type());
            let mut all = vec![0; vec.byte_len() as usize];
            vec.read_at(&mut all, 0).expect("all of it is there");
            all
        };
        assert!(read() == before, "a file is read as bytes are");
        let Ok(mut vec) = VecFileMut::open(&path, Duration::ZERO) else { return };
        let clean = std::fs::metadata(&path).expect("it is there").len() == ELEMENTS + before.len() as u64;
        let mut after = vec![0; vec.byte_len() as usize];
        vec.read_at(&mut after, 0).expect("all of it is there");
        assert!(clean && after == before, "it was finished as it was read");
        commit(&mut vec, &mut after, *how);
        drop(vec);
        assert!(read() == after, "a commit holds");
    });
}

/// One element less, the first byte another.
fn commit(vec: &mut VecFileMut, elements: &mut Vec<u8>, how: u8) {
    let size = vec.element_type().size as usize;
    let mut new = elements.clone();
    new.truncate(elements.len().saturating_sub(size * usize::from(how >> 7)));
    new.iter_mut().take(1).for_each(|first| *first ^= how);
    let edit = [Edit { offset: 0, bytes: &new[..new.len().min(1)] }];
    // At the end of what a number can count, a vector can be read and no longer written.
    if vec.commit(&edit, (new.len() / size) as u64).is_ok() {
        *elements = new;
    }
}

/// The file: all that is not said is zero.
fn file(head: &[u8; FIXED], rest: &[u8]) -> Vec<u8> {
    let n = usize::from(u16::from_le_bytes([head[FIXED - 2], head[FIXED - 1]]) % 512).min(rest.len());
    let (elements, log) = rest.split_at(n);
    let mut bytes = vec![0; PAGE];
    bytes[..64].copy_from_slice(&head[..64]);
    bytes[1024..1056].copy_from_slice(&head[64..96]);
    bytes[2048..2080].copy_from_slice(&head[96..128]);
    bytes.extend_from_slice(elements);
    if !log.is_empty() {
        bytes.resize(2 * PAGE, 0);
        bytes.extend_from_slice(log);
    }
    bytes
}
