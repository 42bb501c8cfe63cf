//! A persistent vector of `u16`, and the bytes that it must hold.

use std::path::{Path, PathBuf};
use std::time::Duration;

use memsnap::ops::vec::{ElementType, Scalar};
use memsnap::vec::internals::{Edit, VecFile, VecFileMut};
use memsnap::{Error, Result};

use super::crash::{Blow, during};

/// The file, and what it holds; `None` while it is not there.
pub(crate) struct Vector {
    path: PathBuf,
    holds: Option<Vec<u8>>,
}

/// Where blows fall: on the commit, and on the opening after it.
#[derive(Clone, Copy)]
pub(crate) struct Blows {
    pub(crate) at: u8,
    pub(crate) again: u8,
    pub(crate) blow: Blow,
}

impl Vector {
    pub(crate) fn new(dir: &Path) -> Vector {
        Vector { path: dir.join("vec"), holds: None }
    }

    /// Sets an element, cuts the end off, appends: one commit. After a blow it holds what it held, or all of that.
    pub(crate) fn step(&mut self, (set, push, cut, seed): (Option<usize>, usize, usize, u8), blows: Blows) {
        let old = self.holds.clone();
        let mut new = old.clone().unwrap_or_default();
        let kept = new.len().saturating_sub(cut * 2);
        new.truncate(kept);
        let at = set.filter(|_| kept > 0).map(|n| n * 2 % kept);
        if let Some(at) = at {
            new[at..at + 2].fill(seed);
        }
        new.extend((0..push * 2).map(|n| (n / 97) as u8 ^ seed));
        let (done, struck) = during(blows.at, blows.blow, || self.commit(&new, at, kept));
        match &done {
            Ok(()) => self.holds = Some(new.clone()),
            Err(e) => assert!(struck, "{e}"),
        }
        if struck {
            self.settle(old, new, done.is_ok(), blows);
        }
        self.check();
    }

    fn commit(&self, new: &[u8], set: Option<usize>, kept: usize) -> Result<()> {
        let mut vec = match self.holds {
            Some(_) => VecFileMut::open(&self.path, Duration::ZERO)?,
            None => VecFileMut::create(&self.path, &ElementType::of_scalar(Scalar::U16))?,
        };
        let set = set.map(|at| Edit { offset: at as u64, bytes: &new[at..at + 2] });
        let pushed = (new.len() > kept).then(|| Edit { offset: kept as u64, bytes: &new[kept..] });
        let edits: Vec<_> = set.into_iter().chain(pushed).collect();
        vec.commit(&edits, new.len() as u64 / 2)
    }

    /// After the crash it opens with the old content or the new, and the same after each further crash.
    fn settle(&mut self, old: Option<Vec<u8>>, new: Vec<u8>, done: bool, blows: Blows) {
        let found = match self.read() {
            Ok(found) => found,
            Err(Error::Io { .. }) if old.is_none() && !self.path.exists() => return,
            Err(e) => panic!("it cannot be read after a blow: {e}"),
        };
        // One that was just made may have been struck before its first commit.
        let before = old.unwrap_or_default();
        assert!(found == new || found == before && !done, "it holds neither the old nor the new");
        let open = || VecFileMut::open(&self.path, Duration::ZERO).map(drop);
        let (opened, struck) = during(blows.again, blows.blow, open);
        assert!(opened.is_ok() || struck, "it is finished, unless another blow falls: {opened:?}");
        assert!(self.read().is_ok_and(|bytes| bytes == found), "what it holds is still that");
        open().expect("it is finished");
        self.holds = Some(found);
    }

    fn read(&self) -> Result<Vec<u8>> {
        let vec = VecFile::open(&self.path, Duration::ZERO)?;
        let mut bytes = vec![0; vec.byte_len() as usize];
        vec.read_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    pub(crate) fn check(&self) {
        if let Some(holds) = &self.holds {
            assert!(self.read().is_ok_and(|bytes| bytes == *holds), "the vector holds what was committed");
        }
    }
}
