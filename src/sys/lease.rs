//! Leases: the kernel guarantees that no process has a file open or mapped for writing (or at all), until one wants to.
//!
//! A program that opens the file then waits for us to give way: a watcher looks every 10 ms and gives the lease back at
//! once, and what was read under it is no longer proven. Between [`Lease::keep`] and [`Lease::give_way`] it is not
//! given back: who opens the file waits, until the kernel takes the lease by force (/proc/sys/fs/lease-break-time, 45 s
//! by default; 0 is never). Only file systems with [`super::fs::FsKind::lease_blocks_opening`] are to be believed. The
//! kernel announces the break by a signal: SIGURG is chosen, as it does nothing unless it is handled (the usual SIGIO
//! kills).
//!
//! While a break is pending, F_GETLEASE names the kind that the holder is to step down to, and so it does after the
//! kernel has stepped it down: only fdinfo distinguishes the two (BREAKING). A break stays pending when no process
//! waits any more: who opened the file with O_NONBLOCK got EWOULDBLOCK, who was interrupted has gone.
#![cfg_attr(target_os = "linux", allow(unsafe_code, reason = "fcntl(2) with lease commands has no safe wrapper"))]

use std::fs::File;
use std::io;

use super::openers::Opener;

/// What the kernel says to the wish for a lease.
#[derive(Debug)]
pub enum LeaseAnswer<'a> {
    /// It is ours, and the proof holds from now on.
    Granted(Lease<'a>),
    /// A process has the file open or mapped in a way that excludes it.
    Refused,
    /// Only the owner of a file, and root, may ask: nothing is known.
    NotOwner,
    /// This system or file system has no leases: nothing is known.
    Unsupported,
}

/// A lease on a file; given back when dropped.
#[derive(Debug)]
pub struct Lease<'a> {
    imp: imp::Lease,
    /// The lease is of the open file description: as long as the file is borrowed it stays open.
    _file: std::marker::PhantomData<&'a File>,
}

impl<'a> Lease<'a> {
    /// A read lease: while it is held no process has the file open or mapped for writing. `file` must be open for
    /// reading only, and nowhere else in this process for writing.
    ///
    /// # Errors
    /// As fcntl(2), for what is no answer; when no thread can be started.
    pub fn read(file: &'a File) -> io::Result<LeaseAnswer<'a>> {
        imp::take(file, imp::READ)
    }

    /// A write lease: while it is held no other process has the file open at all. There must be no other open
    /// description of it in this process either: duplicates of `file` are fine, a second opening is not.
    ///
    /// # Errors
    /// As fcntl(2), for what is no answer; when no thread can be started.
    pub fn write(file: &'a File) -> io::Result<LeaseAnswer<'a>> {
        imp::take(file, imp::WRITE)
    }

    /// Whether it is held no more; looks now. It was given back because a process wanted the file, or taken by force.
    pub fn is_broken(&self) -> bool {
        self.imp.is_broken()
    }

    /// Whether it was given back because this program was to stop (SIGTSTP): see `program::stop`.
    pub fn was_stopped(&self) -> bool {
        self.imp.was_stopped()
    }

    /// From now on it is not given back before [`Lease::give_way`] or its release: who opens the file waits. False when
    /// it was broken before; then nothing changes. This process must not open the file meanwhile: it would wait for
    /// itself.
    pub fn keep(&self) -> bool {
        self.imp.keep()
    }

    /// From now on it is given back at once again, to a process that may be waiting already.
    pub fn give_way(&self) {
        self.imp.give_way();
    }

    /// Who was seen to have the file right after it was broken: a waiting process is in no table before.
    pub fn wanted_by(&self) -> Vec<Opener> {
        self.imp.wanted_by()
    }

    /// Gives it back; true when it was held to this moment.
    pub fn release(mut self) -> bool {
        self.imp.finish()
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.imp.finish();
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use super::{File, LeaseAnswer, Opener, io};
    use std::os::fd::AsRawFd;
    use std::sync::{Arc, Condvar, Mutex, PoisonError};
    use std::thread::JoinHandle;
    use std::time::Duration;

    use libc::c_int;
    use rustix::io::Errno;

    use crate::sys::openers;
    #[cfg(feature = "program")]
    use crate::sys::program::stop;

    /// Only a program handles the signal that stops it.
    #[cfg(not(feature = "program"))]
    mod stop {
        pub(super) fn lease_begins() {}
        pub(super) fn lease_ended() {}
        pub(super) fn is_wanted() -> bool {
            false
        }
    }

    pub(super) const READ: c_int = libc::F_RDLCK;
    pub(super) const WRITE: c_int = libc::F_WRLCK;

    /// How often the watcher looks; a program that wants the file waits that long.
    const WATCH: Duration = Duration::from_millis(10);
    /// How often it is looked who has the file after the lease was given back: they are still on their way.
    const LOOKS: usize = 3;

    /// From fcntl.h; libc has no name for it on all targets.
    const F_SETSIG: c_int = 10;

    /// The one place that changes the lease, whichever thread comes first.
    #[derive(Debug)]
    struct Watched {
        /// A duplicate: of the same open file description, so the lease is its as well.
        file: File,
        kind: c_int,
        seen: Mutex<Status>,
        ended: Condvar,
    }

    #[derive(Debug)]
    struct Status {
        state: Phase,
        /// Who was seen to have the file then.
        wanted_by: Vec<Opener>,
        /// It was given back for a stop.
        stopped: bool,
        /// A stop waits for it.
        counted: bool,
    }

    impl Status {
        fn uncount(&mut self) {
            if std::mem::take(&mut self.counted) {
                stop::lease_ended();
            }
        }
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Phase {
        /// It is given back as soon as a process wants the file.
        Ours,
        /// It is not.
        Kept,
        Broken,
        Released,
    }

    #[derive(Debug)]
    pub(super) struct Lease {
        held: Arc<Watched>,
        watcher: Option<JoinHandle<()>>,
    }

    pub(super) fn take(file: &File, kind: c_int) -> io::Result<LeaseAnswer<'_>> {
        let seen = Status { state: Phase::Ours, wanted_by: Vec::new(), stopped: false, counted: true };
        let held = Watched { file: file.try_clone()?, kind, seen: Mutex::new(seen), ended: Condvar::new() };
        // Before the lease: afterwards the break may come, with the signal that was set then.
        fcntl(file, F_SETSIG, libc::SIGURG)?;
        stop::lease_begins();
        if let Err(e) = fcntl(file, libc::F_SETLEASE, kind) {
            stop::lease_ended();
            return match e {
                Errno::AGAIN => Ok(LeaseAnswer::Refused),
                Errno::ACCESS | Errno::PERM => Ok(LeaseAnswer::NotOwner),
                Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP => Ok(LeaseAnswer::Unsupported),
                e => Err(e.into()),
            };
        }
        let mut lease = Lease { held: Arc::new(held), watcher: None };
        let watched = lease.held.clone();
        let watcher = std::thread::Builder::new().name("lease".into()).spawn(move || watched.watch());
        match watcher {
            Ok(watcher) => lease.watcher = Some(watcher),
            Err(e) => {
                lease.finish();
                return Err(e);
            }
        }
        Ok(LeaseAnswer::Granted(super::Lease { imp: lease, _file: std::marker::PhantomData }))
    }

    fn fcntl(file: &File, command: c_int, argument: c_int) -> Result<c_int, Errno> {
        // SAFETY: the commands used here (F_SETSIG, F_SETLEASE, F_GETLEASE) take a number or nothing, no pointer; the
        // descriptor is open as `file` is borrowed.
        let rc = unsafe { libc::fcntl(file.as_raw_fd(), command, argument) };
        if rc < 0 { Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)) } else { Ok(rc) }
    }

    impl Watched {
        /// While the lease is kept, the kernel is not asked for it: that alone would let it take the lease by force
        /// when the time is over, even if no process is waiting any more.
        fn watch(&self) {
            let mut seen = self.lock();
            loop {
                let state = if seen.state == Phase::Kept { Phase::Kept } else { self.look(&mut seen) };
                if matches!(state, Phase::Broken | Phase::Released) {
                    return;
                }
                seen = self.ended.wait_timeout(seen, WATCH).unwrap_or_else(PoisonError::into_inner).0;
            }
        }

        fn lock(&self) -> std::sync::MutexGuard<'_, Status> {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner)
        }

        /// While a break is pending the kernel names the kind that we are to step down to.
        fn look(&self, seen: &mut Status) -> Phase {
            let stop = seen.state == Phase::Ours && stop::is_wanted();
            let held = match seen.state {
                Phase::Broken | Phase::Released => true,
                Phase::Ours => self.is_whole(),
                Phase::Kept => self.is_whole() || self.is_pending(),
            };
            if stop {
                (seen.state, seen.stopped) = (Phase::Broken, true);
                self.give_back();
                seen.uncount();
            } else if !held {
                if seen.state == Phase::Ours {
                    seen.uncount();
                }
                seen.state = Phase::Broken;
                self.give_back();
                for _ in 0..LOOKS {
                    seen.wanted_by = openers::of(&self.file).list;
                    if !seen.wanted_by.is_empty() {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            seen.state
        }

        fn is_whole(&self) -> bool {
            fcntl(&self.file, libc::F_GETLEASE, 0) == Ok(self.kind)
        }

        /// A process wants the file, and the kernel has not taken the lease by force.
        fn is_pending(&self) -> bool {
            let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", self.file.as_raw_fd()));
            info.unwrap_or_default().lines().any(|line| line.contains(" LEASE ") && line.contains(" BREAKING "))
        }

        fn give_back(&self) {
            let _ = fcntl(&self.file, libc::F_SETLEASE, libc::F_UNLCK);
        }
    }

    impl Lease {
        pub(super) fn is_broken(&self) -> bool {
            self.held.look(&mut self.held.lock()) == Phase::Broken
        }

        pub(super) fn keep(&self) -> bool {
            let mut seen = self.held.lock();
            let ours = self.held.look(&mut seen) == Phase::Ours;
            if ours {
                seen.state = Phase::Kept;
            }
            ours
        }

        pub(super) fn give_way(&self) {
            let mut seen = self.held.lock();
            if seen.state == Phase::Kept {
                seen.state = Phase::Ours;
                self.held.look(&mut seen);
            }
            drop(seen);
            self.held.ended.notify_all();
        }

        pub(super) fn was_stopped(&self) -> bool {
            self.held.lock().stopped
        }

        pub(super) fn wanted_by(&self) -> Vec<Opener> {
            self.held.lock().wanted_by.clone()
        }

        /// Gives it back, once; whether it was ours to the end.
        pub(super) fn finish(&mut self) -> bool {
            let mut seen = self.held.lock();
            let ours = matches!(self.held.look(&mut seen), Phase::Ours | Phase::Kept);
            if ours {
                seen.state = Phase::Released;
                self.held.give_back();
            }
            seen.uncount();
            drop(seen);
            self.held.ended.notify_all();
            if let Some(watcher) = self.watcher.take() {
                let _ = watcher.join();
            }
            ours
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::{File, LeaseAnswer, Opener, io};

    pub(super) const READ: () = ();
    pub(super) const WRITE: () = ();

    #[derive(Debug)]
    pub(super) struct Lease;

    impl Lease {
        pub(super) fn is_broken(&self) -> bool {
            true
        }

        pub(super) fn keep(&self) -> bool {
            false
        }

        pub(super) fn give_way(&self) {}

        pub(super) fn was_stopped(&self) -> bool {
            false
        }

        pub(super) fn wanted_by(&self) -> Vec<Opener> {
            Vec::new()
        }

        pub(super) fn finish(&mut self) -> bool {
            false
        }
    }

    pub(super) fn take(_file: &File, _kind: ()) -> io::Result<LeaseAnswer<'_>> {
        Ok(LeaseAnswer::Unsupported)
    }
}

#[cfg(all(test, target_os = "linux"))]
#[path = "lease_test.rs"]
mod tests;
