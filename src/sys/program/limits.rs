//! Limits of the process.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the number of files that can be open to what the system allows. Commands that are started later have the new
/// limit.
pub fn allow_most_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit); // then an error says that there are too many
}
