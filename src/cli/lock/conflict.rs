//! Names the processes that hold a lock.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use memsnap::sys::kernel_locks::{Locks, Process};
use serde::Serialize;

use super::target::LockTarget;
use crate::cli::escape;
use crate::cli::json::{self, JsonPath, object};
use crate::cli::log::local_time;
use crate::cli::screen::Screen;

/// Most processes that a message names.
const NAMED: usize = 5;

/// Reports, after `doing`, which processes hold the locks that were `found`; `code` is the exit code.
pub(super) fn tell(
    doing: &str,
    found: &Locks,
    target: &LockTarget,
    code: u8,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let us = std::process::id();
    let mut holders: Vec<&Process> = found.locks.iter().flat_map(|lock| &lock.holders).collect();
    // We may have inherited the descriptor that holds it: then the process that passed it on is named.
    if holders.iter().any(|process| process.pid != us) {
        holders.retain(|process| process.pid != us);
    }
    holders.sort();
    holders.dedup_by_key(|process| process.pid);
    let path = target.path();
    let who = match (&holders[..], found.locks.is_empty() && found.complete) {
        ([only], _) if only.pid == us => " through another descriptor, which this process inherited".into(),
        ([], true) => " by a process that has released it since".into(),
        ([], false) => " by a process not visible here".into(),
        (some, _) => format!(" by {}", list(some)),
    };
    let what = format!("{} is locked{who}", escape::path(&path));
    if screen.is_json() {
        screen.own_error(&json::line(&object! {
            schema: "memsnap.error.1",
            error: &what,
            hint: "wait for the lock: without -n, or with a longer -w",
            code,
            #[serde(flatten)] path: matches!(target, LockTarget::File(_)).then(|| JsonPath::of(&path)),
            holders: holders.iter().map(|p| json_process(p)).collect::<Vec<_>>(),
        })?);
    } else {
        screen.tell(&format!("memsnap: {doing}{what}"));
    }
    Ok(())
}

fn list(holders: &[&Process]) -> String {
    let mut named: Vec<String> = holders.iter().take(NAMED).map(|p| describe(p)).collect();
    if holders.len() > NAMED {
        named.push(format!("{} more", holders.len() - NAMED));
    }
    named.join("; ")
}

/// `PID 4711 (python3), started 2026-01-31 12:00:00`
fn describe(process: &Process) -> String {
    let command = process.command.as_deref().filter(|c| !c.is_empty());
    let command = command.map(|c| format!(" ({})", escape::text(c))).unwrap_or_default();
    let started = process.started.map(|t| format!(", started {}", local_time(nanos(t)))).unwrap_or_default();
    format!("PID {}{command}{started}", process.pid)
}

fn json_process(process: &Process) -> impl Serialize {
    // To the second: the kernel's ticks are no better than a hundredth, and the clock is set meanwhile.
    let started = process.started.and_then(|t| Timestamp::from_second(nanos(t).div_euclid(1_000_000_000)).ok());
    object! { pid: process.pid, command: process.command.as_deref(), started: started.map(|time| time.to_string()) }
}

fn nanos(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).ok().and_then(|d| i64::try_from(d.as_nanos()).ok()).unwrap_or(0)
}
