//! Coding the pages in which two images differ: read from either side and coded on every core, written in order.

use std::io::Write;
use std::path::Path;

use super::compare::{Marked, Seen, compare, compare_live};
use super::compose::read_zero_extended;
use super::sides::{LiveSide, Side};
use super::{Progress, Reading};
use crate::capture::{Found, scan};
use crate::error::{At, Error, Result};
use crate::pack::{Compress, Cursor, DirectionWriter, Frame, ReadAt, Run, Source, encode_frame, encode_frame_against};
use crate::page::{
    Digest, GROUP_PAGES, ImageHasher, PAGE, PAGE64, PageNo, PageRange, PageSet, is_zero, page_digest, pages_of,
};
use crate::store::{ImageRuns, PageReader};
use crate::sys::{pool, sparse};

/// Most pages coded together.
const FRAME_PAGES: usize = 16;
/// Most pages of a job: those of a frame, and zeros between them.
const JOB_PAGES: usize = 1024;
/// Jobs that each thread may be ahead of the one that is written.
const AHEAD: u64 = 4;

/// One side, with what its pages are held against when they are read.
pub(crate) struct Facet<'a> {
    side: &'a Side,
    /// The image digest.
    pub(crate) image: Digest,
    /// Of a live file: the digests that its pages in the set had when all of it was scanned.
    seen: Option<Seen>,
}

/// Compares two sides: the pages in which they differ, and both sides as they were when these were found. Live files
/// must not change meanwhile.
pub(crate) fn facets<'a>(
    (a, b): (&'a Side, &'a Side),
    reading: &Reading,
    scratch: &Path,
    progress: &dyn Progress,
) -> Result<(PageSet, Facet<'a>, Facet<'a>)> {
    let mut seen = Seen::new(scratch);
    let stored = |side: &'a Side, image| Facet { side, image, seen: None };
    match (a, b) {
        (Side::Stored(x), Side::Stored(y)) => {
            let set = compare(a, b, reading, progress)?;
            Ok((set, stored(a, x.image.digest()), stored(b, y.image.digest())))
        }
        (Side::Stored(base), Side::Live(live)) => {
            let (set, image) = compare_live(live, base, reading, progress, Some(&mut seen))?;
            Ok((set, stored(a, base.image.digest()), Facet { side: b, image, seen: Some(seen) }))
        }
        (Side::Live(live), Side::Stored(result)) => {
            let (set, image) = compare_live(live, result, reading, progress, Some(&mut seen))?;
            Ok((set, Facet { side: a, image, seen: Some(seen) }, stored(b, result.image.digest())))
        }
        (Side::Live(x), Side::Live(y)) => {
            let set = compare(a, b, reading, progress)?;
            let mut other = Seen::new(scratch);
            let image = look(x, &set, reading, progress, &mut seen)?;
            let base = Facet { side: a, image, seen: Some(seen) };
            let image = look(y, &set, reading, progress, &mut other)?;
            Ok((set, base, Facet { side: b, image, seen: Some(other) }))
        }
    }
}

impl Facet<'_> {
    fn pages(&self) -> Pages<'_> {
        let place = match self.side {
            Side::Stored(stored) => Place::Stored(Box::new(Cursor::new(stored.image.runs()))),
            Side::Live(_) => Place::Live { next: 0 },
        };
        Pages { facet: self, place }
    }
}

/// Scans a live file: the digest of every page of `set`, in order, and that of the image.
fn look(live: &LiveSide, set: &PageSet, reading: &Reading, progress: &dyn Progress, seen: &mut Seen) -> Result<Digest> {
    let mut hasher = ImageHasher::new(live.len);
    let mut wanted = set.runs().flat_map(|r| r.start..r.end).peekable();
    progress.begin("reading", live.len);
    let advance = |bytes: u64| progress.advance(bytes);
    let target = (&live.file, live.path.as_path(), live.len);
    let scanned = scan(target, &Marked(set), reading.how(false), &advance, &Ok, |found: Found| {
        found.groups.iter().for_each(|(group, digest)| hasher.push(*group, digest));
        for leaf in &found.leaves {
            let pages = PageRange::of_group(leaf.group);
            while let Some(page) = wanted.next_if(|p| *p < pages.end) {
                // Groups without a leaf that has been asked for are zeros.
                let place = page.checked_sub(pages.start).map(|n| leaf.pages[(n % GROUP_PAGES) as usize]);
                seen.put(&place.unwrap_or(Digest::ZERO))?;
            }
        }
        Ok(())
    });
    progress.end();
    scanned?;
    Ok(hasher.finish())
}

/// Where the bytes of a page are.
#[derive(Clone, Copy, Debug)]
enum Where {
    /// Nowhere: zeros, in this guise.
    Zeros(Source),
    /// In a pack.
    Pack(u32, PageNo),
    /// In the live file, and they must have this digest.
    Live(Digest),
}

/// Says where the pages of one side are; asked for those of the set, all of them, in order.
struct Pages<'a> {
    facet: &'a Facet<'a>,
    place: Place,
}

enum Place {
    Stored(Box<Cursor<ImageRuns>>),
    Live { next: u64 },
}

impl Pages<'_> {
    fn at(&mut self, page: PageNo) -> Result<Where> {
        match (&mut self.place, self.facet.side) {
            (Place::Stored(runs), Side::Stored(stored)) => {
                Ok(match runs.source(page).map_err(|e| e.of(stored.image.path()))? {
                    Source::Pack(pack, page) => Where::Pack(pack, page),
                    zeros => Where::Zeros(zeros),
                })
            }
            (Place::Live { next }, Side::Live(live)) => {
                let digest = self.facet.seen.as_ref().map_or(Ok(Digest::ZERO), |seen| seen.get(*next))?;
                *next += 1;
                Ok(if digest.is_zero() { Where::Zeros(zeros_in(live, page)?) } else { Where::Live(digest) })
            }
            _ => unreachable!("the place is of its side"),
        }
    }
}

/// Whether zeros are a hole of the file.
fn zeros_in(live: &LiveSide, page: PageNo) -> Result<Source> {
    let end = ((page + 1) * PAGE64).min(live.len);
    let data = sparse::next_data(&live.file, page * PAGE64, end).at("looking for holes in", &live.path)?;
    Ok(if data.is_some() { Source::Zero } else { Source::Hole })
}

/// A page that differs.
struct Change {
    page: PageNo,
    old: Where,
    new: Where,
}

/// Gives out jobs in order.
struct Feed<'a, I> {
    pages: I,
    old: Pages<'a>,
    new: Pages<'a>,
}

impl<I: Iterator<Item = PageNo>> Feed<'_, I> {
    /// The next job: pages for one frame, with the zeros between them.
    fn next(&mut self) -> Result<Option<Vec<Change>>> {
        let (mut job, mut full) = (Vec::new(), 0);
        while full < FRAME_PAGES && job.len() < JOB_PAGES {
            let Some(page) = self.pages.next() else { break };
            let change = Change { page, old: self.old.at(page)?, new: self.new.at(page)? };
            full += usize::from(!matches!(change.new, Where::Zeros(_)));
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

/// Reads pages of one side.
struct SideReader<'a> {
    side: &'a Side,
    packs: Option<PageReader<'a>>,
}

impl<'a> SideReader<'a> {
    fn new(side: &'a Side) -> SideReader<'a> {
        let packs = match side {
            Side::Stored(stored) => Some(stored.image.packs().pages()),
            Side::Live(_) => None,
        };
        SideReader { side, packs }
    }

    /// Reads a page, holds it against its digest, and gives that.
    fn read(&mut self, page: PageNo, from: Where, out: &mut [u8; PAGE]) -> Result<Digest> {
        match (from, self.side, &mut self.packs) {
            (Where::Pack(pack, source), _, Some(packs)) => packs.read(pack, source, out),
            (Where::Live(digest), Side::Live(live), _) => {
                let bytes = read_zero_extended(&live.file, page * PAGE64, PAGE, live.len).at("reading", &live.path)?;
                out.copy_from_slice(&bytes);
                if page_digest(out) != digest {
                    let what = format!("page {page} is not what it was when the file was scanned");
                    return Err(Error::Changed { path: live.path.clone(), what });
                }
                Ok(digest)
            }
            _ => {
                out.fill(0);
                Ok(Digest::ZERO)
            }
        }
    }
}

fn code(job: &[Change], old: &mut SideReader<'_>, new: &mut SideReader<'_>, level: i32) -> Result<Coded> {
    let mut coded = Coded { zeros: Vec::new(), pages: Vec::new(), frame: None };
    let (mut before, mut now) = (Vec::new(), Vec::new());
    let mut bytes = [0; PAGE];
    for change in job {
        if let Where::Zeros(source) = change.new {
            coded.zeros.push(Run { pages: PageRange::new(change.page, change.page + 1), source });
            continue;
        }
        coded.pages.push((change.page, new.read(change.page, change.new, &mut bytes)?));
        now.extend_from_slice(&bytes);
        old.read(change.page, change.old, &mut bytes)?;
        before.extend_from_slice(&bytes);
    }
    if !now.is_empty() {
        let alone = is_zero(&before);
        coded.frame = Some(match alone {
            true => encode_frame(&now, Compress::Zstd(level)),
            false => encode_frame_against(&now, &before, level),
        });
    }
    Ok(coded)
}

/// Writes the direction from `old` to `new`: all pages of `set` that lie within `new`.
pub(crate) fn encode<W: Write, S: Write + ReadAt>(
    (old, new): (&Facet<'_>, &Facet<'_>),
    set: &PageSet,
    level: i32,
    direction: &mut DirectionWriter<W, S>,
    out: &Path,
    progress: &dyn Progress,
) -> Result<()> {
    let end = pages_of(new.side.len());
    let pages = set.runs().flat_map(|r| r.start..r.end).take_while(|page| *page < end);
    let mut feed = Feed { pages, old: old.pages(), new: new.pages() };
    let worker = || {
        let (mut before, mut now) = (SideReader::new(old.side), SideReader::new(new.side));
        move |job: Vec<Change>| code(&job, &mut before, &mut now, level)
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
