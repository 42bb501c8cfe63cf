//! Stored snapshots and images: opened, checked, and locked so that they are not removed.

use std::fs::File;
use std::iter::Flatten;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file_names::{SnapName, snapshot_path};
use super::pack_cache::{PackCache, open_stored};
use crate::error::{Error, Result};
use crate::pack::{Bad, Cursor, Differences, MapFile, Meta, Overlay, Run, RunStream, RunsReader, SnapshotFile, Source};
use crate::page::{Digest, PageNo, PageRange, PageSet, pages_of};

/// A stored snapshot: the metadata of an image, and what changed since its parent.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Its number and id.
    pub name: SnapName,
    path: PathBuf,
    file: SnapshotFile<Arc<File>>,
}

impl Snapshot {
    /// Opens the snapshot `name` of the history at `dir`. While it is open, a shared flock keeps it from being removed.
    pub(super) fn open(dir: &Path, packs: &PackCache, name: SnapName) -> Result<Snapshot> {
        let path = snapshot_path(dir, &name);
        let file = match open_stored(&path) {
            // It got its name meanwhile.
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                open_stored(&dir.join(name.file_name()))?
            }
            opened => opened?,
        };
        // On a file system without flock, no process can take the exclusive lock either.
        let _ = file.try_lock_shared();
        let opened = packs.with_packs(|p| SnapshotFile::open(Arc::new(file), &name.id, p));
        let file = opened.map_err(|e| e.of(&path))?;
        Ok(Snapshot { name, path, file })
    }

    /// Returns its metadata.
    pub fn meta(&self) -> &Meta {
        &self.file.meta
    }

    /// Returns the path of its file.
    #[doc(hidden)]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the runs that differ from its parent.
    #[doc(hidden)]
    pub fn update(&self) -> RunsReader<Arc<File>> {
        self.file.update()
    }
}

/// A stored image.
#[derive(Clone, Debug)]
pub struct Image {
    /// The number and id of its snapshot.
    pub name: SnapName,
    snap: Snapshot,
    map: Option<MapFile<Arc<File>>>,
    packs: Arc<PackCache>,
}

/// The runs of an image.
pub type ImageRuns = Clipped<Overlay<Overlay<Maybe<Result<Run, Bad>>, Flatten<Maybe<FileRuns>>>, FileRuns>>;
type FileRuns = RunsReader<Arc<File>>;
type Maybe<T> = std::option::IntoIter<T>;

impl Image {
    /// Opens the snapshot `name` of the history at `dir`, and its map.
    pub(super) fn open(dir: &Path, packs: &Arc<PackCache>, name: SnapName) -> Result<Image> {
        let snap = Snapshot::open(dir, packs, name)?;
        let packs = packs.clone();
        let map_id = snap.meta().stored.map;
        let map = if map_id.is_zero() {
            None
        } else {
            let path = dir.join(format!("{map_id}.map"));
            let file = Arc::new(open_stored(&path)?);
            Some(packs.with_packs(|p| MapFile::open(file, &map_id, p)).map_err(|e| e.of(&path))?)
        };
        Ok(Image { name, snap, map, packs })
    }

    /// Returns the pack cache of its history.
    #[doc(hidden)]
    pub fn packs(&self) -> &Arc<PackCache> {
        &self.packs
    }

    /// Returns the numbers of the packs that its runs may name, ascending.
    #[doc(hidden)]
    pub fn pack_numbers(&self) -> Vec<u32> {
        let of_map = self.map.as_ref().map_or(&[][..], MapFile::packs);
        let mut packs = [self.snap.file.packs(), of_map].concat();
        packs.sort_unstable();
        packs.dedup();
        packs
    }

    /// Returns the metadata of its snapshot.
    #[doc(hidden)]
    pub fn meta(&self) -> &Meta {
        self.snap.meta()
    }

    /// Returns its length in bytes.
    pub fn len(&self) -> u64 {
        self.meta().len
    }

    /// Whether it is empty.
    #[doc(hidden)]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the image digest.
    pub fn digest(&self) -> Digest {
        self.meta().image
    }

    /// Returns the path of the snapshot's file.
    #[doc(hidden)]
    pub fn path(&self) -> &Path {
        self.snap.path()
    }

    /// Returns all its runs, ascending and without gaps.
    #[doc(hidden)]
    pub fn runs(&self) -> ImageRuns {
        self.runs_from(0)
    }

    /// As [`Image::runs`], but may omit runs before `page`.
    #[doc(hidden)]
    pub fn runs_from(&self, page: PageNo) -> ImageRuns {
        let all = PageRange::of_len(self.len());
        let holes = (!all.is_empty()).then_some(Run { pages: all, source: Source::Hole });
        let mut map = self.map.as_ref().map(MapFile::runs);
        let mut over = self.snap.file.over();
        // An error is ignored here: iteration reaches the same block and reports it.
        let _ = map.as_mut().map_or(Ok(()), |m| m.skip_to(page)).and_then(|()| over.skip_to(page));
        let base = Overlay::new(holes.map(Ok).into_iter(), map.into_iter().flatten());
        Clipped { runs: Overlay::new(base, over), to: PageRange { start: page.min(all.end), end: all.end } }
    }

    /// Returns the runs that differ from its full map.
    #[doc(hidden)]
    pub fn over(&self) -> Clipped<RunsReader<Arc<File>>> {
        Clipped { runs: self.snap.file.over(), to: PageRange::of_len(self.len()) }
    }

    /// Returns the runs that differ from its parent.
    #[doc(hidden)]
    pub fn update(&self) -> RunsReader<Arc<File>> {
        self.snap.update()
    }

    /// Returns the parts of its runs within `wanted`, which ascends.
    #[doc(hidden)]
    pub fn runs_in<'a, W>(&'a self, wanted: W) -> impl Iterator<Item = Result<Run>> + use<'a, W>
    where
        W: IntoIterator<Item = PageRange>,
    {
        let mut wanted = wanted.into_iter();
        let mut range = wanted.next();
        let mut runs = range.map(|first| Cursor::new(self.runs_from(first.start)));
        std::iter::from_fn(move || {
            loop {
                match runs.as_mut()?.next_in(range?).transpose() {
                    Some(run) => return Some(run.map_err(|e| e.of(self.path()))),
                    None => range = wanted.next(),
                }
            }
        })
    }

    /// Returns the pages of `within` in which it differs from `other`. Past its length, an image counts as zeros.
    ///
    /// # Errors
    /// When the runs of an image, or the index of a pack, cannot be read.
    pub fn changed(&self, other: &Image, within: PageRange) -> Result<PageSet> {
        let mut set = PageSet::new();
        // In two pack caches, equal numbers mean different packs, so those of one are shifted.
        let shift = if Arc::ptr_eq(&self.packs, &other.packs) { 0 } else { OTHER };
        let theirs = other.runs().map(|run| run.map(|run| Run { source: renumber(run.source, shift), ..run }));
        for step in Differences::new(self.runs(), theirs) {
            let step = step.map_err(|e| e.of(self.path()))?;
            let wanted = step.pages.intersect(&within);
            for page in wanted.start..wanted.end {
                let n = page - step.pages.start;
                let ours = self.packs.page_digest(step.a.advance(n))?;
                if ours != other.packs.page_digest(renumber(step.b.advance(n), shift))? {
                    set.insert(page);
                }
            }
        }
        Ok(set)
    }

    /// Returns the number of its pages.
    #[doc(hidden)]
    pub fn pages(&self) -> u64 {
        pages_of(self.len())
    }
}

/// The bit that distinguishes the pack numbers of the other history.
const OTHER: u32 = 1 << 31;

fn renumber(source: Source, shift: u32) -> Source {
    match source {
        Source::Pack(pack, page) => Source::Pack(pack ^ shift, page),
        zeros => zeros,
    }
}

/// The parts of runs within a range.
#[derive(Debug)]
pub struct Clipped<S> {
    pub(super) runs: S,
    pub(super) to: PageRange,
}

impl<S: RunStream> Iterator for Clipped<S> {
    type Item = Result<Run, Bad>;

    fn next(&mut self) -> Option<Result<Run, Bad>> {
        let to = self.to;
        self.runs.by_ref().map(|run| Ok(run?.clip(&to))).find(|run| !matches!(run, Ok(run) if run.pages.is_empty()))
    }
}
