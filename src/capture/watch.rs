//! Watching a target while it is read: what keeps processes from writing to it, or shows that none does.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::quiet::{GRACE, NotQuiet, QuietWindow};
use crate::error::Result;
use crate::sys::lease::{Lease, LeaseAnswer};
use crate::sys::lock::{self, LockMode};
use crate::sys::{fs as sysfs, openers};

/// The first pause before the file is tried again, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// A watch over a target from before it is read until after.
#[derive(Debug)]
pub(crate) struct CaptureWatch<'a> {
    means: Means<'a>,
    /// Why there is no lease.
    reason: String,
}

#[derive(Debug)]
enum Means<'a> {
    /// While it is held no process can write.
    Lease(Lease<'a>),
    /// A write shows.
    Quiet(QuietWindow<'a>),
    /// It was being written when the watch began.
    Written,
    /// Nothing shows whether it is written.
    None,
}

/// What a watch says of a reading when it ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Watched {
    /// No process could write.
    Excluded,
    /// What is read is a clone.
    Cloned,
    /// No write was seen; why none was excluded.
    Quiet(String),
    /// It was written, and may be quiet another time; why no write was excluded.
    Written(String),
    /// Nothing is known; why.
    Unknown(String),
}

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For a shared flock, if one is wanted.
    pub(crate) lock: Option<Duration>,
    /// For the file to be quiet.
    pub(crate) until: Instant,
}

/// A file to watch: its path, and directories as for [`quiet::check`](crate::sys::quiet::check).
pub(crate) type Watchable<'a, 'b> = (&'a File, &'b Path, &'b [PathBuf; 2]);

impl<'a> CaptureWatch<'a> {
    /// Begins a watch over each file: asks for a read lease, and where it is not granted for a quiet window; again with
    /// growing pauses while one of the files is being written. A flock is let go when its file is closed.
    ///
    /// # Errors
    /// [`crate::Error::Busy`] when another process keeps the flock.
    pub(crate) fn begin(files: &[Watchable<'a, '_>], patience: Patience) -> Result<Vec<CaptureWatch<'a>>> {
        if let Some(wait) = patience.lock {
            for (file, path, _) in files {
                // Held by us or by a process that runs us: either way no writer has it.
                let _ = lock::flock(file, path, LockMode::Shared, wait)?;
            }
        }
        let (mut pause, longest) = PAUSES;
        loop {
            let mut watches: Vec<_> =
                files.iter().map(|(file, _, dirs)| CaptureWatch::try_begin(file, *dirs)).collect();
            CaptureWatch::open_all(&mut watches);
            let written = watches.iter().any(|watch| matches!(watch.means, Means::Written));
            // Nothing will be seen of such a file another time; if its flush failed, there must not be another.
            let hopeless = watches.iter().any(|watch| matches!(watch.means, Means::None));
            if !written || hopeless || Instant::now() + pause > patience.until {
                return Ok(watches);
            }
            drop(watches);
            std::thread::sleep(pause);
            pause = (2 * pause).min(longest);
        }
    }

    /// Begins a quiet window over each file, once, and without asking for a lease: its writers are stopped, as `reason`
    /// says.
    pub(crate) fn begin_quiet(files: &[Watchable<'a, '_>], reason: &str) -> Vec<CaptureWatch<'a>> {
        let mut watches: Vec<_> =
            files.iter().map(|(file, _, dirs)| CaptureWatch::try_quiet(file, *dirs, reason.into())).collect();
        CaptureWatch::open_all(&mut watches);
        watches
    }

    fn try_begin(file: &'a File, dirs: &[PathBuf]) -> CaptureWatch<'a> {
        match lease(file) {
            Ok(lease) => CaptureWatch { means: Means::Lease(lease), reason: String::new() },
            Err(reason) => CaptureWatch::try_quiet(file, dirs, reason),
        }
    }

    fn try_quiet(file: &'a File, dirs: &[PathBuf], reason: String) -> CaptureWatch<'a> {
        match QuietWindow::begin(file, dirs) {
            Ok(window) => CaptureWatch { means: Means::Quiet(window), reason },
            Err(why) => CaptureWatch::none(named(file, reason), why),
        }
    }

    fn none(reason: String, why: NotQuiet) -> CaptureWatch<'a> {
        match why {
            NotQuiet::Blind(why) => CaptureWatch { means: Means::None, reason: format!("{reason}; {why}") },
            NotQuiet::Written => {
                CaptureWatch { means: Means::Written, reason: format!("{reason}; it was being written") }
            }
        }
    }

    /// Opens the quiet windows among them, after one pause for all.
    fn open_all(watches: &mut [CaptureWatch<'a>]) {
        if !watches.iter().any(|watch| matches!(watch.means, Means::Quiet(_))) {
            return;
        }
        let began = Instant::now();
        for watch in &mut *watches {
            if let Means::Quiet(window) = &watch.means {
                watch.reason = named(window.file(), std::mem::take(&mut watch.reason));
            }
        }
        std::thread::sleep(GRACE.saturating_sub(began.elapsed()));
        for watch in watches {
            if let Means::Quiet(window) = &watch.means
                && let Err(why) = window.open()
            {
                *watch = CaptureWatch::none(std::mem::take(&mut watch.reason), why);
            }
        }
    }

    /// No watch; why.
    pub(crate) fn blind(why: String) -> CaptureWatch<'a> {
        CaptureWatch { means: Means::None, reason: why }
    }

    /// Whether a lease would be granted: no process has `file` open for writing.
    pub(crate) fn is_free(file: &File) -> bool {
        lease(file).is_ok()
    }

    /// Whether it is a lease.
    pub(crate) fn is_lease(&self) -> bool {
        matches!(self.means, Means::Lease(_))
    }

    /// Whether something may come of it.
    pub(crate) fn sees(&self) -> bool {
        !matches!(self.means, Means::None | Means::Written)
    }

    /// Whether the file was being written when the watch began.
    pub(crate) fn is_written(&self) -> bool {
        matches!(self.means, Means::Written)
    }

    /// Ends, after the last byte was read.
    pub(crate) fn end(self, file: &File) -> Watched {
        match self.means {
            Means::None | Means::Written => Watched::Unknown(self.reason),
            Means::Quiet(window) => match window.end() {
                Ok(_) => Watched::Quiet(self.reason),
                Err(NotQuiet::Written) => Watched::Written(self.reason),
                Err(NotQuiet::Blind(why)) => Watched::Unknown(format!("{}; {why}", self.reason)),
            },
            Means::Lease(lease) => {
                let stopped = lease.is_broken() && lease.was_stopped();
                match (stopped, lease.release()) {
                    (true, _) => Watched::Unknown("it was stopped while it was read, and gave its lease back".into()),
                    (_, true) => Watched::Excluded,
                    (_, false) => Watched::Written(writers(file)),
                }
            }
        }
    }
}

/// A read lease, or why there is none: an empty text if because processes have the file open for writing. To find them
/// takes as long as there are processes, so it is best done in a pause.
fn lease(file: &File) -> Result<Lease<'_>, String> {
    match sysfs::kind(file) {
        Ok(kind) if !kind.lease_blocks_opening() => return Err(format!("leases prove nothing on {}", kind.name())),
        Err(e) => return Err(format!("its file system is not known: {e}")),
        Ok(_) => {}
    }
    match Lease::read(file) {
        Ok(LeaseAnswer::Granted(lease)) => Ok(lease),
        Ok(LeaseAnswer::Refused) => Err(String::new()),
        Ok(LeaseAnswer::NotOwner) => Err("not the owner, nor root: who else has it open is not known".into()),
        Ok(LeaseAnswer::Unsupported) => Err("this system has no leases".into()),
        Err(e) => Err(format!("no lease: {e}")),
    }
}

/// A reason of [`lease`] in words.
fn named(file: &File, reason: String) -> String {
    if reason.is_empty() { writers(file) } else { reason }
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
