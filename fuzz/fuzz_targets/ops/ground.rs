//! A target in a directory of its own, and the verbs with plain options.

use std::fs::{File, OpenOptions};
use std::io::Cursor;
use std::path::{Path, PathBuf};

use memsnap::capture::Io;
use memsnap::ops::delta::Input;
use memsnap::ops::restore::Out;
use memsnap::ops::{
    Edit, Operand, Patch, Quiet, Reading, Reserve, Resolution, apply, change, delta, edit, recover, restore, revert,
    snap, undo, verify,
};
use memsnap::pack::{Compress, Source};
use memsnap::page::{PAGE, PAGE64, PageRange};
use memsnap::store::{History, Ref, Store};
use memsnap::{Error, Result};
use tempfile::TempDir;

const TAG: &str = "tag";

pub(crate) struct Ground {
    dir: TempDir,
    target: PathBuf,
    compress: Compress,
}

impl Ground {
    /// With a target of these bytes.
    pub(crate) fn new(bytes: &[u8], compress: bool) -> Ground {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let target = dir.path().join("target");
        std::fs::write(&target, bytes).expect("a target can be made");
        Ground { dir, target, compress: if compress { Compress::Zstd(1) } else { Compress::None } }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn open(&self) -> File {
        OpenOptions::new().read(true).write(true).open(&self.target).expect("the target can be opened")
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.target).expect("the target can be read")
    }

    fn reading(&self) -> Reading {
        Reading::default().io(Io::Pread).wait(std::time::Duration::ZERO)
    }

    fn options(&self) -> change::Options {
        change::Options::default().reading(self.reading()).compress(self.compress).reserve(Reserve::Bytes(0))
    }

    pub(crate) fn snap(&self, tag: bool) -> Result<snap::Report> {
        let options = snap::Options::default()
            .tags(tag.then(|| TAG.into()).into_iter().collect::<Vec<_>>())
            .compress(self.compress)
            .reserve(Reserve::Bytes(0))
            .reading(self.reading());
        snap::snap(&self.target, &options, &Quiet)
    }

    fn at(&self, number: u64) -> Operand {
        Operand::new(self.target.clone(), Ref::Number(number))
    }

    pub(crate) fn revert(&self, number: u64, range: Option<(u64, u64)>) -> Result<()> {
        revert(&self.at(number), range, &self.options())?.run(&Quiet).map(drop)
    }

    pub(crate) fn undo(&self) -> Result<()> {
        undo(&self.target, &self.options())?.run(&Quiet).map(drop)
    }

    pub(crate) fn edit(&self, at: u64, bytes: &[u8]) -> Result<()> {
        let edits = [Edit { at, new: Patch::Bytes(bytes.to_vec()) }];
        edit(&self.target, &edits, true, &self.options())?.run(&Quiet).map(drop)
    }

    pub(crate) fn recover(&self, how: Option<Resolution>) -> Result<()> {
        recover(&self.target, how, &self.options())?.run(&Quiet).map(drop)
    }

    pub(crate) fn delta(&self, from: u64, to: u64) -> Vec<u8> {
        let mut out = Vec::new();
        let options = delta::Options::default().reading(self.reading()).reversible(true).level(1);
        delta::make(&self.at(from), &self.at(to), Out::Stream(&mut out), &options, &Quiet)
            .expect("a delta can be made");
        out
    }

    pub(crate) fn apply(&self, delta: &[u8]) -> Result<()> {
        let input = Input::Stream(Box::new(Cursor::new(delta.to_vec())));
        apply(&self.target, input, None, &self.options())?.run(&Quiet).map(drop)
    }

    /// Writes a snapshot to another file, always the same.
    pub(crate) fn restore(&self, number: u64) -> Result<()> {
        let options = restore::Options::default().force(true);
        restore::restore(&self.at(number), Out::Path(&self.dir().join("out")), &options, &Quiet).map(drop)
    }

    /// What is in that file.
    pub(crate) fn restored(&self) -> Option<Vec<u8>> {
        std::fs::read(self.dir().join("out")).ok()
    }

    /// The bytes of a snapshot, page by page: by no verb, and without its threads.
    pub(crate) fn stored(&self, number: u64) -> Result<Vec<u8>> {
        let history = self.history().ok_or_else(|| Error::missing("there is no history", ""))?;
        let image = history.image(history.resolve(&Ref::Number(number))?)?;
        let mut pages = history.packs().pages();
        let mut out = vec![0; image.len().next_multiple_of(PAGE64) as usize];
        for run in image.runs_in([PageRange::of_len(image.len())]) {
            let run = run?;
            for page in run.pages.start..run.pages.end {
                if let Source::Pack(pack, source) = run.source.advance(page - run.pages.start) {
                    let mut bytes = [0; PAGE];
                    pages.read(pack, source, &mut bytes)?;
                    out[(page * PAGE64) as usize..][..PAGE].copy_from_slice(&bytes);
                }
            }
        }
        out.truncate(image.len() as usize);
        Ok(out)
    }

    fn history(&self) -> Option<History> {
        let target = self.target.canonicalize().expect("the target is there");
        match Store::open(&Store::place(None, &target)) {
            Ok(store) => store.history(&target).expect("a store can be looked at"),
            Err(Error::Missing { .. }) => None,
            Err(e) => panic!("the store cannot be opened: {e}"),
        }
    }

    /// Number of snapshots; their numbers have no gap.
    pub(crate) fn snapshots(&self) -> u64 {
        let names = self.history().map_or(Vec::new(), |history| history.snapshots().expect("a history can be listed"));
        assert!(names.iter().zip(1..).all(|(name, n)| name.number == n), "{names:?}");
        names.len() as u64
    }

    /// The snapshot that the tag names.
    pub(crate) fn tagged(&self) -> Option<u64> {
        let history = self.history()?;
        match history.resolve(&Ref::Tag(TAG.into())) {
            Ok(name) => Some(name.number),
            Err(Error::Missing { .. }) => None,
            Err(e) => panic!("the tag is damaged: {e}"),
        }
    }

    /// Whether a change was begun and not ended.
    pub(crate) fn is_begun(&self) -> bool {
        self.history().is_some_and(|history| history.intent().expect("a record is there as a whole").is_some())
    }

    pub(crate) fn faults(&self) -> Result<Vec<verify::Fault>> {
        let options = verify::Options::default().store(self.dir().join(".memsnap"));
        Ok(verify::verify(None, &options, &Quiet)?.faults)
    }
}
