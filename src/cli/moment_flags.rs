//! Flags for the moment at which a file is captured.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueHint};
use memsnap::ops::Around;
use memsnap::program::around;

use super::units;

const HEADING: &str = "Programs that write to FILE";

/// What happens to programs that write to the file, while it is captured.
#[derive(Args)]
pub(crate) struct MomentFlags {
    /// Stop the processes that write to FILE while it is read, for MS at most
    ///
    /// First FILE is read without stopping any process. Only if it was written
    /// meanwhile, the processes that have it open or mapped for writing are
    /// stopped (SIGSTOP) for one more reading, and continued (SIGCONT) after
    /// at most MS milliseconds (default 5000), even if memsnap is killed. The
    /// grade is observed, as it is not certain that all were found. The stop
    /// takes as long as reading FILE from memory, plus storing what changed
    /// since the latest snapshot: if that is much, run snap once before.
    /// Never stopped are memsnap, the processes that run it and process 1.
    #[arg(long, value_name = "MS", help_heading = HEADING, value_parser = units::milliseconds, verbatim_doc_comment)]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "5000")]
    pub(crate) freeze: Option<Duration>,
    /// Run CMD right before FILE is read, such as one that flushes a program
    ///
    /// With `sh -c`, and with the path of FILE in $MEMSNAP_FILE if it is only
    /// one; nothing is on its stdin, and its stdout goes to stderr. If it
    /// fails, no snapshot is taken. It must not freeze the file system of the
    /// store (fsfreeze): that is noticed after 5 seconds, and is an error.
    #[arg(long, value_name = "CMD", help_heading = HEADING, value_hint = ValueHint::CommandString, verbatim_doc_comment)]
    pre: Option<OsString>,
    /// Run CMD right after FILE was read, before the snapshot is stored
    ///
    /// As --pre. Once the command of --pre has begun it always runs: also if
    /// that fails, after errors, and before SIGINT, SIGTERM or SIGHUP end
    /// memsnap; not after SIGKILL. If it fails, the snapshot is stored, and the
    /// exit code is 2.
    #[arg(long, value_name = "CMD", help_heading = HEADING, value_hint = ValueHint::CommandString, verbatim_doc_comment)]
    post: Option<OsString>,
}

impl MomentFlags {
    /// The commands to run around the moment; `file`: if there is only one.
    pub(crate) fn around(&self, file: Option<&Path>) -> Option<Arc<Commands>> {
        if self.pre.is_none() && self.post.is_none() {
            return None;
        }
        // Not resolved: as the user knows it, but from the root on.
        let file = file.map(|file| std::path::absolute(file).unwrap_or_else(|_| file.into()));
        Some(Arc::new(Commands(around::Around::new(self.pre.clone(), self.post.clone(), file))))
    }
}

/// The commands of `--pre` and `--post`.
#[derive(Debug)]
pub(crate) struct Commands(around::Around);

impl Commands {
    /// What to report if `--post` failed.
    pub(crate) fn failed(&self) -> Option<String> {
        self.0.failed().map(|how| format!("running --post: {how}; what --pre did may still be in effect"))
    }
}

impl Around for Commands {
    fn begin(&self, histories: &[&Path]) -> memsnap::Result<()> {
        self.0.begin().map_err(|how| {
            memsnap::Error::refused(format!("running --pre: {how}"), "make the command succeed: nothing was stored")
        })?;
        match histories.iter().find(|dir| !around::is_writable_soon(dir)) {
            None => Ok(()),
            Some(dir) => {
                let what =
                    format!("after --pre, nothing can be written to {}: its file system is frozen", dir.display());
                Err(memsnap::Error::refused(what, "keep the store on another file system, with --store DIR"))
            }
        }
    }

    fn end(&self) {
        self.0.end();
    }
}
