//! Running out of memory. The standard library then ends the process by SIGABRT; this allocator reports it and exits as
//! after any other error. Nothing is lost that a kill would not lose. A stack overflow ends in SIGABRT as well, and
//! cannot be reported: the limit on the stack is checked at the start.
#![allow(unsafe_code, reason = "an allocator is unsafe by its nature")]

use std::alloc::{GlobalAlloc, Layout, System};

use rustix::process::{Resource, getrlimit};

/// The exit code of errors, as in memsnap(1).
const TROUBLE: libc::c_int = 2;
const MESSAGE: &[u8] = b"memsnap: out of memory\n  hint: raise the limit (ulimit -v), or end other programs\n";

/// Bytes of stack that the program requires (measured: with 96 KiB parsing the command line overflows it, with 128
/// every verb works).
pub const STACK: u64 = 256 << 10;

/// Whether the main thread may use [`STACK`] bytes. The limit does not apply to other threads.
pub fn stack_is_enough() -> bool {
    getrlimit(Resource::Stack).current.is_none_or(|limit| limit >= STACK)
}

/// The system's allocator, for a program: when no memory is left, the process exits immediately with an error.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heap;

/// Bytes that can be allocated without swapping. None: the system does not report it.
pub fn available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Exits if nothing was allocated. Allocates nothing.
fn or_end(got: *mut u8) -> *mut u8 {
    if got.is_null() {
        // SAFETY: the bytes are static.
        unsafe { libc::write(2, MESSAGE.as_ptr().cast(), MESSAGE.len()) };
        // SAFETY: ends the process.
        unsafe { libc::_exit(TROUBLE) }
    }
    got
}

// SAFETY: all calls are forwarded to the system's allocator as they are.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller guarantees.
        or_end(unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller guarantees.
        or_end(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, len: usize) -> *mut u8 {
        // SAFETY: as the caller guarantees.
        or_end(unsafe { System.realloc(old, layout, len) })
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: as the caller guarantees.
        unsafe { System.dealloc(old, layout) }
    }
}
