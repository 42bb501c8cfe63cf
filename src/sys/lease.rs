//! Leases: the kernel guarantees that no process has a file open or mapped for writing (or at all) while one is held.
//!
//! A program that opens the file waits until the lease is given back. A thread checks for that every 10 ms, and gives
//! it back immediately; what was read under it is then no longer proven. Between [`Lease::keep`] and
//! [`Lease::give_way`] the program has to wait, until the kernel breaks the lease (/proc/sys/fs/lease-break-time, 45 s
//! by default; 0 is never). A lease counts only on file systems with `FsKind::lease_blocks_opening`. The kernel
//! announces the break by a signal: SIGURG is used, as it is ignored by default (the usual SIGIO kills).
//!
//! While a break is pending, F_GETLEASE returns the kind that the holder is to downgrade to, and also after the kernel
//! has downgraded it: only fdinfo distinguishes the two (BREAKING). A break stays pending even if no process waits any
//! more: with O_NONBLOCK, opening failed with EWOULDBLOCK, or a signal interrupted it.
#![cfg_attr(target_os = "linux", allow(unsafe_code, reason = "fcntl(2) with lease commands has no safe wrapper"))]

use std::fs::File;
use std::io;

use super::openers::Opener;

/// The answer of the kernel to a request for a lease.
#[derive(Debug)]
pub enum LeaseAnswer<'a> {
    /// It is held from now on.
    Granted(Lease<'a>),
    /// A process has the file open or mapped in a conflicting way.
    Refused,
    /// Only the owner of a file, and root, may take one: nothing is known.
    NotOwner,
    /// This system or file system has none: nothing is known.
    Unsupported,
}

/// A lease on a file; given back when dropped.
#[derive(Debug)]
pub struct Lease<'a> {
    imp: imp::Lease,
    /// The lease belongs to the open file description: as long as the file is borrowed it stays open.
    _file: std::marker::PhantomData<&'a File>,
}

impl<'a> Lease<'a> {
    /// A read lease: while it is held no process has the file open or mapped for writing. `file` must be open for
    /// reading only, and nowhere else in this process for writing.
    ///
    /// # Errors
    /// As fcntl(2), for other errors; when no thread can be started.
    pub fn read(file: &'a File) -> io::Result<LeaseAnswer<'a>> {
        imp::take(file, imp::READ)
    }

    /// A write lease: while it is held no other process has the file open at all. This process must not have opened it
    /// a second time either; duplicates of `file` are allowed.
    ///
    /// # Errors
    /// As fcntl(2), for other errors; when no thread can be started.
    pub fn write(file: &'a File) -> io::Result<LeaseAnswer<'a>> {
        imp::take(file, imp::WRITE)
    }

    /// Checks whether it was given back, because a process opened the file, or broken by the kernel.
    pub fn is_broken(&self) -> bool {
        self.imp.is_broken()
    }

    /// Whether it was given back for SIGTSTP: see `program::stop`.
    pub fn was_stopped(&self) -> bool {
        self.imp.was_stopped()
    }

    /// From now on it is not given back before [`Lease::give_way`] or its release: a process that opens the file waits.
    /// False when it was broken before; then nothing changes. This process must not open the file meanwhile: it would
    /// wait for itself.
    pub fn keep(&self) -> bool {
        self.imp.keep()
    }

    /// Ends [`Lease::keep`]: if a process is waiting already, it is given back now.
    pub fn give_way(&self) {
        self.imp.give_way();
    }

    /// The processes that had the file right after it was broken: no table lists a process that waits.
    pub fn wanted_by(&self) -> Vec<Opener> {
        self.imp.wanted_by()
    }

    /// Gives it back; true when it was held until now.
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

    /// Only a program handles SIGTSTP.
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

    /// The interval between checks; a program that opens the file waits that long.
    const WATCH: Duration = Duration::from_millis(10);
    /// How often the openers are looked up after the lease was given back: they may still be opening the file.
    const LOOKS: usize = 3;

    /// From fcntl.h; libc does not define it on all targets.
    const F_SETSIG: c_int = 10;

    /// Shared with the thread that checks. Only code that holds the mutex changes the lease.
    #[derive(Debug)]
    struct Watched {
        /// A duplicate: the lease belongs to the open file description.
        file: File,
        kind: c_int,
        seen: Mutex<Status>,
        ended: Condvar,
    }

    #[derive(Debug)]
    struct Status {
        state: Phase,
        /// The openers after it was broken.
        wanted_by: Vec<Opener>,
        /// It was given back for SIGTSTP.
        stopped: bool,
        /// SIGTSTP is delayed by it.
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
        /// Held, and given back as soon as a process opens the file.
        Ours,
        /// Held, and not given back.
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
        // Before the lease is taken: a break sends the signal that is set when it comes.
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
        // SAFETY: F_SETSIG, F_SETLEASE and F_GETLEASE take a number or nothing, no pointer; the descriptor is open.
        let rc = unsafe { libc::fcntl(file.as_raw_fd(), command, argument) };
        if rc < 0 { Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)) } else { Ok(rc) }
    }

    impl Watched {
        /// While the lease is kept, F_GETLEASE is not called: after the break time, that alone would make the kernel
        /// break the lease, even if no process is waiting any more.
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

        /// A process is opening the file, and the kernel has not broken the lease yet.
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

        /// Gives it back, once; whether it was held until now.
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
