//! Files for the tests of this module.

use std::path::PathBuf;
use std::time::Duration;

use super::scalar::Scalar;
use super::{Edit, ElementType, VecFile, VecFileMut};

pub(super) struct Fixture {
    dir: tempfile::TempDir,
}

impl Fixture {
    pub(super) fn new() -> Fixture {
        Fixture { dir: tempfile::tempdir().unwrap() }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join("v")
    }

    /// A new file of `u16`.
    pub(super) fn create(&self) -> VecFileMut {
        VecFileMut::create(&self.path(), &ElementType::of_scalar(Scalar::U16)).unwrap()
    }

    pub(super) fn open(&self) -> crate::Result<VecFileMut> {
        VecFileMut::open(&self.path(), Duration::ZERO)
    }

    pub(super) fn read(&self) -> crate::Result<Vec<u8>> {
        VecFile::open(&self.path(), Duration::ZERO).map(|vec| all(&vec))
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.path()).unwrap()
    }
}

/// All bytes of all elements.
pub(super) fn all(vec: &VecFile) -> Vec<u8> {
    let mut bytes = vec![0; vec.byte_len() as usize];
    vec.read_at(&mut bytes, 0).unwrap();
    bytes
}

/// Makes `bytes` all there is.
pub(super) fn store(vec: &mut VecFileMut, bytes: &[u8]) {
    vec.commit(&[Edit { offset: 0, bytes }], bytes.len() as u64 / 2).unwrap();
}
