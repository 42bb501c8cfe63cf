//! The locks of a file: as part of the full output, and alone (`--locks`).

use std::path::Path;
use std::time::UNIX_EPOCH;

use memsnap::sys::kernel_locks::{Lock, LockKind, Locks, Process};
use serde::Serialize;

use super::super::common_flags::Global;
use super::super::escape;
use super::super::json::{self, JsonPath, object};
use super::super::screen::Screen;
use super::output::{Inspection, Line};

/// Adds the locks of `file` to what is shown; `named` if there are other files.
pub(super) fn show(
    file: &Path,
    locks: &Locks,
    named: bool,
    global: &Global,
    screen: &Screen,
    inspection: &mut Inspection,
) -> anyhow::Result<()> {
    let locked = locks.held().next().is_some();
    inspection.seen += 1;
    inspection.locked |= locked;
    if screen.is_json() {
        inspection.json.push(json::line(&object! {
            schema: "memsnap.stat.locks.1",
            #[serde(flatten)] path: JsonPath::of(file),
            locked,
            complete: locks.complete,
            locks: of(locks),
        })?);
    } else if !global.quiet {
        let name = if named { format!("{}: ", escape::path(file)) } else { String::new() };
        inspection.lines.extend(locks.locks.iter().map(|lock| Line::Text(format!("{name}{}", describe(lock)))));
    }
    Ok(())
}

/// `flock exclusive by 123 sh, 124 sleep`, `posix shared 0..4096, wanted by 5 x`.
pub(super) fn describe(lock: &Lock) -> String {
    let family = family(lock.kind);
    let kind = if lock.exclusive { "exclusive" } else { "shared" };
    let range = match (lock.start, lock.end) {
        (0, None) => String::new(),
        (start, None) => format!(" {start:#x}.."),
        (start, Some(end)) => format!(" {start:#x}..{end:#x}"),
    };
    let who = |p: &Process| format!("{} {}", p.pid, escape::text(p.command.as_deref().unwrap_or("?")));
    let who = match &lock.holders[..] {
        [] if lock.waiting && lock.kind == LockKind::Ofd => "a process that the kernel does not name".into(),
        [] => "a process not visible here".into(),
        all => all.iter().map(who).collect::<Vec<_>>().join(", "),
    };
    let by = if lock.waiting { ", wanted by" } else { " by" };
    format!("{family} {kind}{range}{by} {who}")
}

fn family(kind: LockKind) -> &'static str {
    match kind {
        LockKind::Flock => "flock",
        LockKind::Posix => "posix",
        LockKind::Ofd => "ofd",
        LockKind::Lease => "lease",
    }
}

/// All locks, for JSON.
pub(super) fn of(locks: &Locks) -> Vec<impl Serialize> {
    let process = |process: &Process| {
        let started = process.started.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        object! {
            pid: process.pid,
            command: process.command.clone(),
            started_ns: started.and_then(|since| i64::try_from(since.as_nanos()).ok()),
        }
    };
    let lock = |lock: &Lock| {
        object! {
            kind: family(lock.kind),
            exclusive: lock.exclusive,
            start: lock.start,
            end: lock.end,
            waiting: lock.waiting,
            holders: lock.holders.iter().map(process).collect::<Vec<_>>(),
        }
    };
    locks.locks.iter().map(lock).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_words() {
        let process = |pid| Process { pid, command: Some("sh".into()), started: None };
        let mut lock = Lock {
            kind: LockKind::Flock,
            exclusive: true,
            start: 0,
            end: None,
            waiting: false,
            holders: vec![process(7), process(8)],
        };
        assert_eq!(describe(&lock), "flock exclusive by 7 sh, 8 sh");
        (lock.kind, lock.exclusive, lock.end, lock.waiting) = (LockKind::Ofd, false, Some(4096), true);
        lock.holders.clear();
        assert_eq!(describe(&lock), "ofd shared 0x0..0x1000, wanted by a process that the kernel does not name");
        lock.waiting = false;
        assert_eq!(describe(&lock), "ofd shared 0x0..0x1000 by a process not visible here");
    }
}
