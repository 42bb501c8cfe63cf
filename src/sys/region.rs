//! Private memory into which files can be mapped. Writes go to copies of the pages (MAP_PRIVATE), never to a file.
//!
//! Only files that cannot change are mapped ([`Sealed`]), as the language allows no change of memory behind a `&[u8]`.
//! The invariants of [`Region`]: all its bytes are mapped, readable, writable and initialised; the mapping is its own
//! and private; `&Region` only reads, `&mut Region` writes. The one method that can break them, `protect`, is `unsafe`.
#![allow(unsafe_code, reason = "mappings, and slices of them")]

use std::io;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::sealed::Sealed;

/// The allowed access to a range of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access(u8);

impl Access {
    /// Every access faults.
    pub const NONE: Access = Access(0);
    /// Reading.
    pub const READ: Access = Access(1);
    /// Reading and writing.
    pub const WRITE: Access = Access(3);
    /// Executing, and reading: no common processor can execute what it may not read.
    pub const EXEC: Access = Access(5);

    /// Whether it allows all that `other` allows.
    pub(crate) fn allows(self, other: Access) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::ops::BitOr for Access {
    type Output = Access;

    fn bitor(self, other: Access) -> Access {
        Access(self.0 | other.0)
    }
}

/// The page size of the system, the unit of mapping.
pub(crate) fn system_page() -> usize {
    imp::page_size()
}

/// The default limit on the mappings of a process (vm.max_map_count).
const MAPPINGS: usize = 65_530;
/// Number of files mapped in all regions of this process.
static LAID: AtomicUsize = AtomicUsize::new(0);

/// How many files may be mapped in all regions together: three quarters of the mappings that a process may have.
/// Allocating memory needs mappings too.
pub(crate) fn most_laid() -> usize {
    static MOST: OnceLock<usize> = OnceLock::new();
    *MOST.get_or_init(|| imp::most_mappings().unwrap_or(MAPPINGS) / 4 * 3)
}

/// A range of private memory; unmapped when dropped.
pub(crate) struct Region {
    start: NonNull<u8>,
    /// The length in bytes. The mapping continues to the end of the last page.
    len: usize,
    /// Number of files mapped in it.
    laid: usize,
}

// SAFETY: only the `Region` owns the memory, which is not bound to a thread.
unsafe impl Send for Region {}
// SAFETY: through `&Region` bytes are only read.
unsafe impl Sync for Region {}

impl Region {
    /// `len` bytes of zeros (possibly none), each page of which takes memory when it is written.
    ///
    /// # Errors
    /// When there are not so many addresses.
    pub(crate) fn zeroed(len: usize) -> io::Result<Region> {
        if len == 0 {
            return Ok(Region::empty());
        }
        let mapped = len.checked_next_multiple_of(system_page()).filter(|n| isize::try_from(*n).is_ok());
        let start = match mapped {
            Some(mapped) => imp::reserve(mapped),
            None => Err(io::ErrorKind::OutOfMemory.into()),
        };
        let start = start.map_err(|e| io::Error::new(e.kind(), format!("reserving {len} bytes of memory: {e}")))?;
        Ok(Region { start, len, laid: 0 })
    }

    /// No bytes.
    pub(crate) fn empty() -> Region {
        Region { start: NonNull::dangling(), len: 0, laid: 0 }
    }

    /// Requests pages of 2 MiB where available: for memory that is filled as a whole.
    pub(crate) fn prefer_huge(&self) {
        if self.len > 0 {
            imp::huge(self.start, self.mapped());
        }
    }

    /// Length of the mapping.
    fn mapped(&self) -> usize {
        self.len.next_multiple_of(system_page())
    }

    /// Number of bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no byte.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Maps `len` bytes of `file`, from `offset` on, over those from `at` on. `at` and `offset` are multiples of the
    /// page size; if `len` is not, the last page continues with what the file holds there, then with zeros. If
    /// [`most_laid`] files are mapped already, the bytes are copied. Returns whether they were mapped.
    ///
    /// # Errors
    /// When the file does not have these bytes, they do not fit, or as mmap(2).
    pub(crate) fn lay(&mut self, at: usize, file: &Sealed, offset: u64, len: usize) -> io::Result<bool> {
        let page = system_page();
        let aligned = at.is_multiple_of(page) && offset.is_multiple_of(page as u64);
        let fits = at.checked_add(len).is_some_and(|end| end <= self.len);
        let there = offset.checked_add(len as u64).is_some_and(|end| end <= file.len());
        if !(aligned && fits && there) {
            let what = format!("{len} bytes from offset {offset} of a file of {} do not fit at {at}", file.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        if len == 0 {
            return Ok(true);
        }
        if LAID.load(Relaxed) >= most_laid() {
            file.read_exact_at(&mut self.as_mut_slice()[at..at + len], offset)?;
            return Ok(false);
        }
        // SAFETY: `at` is within the mapping, as checked.
        let start = unsafe { self.start.add(at) };
        // SAFETY: whole pages of a live mapping of ours that nothing borrows (`&mut self`), and a file that is long
        // enough (checked) and does not change (`Sealed`).
        unsafe { imp::lay(start, len, file, offset) }
            .map_err(|e| io::Error::new(e.kind(), format!("mapping {len} bytes of a file: {e}")))?;
        self.laid += 1;
        LAID.fetch_add(1, Relaxed);
        Ok(true)
    }

    /// All bytes.
    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        // SAFETY: the memory is mapped, readable (`protect` is unsafe) and initialised (zeros or a file) for `len`
        // bytes, at most isize::MAX, while `self` lives; it does not change while it is borrowed.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    /// All bytes, to be written.
    #[inline]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as in `as_slice`; it is also writable, and borrowed only here.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }

    /// Where it begins. Page-aligned, unless it is empty.
    pub(crate) fn as_ptr(&self) -> *const u8 {
        self.start.as_ptr()
    }

    /// Where it begins.
    pub(crate) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Makes it read-only; where the system supports it, a stray write through a pointer faults from now on.
    pub(crate) fn freeze(self) -> Frozen {
        if self.len > 0 {
            // SAFETY: the mapping is ours, and nothing writes from now on, as `Frozen` only returns `&[u8]`. If it
            // fails, the memory stays as it is.
            let _ = unsafe { imp::protect(self.start, self.mapped(), Access::READ) };
        }
        Frozen(self)
    }

    /// Allows reading and writing of all bytes.
    ///
    /// # Errors
    /// As mprotect(2).
    pub(crate) fn unprotect(&mut self) -> io::Result<()> {
        if self.len == 0 {
            return Ok(());
        }
        // SAFETY: the mapping is ours; all slices of it expect reading and writing.
        unsafe { imp::protect(self.start, self.mapped(), Access::WRITE) }
            .map_err(|e| io::Error::new(e.kind(), format!("restoring the access to memory: {e}")))
    }

    /// Sets the allowed access to `len` bytes from `at` on; both are multiples of the page size, but `len` may also
    /// reach to the end of the region.
    ///
    /// # Errors
    /// When the range is not whole pages of this region, or as mprotect(2).
    ///
    /// # Safety
    /// Until [`Access::WRITE`] is set again, no slice of this region may be used in a way that `access` does not allow;
    /// the compiler may read a byte of a slice before the program does.
    pub(crate) unsafe fn protect(&mut self, at: usize, len: usize, access: Access) -> io::Result<()> {
        let page = system_page();
        let end = at.checked_add(len).filter(|end| *end <= self.len);
        let whole = at.is_multiple_of(page) && end.is_some_and(|end| end.is_multiple_of(page) || end == self.len);
        if !whole {
            let what = format!("bytes {at}..{} are no pages of this memory", at.saturating_add(len));
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        if len == 0 {
            return Ok(());
        }
        // SAFETY: within the mapping, as checked.
        let start = unsafe { self.start.add(at) };
        // SAFETY: whole pages of a mapping of ours; the caller answers for the access.
        unsafe { imp::protect(start, len.next_multiple_of(page), access) }
            .map_err(|e| io::Error::new(e.kind(), format!("protecting {len} bytes of memory: {e}")))
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        LAID.fetch_sub(self.laid, Relaxed);
        if self.len > 0 {
            // SAFETY: `reserve` made the mapping with this start and length, and nothing can borrow it any more.
            unsafe { imp::release(self.start, self.mapped()) };
        }
    }
}

impl std::fmt::Debug for Region {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Region({} bytes at {:p})", self.len, self.start)
    }
}

/// A region that is read-only.
#[derive(Debug)]
pub(crate) struct Frozen(Region);

impl Frozen {
    /// All bytes.
    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.0.as_slice()
    }
}

#[cfg(all(unix, not(miri)))]
mod imp {
    use super::{Access, Sealed};
    use std::io;
    use std::ptr::{NonNull, null_mut};

    use rustix::mm::{self, MapFlags, MprotectFlags, ProtFlags};

    use crate::sys::mapped_window::NORESERVE;

    pub(super) fn page_size() -> usize {
        rustix::param::page_size()
    }

    pub(super) fn most_mappings() -> Option<usize> {
        std::fs::read_to_string("/proc/sys/vm/max_map_count").ok()?.trim().parse().ok()
    }

    pub(super) fn reserve(len: usize) -> io::Result<NonNull<u8>> {
        let flags = MapFlags::PRIVATE | NORESERVE;
        // SAFETY: mmap(2) at an address that the kernel chooses touches no other memory.
        let start = unsafe { mm::mmap_anonymous(null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, flags) }?;
        // A write must copy one page, and be tracked as one: no huge pages here. It does not matter if this fails.
        #[cfg(target_os = "linux")]
        // SAFETY: the advice changes how our new mapping is backed, not what it holds.
        let _ = unsafe { mm::madvise(start, len, mm::Advice::LinuxNoHugepage) };
        NonNull::new(start.cast()).ok_or_else(|| io::Error::other("the system mapped the zero page"))
    }

    pub(super) fn huge(start: NonNull<u8>, len: usize) {
        #[cfg(target_os = "linux")]
        // SAFETY: the advice changes how the caller's mapping is backed, not what it holds.
        let _ = unsafe { mm::madvise(start.as_ptr().cast(), len, mm::Advice::LinuxHugepage) };
        #[cfg(not(target_os = "linux"))]
        let _ = (start, len);
    }

    /// # Safety
    /// Whole pages of a mapping of the caller that nothing borrows; `file` has the bytes.
    pub(super) unsafe fn lay(start: NonNull<u8>, len: usize, file: &Sealed, offset: u64) -> io::Result<()> {
        let flags = MapFlags::PRIVATE | MapFlags::FIXED | NORESERVE;
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: with MAP_FIXED mmap(2) replaces what is mapped there, which belongs to the caller.
        unsafe { mm::mmap(start.as_ptr().cast(), len, prot, flags, file.file(), offset) }?;
        Ok(())
    }

    /// # Safety
    /// Whole pages of a mapping of the caller, who answers for the access.
    pub(super) unsafe fn protect(start: NonNull<u8>, len: usize, access: Access) -> io::Result<()> {
        let mut flags = MprotectFlags::empty();
        flags.set(MprotectFlags::READ, access.allows(Access::READ));
        flags.set(MprotectFlags::WRITE, access.allows(Access::WRITE));
        flags.set(MprotectFlags::EXEC, access.allows(Access::EXEC));
        // SAFETY: mprotect(2) changes no bytes; the caller answers for the rest.
        Ok(unsafe { mm::mprotect(start.as_ptr().cast(), len, flags) }?)
    }

    /// # Safety
    /// A mapping of the caller, of exactly this start and length, that nothing borrows.
    pub(super) unsafe fn release(start: NonNull<u8>, len: usize) {
        // SAFETY: as above. It fails only for an address that is not of a page.
        let _ = unsafe { mm::munmap(start.as_ptr().cast(), len) };
    }
}

/// Heap memory into which files are read. Miri has no mappings; on Windows none can be put over a part of another.
#[cfg(any(windows, miri))]
mod imp {
    use super::{Access, Sealed};
    use std::alloc::{Layout, alloc_zeroed, dealloc};
    use std::io;
    use std::ptr::NonNull;

    pub(super) fn page_size() -> usize {
        4096
    }

    pub(super) fn most_mappings() -> Option<usize> {
        None
    }

    fn layout(len: usize) -> Layout {
        Layout::from_size_align(len, page_size()).expect("a length that the caller checked")
    }

    pub(super) fn reserve(len: usize) -> io::Result<NonNull<u8>> {
        // SAFETY: the layout is not of size zero.
        let start = unsafe { alloc_zeroed(layout(len)) };
        NonNull::new(start).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }

    pub(super) fn huge(_start: NonNull<u8>, _len: usize) {}

    pub(super) unsafe fn lay(start: NonNull<u8>, len: usize, file: &Sealed, offset: u64) -> io::Result<()> {
        // SAFETY: memory of the caller that nothing borrows, initialised when it was reserved.
        let bytes = unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), len) };
        file.read_exact_at(bytes, offset)
    }

    pub(super) unsafe fn protect(_start: NonNull<u8>, _len: usize, access: Access) -> io::Result<()> {
        if cfg!(miri) || access == Access::WRITE { Ok(()) } else { Err(io::ErrorKind::Unsupported.into()) }
    }

    pub(super) unsafe fn release(start: NonNull<u8>, len: usize) {
        // SAFETY: allocated by `reserve` with this layout.
        unsafe { dealloc(start.as_ptr(), layout(len)) };
    }
}
