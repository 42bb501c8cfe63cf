//! For tests: a target in a directory of its own, changed and snapshotted.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use super::input::operand::Operand;
use super::{Quiet, Reserve, snap};
use crate::pack::Compress;
use crate::page::PAGE64;
use crate::store::{History, Ref};
use crate::sys::ext::FileExt;
use crate::sys::sparse;

/// A target `db`, and the store beside it.
pub(super) struct Fixture {
    pub(super) dir: tempfile::TempDir,
    pub(super) compress: Compress,
}

impl Fixture {
    pub(super) fn new() -> Fixture {
        let fixture = Fixture { dir: tempfile::tempdir().unwrap(), compress: Compress::default() };
        File::create(fixture.target()).unwrap();
        fixture
    }

    pub(super) fn target(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join("db")
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn history(&self) -> History {
        super::find_history(None, &self.target()).unwrap()
    }

    pub(super) fn at(&self, number: u64) -> Operand {
        Operand::new(self.target(), Ref::Number(number))
    }

    fn open(&self) -> File {
        OpenOptions::new().read(true).write(true).open(self.target()).unwrap()
    }

    pub(super) fn write(&self, at: u64, bytes: &[u8]) {
        self.open().write_all_at(bytes, at).unwrap();
    }

    /// Fills pages with bytes that do not compress, another for each `seed`.
    pub(super) fn pages(&self, first: u64, n: u64, seed: u64) {
        let mut noise = vec![0; (n * PAGE64) as usize];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut noise);
        self.write(first * PAGE64, &noise);
    }

    pub(super) fn cut(&self, len: u64) {
        self.open().set_len(len).unwrap();
    }

    pub(super) fn punch(&self, at: u64, len: u64) {
        if !sparse::punch(&self.open(), at, len).unwrap() {
            self.write(at, &vec![0; len as usize]);
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.target()).unwrap()
    }

    /// Makes a snapshot; its number.
    pub(super) fn snap(&self) -> u64 {
        self.snap_named(&[])
    }

    pub(super) fn snap_named(&self, tags: &[&str]) -> u64 {
        let options = snap::Options::default()
            .message("why")
            .tags(tags.iter().map(ToString::to_string).collect::<Vec<_>>())
            .compress(self.compress)
            .always(true)
            .reserve(Reserve::Percent(0));
        snap::snap(&self.target(), &options, &Quiet).unwrap().number
    }

    /// Files of the history whose names end so, oldest first.
    pub(super) fn stored(&self, suffix: &str) -> Vec<PathBuf> {
        let list = std::fs::read_dir(self.history().dir()).unwrap().map(|e| e.unwrap().path());
        let mut list: Vec<_> = list.filter(|p| p.to_string_lossy().ends_with(suffix)).collect();
        list.sort_by_key(|p| (p.metadata().unwrap().modified().unwrap(), p.clone()));
        list
    }
}

/// Flips a bit of a file, by the number of its byte.
pub(super) fn flip(path: &Path, byte: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut one = [0];
    file.read_exact_at(&mut one, byte).unwrap();
    file.write_all_at(&[one[0] ^ 0x10], byte).unwrap();
}
