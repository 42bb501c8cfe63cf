//! A stored image: its snapshot and its full map, opened, proven, and kept from being removed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::history::{History, SnapName};
use super::pack_cache::PackCache;
use crate::error::{Error, Result};
use crate::pack::{Bad, MapFile, Meta, Overlay, Run, RunStream, RunsReader, SnapshotFile, Source};
use crate::page::{Digest, PageNo, PageRange, pages_of};
use crate::sys::create;

/// A snapshot: what it says of its image.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Its name.
    pub name: SnapName,
    path: PathBuf,
    file: SnapshotFile<Arc<File>>,
}

impl Snapshot {
    /// Opens the snapshot `name` of `history`. A shared flock on it keeps it from being removed while this lives.
    pub(super) fn open(history: &History, name: SnapName) -> Result<Snapshot> {
        let path = history.dir().join(name.file_name());
        let file = open_stored(&path)?;
        // On file systems without flock there is nobody who could take the exclusive one either.
        let _ = file.try_lock_shared();
        let opened = history.packs().with_packs(|p| SnapshotFile::open(Arc::new(file), &name.id, p));
        let file = opened.map_err(|e| e.of(&path))?;
        Ok(Snapshot { name, path, file })
    }

    /// What it says.
    pub fn meta(&self) -> &Meta {
        &self.file.meta
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The runs that differ from its parent.
    pub fn update(&self) -> RunsReader<Arc<File>> {
        self.file.update()
    }
}

/// A stored image.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its name.
    pub name: SnapName,
    snap: Snapshot,
    map: Option<MapFile<Arc<File>>>,
    packs: Arc<PackCache>,
}

/// The runs of an image.
pub type ImageRuns = Clipped<Overlay<Overlay<std::option::IntoIter<Run>, Maybe>, RunsReader<Arc<File>>>>;

impl Image {
    /// Opens the snapshot `name` of `history`, and its map.
    pub(super) fn open(history: &History, name: SnapName) -> Result<Image> {
        let snap = Snapshot::open(history, name)?;
        let packs = history.packs().clone();
        let map_id = snap.meta().stored.map;
        let map = if map_id.is_zero() {
            None
        } else {
            let path = history.dir().join(format!("{map_id}.map"));
            let file = Arc::new(open_stored(&path)?);
            Some(packs.with_packs(|p| MapFile::open(file, &map_id, p)).map_err(|e| e.of(&path))?)
        };
        Ok(Image { name, snap, map, packs })
    }

    /// The packs of its history.
    pub fn packs(&self) -> &Arc<PackCache> {
        &self.packs
    }

    /// The packs that it may take pages from, ascending.
    pub fn pack_numbers(&self) -> Vec<u32> {
        let of_map = self.map.as_ref().map_or(&[][..], MapFile::packs);
        let mut packs = [self.snap.file.packs(), of_map].concat();
        packs.sort_unstable();
        packs.dedup();
        packs
    }

    /// What the snapshot says.
    pub fn meta(&self) -> &Meta {
        self.snap.meta()
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.meta().len
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The image digest.
    pub fn digest(&self) -> Digest {
        self.meta().image
    }

    /// The snapshot's file.
    pub fn path(&self) -> &Path {
        self.snap.path()
    }

    /// All its runs, from the first page to the last, without a gap.
    pub fn runs(&self) -> ImageRuns {
        self.runs_from(0)
    }

    /// As [`Image::runs`], but what lies before `page` may be left out.
    pub fn runs_from(&self, page: PageNo) -> ImageRuns {
        let all = PageRange::of_len(self.len());
        let holes = (!all.is_empty()).then_some(Run { pages: all, source: Source::Hole });
        let mut map = self.map.as_ref().map(MapFile::runs);
        let mut over = self.snap.file.over();
        // A block that cannot be read is found again, and reported, when its turn comes.
        let _ = map.as_mut().map_or(Ok(()), |m| m.skip_to(page)).and_then(|()| over.skip_to(page));
        let base = Overlay::new(holes.into_iter(), Maybe(map));
        Clipped { runs: Overlay::new(base, over), to: PageRange { start: page.min(all.end), end: all.end } }
    }

    /// The runs that differ from its full map.
    pub fn over(&self) -> Clipped<RunsReader<Arc<File>>> {
        Clipped { runs: self.snap.file.over(), to: PageRange::of_len(self.len()) }
    }

    /// The runs that differ from its parent.
    pub fn update(&self) -> RunsReader<Arc<File>> {
        self.snap.update()
    }

    /// Calls `each` with the runs of `range`, clipped to it.
    ///
    /// # Errors
    /// When the map cannot be read; what `each` says.
    pub fn each_run(&self, range: PageRange, mut each: impl FnMut(Run) -> Result<()>) -> Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        let mut runs = self.runs_from(range.start);
        while let Some(run) = runs.next_run().map_err(|e| e.of(self.path()))? {
            if run.pages.start >= range.end {
                break;
            }
            let run = run.clip(&range);
            if !run.pages.is_empty() {
                each(run)?;
            }
        }
        Ok(())
    }

    /// Number of pages.
    pub fn pages(&self) -> u64 {
        pages_of(self.len())
    }
}

fn open_stored(path: &Path) -> Result<File> {
    match create::open_own(path) {
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Err(Error::damaged(path, "it is missing"))
        }
        file => file,
    }
}

/// The runs of a map, if there is one.
#[derive(Debug)]
pub struct Maybe(Option<RunsReader<Arc<File>>>);

impl RunStream for Maybe {
    fn next_run(&mut self) -> Result<Option<Run>, Bad> {
        self.0.as_mut().map_or(Ok(None), RunStream::next_run)
    }
}

/// Runs within a range.
#[derive(Debug)]
pub struct Clipped<S> {
    pub(super) runs: S,
    pub(super) to: PageRange,
}

impl<S: RunStream> RunStream for Clipped<S> {
    fn next_run(&mut self) -> Result<Option<Run>, Bad> {
        while let Some(run) = self.runs.next_run()? {
            let run = run.clip(&self.to);
            if !run.pages.is_empty() {
                return Ok(Some(run));
            }
        }
        Ok(None)
    }
}
