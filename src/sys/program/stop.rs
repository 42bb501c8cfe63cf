//! Stopping (SIGTSTP, Ctrl-Z) only without a lease: otherwise a process that opens the file would wait all that time.
//!
//! A lease that may be given back is given back first, by its thread; one that must be kept, while a target is changed,
//! delays the stop until it is released. So do processes that this one has stopped. SIGSTOP cannot be handled.
#![allow(unsafe_code, reason = "raise(3) has no safe wrapper")]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use libc::c_int;

use super::signal;

/// Number of leases that this process holds, or is about to request; and one while it has stopped other processes.
static LEASES: AtomicUsize = AtomicUsize::new(0);
/// A stop is delayed by them.
static WANTED: AtomicBool = AtomicBool::new(false);

/// From now on SIGTSTP stops this process only when it holds no lease. If the signal is ignored, or has a handler,
/// nothing is changed.
pub fn give_leases_back_first() {
    if signal::action_of(libc::SIGTSTP).sa_sigaction == libc::SIG_DFL {
        signal::act(libc::SIGTSTP, stop as extern "C" fn(c_int) as libc::sighandler_t, libc::SA_RESTART);
    }
}

/// Called before a lease is requested.
pub(in crate::sys) fn lease_begins() {
    LEASES.fetch_add(1, Ordering::SeqCst);
}

/// Called once for each [`lease_begins`], when the lease is not held any more. Stops if that was delayed.
pub(in crate::sys) fn lease_ended() {
    LEASES.fetch_sub(1, Ordering::SeqCst);
    stop_if_wanted();
}

/// Whether leases are to be given back for a stop.
pub(in crate::sys) fn is_wanted() -> bool {
    WANTED.load(Ordering::SeqCst)
}

/// May run at any time on any thread.
extern "C" fn stop(_signal: c_int) {
    // In this order: either the thread that gives back the last lease sees it, or this one sees that there is none.
    WANTED.store(true, Ordering::SeqCst);
    stop_if_wanted();
}

/// Async-signal-safe.
fn stop_if_wanted() {
    if LEASES.load(Ordering::SeqCst) > 0 || !WANTED.swap(false, Ordering::SeqCst) {
        return;
    }
    let handler = signal::act(libc::SIGTSTP, libc::SIG_DFL, 0);
    let mask = signal::mask(libc::SIG_UNBLOCK, &signal::set_of(&[libc::SIGTSTP]));
    // SAFETY: raise(3) is async-signal-safe and takes any number. It returns when the process is continued.
    unsafe { libc::raise(libc::SIGTSTP) };
    if let Ok(mask) = mask {
        // What was there before is valid.
        let _ = signal::mask(libc::SIG_SETMASK, &mask);
    }
    signal::set_action(libc::SIGTSTP, &handler);
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::sys::eventually;
    use crate::sys::lease::{Lease, LeaseAnswer};
    use crate::sys::process::stat_fields;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    /// A signal is of the whole process: only a child can be stopped. It is this program again, asked to run one test.
    const CHILD: &str = "MEMSNAP_TEST_STOP";

    /// In the child: stops itself while a lease is kept; the file grows as soon as it goes on with the lease.
    fn stop_with_a_lease(path: &std::path::Path) {
        give_leases_back_first();
        let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
        let LeaseAnswer::Granted(lease) = Lease::write(&file).unwrap() else { return };
        assert!(lease.keep());
        // SAFETY: raise(3) takes any number.
        unsafe { libc::raise(libc::SIGTSTP) };
        std::thread::sleep(std::time::Duration::from_millis(100)); // the watcher looks every 10 ms
        file.set_len(1).unwrap();
        assert!(!lease.is_broken() && !lease.was_stopped());
        assert!(lease.release(), "it was held to the end");
        // Here it is stopped, and continued. A stop without a lease comes at once.
        file.set_len(2).unwrap();
        // SAFETY: as above.
        unsafe { libc::raise(libc::SIGTSTP) };
        file.set_len(3).unwrap();
    }

    #[test]
    fn a_lease_that_is_kept_delays_the_stop() {
        if let Some(path) = std::env::var_os(CHILD) {
            return stop_with_a_lease(path.as_ref());
        }
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "sys::program::stop::tests::a_lease_that_is_kept_delays_the_stop"]).env(CHILD, &path);
        // Of a group of its own: an orphaned group is not stopped by this signal.
        let mut child = child.process_group(0).stdout(std::process::Stdio::null()).spawn().unwrap();
        let mut ended = None;
        for len in [1, 2] {
            assert!(eventually(|| {
                ended = child.try_wait().unwrap();
                let stopped = stat_fields(child.id()).is_some_and(|fields| fields[0] == "T");
                ended.is_some() || stopped && path.metadata().unwrap().len() == len
            }));
            if ended.is_some_and(|status| status.success()) && path.metadata().unwrap().len() == 0 {
                return crate::sys::skipped("no leases here");
            }
            assert_eq!(ended, None);
            assert!(Command::new("kill").args(["-CONT", &child.id().to_string()]).status().unwrap().success());
        }
        assert!(child.wait().unwrap().success());
        assert_eq!(path.metadata().unwrap().len(), 3);
    }
}
