//! The bytes of a snapshot: mapped files, and pages over them that no file has.
#![allow(unreachable_pub, reason = "named by a sealed trait, and not outside")]

use std::io;
use std::ops::Range;

use super::compose::Compose;
use crate::page::{PageRange, PageSet};
use crate::sys::region::{Frozen, Region, system_page};
use crate::sys::sealed::Sealed;

/// Overlays below this many bytes stay overlays.
const SMALL: usize = 64 * 4096;
/// Longer ones stay while they are less than this part of all that is mapped. Beyond that everything is written to one
/// new file, as every view would have to copy the overlay.
const PART: usize = 8;

/// Part of a file, mapped at an offset.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) at: usize,
    pub(super) len: usize,
    pub(super) offset: u64,
    pub(super) file: Sealed,
}

impl Piece {
    /// Whether `offset` of `file`, mapped at `at`, follows it there and here. It must end at a page boundary for that.
    pub(super) fn goes_on(&self, at: usize, file: &Sealed, offset: u64) -> bool {
        let ends_here = self.at + self.len == at && self.offset + self.len as u64 == offset;
        ends_here && self.file.is(file) && self.len.is_multiple_of(system_page())
    }
}

/// Immutable bytes.
#[derive(Debug)]
pub struct Image {
    /// Later ones are over earlier ones; what none has is zeros.
    pieces: Vec<Piece>,
    /// Pages, of the system's size, that differ from what is mapped.
    overlay: PageSet,
    /// All of it, to be read.
    bytes: Frozen,
}

impl Image {
    /// The image of `pieces`.
    pub(super) fn of(len: usize, pieces: Vec<Piece>) -> io::Result<Image> {
        let bytes = lay(len, &pieces)?.0.freeze();
        Ok(Image { pieces, overlay: PageSet::new(), bytes })
    }

    /// All bytes.
    #[inline]
    pub(super) fn as_slice(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// Returns the ranges that may differ from zeros, ascending and merged.
    pub(super) fn stretches(&self) -> Vec<Range<usize>> {
        let pieces = self.pieces.iter().map(|piece| piece.at..piece.at + piece.len);
        let mut all: Vec<_> = pieces.chain(self.overlay_bytes()).collect();
        all.sort_by_key(|stretch| stretch.start);
        all.dedup_by(|next, stretch| {
            let near = next.start <= stretch.end;
            if near {
                stretch.end = stretch.end.max(next.end);
            }
            near
        });
        all
    }

    /// Returns a private copy for writing, and whether it has private pages already. Only the overlay is copied, and
    /// what cannot be mapped.
    pub(super) fn map(&self) -> io::Result<(Region, bool)> {
        let (mut region, mapped) = lay(self.as_slice().len(), &self.pieces)?;
        for run in self.overlay_bytes() {
            region.as_mut_slice()[run.clone()].copy_from_slice(&self.as_slice()[run]);
        }
        Ok((region, !mapped || !self.overlay.is_empty()))
    }

    /// The image of `now`, which differs from this one in the ranges `changed` only. Takes time for these ranges and
    /// the overlay.
    pub(super) fn with(&self, now: &[u8], changed: &[Range<usize>]) -> io::Result<Image> {
        let overlay = self.overlay_with(changed);
        if self.is_heavy(&overlay) {
            return self.settled(now, &overlay);
        }
        let (mut region, _) = lay(now.len(), &self.pieces)?;
        for run in bytes_of(&overlay, now.len()) {
            region.as_mut_slice()[run.clone()].copy_from_slice(&now[run]);
        }
        Ok(Image { pieces: self.pieces.clone(), overlay, bytes: region.freeze() })
    }

    /// As [`Image::with`], of memory that this image was mapped to: the new image takes it over.
    pub(super) fn turned_into(&self, region: Region, changed: &[Range<usize>]) -> Image {
        let overlay = self.overlay_with(changed);
        if self.is_heavy(&overlay)
            && let Ok(image) = self.settled(region.as_slice(), &overlay)
        {
            return image;
        }
        Image { pieces: self.pieces.clone(), overlay, bytes: region.freeze() }
    }

    fn overlay_with(&self, changed: &[Range<usize>]) -> PageSet {
        let mut overlay = self.overlay.clone();
        let page = system_page();
        let pages = |r: &Range<usize>| PageRange::new((r.start / page) as u64, r.end.div_ceil(page) as u64);
        changed.iter().for_each(|r| overlay.insert_range(pages(r)));
        overlay
    }

    /// Whether an overlay is so large that it should be a file.
    fn is_heavy(&self, overlay: &PageSet) -> bool {
        let laid: usize = self.pieces.iter().map(|p| p.len).sum();
        let own = overlay.len() as usize * system_page();
        own >= SMALL && own.saturating_mul(PART) >= laid.saturating_add(own)
    }

    /// The image of `now` with all that differs from zeros in one new file.
    fn settled(&self, now: &[u8], overlay: &PageSet) -> io::Result<Image> {
        let page = system_page();
        let mut all = overlay.clone();
        for piece in &self.pieces {
            let end = (piece.at + piece.len).div_ceil(page);
            all.insert_range(PageRange::new((piece.at / page) as u64, end as u64));
        }
        let mut compose = Compose::new(now.len());
        for run in bytes_of(&all, now.len()) {
            compose = compose.bytes(run.start, &now[run])?;
        }
        compose.image()
    }

    fn overlay_bytes(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        bytes_of(&self.overlay, self.as_slice().len())
    }
}

/// The bytes of pages of the system's size.
fn bytes_of(pages: &PageSet, len: usize) -> impl Iterator<Item = Range<usize>> + '_ {
    let page = system_page();
    pages.runs().map(move |run| run.start as usize * page..(run.end as usize * page).min(len))
}

/// Maps `pieces`, and returns whether nothing was copied.
fn lay(len: usize, pieces: &[Piece]) -> io::Result<(Region, bool)> {
    let (mut region, mut mapped) = (Region::zeroed(len)?, true);
    for piece in pieces {
        mapped &= region.lay(piece.at, &piece.file, piece.offset, piece.len)?;
    }
    Ok((region, mapped))
}
