//! A command run in our place: signals meant for it reach it, and it is waited for. For programs, as it takes signals.
#![allow(unsafe_code, reason = "the mask of a child is set between fork and exec")]

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};

use libc::c_int;
use rustix::process::{Pid, Signal, getpid, kill_process};

use super::signal::{self, Arrived, Blocked};
use super::start;

/// Those that are passed on. Stopping and going on are left alone: the terminal signals both processes.
const PASSED: [c_int; 7] =
    [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2, libc::SIGALRM];

/// How a command ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// As it says.
    pub status: ExitStatus,
    /// Ctrl-C of the terminal ended it, and was meant for us as well.
    pub interrupted: bool,
}

/// Runs `command` to its end. Signals that others send to us meanwhile are passed on to it; those of the terminal reach
/// it without us. Descriptors without close-on-exec are inherited, but for `closed`. Should we be killed, it goes on.
///
/// # Errors
/// When it cannot be started.
pub fn run(command: &mut Command, closed: Option<c_int>) -> io::Result<Ended> {
    signal::default_sigchld();
    let signals = Blocked::these(&[&PASSED[..], &[libc::SIGCHLD]].concat())?;
    let before = signals.before();
    let prepare = move || {
        start::hand_on();
        if let Some(fd) = closed {
            // By exec, not now: std may use the same number to report that exec failed.
            // SAFETY: takes numbers only, and runs in the child, all of whose descriptors are copies.
            unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
        signal::mask(libc::SIG_SETMASK, &before).map(drop)
    };
    // SAFETY: what runs between fork and exec is async-signal-safe calls on what is its own; it allocates nothing and
    // takes no lock.
    unsafe { command.pre_exec(prepare) };
    let mut child = command.spawn()?;
    let mut from_terminal = false;
    let mut note = |arrived: Arrived| from_terminal |= arrived.signal == libc::SIGINT && arrived.sender.is_none();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let arrived = signals.wait()?;
        note(arrived);
        pass_on(arrived, child.id());
    };
    while let Some(arrived) = signals.pending() {
        note(arrived);
    }
    Ok(Ended { status, interrupted: from_terminal && status.signal() == Some(libc::SIGINT) })
}

/// To `child`, which has not been waited for, so that its number is its own.
fn pass_on(arrived: Arrived, child: u32) {
    let Ok(child) = i32::try_from(child) else { return };
    // What it sends itself, or to its whole group, it has.
    let passed = arrived.signal != libc::SIGCHLD && arrived.sender.is_some_and(|sender| sender != child);
    if let (true, Some(signal), Some(child)) = (passed, Signal::from_named_raw(arrived.signal), Pid::from_raw(child)) {
        // It may have ended, or be of another user by now.
        let _ = kill_process(child, signal);
    }
}

/// Runs `command` in our place. Returns only when it cannot be started.
pub fn replace(command: &mut Command) -> io::Error {
    signal::default_sigchld();
    let prepare = || {
        start::hand_on();
        Ok(())
    };
    // SAFETY: as in `run`; and where exec fails, this process only says so, by what is left of its descriptors.
    unsafe { command.pre_exec(prepare) };
    command.exec()
}

/// Ends this process as Ctrl-C does, so that a script that runs it ends too. Returns where that is ignored.
pub fn die_of_interrupt() {
    let _ = kill_process(getpid(), Signal::INT);
}
