//! Running a command: signals for it are forwarded, and its end is waited for. Only for programs, as it takes signals.
#![allow(unsafe_code, reason = "the mask of a child is set between fork and exec")]

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};

use libc::c_int;
use rustix::process::{Pid, Signal, getpid, kill_process};

use super::signal::{self, Arrived, Blocked};
use super::start;

/// The signals that are forwarded. Stopping and continuing are not: the terminal signals both processes.
const FORWARDED: [c_int; 7] =
    [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2, libc::SIGALRM];

/// How a command ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// Whether Ctrl-C of the terminal ended it, which was for this process too.
    pub interrupted: bool,
}

/// Runs `command` to its end. Signals that other processes send to this one are forwarded; those of the terminal reach
/// it directly. Descriptors without close-on-exec are inherited, except `closed`. If this process is killed, it
/// continues.
///
/// # Errors
/// When it cannot be started.
pub fn run(command: &mut Command, closed: Option<c_int>) -> io::Result<Ended> {
    signal::default_sigchld();
    let signals = Blocked::these(&[&FORWARDED[..], &[libc::SIGCHLD]].concat())?;
    let before = signals.before();
    let prepare = move || {
        start::restore();
        if let Some(fd) = closed {
            // Closed by exec, not now: std may use the same number to report that exec failed. SAFETY: takes numbers
            // only, and runs in the child, all of whose descriptors are copies.
            unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
        signal::mask(libc::SIG_SETMASK, &before).map(drop)
    };
    // SAFETY: between fork and exec only async-signal-safe calls are made; nothing is allocated, no lock is taken.
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
        forward(arrived, child.id());
    };
    while let Some(arrived) = signals.pending() {
        note(arrived);
    }
    Ok(Ended { status, interrupted: from_terminal && status.signal() == Some(libc::SIGINT) })
}

/// Forwards to `child`, which has not been waited for, so that its PID is not reused.
fn forward(arrived: Arrived, child: u32) {
    let Ok(child) = i32::try_from(child) else { return };
    // What it sends itself, or to its whole group, has reached it.
    let forwarded = arrived.signal != libc::SIGCHLD && arrived.sender.is_some_and(|sender| sender != child);
    if let (true, Some(signal), Some(child)) = (forwarded, Signal::from_named_raw(arrived.signal), Pid::from_raw(child))
    {
        // It may have ended, or have changed its user.
        let _ = kill_process(child, signal);
    }
}

/// Replaces this process by `command`. Returns only when it cannot be started.
pub fn replace(command: &mut Command) -> io::Error {
    signal::default_sigchld();
    let prepare = || {
        start::restore();
        Ok(())
    };
    // SAFETY: as in `run`; if exec fails, this process only reports it, by the descriptors that are left.
    unsafe { command.pre_exec(prepare) };
    command.exec()
}

/// Ends this process as Ctrl-C does, so that a script that runs it ends too. Returns where that is ignored.
pub fn die_of_interrupt() {
    let _ = kill_process(getpid(), Signal::INT);
}
