//! What must hold for long: many processes at once on one store, locks that are taken away, files without end, and memory
//! that does not grow. At full size with `MEMSNAP_NIGHTLY=1`.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stderr, reason = "tests print figures, and why they are skipped")]

#[allow(dead_code, reason = "shared")]
#[path = "../util/case.rs"]
mod case;
mod clones;
mod concurrent;
mod dense;
mod freeze;
mod measure;
#[allow(dead_code, reason = "shared")]
#[path = "../util/mount.rs"]
mod mount;
#[path = "../util/pairs.rs"]
mod pairs;
mod quiet;
#[allow(dead_code, reason = "shared")]
#[path = "../util/quiet.rs"]
mod quiet_util;
mod replaced;
mod serial;
mod sets;
mod soak;
mod sparse;
mod unchanged;
#[allow(dead_code, reason = "shared")]
#[path = "../util/mod.rs"]
mod util;
