//! Tracking which pages of a view may have been written.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use crate::sys::region::Region;
use crate::sys::written::{Armed, WriteWatch, private_pages, used};

/// How a view tracks writes. The methods give the same answers at different cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tracking {
    /// The kernel notes writes since the last checkpoint (userfaultfd in its asynchronous write-protect mode, and the
    /// PAGEMAP_SCAN ioctl): Linux 6.7 and later, where containers do not forbid it. No privilege is needed. A
    /// checkpoint takes time for the pages that were read or written.
    WriteProtect,
    /// As [`Tracking::WriteProtect`], with all pages armed beforehand (3 ms per GiB, once): a checkpoint takes 0.5 ms
    /// per GiB, however many pages were read. By default a view begins with the former method, and changes to this one
    /// when it is worth it.
    WriteProtectAll,
    /// /proc/self/pagemap shows which pages are no longer the file's; these are compared with what was saved. Writing a
    /// page again after a checkpoint costs nothing extra; a checkpoint takes time for all pages that were ever written.
    Pagemap,
    /// All pages are compared: slow, and possible everywhere.
    Compare,
}

/// The one watch of this process, while any view uses it.
static WATCH: Mutex<Weak<WriteWatch>> = Mutex::new(Weak::new());

fn watch() -> io::Result<Arc<WriteWatch>> {
    // Without waiting: in a forked child, the thread that holds the lock may not exist.
    let Ok(mut kept) = WATCH.try_lock() else { return WriteWatch::new().map(Arc::new) };
    if let Some(watch) = kept.upgrade().filter(|watch| watch.is_ours()) {
        return Ok(watch);
    }
    let watch = Arc::new(WriteWatch::new()?);
    *kept = Arc::downgrade(&watch);
    Ok(watch)
}

#[derive(Debug)]
enum Mechanism {
    Watch(Arc<WriteWatch>),
    Pagemap,
    Compare,
}

/// All pages are armed after two scans in a row that took longer than this per GiB (of at least one). A scan takes 0.6
/// ms if little is mapped, and 0.5 ms if all pages are armed.
const SLOW: Duration = Duration::from_micros(1500);
/// The approximate time to arm one range.
const ONE_RANGE: Duration = Duration::from_nanos(400);

/// Tracks the writes to one region.
#[derive(Debug)]
pub(super) struct Tracker {
    how: Mechanism,
    /// The watch has failed, so that its later answers may miss earlier writes.
    lost: AtomicBool,
    /// All pages are armed.
    all: AtomicBool,
    /// It may begin to arm all pages.
    adapts: bool,
    /// Nanoseconds that the last scan of everything took, and the one before.
    last_scan: AtomicU64,
    scan_before: AtomicU64,
}

impl Tracker {
    /// Begins to track. `written`: there are already private pages, which do not count as written.
    pub(super) fn new(region: &Region, wanted: Option<Tracking>, written: bool) -> io::Result<Tracker> {
        let how = match wanted {
            None => register(region).map(Mechanism::Watch).or_else(|_| pagemap()).unwrap_or(Mechanism::Compare),
            Some(Tracking::WriteProtect | Tracking::WriteProtectAll) => {
                Mechanism::Watch(register(region).map_err(unavailable)?)
            }
            Some(Tracking::Pagemap) => pagemap().map_err(unavailable)?,
            Some(Tracking::Compare) => Mechanism::Compare,
        };
        let (lost, all) = (AtomicBool::new(false), AtomicBool::new(false));
        let (last_scan, scan_before) = (AtomicU64::new(0), AtomicU64::new(0));
        let tracker = Tracker { how, lost, all, adapts: wanted.is_none(), last_scan, scan_before };
        if wanted == Some(Tracking::WriteProtectAll) {
            tracker.arm_all(region);
        } else if written {
            tracker.written(region, 0..region.len(), true);
        }
        Ok(tracker)
    }

    /// The watch, while its answers are complete.
    fn watch(&self) -> Option<&WriteWatch> {
        match &self.how {
            Mechanism::Watch(watch) if !self.lost.load(Relaxed) && watch.is_ours() => Some(watch),
            _ => None,
        }
    }

    fn armed(&self) -> Armed {
        if self.all.load(Relaxed) { Armed::All } else { Armed::Private }
    }

    pub(super) fn method(&self) -> Tracking {
        match (&self.how, self.watch().map(|_| self.armed())) {
            (_, Some(Armed::Private)) => Tracking::WriteProtect,
            (_, Some(Armed::All)) => Tracking::WriteProtectAll,
            (Mechanism::Compare, None) => Tracking::Compare,
            (_, None) if pagemap().is_ok() => Tracking::Pagemap,
            (_, None) => Tracking::Compare,
        }
    }

    /// Returns the ranges within `bytes` of `region` that may have been written since they were armed last. With
    /// `again` they are armed again, where the method arms.
    pub(super) fn written(&self, region: &Region, bytes: Range<usize>, again: bool) -> Vec<Range<usize>> {
        if let Some(watch) = self.watch() {
            let (whole, before) = (bytes == (0..region.len()), used());
            match watch.written(region, bytes.clone(), self.armed(), again) {
                Ok(written) => {
                    if whole {
                        let took = used().saturating_sub(before).as_nanos() as u64;
                        self.scan_before.store(self.last_scan.swap(took, Relaxed), Relaxed);
                    }
                    if again && self.should_arm_all(region) {
                        self.arm_all(region);
                    }
                    return written;
                }
                Err(_) => self.lose(),
            }
        }
        let all = || std::iter::once(0..region.len()).collect();
        let mut found = match &self.how {
            Mechanism::Compare => all(),
            _ => private_pages(region, bytes.clone()).unwrap_or_else(|_| all()),
        };
        found.retain_mut(|range| {
            *range = range.start.max(bytes.start)..range.end.min(bytes.end);
            range.start < range.end
        });
        found
    }

    /// Arms pages whose bytes were just set to a known state: later writes to them count. All other pages are unchanged
    /// since they were armed last.
    pub(super) fn arm(&self, region: &Region, ranges: &[Range<usize>]) {
        let Some(watch) = self.watch() else { return };
        if self.should_arm_all(region) {
            return self.arm_all(region);
        }
        let walk = Duration::from_nanos(self.last_scan.load(Relaxed));
        let armed = if ONE_RANGE * u32::try_from(ranges.len()).unwrap_or(u32::MAX) < walk {
            watch.arm(region, ranges)
        } else {
            watch.written(region, 0..region.len(), self.armed(), true).map(|_| ())
        };
        if armed.is_err() {
            self.lose();
        }
    }

    fn should_arm_all(&self, region: &Region) -> bool {
        let limit = (SLOW.as_nanos() * (region.len() as u128).max(1 << 30)) >> 30;
        let took = self.last_scan.load(Relaxed).min(self.scan_before.load(Relaxed));
        self.adapts && !self.all.load(Relaxed) && u128::from(took) > limit
    }

    fn arm_all(&self, region: &Region) {
        let Some(watch) = self.watch() else { return };
        if region.is_empty() || watch.arm(region, std::slice::from_ref(&(0..region.len()))).is_ok() {
            self.all.store(true, Relaxed);
        } else {
            self.lose();
        }
    }

    /// Stops using the watch.
    pub(super) fn lose(&self) {
        self.lost.store(true, Relaxed);
    }
}

fn register(region: &Region) -> io::Result<Arc<WriteWatch>> {
    let watch = watch()?;
    watch.register(region)?;
    Ok(watch)
}

fn pagemap() -> io::Result<Mechanism> {
    let probe = Region::zeroed(1)?;
    private_pages(&probe, 0..1).map(|_| Mechanism::Pagemap)
}

fn unavailable(e: io::Error) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, format!("this method of tracking writes is not available here: {e}"))
}
