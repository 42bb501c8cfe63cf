//! The vector that a verb is about.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueHint;

use super::super::{escape, units};

/// The file, and how long to wait for it.
#[derive(clap::Args)]
pub(super) struct VectorArgs {
    /// The vector
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) file: PathBuf,
    /// Wait up to SECS seconds for the lock; 0 fails at once
    #[arg(long, value_name = "SECS", default_value = "10", value_parser = units::seconds)]
    #[arg(allow_negative_numbers = true)]
    pub(super) wait: Duration,
}

impl VectorArgs {
    /// What is being done, for errors: "reading counts".
    pub(super) fn doing(&self, what: &str) -> String {
        format!("{what} {}", escape::path(&self.file))
    }
}
