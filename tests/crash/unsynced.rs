//! Bugs that only a loss of power shows, planted in the program: what is not brought to the disk in time is missed, by
//! the machine that stops a file system, or by the disk whose cache is lost.
//!
//! `MEMSNAP_PLANTED_PROGRAM` is the path of a program that was built to have them:
//! `RUSTFLAGS='--cfg planted' cargo build --release --locked --target-dir target/planted`.

use std::path::PathBuf;

use crate::case::skip;
use crate::disk::needs_fuse;
use crate::mount::{Fs, needs_mounts};
use crate::power::shutdown_cuts;
use crate::replay::replayed;
use crate::scene::scene;
use crate::trace::{Subject, needs_strace};

/// Each bug, and a scene that it spoils.
const ROWS: [(&str, &str); 4] =
    [("NoFileSync", "snap later"), ("NoDirSync", "snap later"), ("NoTargetSync", "revert"), ("NoVecSync", "vec push")];

#[test]
fn every_bug_is_noticed() {
    let Some(program) = std::env::var_os("MEMSNAP_PLANTED_PROGRAM").map(PathBuf::from) else {
        return skip("MEMSNAP_PLANTED_PROGRAM does not name a program with planted bugs");
    };
    if !needs_mounts() || !needs_strace() || !needs_fuse() {
        return;
    }
    let program = program.canonicalize().expect("MEMSNAP_PLANTED_PROGRAM is not there");
    for (bug, name) in ROWS {
        let (subject, scene) = (Subject::planted(program.clone(), bug), scene(name));
        let stops = shutdown_cuts(&scene, Fs::Ext4, &subject, 60);
        let disks = replayed(&scene, Fs::Ext4, &subject, 60, 1);
        let of = |found: &crate::findings::Findings| format!("{} of {}", found.failures.len(), found.points);
        eprintln!("{bug}, {name}: {} stops, {} disks", of(&stops), of(&disks));
        assert!(!stops.failures.is_empty() || !disks.failures.is_empty(), "{bug} is not noticed");
    }
}
