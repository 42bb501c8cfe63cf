//! Composing the image that a target is to hold from the one it holds: some pages replaced, the rest as they are. The
//! result is a snapshot like any other before the target is touched, so that a change can be finished after a crash.

use crate::error::{At, Result};
use crate::ops::change::hold::Work;
use crate::ops::compare::digest_groups;
use crate::ops::read::read_zero_extended;
use crate::ops::save::new_pack::NewPack;
use crate::ops::{Quiet, Reserve};
use crate::pack::{
    Changed, Compress, FRAME_PAGES, FrameCounts, Grade, Meta, NO_PACK, Run, SnapshotKind, Source, encode_frame,
};
use crate::page::{
    Digest, GROUP, GROUP_PAGES, GROUP64, PAGE, PAGE64, PageNo, PageRange, Refold, group_digest, groups_of, page_digest,
    pages_of,
};
use crate::store::{DigestCache, History, Image, UpdateRuns, WriteLock, commit};
use crate::sys::id;

/// What a page becomes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NewPage<'a> {
    /// These bytes; they go into a pack of their own.
    Bytes(&'a [u8; PAGE]),
    /// These bytes, which are stored there already; zeros need no pack.
    Stored(Source, &'a [u8; PAGE]),
}

/// Builds a snapshot from an image and the pages that differ; pages come in ascending order.
pub(crate) struct SnapshotBuilder<'w> {
    history: &'w History,
    from: &'w Image,
    compress: Compress,
    len: u64,
    draft: UpdateRuns,
    /// Pages up to here have a run.
    covered: PageNo,
    pack: NewPack<'w>,
    frame: Vec<(PageNo, Digest)>,
    bytes: Vec<u8>,
    changed: Changed,
}

impl<'w> SnapshotBuilder<'w> {
    /// Nothing differs yet from `from`, but the length: the result has `len` bytes.
    pub(crate) fn new(history: &'w History, from: &'w Image, compress: Compress, reserve: Reserve, len: u64) -> Self {
        SnapshotBuilder {
            history,
            from,
            compress,
            len,
            draft: UpdateRuns::new(history),
            covered: from.pages(),
            pack: NewPack::new(history, reserve),
            frame: Vec::new(),
            bytes: Vec::new(),
            changed: Changed::default(),
        }
    }

    /// Replaces a page.
    pub(crate) fn put(&mut self, page: PageNo, new: NewPage<'_>) -> Result<()> {
        let (NewPage::Bytes(bytes) | NewPage::Stored(_, bytes)) = new;
        let digest = page_digest(bytes);
        let source = match new {
            NewPage::Stored(source, _) => source,
            NewPage::Bytes(_) if digest.is_zero() => Source::Zero,
            NewPage::Bytes(_) => Source::Pack(NO_PACK, page),
        };
        self.grow_to(page)?;
        self.draft.push(Run { pages: PageRange::new(page, page + 1), source }, self.history)?;
        self.covered = self.covered.max(page + 1);
        self.changed.pages += 1;
        self.changed.bytes += PAGE64.min(self.len.saturating_sub(page * PAGE64));
        if source == Source::Pack(NO_PACK, page) {
            self.frame.push((page, digest));
            self.bytes.extend_from_slice(bytes);
            if self.frame.len() == FRAME_PAGES {
                self.end_frame()?;
            }
        }
        Ok(())
    }

    /// Past the end of `from`, pages without a run are holes.
    fn grow_to(&mut self, page: PageNo) -> Result<()> {
        if page > self.covered {
            let pages = PageRange::new(self.covered, page);
            self.draft.push(Run { pages, source: Source::Hole }, self.history)?;
            self.covered = page;
        }
        Ok(())
    }

    fn end_frame(&mut self) -> Result<()> {
        if self.frame.is_empty() {
            return Ok(());
        }
        self.pack.push(&self.frame, &encode_frame(&self.bytes, self.compress))?;
        self.frame.clear();
        self.bytes.clear();
        Ok(())
    }

    /// Makes it a snapshot, a child of `from`; `meta` has all but what follows from that. Also how its pages were
    /// coded.
    pub(crate) fn commit(mut self, writing: &mut WriteLock, meta: Meta) -> Result<(Image, FrameCounts)> {
        self.end_frame()?;
        self.grow_to(pages_of(self.len))?;
        let pack = self.pack.finish()?;
        let frames = pack.as_ref().map(|(_, summary)| summary.frames).unwrap_or_default();
        let meta = Meta { len: self.len, parent: self.from.name.id, changed: self.changed, ..meta };
        let (name, _) = commit(self.history, writing, Some(self.from), meta, self.draft, pack)?;
        Ok((self.history.image(name)?, frames))
    }
}

/// Builds the image that a target is to hold; pages come in ascending order.
pub(crate) struct Composer<'w, 'a> {
    work: &'w mut Work<'a>,
    from: &'w Image,
    cache: Option<DigestCache>,
    len: u64,
    pages: SnapshotBuilder<'w>,
    group: Option<(u64, Box<[u8; GROUP]>)>,
    groups: Vec<(u64, Digest)>,
}

impl<'w, 'a: 'w> Composer<'w, 'a> {
    /// Begins with `from`, which the target holds at this moment; the result has `len` bytes.
    pub(crate) fn new(work: &'w mut Work<'a>, from: &'w Image, len: u64) -> Composer<'w, 'a> {
        let cache = DigestCache::open(work.history).filter(|t| t.snapshot == from.name.id);
        let pages = SnapshotBuilder::new(work.history, from, work.options.compress, work.options.reserve, len);
        Composer { work, from, cache, len, pages, group: None, groups: Vec::new() }
    }

    /// Replaces a page.
    pub(crate) fn put(&mut self, page: PageNo, new: NewPage<'_>) -> Result<()> {
        let (NewPage::Bytes(bytes) | NewPage::Stored(_, bytes)) = new;
        self.enter(page / GROUP_PAGES)?;
        if let Some((_, group)) = &mut self.group {
            let at = (page % GROUP_PAGES) as usize * PAGE;
            group[at..at + PAGE].copy_from_slice(bytes);
        }
        self.pages.put(page, new)
    }

    /// Moves on to `group`: the one before is hashed, this one read as it is now.
    fn enter(&mut self, group: u64) -> Result<()> {
        if self.group.as_ref().is_some_and(|(at, _)| *at == group) {
            return Ok(());
        }
        self.leave();
        let (target, len) = (self.work.target, self.from.len().min(self.len));
        let bytes = read_zero_extended(target.file, group * GROUP64, len).at("reading", target.path)?;
        self.group = Some((group, bytes));
        Ok(())
    }

    fn leave(&mut self) {
        if let Some((group, bytes)) = self.group.take() {
            self.groups.push((group, group_digest(&bytes)));
        }
    }

    /// The image digest of what has been composed.
    fn fold(&mut self) -> Result<Digest> {
        self.leave();
        let cut = self.len / GROUP64;
        // The group that the end cuts through may have lost its tail.
        if self.len < self.from.len()
            && !self.len.is_multiple_of(GROUP64)
            && self.groups.last().is_none_or(|g| g.0 < cut)
        {
            self.enter(cut)?;
            self.leave();
        }
        self.groups.retain(|(group, _)| *group < groups_of(self.len));
        if let Some(cache) = &self.cache {
            return cache.fold_with(self.len, &self.groups);
        }
        let mut fold = Refold::new(self.len, &self.groups);
        let target = self.work.target;
        let file = (target.file, target.path, self.from.len().min(self.len));
        digest_groups(file, &self.work.options.reading, &Quiet, |group, digest| fold.push(group, digest))?;
        Ok(fold.finish())
    }

    /// Makes it a snapshot. With `expected`, an error if its image digest is another: then nothing appears in the
    /// store.
    pub(crate) fn finish(mut self, verb: &str, expected: Option<Digest>) -> Result<Image> {
        let image = self.fold()?;
        if let Some(expected) = expected.filter(|e| *e != image) {
            return Err(crate::Error::base(self.work.target.path, expected, image));
        }
        let meta = Meta {
            image,
            grade: Grade::Proven,
            kind: SnapshotKind::Result,
            reason: format!("made by {verb}"),
            time_ns: id::now_ns(),
            message: String::new(),
            companions: Vec::new(),
            ..self.from.meta().clone()
        };
        self.pages.commit(self.work.writing, meta).map(|(image, _)| image)
    }
}
