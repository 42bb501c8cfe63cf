//! A view: private copy-on-write memory that begins with a snapshot's bytes and knows what changed.

use std::io;
use std::ops::{Bound, Range, RangeBounds};
use std::sync::Arc;

use super::checkpoints::{Checkpoints, Unit};
use super::image::Image;
use super::options::{Options, page_size};
use super::root::Root;
use super::snapshot::Snapshot;
use super::track::{Tracker, Tracking};
use crate::sys::region::{Access, Region};

/// A view of a borrowed snapshot.
pub type CowView<'a> = View<&'a Snapshot>;
/// A view whose changes become the snapshot's.
pub type MutView<'a> = View<&'a mut Snapshot>;
/// A view without a lifetime.
pub type ArcView = View<Arc<Snapshot>>;

/// Private copy-on-write memory that begins with the bytes of a snapshot. It is a `[u8]` to read and write. Writes
/// never reach the snapshot or its file, except those of a [`MutView`], which the snapshot takes over when the view is
/// dropped.
///
/// A view knows its *dirty pages* ([`View::dirty`]), and has *checkpoints*, nested without limit: [`View::snap`] makes
/// one, [`View::revert`] rolls back to the last, [`View::apply`] merges the last into the one before. Checkpoint 0 is
/// the snapshot. The kernel notes every write: of this program, of read(2) into the view, of a guest that runs in it.
/// The address of a view never changes.
///
/// ```
/// use memsnap::mem::Snapshot;
///
/// # fn main() -> std::io::Result<()> {
/// let snapshot = Snapshot::zeroed(1 << 30)?; // costs nothing yet
/// let mut view = snapshot.view()?;
/// view[24] = 42;
/// assert_eq!(view.dirty().len(), 1);
///
/// view.snap()?;
/// view[24] = 43;
/// view[65536] = 1;
/// assert_eq!(view.dirty().len(), 2);
/// view.revert();
/// assert_eq!((view[24], view[65536]), (42, 0));
/// # Ok(())
/// # }
/// ```
///
/// After fork(2) the child has the bytes, but what the kernel notes stays with the parent: in the child the view finds
/// its dirty pages in another way, which [`View::tracking`] returns.
pub struct View<S: Root> {
    root: S,
    pub(super) image: Arc<Image>,
    pub(super) region: Region,
    pub(super) tracker: Tracker,
    pub(super) checkpoints: Checkpoints,
    pub(super) unit: usize,
}

impl Snapshot {
    /// Makes a private copy-on-write copy that knows its changes.
    ///
    /// # Errors
    /// When the system has no memory or no addresses for another mapping.
    pub fn view(&self) -> io::Result<CowView<'_>> {
        self.view_with(&Options::default())
    }

    /// As [`Snapshot::view`], with options.
    ///
    /// # Errors
    /// As [`Snapshot::view`]; when the system does not have what an option asks for.
    pub fn view_with(&self, options: &Options) -> io::Result<CowView<'_>> {
        View::new(self, options)
    }

    /// Makes a view whose changes become this snapshot's when it is dropped. Clones keep their bytes.
    ///
    /// # Errors
    /// As [`Snapshot::view`].
    pub fn view_mut(&mut self) -> io::Result<MutView<'_>> {
        self.view_mut_with(&Options::default())
    }

    /// As [`Snapshot::view_mut`], with options.
    ///
    /// # Errors
    /// As [`Snapshot::view_with`].
    pub fn view_mut_with(&mut self, options: &Options) -> io::Result<MutView<'_>> {
        View::new(self, options)
    }

    /// As [`Snapshot::view`], without a lifetime.
    ///
    /// # Errors
    /// As [`Snapshot::view`].
    pub fn view_arc(self: &Arc<Self>) -> io::Result<ArcView> {
        self.view_arc_with(&Options::default())
    }

    /// As [`Snapshot::view_arc`], with options.
    ///
    /// # Errors
    /// As [`Snapshot::view_with`].
    pub fn view_arc_with(self: &Arc<Self>, options: &Options) -> io::Result<ArcView> {
        View::new(self.clone(), options)
    }
}

impl<S: Root> View<S> {
    pub(super) fn new(root: S, options: &Options) -> io::Result<View<S>> {
        let unit = options.page_size.unwrap_or_else(page_size);
        if unit == 0 || !unit.is_multiple_of(page_size()) || isize::try_from(unit).is_err() {
            let what =
                format!("a page of {unit} bytes is not a multiple of {}, or longer than memory can be", page_size());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let image = root.image().clone();
        let (region, private) = image.map()?;
        let tracker = Tracker::new(&region, options.tracking, private)?;
        Ok(View { root, image, region, tracker, checkpoints: Checkpoints::new(unit), unit })
    }

    /// Whether it is a view of `snapshot` or of a clone of it.
    pub(crate) fn is_of(&self, snapshot: &Snapshot) -> bool {
        Arc::ptr_eq(&self.image, snapshot.image())
    }

    /// Returns all bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        self.region.as_slice()
    }

    /// Returns all bytes for writing.
    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        self.region.as_mut_slice()
    }

    /// Returns the address of the bytes, aligned to a page unless there are none.
    pub fn as_ptr(&self) -> *const u8 {
        self.region.as_ptr()
    }

    /// Returns the address of the bytes for other writers, such as a device or a guest.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.region.as_mut_ptr()
    }

    /// Returns the bytes of a page, the unit of changes.
    pub fn page_size(&self) -> usize {
        self.unit
    }

    /// Returns how writes are tracked.
    pub fn tracking(&self) -> Tracking {
        self.tracker.method()
    }

    /// Makes a checkpoint of the current bytes, and returns its number: one more than the last.
    ///
    /// # Errors
    /// When there is no memory for the pages that changed; then no checkpoint is made.
    pub fn snap(&mut self) -> io::Result<usize> {
        self.checkpoint_now(None)
    }

    /// As [`View::snap`], with a name that [`View::checkpoint`] finds.
    ///
    /// # Errors
    /// As [`View::snap`].
    pub fn snap_named(&mut self, name: impl Into<String>) -> io::Result<usize> {
        self.checkpoint_now(Some(name.into()))
    }

    fn checkpoint_now(&mut self, name: Option<String>) -> io::Result<usize> {
        let written = self.tracker.written(&self.region, 0..self.len(), true);
        let units = units(&written, self.unit);
        let made = self.checkpoints.snap(self.region.as_slice(), self.image.as_slice(), units, name);
        if made.is_err() {
            self.tracker.lose(); // the pages are armed and not saved
        }
        made
    }

    /// Rolls back to the last checkpoint, and removes it. Without one, rolls back to the snapshot.
    pub fn revert(&mut self) {
        self.go_back(self.checkpoints.depth());
        self.checkpoints.pop();
    }

    /// Rolls back to `checkpoint`, which stays, and removes later ones. 0 is the snapshot.
    ///
    /// # Errors
    /// `InvalidInput` when there is no such checkpoint.
    pub fn revert_to(&mut self, checkpoint: usize) -> io::Result<()> {
        if checkpoint > self.checkpoints() {
            let what = format!("there is no checkpoint {checkpoint}: the last is {}", self.checkpoints());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        self.go_back(checkpoint);
        Ok(())
    }

    fn go_back(&mut self, level: usize) {
        let written = self.tracker.written(&self.region, 0..self.len(), false);
        let units = units(&written, self.unit);
        let pages = self.checkpoints.go_back(level, self.region.as_mut_slice(), self.image.as_slice(), units);
        self.tracker.arm(&self.region, &self.bytes_of(&pages));
    }

    /// Removes the last checkpoint. The bytes stay, and count as changed since the one before. Without a checkpoint it
    /// does nothing.
    pub fn apply(&mut self) {
        self.checkpoints.apply();
    }

    /// Returns the number of checkpoints, which is the number of the last.
    pub fn checkpoints(&self) -> usize {
        self.checkpoints.depth()
    }

    /// Returns the name of a checkpoint, if it has one.
    pub fn checkpoint_name(&self, checkpoint: usize) -> Option<&str> {
        self.checkpoints.name(checkpoint)
    }

    /// Returns the number of the first checkpoint of that name.
    pub fn checkpoint(&self, name: &str) -> Option<usize> {
        self.checkpoints.find(name)
    }

    /// Sets all bytes to those of the snapshot, and lifts all protection. This is an edit: checkpoints stay, and the
    /// view can be rolled back to them.
    ///
    /// # Errors
    /// When protection cannot be lifted.
    pub fn restore(&mut self) -> io::Result<()> {
        self.region.unprotect()?;
        if self.checkpoints.depth() == 0 {
            self.go_back(0);
            return Ok(());
        }
        self.restore_range(..)
    }

    /// Sets a range of bytes to those of the snapshot. Protection stays.
    ///
    /// # Errors
    /// `InvalidInput` when the range is not within the view.
    pub fn restore_range(&mut self, range: impl RangeBounds<usize>) -> io::Result<()> {
        let range = self.bounds(range)?;
        let written = self.tracker.written(&self.region, range.clone(), false);
        let pages = self.checkpoints.candidates(0, units(&written, self.unit));
        for bytes in self.bytes_of(&pages) {
            let bytes = bytes.start.max(range.start)..bytes.end.min(range.end);
            // A page that is not written stays unwritten.
            for at in (bytes.start..bytes.end).step_by(self.unit) {
                let page = at..(at + self.unit).min(bytes.end);
                let before = &self.image.as_slice()[page.clone()];
                let now = &mut self.region.as_mut_slice()[page];
                if now != before {
                    now.copy_from_slice(before);
                }
            }
        }
        Ok(())
    }

    /// Takes a snapshot of the current bytes, in time proportional to the dirty pages: the rest is shared.
    ///
    /// # Errors
    /// When there is no memory for them.
    pub fn take_snapshot(&self) -> io::Result<Snapshot> {
        let changed = self.changed_since_snapshot();
        if changed.is_empty() {
            return Ok(Snapshot::again(&self.image));
        }
        Ok(Snapshot::of(self.image.with(self.as_slice(), &changed)?))
    }

    /// Sets the allowed access to a range of bytes, in whole pages of the system. [`View::restore`] lifts it.
    ///
    /// # Errors
    /// `InvalidInput` when the range is not of whole pages, or not within the view; as mprotect(2) otherwise.
    ///
    /// # Safety
    /// Until the access is allowed again, nothing may read or write the range in a way that `access` does not allow: no
    /// slice of it, and no call of this view that reads bytes (all but `restore`, `protect`, and those for address and
    /// length). It would fault. The compiler may read a byte of a slice earlier than the program does (measured), so
    /// use pointers.
    #[allow(unsafe_code, unsafe_op_in_unsafe_fn, reason = "the promise is handed on as it is")]
    pub unsafe fn protect(&mut self, range: impl RangeBounds<usize>, access: Access) -> io::Result<()> {
        let range = self.bounds(range)?;
        self.region.protect(range.start, range.len(), access)
    }

    fn changed_since_snapshot(&self) -> Vec<Range<usize>> {
        self.bytes_of(&self.changed(0, 0..self.len()))
    }

    /// Pages within `bytes` that differ from what they held at checkpoint `since`.
    pub(super) fn changed(&self, since: usize, bytes: Range<usize>) -> Vec<Unit> {
        let mut pages = self.candidates(since, bytes);
        let (now, base) = (self.as_slice(), self.image.as_slice());
        pages.retain(|page| self.checkpoints.page(now, *page) != self.checkpoints.held(*page, since, base));
        pages
    }

    /// Pages within `bytes` that may differ from what they held at checkpoint `since`.
    pub(super) fn candidates(&self, since: usize, bytes: Range<usize>) -> Vec<Unit> {
        let (first, end) = (bytes.start / self.unit, bytes.end.div_ceil(self.unit));
        // All of these pages: what was written may be elsewhere on them.
        let bytes = first * self.unit..(end * self.unit).min(self.len());
        let written = self.tracker.written(&self.region, bytes, false);
        let mut pages = self.checkpoints.candidates(since, units(&written, self.unit));
        pages.retain(|page| (first..end).contains(page));
        pages
    }

    /// Neighbouring pages as ranges of bytes.
    fn bytes_of(&self, pages: &[Unit]) -> Vec<Range<usize>> {
        let mut out: Vec<Range<usize>> = Vec::new();
        for page in pages {
            let (start, end) = (page * self.unit, ((page + 1) * self.unit).min(self.len()));
            match out.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => out.push(start..end),
            }
        }
        out
    }

    pub(super) fn bounds(&self, range: impl RangeBounds<usize>) -> io::Result<Range<usize>> {
        let start = match range.start_bound() {
            Bound::Included(at) => Some(*at),
            Bound::Excluded(at) => at.checked_add(1),
            Bound::Unbounded => Some(0),
        };
        let end = match range.end_bound() {
            Bound::Included(at) => at.checked_add(1),
            Bound::Excluded(at) => Some(*at),
            Bound::Unbounded => Some(self.len()),
        };
        match (start, end) {
            (Some(start), Some(end)) if start <= end && end <= self.len() => Ok(start..end),
            _ => {
                let what = format!("the range is not within the {} bytes of the view", self.len());
                Err(io::Error::new(io::ErrorKind::InvalidInput, what))
            }
        }
    }
}

/// The pages of `unit` bytes that ranges of bytes touch, each once; the ranges are ascending and disjoint.
fn units(ranges: &[Range<usize>], unit: usize) -> impl Iterator<Item = Unit> + '_ {
    let mut next = 0;
    ranges.iter().flat_map(move |range| {
        let (start, end) = ((range.start / unit).max(next), range.end.div_ceil(unit));
        next = next.max(end);
        start..end
    })
}

impl<S: Root> Drop for View<S> {
    fn drop(&mut self) {
        if self.root.keeps().is_none() {
            return;
        }
        let _ = self.region.unprotect(); // all of it must be readable; if it is not, that cannot be helped here
        let changed = self.changed_since_snapshot();
        let (image, region) = (&self.image, &mut self.region);
        if let Some(snapshot) = self.root.keeps().filter(|_| !changed.is_empty()) {
            let region = std::mem::replace(region, Region::empty());
            snapshot.set(image.turned_into(region, &changed));
        }
    }
}

#[cfg(test)]
#[path = "view_test.rs"]
mod tests;
