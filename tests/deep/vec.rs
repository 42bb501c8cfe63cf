//! The typed vector: all that `Vec<T>` does, and what happens to its file.
#![allow(unsafe_code, reason = "tests know who writes to their files")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use memsnap::mem::page_size;
use memsnap::ops::vec;
use memsnap::vec::{Options, PersistentVec, Plain, VecReader};
use memsnap::{Error, Result};
use proptest::prelude::*;

struct Fixture {
    dir: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Fixture {
        Fixture { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("v")
    }
}

fn create<T: Plain>(f: &Fixture) -> PersistentVec<T> {
    // SAFETY: no other process uses the file.
    unsafe { PersistentVec::create(&f.path(), &Options::default()) }.unwrap()
}

fn open<T: Plain>(f: &Fixture) -> Result<PersistentVec<T>> {
    // SAFETY: no other process uses the file.
    unsafe { PersistentVec::open(&f.path(), &Options::default()) }
}

/// Elements of 12 bytes lie across pages.
type Triple = [u32; 3];

fn triple(n: u32) -> Triple {
    [n, !n, n.wrapping_mul(77)]
}

#[derive(Clone, Debug)]
enum Step {
    Push(u32),
    Pop,
    Extend(u32, usize),
    Slice(usize),
    Insert(usize, u32),
    Remove(usize),
    SwapRemove(usize),
    Truncate(usize),
    RemoveFront(usize),
    Clear,
    Resize(usize, u32),
    Set(usize, u32),
    Reserve(usize),
    Shrink,
    Commit,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<u32>().prop_map(Step::Push),
        2 => Just(Step::Pop),
        4 => (any::<u32>(), 0usize..3000).prop_map(|(n, count)| Step::Extend(n, count)),
        1 => (0usize..800).prop_map(Step::Slice),
        2 => (any::<usize>(), any::<u32>()).prop_map(|(at, n)| Step::Insert(at, n)),
        2 => any::<usize>().prop_map(Step::Remove),
        2 => any::<usize>().prop_map(Step::SwapRemove),
        1 => (0usize..4000).prop_map(Step::Truncate),
        1 => (0usize..3000).prop_map(Step::RemoveFront),
        1 => Just(Step::Clear),
        2 => (0usize..5000, 0u32..2).prop_map(|(len, n)| Step::Resize(len, n)),
        4 => (any::<usize>(), any::<u32>()).prop_map(|(at, n)| Step::Set(at, n)),
        1 => (0usize..10_000).prop_map(Step::Reserve),
        1 => Just(Step::Shrink),
        4 => Just(Step::Commit),
        2 => Just(Step::Reopen),
    ]
}

fn run(step: Step, vec: &mut PersistentVec<Triple>, oracle: &mut Vec<Triple>) {
    let within = |at: usize| at % oracle.len().max(1);
    match step {
        Step::Push(n) => {
            vec.push(triple(n)).unwrap();
            oracle.push(triple(n));
        }
        Step::Pop => assert_eq!(vec.pop(), oracle.pop()),
        Step::Extend(n, count) => {
            let more = (0..count as u32).map(|i| triple(n.wrapping_add(i)));
            vec.extend(more.clone()).unwrap();
            oracle.extend(more);
        }
        Step::Slice(n) => {
            let part = oracle[..n.min(oracle.len())].to_vec();
            vec.extend_from_slice(&part).unwrap();
            oracle.extend(part);
        }
        Step::Insert(at, n) => {
            let at = within(at);
            vec.insert(at, triple(n)).unwrap();
            oracle.insert(at, triple(n));
        }
        Step::Remove(at) if !oracle.is_empty() => {
            let at = within(at);
            assert_eq!(vec.remove(at), oracle.remove(at));
        }
        Step::SwapRemove(at) if !oracle.is_empty() => {
            let at = within(at);
            assert_eq!(vec.swap_remove(at), oracle.swap_remove(at));
        }
        Step::Set(at, n) if !oracle.is_empty() => {
            let at = within(at);
            vec[at] = triple(n);
            oracle[at] = triple(n);
        }
        Step::Truncate(len) => {
            vec.truncate(len);
            oracle.truncate(len);
        }
        Step::RemoveFront(n) => {
            let n = n.min(oracle.len());
            vec.remove_front(n);
            oracle.drain(..n);
            assert_eq!(vec.pop_front(), (!oracle.is_empty()).then(|| oracle.remove(0)));
        }
        Step::Clear => {
            vec.clear();
            oracle.clear();
        }
        Step::Resize(len, n) => {
            let value = if n == 0 { [0; 3] } else { triple(n) };
            vec.resize(len, value).unwrap();
            oracle.resize(len, value);
        }
        Step::Reserve(n) => vec.reserve(n).unwrap(),
        Step::Shrink => vec.shrink().unwrap(),
        Step::Commit => {
            vec.commit().unwrap();
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn every_edit_does_what_vec_does(steps in prop::collection::vec(step(), 1..60)) {
        let f = Fixture::new();
        let mut vec = create::<Triple>(&f);
        let (mut oracle, mut committed) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Reopen => {
                    drop(vec);
                    let read = VecReader::<Triple>::open_copy(&f.path(), &Options::default()).unwrap();
                    prop_assert!(*read == *committed);
                    vec = open(&f).unwrap();
                    oracle.clone_from(&committed);
                }
                step => {
                    let commits = matches!(step, Step::Commit);
                    run(step, &mut vec, &mut oracle);
                    if commits {
                        committed.clone_from(&oracle);
                    }
                }
            }
            prop_assert!(*vec == *oracle);
        }
    }
}

#[test]
fn long_files_are_mapped_and_only_what_changed_is_written() {
    let f = Fixture::new();
    let mut vec = create::<u64>(&f);
    vec.extend(0..1_000_000).unwrap();
    assert_eq!(vec.commit().unwrap(), 8_000_000u64.div_ceil(page_size() as u64));
    assert_eq!(vec.commit().unwrap(), 0);
    vec[700_000] = 1;
    vec[3] = 3; // as it was
    assert_eq!(vec.commit().unwrap(), 1);
    assert!(vec.iter().enumerate().all(|(i, n)| *n == i as u64 || i == 700_000));
    vec.truncate(900_000);
    vec.commit().unwrap();
    drop(vec);
    assert_eq!(std::fs::metadata(f.path()).unwrap().len(), 4096 + 7_200_000);
    // SAFETY: no other process uses the file.
    let read = unsafe { VecReader::<u64>::open(&f.path(), &Options::default()) }.unwrap();
    assert_eq!((read.len(), read[699_999], read[700_000]), (900_000, 699_999, 1));
    assert!(matches!(open::<u64>(&f), Err(Error::Busy { .. })), "a reader that maps the file keeps writers out");
    drop(read);
    let copy = VecReader::<u64>::open_copy(&f.path(), &Options::default()).unwrap();
    let mut vec = open::<u64>(&f).unwrap();
    vec.clear();
    vec.commit().unwrap();
    assert_eq!((copy.len(), copy[899_999]), (900_000, 899_999), "a copy stays");
    vec.shrink().unwrap();
    assert!(vec.is_empty() && vec.capacity() == 0);
    vec.push(5).unwrap();
    assert_eq!((vec[0], vec.pop(), vec.pop()), (5, Some(5), None));
}

#[test]
fn growing_past_the_capacity_keeps_all() {
    let f = Fixture::new();
    let mut vec = create::<u32>(&f);
    vec.extend(0..5000).unwrap();
    vec.commit().unwrap();
    vec[17] = 1;
    vec.push(5000).unwrap();
    vec.shrink().unwrap();
    assert_eq!(vec.capacity(), 5001);
    vec.push(5001).unwrap();
    assert!(vec.capacity() > 100_000);
    assert!(vec.iter().enumerate().all(|(i, n)| *n as usize == i || i == 17));
    assert_eq!((vec.len(), vec.committed_len()), (5002, 5000));
    assert!(vec.reserve(usize::MAX).is_err() && vec.reserve(usize::MAX / 8).is_err());
    vec.commit().unwrap();
    assert_eq!(vec[17], 1);
}

#[test]
fn a_moved_file_is_noticed_when_growing_and_at_commit() {
    let f = Fixture::new();
    let mut vec = create::<u32>(&f);
    vec.push(1).unwrap();
    vec.shrink().unwrap();
    let other = f.path().with_extension("other");
    std::fs::rename(f.path(), &other).unwrap();
    assert!(matches!(vec.push(2), Err(Error::Refused { .. })));
    assert!(matches!(vec.commit(), Err(Error::Refused { .. })));
    assert_eq!(*vec, [1], "what was not committed is still here");
    std::fs::rename(&other, f.path()).unwrap();
    vec.push(2).unwrap();
    vec.commit().unwrap();
    std::fs::File::options().write(true).open(f.path()).unwrap().set_len(4096).unwrap();
    vec.push(3).unwrap();
    assert!(matches!(vec.commit(), Err(Error::Damaged { .. })));
}

#[test]
fn other_types_are_refused_with_the_reason() {
    let f = Fixture::new();
    let options = Options::default().tag("weights").version(3);
    // SAFETY: no other process uses the file.
    drop(unsafe { PersistentVec::<f32>::create(&f.path(), &options) }.unwrap());
    fn said<T: Plain>(f: &Fixture, options: Options) -> String {
        let error = VecReader::<T>::open_copy(&f.path(), &options).map(drop).unwrap_err();
        assert!(matches!(error, Error::Refused { .. }));
        error.to_string()
    }
    assert!(said::<f64>(&f, options).contains("elements of 4 bytes, not of 8"));
    assert!(said::<u32>(&f, options).contains("another kind: f32"));
    assert!(said::<[u8; 4]>(&f, options).contains("aligned to 4, not to 1"));
    assert!(said::<f32>(&f, options.tag("")).contains("the tag \"weights"));
    assert!(said::<f32>(&f, options.version(2)).contains("version 3 of its type, not 2"));
    assert!(VecReader::<f32>::open_copy(&f.path(), &options).unwrap().is_empty());
}

/// What a reader sees of a commit that is sealed and not in place, mapped or copied.
#[test]
fn an_unfinished_commit_is_read_as_done() {
    let f = Fixture::new();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/vec-1/sealed");
    std::fs::copy(kept, f.path()).unwrap();
    let options = Options::default().tag("golden").version(7);
    let mut expected: Vec<u32> = (0..300).collect();
    expected[10..13].copy_from_slice(&[7, 8, 9]);
    // SAFETY: no other process uses the file.
    let mapped = unsafe { VecReader::<u32>::open(&f.path(), &options) }.unwrap();
    let copied = VecReader::<u32>::open_copy(&f.path(), &options).unwrap();
    assert!(*mapped == *expected && *copied == *expected);
    assert!(vec::stat(&f.path(), Duration::ZERO).unwrap().unfinished);
    drop(mapped);
    // SAFETY: no other process uses the file.
    assert!(*unsafe { PersistentVec::<u32>::open(&f.path(), &options) }.unwrap() == *expected);
    assert!(!vec::stat(&f.path(), Duration::ZERO).unwrap().unfinished);
}

/// An empty file, such as mkstemp(3) makes, begins a vector; what is taken from its front is gone with the commit.
#[test]
fn fronts_and_beginnings() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("v");
    std::fs::write(&path, b"").unwrap();
    // SAFETY: no other process uses the file.
    let open = || unsafe { PersistentVec::<u16>::open_or_create(&path, &Options::default()) }.unwrap();
    let mut vec = open();
    vec.extend(0..5000).unwrap();
    vec.commit().unwrap();
    vec.remove_front(0);
    vec.remove_front(1000);
    assert_eq!((vec.pop_front(), vec.len(), vec[0], vec[3998]), (Some(1000), 3999, 1001, 4999));
    drop(vec);
    let mut vec = open();
    assert_eq!(vec.len(), 5000, "nothing without a commit");
    vec.remove_front(4990);
    vec.commit().unwrap();
    drop(vec);
    let mut vec = open();
    assert!(vec.iter().copied().eq(4990..5000));
    vec.remove_front(10);
    assert_eq!(vec.pop_front(), None);
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| vec.remove_front(1))).is_err());

    let path = dir.path().join("w");
    for (capacity, made) in [(usize::MAX, false), (1 << 20, true)] {
        // SAFETY: as above.
        let vec = unsafe { PersistentVec::<u64>::with_capacity(&path, &Options::default(), capacity) };
        assert_eq!((vec.is_ok(), path.exists()), (made, made), "{capacity}");
        assert!(vec.is_err() || vec.is_ok_and(|vec| vec.capacity() >= capacity && vec.is_empty()));
    }
}
