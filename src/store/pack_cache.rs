//! The pack cache of a history: a bounded number of open packs, and of index blocks in memory.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};
use crate::pack::{Block, PackReader, Packs, Source};
use crate::page::{Digest, PAGE, PageNo, page_digest};
use crate::planted::{Bug, planted};
use crate::sys::create;

/// Most packs open at once.
const MOST_OPEN: usize = 64;
/// Most bytes of index kept in memory: enough for 6000 snapshots of 100 pages, or 4 GiB of dense image.
const MOST_INDEX: usize = 24 << 20;

/// The packs of one history, opened when they are needed. Threads can share it.
#[derive(Debug)]
pub struct PackCache {
    dir: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    packs: Packs,
    open: Cache<u32, Arc<PackReader<File>>>,
    blocks: Cache<(u32, usize), Arc<Block>>,
    /// First and last page of packs with one block, which is then found without opening the pack.
    spans: HashMap<u32, (PageNo, PageNo)>,
}

/// Values by key. If they weigh too much, those that were not used lately are dropped.
#[derive(Debug)]
struct Cache<K, V> {
    values: HashMap<K, (V, u64, usize)>,
    clock: u64,
    weight: usize,
}

impl<K, V> Default for Cache<K, V> {
    fn default() -> Cache<K, V> {
        Cache { values: HashMap::new(), clock: 0, weight: 0 }
    }
}

impl<K: Copy + Eq + std::hash::Hash, V: Clone> Cache<K, V> {
    fn get(&mut self, key: &K) -> Option<V> {
        self.clock += 1;
        let (value, used, _) = self.values.get_mut(key)?;
        *used = self.clock;
        Some(value.clone())
    }

    fn put(&mut self, key: K, value: V, weight: usize, most: usize) {
        self.clock += 1;
        if self.weight + weight > most {
            // The older half is dropped at once: to drop one, all would have to be compared each time.
            let mut ages: Vec<u64> = self.values.values().map(|(_, used, _)| *used).collect();
            ages.sort_unstable();
            let limit = ages.get(ages.len() / 2).copied().unwrap_or(0);
            self.values.retain(|_, (_, used, _)| *used > limit);
            self.weight = self.values.values().map(|(_, _, w)| w).sum();
        }
        self.weight += weight;
        self.values.insert(key, (value, self.clock, weight));
    }
}

impl PackCache {
    /// A cache of the packs in `dir`.
    pub fn new(dir: &Path) -> PackCache {
        PackCache { dir: dir.into(), state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `f` with the numbers of packs.
    pub fn with_packs<R>(&self, f: impl FnOnce(&mut Packs) -> R) -> R {
        f(&mut self.lock().packs)
    }

    /// The id of pack `number`.
    pub fn pack_id(&self, number: u32) -> Digest {
        self.lock().packs.id(number)
    }

    /// The path of pack `number`.
    pub fn pack_path(&self, number: u32) -> PathBuf {
        self.dir.join(format!("{}.pack", self.pack_id(number)))
    }

    fn lacks(&self, number: u32, page: PageNo) -> Error {
        Error::damaged(&self.pack_path(number), format!("it does not hold page {page}"))
    }

    /// Drops what is cached of pack `number`, whose file was replaced.
    pub fn forget(&self, number: u32) {
        let mut state = self.lock();
        state.open.values.remove(&number);
        state.blocks.values.retain(|(pack, _), _| *pack != number);
        state.spans.remove(&number);
    }

    /// Opens pack `number`.
    pub fn pack(&self, number: u32) -> Result<Arc<PackReader<File>>> {
        if let Some(pack) = self.lock().open.get(&number) {
            return Ok(pack);
        }
        let path = self.pack_path(number);
        let pack = PackReader::open(open_stored(&path)?, &self.pack_id(number)).map_err(|e| e.of(&path))?;
        let pack = Arc::new(pack);
        self.lock().open.put(number, pack.clone(), 1, MOST_OPEN);
        Ok(pack)
    }

    /// The block of the index of pack `number` that holds `page`, and its place in the index.
    pub fn block(&self, number: u32, page: PageNo) -> Result<(usize, Arc<Block>)> {
        let index = {
            let mut state = self.lock();
            match state.spans.get(&number) {
                Some((first, last)) if (*first..=*last).contains(&page) => {
                    if let Some(block) = state.blocks.get(&(number, 0)) {
                        return Ok((0, block));
                    }
                    Some(0)
                }
                _ => None,
            }
        };
        let pack = self.pack(number)?;
        let index = index.or_else(|| pack.block_of(page)).ok_or_else(|| self.lacks(number, page))?;
        if let Some(block) = self.lock().blocks.get(&(number, index)) {
            return Ok((index, block));
        }
        let block = Arc::new(pack.block(index).map_err(|e| e.of(&self.pack_path(number)))?);
        let mut state = self.lock();
        state.blocks.put((number, index), block.clone(), block.weight(), MOST_INDEX);
        if pack.blocks() == 1 {
            state.spans.insert(number, pack.block_span(0));
        }
        Ok((index, block))
    }

    /// The digest of `page` of pack `number`.
    pub fn digest(&self, number: u32, page: PageNo) -> Result<Digest> {
        self.block(number, page)?.1.digest(page).ok_or_else(|| self.lacks(number, page))
    }

    /// The digest of the page that `source` names.
    pub fn page_digest(&self, source: Source) -> Result<Digest> {
        match source {
            Source::Hole | Source::Zero => Ok(Digest::ZERO),
            Source::Pack(pack, page) => self.digest(pack, page),
        }
    }

    /// A reader of pages.
    pub fn pages(&self) -> PageReader<'_> {
        PageReader { packs: self, last: None }
    }
}

/// Opens a file of the store that must exist.
pub(super) fn open_stored(path: &Path) -> Result<File> {
    match create::open_own(path) {
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Err(Error::damaged(path, "it is missing"))
        }
        file => file,
    }
}

/// Reads pages, and keeps the last decoded frame for the pages that follow.
#[derive(Debug)]
pub struct PageReader<'a> {
    packs: &'a PackCache,
    last: Option<DecodedFrame>,
}

#[derive(Debug)]
struct DecodedFrame {
    pack: u32,
    pages: Vec<(PageNo, Digest)>,
    bytes: Vec<u8>,
}

impl PageReader<'_> {
    /// Reads `page` of pack `number` into `out`, checks it against its digest, and returns the digest.
    pub fn read(&mut self, number: u32, page: PageNo, out: &mut [u8; PAGE]) -> Result<Digest> {
        Ok(self.read_some(number, page, std::slice::from_mut(out))?.1)
    }

    /// Fills `out`, whole pages, with pages of pack `number` from `page` on, and checks each against its digest.
    pub fn read_run(&mut self, number: u32, page: PageNo, out: &mut [u8]) -> Result<()> {
        let (pages, rest) = out.as_chunks_mut::<PAGE>();
        assert!(rest.is_empty(), "pages are read whole");
        let mut at = 0;
        while at < pages.len() {
            at += self.read_some(number, page + at as u64, &mut pages[at..])?.0;
        }
        Ok(())
    }

    /// Reads consecutive pages from `page` on that are in one frame, at most as many as `out` holds. Returns their
    /// number, and the digest of the first. Of a raw frame only these pages are read from disk.
    fn read_some(&mut self, number: u32, page: PageNo, out: &mut [[u8; PAGE]]) -> Result<(usize, Digest)> {
        let path = || self.packs.pack_path(number);
        let held = |last: &DecodedFrame| last.pack == number && last.place(page).is_some();
        if !self.last.as_ref().is_some_and(held) {
            let (_, block) = self.packs.block(number, page)?;
            let frame = block
                .frame_of(page)
                .ok_or_else(|| Error::damaged(&path(), format!("the bytes of page {page} are missing")))?;
            let pack = self.packs.pack(number)?;
            let pages = block.frame_pages(frame);
            let n = consecutive(&pages, page, out.len());
            if pack.raw_page(&block, frame, page, out[..n].as_flattened_mut()).map_err(|e| e.of(&path()))? {
                return self.prove(number, &pages, page, &out[..n]);
            }
            let mut bytes = self.last.take().map(|last| last.bytes).unwrap_or_default();
            pack.frame_into(&block, frame, None, &mut bytes).map_err(|e| e.of(&path()))?;
            self.last = Some(DecodedFrame { pack: number, pages, bytes });
        }
        let last = self.last.as_ref().expect("the frame was decoded");
        let n = consecutive(&last.pages, page, out.len());
        let at = last.place(page).expect("the frame holds the page") * PAGE;
        out[..n].as_flattened_mut().copy_from_slice(&last.bytes[at..at + n * PAGE]);
        self.prove(number, &last.pages, page, &out[..n])
    }

    /// Checks the pages in `out`, from `page` on, against the digests in `pages`. Returns their number, and the first
    /// digest.
    fn prove(
        &self,
        number: u32,
        pages: &[(PageNo, Digest)],
        page: PageNo,
        out: &[[u8; PAGE]],
    ) -> Result<(usize, Digest)> {
        let digests = &pages[place_of(pages, page).expect("the frame holds the page")..];
        for (bytes, (page, digest)) in out.iter().zip(digests) {
            if page_digest(bytes) != *digest && !planted(Bug::NoPageCheck) {
                let path = self.packs.pack_path(number);
                return Err(Error::damaged(&path, format!("page {page} does not match its digest")));
            }
        }
        Ok((out.len(), digests[0].1))
    }
}

impl DecodedFrame {
    fn place(&self, page: PageNo) -> Option<usize> {
        place_of(&self.pages, page)
    }
}

fn place_of(pages: &[(PageNo, Digest)], page: PageNo) -> Option<usize> {
    pages.binary_search_by_key(&page, |(p, _)| *p).ok()
}

/// The number of consecutive pages in `pages` from `page` on, at most `most`.
fn consecutive(pages: &[(PageNo, Digest)], page: PageNo, most: usize) -> usize {
    let from = &pages[pages.partition_point(|(p, _)| *p < page)..];
    from.iter().zip(page..).take(most).take_while(|((p, _), next)| p == next).count()
}
