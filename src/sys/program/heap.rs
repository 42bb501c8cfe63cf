//! Memory that runs out. The standard library then ends the process by SIGABRT; a program that says what happened, and
//! exits as after any other error, says so here. Nothing is lost by it that a kill would not lose. A stack that
//! overflows ends in SIGABRT as well, and cannot be reported: its size is checked before anything is done.
#![allow(unsafe_code, reason = "an allocator is unsafe by its nature")]

use std::alloc::{GlobalAlloc, Layout, System};

use rustix::process::{Resource, getrlimit};

/// The exit code for trouble, as in memsnap(1).
const TROUBLE: libc::c_int = 2;
const SAID: &[u8] = b"memsnap: out of memory\n  hint: raise the limit (ulimit -v), or end other programs\n";

/// Bytes of stack that the program asks for (measured: with 96 KiB its command line is too much, with 128 every verb
/// works).
pub const STACK: u64 = 256 << 10;

/// Whether the main thread may use as much as [`STACK`]. All other threads have stacks of a size that is not limited.
pub fn stack_is_enough() -> bool {
    getrlimit(Resource::Stack).current.is_none_or(|limit| limit >= STACK)
}

/// The usual allocator, for a program: when it has nothing left, the process ends with an error, at once. A library
/// leaves that to the program that it is part of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heap;

/// Bytes that can be used without others having to be swapped out. None: the system does not say.
pub fn available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Allocates nothing.
fn or_end(got: *mut u8) -> *mut u8 {
    if got.is_null() {
        // SAFETY: the bytes are there for as long as the process is.
        unsafe { libc::write(2, SAID.as_ptr().cast(), SAID.len()) };
        // SAFETY: ends the process; nothing of it is used again.
        unsafe { libc::_exit(TROUBLE) }
    }
    got
}

// SAFETY: all of it is done by the system's allocator, with what we were given; no memory is got otherwise.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller promises what alloc asks for.
        or_end(unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller promises what alloc_zeroed asks for.
        or_end(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, len: usize) -> *mut u8 {
        // SAFETY: the caller promises what realloc asks for.
        or_end(unsafe { System.realloc(old, layout, len) })
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: the caller promises that it came from here, which is from the system's.
        unsafe { System.dealloc(old, layout) }
    }
}
