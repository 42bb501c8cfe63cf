//! Which parts of a file are in the page cache, and dropping what reading brought in.
//!
//! A scan of a big file must not evict what other programs have cached. So it records which pages are cached before it
//! reads, and drops those that were not. Two effects matter, both measured on ext4: readahead brings in what follows a
//! window, so checking window by window finds nearly everything cached (65,280 of 65,536 pages stayed); and a page is
//! dropped only if all of its folio, of up to 2 MiB, is dropped in one call (window by window, 57,856 stayed). Hence
//! the whole file is checked first (1 GiB takes microseconds uncached, 7-16 ms cached), and [`Before::restore_part`]
//! drops pages behind the reader with an overlap. Dirty or mapped pages are not dropped.
#![cfg_attr(target_os = "linux", allow(unsafe_code, reason = "cachestat(2) and mincore(2) have no safe wrappers"))]

use std::fs::File;
use std::io;

use super::sparse;

/// Pages of a range of a file in the page cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pages in memory; the unit is the system's page.
    pub cached: u64,
    /// Of these, modified and not yet on disk; large folios count as a whole.
    pub dirty: u64,
    /// Of these, being written to the disk.
    pub writeback: u64,
    /// Pages no longer in memory, as far as the kernel still has a record of them.
    pub evicted: u64,
    /// Of these, evicted so recently that reading them again would show that memory is too small.
    pub recently_evicted: u64,
}

impl Counts {
    /// Bytes that are not on the disk yet.
    pub(crate) fn unwritten(&self) -> u64 {
        (self.dirty + self.writeback).saturating_mul(rustix::param::page_size() as u64)
    }
}

/// Counts the cached pages of `off..off + len`; none where the system does not report it (Linux before 6.5, another
/// user's file).
pub fn count(file: &File, off: u64, len: u64) -> Option<Counts> {
    try_count(file, off, len).ok()
}

/// As [`count`], with the reason if there is no answer.
///
/// # Errors
/// `Unsupported` before Linux 6.5, and where the file system has no page cache of this kind; `PermissionDenied` for
/// files that neither belong to this user nor are writable.
pub fn try_count(file: &File, off: u64, len: u64) -> io::Result<Counts> {
    imp::count(file, off, len)
}

/// Counts the cached pages of `off..off + len` by mincore(2); none where its answer would be wrong. Slower than
/// [`count`]: 20-30 ms per GiB cached.
///
/// # Errors
/// As [`residency`].
pub fn count_resident(file: &File, off: u64, len: u64) -> io::Result<Option<u64>> {
    let (mut at, mut cached) = (off / PAGE_UNIT * PAGE_UNIT, 0);
    let end = off.saturating_add(len);
    while at < end {
        let stop = end.min(at + STRETCH);
        let Some(pages) = residency(file, at, (stop - at) as usize)? else { return Ok(None) };
        cached += pages.iter().filter(|cached| **cached).count() as u64;
        at = stop;
    }
    Ok(Some(cached))
}

/// Which of the system's pages of `off..off + len` are in the page cache; none where the system does not report it, as
/// for files of other users. `off` is a multiple of the page size. Maps the range, and takes a byte per page.
///
/// # Errors
/// As mmap(2) and mincore(2).
pub fn residency(file: &File, off: u64, len: usize) -> io::Result<Option<Vec<bool>>> {
    if len == 0 {
        return Ok(Some(Vec::new()));
    }
    imp::residency(file, off, len)
}

/// Drops clean pages of `off..off + len` from the page cache; it is only advice.
pub fn drop_pages(file: &File, off: u64, len: u64) {
    imp::drop_pages(file, off, len);
}

/// Runs `read`, which reads a few pages in `off..off + len` of `file`, without readahead, and drops what it brought in.
pub fn in_passing<T>(file: &File, off: u64, len: u64, read: impl FnOnce() -> T) -> T {
    let before = Before::look(file, off, len);
    imp::read_ahead(file, false);
    let found = read();
    imp::read_ahead(file, true);
    before.restore(file);
    found
}

/// Bytes that one call of [`residency`] covers: its answer takes 4 KiB.
const STRETCH: u64 = 16 << 20;
/// A multiple of the page size of every system.
const PAGE_UNIT: u64 = 64 << 10;
/// The overlap, larger than any folio of a file.
const OVERLAP: u64 = 4 << 20;

/// Most ranges that are recorded: 16 MiB of them.
const MOST: usize = 1 << 20;

/// What was in the page cache before a file, or a stretch of it, was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// Ranges that were not: offset and length, in order, not adjacent.
    absent: Vec<(u64, u64)>,
}

impl Before {
    /// Records what of `off..off + len` is cached, before anything reads there: below a microsecond per MiB where all
    /// or nothing is cached, and 16 bytes for each gap elsewhere. Where the system does not report it, everything
    /// counts as cached.
    pub fn look(file: &File, off: u64, len: u64) -> Before {
        let page = rustix::param::page_size() as u64;
        let (start, end) = (off / page * page, off.saturating_add(len));
        let mut before = Before::default();
        if !before.look_evenly(file, start, end, page) {
            let mut at = start;
            while at < end {
                let stop = end.min(at + STRETCH);
                if !before.look_evenly(file, at, stop, page) {
                    before.look_closely(file, at, stop, page);
                }
                at = stop;
            }
        }
        before
    }

    /// As [`Before::look`], of several ranges: offsets and lengths, ascending. All else counts as cached.
    pub fn look_at(file: &File, ranges: impl Iterator<Item = (u64, u64)>) -> Before {
        let mut before = Before::default();
        for (off, len) in ranges {
            if before.is_full() {
                break;
            }
            for (off, more) in Before::look(file, off, len).absent {
                before.note(off, more);
            }
        }
        before
    }

    /// As [`Before::look`], of all `len` bytes of a file of which only `allocated` are on the disk. Holes count as not
    /// cached: reading them brought in zeros, which need not be read again. Moves the file's position.
    pub fn look_sparse(file: &File, len: u64, allocated: u64) -> Before {
        if allocated >= len {
            return Before::look(file, 0, len);
        }
        let mut before = Before::default();
        if count(file, 0, len).is_some_and(|counts| counts.cached == 0) {
            before.note(0, len);
            return before;
        }
        let mut at = 0;
        while !before.is_full()
            && let Ok(Some((start, end))) = sparse::next_data(file, at, len)
        {
            before.note(at, start - at);
            for (off, more) in Before::look(file, start, end - start).absent {
                before.note(off, more);
            }
            at = end;
        }
        before.note(at, len - at);
        before
    }

    /// Records a range that is cached as a whole or not at all; false for any other.
    fn look_evenly(&mut self, file: &File, start: u64, end: u64, page: u64) -> bool {
        match count(file, start, end - start) {
            Some(Counts { cached: 0, .. }) => self.note(start, end - start),
            Some(counts) if counts.cached >= (end - start).div_ceil(page) => {}
            _ => return false,
        }
        true
    }

    fn look_closely(&mut self, file: &File, start: u64, end: u64, page: u64) {
        let Some(cached) = residency(file, start, (end - start) as usize).ok().flatten() else { return };
        for (i, _) in cached.iter().enumerate().filter(|(_, cached)| !**cached) {
            self.note(start + i as u64 * page, page);
        }
    }

    /// Adds a range at or after the end of the last, if there is room for it.
    fn note(&mut self, at: u64, more: u64) {
        let full = self.is_full();
        match self.absent.last_mut() {
            _ if more == 0 => {}
            Some((off, len)) if *off + *len == at => *len += more,
            _ if full => {}
            _ => self.absent.push((at, more)),
        }
    }

    /// Whether no more is recorded: what follows counts as cached.
    fn is_full(&self) -> bool {
        self.absent.len() >= MOST
    }

    /// Drops what was not cached before and is now.
    pub fn restore(&self, file: &File) {
        for &(off, len) in &self.absent {
            drop_pages(file, off, len);
        }
    }

    /// Drops what was not cached before in `from..to`, and in the overlap before it: for readers that drop pages as
    /// they go, best in steps of many MiB, with [`Before::restore`] at the end.
    pub fn restore_part(&self, file: &File, from: u64, to: u64) {
        let from = from.saturating_sub(OVERLAP);
        let first = self.absent.partition_point(|(off, len)| off + len <= from);
        for &(off, len) in self.absent[first..].iter().take_while(|(off, _)| *off < to) {
            let (start, end) = (off.max(from), (off + len).min(to));
            drop_pages(file, start, end - start);
        }
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use super::{Counts, File, io};
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;

    use rustix::fs::Advice;

    /// The same number on every architecture but alpha; libc does not define it on all of them yet.
    const SYS_CACHESTAT: libc::c_long = 451;

    #[repr(C)]
    struct CachestatRange {
        off: u64,
        len: u64,
    }

    #[repr(C)]
    #[derive(Default)]
    struct Cachestat {
        cache: u64,
        dirty: u64,
        writeback: u64,
        evicted: u64,
        recently_evicted: u64,
    }

    pub(super) fn count(file: &File, off: u64, len: u64) -> io::Result<Counts> {
        if len == 0 {
            return Ok(Counts::default()); // to cachestat(2), zero means to the end of the file
        }
        let range = CachestatRange { off, len };
        let mut stat = Cachestat::default();
        let (fd, flags) = (file.as_raw_fd(), 0u32);
        // SAFETY: cachestat(2) reads a `cachestat_range` and fills in a `cachestat`, both laid out as in linux/mman.h,
        // both valid for the call; the descriptor is open; flags must be 0. Elsewhere it is ENOSYS.
        let rc = unsafe { libc::syscall(SYS_CACHESTAT, fd, &raw const range, &raw mut stat, flags) };
        if rc != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Counts {
            cached: stat.cache,
            dirty: stat.dirty,
            writeback: stat.writeback,
            evicted: stat.evicted,
            recently_evicted: stat.recently_evicted,
        })
    }

    pub(super) fn residency(file: &File, off: u64, len: usize) -> io::Result<Option<Vec<bool>>> {
        let map = memmap2::MmapOptions::new().offset(off).len(len).map_raw_read_only(file)?;
        let mut pages = vec![0u8; len.div_ceil(rustix::param::page_size())];
        let (addr, vec) = (map.as_mut_ptr().cast(), pages.as_mut_ptr());
        // SAFETY: mincore(2) wants a page-aligned address (a map starts on a page, as `off` is a multiple of the page
        // size, or else memmap2 moves it and the call is EINVAL), mapped for `len`, and room for a byte a page.
        if unsafe { libc::mincore(addr, len, vec) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let pages: Vec<bool> = pages.iter().map(|page| page & 1 != 0).collect();
        // For files that neither belong to this user nor are writable, mincore(2) reports every page as cached.
        if pages.iter().all(|cached| *cached) && !may_know(file)? {
            return Ok(None);
        }
        Ok(Some(pages))
    }

    fn may_know(file: &File) -> io::Result<bool> {
        let us = crate::sys::id::euid();
        Ok(us == 0 || us == file.metadata()?.uid())
    }

    pub(super) fn read_ahead(file: &File, ahead: bool) {
        let _ = rustix::fs::fadvise(file, 0, None, if ahead { Advice::Normal } else { Advice::Random });
    }

    pub(super) fn drop_pages(file: &File, off: u64, len: u64) {
        if let Some(len) = std::num::NonZeroU64::new(len) {
            let _ = rustix::fs::fadvise(file, off, Some(len), Advice::DontNeed);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::{Counts, File, io};

    pub(super) fn count(_file: &File, _off: u64, _len: u64) -> io::Result<Counts> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn residency(_file: &File, _off: u64, _len: usize) -> io::Result<Option<Vec<bool>>> {
        Ok(None)
    }

    pub(super) fn read_ahead(_file: &File, _ahead: bool) {}

    pub(super) fn drop_pages(_file: &File, _off: u64, _len: u64) {}
}

#[cfg(test)]
#[path = "cache_test.rs"]
mod tests;
