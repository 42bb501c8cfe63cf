//! Memory with a history: random histories against oracles, beside the crate they are measured against, in processes
//! that lack something, and from every source.
#![allow(clippy::print_stderr, reason = "tests say why they are skipped")]

#[cfg(all(target_os = "linux", feature = "dev"))]
mod crumbles;
mod ground;
mod history;
#[cfg(target_os = "linux")]
mod kernel;
mod limits;
mod parts;
mod process;
mod sources;
#[allow(dead_code, reason = "shared")]
#[path = "../util/mod.rs"]
mod util;
