//! The watchdog: a process in a session of its own that stops other processes, and lets them go on when this process
//! asks for it, when this process ends in whatever way, or when the time is up. All signals to them come from it, so
//! none can be stopped after they were let go on.
//!
//! It is this program, run again with a hidden argument, and holds nothing but descriptors of those processes and the
//! ends of two pipes. It blocks all signals; SIGKILL is the only one that ends it early.

pub use imp::run_if_asked;
pub(in crate::sys) use imp::{Answer, Ended, Watchdog};

#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "what is inherited is set between fork and exec")]
mod imp {
    use std::ffi::OsString;
    use std::io::{self, Read, Write};
    use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
    use std::os::unix::process::CommandExt;
    use std::process::{Child, ChildStdout, Command, Stdio};
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
    use std::time::{Duration, Instant};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;
    use rustix::process::{Signal, pidfd_send_signal, setsid};

    use super::super::{descriptor, orders, signal, stop};

    /// The first argument of the watchdog.
    const WORD: &str = "--freeze-watchdog";
    /// What it says: it is there; it has let all go on, as it was asked to, or as the time is up.
    const READY: u8 = b'r';
    const DONE: u8 = b'd';
    const TIME_UP: u8 = b't';
    /// How long it may take to start, and to let all go on.
    const PATIENCE: Duration = Duration::from_secs(10);

    /// Whether this program can be its own watchdog.
    static IS_THERE: AtomicBool = AtomicBool::new(false);

    /// To be called first in `main`, with its arguments. Where they ask for the watchdog, is the watchdog, and returns
    /// true at the end: then `main` returns.
    pub fn run_if_asked(args: &[OsString]) -> bool {
        match args {
            [_, word, bound, pidfds @ ..] if word == WORD => {
                let _ = watch(bound, pidfds);
                true
            }
            _ => {
                IS_THERE.store(true, SeqCst);
                false
            }
        }
    }

    /// The life of the watchdog. Whatever fails, those that it has stopped go on before it ends.
    fn watch(bound: &OsString, pidfds: &[OsString]) -> Option<()> {
        let number = |word: &OsString| word.to_str()?.parse::<u64>().ok();
        let bound = Duration::from_millis(number(bound)?);
        let pidfds: Vec<_> =
            pidfds.iter().map(|fd| descriptor::inherited(number(fd)?.try_into().ok()?).ok()).collect::<Option<_>>()?;
        // So that nobody ends it together with this program, by its name.
        let _ = std::fs::write("/proc/self/comm", "freeze-watchdog");
        say(&[READY]);
        io::stdin().read_exact(&mut [0]).ok()?;
        let until = Instant::now() + bound;
        let answers: Vec<Answer> =
            pidfds.iter().map(|pidfd| Answer::of(pidfd_send_signal(pidfd, Signal::STOP))).collect();
        say(&answers.iter().map(|answer| *answer as u8).collect::<Vec<_>>());
        // Nothing more is ever written to this pipe: it can be read at its end.
        let asked = can_be_read(io::stdin(), until);
        for (pidfd, _) in pidfds.iter().zip(answers).filter(|(_, answer)| *answer == Answer::Stopped) {
            let _ = pidfd_send_signal(pidfd, Signal::CONT);
        }
        say(&[if asked { DONE } else { TIME_UP }]);
        Some(())
    }

    fn say(bytes: &[u8]) {
        let mut to = io::stdout();
        let _ = to.write_all(bytes).and_then(|()| to.flush());
    }

    /// Waits until something can be read, or the other end is closed. False: the time is up.
    fn can_be_read(from: impl AsFd, until: Instant) -> bool {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let left = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
            match poll(&mut [PollFd::new(&from, PollFlags::IN)], Some(&left)) {
                Err(Errno::INTR) => {}
                Ok(ready) => return ready > 0,
                Err(_) => return true,
            }
        }
    }

    /// What came of the order to stop a process.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[repr(u8)]
    pub(in crate::sys) enum Answer {
        Stopped = b's',
        NotPermitted = b'n',
        Gone = b'g',
    }

    impl Answer {
        fn of(sent: rustix::io::Result<()>) -> Answer {
            match sent {
                Ok(()) => Answer::Stopped,
                Err(Errno::PERM) => Answer::NotPermitted,
                Err(_) => Answer::Gone,
            }
        }

        fn parse(byte: u8) -> Option<Answer> {
            [Answer::Stopped, Answer::NotPermitted, Answer::Gone].into_iter().find(|answer| *answer as u8 == byte)
        }
    }

    /// How the stop ended.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(in crate::sys) enum Ended {
        /// As it was asked to.
        Asked,
        /// The time was up before.
        TimeUp,
        /// The watchdog was killed: the caller has to let all go on.
        Lost,
    }

    /// The watchdog, seen from the process that it watches. While it exists, SIGTSTP does not stop this process, and
    /// SIGINT, SIGTERM and SIGHUP let all go on first.
    #[derive(Debug)]
    pub(in crate::sys) struct Watchdog {
        child: Child,
        /// A duplicate, to give the order: the other may be closed by a signal.
        order: Option<OwnedFd>,
        answers: ChildStdout,
        ended: bool,
    }

    impl Watchdog {
        /// Starts one for these processes, which are not stopped yet. One at a time.
        pub(in crate::sys) fn start(bound: Duration, pidfds: &[OwnedFd]) -> io::Result<Watchdog> {
            if !IS_THERE.load(SeqCst) {
                return Err(io::Error::other("this program has no watchdog"));
            }
            let numbers: Vec<RawFd> = pidfds.iter().map(AsRawFd::as_raw_fd).collect();
            let mut command = Command::new("/proc/self/exe");
            command.arg0("freeze-watchdog").arg(WORD).arg(bound.as_millis().to_string());
            command.args(numbers.iter().map(RawFd::to_string)).env_clear().current_dir("/");
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
            let all = signal::all();
            let prepare = move || {
                for fd in &numbers {
                    // SAFETY: F_SETFD takes numbers only; in the child all descriptors are copies.
                    unsafe { libc::fcntl(*fd, libc::F_SETFD, 0) };
                }
                signal::mask(libc::SIG_SETMASK, &all)?;
                setsid().map(drop).map_err(io::Error::from)
            };
            // SAFETY: between fork and exec only async-signal-safe calls are made; nothing is allocated, no lock is
            // taken.
            unsafe { command.pre_exec(prepare) };
            let mut child = command.spawn()?;
            let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
                return Err(io::Error::other("no pipe to the watchdog"));
            };
            stop::lease_begins();
            let orders = OwnedFd::from(orders);
            let order = orders.try_clone().ok();
            let mut dog = Watchdog { child, order, answers, ended: false };
            if !orders::keep(orders) {
                (dog.order, dog.ended) = (None, true);
                stop::lease_ended();
                let _ = dog.child.wait();
                return Err(io::Error::other("this program has stopped processes already"));
            }
            match dog.hear(1)?[..] {
                [READY] => Ok(dog),
                _ => Err(io::Error::other("it did not begin")),
            }
        }

        /// Stops the processes; an answer for each.
        pub(in crate::sys) fn stop(&mut self, processes: usize) -> io::Result<Vec<Answer>> {
            let order = self.order.take().ok_or(io::ErrorKind::BrokenPipe)?;
            rustix::io::write(&order, b"s")?;
            drop(order);
            let answers = self.hear(processes)?;
            answers.into_iter().map(|byte| Answer::parse(byte).ok_or(io::ErrorKind::InvalidData.into())).collect()
        }

        fn hear(&mut self, bytes: usize) -> io::Result<Vec<u8>> {
            let (mut heard, until) = (vec![0; bytes], Instant::now() + PATIENCE);
            let mut at = 0;
            while at < bytes {
                if !can_be_read(&self.answers, until) {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                match self.answers.read(&mut heard[at..])? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    some => at += some,
                }
            }
            Ok(heard)
        }

        /// Lets all go on, and ends it.
        pub(in crate::sys) fn end(&mut self) -> Ended {
            if std::mem::replace(&mut self.ended, true) {
                return Ended::Asked;
            }
            self.order = None;
            orders::let_go();
            let mut last = None;
            while let Ok(heard) = self.hear(1) {
                last = heard.first().copied();
            }
            let ended = match last {
                Some(DONE) => Ended::Asked,
                Some(TIME_UP) => Ended::TimeUp,
                _ => {
                    let _ = self.child.kill();
                    Ended::Lost
                }
            };
            let _ = self.child.wait();
            stop::lease_ended();
            ended
        }
    }

    impl Drop for Watchdog {
        fn drop(&mut self) {
            self.end();
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::ffi::OsString;

    pub(in crate::sys) enum Answer {}
    pub(in crate::sys) enum Ended {}
    pub(in crate::sys) struct Watchdog;

    /// There is none on this system.
    pub fn run_if_asked(_args: &[OsString]) -> bool {
        false
    }
}
