//! `diff --elements`: the elements in which two images of persistent vectors differ.

use std::io;
use std::ops::Range;
use std::path::Path;

use crate::error::{Cause, Error, Result};
use crate::ops::Progress;
use crate::ops::compare::compare;
use crate::ops::diff::{Options, Side, sides};
use crate::ops::input::image::OpenImage;
use crate::ops::input::operand::Operand;
use crate::page::{PageRange, PageSet};
use crate::vec::{Content, ELEMENTS, ElementType, VecSource};

/// Bytes of elements compared at once, about.
const BLOCK: u64 = 256 << 10;

/// What was found.
#[derive(Clone, Debug)]
pub struct Report {
    /// The first image; its length is in elements.
    pub a: Side,
    /// The second, likewise.
    pub b: Side,
    /// What the elements of both are.
    pub kind: ElementType,
    /// The indexes of elements that differ, as a set of numbers.
    set: PageSet,
}

impl Report {
    /// Elements that differ; those that only one has count.
    pub fn changed(&self) -> u64 {
        self.set.len()
    }

    /// The indexes of elements that differ, ascending and as long as they can be.
    pub fn ranges(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.set.runs().map(|run| run.start..run.end)
    }
}

/// Compares the elements of two images of persistent vectors, chosen as by [`diff`](crate::ops::diff::diff).
///
/// # Errors
/// When either cannot be read; [`Error::Refused`] when one is no persistent vector, or their elements are of two types.
pub fn diff_elements(a: &Operand, b: Option<&Operand>, options: &Options, progress: &dyn Progress) -> Result<Report> {
    let (a, b) = sides(a, b, options)?;
    let (first, second) = (VecImage::open(&a)?, VecImage::open(&b)?);
    let kind = *first.content.element_type();
    if kind != *second.content.element_type() {
        let (one, other) = (kind.describe(), second.content.element_type().describe());
        let what = format!("{} has {one}, {} has {other}: they cannot be compared one by one", a.name(), b.name());
        return Err(Error::refused(what, Cause::OtherElements));
    }
    let pages = compare(&a, &b, &options.reading, progress)?;
    let lens = [first.content.len(), second.content.len()];
    let common = lens[0].min(lens[1]);
    let mut set = PageSet::new();
    for (start, end) in candidates(&pages, &first.content, &second.content, common) {
        look(&first, &second, start..end, &mut set)?;
    }
    set.insert_range(PageRange::new(common, lens[0].max(lens[1])));
    let named = |half: &VecImage<'_>| Side { name: half.side.name().into(), len: half.content.len(), image: None };
    Ok(Report { a: named(&first), b: named(&second), kind, set })
}

/// Elements below `common` that may differ: those in pages that differ, and those in either log.
fn candidates(set: &PageSet, a: &Content, b: &Content, common: u64) -> Vec<(u64, u64)> {
    let size = a.element_type().size;
    let paged =
        set.runs().map(|run| (run.offset().saturating_sub(ELEMENTS), run.end_offset().saturating_sub(ELEMENTS)));
    let logged = a.in_log().chain(b.in_log()).map(|(offset, len)| (offset, offset + len));
    let mut all: Vec<(u64, u64)> = paged
        .chain(logged)
        .map(|(start, end)| (start / size, end.div_ceil(size).min(common)))
        .filter(|(start, end)| start < end)
        .collect();
    all.sort_unstable();
    all.dedup_by(|next, kept| {
        let joined = next.0 <= kept.1;
        if joined {
            kept.1 = kept.1.max(next.1);
        }
        joined
    });
    all
}

struct VecImage<'a> {
    side: &'a OpenImage,
    content: Content,
}

impl<'a> VecImage<'a> {
    fn open(side: &'a OpenImage) -> Result<VecImage<'a>> {
        Ok(VecImage { side, content: Content::read(&source(side), side.len())? })
    }

    fn read(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.content.read_at(&source(self.side), buf, offset)
    }
}

/// The bytes of a side, wherever they are.
fn source(side: &OpenImage) -> VecSource<'_> {
    VecSource::new(Path::new(side.name()), |buf, offset| {
        if offset.checked_add(buf.len() as u64).is_none_or(|end| end > side.len()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        side.read(buf, offset).map_err(io::Error::other)
    })
}

/// Compares elements that both have; adds those that differ to `set`.
fn look(a: &VecImage<'_>, b: &VecImage<'_>, elements: Range<u64>, set: &mut PageSet) -> Result<()> {
    let size = a.content.element_type().size;
    let step = (BLOCK / size).max(1);
    let mut at = elements.start;
    while at < elements.end {
        let n = step.min(elements.end - at);
        let (mut x, mut y) = (vec![0; (n * size) as usize], vec![0; (n * size) as usize]);
        a.read(&mut x, at * size)?;
        b.read(&mut y, at * size)?;
        let pairs = x.chunks_exact(size as usize).zip(y.chunks_exact(size as usize));
        (at..).zip(pairs).filter(|(_, (x, y))| x != y).for_each(|(element, _)| set.insert(element));
        at += n;
    }
    Ok(())
}
