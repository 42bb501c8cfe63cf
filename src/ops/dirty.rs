//! Pages that a view changed: the digest of the image with them in it, and their way into a delta.

use std::io::Write;
use std::iter::Peekable;
use std::path::Path;

use super::Progress;
use super::delta::Stat;
use crate::error::{At, Result};
use crate::mem::{DirtyPage, Root, View};
use crate::pack::{
    Compress, DeltaHead, DeltaWriter, DirectionWriter, ReadAt, Run, Source, encode_frame, encode_frame_against,
};
use crate::page::{
    Digest, GROUP, GROUP_PAGES, ImageHasher, PAGE, PAGE64, PageNo, PageRange, PageSet, group_digest, is_zero,
    page_digest, pages_of,
};
use crate::store::Spool;

/// Most pages coded together.
const FRAME_PAGES: usize = 16;

/// A page whose bytes differ.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dirty<'v> {
    /// Its number in the image.
    pub(crate) page: PageNo,
    /// What it holds; less than a page at the end of the image, what is missing counts as zeros.
    pub(crate) now: &'v [u8],
    /// What it held before.
    pub(crate) before: &'v [u8],
}

impl Dirty<'_> {
    /// The same page the other way round.
    pub(crate) fn back(self) -> Self {
        Dirty { now: self.before, before: self.now, ..self }
    }
}

/// The pages of `view` that are not as in its snapshot, ascending; numbered from its start.
pub(crate) fn dirty_in<S: Root>(view: &View<S>) -> Vec<Dirty<'_>> {
    // The view's own pages may be longer than ours.
    let per_page = (view.page_size() / PAGE) as u64;
    view.dirty_pages_since(0).flat_map(|dirty| split(dirty, per_page)).collect()
}

fn split(dirty: DirtyPage<'_>, per_page: u64) -> impl Iterator<Item = Dirty<'_>> {
    let pages = dirty.now.chunks(PAGE).zip(dirty.before.chunks(PAGE));
    let numbered = (dirty.number * per_page..).zip(pages);
    numbered.filter(|(_, (now, before))| now != before).map(|(page, (now, before))| Dirty { page, now, before })
}

/// A whole page, filled up with zeros.
pub(crate) fn whole(bytes: &[u8]) -> [u8; PAGE] {
    let mut page = [0; PAGE];
    page[..bytes.len()].copy_from_slice(bytes);
    page
}

/// The numbers of `pages`.
pub(crate) fn numbers(pages: &[Dirty<'_>]) -> PageSet {
    pages.iter().map(|dirty| PageRange::new(dirty.page, dirty.page + 1)).collect()
}

/// The digests that groups have with `pages`, which ascend, in them. `group` gives the 64 KiB of a group without them.
pub(crate) fn regroup(
    pages: &[Dirty<'_>],
    mut group: impl FnMut(u64) -> Result<Vec<u8>>,
) -> Result<Vec<(u64, Digest)>> {
    let mut digests = Vec::new();
    for of_group in pages.chunk_by(|a, b| a.page / GROUP_PAGES == b.page / GROUP_PAGES) {
        let number = of_group[0].page / GROUP_PAGES;
        let mut bytes = group(number)?;
        for dirty in of_group {
            let at = (dirty.page % GROUP_PAGES) as usize * PAGE;
            bytes[at..at + PAGE].copy_from_slice(&whole(dirty.now));
        }
        let bytes: &[u8; GROUP] = bytes[..].try_into().expect("a group is 64 KiB");
        digests.push((number, group_digest(bytes)));
    }
    Ok(digests)
}

/// Folds the groups of an image, some of which have other digests now.
pub(crate) struct Refold<'a> {
    hasher: ImageHasher,
    new: Peekable<std::slice::Iter<'a, (u64, Digest)>>,
}

impl<'a> Refold<'a> {
    /// For an image of `len` bytes; `new` ascends.
    pub(crate) fn new(len: u64, new: &'a [(u64, Digest)]) -> Refold<'a> {
        Refold { hasher: ImageHasher::new(len), new: new.iter().peekable() }
    }

    /// Adds a group as it was; groups ascend.
    pub(crate) fn push(&mut self, group: u64, digest: &Digest) {
        while let Some((before, new)) = self.new.next_if(|(new, _)| *new < group) {
            self.hasher.push(*before, new);
        }
        let digest = self.new.next_if(|(new, _)| *new == group).map_or(digest, |(_, new)| new);
        self.hasher.push(group, digest);
    }

    /// The image digest.
    pub(crate) fn finish(mut self) -> Digest {
        self.new.for_each(|(group, digest)| self.hasher.push(*group, digest));
        self.hasher.finish()
    }
}

/// Writes the delta that `head` describes: `pages`, which ascend, are all in which its two images differ.
pub(crate) fn write_delta(
    pages: &[Dirty<'_>],
    head: &DeltaHead,
    level: i32,
    (out, path, scratch): (&mut dyn Write, &Path, &Path),
    progress: &dyn Progress,
) -> Result<Stat> {
    let directions = 1 + u64::from(head.reversible);
    progress.begin("coding", directions * pages.len() as u64 * PAGE64);
    let written = write_directions(pages, head, level, (out, scratch), progress);
    progress.end();
    let bytes = written.at("writing", path)?;
    let within: PageSet = numbers(pages).runs_within(PageRange::of_len(head.result.len)).collect();
    Ok(Stat::new(head, within.len(), within.runs().count() as u64, bytes))
}

/// Writes the forward direction and, where it is wanted, the reverse direction: how many bytes.
fn write_directions(
    pages: &[Dirty<'_>],
    head: &DeltaHead,
    level: i32,
    (out, scratch): (&mut dyn Write, &Path),
    progress: &dyn Progress,
) -> std::io::Result<u64> {
    let mut writer = DeltaWriter::new(out, head)?;
    for back in [false, true].into_iter().take(1 + usize::from(head.reversible)) {
        let mut direction = writer.direction(Spool::new(scratch))?;
        let end = pages_of(if back { head.base.len } else { head.result.len });
        let within: Vec<_> = pages.iter().filter(|p| p.page < end).map(|p| if back { p.back() } else { *p }).collect();
        for frame in frames(&within) {
            write_frame(frame, level, &mut direction)?;
            progress.advance(frame.len() as u64 * PAGE64);
        }
        writer = direction.finish()?;
    }
    writer.finish()
}

/// The pages of each frame; of those that become zeros any number lies between.
fn frames<'p, 'v>(mut pages: &'p [Dirty<'v>]) -> impl Iterator<Item = &'p [Dirty<'v>]> {
    std::iter::from_fn(move || {
        let mut full = 0;
        let most = |page: &Dirty<'_>| {
            full += usize::from(!is_zero(page.now));
            full > FRAME_PAGES
        };
        let end = pages.iter().position(most).unwrap_or(pages.len());
        let (frame, rest) = pages.split_at(end);
        pages = rest;
        (!frame.is_empty()).then_some(frame)
    })
}

fn write_frame<W: Write, S: Write + ReadAt>(
    pages: &[Dirty<'_>],
    level: i32,
    direction: &mut DirectionWriter<W, S>,
) -> std::io::Result<()> {
    let (mut coded, mut now, mut before) = (Vec::new(), Vec::new(), Vec::new());
    for dirty in pages {
        let bytes = whole(dirty.now);
        let digest = page_digest(&bytes);
        if digest.is_zero() {
            let run = Run { pages: PageRange::new(dirty.page, dirty.page + 1), source: Source::Zero };
            direction.zeros(run.pages, run.source)?;
            continue;
        }
        direction.page(dirty.page)?;
        coded.push((dirty.page, digest));
        now.extend_from_slice(&bytes);
        before.extend_from_slice(&whole(dirty.before));
    }
    if coded.is_empty() {
        return Ok(());
    }
    let frame = match is_zero(&before) {
        true => encode_frame(&now, Compress::Zstd(level)),
        false => encode_frame_against(&now, &before, level),
    };
    direction.frame(&coded, &frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_fold_with_other_groups_is_that_of_the_other_image(
            old in prop::collection::btree_map(0u64..40, any::<u8>(), 0..20),
            new in prop::collection::btree_map(0u64..40, any::<u8>(), 0..20),
        ) {
            // A seed of 0 stands for zeros.
            let digest = |seed: &u8| if *seed == 0 { Digest::ZERO } else { Digest::of(&[*seed]) };
            let changed: Vec<_> = new.iter().map(|(group, seed)| (*group, digest(seed))).collect();
            let mut fold = Refold::new(1 << 22, &changed);
            old.iter().for_each(|(group, seed)| fold.push(*group, &digest(seed)));
            let mut all = old.clone();
            all.extend(new.iter().map(|(group, seed)| (*group, *seed)));
            let mut plain = ImageHasher::new(1 << 22);
            all.iter().for_each(|(group, seed)| plain.push(*group, &digest(seed)));
            prop_assert_eq!(fold.finish(), plain.finish());
        }
    }

    #[test]
    fn frames_hold_sixteen_pages_and_zeros_between() {
        let (one, zero) = ([1; PAGE], [0; PAGE]);
        let pages: Vec<_> =
            (0..70).map(|page| Dirty { page, now: if page % 2 == 0 { &one } else { &zero }, before: &zero }).collect();
        let lengths: Vec<_> = frames(&pages).map(<[_]>::len).collect();
        assert_eq!(lengths, [32, 32, 6]);
        assert_eq!(frames(&pages[..0]).count(), 0);
    }
}
