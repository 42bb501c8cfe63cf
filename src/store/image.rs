//! A stored image: its snapshot and its full map, opened, proven, and kept from being removed.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use super::history::{History, SnapName};
use super::pack_cache::PackCache;
use crate::error::{Error, Result};
use crate::pack::{Bad, MapFile, Meta, Overlay, Run, RunStream, RunsReader, SnapshotFile, Source};
use crate::page::{Digest, PageNo, PageRange, pages_of};
use crate::sys::create;

/// A stored image.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its name.
    pub name: SnapName,
    path: PathBuf,
    snap: SnapshotFile<Arc<File>>,
    map: Option<MapFile<Arc<File>>>,
}

/// The runs of an image.
pub type ImageRuns = Clipped<Overlay<Overlay<std::option::IntoIter<Run>, Maybe>, RunsReader<Arc<File>>>>;

impl Image {
    /// Opens snapshot `name` of `history`. A shared flock on it keeps it from being removed while this lives.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it, or its map, is not what its name says.
    pub fn open(history: &History, packs: &PackCache, name: SnapName) -> Result<Image> {
        let path = history.dir().join(name.file_name());
        let snap = Image::open_snap(history, packs, name)?;
        let map_id = snap.meta.stored.map;
        let map = if map_id.is_zero() {
            None
        } else {
            let path = history.dir().join(format!("{map_id}.map"));
            let file = Arc::new(open_stored(&path)?);
            Some(packs.with_packs(|p| MapFile::open(file, &map_id, p)).map_err(|e| e.of(&path))?)
        };
        Ok(Image { name, path, snap, map })
    }

    /// Opens only the snapshot's own file: what it says, and what changed since its parent.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it is not what its name says.
    pub fn open_snap(history: &History, packs: &PackCache, name: SnapName) -> Result<SnapshotFile<Arc<File>>> {
        let path = history.dir().join(name.file_name());
        let file = open_stored(&path)?;
        // On file systems without flock there is nobody who could take the exclusive one either.
        let _ = file.try_lock_shared();
        packs.with_packs(|p| SnapshotFile::open(Arc::new(file), &name.id, p)).map_err(|e| e.of(&path))
    }

    /// The packs that it may take pages from, ascending.
    pub fn packs(&self) -> Vec<u32> {
        let of_map = self.map.as_ref().map_or(&[][..], MapFile::packs);
        let mut packs = [self.snap.packs(), of_map].concat();
        packs.sort_unstable();
        packs.dedup();
        packs
    }

    /// What the snapshot says.
    pub fn meta(&self) -> &Meta {
        &self.snap.meta
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.snap.meta.len
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The image digest.
    pub fn digest(&self) -> Digest {
        self.snap.meta.image
    }

    /// The snapshot's file.
    pub fn path(&self) -> &std::path::Path {
        &self.path
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
        let mut over = self.snap.over();
        // A block that cannot be read is found again, and reported, when its turn comes.
        let _ = map.as_mut().map_or(Ok(()), |m| m.skip_to(page)).and_then(|()| over.skip_to(page));
        let base = Overlay::new(holes.into_iter(), Maybe(map));
        Clipped { runs: Overlay::new(base, over), to: PageRange { start: page.min(all.end), end: all.end } }
    }

    /// The runs that differ from its full map.
    pub fn over(&self) -> Clipped<RunsReader<Arc<File>>> {
        Clipped { runs: self.snap.over(), to: PageRange::of_len(self.len()) }
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
        while let Some(run) = runs.next_run().map_err(|e| e.of(&self.path))? {
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

    /// The digest of one page of `source`.
    ///
    /// # Errors
    /// When the pack's index cannot be believed.
    pub fn page_digest(packs: &PackCache, source: Source) -> Result<Digest> {
        match source {
            Source::Hole | Source::Zero => Ok(Digest::ZERO),
            Source::Pack(pack, page) => packs.digest(pack, page),
        }
    }

    /// Number of pages.
    pub fn pages(&self) -> u64 {
        pages_of(self.len())
    }
}

fn open_stored(path: &std::path::Path) -> Result<File> {
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
