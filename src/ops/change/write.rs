//! Step 7: pages, holes and the length are written. At any moment every page is that of one image or of the other.

use crate::sys::ext::FileExt;

use super::hold::Work;
use super::{metadata, set_uid};
use crate::error::{At, Result};
use crate::ops::Progress;
use crate::pack::Source;
use crate::page::{PAGE, PAGE64, PageRange, PageSet};
use crate::store::Image;
use crate::sys::sparse;

/// Most bytes written by one call.
const BATCH: usize = 1 << 20;

/// Writes `pages` of `to` into the target and sets its length; returns the number of bytes written.
///
/// The length grows first and shrinks last, so that at any moment every page is that of one image or the other.
pub(crate) fn write(work: &mut Work<'_>, to: &Image, pages: &PageSet, progress: &dyn Progress) -> Result<u64> {
    let (file, path) = (work.target.file, work.target.path);
    let now = file.metadata().at("inspecting", path)?.len();
    if !pages.is_empty() || now != to.len() {
        work.had_set_uid = set_uid::has_bits(work.target)?;
        let removed = set_uid::remove(work.target)?;
        work.notes.extend(removed);
        // Not yet narrowed where it had set-uid bits, which a new owner takes without a word.
        metadata::narrow(work.target, to)?;
    }
    if now < to.len() {
        file.set_len(to.len()).at("lengthening", path)?;
    }
    progress.begin("writing", pages.len() * PAGE64);
    let written = write_pages(work, to, pages, now.max(to.len()), progress);
    progress.end();
    if now > to.len() {
        file.set_len(to.len()).at("shortening", path)?;
    }
    written
}

fn write_pages(work: &Work<'_>, to: &Image, pages: &PageSet, len: u64, progress: &dyn Progress) -> Result<u64> {
    let mut reader = work.history.packs().pages();
    let mut batch = Batch { work, len, start: 0, bytes: Vec::with_capacity(BATCH), written: 0 };
    for run in to.runs_in(pages.runs()) {
        let run = run?;
        if run.source == Source::Hole {
            batch.flush()?;
            batch.punch(run.pages)?;
            progress.advance(run.pages.len() * PAGE64);
            continue;
        }
        for page in run.pages.start..run.pages.end {
            let mut bytes = [0; PAGE];
            if let Source::Pack(pack, source) = run.source.advance(page - run.pages.start) {
                reader.read(pack, source, &mut bytes)?;
            }
            batch.add(page * PAGE64, &bytes)?;
            progress.advance(PAGE64);
        }
    }
    batch.flush()?;
    Ok(batch.written)
}

/// Neighbouring pages, written by one call.
struct Batch<'a> {
    work: &'a Work<'a>,
    /// Nothing is written past this.
    len: u64,
    start: u64,
    bytes: Vec<u8>,
    written: u64,
}

impl Batch<'_> {
    fn add(&mut self, at: u64, page: &[u8; PAGE]) -> Result<()> {
        if self.start + self.bytes.len() as u64 != at || self.bytes.len() == BATCH {
            self.flush()?;
            self.start = at;
        }
        self.bytes.extend_from_slice(page);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let n = self.len.saturating_sub(self.start).min(self.bytes.len() as u64) as usize;
        let target = self.work.target;
        target.file.write_all_at(&self.bytes[..n], self.start).at("writing to", target.path)?;
        self.written += n as u64;
        self.bytes.clear();
        Ok(())
    }

    fn punch(&mut self, pages: PageRange) -> Result<()> {
        let target = self.work.target;
        let end = pages.end_offset().min(self.len);
        if sparse::punch(target.file, pages.offset(), end - pages.offset()).at("punching a hole in", target.path)? {
            return Ok(());
        }
        for page in pages.start..pages.end {
            self.add(page * PAGE64, &[0; PAGE])?;
        }
        self.flush()
    }
}
