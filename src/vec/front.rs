//! Removing elements from the front, and beginning a vector in an empty file.

use std::path::Path;
use std::time::Duration;

use super::commit::{Sealed, VecFileMut};
use super::file::{VecFile, take_lock};
use super::format::{self, ELEMENTS, ElementType};
use super::log::{self, BLOCK};
use crate::error::{At, Error, Result};
use crate::sys::ext::FileExt;
use crate::sys::lock::LockMode;
use crate::sys::{open, sparse};

/// Bytes that a disk writes atomically.
const SECTOR: usize = 512;

impl VecFileMut {
    /// Removes the first `n` elements: atomic, and durable when it returns. All others move down, which takes time and,
    /// until it is done, space in the file for them. Memory is bounded. Refused if there are fewer.
    pub fn remove_front(&mut self, n: u64) -> Result<()> {
        self.must_be_sound()?;
        let (kind, old_len) = (*self.element_type(), self.len());
        let Some(count) = old_len.checked_sub(n) else {
            let what = format!("{} has only {old_len} elements, fewer than {n}", self.path().display());
            return Err(Error::refused(what, "remove as many as there are"));
        };
        if n == 0 || count == 0 {
            return self.commit(&[], count);
        }
        let end = count * kind.size;
        let table = [(0, end)];
        let place = self.undone_on_failure(|vec| {
            let at = log::place_behind(vec.stamp.len);
            for (offset, len) in [(ELEMENTS, end), (at, log::len_of(&table))] {
                sparse::allocate(&vec.file, offset, len).at("making room in", &vec.path)?;
            }
            let moved = |push: &mut log::Push<'_>| {
                let mut block = vec![0; end.min(BLOCK as u64) as usize];
                (0..end).step_by(BLOCK).try_for_each(|done| {
                    let part = &mut block[..(end - done).min(BLOCK as u64) as usize];
                    vec.read_at(part, n * kind.size + done)?;
                    push(part)
                })
            };
            let place = log::write(&table, moved, at, |bytes, at| vec.put(bytes, at))?;
            vec.sync_staged()?;
            Ok(place)
        })?;
        self.seal_logged(count, place, &table)?;
        self.complete(Sealed)
    }

    /// As [`VecFileMut::open`], but an empty file becomes a vector of `kind` without elements, durable when this
    /// returns. A crash meanwhile leaves it empty, or with some sectors of the first page; the next call begins again.
    pub fn open_or_begin(path: &Path, kind: &ElementType, wait: Duration) -> Result<VecFileMut> {
        VecFileMut::can_hold(kind)?;
        let path = open::resolve(path)?;
        let file = open::target_write(&path)?;
        take_lock(&file, &path, LockMode::Exclusive, wait)?;
        let page = format::new_page(kind);
        let len = open::stamp(&file, &path)?.len;
        let mut there = vec![0; (len as usize).min(page.len())];
        file.read_exact_at(&mut there, 0).at("reading", &path)?;
        if len == 0 || len <= ELEMENTS && is_torn(&there, &page) {
            file.write_all_at(&page, 0).at("writing", &path)?;
            file.sync_all().at("bringing to the disk", &path)?;
        }
        VecFileMut::of(VecFile::locked(file, path, LockMode::Exclusive, wait)?)
    }
}

/// Whether `there` is what a crash leaves of `page` in an empty file: some of its sectors, but not all, and zeros. A
/// file of zeros alone may be any file.
fn is_torn(there: &[u8], page: &[u8]) -> bool {
    let sectors = || there.chunks(SECTOR).zip(page.chunks(SECTOR)).map(|(found, new)| (found, &new[..found.len()]));
    let is_zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
    there != page
        && sectors().all(|(found, new)| found == new || is_zero(found))
        && sectors().any(|(found, new)| found == new && !is_zero(found))
}

#[cfg(test)]
#[path = "front_test.rs"]
mod tests;
