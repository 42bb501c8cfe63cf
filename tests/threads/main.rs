//! The library used by many threads at once: the verbs on one target, and views of shared snapshots. Small, as it is also
//! run under the thread sanitizer.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stderr, reason = "tests print figures, and why they are skipped")]

#[allow(dead_code, reason = "shared")]
#[path = "../util/ground.rs"]
mod ground;
#[allow(dead_code, reason = "shared")]
#[path = "../util/mod.rs"]
mod util;
mod verbs;
mod views;
