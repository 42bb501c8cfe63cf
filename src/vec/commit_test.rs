use super::super::fixture::{Fixture, all, store};
use super::*;
use crate::sys::ext::{MetadataExt, PermissionsExt};
use crate::vec::scalar::Scalar;
use proptest::prelude::*;

fn small() -> ElementType {
    ElementType::of_scalar(Scalar::U16)
}

#[test]
fn a_new_file_is_private_and_ours_alone() {
    let f = Fixture::new();
    let vec = f.create();
    let meta = std::fs::metadata(f.path()).unwrap();
    assert_eq!((vec.len(), meta.len(), meta.permissions().mode() & 0o777), (0, 4096, 0o600));
    match f.open().unwrap_err() {
        Error::Busy { holder, .. } => assert!(holder.contains("this process"), "{holder}"),
        other => panic!("{other}"),
    }
    assert!(matches!(VecFile::open(&f.path(), Duration::ZERO), Err(Error::Busy { .. })));
    match VecFileMut::create(&f.path(), &small()) {
        Err(Error::Refused { what, .. }) => assert!(what.contains("exists"), "{what}"),
        other => panic!("{other:?}"),
    }
    drop(vec);
    let one = VecFile::open(&f.path(), Duration::ZERO).unwrap();
    let two = VecFile::open(&f.path(), Duration::ZERO).unwrap();
    assert!(one.is_empty() && two.is_empty(), "readers share");
    assert!(f.open().is_err(), "and keep writers out");
}

#[test]
fn types_that_no_file_can_hold() {
    let f = Fixture::new();
    let base = ElementType { scalar: None, ..small() };
    let bad = [
        ElementType { size: 0, ..base },
        ElementType { align: 0, ..base },
        ElementType { align: 3, ..base },
        ElementType { size: 8192, align: 8192, ..base },
        ElementType { size: 6, align: 4, ..base },
        ElementType { size: u64::MAX, align: 1, ..base },
        ElementType { size: 4, ..small() },
    ];
    for kind in bad {
        assert!(matches!(VecFileMut::create(&f.path(), &kind), Err(Error::Refused { .. })), "{kind:?}");
        assert!(!f.path().exists());
    }
}

#[test]
fn moved_replaced_cut_and_lengthened_files_are_noticed() {
    let f = Fixture::new();
    let mut vec = f.create();
    store(&mut vec, &[7; 100]);
    let (path, other) = (f.path(), f.path().with_extension("other"));
    let said = |vec: &mut VecFileMut| {
        let before = std::fs::metadata(&vec.path).ok().map(|m| m.len());
        let error = vec.commit(&[Edit { offset: 0, bytes: &[1, 1] }], 50).unwrap_err();
        assert_eq!(std::fs::metadata(&vec.path).ok().map(|m| m.len()), before, "nothing is written");
        assert!(!matches!(&error, Error::Refused { cause, .. } if **cause == crate::Cause::Stated));
        error.to_string()
    };
    std::fs::rename(&path, &other).unwrap();
    assert!(said(&mut vec).contains("moved or removed"));
    std::fs::copy(&other, &path).unwrap();
    assert!(said(&mut vec).contains("another file has taken its place"));
    std::fs::rename(&other, &path).unwrap();
    vec.file.set_len(4096 + 99).unwrap();
    assert!(said(&mut vec).contains("was truncated"));
    vec.file.set_len(4096 + 102).unwrap();
    assert!(said(&mut vec).contains("was lengthened"));
    vec.file.set_len(4096 + 100).unwrap();
    vec.commit(&[], 10).unwrap();
    drop(vec);
    std::fs::File::options().write(true).open(&path).unwrap().set_len(4096 + 19).unwrap();
    assert!(f.open().unwrap_err().to_string().contains("cut short"));
}

#[test]
fn a_link_is_followed_once_and_only_files_are_opened() {
    let f = Fixture::new();
    drop(f.create());
    let link = f.path().with_extension("link");
    crate::sys::ext::symlink("v", &link).unwrap();
    assert_eq!(VecFile::open(&link, Duration::ZERO).unwrap().path(), f.path());
    assert!(matches!(VecFileMut::create(&link, &small()), Err(Error::Refused { .. })), "no link is written through");
    assert!(VecFile::open(f.path().parent().unwrap(), Duration::ZERO).is_err());
}

/// What was written with no room for it leaves all as it was, and the vector goes on.
#[test]
fn a_full_disk_changes_nothing() {
    let f = Fixture::new();
    let mut vec = f.create();
    store(&mut vec, &[7; 5000]);
    let before = f.bytes();
    let failing = |block: &mut [u8]| -> Result<usize> {
        block.fill(1);
        Ok(block.len())
    };
    let mut n = 0;
    let stop = vec.append(|block| {
        n += 1;
        if n == 3 { Err(std::io::Error::from_raw_os_error(28)).at("reading", Path::new("x")) } else { failing(block) }
    });
    assert!(stop.is_err());
    assert_eq!(f.bytes()[4096..], before[4096..]);
    let mut once = [vec![3; 3]].into_iter();
    let odd = vec.append(|block| {
        let bytes = once.next().unwrap_or_default();
        block[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    });
    assert!(odd.unwrap_err().to_string().contains("not a multiple"));
    assert_eq!(all(&vec), [7; 5000]);
    store(&mut vec, &[9; 6000]);
    assert_eq!(all(&vec), [9; 6000]);
}

/// Every state that a commit goes through on its way, as a crash would leave it.
#[test]
fn a_sealed_commit_is_finished_and_an_unsealed_one_never_was() {
    let f = Fixture::new();
    let mut vec = f.create();
    let old: Vec<u8> = (0..10_000).map(|i| (i % 251) as u8).collect();
    store(&mut vec, &old);
    let clean = f.bytes();
    let edits = [Edit { offset: 10, bytes: &[0xee; 5000] }, Edit { offset: 9000, bytes: &[0xdd; 3000] }];
    let mut new = old.clone();
    new.resize(12_000, 0);
    edits.iter().for_each(|e| new[e.offset as usize..e.end() as usize].copy_from_slice(e.bytes));
    let (over, behind) = split(&edits, vec.byte_len());
    let place = vec.stage(&over, &behind, 12_000).unwrap();
    let staged = f.bytes();
    vec.seal(6000, place).unwrap();
    let sealed = f.bytes();
    vec.seal(6000, place).unwrap();
    let mut half = f.bytes();
    half[4096 + 10..4096 + 3000].fill(0xee);
    drop(vec);
    for (state, expected) in [(&staged, &old), (&clean, &old), (&sealed, &new), (&half, &new)] {
        std::fs::write(f.path(), state).unwrap();
        assert!(f.read().unwrap() == *expected, "a reader sees it as it will be");
        assert!(f.bytes() == *state, "and writes nothing");
        let vec = f.open().unwrap();
        assert!(all(&vec) == *expected && !vec.is_unfinished() && vec.left_over() == 0);
        assert_eq!(f.bytes().len(), 4096 + expected.len());
        drop(vec);
        assert!(f.read().unwrap() == *expected);
    }
}

#[test]
fn holes_take_no_space_and_are_zeros() {
    let f = Fixture::new();
    let mut vec = f.create();
    vec.commit(&[Edit { offset: 1 << 20, bytes: &[1; 100] }], 1 << 20).unwrap();
    let mut expected = vec![0; 2 << 20];
    expected[1 << 20..(1 << 20) + 100].fill(1);
    assert!(all(&vec) == expected);
    assert!(std::fs::metadata(f.path()).unwrap().blocks() < 1000);
}

/// What is cut off never comes back, whatever was written behind the elements in between.
#[test]
fn growing_after_a_cut_or_a_failure_gives_zeros() {
    let f = Fixture::new();
    let mut vec = f.create();
    store(&mut vec, &[5; 9000]);
    vec.commit(&[], 50).unwrap();
    vec.commit(&[], 4000).unwrap();
    let mut expected = vec![5; 100];
    expected.resize(8000, 0);
    assert!(all(&vec) == expected);
    assert!(vec.append(|_| Err(Error::refused("no", ""))).is_err());
    vec.commit(&[], 4500).unwrap();
    assert!(all(&vec)[8000..] == [0; 1000]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn commits_do_what_a_plain_vector_does(
        steps in prop::collection::vec((0u64..9000, prop::collection::vec((0u64..18_000, 1usize..6000, any::<u8>()), 0..4), any::<bool>()), 1..12)
    ) {
        let f = Fixture::new();
        let mut vec = f.create();
        let mut oracle: Vec<u8> = Vec::new();
        for (count, mut wishes, reopen) in steps {
            oracle.resize(count as usize * 2, 0);
            wishes.sort_unstable();
            let mut done = 0;
            let mut edits: Vec<(u64, Vec<u8>)> = Vec::new();
            for (offset, len, byte) in wishes {
                let offset = offset.max(done);
                let end = (offset + len as u64).min(count * 2);
                if offset >= end { continue; }
                edits.push((offset, vec![byte; (end - offset) as usize]));
                oracle[offset as usize..end as usize].fill(byte);
                done = end;
            }
            let edits: Vec<Edit> = edits.iter().map(|(offset, bytes)| Edit { offset: *offset, bytes }).collect();
            vec.commit(&edits, count).unwrap();
            prop_assert!(all(&vec) == oracle);
            prop_assert_eq!(std::fs::metadata(f.path()).unwrap().len(), 4096 + count * 2);
            if reopen {
                drop(vec);
                prop_assert!(f.read().unwrap() == oracle);
                vec = f.open().unwrap();
            }
        }
    }
}
