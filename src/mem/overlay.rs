//! Images of changed bytes: the pieces of an existing image with a larger overlay, or one new file.

use std::io;
use std::ops::Range;

use super::compose::Compose;
use super::image::{Image, bytes_of, lay};
use crate::page::{PageRange, PageSet};
use crate::sys::region::{Region, system_page};

/// An overlay of fewer bytes stays an overlay.
const SMALL: usize = 64 * 4096;
/// A larger one stays while it is less than this part of all that is mapped. Beyond that everything is written to one new
/// file, because each view has to copy the overlay.
const PART: usize = 8;

impl Image {
    /// The image of `now`, which differs from this one only in the ranges `changed`. Takes time for these ranges and
    /// the overlay.
    pub(super) fn with(&self, now: &[u8], changed: &[Range<usize>]) -> io::Result<Image> {
        let overlay = self.overlay_with(changed);
        if self.is_heavy(&overlay) {
            return self.in_one_file(now, &overlay);
        }
        let (mut region, _) = lay(now.len(), &self.pieces)?;
        for run in bytes_of(&overlay, now.len()) {
            region.as_mut_slice()[run.clone()].copy_from_slice(&now[run]);
        }
        Ok(Image { pieces: self.pieces.clone(), overlay, bytes: region.freeze() })
    }

    /// As [`Image::with`], of memory to which this image was mapped, and which the new image takes over.
    pub(super) fn turned_into(&self, region: Region, changed: &[Range<usize>]) -> Image {
        let overlay = self.overlay_with(changed);
        if self.is_heavy(&overlay)
            && let Ok(image) = self.in_one_file(region.as_slice(), &overlay)
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

    /// The image of `now`, with all bytes that may not be zeros in one new file.
    fn in_one_file(&self, now: &[u8], overlay: &PageSet) -> io::Result<Image> {
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
}
