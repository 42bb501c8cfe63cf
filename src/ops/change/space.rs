//! Step 5: reserves the space that the change needs. A change that cannot complete would leave the target half changed.
//!
//! Holes that will get data are reserved by fallocate(2); the length stays. Where a file system has no fallocate, and
//! where it writes even blocks that are there to new places (btrfs, bcachefs and ZFS; reflinked blocks on XFS), it
//! proves less or nothing: then a full disk is found half-way, as before.

use std::io;
use std::path::Path;

use super::set_uid;
use crate::error::{At, Error, Result};
use crate::ops::input::Target;
use crate::pack::Source;
use crate::page::PageSet;
use crate::store::Image;
use crate::sys::lease::Lease;
use crate::sys::open::{self, Stamp};
use crate::sys::{extents, fs, meta, no_follow, sparse};

/// Whether the file system, and the limit of this process, have files of that length; what cannot be tried is no fault.
///
/// # Errors
/// As ftruncate(2).
pub(crate) fn try_length(target: &Path, len: u64) -> Result<()> {
    match tempfile::tempfile_in(no_follow::parent(target)) {
        Ok(probe) => probe.set_len(len).at("lengthening", target),
        Err(_) => Ok(()),
    }
}

/// Blocks of a target that were reserved for a change.
pub(crate) struct Space<'a> {
    target: Target<'a>,
    before: Stamp,
    /// Bytes that had no blocks; ascending.
    reserved: Vec<(u64, u64)>,
}

impl<'a> Space<'a> {
    /// Nothing is reserved yet.
    pub(crate) fn none(target: Target<'a>) -> Result<Space<'a>> {
        Ok(Space { target, before: open::stamp(target.file, target.path)?, reserved: Vec::new() })
    }

    /// Makes sure that `pages` of `to` can be written, and that the target can have its length.
    ///
    /// # Errors
    /// When they cannot: no space, a quota, a limit. What was reserved until then stays, for [`Space::release`].
    pub(crate) fn reserve(&mut self, to: &Image, pages: &PageSet) -> Result<()> {
        let Target { file, path } = self.target;
        if self.before.len < to.len() {
            try_length(path, to.len())?;
        }
        let mut wanted: Vec<(u64, u64)> = Vec::new();
        for run in to.runs_in(pages.runs()) {
            let run = run?;
            if run.source != Source::Hole {
                wanted.push((run.pages.offset(), run.pages.end_offset().min(to.len())));
            }
        }
        // The limit binds every write past it, also within a file that is longer already.
        let end = wanted.last().map_or(0, |(_, end)| *end);
        fs::may_write_to(end).at("writing to", path)?;
        // The system takes set-uid bits and capabilities away from a file whose blocks are reserved.
        if wanted.is_empty() || set_uid::has_any(self.target)? {
            return Ok(());
        }
        let there = allocated(self.target).at("looking for holes in", path)?;
        let full = |source| Error::Reserve { path: path.into(), source };
        for (start, end) in gaps(&wanted, &there) {
            self.reserved.push((start, end));
            if !sparse::reserve(file, start, end - start).map_err(full)? {
                self.reserved.pop();
                break;
            }
        }
        Ok(())
    }

    /// Releases what was reserved, as nothing will be written. Only where the lease excludes all other processes:
    /// others may have written there. Blocks that stay reserved change nothing in what is read.
    pub(crate) fn release(&self, lease: Option<&Lease<'_>>) {
        let Some(lease) = lease.filter(|lease| !self.reserved.is_empty() && lease.keep()) else { return };
        let file = self.target.file;
        for (start, end) in &self.reserved {
            let _ = sparse::punch(file, *start, end - start);
        }
        if self.reserved.last().is_some_and(|(_, end)| *end > self.before.len) {
            // Blocks past the end are given back by this alone.
            let _ = file.set_len(self.before.len);
        }
        let _ = meta::set_times(file, self.before.atime_ns, self.before.mtime_ns);
        lease.give_way();
    }
}

/// Bytes that have blocks; ascending.
fn allocated(target: Target<'_>) -> io::Result<Vec<(u64, u64)>> {
    let mut found = Vec::new();
    match extents::each(target.file, &mut |extent| found.push((extent.logical, extent.logical + extent.len))) {
        Ok(()) => Ok(found),
        // Blocks that were reserved before and never written then look like holes.
        Err(_) => {
            let all = sparse::data_ranges(target.file, target.file.metadata()?.len())?;
            Ok(all.into_iter().map(|extent| (extent.start, extent.end)).collect())
        }
    }
}

/// What of `wanted` is not in `there`; all ascend.
fn gaps(wanted: &[(u64, u64)], there: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut gaps: Vec<(u64, u64)> = Vec::new();
    let mut there = there.iter().peekable();
    for &(start, end) in wanted {
        let mut at = start;
        while at < end {
            while there.next_if(|(_, stop)| *stop <= at).is_some() {}
            let (from, to) = there.peek().map_or((u64::MAX, u64::MAX), |(from, to)| (*from, *to));
            let stop = from.clamp(at, end);
            match gaps.last_mut() {
                Some(last) if last.1 == at && at < stop => last.1 = stop,
                _ if at < stop => gaps.push((at, stop)),
                _ => {}
            }
            at = if from < end { to } else { end };
        }
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_what_has_no_blocks() {
        assert_eq!(gaps(&[(0, 10), (20, 30)], &[]), [(0, 10), (20, 30)]);
        assert_eq!(gaps(&[(0, 10), (10, 30)], &[]), [(0, 30)]);
        assert_eq!(gaps(&[(0, 10), (20, 30)], &[(0, 100)]), []);
        assert_eq!(gaps(&[(0, 10), (20, 30)], &[(2, 4), (8, 22), (29, 30)]), [(0, 2), (4, 8), (22, 29)]);
        assert_eq!(gaps(&[(5, 10)], &[(0, 2), (3, 6), (9, 12), (40, 50)]), [(6, 9)]);
        assert_eq!(gaps(&[], &[(0, 2)]), []);
    }
}
