//! The library as a whole: histories against oracles, damage, interruption, size, and the layers of the code.
//!
//! Nothing here starts a process: between fork and exec a child holds every open file of ours, and a lease on a target
//! would be refused. What needs the program is in `tests/cli`.
#![allow(clippy::print_stderr, reason = "tests print figures, and why they are skipped")]

mod circles;
mod corrupt;
#[path = "../util/ground.rs"]
mod ground;
mod hints;
mod interrupted;
mod layers;
mod many;
mod model;
mod recoverable;
#[allow(dead_code, reason = "shared")]
#[path = "../util/mod.rs"]
mod util;
mod vec;
