//! Proving that no process writes to a target while it is read, by a lease.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use crate::error::Result;
use crate::sys::lease::{Lease, LeaseAnswer};
use crate::sys::lock::{self, LockMode};
use crate::sys::{fs as sysfs, openers};

/// The lease on a target from before it is read until after.
#[derive(Debug)]
pub struct CaptureWatch<'a> {
    lease: Option<Lease<'a>>,
    reason: String,
}

impl<'a> CaptureWatch<'a> {
    /// Takes a read lease and, with `lock`, a shared flock, waiting at most `wait` for it. Closing `file` releases the
    /// flock.
    ///
    /// # Errors
    /// [`crate::Error::Busy`] when another process holds the flock.
    pub fn begin(file: &'a File, path: &Path, lock: bool, wait: Duration) -> Result<CaptureWatch<'a>> {
        if lock {
            // Held by this process or by an ancestor: in both cases by no writer.
            let _ = lock::flock(file, path, LockMode::Shared, wait)?;
        }
        let mut watch = CaptureWatch { lease: None, reason: String::new() };
        match sysfs::kind(file) {
            Ok(kind) if kind.lease_blocks_opening() => match Lease::read(file) {
                Ok(LeaseAnswer::Granted(lease)) => watch.lease = Some(lease),
                Ok(LeaseAnswer::Refused) => watch.reason = writers(file),
                Ok(LeaseAnswer::NotOwner) => {
                    watch.reason = "not the owner, nor root: who else has it open is not known".into()
                }
                Ok(LeaseAnswer::Unsupported) => watch.reason = "this system has no leases".into(),
                Err(e) => watch.reason = format!("no lease: {e}"),
            },
            Ok(kind) => watch.reason = format!("leases prove nothing on {}", kind.name()),
            Err(e) => watch.reason = format!("its file system is not known: {e}"),
        }
        Ok(watch)
    }

    /// Ends it. Returns whether the lease was held all the time, and if not, the reason.
    pub fn end(self, file: &File) -> (bool, String) {
        match self.lease {
            None => (false, self.reason),
            Some(lease) => {
                let stopped = lease.is_broken() && lease.was_stopped();
                let kept = lease.release();
                if stopped {
                    return (false, "it was stopped while it was read, and gave its lease back".into());
                }
                (kept, if kept { String::new() } else { format!("{} while it was read", writers(file)) })
            }
        }
    }
}

/// Names the processes that have the file open or mapped for writing.
pub(crate) fn writers(file: &File) -> String {
    let openers = openers::of(file);
    let writes = |how: &openers::FileUse| matches!(how, openers::FileUse::OpenWrite | openers::FileUse::MappedWrite);
    let mut names: Vec<String> = Vec::new();
    for opener in openers.list.iter().filter(|o| writes(&o.how)) {
        let how = if opener.how == openers::FileUse::MappedWrite { "mapped" } else { "open" };
        let name = format!("{how} for writing by {}", opener.describe());
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        return "open for writing by a process not visible here".into();
    }
    let rest = names.len().saturating_sub(3);
    names.truncate(3);
    let mut text = names.join(", ");
    if rest > 0 {
        text.push_str(&format!(" and {rest} more"));
    }
    text
}
