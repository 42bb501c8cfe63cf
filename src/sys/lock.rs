//! flock(2) that waits for so long and no longer, and says who is in the way.
//!
//! A lock is of an open file description, not of a process: children inherit it, and the number in /proc/locks may be of
//! one that is long gone (`exec 9>F; flock 9` in a shell: the shell holds it, the table names the dead `flock`). So the
//! holders are looked for among all descriptors (fdinfo). Where they are our own ancestors, as in `flock F memsnap snap
//! F`, the lock protects us already and waiting for it would be for ever.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::{At, Error, Result};

/// Shared with others of its kind, or alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Any number may hold it.
    Shared,
    /// One may hold it.
    Exclusive,
}

/// Who holds the lock that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Held {
    /// Our descriptor, until it is closed.
    ByUs,
    /// A process that we run under, which has to keep it as long as we run. Its other children are not kept out.
    ByAncestor,
}

/// Families of locks; one does not see the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// flock(2).
    Flock,
    /// fcntl(2) of a process.
    Posix,
    /// fcntl(2) of an open file description.
    Ofd,
    /// A lease: see [`super::lease`].
    Lease,
}

/// Somebody who holds a lock on a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// The process, unless it is out of our sight.
    pub pid: Option<u32>,
    /// Its name, to be escaped before a terminal sees it; empty when unknown.
    pub command: String,
    /// Shared or alone.
    pub kind: Kind,
    /// Which sort of lock.
    pub family: Family,
}

/// Locks `file`, waiting up to `wait` (zero: not at all) while somebody else holds it. `path` is for the message.
///
/// # Errors
/// `Busy`, naming the holder; at once when an ancestor holds it shared and we want it alone, as it would never let go.
/// What flock(2) says otherwise.
pub fn flock(file: &File, path: &Path, kind: Kind, wait: Duration) -> Result<Held> {
    if try_flock(file, path, kind)? {
        return Ok(Held::ByUs);
    }
    let start = Instant::now();
    let mut sleep = Duration::from_millis(1);
    let mut in_the_way = conflicting(file, kind);
    if in_the_way.is_empty() && try_flock(file, path, kind)? {
        return Ok(Held::ByUs); // let go while we looked
    }
    match by_ancestors(&in_the_way, kind) {
        Some(true) => return Ok(Held::ByAncestor),
        Some(false) => return Err(busy(path, &in_the_way, "let the command around memsnap lock it exclusively")),
        None => {}
    }
    while let Some(left) = wait.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) {
        std::thread::sleep(sleep.min(left));
        if try_flock(file, path, kind)? {
            return Ok(Held::ByUs);
        }
        sleep = (sleep * 2).min(Duration::from_millis(50));
    }
    if !wait.is_zero() {
        in_the_way = conflicting(file, kind);
    }
    Err(busy(path, &in_the_way, "try again when it has finished"))
}

fn try_flock(file: &File, path: &Path, kind: Kind) -> Result<bool> {
    let operation = match kind {
        Kind::Shared => FlockOperation::NonBlockingLockShared,
        Kind::Exclusive => FlockOperation::NonBlockingLockExclusive,
    };
    loop {
        match rustix::fs::flock(file, operation) {
            Ok(()) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Err(e) => return Err(e).at("locking", path),
        }
    }
}

fn conflicting(file: &File, kind: Kind) -> Vec<Holder> {
    let conflicts = |h: &Holder| kind == Kind::Exclusive || h.kind == Kind::Exclusive;
    holders(file).into_iter().filter(|h| h.family == Family::Flock && conflicts(h)).collect()
}

/// None: no ancestor holds it. Otherwise whether what it holds is as strong as what is wanted.
fn by_ancestors(in_the_way: &[Holder], kind: Kind) -> Option<bool> {
    let ancestors = super::procs::ancestors();
    let theirs = in_the_way.iter().filter(|h| h.pid.is_some_and(|pid| ancestors.contains(&pid)));
    theirs.map(|h| h.kind).max().map(|held| held >= kind)
}

fn busy(path: &Path, in_the_way: &[Holder], hint: &str) -> Error {
    let seen: Vec<u32> = in_the_way.iter().filter_map(|h| h.pid).collect();
    let holder = match seen.as_slice() {
        [] => "locked by a process not visible here".into(),
        [pid] => format!("locked by PID {pid}{}", name_of(in_the_way, *pid)),
        [pid, others @ ..] => format!("locked by PID {pid}{} and {} more", name_of(in_the_way, *pid), others.len()),
    };
    Error::Busy { path: path.into(), holder, hint: hint.into() }
}

fn name_of(holders: &[Holder], pid: u32) -> String {
    let known = holders.iter().find(|h| h.pid == Some(pid) && !h.command.is_empty());
    known.map(|h| format!(" ({})", h.command)).unwrap_or_default()
}

/// Everybody who holds a lock or lease on `file`, this process included. Those that only wait for one do not count.
pub fn holders(file: &File) -> Vec<Holder> {
    imp::holders(file)
}

#[cfg(target_os = "linux")]
mod imp {
    use super::{Family, File, Holder, Kind};
    use std::collections::BTreeSet;

    use crate::sys::procs::{Identity, command_of, pids, scan_fds};

    /// A line of /proc/locks, or of fdinfo after "lock:".
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub(super) struct Entry {
        pub(super) family: Family,
        pub(super) kind: Kind,
        /// As recorded: 0 or -1 for nobody in particular.
        pub(super) pid: i64,
    }

    impl Entry {
        /// `1: FLOCK  ADVISORY  WRITE 123 fe:00:4711 0 EOF`; a waiter has `->` before the family.
        pub(super) fn parse(line: &str, file: &Identity) -> Option<Entry> {
            let mut fields = line.split_ascii_whitespace().skip(1);
            let family = match fields.next()? {
                "FLOCK" => Family::Flock,
                "POSIX" => Family::Posix,
                "OFDLCK" => Family::Ofd,
                "LEASE" | "DELEG" => Family::Lease,
                _ => return None,
            };
            let kind = match fields.nth(1)? {
                "WRITE" => Kind::Exclusive,
                "READ" => Kind::Shared,
                _ => return None, // a lease about to be given back
            };
            let pid = fields.next()?.parse().ok()?;
            let (device, ino) = fields.next()?.rsplit_once(':')?;
            file.is(device, ino).then_some(Entry { family, kind, pid })
        }
    }

    pub(super) fn holders(file: &File) -> Vec<Holder> {
        let Some(identity) = Identity::of(file) else { return Vec::new() };
        let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
        let recorded: BTreeSet<Entry> = locks.lines().filter_map(|line| Entry::parse(line, &identity)).collect();
        if recorded.is_empty() {
            return Vec::new();
        }
        let mut found = BTreeSet::new();
        let mut explained = BTreeSet::new();
        for pid in pids().unwrap_or_default() {
            scan_fds(pid, &identity, |info| {
                let lines = info.lines().filter_map(|line| line.strip_prefix("lock:"));
                for entry in lines.filter_map(|line| Entry::parse(line, &identity)) {
                    found.insert(holder(Some(pid), entry));
                    explained.insert(entry);
                }
            });
        }
        // Whoever could not be looked at: the number on record is the best there is, if it is of anybody.
        for entry in recorded.difference(&explained) {
            let pid = u32::try_from(entry.pid).ok().filter(|pid| *pid != 0 && command_of(*pid).is_some());
            found.insert(holder(pid, *entry));
        }
        found.into_iter().collect()
    }

    fn holder(pid: Option<u32>, entry: Entry) -> Holder {
        Holder { pid, command: pid.and_then(command_of).unwrap_or_default(), kind: entry.kind, family: entry.family }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    pub(super) fn holders(_file: &super::File) -> Vec<super::Holder> {
        Vec::new()
    }
}

#[cfg(all(test, target_os = "linux"))]
#[path = "lock_test.rs"]
mod tests;
