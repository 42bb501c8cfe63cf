//! Flags for the moment at which a file is captured.

use std::time::Duration;

use clap::Args;

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
}
