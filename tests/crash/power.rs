//! The power goes at a system call: the victim is killed as it makes the call, and its file system stopped at once, so
//! that what was not yet on the disk never comes there.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use tempfile::TempDir;

use crate::case::{finish, no_forks, program};
use crate::mount::{Fs, needs_mounts, scratch};
use crate::points::{Calls, Findings};
use crate::scene::{Known, Scene};
use crate::scenes::scene;
use crate::stage::Stage;
use crate::tour::{chosen, nothing_found};
use crate::trace::{MUTATING, Subject, needs_strace, was_killed};
use crate::util::{by_size, nightly};

/// At most `limit` cuts, evenly from all mutating calls of the scene's command; and one after its end.
pub(crate) fn shutdown_cuts(scene: &Scene, fs: Fs, subject: &Subject, limit: usize) -> Findings {
    let known = scene.know();
    let mut stage = Stage::new(fs, |case| scene.prepare(case));
    let mut findings = Findings::default();
    let points = match limit {
        0 => Vec::new(),
        _ => Calls::of(subject, &stage.up(), scene.words, MUTATING).all(),
    };
    let step = points.len().div_ceil(limit.max(1)).max(1);
    for point in points.iter().step_by(step) {
        let what = format!("{} on {fs:?}, power cut at {point}", scene.name);
        let fault = format!("signal=SIGKILL:when={}", point.nth);
        let ran = subject.inject(&stage.up(), scene.words, &point.call, &fault);
        assert!(was_killed(&ran), "{what}: not killed: {ran:?}");
        findings.note(&what, cut(scene, &known, &mut stage, false));
    }
    let what = format!("{} on {fs:?}, power cut at the end", scene.name);
    finish(&mut subject.command(&stage.up(), scene.words)).exits(0);
    findings.note(&what, cut(scene, &known, &mut stage, true));
    findings
}

/// Cuts the power, and looks at what is left.
fn cut(scene: &Scene, known: &Known, stage: &mut Stage, acknowledged: bool) -> Result<(), String> {
    let case = stage.cut()?;
    scene.check(&case, known, acknowledged)
}

fn everywhere(fs: Fs) {
    if needs_mounts() && needs_strace() {
        let limit = by_size(8, 30, usize::MAX);
        nothing_found(&format!("power cut on {fs:?}"), &chosen(&["snap later", "revert"]), |scene| {
            shutdown_cuts(scene, fs, &Subject::sound(), limit)
        });
    }
}

#[test]
fn ext4_stops() {
    everywhere(Fs::Ext4);
}

#[test]
fn ext4_without_order_stops() {
    if nightly() {
        everywhere(Fs::Ext4Writeback);
    }
}

#[test]
fn xfs_stops() {
    everywhere(Fs::Xfs);
}

/// The harness notices a program that leaves its fsyncs out: what it has acknowledged is not there.
#[test]
fn the_stop_is_noticed() {
    if needs_mounts() && needs_strace() {
        let (dir, subject) = without_syncs();
        let found = shutdown_cuts(&scene("snap later"), Fs::Ext4, &subject, 0);
        assert_eq!((found.points, found.failures.len()), (1, 1), "{found:?}");
        drop(dir);
    }
}

/// The program, with fsyncs that succeed without effect; and the directory where it is. As it is under
/// strace itself, it cannot be killed by one.
pub(crate) fn without_syncs() -> (TempDir, Subject) {
    let dir = scratch();
    let script = dir.path().join("memsnap");
    let calls = "fsync,fdatasync,syncfs,sync_file_range";
    let text = format!(
        "#!/bin/sh\nexec strace -f -qq -o /dev/null -e trace={calls} -e inject={calls}:retval=0 {} \"$@\"\n",
        program().display()
    );
    {
        let _alone = no_forks();
        let mut file = fs::OpenOptions::new().create_new(true).write(true).mode(0o700).open(&script).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }
    (dir, Subject::planted(script, "none"))
}
