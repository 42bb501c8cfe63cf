use std::fs;

use proptest::prelude::*;

use super::super::Quiet;
use super::super::fixture::{Fixture, flip};
use super::*;
use crate::error::Error;
use crate::sys::ext::{MetadataExt, PermissionsExt};
use crate::sys::xattr;

fn to_file(f: &Fixture, number: u64, out: &str, force: bool) -> Result<Report> {
    let options = Options::default().force(force);
    restore(&f.at(number), Out::Path(&f.path(out)), &options, &Quiet)
}

fn to_vec(f: &Fixture, number: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    restore(&f.at(number), Out::Stream(&mut bytes), &Options::default(), &Quiet).map(|_| bytes)
}

#[derive(Clone, Debug)]
enum Act {
    Write(u64, usize, u8),
    Punch(u64, u64),
    Cut(u64),
    Snap,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let at = prop_oneof![0u64..400_000, (0u64..100).prop_map(|p| p * 4096), Just(65535), Just(65537)];
    let act = prop_oneof![
        3 => (at.clone(), 1usize..20_000, any::<u8>()).prop_map(|(at, n, byte)| Act::Write(at, n, byte)),
        1 => (0u64..90, 1u64..40).prop_map(|(p, n)| Act::Punch(p * 4096, n * 4096)),
        1 => prop_oneof![Just(0), Just(1), Just(4096), Just(65536), at].prop_map(Act::Cut),
        2 => Just(Act::Snap),
    ];
    prop::collection::vec(act, 1..14)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn every_image_comes_back(acts in acts(), zstd: bool) {
        let mut f = Fixture::new();
        f.compress = if zstd { crate::pack::Compress::Zstd(1) } else { crate::pack::Compress::None };
        let mut oracle: Vec<u8> = Vec::new();
        let mut images = Vec::new();
        for act in acts.into_iter().chain([Act::Snap]) {
            match act {
                Act::Write(at, n, byte) => {
                    f.write(at, &vec![byte; n]);
                    oracle.resize(oracle.len().max(at as usize + n), 0);
                    oracle[at as usize..at as usize + n].fill(byte);
                }
                Act::Punch(at, n) => {
                    f.punch(at, n.min((oracle.len() as u64).saturating_sub(at)));
                    let (at, len) = (at as usize, oracle.len());
                    oracle[at.min(len)..(at + n as usize).min(len)].fill(0);
                }
                Act::Cut(len) => {
                    f.cut(len);
                    oracle.resize(len as usize, 0);
                }
                Act::Snap => {
                    prop_assert_eq!(f.snap(), images.len() as u64 + 1);
                    images.push(oracle.clone());
                }
            }
        }
        for (image, number) in images.iter().zip(1..) {
            to_file(&f, number, "out", true).unwrap();
            prop_assert!(fs::read(f.path("out")).unwrap() == *image);
            prop_assert!(to_vec(&f, number).unwrap() == *image);
        }
        let options = super::super::verify::Options::default();
        let operand = crate::ops::input::operand::Operand::new(f.target(), None);
        let report = super::super::verify::verify(Some(&operand), &options, &Quiet).unwrap();
        prop_assert!(report.faults.is_empty(), "{:?}", report.faults);
        prop_assert_eq!(report.snapshots, images.len() as u64);
    }
}

#[test]
fn holes_stay_holes_and_metadata_comes_back_without_set_uid_bits() {
    let f = Fixture::new();
    f.cut(64 << 20);
    f.pages(3, 2, 1);
    f.write(40 << 20, &[0; 8192]);
    let attrs = xattr::set(&File::open(f.target()).unwrap(), b"user.kept", b"yes").is_ok();
    fs::set_permissions(f.target(), PermissionsExt::from_mode(0o4750)).unwrap();
    f.snap();
    let report = to_file(&f, 1, "out", false).unwrap();
    let (old, new) = (fs::metadata(f.target()).unwrap(), fs::metadata(f.path("out")).unwrap());
    assert_eq!(report.len, 64 << 20);
    assert_eq!(new.mode() & 0o7777, 0o750);
    assert!(report.notes.iter().any(|n| n.text.contains("4750")), "{:?}", report.notes);
    assert_eq!((old.mtime(), old.mtime_nsec()), (new.mtime(), new.mtime_nsec()));
    assert!(new.blocks() <= old.blocks() + 16, "{} of {}", new.blocks(), old.blocks());
    if attrs {
        let out = File::open(f.path("out")).unwrap();
        assert_eq!(xattr::get(&out, b"user.kept").unwrap().unwrap(), b"yes");
    }
}

#[test]
fn nothing_is_overwritten_unasked() {
    let f = Fixture::new();
    f.pages(0, 3, 1);
    f.snap();
    fs::write(f.path("out"), b"mine").unwrap();
    assert!(matches!(to_file(&f, 1, "out", false), Err(Error::Refused { .. })));
    assert_eq!(fs::read(f.path("out")).unwrap(), b"mine");
    to_file(&f, 1, "out", true).unwrap();
    assert_eq!(fs::read(f.path("out")).unwrap(), f.bytes());
    for out in ["db", "link", "hard"] {
        let _ = crate::sys::ext::symlink("db", f.path("link"));
        let _ = fs::hard_link(f.target(), f.path("hard"));
        let e = to_file(&f, 1, out, true).unwrap_err();
        assert!(e.to_string().contains("the target itself"), "{out}: {e}");
    }
    assert!(matches!(to_file(&f, 1, ".", true), Err(Error::Refused { .. })));
    assert!(matches!(to_file(&f, 7, "other", false), Err(Error::Missing { .. })));
}

#[test]
fn damage_leaves_no_file() {
    let f = Fixture::new();
    f.pages(0, 40, 1);
    f.snap();
    flip(&f.stored(".pack")[0], 5000);
    assert!(matches!(to_file(&f, 1, "out", false), Err(Error::Damaged { .. })));
    assert!(matches!(to_vec(&f, 1), Err(Error::Damaged { .. })));
    assert!(!f.path("out").exists());
    assert_eq!(fs::read_dir(f.dir.path()).unwrap().count(), 2);
}
