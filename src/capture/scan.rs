//! The scan: each group of a target is hashed and compared with that of a base; where they differ, so is each page.

use crate::sys::ext::MetadataExt;
use std::fs::File;
use std::path::Path;

use super::read::{Io, WindowReader};
use super::scope::Scope;
use super::window::{Window, Windows};
use crate::error::{At, Result};
use crate::page::{Digest, GROUP, GROUP_PAGES, GROUP64, PAGE, PAGE64, PageNo, PageRange, group_digest, page_digest};
use crate::sys::{cache, pool};

/// Results that may wait to be taken, for each thread.
const AHEAD: usize = 2;
/// Targets up to this length are scanned on one thread.
const SMALL: u64 = 1 << 20;

/// The digests that are known of a window of the base.
#[derive(Debug)]
pub enum KnownDigests {
    /// None: all that is not zero counts as changed.
    Nothing,
    /// Those of all groups; [`Base::pages`] returns those of pages.
    Groups(Vec<Digest>),
    /// Those of all pages.
    Pages(Vec<Digest>),
    /// Those that [`Base::group`] and [`Base::pages`] return.
    Ask,
    /// None, and nothing is compared: the scan only returns the digests of groups, and those of the pages of the groups
    /// that are marked here. Groups past the last mark are not marked.
    Marked(Vec<bool>),
}

/// What a target is compared with.
pub trait Base: Sync {
    /// Returns what is known of `window`, which is whole groups. Called by one thread at a time, in ascending order.
    fn known(&self, window: PageRange) -> Result<KnownDigests>;

    /// Returns the first page from `page` on that may not be zeros: a hole up to there is skipped in one step. Called
    /// as [`Base::known`] is.
    fn data_from(&self, page: PageNo) -> Result<PageNo> {
        Ok(page)
    }

    /// The digest of `group`, after [`KnownDigests::Ask`]. Asked by any thread, in any order.
    fn group(&self, group: u64) -> Result<Digest> {
        let _ = group;
        Ok(Digest::ZERO)
    }

    /// The digests of the pages of `group`, after [`KnownDigests::Groups`] or [`KnownDigests::Ask`]. Asked by any
    /// thread, in any order.
    fn pages(&self, group: u64) -> Result<[Digest; GROUP_PAGES as usize]>;
}

/// No base.
#[derive(Clone, Copy, Debug)]
pub struct NoBase;

impl Base for NoBase {
    fn known(&self, _: PageRange) -> Result<KnownDigests> {
        Ok(KnownDigests::Nothing)
    }

    fn data_from(&self, _: PageNo) -> Result<PageNo> {
        Ok(PageNo::MAX)
    }

    fn pages(&self, _: u64) -> Result<[Digest; GROUP_PAGES as usize]> {
        Ok([Digest::ZERO; GROUP_PAGES as usize])
    }
}

/// A group whose pages were hashed.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// Its number.
    pub group: u64,
    /// Its digest.
    pub digest: Digest,
    /// The digests of its pages.
    pub pages: [Digest; GROUP_PAGES as usize],
}

/// The result of a window, in page order.
#[derive(Debug, Default)]
pub struct ScannedWindow {
    /// Groups that are not all zeros, with their digests.
    pub groups: Vec<(u64, Digest)>,
    /// Groups that differ from the base, or whose digests it does not know.
    pub leaves: Vec<Leaf>,
    /// Pages that differ, with their digests ([`Digest::ZERO`] for zeros).
    pub changed: Vec<(PageNo, Digest)>,
    /// The bytes of those pages that are not zeros, one after the other, if `keep` is set.
    pub bytes: Vec<u8>,
    /// Pages of the window that are holes.
    pub holes: Vec<PageRange>,
    /// All its pages.
    pub window: Option<PageRange>,
}

impl ScannedWindow {
    /// Whether `page` is in a hole.
    pub fn is_hole(&self, page: PageNo) -> bool {
        let after = self.holes.partition_point(|h| h.end <= page);
        self.holes.get(after).is_some_and(|h| h.contains(page))
    }
}

/// The options of a scan.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScanOptions {
    /// The method of reading.
    pub io: Io,
    /// The limit in bytes per second, if any.
    pub rate: Option<u64>,
    /// Whether to return the bytes of changed pages.
    pub keep: bool,
}

/// Scans `len` bytes of `file`, or the groups of them in `scope`. `prepare` is called on many threads with the result of each window, `take` on this one
/// with what `prepare` returned, in page order, and `advance` with the number of bytes that were scanned.
///
/// # Errors
/// [`crate::Error::Changed`] when the file shrinks meanwhile; those of the base, `prepare` and `take`.
pub fn scan<T: Send>(
    (file, path, len): (&File, &Path, u64),
    scope: Option<&Scope>,
    base: &dyn Base,
    how: ScanOptions,
    advance: &(dyn Fn(u64) + Sync),
    prepare: &(dyn Fn(ScannedWindow) -> Result<T> + Sync),
    take: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    // For all that is read at the start: readahead makes the next window look cached.
    let before = match scope {
        None => {
            let allocated = file.metadata().at("inspecting", path)?.blocks() * 512;
            cache::Before::look_sparse(file, len, allocated)
        }
        Some(scope) => {
            let ranges = scope.ranges().iter();
            let bytes = ranges.map(|pages| (pages.offset(), pages.end_offset().min(len) - pages.offset()));
            cache::Before::look_at(file, bytes)
        }
    };
    let source = WindowReader::new(file, path, len, how.io)?;
    let mut feed = Feed { windows: Windows::new((file, path, len), scope, how.rate), base, next: 0 };
    let worker = || {
        let mut scanner =
            Scanner { file, source: &source, before: &before, base, keep: how.keep, buf: Vec::new(), copy: Vec::new() };
        move |(number, window, known): (u64, Window, KnownDigests)| {
            let bytes = window.pages.len() * PAGE64;
            let result = prepare(scanner.window(number, window, &known)?)?;
            advance(bytes);
            Ok(result)
        }
    };
    let workers = if scope.map_or(len, Scope::bytes) <= SMALL { 1 } else { pool::workers() };
    pool::in_order((workers, AHEAD), path, || feed.next(), worker, take).inspect(|()| before.restore(file))
}

/// Returns windows together with the known digests of the base.
struct Feed<'a> {
    windows: Windows<'a>,
    base: &'a dyn Base,
    next: u64,
}

impl Feed<'_> {
    fn next(&mut self) -> Result<Option<(u64, Window, KnownDigests)>> {
        let (window, known) = match self.hole()? {
            Some(hole) => (hole, KnownDigests::Nothing),
            None => {
                let Some(window) = self.windows.next()? else {
                    return Ok(None);
                };
                let known = self.base.known(window.pages)?;
                (window, known)
            }
        };
        self.next += 1;
        Ok(Some((self.next - 1, window, known)))
    }

    /// A hole of the target where the base has only zeros: one step, whatever its length.
    fn hole(&mut self) -> Result<Option<Window>> {
        let Some(gap) = self.windows.gap()? else { return Ok(None) };
        let end = self.base.data_from(gap.start)? / GROUP_PAGES * GROUP_PAGES;
        Ok((end > gap.start).then(|| self.windows.skip(end.min(gap.end))))
    }
}

/// The state of one thread of a scan.
struct Scanner<'a> {
    file: &'a File,
    source: &'a WindowReader<'a>,
    before: &'a cache::Before,
    base: &'a dyn Base,
    keep: bool,
    buf: Vec<u8>,
    copy: Vec<u8>,
}

impl Scanner<'_> {
    fn window(&mut self, number: u64, window: Window, known: &KnownDigests) -> Result<ScannedWindow> {
        let mut found = ScannedWindow { window: Some(window.pages), ..ScannedWindow::default() };
        let first = window.pages.start / GROUP_PAGES;
        found.holes = window.holes;
        let (mut buf, mut copy) = (std::mem::take(&mut self.buf), std::mem::take(&mut self.copy));
        let mut at = window.pages.start;
        for data in &window.data {
            self.gap(at, data.start, first, known, &mut found)?;
            let span = (data.offset(), data.end_offset());
            self.source.groups(number, span, &mut buf, |group, bytes, mapped| {
                self.group((group, first), bytes, mapped, known, &mut copy, &mut found)
            })?;
            self.before.restore_part(self.file, span.0, span.1);
            at = data.end;
        }
        self.gap(at, window.pages.end, first, known, &mut found)?;
        (self.buf, self.copy) = (buf, copy);
        Ok(found)
    }

    /// Groups, from page `from` to `to`, in which there is no data.
    fn gap(&self, from: u64, to: u64, first: u64, known: &KnownDigests, found: &mut ScannedWindow) -> Result<()> {
        if matches!(known, KnownDigests::Nothing | KnownDigests::Marked(_)) {
            return Ok(());
        }
        (from / GROUP_PAGES..to / GROUP_PAGES).try_for_each(|group| self.zero_group(group, first, known, found))
    }

    /// A group that is zeros, which is not read.
    fn zero_group(&self, group: u64, first: u64, known: &KnownDigests, found: &mut ScannedWindow) -> Result<()> {
        let pages = match known {
            KnownDigests::Nothing | KnownDigests::Marked(_) => return Ok(()),
            KnownDigests::Groups(groups) if groups[(group - first) as usize].is_zero() => return Ok(()),
            KnownDigests::Ask if self.base.group(group)?.is_zero() => return Ok(()),
            KnownDigests::Groups(_) | KnownDigests::Ask => self.base.pages(group)?,
            KnownDigests::Pages(pages) => page_row(pages, group - first),
        };
        if pages.iter().any(|d| !d.is_zero()) {
            let now = [Digest::ZERO; GROUP_PAGES as usize];
            compare(group, &now, &pages, found);
            found.leaves.push(Leaf { group, digest: Digest::ZERO, pages: now });
        }
        Ok(())
    }

    fn group(
        &self,
        (group, first): (u64, u64),
        bytes: &[u8; GROUP],
        mapped: bool,
        known: &KnownDigests,
        copy: &mut Vec<u8>,
        found: &mut ScannedWindow,
    ) -> Result<()> {
        let mut digest = None;
        let before = match known {
            KnownDigests::Groups(groups) => Some(groups[(group - first) as usize]),
            KnownDigests::Ask => Some(self.base.group(group)?),
            KnownDigests::Nothing | KnownDigests::Pages(_) => None,
            KnownDigests::Marked(marks) if marks.get((group - first) as usize) == Some(&true) => None,
            KnownDigests::Marked(_) => {
                let now = group_digest(bytes);
                found.groups.extend((!now.is_zero()).then_some((group, now)));
                return Ok(());
            }
        };
        if let Some(before) = before {
            let now = group_digest(bytes);
            if now == before {
                if !now.is_zero() {
                    found.groups.push((group, now));
                }
                return Ok(());
            }
            digest = Some(now);
        }
        // From here on the bytes must not change: what is hashed is what is stored.
        let bytes: &[u8; GROUP] = if mapped {
            copy.clear();
            copy.extend_from_slice(bytes);
            digest = None;
            copy[..].try_into().expect("a whole group was copied")
        } else {
            bytes
        };
        let digest = digest.unwrap_or_else(|| group_digest(bytes));
        if digest.is_zero() {
            return self.zero_group(group, first, known, found);
        }
        found.groups.push((group, digest));
        let before = match known {
            KnownDigests::Nothing | KnownDigests::Marked(_) => [Digest::ZERO; GROUP_PAGES as usize],
            KnownDigests::Groups(_) | KnownDigests::Ask => self.base.pages(group)?,
            KnownDigests::Pages(pages) => page_row(pages, group - first),
        };
        let (pages, _) = bytes.as_chunks::<PAGE>();
        let mut now = [Digest::ZERO; GROUP_PAGES as usize];
        now.iter_mut().zip(pages).for_each(|(digest, page)| *digest = page_digest(page));
        compare(group, &now, &before, found);
        if self.keep {
            for i in 0..GROUP_PAGES as usize {
                if now[i] != before[i] && !now[i].is_zero() {
                    found.bytes.extend_from_slice(&pages[i]);
                }
            }
        }
        found.leaves.push(Leaf { group, digest, pages: now });
        Ok(())
    }
}

fn page_row(pages: &[Digest], group: u64) -> [Digest; GROUP_PAGES as usize] {
    let at = (group * GROUP_PAGES) as usize;
    pages[at..at + GROUP_PAGES as usize].try_into().expect("a window is whole groups")
}

fn compare(group: u64, now: &[Digest; 16], before: &[Digest; 16], found: &mut ScannedWindow) {
    let first = group * (GROUP64 / PAGE64);
    for (i, (now, before)) in now.iter().zip(before).enumerate() {
        if now != before {
            found.changed.push((first + i as u64, *now));
        }
    }
}
