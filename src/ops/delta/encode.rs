//! Deltas: the pages in which two images differ, read wherever they are, coded on every core, written in order.

use std::io::Write;
use std::path::Path;

use crate::error::{At, Error, Result};
use crate::ops::compare::{Marked, PageDigests, compare, compare_live, scan_file};
use crate::ops::input::image::{LiveFile, OpenImage};
use crate::ops::read::read_zero_extended;
use crate::ops::{Progress, Reading};
use crate::pack::{
    Compress, Cursor, DeltaHead, DeltaWriter, DirectionWriter, FRAME_PAGES, Frame, ImageId, ReadAt, Run, Source,
    encode_frame, encode_frame_against,
};
use crate::page::{Digest, GROUP_PAGES, PAGE, PAGE64, PageNo, PageRange, PageSet, is_zero, page_digest, pages_of};
use crate::store::{Image, ImageRuns, PageReader, Spool};
use crate::sys::{pool, sparse};

/// Most pages of a job: those of a frame, and zeros between them.
const JOB_PAGES: usize = 1024;
/// Jobs that each thread may be ahead of the one that is written.
const AHEAD: usize = 4;

/// What a delta is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stat {
    /// Image digest of the base.
    pub base: Digest,
    /// Image digest of the result.
    pub result: Digest,
    /// Length of the base.
    pub base_len: u64,
    /// Length of the result.
    pub result_len: u64,
    /// Pages that it writes.
    pub pages: u64,
    /// Ranges that they form.
    pub ranges: u64,
    /// Bytes of the delta.
    pub bytes: u64,
    /// Whether it can be inverted.
    pub reversible: bool,
    /// Name of the file.
    pub name: String,
}

impl Stat {
    pub(crate) fn new(head: &DeltaHead, pages: u64, ranges: u64, bytes: u64) -> Stat {
        Stat {
            base: head.base.digest,
            result: head.result.digest,
            base_len: head.base.len,
            result_len: head.result.len,
            pages,
            ranges,
            bytes,
            reversible: head.reversible,
            name: String::from_utf8_lossy(&head.name).into_owned(),
        }
    }
}

/// One of the two images of a delta, and where its pages of the set are.
pub(crate) struct DeltaImage<'a> {
    /// Which image.
    pub(crate) id: ImageId,
    pages: Pages<'a>,
}

enum Pages<'a> {
    Stored(&'a Image),
    /// With the digests that they had when all of the file was scanned.
    Live(&'a LiveFile, PageDigests),
    /// In order; less than a page at the end of the image.
    Memory(Vec<&'a [u8]>),
}

impl<'a> DeltaImage<'a> {
    fn stored(image: &'a Image) -> DeltaImage<'a> {
        DeltaImage { id: ImageId { len: image.len(), digest: image.digest() }, pages: Pages::Stored(image) }
    }

    fn live(side: &'a LiveFile, digest: Digest, seen: PageDigests) -> DeltaImage<'a> {
        DeltaImage { id: ImageId { len: side.len, digest }, pages: Pages::Live(side, seen) }
    }

    /// Reads the packs of a stored image.
    fn packs(&self) -> Option<PageReader<'a>> {
        if let Pages::Stored(image) = self.pages { Some(image.packs().pages()) } else { None }
    }

    /// The image `id`, of which the pages of the set are in memory, in order.
    pub(crate) fn memory(id: ImageId, pages: Vec<&'a [u8]>) -> DeltaImage<'a> {
        DeltaImage { id, pages: Pages::Memory(pages) }
    }
}

/// Compares two sides: the pages in which they differ, and both sides as they were when these were found. Live files
/// must not change meanwhile.
pub(crate) fn delta_images<'a>(
    (a, b): (&'a OpenImage, &'a OpenImage),
    reading: &Reading,
    scratch: &Path,
    progress: &dyn Progress,
) -> Result<(PageSet, DeltaImage<'a>, DeltaImage<'a>)> {
    let mut seen = PageDigests::new(scratch);
    match (a, b) {
        (OpenImage::Stored(x), OpenImage::Stored(y)) => {
            let set = compare(a, b, reading, progress)?;
            Ok((set, DeltaImage::stored(&x.image), DeltaImage::stored(&y.image)))
        }
        (OpenImage::Stored(base), OpenImage::Live(live)) => {
            let found = compare_live(live, base, reading, progress, Some(&mut seen))?;
            Ok((found.set, DeltaImage::stored(&base.image), DeltaImage::live(live, found.image, seen)))
        }
        (OpenImage::Live(live), OpenImage::Stored(result)) => {
            let found = compare_live(live, result, reading, progress, Some(&mut seen))?;
            Ok((found.set, DeltaImage::live(live, found.image, seen), DeltaImage::stored(&result.image)))
        }
        (OpenImage::Live(x), OpenImage::Live(y)) => {
            let set = compare(a, b, reading, progress)?;
            let mut other = PageDigests::new(scratch);
            let digest = look(x, &set, reading, progress, &mut seen)?;
            let base = DeltaImage::live(x, digest, seen);
            let digest = look(y, &set, reading, progress, &mut other)?;
            Ok((set, base, DeltaImage::live(y, digest, other)))
        }
    }
}

/// Scans a live file: the digest of every page of `set`, in order, and that of the image.
fn look(
    live: &LiveFile,
    set: &PageSet,
    reading: &Reading,
    progress: &dyn Progress,
    seen: &mut PageDigests,
) -> Result<Digest> {
    let mut wanted = set.pages().peekable();
    scan_file(live.whole(), &Marked(set), reading, ("reading", progress), |found| {
        for leaf in &found.leaves {
            let pages = PageRange::of_group(leaf.group);
            while let Some(page) = wanted.next_if(|p| *p < pages.end) {
                // Groups without a leaf that has been asked for are zeros.
                let place = page.checked_sub(pages.start).map(|n| leaf.pages[(n % GROUP_PAGES) as usize]);
                seen.put(&place.unwrap_or(Digest::ZERO))?;
            }
        }
        Ok(())
    })
}

/// Where the bytes of a page are.
#[derive(Clone, Copy, Debug)]
enum PagePlace<'a> {
    /// Nowhere: zeros, stored in this form.
    Zeros(Source),
    /// In a pack.
    Pack(u32, PageNo),
    /// In a live file, and they must have this digest.
    Live(&'a LiveFile, Digest),
    /// In memory.
    Memory(&'a [u8]),
}

impl PagePlace<'_> {
    /// Reads a page, checks it against its digest, and returns that. `packs` are those of a stored image.
    fn read(self, packs: &mut Option<PageReader<'_>>, page: PageNo, out: &mut [u8; PAGE]) -> Result<Digest> {
        match self {
            PagePlace::Pack(pack, source) => packs.as_mut().expect("a stored image has packs").read(pack, source, out),
            PagePlace::Live(live, digest) => {
                *out = *read_zero_extended(&live.file, page * PAGE64, live.len).at("reading", &live.path)?;
                if page_digest(out) == digest {
                    return Ok(digest);
                }
                let what = format!("page {page} is not what it was when the file was scanned");
                Err(Error::Changed { path: live.path.clone(), what })
            }
            PagePlace::Memory(bytes) => {
                out.fill(0);
                out[..bytes.len()].copy_from_slice(bytes);
                Ok(page_digest(out))
            }
            PagePlace::Zeros(_) => {
                out.fill(0);
                Ok(Digest::ZERO)
            }
        }
    }
}

/// Finds the pages of one image: all those of the set, in order.
enum Finder<'a> {
    Stored(&'a Image, Box<Cursor<ImageRuns>>),
    /// With the number of pages found so far.
    Live(&'a LiveFile, &'a PageDigests, u64),
    Memory(std::slice::Iter<'a, &'a [u8]>),
}

impl<'a> Finder<'a> {
    fn new(image: &'a DeltaImage<'a>) -> Finder<'a> {
        match &image.pages {
            Pages::Stored(image) => Finder::Stored(image, Box::new(Cursor::new(image.runs()))),
            Pages::Live(live, digests) => Finder::Live(live, digests, 0),
            Pages::Memory(pages) => Finder::Memory(pages.iter()),
        }
    }

    fn at(&mut self, page: PageNo) -> Result<PagePlace<'a>> {
        Ok(match self {
            Finder::Stored(image, runs) => match runs.source(page).map_err(|e| e.of(image.path()))? {
                Source::Pack(pack, page) => PagePlace::Pack(pack, page),
                zeros => PagePlace::Zeros(zeros),
            },
            Finder::Live(live, digests, found) => {
                let digest = digests.get(*found)?;
                *found += 1;
                if digest.is_zero() { PagePlace::Zeros(zeros_in(live, page)?) } else { PagePlace::Live(live, digest) }
            }
            Finder::Memory(pages) => match *pages.next().expect("all pages of the set are in memory") {
                bytes if is_zero(bytes) => PagePlace::Zeros(Source::Zero),
                bytes => PagePlace::Memory(bytes),
            },
        })
    }
}

/// Whether zeros are a hole of the file.
fn zeros_in(live: &LiveFile, page: PageNo) -> Result<Source> {
    let end = ((page + 1) * PAGE64).min(live.len);
    let data = sparse::next_data(&live.file, page * PAGE64, end).at("looking for holes in", &live.path)?;
    Ok(if data.is_some() { Source::Zero } else { Source::Hole })
}

/// A page that differs.
struct Change<'a> {
    page: PageNo,
    old: PagePlace<'a>,
    new: PagePlace<'a>,
}

/// Hands out jobs in order.
struct Feed<'a, I> {
    pages: I,
    old: Finder<'a>,
    new: Finder<'a>,
}

impl<'a, I: Iterator<Item = PageNo>> Feed<'a, I> {
    /// The next job: pages for one frame, with the zeros between them.
    fn next(&mut self) -> Result<Option<Vec<Change<'a>>>> {
        let (mut job, mut full) = (Vec::new(), 0);
        while full < FRAME_PAGES && job.len() < JOB_PAGES {
            let Some(page) = self.pages.next() else { break };
            let change = Change { page, old: self.old.at(page)?, new: self.new.at(page)? };
            full += usize::from(!matches!(change.new, PagePlace::Zeros(_)));
            job.push(change);
        }
        Ok((!job.is_empty()).then_some(job))
    }
}

/// A job done.
struct Coded {
    zeros: Vec<Run>,
    pages: Vec<(PageNo, Digest)>,
    frame: Option<Frame>,
}

/// Reads and codes the pages of a job; `old` and `new` are the packs of stored images.
fn code(
    job: &[Change<'_>],
    old: &mut Option<PageReader<'_>>,
    new: &mut Option<PageReader<'_>>,
    level: i32,
) -> Result<Coded> {
    let mut coded = Coded { zeros: Vec::new(), pages: Vec::new(), frame: None };
    let (mut before, mut now) = (Vec::new(), Vec::new());
    let mut bytes = [0; PAGE];
    for change in job {
        if let PagePlace::Zeros(source) = change.new {
            coded.zeros.push(Run { pages: PageRange::new(change.page, change.page + 1), source });
            continue;
        }
        coded.pages.push((change.page, change.new.read(new, change.page, &mut bytes)?));
        now.extend_from_slice(&bytes);
        change.old.read(old, change.page, &mut bytes)?;
        before.extend_from_slice(&bytes);
    }
    if !now.is_empty() {
        coded.frame = Some(match is_zero(&before) {
            true => encode_frame(&now, Compress::Zstd(level)),
            false => encode_frame_against(&now, &before, level),
        });
    }
    Ok(coded)
}

/// Writes the delta that `head` describes, whose images differ in the pages of `set`.
pub(crate) fn write_delta(
    head: &DeltaHead,
    (base, result): (&DeltaImage<'_>, &DeltaImage<'_>),
    set: &PageSet,
    level: i32,
    (out, path, scratch): (&mut dyn Write, &Path, &Path),
    progress: &dyn Progress,
) -> Result<Stat> {
    let failed = |e| Error::Io { doing: "writing", path: path.into(), source: e };
    let mut writer = DeltaWriter::new(out, head).map_err(failed)?;
    for delta_images in [(base, result), (result, base)].into_iter().take(1 + usize::from(head.reversible)) {
        let mut direction = writer.direction(Spool::new(scratch)).map_err(failed)?;
        encode(delta_images, set, level, &mut direction, path, progress)?;
        writer = direction.finish().map_err(failed)?;
    }
    let bytes = writer.finish().map_err(failed)?;
    let within: PageSet = set.runs_within(PageRange::of_len(head.result.len)).collect();
    Ok(Stat::new(head, within.len(), within.runs().count() as u64, bytes))
}

/// Writes the direction from `old` to `new`: all pages of `set` that lie within `new`.
pub(crate) fn encode<W: Write, S: Write + ReadAt>(
    (old, new): (&DeltaImage<'_>, &DeltaImage<'_>),
    set: &PageSet,
    level: i32,
    direction: &mut DirectionWriter<W, S>,
    out: &Path,
    progress: &dyn Progress,
) -> Result<()> {
    let end = pages_of(new.id.len);
    let mut feed =
        Feed { pages: set.pages().take_while(|page| *page < end), old: Finder::new(old), new: Finder::new(new) };
    let worker = || {
        let (mut before, mut now) = (old.packs(), new.packs());
        move |job: Vec<Change<'_>>| code(&job, &mut before, &mut now, level)
    };
    progress.begin("coding", set.len() * PAGE64);
    let result = pool::in_order(
        (pool::workers(), AHEAD),
        out,
        || feed.next(),
        worker,
        |coded: Coded| {
            write_one(&coded, direction).at("writing", out)?;
            progress.advance((coded.zeros.len() + coded.pages.len()) as u64 * PAGE64);
            Ok(())
        },
    );
    progress.end();
    result
}

fn write_one<W: Write, S: Write + ReadAt>(coded: &Coded, direction: &mut DirectionWriter<W, S>) -> std::io::Result<()> {
    let mut zeros = coded.zeros.iter().peekable();
    for (page, _) in &coded.pages {
        while let Some(run) = zeros.next_if(|r| r.pages.start < *page) {
            direction.zeros(run.pages, run.source)?;
        }
        direction.page(*page)?;
    }
    zeros.try_for_each(|run| direction.zeros(run.pages, run.source))?;
    match &coded.frame {
        Some(frame) => direction.frame(&coded.pages, frame),
        None => Ok(()),
    }
}
