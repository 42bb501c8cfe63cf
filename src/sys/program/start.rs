//! How this process was started: what the runtime of Rust changes before `main`, so that commands run by us find it as
//! it was. (std opens /dev/null where descriptor 0, 1 or 2 is closed, and ignores SIGPIPE: std::rt, `init`.)
#![allow(unsafe_code, reason = "runs before main; plain system calls between fork and exec")]

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use libc::c_int;

/// Bits 0 to 2: the descriptor was closed. Bits 3 and 4: the signal was ignored.
static WAS: AtomicU8 = AtomicU8::new(0);
/// What std and we change.
const SIGNALS: [c_int; 2] = [libc::SIGPIPE, libc::SIGXFSZ];

/// Miri has no sigaction(2). The loader calls what stands in this section, before the runtime begins (System V ABI,
/// gABI 4.1, chapter 5, "Initialization and Termination Functions").
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
    for (bit, signal) in SIGNALS.into_iter().enumerate() {
        // SAFETY: a C struct of integers and pointers, for which zeros are valid.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: asks only; the place for the answer is valid.
        let asked = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) };
        was |= u8::from(asked == 0 && action.sa_sigaction == libc::SIG_IGN) << (3 + bit);
    }
    WAS.store(was, Relaxed);
}

/// Whether this descriptor was closed, so that what it is now is /dev/null, opened by the runtime.
pub(super) fn was_closed(fd: c_int) -> bool {
    (0..3).contains(&fd) && WAS.load(Relaxed) & (1 << fd) != 0
}

/// Gives a command what we were given: descriptors that were closed, signals that were ignored. Allocates nothing, and
/// may be called between fork and exec.
pub(super) fn hand_on() {
    for fd in (0..3).filter(|fd| was_closed(*fd)) {
        // Not closed here: where exec fails in our own process, std goes on using these numbers.
        // SAFETY: F_SETFD takes numbers only. That it is closed on exec is what the process that started us asked for.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    for (bit, signal) in SIGNALS.into_iter().enumerate() {
        let action = if WAS.load(Relaxed) & (1 << (3 + bit)) != 0 { libc::SIG_IGN } else { libc::SIG_DFL };
        // SAFETY: signal(2) is async-signal-safe, and these two actions need no handler.
        unsafe { libc::signal(signal, action) };
    }
}
