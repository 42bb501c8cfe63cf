//! The end of a pipe that keeps other processes stopped: see `watchdog`.
#![allow(unsafe_code, reason = "a signal handler closes it")]

use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

/// -1: no process is stopped.
static ORDERS: AtomicI32 = AtomicI32::new(-1);

/// Keeps it open until [`let_go`]. False, and it is closed, if there is one already.
pub(super) fn keep(orders: OwnedFd) -> bool {
    let first = ORDERS.compare_exchange(-1, orders.as_raw_fd(), SeqCst, SeqCst).is_ok();
    if first {
        let _ = orders.into_raw_fd(); // the static has it now
    }
    first
}

/// Lets all go on, if some are stopped. Async-signal-safe.
pub(super) fn let_go() {
    let orders = ORDERS.swap(-1, SeqCst);
    if orders >= 0 {
        // SAFETY: it came from `into_raw_fd`, and who takes it out of the static owns it. close(2) is
        // async-signal-safe.
        drop(unsafe { OwnedFd::from_raw_fd(orders) });
    }
}
