//! A directory with a target in it, and the verbs with plain options.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use memsnap::capture::Io;
use memsnap::ops::{
    Operand, Quiet, Reading, Reserve, Resolution, change, diff, recover, restore, revert, snap, undo, verify,
};
use memsnap::pack::{Compress, Source};
use memsnap::page::{PAGE, PAGE64, PageRange};
use memsnap::store::{History, Ref, Store};
use memsnap::{Error, Result};
use tempfile::TempDir;

#[allow(unused_imports, reason = "shared")]
pub(crate) use crate::util::noise;

fn lease_blocks_opening_in(dir: &Path) -> bool {
    File::open(dir).and_then(|f| memsnap::sys::fs::kind(&f)).is_ok_and(|kind| kind.lease_blocks_opening())
}

/// A new directory where leases prove something: the usual place for scratch, or else memory.
pub(crate) fn directory() -> TempDir {
    let usual = std::env::temp_dir();
    if lease_blocks_opening_in(&usual) { tempfile::tempdir_in(usual).unwrap() } else { directory_in_memory() }
}

/// The same, the other way round.
fn directory_in_memory() -> TempDir {
    let memory = PathBuf::from("/dev/shm");
    tempfile::tempdir_in(if lease_blocks_opening_in(&memory) { memory } else { std::env::temp_dir() }).unwrap()
}

/// A target, its directory, and how it is read and stored.
pub(crate) struct Ground {
    pub(crate) dir: TempDir,
    pub(crate) target: PathBuf,
    pub(crate) io: Io,
    pub(crate) compress: Compress,
    pub(crate) limit_rate: Option<u64>,
}

impl Ground {
    /// With a target of these bytes.
    pub(crate) fn new(bytes: &[u8]) -> Ground {
        Ground::within(directory(), bytes)
    }

    /// The same in memory, where there is some for files: what is read often is then not read from a disk.
    pub(crate) fn in_memory(bytes: &[u8]) -> Ground {
        Ground::within(directory_in_memory(), bytes)
    }

    fn within(dir: TempDir, bytes: &[u8]) -> Ground {
        let target = dir.path().join("target.bin");
        std::fs::write(&target, bytes).unwrap();
        Ground { dir, target, io: Io::Pread, compress: Compress::None, limit_rate: None }
    }

    pub(crate) fn open(&self) -> File {
        OpenOptions::new().read(true).write(true).open(&self.target).unwrap()
    }

    pub(crate) fn patch(&self, at: u64, bytes: &[u8]) {
        self.open().write_all_at(bytes, at).unwrap();
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.target).unwrap()
    }

    fn reading(&self) -> Reading {
        Reading::default().io(self.io).limit_rate(self.limit_rate)
    }

    pub(crate) fn change_options(&self) -> change::Options {
        change::Options::default().reading(self.reading()).compress(self.compress).reserve(Reserve::Bytes(0))
    }

    pub(crate) fn snap_options(&self) -> snap::Options {
        snap::Options::default().compress(self.compress).reserve(Reserve::Bytes(0)).reading(self.reading())
    }

    pub(crate) fn snap(&self) -> Result<snap::Report> {
        snap::snap(&self.target, &self.snap_options(), &Quiet)
    }

    /// `target@at`.
    pub(crate) fn at(&self, at: Ref) -> Operand {
        Operand::new(self.target.clone(), at)
    }

    pub(crate) fn revert(&self, number: u64, range: Option<(u64, u64)>) -> Result<change::Report> {
        let options = self.change_options();
        revert(&self.at(Ref::Number(number)), range, &options)?.run(&Quiet)
    }

    pub(crate) fn undo(&self) -> Result<change::Report> {
        undo(&self.target, &self.change_options())?.run(&Quiet)
    }

    pub(crate) fn recover(&self, how: Option<Resolution>) -> Result<change::Report> {
        recover(&self.target, how, &self.change_options())?.run(&Quiet)
    }

    /// The ranges that differ, and whether the lengths do not.
    pub(crate) fn diff(&self, a: Ref, b: Ref) -> Result<(Vec<PageRange>, diff::Report)> {
        let options = diff::Options::default().reading(self.reading());
        let found = diff::diff(&self.at(a), Some(&self.at(b)), &options, &Quiet)?;
        Ok((found.pages().runs().collect(), found.report()))
    }

    /// The bytes of snapshot `number`, read page by page.
    pub(crate) fn stored(&self, number: u64) -> Result<Vec<u8>> {
        let history = self.history();
        let image = history.image(history.resolve(&Ref::Number(number))?)?;
        let mut pages = history.packs().pages();
        let mut out = vec![0; image.len().next_multiple_of(PAGE64) as usize];
        for run in image.runs_in([PageRange::of_len(image.len())]) {
            let run = run?;
            for page in run.pages.start..run.pages.end {
                let mut bytes = [0; PAGE];
                if let Source::Pack(pack, source) = run.source.advance(page - run.pages.start) {
                    pages.read(pack, source, &mut bytes)?;
                }
                out[(page * PAGE64) as usize..][..PAGE].copy_from_slice(&bytes);
            }
        }
        out.truncate(image.len() as usize);
        Ok(out)
    }

    /// The bytes of snapshot `number`, by `restore`.
    pub(crate) fn restored(&self, number: u64) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let options = restore::Options::default();
        restore::restore(&self.at(Ref::Number(number)), restore::Out::Stream(&mut out), &options, &Quiet)?;
        Ok(out)
    }

    /// Faults that `verify` finds.
    pub(crate) fn faults(&self) -> Result<usize> {
        let options = verify::Options::default().store(self.store());
        Ok(verify::verify(None, &options, &Quiet)?.faults.len())
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.dir.path().join(".memsnap")
    }

    pub(crate) fn history(&self) -> History {
        Store::open(&self.store()).unwrap().history(&self.target).unwrap().unwrap()
    }
}

/// Whether an error says that a file is damaged; one that was changed is never taken for one of a newer version.
pub(crate) fn is_damage(error: &Error) -> bool {
    matches!(error, Error::Damaged { .. })
}
