//! The program stopped where it hurts: killed, the power cut, a call that fails; and programs with bugs planted in
//! them, to prove that this would be noticed.
//!
//! All of it at full size with `MEMSNAP_NIGHTLY=1`; without, a part that takes minutes.
#![cfg(target_os = "linux")]
#![cfg_attr(not(feature = "dev"), allow(dead_code, reason = "parts are there for the disk in memory alone"))]
#![allow(clippy::print_stderr, reason = "tests print figures, and why they are skipped")]

mod blocks;
#[allow(dead_code, reason = "shared")]
#[path = "../util/case.rs"]
mod case;
mod cloned;
mod directory;
#[cfg(feature = "dev")]
mod disk;
mod disk_faults;
mod elsewhere;
mod evidence;
mod faults;
mod grounds;
mod kill;
mod leftovers;
mod limits;
#[path = "../util/mount.rs"]
mod mount;
mod planted;
mod points;
mod power;
#[allow(dead_code, reason = "shared")]
#[path = "../util/quiet.rs"]
mod quiet_util;
mod random;
#[cfg(feature = "dev")]
mod replay;
mod reserved;
mod scene;
mod scenes;
mod stage;
mod tour;
#[allow(dead_code, reason = "shared")]
#[path = "../util/trace.rs"]
mod trace;
#[allow(dead_code, reason = "shared")]
#[path = "../util/mod.rs"]
mod util;

#[test]
fn every_scene_can_be_played() {
    for scene in scenes::scenes() {
        let known = scene.know();
        let case = case::Case::new();
        scene.prepare(&case);
        scene.check(&case, &known, false).unwrap_or_else(|why| panic!("{}, not begun: {why}", scene.name));
        let case = case::Case::new();
        scene.prepare(&case);
        case.ok(scene.words);
        scene.check(&case, &known, true).unwrap_or_else(|why| panic!("{}, completed: {why}", scene.name));
    }
}
