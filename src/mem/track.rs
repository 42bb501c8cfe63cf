//! Knowing which pages of a view may have been written: three ways, one answer.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};

use crate::sys::region::Region;
use crate::sys::written::{Watch, private_pages};

/// How a view knows which pages were written. The answers are the same; what they cost is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tracking {
    /// The kernel notes writes since the last checkpoint (userfaultfd in its asynchronous write-protect mode, and the
    /// PAGEMAP_SCAN ioctl): Linux 6.7 and later, where containers do not forbid it. No privilege is needed.
    WriteProtect,
    /// The kernel tells which pages are not the file's any more (/proc/self/pagemap); these are compared with what was
    /// saved. What is written again after a checkpoint costs nothing extra; a checkpoint costs time for all that was
    /// ever written.
    Pagemap,
    /// All pages are compared: everywhere, and slow.
    Compare,
}

/// The one watch of this process, while any view uses it.
static WATCH: Mutex<Weak<Watch>> = Mutex::new(Weak::new());

fn watch() -> io::Result<Arc<Watch>> {
    // Not locked with patience: in a forked child nobody may be left to unlock it.
    let Ok(mut kept) = WATCH.try_lock() else { return Watch::new().map(Arc::new) };
    if let Some(watch) = kept.upgrade().filter(|watch| watch.is_ours()) {
        return Ok(watch);
    }
    let watch = Arc::new(Watch::new()?);
    *kept = Arc::downgrade(&watch);
    Ok(watch)
}

#[derive(Debug)]
enum How {
    Watch(Arc<Watch>),
    Pagemap,
    Compare,
}

/// Tracks one region.
#[derive(Debug)]
pub(super) struct Tracker {
    how: How,
    /// The watch failed once, so that what it says next may miss what came before.
    lost: AtomicBool,
}

impl Tracker {
    /// Begins. `armed`: there are private pages already, which do not count as written.
    pub(super) fn new(region: &Region, wanted: Option<Tracking>, armed: bool) -> io::Result<Tracker> {
        let how = match wanted {
            None => register(region, armed).map(How::Watch).or_else(|_| pagemap()).unwrap_or(How::Compare),
            Some(Tracking::WriteProtect) => How::Watch(register(region, armed).map_err(unavailable)?),
            Some(Tracking::Pagemap) => pagemap().map_err(unavailable)?,
            Some(Tracking::Compare) => How::Compare,
        };
        Ok(Tracker { how, lost: AtomicBool::new(false) })
    }

    /// The watch, as long as it can be believed.
    fn watch(&self) -> Option<&Watch> {
        match &self.how {
            How::Watch(watch) if !self.lost.load(Relaxed) && watch.is_ours() => Some(watch),
            _ => None,
        }
    }

    pub(super) fn method(&self) -> Tracking {
        match &self.how {
            _ if self.watch().is_some() => Tracking::WriteProtect,
            How::Compare => Tracking::Compare,
            _ if pagemap().is_ok() => Tracking::Pagemap,
            _ => Tracking::Compare,
        }
    }

    /// Ranges of `region` among `bytes` that may have been written since they were armed last. With `arm` they are
    /// armed, where that means anything.
    pub(super) fn written(&self, region: &Region, bytes: Range<usize>, arm: bool) -> Vec<Range<usize>> {
        if let Some(watch) = self.watch() {
            match watch.written(region, bytes.clone(), arm) {
                Ok(written) => return written,
                Err(_) => self.lose(),
            }
        }
        let all = || std::iter::once(0..region.len()).collect();
        let mut found = match &self.how {
            How::Compare => all(),
            _ => private_pages(region, bytes.clone()).unwrap_or_else(|_| all()),
        };
        found.retain_mut(|range| {
            *range = range.start.max(bytes.start)..range.end.min(bytes.end);
            range.start < range.end
        });
        found
    }

    /// Pages just brought to a state that is known: from now on, what is written to them counts.
    pub(super) fn arm(&self, region: &Region, ranges: &[Range<usize>]) {
        /// More ranges than this are armed by one walk over all.
        const FEW: usize = 256;
        let Some(watch) = self.watch() else { return };
        let armed = match ranges.len() {
            0..=FEW => watch.arm(region, ranges),
            _ => watch.written(region, 0..region.len(), true).map(|_| ()),
        };
        if armed.is_err() {
            self.lose();
        }
    }

    /// Does not believe the watch any more.
    pub(super) fn lose(&self) {
        self.lost.store(true, Relaxed);
    }
}

fn register(region: &Region, armed: bool) -> io::Result<Arc<Watch>> {
    let watch = watch()?;
    watch.register(region)?;
    if armed {
        watch.written(region, 0..region.len(), true)?;
    }
    Ok(watch)
}

fn pagemap() -> io::Result<How> {
    let probe = Region::zeroed(1)?;
    private_pages(&probe, 0..1).map(|_| How::Pagemap)
}

fn unavailable(e: io::Error) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, format!("this way of tracking writes cannot be had here: {e}"))
}
