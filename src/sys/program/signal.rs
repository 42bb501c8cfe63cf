//! Signals that must not kill, that end a wait, or that are for another process. Only the program uses this module: a
//! library does not touch the signals of its process.
#![allow(unsafe_code, reason = "signals have no safe wrapper")]

use std::io;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::Duration;

use libc::{c_int, sigset_t};

extern "C" fn nothing(_signal: c_int) {}

/// Makes a write past the file size limit (`ulimit -f`) an error instead of a kill, which would leave files behind.
///
/// By a handler that does nothing, not by ignoring the signal: exec resets a handler, so commands do not inherit it.
pub fn ignore_sigxfsz() {
    let_pass(libc::SIGXFSZ);
}

/// Restores the actions of signals when dropped.
pub(super) struct Restore<const N: usize>(pub(super) [(c_int, libc::sigaction); N]);

impl<const N: usize> Drop for Restore<N> {
    fn drop(&mut self) {
        for (signal, before) in &self.0 {
            set_action(*signal, before);
        }
    }
}

impl<const N: usize> std::fmt::Debug for Restore<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(signal, _)| signal)).finish()
    }
}

/// While it exists, SIGINT and SIGQUIT do not end this process: they are for the command that it runs, such as a pager.
#[derive(Debug)]
pub struct IgnoreInterrupts {
    _restore: Restore<2>,
}

impl IgnoreInterrupts {
    /// Begins to ignore them.
    pub fn begin() -> IgnoreInterrupts {
        IgnoreInterrupts { _restore: Restore([libc::SIGINT, libc::SIGQUIT].map(|signal| (signal, let_pass(signal)))) }
    }
}

/// Sets a handler of `signal` that does nothing; returns the previous action.
fn let_pass(signal: c_int) -> libc::sigaction {
    act(signal, nothing as extern "C" fn(c_int) as libc::sighandler_t, libc::SA_RESTART)
}

/// Written to stderr when a signal ends the process.
static MESSAGE: AtomicPtr<Box<[u8]>> = AtomicPtr::new(std::ptr::null_mut());

/// While it exists, SIGINT, SIGTERM and SIGHUP end this process with a message. One at a time.
#[derive(Debug)]
pub struct MessageOnSignal {
    _restore: Restore<3>,
}

impl MessageOnSignal {
    /// `message` is written to stderr before the process ends. A signal that is ignored, or has a handler, is left as
    /// it is.
    ///
    /// The message stays in memory forever: a handler may be reading it at any time.
    pub fn new(message: &str) -> MessageOnSignal {
        MESSAGE.store(Box::into_raw(Box::new(message.as_bytes().into())), Ordering::Release);
        let restore = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP].map(|signal| {
            let handler = write_and_end as extern "C" fn(c_int) as libc::sighandler_t;
            let before = action_of(signal);
            if before.sa_sigaction == libc::SIG_DFL {
                act(signal, handler, libc::SA_RESETHAND);
            }
            (signal, before)
        });
        MessageOnSignal { _restore: Restore(restore) }
    }
}

/// By SA_RESETHAND the signal has its default action again, which is to end the process: it is raised once more, and
/// arrives when this returns.
extern "C" fn write_and_end(signal: c_int) {
    // The reader of the message may be among those that are stopped.
    super::orders::let_go();
    let message = MESSAGE.load(Ordering::Acquire);
    // SAFETY: null, or from `Box::into_raw` in `new`, and never freed nor written to since.
    if let Some(message) = unsafe { message.as_ref() } {
        // SAFETY: write(2) is async-signal-safe; the bytes are never freed. It does not matter if it fails.
        unsafe { libc::write(libc::STDERR_FILENO, message.as_ptr().cast(), message.len()) };
    }
    // SAFETY: raise(3) is async-signal-safe and takes any number.
    unsafe { libc::raise(signal) };
}

/// Makes waiting for children possible, even if this process was started with SIGCHLD ignored.
pub(super) fn default_sigchld() {
    act(libc::SIGCHLD, libc::SIG_DFL, 0);
}

/// The default action, without flags and with an empty mask.
pub(super) fn default_action() -> libc::sigaction {
    // SAFETY: `sigaction` is a C struct of integers and pointers; all zero is a valid one.
    unsafe { std::mem::zeroed() }
}

/// Sets the action of a signal, and returns the previous one.
pub(super) fn act(signal: c_int, handler: libc::sighandler_t, flags: c_int) -> libc::sigaction {
    set_action(signal, &libc::sigaction { sa_sigaction: handler, sa_flags: flags, ..default_action() })
}

/// The present action of a signal.
pub(super) fn action_of(signal: c_int) -> libc::sigaction {
    let mut now = default_action();
    // SAFETY: sigaction(2) takes a null new action, and then only writes the old one to the given place.
    unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut now) };
    now
}

/// Sets the action of a signal, and returns the previous one. May be called in a signal handler.
pub(super) fn set_action(signal: c_int, action: &libc::sigaction) -> libc::sigaction {
    let mut before = default_action();
    // SAFETY: sigaction(2) reads a valid new action and writes the old one to a valid place. The handler is the
    // default, a previous one, or one of `nothing`, `write_and_end`, `around::note`, `repeat::ask`, `stop::stop` and `guard::on_sigbus`, which live
    // forever and may run at any time on any thread.
    unsafe { libc::sigaction(signal, &raw const *action, &raw mut before) };
    before
}

pub(super) fn set_of(signals: &[c_int]) -> sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset(3) writes a whole set to the given place, which has room for one.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: it was just initialised.
    let mut set = unsafe { set.assume_init() };
    for signal in signals {
        // SAFETY: the set is valid; a number that is no signal is an error.
        unsafe { libc::sigaddset(&raw mut set, *signal) };
    }
    set
}

/// All signals.
#[cfg(target_os = "linux")]
pub(super) fn all() -> sigset_t {
    let mut set = set_of(&[]);
    // SAFETY: sigfillset(3) writes to a valid set.
    unsafe { libc::sigfillset(&raw mut set) };
    set
}

/// Changes the signals that this thread blocks, and returns the previous ones. Allocates nothing and may be called
/// between fork and exec.
pub(super) fn mask(how: c_int, set: &sigset_t) -> io::Result<sigset_t> {
    let mut before = MaybeUninit::uninit();
    // SAFETY: both sets are valid places; pthread_sigmask(3) is async-signal-safe.
    let result = unsafe { libc::pthread_sigmask(how, &raw const *set, before.as_mut_ptr()) };
    if result != 0 {
        return Err(io::Error::from_raw_os_error(result));
    }
    // SAFETY: the call succeeded, and filled it in.
    Ok(unsafe { before.assume_init() })
}

/// After its time, and while it exists, it interrupts system calls that wait: they return `Interrupted`. It fires again
/// every 10 ms, so that none can begin to wait just after the signal. One at a time, in a process of one thread;
/// commands do not inherit it.
pub struct Alarm {
    action: libc::sigaction,
    mask: sigset_t,
}

impl std::fmt::Debug for Alarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Alarm")
    }
}

impl Alarm {
    /// Fires after `wait`, to the microsecond.
    ///
    /// # Errors
    /// As setitimer(2).
    pub fn after(wait: Duration) -> io::Result<Alarm> {
        // No SA_RESTART: it is meant to interrupt.
        let action = act(libc::SIGALRM, nothing as extern "C" fn(c_int) as libc::sighandler_t, 0);
        let alarm = Alarm { action, mask: mask(libc::SIG_UNBLOCK, &set_of(&[libc::SIGALRM]))? };
        const LONG: Duration = Duration::from_secs(1 << 40); // some 30,000 years, which the kernel accepts
        set_timer(wait.clamp(Duration::from_micros(1), LONG), Duration::from_millis(10))?;
        Ok(alarm)
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // None of these can fail: they restore the previous state.
        let _ = set_timer(Duration::ZERO, Duration::ZERO);
        // This discards a pending signal, as of a thread that does not run at this moment (signal(7), POSIX).
        let _ = act(libc::SIGALRM, libc::SIG_IGN, 0);
        let _ = mask(libc::SIG_SETMASK, &self.mask);
        set_action(libc::SIGALRM, &self.action);
    }
}

fn set_timer(first: Duration, then: Duration) -> io::Result<()> {
    let time = |t: Duration| libc::timeval {
        // Of 32 or 64 bits, depending on the system.
        tv_sec: t.as_secs().try_into().unwrap_or(i32::MAX.into()),
        tv_usec: t.subsec_micros().cast_signed().into(),
    };
    let timer = libc::itimerval { it_value: time(first), it_interval: time(then) };
    // SAFETY: setitimer(2) reads a valid timer, and does not return the old one.
    match unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A signal that arrived while it was blocked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived {
    /// Its number.
    pub(super) signal: c_int,
    /// The process that sent it, as with kill(2). None: the kernel, as for a key of the terminal, which sends it to the
    /// whole foreground group.
    pub(super) sender: Option<i32>,
}

/// Signals that are blocked and then received; those not received when this is dropped are lost.
pub(super) struct Blocked {
    signals: sigset_t,
    before: sigset_t,
}

impl Blocked {
    pub(super) fn these(signals: &[c_int]) -> io::Result<Blocked> {
        let signals = set_of(signals);
        Ok(Blocked { signals, before: mask(libc::SIG_BLOCK, &signals)? })
    }

    /// What was blocked before, for a command.
    pub(super) fn before(&self) -> sigset_t {
        self.before
    }

    /// Waits for the next one.
    #[cfg(not(target_vendor = "apple"))]
    pub(super) fn wait(&self) -> io::Result<Arrived> {
        loop {
            let mut info = MaybeUninit::uninit();
            // SAFETY: the set is valid, and there is room for the information on the signal.
            let signal = unsafe { libc::sigwaitinfo(&raw const self.signals, info.as_mut_ptr()) };
            match arrived(signal, info) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                arrived => return arrived,
            }
        }
    }

    /// The next one, if there is one already.
    #[cfg(not(target_vendor = "apple"))]
    pub(super) fn pending(&self) -> Option<Arrived> {
        let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let mut info = MaybeUninit::uninit();
        // SAFETY: the set and the time are valid, and there is room for the information on the signal.
        let signal = unsafe { libc::sigtimedwait(&raw const self.signals, info.as_mut_ptr(), &raw const at_once) };
        arrived(signal, info).ok()
    }

    /// Waits for the next one. This system does not report the sender: all count as from the terminal.
    #[cfg(target_vendor = "apple")]
    pub(super) fn wait(&self) -> io::Result<Arrived> {
        let mut signal = 0;
        // SAFETY: the set is valid, and there is room for a number.
        match unsafe { libc::sigwait(&raw const self.signals, &raw mut signal) } {
            0 => Ok(Arrived { signal, sender: None }),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    /// The next one, if there is one already.
    #[cfg(target_vendor = "apple")]
    pub(super) fn pending(&self) -> Option<Arrived> {
        let mut pending = set_of(&[]);
        // SAFETY: there is room for a set.
        unsafe { libc::sigpending(&raw mut pending) };
        // SAFETY: both sets are valid, and the numbers are of signals.
        let is_in = |set: &sigset_t, signal| unsafe { libc::sigismember(&raw const *set, signal) } == 1;
        let arrived = (1..32).any(|signal| is_in(&pending, signal) && is_in(&self.signals, signal));
        if arrived { self.wait().ok() } else { None }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        while self.pending().is_some() {}
        // What was there before is valid.
        let _ = mask(libc::SIG_SETMASK, &self.before);
    }
}

#[cfg(not(target_vendor = "apple"))]
fn arrived(signal: c_int, info: MaybeUninit<libc::siginfo_t>) -> io::Result<Arrived> {
    if signal < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, and filled it in.
    let info = unsafe { info.assume_init() };
    // SAFETY: signals sent by a process (codes 0 and below) contain its PID; others use that field differently.
    let sender = (info.si_code <= 0).then(|| unsafe { info.si_pid() });
    Ok(Arrived { signal, sender })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_an_error() {
        // A limit is of the whole process: only a child can have one. It is ours again, asked to run one test.
        const CHILD: &str = "MEMSNAP_TEST_SIGXFSZ";
        if std::env::var_os(CHILD).is_some() {
            ignore_sigxfsz();
            let path = std::env::temp_dir().join(format!("memsnap-xfsz-{}", std::process::id()));
            let error = std::fs::write(&path, vec![1; 1 << 20]).unwrap_err();
            std::fs::remove_file(&path).unwrap();
            assert_eq!(error.kind(), std::io::ErrorKind::FileTooLarge);
            return;
        }
        let status = std::process::Command::new("sh")
            .args([
                "-c",
                "ulimit -f 8; exec \"$0\" --exact sys::program::signal::tests::the_limit_is_an_error >/dev/null",
            ])
            .arg(std::env::current_exe().unwrap())
            .env(CHILD, "1")
            .status()
            .unwrap();
        assert!(status.success(), "{status}");
    }

    #[test]
    fn an_alarm_interrupts_and_is_gone() {
        // Of a process with one thread: again a child.
        const CHILD: &str = "MEMSNAP_TEST_ALARM";
        if std::env::var_os(CHILD).is_none() {
            let status = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "sys::program::signal::tests::an_alarm_interrupts_and_is_gone"])
                .env(CHILD, "1")
                .status()
                .unwrap();
            return assert!(status.success(), "{status}");
        }
        let start = std::time::Instant::now();
        let alarm = Alarm::after(Duration::from_millis(30)).unwrap();
        while start.elapsed() < Duration::from_millis(200) {
            std::thread::yield_now();
        }
        drop(alarm);
        let action = act(libc::SIGALRM, libc::SIG_DFL, 0);
        assert_eq!(action.sa_sigaction, libc::SIG_DFL);
        std::thread::sleep(Duration::from_millis(50)); // an alarm now would kill
    }
}
