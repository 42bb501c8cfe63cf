//! All locks and leases on a file that the kernel reports, and the processes that hold them.
//!
//! /proc/locks names the process that took a lock, which is not always the one that holds it: flock, OFD locks and
//! leases belong to an open file description, which children inherit (`exec 9>F; flock 9` in a shell: the shell holds
//! it, the table names the `flock` that has ended), and for OFD locks it names no process. The holders are found in
//! fdinfo of the descriptors of all processes that may be inspected.
#![allow(unsafe_code, reason = "kcmp(2) has no safe wrapper")]

use std::fs::File;
use std::time::SystemTime;

use super::process::command_of;

/// Families of locks, which do not conflict with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LockKind {
    /// flock(2).
    Flock,
    /// fcntl(2) of a process.
    Posix,
    /// fcntl(2) of an open file description.
    Ofd,
    /// A lease: see [`super::lease`].
    Lease,
}

/// A process, as far as it is visible.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Its PID.
    pub pid: u32,
    /// Its name, which it can choose itself: to be escaped for a terminal.
    pub command: Option<String>,
    /// When it was started, to 10 ms.
    pub started: Option<SystemTime>,
}

/// A lock, held or waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Its family.
    pub kind: LockKind,
    /// A write lock, which one alone can hold; otherwise any number can.
    pub exclusive: bool,
    /// The first byte that it covers; 0 for flock and leases.
    pub start: u64,
    /// The first byte after it. None: to the end of the file, wherever that will be.
    pub end: Option<u64>,
    /// Not held, but waited for.
    pub waiting: bool,
    /// The processes that hold it, several where it was inherited; of a lock that is waited for, the one that waits.
    /// Empty where none is visible: a process of another user or container, a descriptor in transit in a socket.
    pub holders: Vec<Process>,
}

impl Lock {
    /// Whether process `pid` holds it, and is not only waiting for it.
    pub fn is_held_by(&self, pid: u32) -> bool {
        !self.waiting && self.holders.iter().any(|h| h.pid == pid)
    }
}

/// The locks on a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locks {
    /// The locks, in the kernel's order: a waiter comes after what it waits for.
    pub locks: Vec<Lock>,
    /// False: there may be locks that are not listed, or holders that were not found for sure.
    pub complete: bool,
}

impl Locks {
    /// Those that are held.
    pub fn held(&self) -> impl Iterator<Item = &Lock> {
        self.locks.iter().filter(|lock| !lock.waiting)
    }
}

impl Process {
    /// What is visible of process `pid`, possibly nothing.
    pub fn of(pid: u32) -> Process {
        Process { pid, command: command_of(pid), started: imp::started(pid) }
    }
}

/// All locks on `file` that the kernel reports, those of this process included. If there are any, this walks over the
/// descriptors of all processes: some 10 ms for 100 processes.
pub fn of(file: &File) -> Locks {
    imp::of(file, false)
}

/// The same without the locks of the open file description of `file` itself.
pub(super) fn of_others(file: &File) -> Locks {
    imp::of(file, true)
}

#[cfg(target_os = "linux")]
mod imp {
    use super::{File, Lock, LockKind, Locks, Process, SystemTime};
    use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
    use std::os::fd::AsRawFd;
    use std::time::Duration;

    use crate::sys::process::{Identity, Inspected, in_initial_namespace, pids, scan_fds, stat_fields};

    /// A line of /proc/locks, or of fdinfo after "lock:".
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    pub(super) struct LockLine {
        pub(super) kind: LockKind,
        pub(super) exclusive: bool,
        pub(super) waiting: bool,
        /// The process that took it: -1 for OFD locks, 0 or less for no process here.
        pub(super) pid: i64,
        pub(super) start: u64,
        pub(super) end: Option<u64>,
    }

    impl LockLine {
        /// `1: FLOCK  ADVISORY  WRITE 123 fe:00:4711 0 EOF`; a waiter has `->` before the family.
        pub(super) fn parse(line: &str, file: &Identity) -> Option<LockLine> {
            let mut fields = line.split_ascii_whitespace().skip(1).peekable();
            let waiting = fields.next_if_eq(&"->").is_some();
            let kind = match fields.next()? {
                "FLOCK" => LockKind::Flock,
                "POSIX" => LockKind::Posix,
                "OFDLCK" => LockKind::Ofd,
                "LEASE" | "DELEG" => LockKind::Lease,
                _ => return None,
            };
            // Neither READ nor WRITE: a lease that is being broken.
            let exclusive = fields.nth(1)? == "WRITE";
            let pid = fields.next()?.parse().ok()?;
            let (device, ino) = fields.next()?.rsplit_once(':')?;
            let start = fields.next()?.parse().ok()?;
            let end = match fields.next()? {
                "EOF" => None,
                last => Some(last.parse::<u64>().ok()? + 1),
            };
            file.is(device, ino).then_some(LockLine { kind, exclusive, waiting, pid, start, end })
        }

        fn asked_by(&self) -> Option<u32> {
            u32::try_from(self.pid).ok().filter(|pid| *pid > 0)
        }

        fn lock(&self, holders: impl IntoIterator<Item = u32>, known: &mut Processes) -> Lock {
            let LockLine { kind, exclusive, waiting, start, end, .. } = *self;
            let holders = holders.into_iter().filter_map(|pid| known.process(pid)).collect();
            Lock { kind, exclusive, start, end, waiting, holders }
        }
    }

    /// Processes that were inspected: thousands of locks may have the same holders.
    #[derive(Default)]
    struct Processes(HashMap<u32, Option<Process>>);

    impl Processes {
        /// None: it has ended, and holds nothing any more.
        fn process(&mut self, pid: u32) -> Option<Process> {
            let look = || Some(Process::of(pid)).filter(|p| p.command.is_some());
            self.0.entry(pid).or_insert_with(look).clone()
        }
    }

    /// A lock seen in fdinfo.
    struct FdLock {
        line: LockLine,
        /// The descriptors that have it: PID and number.
        at: Vec<(u32, u32)>,
    }

    impl FdLock {
        fn lock(&self, known: &mut Processes) -> Lock {
            self.line.lock(self.at.iter().map(|(pid, _)| *pid).collect::<BTreeSet<_>>(), known)
        }
    }

    /// The locks of /proc/locks, if it can be read.
    fn table(file: &Identity) -> Option<Vec<LockLine>> {
        let text = std::fs::read_to_string("/proc/locks").ok()?;
        Some(once(text.lines().filter_map(|line| LockLine::parse(line, file))).collect())
    }

    /// The table is read in pieces: when locks are added meanwhile, a line is read twice. A process has no lock of its
    /// own twice.
    pub(super) fn once(lines: impl Iterator<Item = LockLine>) -> impl Iterator<Item = LockLine> {
        let mut seen = HashSet::new();
        lines.filter(move |line| line.kind != LockKind::Posix || line.waiting || seen.insert(line.clone()))
    }

    pub(super) fn of(file: &File, of_others: bool) -> Locks {
        let Some(identity) = Identity::of(file) else { return Locks::default() };
        let recorded = table(&identity);
        // The table leaves out locks whose process has no PID in our namespace, even if a process that has one
        // inherited them.
        let whole = recorded.is_some() && in_initial_namespace();
        let recorded = recorded.unwrap_or_default();
        if whole && recorded.is_empty() {
            return Locks { locks: Vec::new(), complete: true };
        }
        let (found, unseen) = found(&identity, &recorded);
        let mut by_line: HashMap<&LockLine, VecDeque<usize>> = HashMap::new();
        found.iter().enumerate().for_each(|(i, f)| by_line.entry(&f.line).or_default().push_back(i));
        let (mut listed, mut known) = (vec![false; found.len()], Processes::default());
        let own = (std::process::id(), u32::try_from(file.as_raw_fd()).unwrap_or(u32::MAX));
        let shown = |f: &FdLock| !of_others || !f.at.contains(&own);
        let mut still = None;
        let mut all = Locks { locks: Vec::new(), complete: whole };
        for line in &recorded {
            if line.waiting {
                all.locks.push(line.lock(line.asked_by(), &mut known));
            } else if let Some(i) = by_line.get_mut(line).and_then(VecDeque::pop_front) {
                listed[i] = true;
                all.locks.extend(shown(&found[i]).then(|| found[i].lock(&mut known)));
            } else if still.get_or_insert_with(|| lines_now(&identity)).contains(line) {
                // The process that took it counts as its holder only if it holds it for certain (POSIX), or could not
                // be inspected: its PID may belong to another by now.
                let of_process = line.kind == LockKind::Posix;
                let asked = line.asked_by().filter(|pid| of_process || unseen.contains(pid));
                let lock = line.lock(asked, &mut known);
                all.complete &= of_process && !lock.holders.is_empty();
                all.locks.push(lock);
            }
        }
        let rest = found.iter().zip(listed).filter(|(f, listed)| !listed && shown(f));
        all.locks.extend(rest.map(|(f, _)| f.lock(&mut known)));
        all
    }

    fn lines_now(file: &Identity) -> HashSet<LockLine> {
        table(file).unwrap_or_default().into_iter().collect()
    }

    /// The locks of all descriptors that may be inspected, and the processes that may not.
    fn found(file: &Identity, recorded: &[LockLine]) -> (Vec<FdLock>, BTreeSet<u32>) {
        let mut all: Vec<FdLock> = Vec::new();
        let mut unseen = BTreeSet::new();
        let (mut by_line, mut times): (HashMap<LockLine, Vec<usize>>, HashMap<&LockLine, usize>) = Default::default();
        recorded.iter().for_each(|line| *times.entry(line).or_default() += 1);
        for pid in pids().unwrap_or_default() {
            let seen = scan_fds(pid, file, |fd, info| {
                let lines = info.lines().filter_map(|line| line.strip_prefix("lock:"));
                for line in lines.filter_map(|line| LockLine::parse(line, file)) {
                    let one_only = || times.get(&line).is_none_or(|n| *n < 2);
                    let is_it = |i: &&usize| {
                        let at = all[**i].at[0];
                        line.kind == LockKind::Posix || same_description(at, (pid, fd)).unwrap_or_else(one_only)
                    };
                    let same = by_line.entry(line.clone()).or_default();
                    if let Some(i) = same.iter().find(is_it) {
                        all[*i].at.push((pid, fd));
                    } else {
                        same.push(all.len());
                        all.push(FdLock { line, at: vec![(pid, fd)] });
                    }
                }
            });
            if seen == Inspected::No {
                unseen.insert(pid);
            }
        }
        (all, unseen)
    }

    /// Whether two descriptors (PID and number) are of one open file description; none if kcmp(2) does not say.
    fn same_description(a: (u32, u32), b: (u32, u32)) -> Option<bool> {
        const KCMP_FILE: libc::c_int = 0;
        // SAFETY: kcmp(2) takes five numbers and reads or writes no memory of ours; unknown ones are an error.
        match unsafe { libc::syscall(libc::SYS_kcmp, a.0, b.0, KCMP_FILE, libc::c_ulong::from(a.1), u64::from(b.1)) } {
            0 => Some(true),
            1.. => Some(false),
            _ => None,
        }
    }

    pub(super) fn started(pid: u32) -> Option<SystemTime> {
        // Ticks since boot; the fields here begin with the third.
        let ticks: u64 = stat_fields(pid)?.get(19)?.parse().ok()?;
        let at = Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second().max(1));
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let now = Duration::try_from(now).ok()?;
        SystemTime::now().checked_sub(now.checked_sub(at)?)
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    pub(super) fn of(_file: &super::File, _of_others: bool) -> super::Locks {
        super::Locks::default()
    }

    pub(super) fn started(_pid: u32) -> Option<super::SystemTime> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
#[path = "kernel_locks_test.rs"]
mod tests;
