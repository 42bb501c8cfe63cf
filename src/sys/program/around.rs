//! Two commands of the user: one that runs before something is done, and one that runs after it, also after an error,
//! and when a signal ends this process. Only SIGKILL, and the end of the system, leave the second one out.
#![allow(unsafe_code, reason = "a signal handler; the signals of a command are restored between fork and exec")]

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{IntoRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libc::c_int;
use rustix::process::{Pid, Signal, getpid, kill_process};

use super::{orders, signal, start};

/// The signals that end a process, after which the second command still runs.
const ENDING: [c_int; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];
/// How long a small file may take to be written on a file system that is not frozen.
const WRITABLE_WITHIN: Duration = Duration::from_secs(5);

/// Where the handler writes the signal that came; -1: nowhere.
static SIGNALS: AtomicI32 = AtomicI32::new(-1);
/// One came.
static CAME: AtomicBool = AtomicBool::new(false);
/// A handler that lets what was begun finish: it stays.
static FINISHES: AtomicUsize = AtomicUsize::new(0);
/// There is something to do.
static ACTIVE: AtomicBool = AtomicBool::new(false);
/// What it has to do.
static DUE: Mutex<Option<Due>> = Mutex::new(None);
/// The first command, while it runs, which a signal ends; 0: none. The second always runs to its end.
static RUNNING: AtomicI32 = AtomicI32::new(0);

/// The two commands, for `sh -c`.
#[derive(Debug)]
pub struct Around {
    before: Option<OsString>,
    file: Option<PathBuf>,
    after: Arc<After>,
    guard: Mutex<Option<Guard>>,
}

/// What is still to run.
#[derive(Debug)]
struct After {
    command: Option<OsString>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    due: bool,
    /// How it ended, if not well.
    failed: Option<String>,
}

/// While it exists, the signals that end this process run the second command first.
#[derive(Debug)]
struct Guard {
    _restore: signal::Restore<3>,
}

/// What a signal that comes now has to do before it ends this process.
struct Due {
    after: Arc<After>,
    file: Option<PathBuf>,
    actions: [(c_int, libc::sigaction); 3],
}

impl Around {
    /// Commands to run before and after; `file` is passed to them as `MEMSNAP_FILE`.
    pub fn new(before: Option<OsString>, after: Option<OsString>, file: Option<PathBuf>) -> Around {
        let after = Arc::new(After { command: after, state: Mutex::default() });
        Around { before, file, after, guard: Mutex::new(None) }
    }

    /// Runs the first command. From when it has begun, [`Around::end`] runs the second.
    ///
    /// # Errors
    /// How it ended, if not with 0.
    pub fn begin(&self) -> Result<(), String> {
        let guard = Guard::new(self.after.clone(), self.file.clone()).map_err(|e| e.to_string())?;
        *locked(&self.guard) = Some(guard);
        let mut state = locked(&self.after.state);
        let Some(line) = &self.before else {
            state.due = true;
            return Ok(());
        };
        let began = |child: &Child| {
            RUNNING.store(child.id().cast_signed(), SeqCst);
            state.due = true;
        };
        let ended = run(line, self.file.as_deref(), began);
        RUNNING.store(0, SeqCst);
        ended
    }

    /// Runs the second command, once; ends this process if a signal came meanwhile.
    pub fn end(&self) {
        self.after.run(self.file.as_deref());
        drop(locked(&self.guard).take());
    }

    /// How the second command ended, if not with 0.
    pub fn failed(&self) -> Option<String> {
        locked(&self.after.state).failed.clone()
    }
}

impl After {
    fn run(&self, file: Option<&Path>) {
        let mut state = locked(&self.state);
        if std::mem::take(&mut state.due)
            && let Some(line) = &self.command
        {
            state.failed = run(line, file, |_| {}).err();
        }
    }
}

/// Runs a command to its end, with nothing on stdin, and its stdout on stderr. `begun` is called when it runs.
fn run(line: &OsStr, file: Option<&Path>, begun: impl FnOnce(&Child)) -> Result<(), String> {
    signal::default_sigchld();
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(line).stdin(Stdio::null()).stdout(io::stderr());
    match file {
        Some(file) => command.env("MEMSNAP_FILE", file),
        None => command.env_remove("MEMSNAP_FILE"),
    };
    let prepare = || {
        start::restore();
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe calls are made; nothing is allocated, no lock is taken.
    unsafe { command.pre_exec(prepare) };
    let mut child = command.spawn().map_err(|e| format!("sh cannot be run: {e}"))?;
    begun(&child);
    match child.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(described(status)),
        Err(e) => Err(format!("its end is not known: {e}")),
    }
}

fn described(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("it ended with exit status {code}"),
        (None, Some(signal)) => format!("signal {signal} ended it"),
        (None, None) => "it ended in an unknown way".into(),
    }
}

impl Guard {
    fn new(after: Arc<After>, file: Option<PathBuf>) -> io::Result<Guard> {
        listen()?;
        let actions = ENDING.map(|number| (number, signal::action_of(number)));
        *locked(&DUE) = Some(Due { after, file, actions });
        for (number, before) in &actions {
            // The first signal that asks a program for the end lets it finish.
            if before.sa_sigaction != libc::SIG_IGN && before.sa_sigaction != FINISHES.load(SeqCst) {
                signal::act(*number, note as extern "C" fn(c_int) as libc::sighandler_t, libc::SA_RESTART);
            }
        }
        ACTIVE.store(true, SeqCst);
        Ok(Guard { _restore: signal::Restore(actions) })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        ACTIVE.store(false, SeqCst);
        // A signal that came ends this process, from another thread.
        while CAME.load(SeqCst) {
            std::thread::sleep(Duration::from_millis(10));
        }
        *locked(&DUE) = None;
    }
}

/// Starts the thread that waits for signals, once. Its pipe is never closed: a handler may be writing to it.
fn listen() -> io::Result<()> {
    if SIGNALS.load(SeqCst) >= 0 {
        return Ok(());
    }
    let (mut reader, writer) = io::pipe()?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let mut signal = [0];
        while reader.read_exact(&mut signal).is_ok() {
            end_by(signal[0].into());
        }
    })?;
    SIGNALS.store(OwnedFd::from(writer).into_raw_fd(), SeqCst);
    Ok(())
}

/// Says that `handler` lets what was begun finish, and calls [`take`] when it is to end all the same.
pub(super) fn finishes(handler: libc::sighandler_t) {
    FINISHES.store(handler, SeqCst);
}

/// Takes over a signal that is to end this process, if a second command is due. Async-signal-safe.
pub(super) fn take(number: c_int) -> bool {
    let active = ACTIVE.load(SeqCst);
    if active {
        note(number);
    }
    active
}

/// Async-signal-safe.
extern "C" fn note(number: c_int) {
    CAME.store(true, SeqCst);
    let (to, number) = (SIGNALS.load(SeqCst), number.to_le_bytes());
    // SAFETY: write(2) is async-signal-safe, and one byte that exists is written, to a pipe that stays open.
    unsafe { libc::write(to, number.as_ptr().cast(), 1) };
}

/// Runs the second command, when the first has ended, and ends this process as the signal would have done.
fn end_by(number: c_int) {
    orders::let_go();
    let signal = Signal::from_named_raw(number);
    if let (Some(signal), Some(child)) = (signal, Pid::from_raw(RUNNING.load(SeqCst))) {
        // It may have ended.
        let _ = kill_process(child, signal);
    }
    let due = locked(&DUE).take();
    let action = due.map_or_else(signal::default_action, |due| {
        due.after.run(due.file.as_deref());
        let is = |action: &libc::sigaction| action.sa_sigaction != FINISHES.load(SeqCst);
        due.actions
            .into_iter()
            .find(|(of, action)| *of == number && is(action))
            .map_or_else(signal::default_action, |(_, action)| action)
    });
    signal::set_action(number, &action);
    if let Some(signal) = signal {
        let _ = kill_process(getpid(), signal);
    }
}

/// Whether a small file can be written in `dir` soon: on a frozen file system it cannot. Errors are no sign of that.
pub fn is_writable_soon(dir: &Path) -> bool {
    let ((done, is_done), dir) = (channel(), dir.to_path_buf());
    let write = move || {
        let _ = tempfile::tempfile_in(dir).and_then(|mut file: File| file.write_all(b"x"));
        let _ = done.send(());
    };
    std::thread::Builder::new().spawn(write).is_err() || is_done.recv_timeout(WRITABLE_WITHIN).is_ok()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
