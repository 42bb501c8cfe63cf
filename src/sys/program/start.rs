//! What the runtime of Rust changes before `main`, so that it can be restored for commands that are run: std opens
//! /dev/null where descriptor 0, 1 or 2 is closed, and ignores SIGPIPE (std::rt, `init`).
#![allow(unsafe_code, reason = "runs before main; plain system calls between fork and exec")]

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use libc::c_int;

/// Bits 0 to 2: the descriptor was closed. Bits 3 and 4: the signal was ignored.
static WAS: AtomicU8 = AtomicU8::new(0);
/// The signals whose actions std and memsnap change.
const SIGNALS: [c_int; 2] = [libc::SIGPIPE, libc::SIGXFSZ];

/// The loader calls the functions in this section before the runtime starts (System V ABI, gABI 4.1, chapter 5,
/// "Initialization and Termination Functions"). Miri has no sigaction(2).
#[cfg(all(target_os = "linux", not(miri)))]
#[used]
#[unsafe(link_section = ".init_array")]
static NOTE: extern "C" fn() = note;

#[cfg(all(target_os = "linux", not(miri)))]
extern "C" fn note() {
    let mut was = 0;
    for fd in 0..3 {
        // SAFETY: F_GETFD takes a number and reads no memory.
        was |= u8::from(unsafe { libc::fcntl(fd, libc::F_GETFD) } == -1) << fd;
    }
    for (bit, number) in SIGNALS.into_iter().enumerate() {
        was |= u8::from(super::signal::action_of(number).sa_sigaction == libc::SIG_IGN) << (3 + bit);
    }
    WAS.store(was, Relaxed);
}

/// Whether this descriptor was closed, so that it is now /dev/null, opened by the runtime.
pub(super) fn was_closed(fd: c_int) -> bool {
    (0..3).contains(&fd) && WAS.load(Relaxed) & (1 << fd) != 0
}

/// Restores for a command which descriptors were closed and which signals ignored. Allocates nothing, and may be called
/// between fork and exec.
pub(super) fn restore() {
    for fd in (0..3).filter(|fd| was_closed(*fd)) {
        // Not closed here: if exec fails in this process, std uses these numbers again. SAFETY: F_SETFD takes numbers
        // only. The process that started this one had it closed.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    for (bit, number) in SIGNALS.into_iter().enumerate() {
        let action = if WAS.load(Relaxed) & (1 << (3 + bit)) != 0 { libc::SIG_IGN } else { libc::SIG_DFL };
        // SAFETY: signal(2) is async-signal-safe, and these two actions need no handler.
        unsafe { libc::signal(number, action) };
    }
}
