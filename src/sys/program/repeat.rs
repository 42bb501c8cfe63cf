//! Doing something again and again at set times, until a signal asks for the end.
#![allow(unsafe_code, reason = "a signal handler")]

use std::io;
use std::os::fd::{AsFd, IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::SeqCst};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use libc::c_int;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{around, signal};

/// The longest wait without a look at the clock: it may be set, and stands still for poll(2) while the system sleeps.
const LOOKS: Duration = Duration::from_secs(5);
/// How late a time may be kept.
const LATE: Duration = Duration::from_secs(30);

/// A signal asked for the end.
static ASKED: AtomicBool = AtomicBool::new(false);
/// Where the handler says so; -1: nowhere.
static TELL: AtomicI32 = AtomicI32::new(-1);

/// The times that are multiples of a duration since 1970, in UTC.
#[derive(Debug)]
pub struct Repeat {
    every: Duration,
    asked: OwnedFd,
}

impl Repeat {
    /// From now on the first SIGTERM or SIGINT asks for the end, and only a second one ends this process.
    ///
    /// # Errors
    /// When there is no pipe.
    pub fn new(every: Duration) -> io::Result<Repeat> {
        let (asked, tell) = io::pipe()?;
        // Never closed: the handler may be writing to it.
        TELL.store(OwnedFd::from(tell).into_raw_fd(), SeqCst);
        let handler = ask as extern "C" fn(c_int) as libc::sighandler_t;
        around::finishes(handler);
        for number in [libc::SIGTERM, libc::SIGINT] {
            if signal::action_of(number).sa_sigaction == libc::SIG_DFL {
                signal::act(number, handler, libc::SA_RESTART);
            }
        }
        Ok(Repeat { every: every.max(Duration::from_millis(1)), asked: asked.into() })
    }

    /// Waits for the next time. False: a signal asked for the end. Times that passed meanwhile are skipped.
    pub fn wait(&self) -> bool {
        let mut next = next(since_1970(), self.every);
        loop {
            let now = since_1970();
            if ASKED.load(SeqCst) {
                return false;
            }
            if now >= next {
                if now - next <= LATE.min(self.every / 2) {
                    return true;
                }
                next = self::next(now, self.every);
            }
            // A clock that was set back.
            if next > now + self.every {
                next = self::next(now, self.every);
            }
            let left = (next - now).min(LOOKS);
            let left = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
            // Interrupted or not, the loop looks again.
            let _ = poll(&mut [PollFd::new(&self.asked.as_fd(), PollFlags::IN)], Some(&left));
        }
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The first multiple of `every` after `now`.
fn next(now: Duration, every: Duration) -> Duration {
    let every = every.as_nanos();
    let next = (now.as_nanos() / every + 1) * every;
    Duration::new((next / 1_000_000_000).try_into().unwrap_or(u64::MAX), (next % 1_000_000_000) as u32)
}

/// Async-signal-safe.
extern "C" fn ask(number: c_int) {
    if !ASKED.swap(true, SeqCst) {
        // SAFETY: write(2) is async-signal-safe; one byte that exists is written, to a pipe that stays open.
        unsafe { libc::write(TELL.load(SeqCst), b"x".as_ptr().cast(), 1) };
    } else if !around::take(number) {
        signal::act(number, libc::SIG_DFL, 0);
        // SAFETY: raise(3) is async-signal-safe and takes any number.
        unsafe { libc::raise(number) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_multiples() {
        let s = Duration::from_secs;
        for (now, every, expected) in
            [(0, 900, 900), (899, 900, 900), (900, 900, 1800), (1_700_000_001, 86400, 1_700_006_400)]
        {
            assert_eq!(next(s(now), s(every)), s(expected), "{now} {every}");
        }
        assert_eq!(next(Duration::new(7, 999_999_999), s(1)), s(8));
        assert_eq!(next(Duration::new(8, 1), Duration::from_millis(250)), Duration::new(8, 250_000_000));
    }
}
