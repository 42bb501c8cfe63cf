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
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::openers::{self, Opener};
#[cfg(all(unix, feature = "program"))]
use super::program::stop;

/// Only a program handles SIGTSTP.
#[cfg(not(all(unix, feature = "program")))]
mod stop {
    pub(super) fn lease_begins() {}
    pub(super) fn lease_ended() {}
    pub(super) fn is_wanted() -> bool {
        false
    }
}

/// The interval between checks; a program that opens the file waits that long.
const INTERVAL: Duration = Duration::from_millis(10);
/// How often the openers are looked up after the lease was given back: they may still be opening the file.
const LOOKS: usize = 3;

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
    shared: Arc<Shared>,
    /// The lease belongs to the open file description: as long as the file is borrowed it stays open.
    _file: PhantomData<&'a File>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Read,
    Write,
}

/// The leases that are held, and whether a thread checks them.
static HELD: Mutex<(Vec<Arc<Shared>>, bool)> = Mutex::new((Vec::new(), false));

/// Shared with the thread that checks. Only code that holds the mutex changes the lease.
#[derive(Debug)]
struct Shared {
    /// A duplicate: the lease belongs to the open file description.
    file: File,
    kind: Kind,
    status: Mutex<Status>,
}

#[derive(Debug)]
struct Status {
    phase: Phase,
    /// The openers after it was broken.
    wanted_by: Vec<Opener>,
    /// It was given back for SIGTSTP.
    stopped: bool,
    /// SIGTSTP is delayed by it.
    delays_stop: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Held, and given back as soon as a process opens the file.
    Held,
    /// Held, and not given back.
    Kept,
    Broken,
    Released,
}

impl<'a> Lease<'a> {
    /// A read lease: while it is held no process has the file open or mapped for writing. `file` must be open for
    /// reading only, and nowhere else in this process for writing.
    ///
    /// # Errors
    /// As fcntl(2), for other errors; when no thread can be started.
    pub fn read(file: &'a File) -> io::Result<LeaseAnswer<'a>> {
        Lease::take(file, Kind::Read)
    }

    /// A write lease: while it is held no other process has the file open at all. This process must not have opened it
    /// a second time either; duplicates of `file` are allowed.
    ///
    /// # Errors
    /// As fcntl(2), for other errors; when no thread can be started.
    pub fn write(file: &'a File) -> io::Result<LeaseAnswer<'a>> {
        Lease::take(file, Kind::Write)
    }

    fn take(file: &'a File, kind: Kind) -> io::Result<LeaseAnswer<'a>> {
        let status = Status { phase: Phase::Held, wanted_by: Vec::new(), stopped: false, delays_stop: true };
        let shared = Shared { file: file.try_clone()?, kind, status: Mutex::new(status) };
        stop::lease_begins();
        match imp::take(file, kind) {
            Ok(None) => {}
            refused => {
                stop::lease_ended();
                return refused.map(|answer| answer.unwrap_or(LeaseAnswer::Unsupported));
            }
        }
        let lease = Lease { shared: Arc::new(shared), _file: PhantomData };
        // Dropping the lease gives it back if no thread can be started.
        watch(lease.shared.clone())?;
        Ok(LeaseAnswer::Granted(lease))
    }

    /// Checks whether it was given back, because a process opened the file, or broken by the kernel.
    pub fn is_broken(&self) -> bool {
        self.shared.check(&mut self.shared.lock()) == Phase::Broken
    }

    /// Whether it was given back for SIGTSTP: see `program::stop`.
    pub fn was_stopped(&self) -> bool {
        self.shared.lock().stopped
    }

    /// From now on it is not given back before [`Lease::give_way`] or its release: a process that opens the file waits.
    /// False when it was broken before; then nothing changes. This process must not open the file meanwhile: it would
    /// wait for itself.
    pub fn keep(&self) -> bool {
        let mut status = self.shared.lock();
        let held = self.shared.check(&mut status) == Phase::Held;
        if held {
            status.phase = Phase::Kept;
        }
        held
    }

    /// Ends [`Lease::keep`]: if a process is waiting already, it is given back now.
    pub fn give_way(&self) {
        let mut status = self.shared.lock();
        if status.phase == Phase::Kept {
            status.phase = Phase::Held;
            self.shared.check(&mut status);
        }
    }

    /// The processes that had the file right after it was broken: no table lists a process that waits.
    pub fn wanted_by(&self) -> Vec<Opener> {
        self.shared.lock().wanted_by.clone()
    }

    /// Gives it back; true when it was held until now.
    pub fn release(self) -> bool {
        self.finish()
    }

    fn finish(&self) -> bool {
        let mut status = self.shared.lock();
        let held = matches!(self.shared.check(&mut status), Phase::Held | Phase::Kept);
        if held {
            status.phase = Phase::Released;
            imp::give_back(&self.shared.file);
        }
        status.allow_stop();
        drop(status);
        // Its descriptor is closed with the lease.
        held_leases().0.retain(|other| !Arc::ptr_eq(other, &self.shared));
        held
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Status {
    fn allow_stop(&mut self) {
        if std::mem::take(&mut self.delays_stop) {
            stop::lease_ended();
        }
    }
}

fn held_leases() -> MutexGuard<'static, (Vec<Arc<Shared>>, bool)> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One thread checks all leases, and ends when there are none.
fn watch(lease: Arc<Shared>) -> io::Result<()> {
    let mut held = held_leases();
    held.0.push(lease);
    if !held.1 {
        std::thread::Builder::new().name("lease".into()).spawn(watch_all)?;
        held.1 = true;
    }
    Ok(())
}

fn watch_all() {
    loop {
        let mut held = held_leases();
        held.0.retain(|lease| lease.is_to_be_watched());
        if held.0.is_empty() {
            held.1 = false;
            return;
        }
        drop(held);
        std::thread::sleep(INTERVAL);
    }
}

impl Shared {
    /// While the lease is kept, F_GETLEASE is not called: after the break time, that alone would make the kernel break
    /// the lease, even if no process is waiting any more.
    fn is_to_be_watched(&self) -> bool {
        let mut status = self.lock();
        status.phase == Phase::Kept || !matches!(self.check(&mut status), Phase::Broken | Phase::Released)
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, status: &mut Status) -> Phase {
        let stop = status.phase == Phase::Held && stop::is_wanted();
        let held = match status.phase {
            Phase::Broken | Phase::Released => true,
            Phase::Held => imp::is_whole(&self.file, self.kind),
            Phase::Kept => imp::is_whole(&self.file, self.kind) || imp::is_pending(&self.file),
        };
        if stop {
            (status.phase, status.stopped) = (Phase::Broken, true);
            imp::give_back(&self.file);
            status.allow_stop();
        } else if !held {
            if status.phase == Phase::Held {
                status.allow_stop();
            }
            status.phase = Phase::Broken;
            imp::give_back(&self.file);
            for _ in 0..LOOKS {
                status.wanted_by = openers::of(&self.file).list;
                if !status.wanted_by.is_empty() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        status.phase
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use super::{File, Kind, LeaseAnswer, io};
    use std::os::fd::AsRawFd;

    use libc::c_int;
    use rustix::io::Errno;

    /// From fcntl.h; libc does not define it on all targets.
    const F_SETSIG: c_int = 10;

    /// None: it is held.
    pub(super) fn take(file: &File, kind: Kind) -> io::Result<Option<LeaseAnswer<'static>>> {
        // Before the lease is taken: a break sends the signal that is set when it comes.
        fcntl(file, F_SETSIG, libc::SIGURG)?;
        match fcntl(file, libc::F_SETLEASE, number(kind)) {
            Ok(_) => Ok(None),
            Err(Errno::AGAIN) => Ok(Some(LeaseAnswer::Refused)),
            Err(Errno::ACCESS | Errno::PERM) => Ok(Some(LeaseAnswer::NotOwner)),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(Some(LeaseAnswer::Unsupported)),
            Err(e) => Err(e.into()),
        }
    }

    fn number(kind: Kind) -> c_int {
        match kind {
            Kind::Read => libc::F_RDLCK,
            Kind::Write => libc::F_WRLCK,
        }
    }

    fn fcntl(file: &File, command: c_int, argument: c_int) -> Result<c_int, Errno> {
        // SAFETY: F_SETSIG, F_SETLEASE and F_GETLEASE take a number or nothing, no pointer; the descriptor is open.
        let rc = unsafe { libc::fcntl(file.as_raw_fd(), command, argument) };
        if rc < 0 { Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)) } else { Ok(rc) }
    }

    pub(super) fn give_back(file: &File) {
        let _ = fcntl(file, libc::F_SETLEASE, libc::F_UNLCK);
    }

    pub(super) fn is_whole(file: &File, kind: Kind) -> bool {
        fcntl(file, libc::F_GETLEASE, 0) == Ok(number(kind))
    }

    /// A process is opening the file, and the kernel has not broken the lease yet.
    pub(super) fn is_pending(file: &File) -> bool {
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd()));
        info.unwrap_or_default().lines().any(|line| line.contains(" LEASE ") && line.contains(" BREAKING "))
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::{File, Kind, LeaseAnswer, io};

    pub(super) fn take(_file: &File, _kind: Kind) -> io::Result<Option<LeaseAnswer<'static>>> {
        Ok(Some(LeaseAnswer::Unsupported))
    }

    pub(super) fn give_back(_file: &File) {}

    pub(super) fn is_whole(_file: &File, _kind: Kind) -> bool {
        false
    }

    pub(super) fn is_pending(_file: &File) -> bool {
        false
    }
}

#[cfg(all(test, target_os = "linux"))]
#[path = "lease_test.rs"]
mod tests;
