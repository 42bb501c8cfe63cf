//! Flags for the moment at which a file is captured.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueHint};
use memsnap::ops::Around;
use memsnap::ops::snap::Options;
use memsnap::program::around;
use memsnap::sys::freeze::Frozen;

use super::exit::Exit;
use super::screen::Screen;
use super::units;

const HEADING: &str = "Programs that write to FILE";

/// What happens to programs that write to the file, while it is captured.
#[derive(Args)]
pub(crate) struct MomentFlags {
    /// Stop the processes that write to FILE while it is read, for MS at most
    ///
    /// First FILE is read without stopping any process. Only if it was
    /// written meanwhile, the processes that have it open or mapped for
    /// writing are stopped (SIGSTOP) for one more reading, and continued
    /// (SIGCONT) after at most MS milliseconds (default 5000), even if
    /// memsnap is killed. The grade is observed, as it is not certain that
    /// all were found. Where FILE can be cloned (xfs, btrfs), nobody has to
    /// be stopped. The stop takes as long as reading FILE from memory, plus
    /// storing what changed since the latest snapshot: if that is much, run
    /// snap once before.
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
    /// memsnap; not after SIGKILL. If it fails, the snapshot is stored, and
    /// the exit code is 2. Both run once for each FILE or set, and again if
    /// a log of a database comes meanwhile, as it is then captured too.
    #[arg(long, value_name = "CMD", help_heading = HEADING, value_hint = ValueHint::CommandString, verbatim_doc_comment)]
    post: Option<OsString>,
}

impl MomentFlags {
    /// Runs `take`, which has the commands run around the moment of capture; `file`: if there is only one.
    pub(crate) fn around(
        &self,
        file: Option<&Path>,
        options: &Options,
        screen: &mut Screen,
        take: impl FnOnce(&Options, &mut Screen) -> Exit,
    ) -> Exit {
        if self.pre.is_none() && self.post.is_none() {
            return take(options, screen);
        }
        // Not resolved: as the user knows it, but from the root on.
        let file = file.map(|file| std::path::absolute(file).unwrap_or_else(|_| file.into()));
        let commands = Arc::new(Commands(around::Around::new(self.pre.clone(), self.post.clone(), file)));
        let exit = take(&options.clone().around(commands.clone() as Arc<dyn Around>), screen);
        let Some(how) = commands.0.failed() else { return exit };
        screen.warn(&format!("running --post: {how}; what --pre did may still be in effect"));
        exit.max(Exit::Trouble)
    }
}

/// The commands of `--pre` and `--post`.
#[derive(Debug)]
struct Commands(around::Around);

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

/// `, 2 processes stopped for 143 ms`.
pub(crate) fn stopped(frozen: Option<&Frozen>) -> String {
    let Some(frozen) = frozen.filter(|frozen| !frozen.stopped.is_empty()) else { return String::new() };
    let s = if frozen.stopped.len() == 1 { "" } else { "es" };
    format!(", {} process{s} stopped for {} ms", frozen.stopped.len(), frozen.pause.as_millis())
}
