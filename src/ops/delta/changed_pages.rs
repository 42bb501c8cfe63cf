//! Pages that a view or an edit changed: the digest of the image with them, and the delta that they make.

use std::io::Write;
use std::path::Path;

use crate::error::Result;
use crate::mem::{DirtyPage, Root, View};
use crate::ops::Progress;
use crate::ops::delta::encode::{self, DeltaImage, Stat};
use crate::pack::DeltaHead;
pub(crate) use crate::page::Refold;
use crate::page::{Digest, GROUP, GROUP_PAGES, PAGE, PageNo, PageRange, PageSet, group_digest};

/// A page whose bytes differ.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChangedPage<'v> {
    /// Its number in the image.
    pub(crate) page: PageNo,
    /// What it holds; less than a page at the end of the image, what is missing counts as zeros.
    pub(crate) now: &'v [u8],
    /// What it held before.
    pub(crate) before: &'v [u8],
}

/// The pages of `view` that are not as in its snapshot, ascending; numbered from its start.
pub(crate) fn dirty_in<S: Root>(view: &View<S>) -> Vec<ChangedPage<'_>> {
    // The view's own pages may be longer than ours.
    let per_page = (view.page_size() / PAGE) as u64;
    view.dirty_pages_since(0).flat_map(|dirty| split(dirty, per_page)).collect()
}

fn split(dirty: DirtyPage<'_>, per_page: u64) -> impl Iterator<Item = ChangedPage<'_>> {
    let pages = dirty.now.chunks(PAGE).zip(dirty.before.chunks(PAGE));
    let numbered = (dirty.number * per_page..).zip(pages);
    numbered.filter(|(_, (now, before))| now != before).map(|(page, (now, before))| ChangedPage { page, now, before })
}

/// A whole page, filled up with zeros.
pub(crate) fn whole(bytes: &[u8]) -> [u8; PAGE] {
    let mut page = [0; PAGE];
    page[..bytes.len()].copy_from_slice(bytes);
    page
}

/// The numbers of `pages`.
pub(crate) fn numbers(pages: &[ChangedPage<'_>]) -> PageSet {
    pages.iter().map(|dirty| PageRange::new(dirty.page, dirty.page + 1)).collect()
}

/// The digests of the groups with `pages`, which ascend, in them. `group` returns the bytes of a group without them.
pub(crate) fn regroup(
    pages: &[ChangedPage<'_>],
    mut group: impl FnMut(u64) -> Result<Box<[u8; GROUP]>>,
) -> Result<Vec<(u64, Digest)>> {
    let mut digests = Vec::new();
    for of_group in pages.chunk_by(|a, b| a.page / GROUP_PAGES == b.page / GROUP_PAGES) {
        let number = of_group[0].page / GROUP_PAGES;
        let mut bytes = group(number)?;
        for dirty in of_group {
            let at = (dirty.page % GROUP_PAGES) as usize * PAGE;
            bytes[at..at + PAGE].copy_from_slice(&whole(dirty.now));
        }
        digests.push((number, group_digest(&bytes)));
    }
    Ok(digests)
}

/// Writes the delta that `head` describes: `pages`, which ascend, are all in which its two images differ.
pub(crate) fn write_delta(
    pages: &[ChangedPage<'_>],
    head: &DeltaHead,
    level: i32,
    out: (&mut dyn Write, &Path, &Path),
    progress: &dyn Progress,
) -> Result<Stat> {
    let base = DeltaImage::memory(head.base, pages.iter().map(|dirty| dirty.before).collect());
    let result = DeltaImage::memory(head.result, pages.iter().map(|dirty| dirty.now).collect());
    encode::write_delta(head, (&base, &result), &numbers(pages), level, out, progress)
}
