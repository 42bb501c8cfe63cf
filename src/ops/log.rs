//! `log`: the snapshots of a target, oldest first.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::change::metadata::{Metadata, MetadataChange};
use super::find_history;
use super::options::options;
use crate::error::{Error, Result};
use crate::pack::{Cursor, Grade, Meta, SnapshotKind, Source};
use crate::page::{Digest, PAGE, PAGE64, PageRange};
use crate::store::{ChangeMarker, History, PackCache, STORE_NAME, SnapName, Snapshot, Store};
use crate::sys::open;

options! {
    /// Options of [`log`].
    Options {
        /// Sets the store; by default it is the one beside the file.
        store: Option<PathBuf> = None, into;
        /// Sets a range of bytes: start, end. Only snapshots that changed any of them are listed.
        range: Option<(u64, u64)> = None, into;
    }
}

/// The history of one target.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Listing {
    /// The target.
    pub path: PathBuf,
    /// Its snapshots, oldest first.
    pub snapshots: Vec<Entry>,
    /// What could not be read, in words.
    pub faults: Vec<String>,
    /// Whether any of that is damaged; what a newer version made is not.
    pub damaged: bool,
    /// Whether a change of the target was interrupted.
    pub interrupted: bool,
}

impl Listing {
    fn new(path: &Path, snapshots: Vec<Entry>, faults: &[Error], interrupted: bool) -> Listing {
        let damaged = faults.iter().any(|e| !matches!(e, Error::Version { .. }));
        let faults = faults.iter().map(ToString::to_string).collect();
        Listing { path: path.into(), snapshots, faults, damaged, interrupted }
    }
}

/// One snapshot.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// Its number in the history.
    pub number: u64,
    /// Its id.
    pub id: Digest,
    /// The image digest, which identifies the base and the result of a delta.
    pub image: Digest,
    /// The snapshot that its changes are counted from.
    pub parent: Option<Digest>,
    /// When it was taken, in nanoseconds since 1970.
    pub time_ns: i64,
    /// Length of the image in bytes.
    pub len: u64,
    /// Pages that differ from the parent.
    pub pages_changed: u64,
    /// Mode, owner and attributes that differ from the parent.
    pub metadata: Vec<MetadataChange>,
    /// Bytes of the pack made for it.
    pub bytes_stored: u64,
    /// Whether the image is consistent (point-in-time).
    pub grade: Grade,
    /// The reason for the grade.
    pub reason: String,
    /// Whether memsnap took it by itself, before or after a change.
    pub automatic: bool,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its message.
    pub message: String,
    /// The machine that took it.
    pub host: String,
    /// The version of memsnap that took it.
    pub version: String,
    /// Why it was taken.
    pub kind: SnapshotKind,
}

/// Lists the history of `file`, or of all targets of a store: the chosen one, or that of the working directory.
///
/// Leaves out targets without snapshots and faults. What cannot be read is in [`Listing::faults`]; the rest is returned
/// all the same.
///
/// # Errors
/// When there is no store, or no history of that file; when the store cannot be listed.
pub fn log(file: Option<&Path>, options: &Options) -> Result<Vec<Listing>> {
    if let Some(file) = file {
        return Ok(vec![listing(&find_history(options.store.as_deref(), file)?, options.range)?]);
    }
    let store = Store::open(options.store.as_deref().unwrap_or(Path::new(STORE_NAME)))?;
    let (histories, faults) = store.histories()?;
    let mut all = histories.iter().map(|history| listing(history, options.range)).collect::<Result<Vec<_>>>()?;
    all.retain(|history| !history.snapshots.is_empty() || !history.faults.is_empty() || history.interrupted);
    if !faults.is_empty() {
        all.push(Listing::new(store.dir(), Vec::new(), &faults, false));
    }
    Ok(all)
}

fn listing(history: &History, range: Option<(u64, u64)>) -> Result<Listing> {
    let mut faults = Vec::new();
    let mut tags = tags(history, &mut faults)?;
    let interrupted = history.intent().unwrap_or_else(|e| {
        faults.push(e);
        None
    });
    let mut lens = HashMap::new();
    let mut snapshots = Vec::new();
    let mut maps = HashSet::new();
    let mut known = HashMap::new();
    for name in history.snapshots()? {
        let touched = history.snapshot(name).and_then(|snap| {
            let before = lens.insert(name.id, snap.meta().len).or(lens.get(&snap.meta().parent).copied());
            let touches = range.map_or(Ok(true), |range| touches(history, &snap, before, range));
            Ok((touches?, snap.meta().clone()))
        });
        match touched {
            Ok((touches, meta)) => {
                let map = if maps.insert(meta.stored.map) { meta.stored.map_bytes } else { 0 };
                let own = open::stamp_path(&history.snapshot_path(&name)).map_or(0, |stamp| stamp.len);
                // The sizes that a snapshot claims may be forged.
                let stored = meta.stored.pack_bytes.saturating_add(map).saturating_add(own);
                let now = Metadata::stored(&meta);
                if touches {
                    let metadata = known.get(&meta.parent).map_or(Vec::new(), |old: &Metadata| old.differences(&now));
                    let tags = tags.remove(&name.id).unwrap_or_default();
                    snapshots.push(Entry { metadata, ..entry(name, meta, stored, tags) });
                }
                known.insert(name.id, now);
            }
            Err(e) => faults.push(e),
        }
    }
    let interrupted = interrupted.is_some() && !ChangeMarker::own(history).is_busy();
    Ok(Listing::new(history.target(), snapshots, &faults, interrupted))
}

/// Tags, by the snapshots that they name.
fn tags(history: &History, faults: &mut Vec<Error>) -> Result<HashMap<Digest, Vec<String>>> {
    let mut tags: HashMap<Digest, Vec<String>> = HashMap::new();
    for (tag, id) in history.tags()? {
        match id {
            Ok(id) => tags.entry(id).or_default().push(tag),
            Err(e) => faults.push(e),
        }
    }
    Ok(tags)
}

/// Whether a snapshot changed any byte of the range since its parent of `before` bytes, in content or by the length.
/// Reads only the pages in which the range begins and ends.
fn touches(history: &History, snap: &Snapshot, before: Option<u64>, (start, end): (u64, u64)) -> Result<bool> {
    let (before, len) = (before.unwrap_or(0), snap.meta().len);
    if before != len && start < before.max(len) && end > before.min(len) {
        return Ok(true);
    }
    let (path, pages) = (snap.path(), PageRange::of_bytes(start, end));
    let mut runs = snap.update();
    runs.skip_to(pages.start).map_err(|e| e.of(path))?;
    let mut runs = Cursor::new(runs);
    while let Some(run) = runs.next_in(pages).map_err(|e| e.of(path))? {
        for page in run.pages.start..run.pages.end {
            let (from, to) = (start.max(page * PAGE64), end.min((page + 1) * PAGE64));
            if to - from == PAGE64 {
                return Ok(true);
            }
            let now = page_at(history.packs(), run.source.advance(page - run.pages.start))?;
            let bytes = (from % PAGE64) as usize..(to - page * PAGE64) as usize;
            if before_page(history, snap, page)?.is_none_or(|old| old[bytes.clone()] != now[bytes]) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn page_at(packs: &PackCache, source: Source) -> Result<[u8; PAGE]> {
    let mut bytes = [0; PAGE];
    if let Source::Pack(pack, page) = source {
        packs.pages().read(pack, page, &mut bytes)?;
    }
    Ok(bytes)
}

/// A page in the parent of a snapshot; zeros before the first snapshot. `None`: the parent is gone.
fn before_page(history: &History, snap: &Snapshot, page: u64) -> Result<Option<[u8; PAGE]>> {
    let mut bytes = [0; PAGE];
    if snap.meta().parent.is_zero() {
        return Ok(Some(bytes));
    }
    let Some(name) = history.snapshots()?.into_iter().find(|name| name.id == snap.meta().parent) else {
        return Ok(None);
    };
    history.image(name)?.reader().read_at(&mut bytes, page * PAGE64)?;
    Ok(Some(bytes))
}

fn entry(name: SnapName, meta: Meta, bytes_stored: u64, tags: Vec<String>) -> Entry {
    Entry {
        number: name.number,
        id: name.id,
        image: meta.image,
        parent: (!meta.parent.is_zero()).then_some(meta.parent),
        time_ns: meta.time_ns,
        len: meta.len,
        pages_changed: meta.changed.pages,
        metadata: Vec::new(),
        bytes_stored,
        grade: meta.grade,
        reason: meta.reason,
        automatic: meta.kind.is_automatic(),
        tags,
        message: meta.message,
        host: meta.host,
        version: meta.version,
        kind: meta.kind,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, flip};
    use super::*;

    #[test]
    fn ranges_choose_and_faults_do_not_hide_the_rest() {
        let f = Fixture::new();
        f.pages(0, 4, 1);
        f.snap_named(&["first"]);
        f.pages(2, 1, 2);
        f.snap();
        f.cut(20 * 4096);
        f.snap_named(&["longer"]);
        let numbers = |range| {
            let list = log(Some(&f.target()), &Options::default().range(range)).unwrap().remove(0);
            assert!(!list.interrupted);
            (list.snapshots.iter().map(|e| e.number).collect::<Vec<_>>(), list.faults.len())
        };
        assert_eq!(numbers(None), (vec![1, 2, 3], 0));
        assert_eq!(numbers(Some((0, 1))).0, [1]);
        assert_eq!(numbers(Some((8192, 8193))).0, [1, 2]);
        assert_eq!(numbers(Some((12288 + 4096, 20_000))).0, [3]);
        assert!(numbers(Some((90_000, 99_000))).0.is_empty());
        let all = log(None, &Options::default().store(f.path(".memsnap"))).unwrap().remove(0);
        assert_eq!((all.path, all.snapshots[0].tags.clone()), (f.target(), vec!["first".to_string()]));
        assert_eq!((all.snapshots[0].parent, all.snapshots[1].parent), (None, Some(all.snapshots[0].id)));
        assert_eq!((all.snapshots[1].pages_changed, all.snapshots[1].message.as_str()), (1, "why"));
        flip(&f.stored(".snap")[1], 60);
        assert_eq!(numbers(None), (vec![1, 3], 1));
        assert!(matches!(log(Some(&f.path("none")), &Options::default()), Err(crate::Error::Missing { .. })));
    }
}
