//! Stopping the processes that write to files for a short time (SIGSTOP), without leaving any stopped, whatever happens
//! to this process: a watchdog lets them go on.
//!
//! Who is stopped proves nothing: a process may not be visible, and asynchronous I/O of a stopped one goes on. So what
//! is read meanwhile needs evidence of its own that it was not written (`capture::quiet`).

use std::fs::File;
use std::time::Duration;

/// What came of it, when all go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frozen {
    /// Those that were stopped: PID and name, which a process can choose itself.
    pub stopped: Vec<(u32, String)>,
    /// Writers that were left running: which, and why.
    pub left: Vec<String>,
    /// From when the first was stopped until all went on.
    pub pause: Duration,
    /// The time was up, or the watchdog was killed: they went on before they were to.
    pub cut_short: bool,
}

/// The writers of some files, stopped as long as it exists.
#[derive(Debug)]
pub(crate) struct Freeze(imp::Freeze);

impl Freeze {
    /// Stops the processes that have one of `files` open or mapped for writing, for `bound` at most. Left running are
    /// this process, its ancestors, the first process, and those that this user may not stop; a process that was
    /// stopped already stays so. Nothing may be printed while it exists: a reader may be among those stopped.
    ///
    /// # Errors
    /// Why no process can be stopped.
    pub(crate) fn begin(files: &[&File], bound: Duration) -> Result<Freeze, String> {
        imp::Freeze::begin(files, bound).map(Freeze)
    }

    /// Who is stopped, and who is not.
    pub(crate) fn state(&self) -> &Frozen {
        &self.0.frozen
    }

    /// Lets all go on.
    pub(crate) fn end(mut self) -> Frozen {
        self.0.end();
        std::mem::take(&mut self.0.frozen)
    }
}

#[cfg(all(target_os = "linux", feature = "program"))]
mod imp {
    use super::{Duration, File, Frozen};
    use std::collections::BTreeMap;
    use std::os::fd::OwnedFd;
    use std::time::Instant;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

    use crate::sys::openers::{self, Opener};
    use crate::sys::process::{ancestors, is_stopped};
    use crate::sys::program::watchdog::{Answer, Ended, Watchdog};

    /// How long to wait until those that were stopped have left the kernel. One that waits for its disk may take longer;
    /// whether it writes meanwhile is seen all the same.
    const SETTLES: Duration = Duration::from_millis(100);
    /// The interval between looks.
    const INTERVAL: Duration = Duration::from_micros(200);

    #[derive(Debug)]
    pub(super) struct Freeze {
        watchdog: Option<Watchdog>,
        pidfds: Vec<OwnedFd>,
        began: Instant,
        pub(super) frozen: Frozen,
    }

    impl Freeze {
        pub(super) fn begin(files: &[&File], bound: Duration) -> Result<Freeze, String> {
            let mut frozen = Frozen::default();
            let mut pidfds = Vec::new();
            for writer in writers(files) {
                match candidate(&writer, files) {
                    Candidate::Stop(pidfd) => {
                        frozen.stopped.push((writer.pid, writer.command));
                        pidfds.push(pidfd);
                    }
                    Candidate::Leave(why) => frozen.left.push(format!("{} {why}", writer.describe())),
                    Candidate::Pass => {}
                }
            }
            let mut freeze = Freeze { watchdog: None, pidfds, began: Instant::now(), frozen };
            if !freeze.pidfds.is_empty() {
                freeze.stop(bound).map_err(|e| format!("its writers could not be stopped: {e}"))?;
            }
            Ok(freeze)
        }

        fn stop(&mut self, bound: Duration) -> std::io::Result<()> {
            let watchdog = self.watchdog.insert(Watchdog::start(bound, &self.pidfds)?);
            self.began = Instant::now();
            let answers = watchdog.stop(self.pidfds.len())?;
            let mut stopped = Vec::new();
            for ((pid, name), answer) in std::mem::take(&mut self.frozen.stopped).into_iter().zip(answers) {
                match answer {
                    Answer::Stopped => stopped.push((pid, name)),
                    Answer::NotPermitted => {
                        self.frozen.left.push(format!("{name} ({pid}) may not be stopped by this user"))
                    }
                    Answer::Gone => {}
                }
            }
            let until = Instant::now() + SETTLES.min(bound);
            while !stopped.iter().all(|(pid, _)| is_stopped(*pid)) && Instant::now() < until {
                std::thread::sleep(INTERVAL);
            }
            self.frozen.stopped = stopped;
            Ok(())
        }

        pub(super) fn end(&mut self) {
            let Some(mut watchdog) = self.watchdog.take() else { return };
            let ended = watchdog.end();
            if ended == Ended::Lost {
                for pidfd in &self.pidfds {
                    let _ = pidfd_send_signal(pidfd, Signal::CONT);
                }
            }
            self.frozen.pause = self.began.elapsed();
            self.frozen.cut_short = ended != Ended::Asked;
        }
    }

    impl Drop for Freeze {
        fn drop(&mut self) {
            self.end();
        }
    }

    /// Each process once.
    fn writers(files: &[&File]) -> Vec<Opener> {
        let mut found = BTreeMap::new();
        for opener in openers::of_all(files).list.into_iter().filter(|opener| opener.how.writes()) {
            // Those of the kernel have no PID, but different names.
            found.entry((opener.pid, opener.command.clone())).or_insert(opener);
        }
        found.into_values().collect()
    }

    enum Candidate {
        Stop(OwnedFd),
        /// It is left running.
        Leave(&'static str),
        /// It has ended, or does not write any more, or is stopped already.
        Pass,
    }

    fn candidate(writer: &Opener, files: &[&File]) -> Candidate {
        let pid = match writer.pid {
            0 => return Candidate::Leave("cannot be stopped"),
            1 => return Candidate::Leave("is never stopped"),
            pid if ancestors().contains(&pid) => return Candidate::Leave("is not stopped, as it runs this program"),
            pid => pid,
        };
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let Some(pidfd) = number.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else {
            return if openers::is_writer(pid, files) {
                Candidate::Leave("cannot be stopped")
            } else {
                Candidate::Pass
            };
        };
        // Looked at again, now that its PID cannot become that of another one unnoticed.
        let writes = openers::is_writer(pid, files) && !is_stopped(pid);
        if writes && !has_ended(&pidfd) { Candidate::Stop(pidfd) } else { Candidate::Pass }
    }

    fn has_ended(pidfd: &OwnedFd) -> bool {
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&at_once)).map_or(true, |ready| ready > 0)
    }
}

#[cfg(not(all(target_os = "linux", feature = "program")))]
mod imp {
    use super::{Duration, File, Frozen};

    #[derive(Debug)]
    pub(super) struct Freeze {
        pub(super) frozen: Frozen,
    }

    impl Freeze {
        pub(super) fn begin(_files: &[&File], _bound: Duration) -> Result<Freeze, String> {
            Err("processes can be stopped on Linux only, and only by the program memsnap".into())
        }

        pub(super) fn end(&mut self) {}
    }
}
