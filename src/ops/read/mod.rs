//! Reading many pages of a stored image at once: sorted by pack, so that each pack is opened once, on every core.
//!
//! The newest of 10,000 small snapshots has its pages in as many packs; in page order each page would cost an opening.

pub(super) mod losses;

use std::fs::File;
use std::io;
use std::sync::{Mutex, PoisonError};

use crate::error::Result;
use crate::pack::{Run, Source};
use crate::page::{Digest, GROUP, GROUP_PAGES, PAGE64, PageNo, PageRange, group_digest};
use crate::store::{PackCache, PageReader};
use crate::sys::ext::FileExt;
use crate::sys::pool::{self, spread};

/// Fewer pages than this are not worth a second thread.
const FEW: u64 = 128;
/// Pages read by one thread at a time.
pub(crate) const MOST_PAGES: u64 = 256;

/// Pages side by side in a pack, and where they go.
#[derive(Debug)]
pub(crate) struct PackSpan<T> {
    /// The pack.
    pub(crate) pack: u32,
    /// The first page, as the pack knows it.
    pub(crate) page: PageNo,
    /// Number of pages.
    pub(crate) pages: u64,
    /// Where they go.
    pub(crate) place: T,
}

/// The `N` bytes of `file` from `at` on; past `len`, zeros.
pub(crate) fn read_zero_extended<const N: usize>(file: &File, at: u64, len: u64) -> io::Result<Box<[u8; N]>> {
    let mut bytes: Box<[u8; N]> = vec![0; N].into_boxed_slice().try_into().expect("N bytes");
    let there = len.saturating_sub(at).min(N as u64) as usize;
    file.read_exact_at(&mut bytes[..there], at)?;
    Ok(bytes)
}

/// Calls `each` for every piece, on as many threads as it is worth; the first error ends it.
pub(crate) fn gather<T: Send>(
    packs: &PackCache,
    mut pieces: Vec<PackSpan<T>>,
    each: &(dyn Fn(&mut PageReader<'_>, PackSpan<T>) -> Result<()> + Sync),
) -> Result<()> {
    pieces.sort_unstable_by_key(|p| (p.pack, p.page));
    let pages = pieces.iter().map(|p| p.pages).sum();
    let queue = Mutex::new(jobs(pieces).into_iter());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    spread(workers(pages), &|| {
        let mut reader = packs.pages();
        while let Some(job) = next() {
            for piece in job {
                each(&mut reader, piece)?;
            }
        }
        Ok(())
    })
}

/// Neighbours in a pack stay together: frames are decoded, and packs opened, once.
fn jobs<T>(pieces: Vec<PackSpan<T>>) -> Vec<Vec<PackSpan<T>>> {
    let mut jobs: Vec<Vec<PackSpan<T>>> = Vec::new();
    let mut filled = 0;
    for piece in pieces {
        filled += piece.pages;
        match jobs.last_mut() {
            Some(job) if filled <= MOST_PAGES => job.push(piece),
            _ => {
                filled = piece.pages;
                jobs.push(vec![piece]);
            }
        }
    }
    jobs
}

/// How many threads `pages` pages are worth.
fn workers(pages: u64) -> usize {
    if pages < FEW { 1 } else { pool::workers() }
}

/// The parts of `buf`, which begins with page `first`, that are to be read; fills the zeros of `runs`.
pub(crate) fn slots<'b>(mut buf: &'b mut [u8], first: PageNo, runs: &[Run]) -> Vec<PackSpan<&'b mut [u8]>> {
    let mut out = Vec::new();
    let mut at = first;
    for run in runs {
        let rest = std::mem::take(&mut buf);
        let (_, rest) = rest.split_at_mut(bytes(run.pages.start - at));
        let (mut mine, rest) = rest.split_at_mut(bytes(run.pages.len()));
        (buf, at) = (rest, run.pages.end);
        let Source::Pack(pack, mut page) = run.source else {
            mine.fill(0);
            continue;
        };
        while !mine.is_empty() {
            let n = bytes(MOST_PAGES).min(mine.len());
            let (place, rest) = mine.split_at_mut(n);
            mine = rest;
            let pages = n as u64 / PAGE64;
            out.push(PackSpan { pack, page, pages, place });
            page += pages;
        }
    }
    out
}

fn bytes(pages: u64) -> usize {
    (pages * PAGE64) as usize
}

/// Writes the digest of every `touched` group of `buf` to its place in `digests`.
pub(crate) fn hash_groups(buf: &[u8], touched: &[bool], digests: &mut [Digest]) {
    let (groups, _) = buf.as_chunks::<GROUP>();
    let count = touched.iter().filter(|t| **t).count() as u64;
    let queue = Mutex::new(groups.iter().zip(digests).zip(touched).filter(|(_, touched)| **touched));
    // A call of its own: the lock is not held while the group is hashed.
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    spread(workers(count * GROUP_PAGES), &|| {
        while let Some(((group, digest), _)) = next() {
            *digest = group_digest(group);
        }
        Ok(())
    })
    .expect("no group fails to be hashed");
}

/// Marks the groups that `pages` lie in; `first` is the first page of the first.
pub(crate) fn touch(touched: &mut [bool], first: PageNo, pages: &PageRange) {
    if !pages.is_empty() {
        let (from, to) = ((pages.start - first) / GROUP_PAGES, (pages.end - first).div_ceil(GROUP_PAGES));
        touched[from as usize..to as usize].fill(true);
    }
}
