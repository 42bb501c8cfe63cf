//! Deltas made and applied, against images in memory.

use std::io::Write;

use proptest::prelude::*;

use super::super::Operand;
use super::super::delta;
use super::super::restore::Out;
use super::super::snap::{self, snap};
use super::super::{Quiet, Reading, Reserve};
use super::*;
use crate::store::Ref;

/// Files in a directory that is gone afterwards.
struct Bench {
    dir: tempfile::TempDir,
}

fn options() -> Options {
    Options::default().live(true).reserve(Reserve::Bytes(0))
}

impl Bench {
    fn new() -> Bench {
        Bench { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes `bytes` to a file with holes where there are pages of zeros that `sparse` names.
    fn write(&self, name: &str, bytes: &[u8], sparse: bool) -> PathBuf {
        let path = self.path(name);
        let file = File::options().create(true).truncate(false).write(true).open(&path).unwrap();
        file.set_len(0).unwrap();
        for (i, page) in bytes.chunks(PAGE).enumerate() {
            if !(sparse && page.iter().all(|b| *b == 0)) {
                file.write_all_at(page, i as u64 * PAGE64).unwrap();
            }
        }
        file.set_len(bytes.len() as u64).unwrap();
        path
    }

    fn snap(&self, path: &Path) -> Ref {
        let options = snap::Options::default().reserve(Reserve::Bytes(0));
        Ref::Number(snap(path, &options, &Quiet).unwrap().number)
    }

    fn make(&self, a: &Operand, b: &Operand, reversible: bool) -> Vec<u8> {
        let options = delta::Options::default().reversible(reversible).level(1);
        let mut out = Vec::new();
        let stat = delta::make(a, b, Out::Stream(&mut out), &options, &Quiet).unwrap();
        assert_eq!(stat.bytes, out.len() as u64);
        assert_eq!(delta::stat(stream(&out)).unwrap(), stat);
        out
    }

    fn apply_copy(&self, file: &Path, delta: &[u8]) -> Result<Vec<u8>> {
        let out = self.path("out");
        let _ = std::fs::remove_file(&out);
        apply(file, stream(delta), Some(&out), &options()).and_then(|request| request.run(&Quiet))?;
        Ok(std::fs::read(out).unwrap())
    }
}

fn stream(bytes: &[u8]) -> Input {
    Input::Stream(Box::new(std::io::Cursor::new(bytes.to_vec())))
}

fn operand(path: &Path, at: Option<Ref>) -> Operand {
    Operand::new(path, at)
}

/// An image of up to a megabyte, as pages that are zeros or not.
fn image() -> impl Strategy<Value = Vec<u8>> {
    (prop::collection::vec((0u8..4, any::<u8>()), 0..80), 0usize..PAGE).prop_map(|(pages, cut)| {
        let page = |(kind, seed): (u8, u8)| {
            (0..PAGE).map(move |i| if kind == 0 { 0 } else { ((i / 32) as u8).wrapping_mul(kind) ^ seed })
        };
        let mut bytes: Vec<u8> = pages.into_iter().flat_map(page).collect();
        bytes.truncate(bytes.len().saturating_sub(cut));
        bytes
    })
}

/// Another image made from it: cut or grown, and written to.
fn changed(a: &[u8], len: usize, writes: &[(usize, usize, u8)]) -> Vec<u8> {
    let mut b = a.to_vec();
    if len.is_multiple_of(2) {
        b.resize(len, 0);
    }
    for (at, n, byte) in writes {
        let at = at.min(&b.len()).to_owned();
        let end = (at + n).min(b.len());
        b[at..end].fill(*byte);
    }
    b
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn deltas_lead_from_a_to_b_and_back(
        a in image(),
        len in 0usize..90 * PAGE,
        writes in prop::collection::vec((0usize..80 * PAGE, 1usize..3 * PAGE, prop_oneof![Just(0u8), any::<u8>()]), 0..12),
        sparse: bool,
        stored in 0u8..5,
    ) {
        let b = changed(&a, len, &writes);
        let bench = Bench::new();
        let (file, other) = (bench.write("a", &a, sparse), bench.write("b", &b, !sparse));
        let live = bench.write("db", &a, sparse);
        let first = bench.snap(&live);
        bench.write("db", &b, sparse);
        let second = bench.snap(&live);
        let (from, to) = match stored {
            0 => (operand(&file, None), operand(&other, None)),
            1 => (operand(&live, Some(first)), operand(&other, None)),
            2 => (operand(&file, None), operand(&live, Some(second))),
            3 => {
                bench.snap(&other);
                (operand(&live, Some(first)), operand(&other, Some(Ref::Latest)))
            }
            _ => (operand(&live, Some(first)), operand(&live, Some(second))),
        };
        let forward = bench.make(&from, &to, true);
        prop_assert_eq!(bench.apply_copy(&file, &forward).unwrap(), &b[..]);
        let mut back = Vec::new();
        delta::invert(stream(&forward), Out::Stream(&mut back), false).unwrap();
        prop_assert_eq!(bench.apply_copy(&other, &back).unwrap(), &a[..]);
        let mut again = Vec::new();
        delta::invert(stream(&back), Out::Stream(&mut again), false).unwrap();
        prop_assert_eq!(&again, &forward);
        if a != b {
            let refused = bench.apply_copy(&other, &forward);
            let base = matches!(refused, Err(Error::Base { .. }));
            prop_assert!(base, "{:?}", refused.map(|bytes| bytes.len()));
        }

        let done = apply(&file, stream(&forward), None, &options()).and_then(|request| request.run(&Quiet)).unwrap();
        prop_assert_eq!(done.done, a != b);
        prop_assert_eq!(std::fs::read(&file).unwrap(), &b[..]);
        if a != b {
            super::super::undo::undo(&file, &options()).and_then(|request| request.run(&Quiet)).unwrap();
            prop_assert_eq!(std::fs::read(&file).unwrap(), &a[..]);
        }
    }
}

#[test]
fn a_wrong_base_leaves_nothing_behind() {
    let bench = Bench::new();
    let (a, b) = (bench.write("a", &[1; 9000], false), bench.write("b", &[2; 9001], false));
    let delta = bench.make(&operand(&a, None), &operand(&b, None), false);
    let other = bench.write("other", &[3; 9000], false);
    let refused = apply(&other, stream(&delta), None, &options()).and_then(|request| request.run(&Quiet));
    assert!(matches!(refused, Err(Error::Base { .. })), "{refused:?}");
    let nothing = apply(&b, stream(&delta), None, &options()).and_then(|request| request.run(&Quiet)).unwrap();
    assert!(!nothing.done && nothing.changes.is_empty(), "it is the result already");
    assert!(!bench.path(".memsnap").exists());
    let empty = apply(&a, stream(b""), None, &options()).and_then(|request| request.run(&Quiet));
    assert!(matches!(empty, Err(Error::Refused { .. })), "{empty:?}");
    for n in [20, delta.len() / 2, delta.len() - 1] {
        let refused = apply(&a, stream(&delta[..n]), None, &options()).and_then(|request| request.run(&Quiet));
        assert!(matches!(refused, Err(Error::Damaged { .. })), "{refused:?}");
    }
    let plan = apply(&a, stream(&delta), None, &options()).unwrap().plan(&Quiet).unwrap();
    assert_eq!((plan.changes().pages, plan.changes().to_len), (3, 9001));
    assert!(!bench.path(".memsnap").exists());
    assert_eq!(std::fs::read(&a).unwrap(), [1; 9000]);
    let refused = delta::invert(stream(&delta), Out::Stream(&mut Vec::new()), false);
    assert!(matches!(refused, Err(Error::Refused { .. })));
}

#[test]
fn what_is_there_is_not_written_over() {
    let bench = Bench::new();
    let (a, b) = (bench.write("a", &[1; 9000], false), bench.write("b", &[2; 9001], false));
    let out = bench.write("out", b"mine", false);
    let (from, to) = (operand(&a, None), operand(&b, None));
    let mut options = delta::Options::default().reversible(true);
    assert!(matches!(delta::make(&from, &to, Out::Path(&out), &options, &Quiet), Err(Error::Refused { .. })));
    assert_eq!(std::fs::read(&out).unwrap(), b"mine");
    options.force = true;
    let stat = delta::make(&from, &to, Out::Path(&out), &options, &Quiet).unwrap();
    assert_eq!(stat.bytes, std::fs::metadata(&out).unwrap().len());
    assert_eq!((stat.pages, stat.ranges, stat.name.as_str()), (3, 1, "b"));
    let copied =
        apply(&a, Input::Path(out.clone()), Some(&b), &self::options()).and_then(|request| request.run(&Quiet));
    assert!(matches!(copied, Err(Error::Refused { .. })));
    let copied = apply(&a, Input::Path(out), Some(&bench.path("c")), &self::options())
        .and_then(|request| request.run(&Quiet))
        .unwrap();
    assert!(copied.done);
    assert_eq!(std::fs::read(bench.path("c")).unwrap(), [2; 9001]);
}

#[test]
fn a_reader_that_goes_away_is_an_error() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let bench = Bench::new();
    let (a, b) = (bench.write("a", &[1; 9000], false), bench.write("b", &[2; 9001], false));
    let options = delta::Options::default().level(1);
    let made = delta::make(&operand(&a, None), &operand(&b, None), Out::Stream(&mut Closed), &options, &Quiet);
    assert!(matches!(made, Err(Error::Io { .. })));
}

#[test]
fn a_page_that_changes_after_the_scan_is_noticed() {
    use super::super::delta::encode::{delta_images, encode};
    use super::super::input::image::OpenImage;
    use crate::pack::{DeltaHead, DeltaWriter};

    let bench = Bench::new();
    let (a, b) = (bench.write("a", &[1; 20_000], false), bench.write("b", &[2; 20_000], false));
    let (x, y) = OpenImage::open_both(&operand(&a, None), &operand(&b, None), None).unwrap();
    let (set, base, result) = delta_images((&x, &y), &Reading::default(), bench.dir.path(), &Quiet).unwrap();
    let head = DeltaHead { base: base.id, result: result.id, reversible: false, name: Vec::new() };
    for (changed, sound) in [(None, true), (Some(&b), false), (Some(&a), false)] {
        if let Some(path) = changed {
            File::options().write(true).open(path).unwrap().write_all_at(b"x", 9000).unwrap();
        }
        let mut direction = DeltaWriter::new(Vec::new(), &head).unwrap().direction(Vec::new()).unwrap();
        let done = encode((&base, &result), &set, 1, &mut direction, Path::new("out"), &Quiet);
        assert_eq!(done.is_ok(), sound, "{done:?}");
        assert!(sound || matches!(done, Err(Error::Changed { .. })));
    }
}

#[test]
fn a_copy_keeps_its_holes() {
    use crate::sys::ext::MetadataExt;

    let bench = Bench::new();
    let mut bytes = vec![0; 4 << 20];
    bytes[5000] = 1;
    bytes[1 << 20..(1 << 20) + 200_000].fill(7);
    let a = bench.write("a", &bytes, true);
    bytes[1 << 20..(1 << 20) + 200_000].fill(0);
    bytes.resize(6 << 20, 0);
    bytes[3 << 20] = 9;
    let b = bench.write("b", &bytes, true);
    if std::fs::metadata(&b).unwrap().blocks() > 100 {
        return;
    }
    let delta = bench.make(&operand(&a, None), &operand(&b, None), false);
    assert_eq!(bench.apply_copy(&a, &delta).unwrap(), bytes);
    let blocks = std::fs::metadata(bench.path("out")).unwrap().blocks();
    assert!(blocks < 200, "{blocks} blocks for two pages");
}
