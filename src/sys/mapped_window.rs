//! Read windows of a file that others may write to, and the guard that makes a shrinking file an error.
//!
//! Reading a mapped page past the end of its file raises SIGBUS, which kills. The guard is a handler for it: every
//! window is in a table; when a fault is inside of one, the handler maps zero pages over the rest of that window and
//! marks the window; the read continues to its end, and `MappedWindow::with` then discards its result. Only a program
//! installs it (`program::guard`), as a library must not install signal handlers.
//!
//! Others may write to the file, so its bytes are no ordinary `&[u8]`. `MappedWindow` is private to the crate: the
//! scan, its only user, copies what it keeps before other code sees it (`MappedWindow::with` has the contract).
#![allow(unsafe_code, reason = "slices of mapped memory, and zeros mapped over it")]

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use rustix::mm::MapFlags;
#[cfg(feature = "program")]
use rustix::mm::ProtFlags;

/// No swap space is reserved for a mapping. FreeBSD never reserves any.
#[cfg(not(target_os = "freebsd"))]
pub(super) const NORESERVE: MapFlags = MapFlags::NORESERVE;
#[cfg(target_os = "freebsd")]
pub(super) const NORESERVE: MapFlags = MapFlags::empty();

/// Windows that exist at one time, in all threads.
const SLOTS: usize = 64;

/// One window in the table. `version` is odd while the slot is free or being filled, so that the handler, which cannot
/// wait for another thread, never combines the start of one window with the end of another.
struct Slot {
    taken: AtomicBool,
    version: AtomicUsize,
    start: AtomicUsize,
    end: AtomicUsize,
    hit: AtomicBool,
}

static TABLE: [Slot; SLOTS] = [const {
    Slot {
        taken: AtomicBool::new(false),
        version: AtomicUsize::new(1),
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        hit: AtomicBool::new(false),
    }
}; SLOTS];

/// Whether the guard is installed: without it nothing is mapped.
pub(super) static GUARDED: AtomicBool = AtomicBool::new(false);

impl Slot {
    fn claim(start: usize, end: usize) -> Option<&'static Slot> {
        let free = |slot: &&Slot| slot.taken.compare_exchange(false, true, SeqCst, SeqCst).is_ok();
        let slot = TABLE.iter().find(free)?;
        slot.start.store(start, SeqCst);
        slot.end.store(end, SeqCst);
        slot.hit.store(false, SeqCst);
        slot.version.fetch_add(1, SeqCst);
        Some(slot)
    }

    fn free(&self) {
        self.version.fetch_add(1, SeqCst);
        self.taken.store(false, SeqCst);
    }

    /// The end of this window if `addr` is inside.
    #[cfg(feature = "program")]
    fn end_if_inside(&self, addr: usize) -> Option<usize> {
        let version = self.version.load(SeqCst);
        let (start, end) = (self.start.load(SeqCst), self.end.load(SeqCst));
        let consistent = version.is_multiple_of(2) && self.version.load(SeqCst) == version;
        (consistent && start <= addr && addr < end).then_some(end)
    }
}

/// As [`GUARDED`].
pub(crate) fn is_guarded() -> bool {
    GUARDED.load(SeqCst)
}

/// Maps zero pages over the window that `addr` is in, from that page on; false when there is no such window. May be
/// called in a signal handler. `page` is the page size.
#[cfg(feature = "program")]
pub(super) fn cover(addr: usize, page: usize) -> bool {
    let Some((slot, end)) = TABLE.iter().find_map(|slot| Some((slot, slot.end_if_inside(addr)?))) else {
        return false;
    };
    // Marked before the zeros are visible: another thread may be finishing its read of them now.
    slot.hit.store(true, SeqCst);
    let start = addr - addr % page;
    let (ptr, len) = (std::ptr::without_provenance_mut(start), end.next_multiple_of(page) - start);
    let flags = MapFlags::PRIVATE | MapFlags::FIXED | NORESERVE;
    // SAFETY: mmap(2) with MAP_FIXED replaces what is mapped there: whole pages of a live window of ours, as the thread
    // that faulted reads it through a `MappedWindow` that unregisters before it unmaps. All of them stay readable, and
    // their contents were arbitrary before as well. rustix makes the system call itself: errno is left alone.
    unsafe { rustix::mm::mmap_anonymous(ptr, len, ProtFlags::READ, flags) }.is_ok()
}

/// A range of a file, mapped for reading, under the guard.
pub(crate) struct MappedWindow {
    map: memmap2::MmapRaw,
    slot: &'static Slot,
}

impl MappedWindow {
    /// Maps `len` bytes at `off`, which is a multiple of the page size. `MappedWindow::with` finds out if they reach
    /// past the end of the file.
    ///
    /// # Errors
    /// As mmap(2); `Unsupported` without the guard, `WouldBlock` when 64 windows exist: read with `pread` then.
    pub(crate) fn map(file: &File, off: u64, len: usize) -> io::Result<MappedWindow> {
        if !is_guarded() {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "windows need the guard against SIGBUS"));
        }
        if len == 0 || !off.is_multiple_of(rustix::param::page_size() as u64) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a window is whole pages"));
        }
        let map = memmap2::MmapOptions::new().offset(off).len(len).map_raw_read_only(file)?;
        let start = map.as_ptr() as usize;
        let too_many = || io::Error::new(io::ErrorKind::WouldBlock, "too many windows at one time");
        let slot = Slot::claim(start, start + len).ok_or_else(too_many)?;
        Ok(MappedWindow { map, slot })
    }

    /// Runs `f` over the bytes, and returns its result if all of them could be read.
    ///
    /// # Contract
    /// Another process may write to the file while `f` runs, and the language allows no change of memory behind a
    /// `&[u8]`. No Rust code that reads such memory is free of that risk; these rules keep it harmless: `f` only
    /// hashes, compares or copies, with lengths and indexes that do not depend on what it reads, makes no other type of
    /// the bytes (`str`, enum), and reads a byte once or tolerates two values. Its result is then that of some mixture
    /// of old and new bytes, as with read(2). What is to be stored is copied first and hashed from the copy.
    ///
    /// # Errors
    /// `UnexpectedEof` when a page could not be read: the file shrank, or (as its length shows) the disk failed. The
    /// window cannot be used any more.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&[u8]) -> R) -> io::Result<R> {
        let (start, len) = (self.map.as_ptr(), self.map.len());
        // SAFETY: the map is not null, aligned for bytes, and readable for `len` (at most isize::MAX, as memmap2
        // checks) while `self` lives, also past the end of the file, by the guard. All bit patterns are bytes. That no
        // process changes it meanwhile cannot be guaranteed: see the contract above.
        let bytes = unsafe { std::slice::from_raw_parts(start, len) };
        let result = f(bytes);
        if self.slot.hit.load(SeqCst) {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file shrank, or a page could not be read"));
        }
        Ok(result)
    }
}

impl Drop for MappedWindow {
    fn drop(&mut self) {
        self.slot.free(); // before the field `map` is unmapped
    }
}

impl std::fmt::Debug for MappedWindow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MappedWindow").field("map", &self.map).finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "program"))]
mod tests {
    use super::*;
    use crate::sys::program::guard;
    use std::os::unix::fs::FileExt;
    use std::os::unix::process::ExitStatusExt;

    const MIB: usize = 1 << 20;

    fn filled() -> File {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&vec![5; MIB], 0).unwrap();
        file
    }

    fn sum(bytes: &[u8]) -> u64 {
        bytes.iter().map(|b| u64::from(*b)).sum()
    }

    #[test]
    fn a_shrinking_file_is_an_error() {
        guard::install();
        let file = filled();
        let window = MappedWindow::map(&file, 0, MIB).unwrap();
        assert_eq!(window.with(sum).unwrap(), 5 << 20);
        file.set_len(10_000).unwrap();
        assert_eq!(window.with(sum).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        file.set_len(0).unwrap();
        assert!(window.with(sum).is_err());
        drop(window);
        file.write_all_at(&vec![6; MIB], 0).unwrap();
        let again = MappedWindow::map(&file, 4096, MIB - 4096).unwrap();
        assert_eq!(again.with(sum).unwrap(), 6 * (MIB as u64 - 4096));
    }

    #[test]
    fn cut_and_grown_while_threads_read() {
        guard::install();
        let file = filled();
        let readers = || {
            for _ in 0..200 {
                let window = MappedWindow::map(&file, 0, MIB).unwrap();
                if let Ok(sum) = window.with(|b| sum(&b[..4096]) + sum(&b[MIB - 4096..])) {
                    assert!(sum <= 5 * 8192);
                }
            }
        };
        std::thread::scope(|s| {
            let threads = [s.spawn(readers), s.spawn(readers)];
            while threads.iter().any(|t| !t.is_finished()) {
                file.set_len(0).unwrap();
                file.set_len(MIB as u64).unwrap();
            }
        });
    }

    /// In a process of its own, as others map meanwhile.
    #[test]
    fn the_table_has_an_end() {
        if std::env::var_os(CHILD).is_none() {
            assert!(in_child("the_table_has_an_end", "table").success());
            return;
        }
        guard::install();
        let file = filled();
        let mut windows = Vec::new();
        let error = loop {
            match MappedWindow::map(&file, 0, MIB) {
                Ok(window) => windows.push(window),
                Err(e) => break e,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(windows.len() <= SLOTS);
        assert_eq!(MappedWindow::map(&file, 1, 4096).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(MappedWindow::map(&file, 0, 0).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    const CHILD: &str = "MEMSNAP_TEST_MAP";

    fn in_child(test: &str, how: &str) -> std::process::ExitStatus {
        std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("sys::mapped_window::tests::{test}")])
            .env(CHILD, how)
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap()
    }

    /// A fault outside of all windows, and a SIGBUS from another process, must still kill; each in a process of its
    /// own.
    #[test]
    fn what_is_not_ours_still_kills() {
        match std::env::var(CHILD).as_deref() {
            Ok("sent") => {
                guard::install();
                rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::BUS).unwrap();
                return;
            }
            Ok(_) => {
                guard::install();
                let file = filled();
                let map = memmap2::MmapOptions::new().len(MIB).map_raw_read_only(&file).unwrap();
                file.set_len(0).unwrap();
                // SAFETY: mapped and readable, as far as the language knows; it is meant to fault.
                unsafe { map.as_ptr().read_volatile() };
                return;
            }
            Err(_) => {}
        }
        for how in ["sent", "fault"] {
            let status = in_child("what_is_not_ours_still_kills", how);
            assert_eq!(status.signal(), Some(libc::SIGBUS), "{how}: {status}");
        }
    }
}
