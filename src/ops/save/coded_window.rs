//! What one window of a target adds to a snapshot: runs, and frames for its pack.

use crate::capture::{Leaf, ScannedWindow};
use crate::pack::{Changed, Compress, FRAME_PAGES, Frame, NO_PACK, Overlay, Run, RunStream, Source, encode_frame};
use crate::page::{Digest, PAGE, PAGE64, PageNo, PageRange, pages_of};

/// The content of one window, coded by the thread that read it.
pub(super) struct CodedWindow {
    pub(super) window: PageRange,
    pub(super) groups: Vec<(u64, Digest)>,
    pub(super) leaves: Vec<Leaf>,
    pub(super) runs: Vec<Run>,
    pub(super) frames: Vec<(Vec<(PageNo, Digest)>, Frame)>,
    pub(super) changed: Changed,
    pub(super) holes: Vec<PageRange>,
}

impl CodedWindow {
    /// Its runs, and in the place of what lies between them past the end of the parent, zeros: the parent's map may
    /// have any runs there.
    pub(super) fn runs(&self, parent_pages: PageNo, end: PageNo) -> impl RunStream {
        let start = self.window.start.max(parent_pages);
        let grown = PageRange { start, end: self.window.end.min(end).max(start) };
        let zeros = (!grown.is_empty()).then_some(Ok(Run { pages: grown, source: Source::Zero }));
        let holes = self.holes.iter().map(move |hole| Run { pages: hole.intersect(&grown), source: Source::Hole });
        let zeros = Overlay::new(zeros.into_iter(), holes.filter(|run| !run.pages.is_empty()).map(Ok));
        Overlay::new(zeros, self.runs.iter().copied().map(Ok))
    }
}

/// Codes what a scan found in a window of an image of `len` bytes.
pub(super) fn prepare(found: ScannedWindow, compress: Compress, len: u64) -> CodedWindow {
    let end = pages_of(len);
    let mut part = CodedWindow {
        window: found.window.unwrap_or(PageRange { start: 0, end: 0 }),
        groups: Vec::new(),
        leaves: Vec::new(),
        runs: Vec::new(),
        frames: Vec::new(),
        changed: Changed::default(),
        holes: Vec::new(),
    };
    let mut stored = Vec::new();
    for (page, digest) in found.changed.iter().filter(|(page, _)| *page < end) {
        part.changed.pages += 1;
        part.changed.bytes += PAGE64.min(len - page * PAGE64);
        let source = match digest.is_zero() {
            true if found.is_hole(*page) => Source::Hole,
            true => Source::Zero,
            false => Source::Pack(NO_PACK, *page),
        };
        let run = Run { pages: PageRange::new(*page, page + 1), source };
        match part.runs.last_mut().and_then(|last| last.join(&run).map(|joined| (last, joined))) {
            Some((last, joined)) => *last = joined,
            None => part.runs.push(run),
        }
        if !digest.is_zero() {
            stored.push((*page, *digest));
        }
    }
    for (pages, bytes) in stored.chunks(FRAME_PAGES).zip(found.bytes.chunks(FRAME_PAGES * PAGE)) {
        part.frames.push((pages.to_vec(), encode_frame(bytes, compress)));
    }
    CodedWindow { groups: found.groups, leaves: found.leaves, holes: found.holes, ..part }
}
