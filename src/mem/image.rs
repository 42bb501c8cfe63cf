//! The bytes of a snapshot: mapped files, and an overlay of pages that no file has.
#![allow(unreachable_pub, reason = "named by a sealed trait, and not outside")]

use std::io;
use std::ops::Range;

use crate::page::PageSet;
use crate::sys::region::{Frozen, Region, system_page};
use crate::sys::sealed::Sealed;

/// Part of a file, mapped at an offset.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) at: usize,
    pub(super) len: usize,
    pub(super) offset: u64,
    pub(super) file: Sealed,
}

impl Piece {
    /// Whether `offset` of `file`, mapped at `at`, continues this piece in the file and in memory. A piece that does not
    /// end at a page boundary cannot be continued.
    pub(super) fn is_continued_by(&self, at: usize, file: &Sealed, offset: u64) -> bool {
        let ends_here = self.at + self.len == at && self.offset + self.len as u64 == offset;
        ends_here && self.file.is(file) && self.len.is_multiple_of(system_page())
    }
}

/// Immutable bytes.
#[derive(Debug)]
pub struct Image {
    /// Later ones are over earlier ones; bytes of none are zeros.
    pub(super) pieces: Vec<Piece>,
    /// Pages, of the system's size, that differ from the pieces.
    pub(super) overlay: PageSet,
    /// All bytes, for reading.
    pub(super) bytes: Frozen,
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

    fn overlay_bytes(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        bytes_of(&self.overlay, self.as_slice().len())
    }
}

/// The bytes of pages of the system's size.
pub(super) fn bytes_of(pages: &PageSet, len: usize) -> impl Iterator<Item = Range<usize>> + '_ {
    let page = system_page();
    pages.runs().map(move |run| run.start as usize * page..(run.end as usize * page).min(len))
}

/// Maps `pieces`, and returns whether nothing was copied.
pub(super) fn lay(len: usize, pieces: &[Piece]) -> io::Result<(Region, bool)> {
    let (mut region, mut mapped) = (Region::zeroed(len)?, true);
    for piece in pieces {
        mapped &= region.lay(piece.at, &piece.file, piece.offset, piece.len)?;
    }
    Ok((region, mapped))
}
