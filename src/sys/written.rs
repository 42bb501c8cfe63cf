//! Which pages of private memory were written, as the kernel reports it, without a signal, a thread or a change of
//! protection.
//!
//! [`WriteWatch`] registers memory with userfaultfd(2) in its asynchronous write-protect mode and queries it with the
//! PAGEMAP_SCAN ioctl (both Linux 6.7; Documentation/admin-guide/mm/{userfaultfd,pagemap}.rst). [`private_pages`] reads
//! bit 61 of /proc/self/pagemap, which every kernel has: what was written since the memory was mapped.
//!
//! Both may report too many pages (migration clears an armed bit now and then; the zero page, where memory was only
//! read), never too few.
#![cfg_attr(target_os = "linux", allow(unsafe_code, reason = "ioctls that have no safe wrapper"))]

use std::io;
use std::ops::Range;
use std::time::Duration;

use super::region::Region;

/// Pages of `region` that overlap `bytes` and are no longer those of the file, as ranges of bytes from its start:
/// ascending, disjoint. Takes time for all these pages, written or not.
///
/// # Errors
/// When /proc/self/pagemap may not be read, as in a process that is not dumpable.
pub(crate) fn private_pages(region: &Region, bytes: Range<usize>) -> io::Result<Vec<Range<usize>>> {
    imp::private_pages(region, bytes)
}

/// Which pages are armed when none has been written; all others show their first write by becoming private.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Armed {
    /// Those that are private. Needs no preparation; a scan checks every page that was read or written.
    Private,
    /// All. Costs 3 ms per GiB beforehand (24 where all is mapped) and page tables of 2 MiB; a scan then takes 0.5 ms
    /// per GiB, however many pages were read, instead of 5.
    All,
}

/// The kernel tracking writes to the memory of this process.
#[derive(Debug)]
pub(crate) struct WriteWatch {
    inner: imp::WriteWatch,
    /// The process that opened it: in a forked child it would act on the memory of the parent.
    epoch: u64,
}

impl WriteWatch {
    /// Opens it.
    ///
    /// # Errors
    /// When the kernel is older than 6.7, or forbids it.
    pub(crate) fn new() -> io::Result<WriteWatch> {
        let epoch = super::epoch::current().ok_or(io::ErrorKind::Unsupported)?;
        Ok(WriteWatch { inner: imp::WriteWatch::new()?, epoch })
    }

    /// Whether it tracks this process, and not the one that this was forked from.
    pub(crate) fn is_ours(&self) -> bool {
        super::epoch::current() == Some(self.epoch)
    }

    fn check(&self) -> io::Result<()> {
        if self.is_ours() {
            Ok(())
        } else {
            Err(io::Error::other("this process was forked from the one whose writes are tracked"))
        }
    }

    /// Begins to track `region`, until that is dropped.
    ///
    /// # Errors
    /// When the kernel cannot track memory of this kind.
    pub(crate) fn register(&self, region: &Region) -> io::Result<()> {
        self.check()?;
        self.inner.register(region)
    }

    /// Pages among `bytes` of `region` written since they were armed, as ranges of bytes from its start: ascending,
    /// disjoint. With `again` each is armed again, atomically with the check.
    ///
    /// # Errors
    /// As ioctl(2); some pages may have been armed then.
    pub(crate) fn written(
        &self,
        region: &Region,
        bytes: Range<usize>,
        armed: Armed,
        again: bool,
    ) -> io::Result<Vec<Range<usize>>> {
        self.check()?;
        must_be_inside(region, &bytes)?;
        self.inner.written(region, bytes, armed, again)
    }

    /// Arms pages, given as ranges of bytes.
    ///
    /// # Errors
    /// As ioctl(2).
    pub(crate) fn arm(&self, region: &Region, pages: &[Range<usize>]) -> io::Result<()> {
        self.check()?;
        pages.iter().try_for_each(|range| {
            must_be_inside(region, range)?;
            self.inner.arm(region, range)
        })
    }
}

/// Only pages of this region are armed or queried.
fn must_be_inside(region: &Region, bytes: &Range<usize>) -> io::Result<()> {
    if bytes.start <= bytes.end && bytes.end <= region.len() {
        return Ok(());
    }
    let what = format!("bytes {bytes:?} are not in memory of {} bytes", region.len());
    Err(io::Error::new(io::ErrorKind::InvalidInput, what))
}

/// The CPU time of this thread, which excludes what other threads use during a scan.
pub(crate) fn used() -> Duration {
    imp::used()
}

/// Adds a range after those that are there.
#[cfg(all(target_os = "linux", not(miri)))]
fn push(out: &mut Vec<Range<usize>>, range: Range<usize>) {
    match out.last_mut() {
        Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
        _ => out.push(range),
    }
}

#[cfg(all(target_os = "linux", not(miri)))]
mod imp {
    use super::{Armed, Duration, Range, Region, io, push};
    use std::ffi::c_void;
    use std::fs::File;
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::unix::fs::FileExt;

    use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, ioctl, opcode};
    use rustix::mm::{UserfaultfdFlags, userfaultfd};

    use crate::sys::region::system_page;

    const PAGEMAP: &str = "/proc/self/pagemap";

    // include/uapi/linux/userfaultfd.h
    const UFFD_API: u64 = 0xAA;
    const USER_MODE_ONLY: u32 = 1;
    const FEATURE_WP: u64 = 1 << 0;
    const FEATURE_WP_UNPOPULATED: u64 = 1 << 13;
    const FEATURE_WP_ASYNC: u64 = 1 << 15;
    const REGISTER_WP: u64 = 1 << 1;
    const WRITEPROTECT_WP: u64 = 1 << 0;
    // include/uapi/linux/fs.h
    const WP_MATCHING: u64 = 1 << 0;
    const CHECK_WPASYNC: u64 = 1 << 1;
    const IS_WRITTEN: u64 = 1 << 1;
    const IS_FILE: u64 = 1 << 2;
    const IS_PRESENT: u64 = 1 << 3;
    const IS_SWAPPED: u64 = 1 << 4;

    /// `struct uffdio_api`: api, features, ioctls.
    type Api = [u64; 3];
    /// `struct uffdio_register`: start, length, mode, ioctls.
    type Register = [u64; 4];
    /// `struct uffdio_writeprotect`: start, length, mode.
    type WriteProtect = [u64; 3];
    /// `struct page_region`: start, end, categories.
    type PageRegion = [u64; 3];

    /// `struct pm_scan_arg`.
    #[repr(C)]
    #[derive(Default)]
    struct Scan {
        size: u64,
        flags: u64,
        start: u64,
        end: u64,
        walk_end: u64,
        vec: u64,
        vec_len: u64,
        max_pages: u64,
        category_inverted: u64,
        category_mask: u64,
        category_anyof_mask: u64,
        return_mask: u64,
    }

    const UFFDIO_API: Opcode = opcode::read_write::<Api>(0xAA, 0x3F);
    const UFFDIO_REGISTER: Opcode = opcode::read_write::<Register>(0xAA, 0x00);
    const UFFDIO_WRITEPROTECT: Opcode = opcode::read_write::<WriteProtect>(0xAA, 0x06);
    const PAGEMAP_SCAN: Opcode = opcode::read_write::<Scan>(b'f', 16);

    /// Ranges that one call returns.
    const AT_ONCE: usize = 1024;

    /// An ioctl with a struct that the kernel reads and writes; returns its return value.
    struct Call<'a, T, const OPCODE: Opcode>(&'a mut T);

    // SAFETY: the opcodes above contain the size of their structs, and the kernel accesses nothing else; in
    // PAGEMAP_SCAN `vec` and `vec_len` also name a live buffer.
    unsafe impl<T, const OPCODE: Opcode> Ioctl for Call<'_, T, OPCODE> {
        type Output = usize;
        const IS_MUTATING: bool = true;

        fn opcode(&self) -> Opcode {
            OPCODE
        }

        fn as_ptr(&mut self) -> *mut c_void {
            std::ptr::from_mut(self.0).cast()
        }

        unsafe fn output_from_ptr(out: IoctlOutput, _: *mut c_void) -> rustix::io::Result<usize> {
            Ok(usize::try_from(out).unwrap_or(0))
        }
    }

    fn call<const OPCODE: Opcode, T>(fd: impl AsFd, argument: &mut T) -> io::Result<usize> {
        // SAFETY: see `Call`: the argument is the struct of this opcode, and lives through the call.
        Ok(unsafe { ioctl(fd, Call::<T, OPCODE>(argument)) }?)
    }

    #[derive(Debug)]
    pub(super) struct WriteWatch {
        uffd: OwnedFd,
        pagemap: File,
    }

    impl WriteWatch {
        pub(super) fn new() -> io::Result<WriteWatch> {
            let flags = UserfaultfdFlags::CLOEXEC | UserfaultfdFlags::NONBLOCK;
            let flags = flags | UserfaultfdFlags::from_bits_retain(USER_MODE_ONLY);
            // SAFETY: a new descriptor; in asynchronous mode no fault waits for us.
            let uffd = unsafe { userfaultfd(flags) }?;
            let wanted = FEATURE_WP | FEATURE_WP_UNPOPULATED | FEATURE_WP_ASYNC;
            call::<UFFDIO_API, Api>(&uffd, &mut [UFFD_API, wanted, 0])?;
            Ok(WriteWatch { uffd, pagemap: File::open(PAGEMAP)? })
        }

        pub(super) fn register(&self, region: &Region) -> io::Result<()> {
            if region.is_empty() {
                return Ok(());
            }
            let len = region.len().next_multiple_of(system_page());
            let mut argument = [region.as_ptr() as u64, len as u64, REGISTER_WP, 0];
            call::<UFFDIO_REGISTER, Register>(&self.uffd, &mut argument)?;
            // Also checks that the scan is available.
            self.written(region, 0..region.len().min(1), Armed::Private, false).map(|_| ())
        }

        pub(super) fn arm(&self, region: &Region, range: &Range<usize>) -> io::Result<()> {
            let start = region.as_ptr() as usize + range.start;
            let len = range.len().next_multiple_of(system_page());
            let mut argument = [start as u64, len as u64, WRITEPROTECT_WP];
            loop {
                match call::<UFFDIO_WRITEPROTECT, WriteProtect>(&self.uffd, &mut argument) {
                    // Another thread is changing the memory map.
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                    done => return done.map(|_| ()),
                }
            }
        }

        pub(super) fn written(
            &self,
            region: &Region,
            bytes: Range<usize>,
            armed: Armed,
            again: bool,
        ) -> io::Result<Vec<Range<usize>>> {
            let page = system_page();
            let base = region.as_ptr() as usize;
            let mut out = Vec::new();
            if bytes.is_empty() {
                return Ok(out);
            }
            let mut found: Vec<PageRegion> = vec![[0; 3]; AT_ONCE];
            let mut start = base + bytes.start / page * page;
            let end = base + bytes.end.next_multiple_of(page);
            while start < end {
                let mut scan = Scan {
                    size: size_of::<Scan>() as u64,
                    flags: CHECK_WPASYNC | if again { WP_MATCHING } else { 0 },
                    start: start as u64,
                    end: end as u64,
                    vec: found.as_mut_ptr() as u64,
                    vec_len: AT_ONCE as u64,
                    category_mask: IS_WRITTEN,
                    return_mask: IS_WRITTEN,
                    ..Scan::default()
                };
                if armed == Armed::Private {
                    // Only those that are private (not of the file), present or swapped out. Without this condition the
                    // kernel checks the entry only, not the page. The zero page counts: if it was not only read, KSM
                    // has replaced a page that was written by it.
                    scan.category_inverted = IS_FILE;
                    scan.category_mask |= IS_FILE;
                    scan.category_anyof_mask = IS_PRESENT | IS_SWAPPED;
                }
                let n = match call::<PAGEMAP_SCAN, Scan>(&self.pagemap, &mut scan) {
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => 0,
                    answer => answer?,
                };
                for [from, to, _] in &found[..n] {
                    push(&mut out, *from as usize - base..*to as usize - base);
                }
                // After a complete walk, `walk_end` may be where its buffer was last emptied, and not its end: it
                // counts only if the answer may be incomplete.
                start = match found[..n].last() {
                    Some([_, to, _]) if n == AT_ONCE => (scan.walk_end as usize).max(*to as usize),
                    _ if scan.walk_end == 0 => start,
                    _ => end,
                };
            }
            Ok(out)
        }
    }

    pub(super) fn used() -> Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::try_from(now).unwrap_or_default()
    }

    /// Bytes of one entry of the pagemap.
    const ENTRY: usize = 8;
    const PRESENT: u64 = 1 << 63;
    const SWAPPED: u64 = 1 << 62;
    const FILE_OR_SHARED: u64 = 1 << 61;

    pub(super) fn private_pages(region: &Region, bytes: Range<usize>) -> io::Result<Vec<Range<usize>>> {
        let mut out = Vec::new();
        if bytes.is_empty() {
            return Ok(out);
        }
        let page = system_page();
        let pagemap = File::open(PAGEMAP)?;
        let first = region.as_ptr() as usize / page;
        let pages = bytes.end.min(region.len()).div_ceil(page);
        let mut at = bytes.start / page;
        let mut entries = vec![0; (1 << 16).min(pages.saturating_sub(at) * ENTRY)];
        while at < pages {
            let n = entries.len().min((pages - at) * ENTRY);
            pagemap.read_exact_at(&mut entries[..n], ((first + at) * ENTRY) as u64)?;
            for (i, entry) in entries[..n].chunks_exact(ENTRY).enumerate() {
                #[allow(clippy::host_endian_bytes, reason = "the kernel writes them in native order")]
                let entry = u64::from_ne_bytes(entry.try_into().expect("eight bytes"));
                if entry & (PRESENT | SWAPPED) != 0 && entry & FILE_OR_SHARED == 0 {
                    push(&mut out, (at + i) * page..(at + i + 1) * page);
                }
            }
            at += n / ENTRY;
        }
        Ok(out)
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod imp {
    use super::{Armed, Duration, Range, Region, io};

    #[derive(Debug)]
    pub(super) struct WriteWatch;

    impl WriteWatch {
        pub(super) fn new() -> io::Result<WriteWatch> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(super) fn register(&self, _: &Region) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(super) fn arm(&self, _: &Region, _: &Range<usize>) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(super) fn written(&self, _: &Region, _: Range<usize>, _: Armed, _: bool) -> io::Result<Vec<Range<usize>>> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    pub(super) fn used() -> Duration {
        Duration::ZERO
    }

    pub(super) fn private_pages(_: &Region, _: Range<usize>) -> io::Result<Vec<Range<usize>>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(all(test, target_os = "linux", not(miri)))]
#[path = "written_test.rs"]
mod tests;
