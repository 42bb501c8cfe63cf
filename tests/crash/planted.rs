//! Bugs that are planted on purpose: each is noticed by a harness here, which finds nothing in the program as it is. A
//! harness that notices nothing proves nothing.
//!
//! `MEMSNAP_PLANTED_PROGRAM` is the path of a program that was built to have them:
//! `RUSTFLAGS='--cfg planted' cargo build --release --locked --target-dir target/planted`.

use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;

use crate::case::{Case, PAGE, Ran, finish, has, noise, skip, start};
use crate::cloned::bytes_in_the_inode;
use crate::directory::in_memory;
#[cfg(feature = "dev")]
use crate::disk::needs_fuse;
use crate::disk_faults::{a_disk_that_lies, syncs_that_fail};
use crate::evidence::a_second_store;
use crate::kill::killed;
#[cfg(feature = "dev")]
use crate::mount::{Fs, needs_mounts};
use crate::points::Findings;
#[cfg(feature = "dev")]
use crate::power::shutdown_cuts;
use crate::quiet_util::{LateStore, mapped, needs_late_stores, needs_quiet};
#[cfg(feature = "dev")]
use crate::replay::replayed;
use crate::scenes::scene;
use crate::trace::{Subject, needs_strace};
#[cfg(feature = "dev")]
use crate::util::nightly;
use crate::util::{by_size, eventually};

/// What looks for a bug.
enum Harness {
    /// Here.
    Here(fn(&Subject) -> Findings),
    /// Here, of files that are open: root, and a file system where it shows whether they are quiet.
    Quiet(fn(&Subject) -> Findings),
    /// Losses of power while this scene is played: only they show what was not brought to the disk.
    Power(&'static str),
}

/// Every bug of src/planted.rs, and what notices it.
const ROWS: &[(&str, Harness)] = &[
    ("NoFileSync", Harness::Power("snap later")),
    ("NoDirSync", Harness::Power("snap first")),
    ("NoTargetSync", Harness::Power("revert")),
    ("NoIntent", Harness::Here(|subject| killed(subject, &scene("revert"), 1))),
    ("SnapBeforePack", Harness::Here(|subject| killed(subject, &scene("snap first"), 1))),
    ("NoPageCheck", Harness::Here(a_rotten_page)),
    ("NoVecSync", Harness::Power("vec push")),
    ("SyncAgain", Harness::Here(|subject| syncs_that_fail(subject, &scene("revert")))),
    ("NoReadBack", Harness::Here(a_disk_that_lies)),
    ("SetBeforeParts", Harness::Here(|subject| killed(subject, &scene("snap a set"), 1))),
    ("NoLock", Harness::Here(another_process_has_the_lock)),
    ("NoQuietFlush", Harness::Quiet(what_is_dirty)),
    ("NoQuietEnd", Harness::Quiet(a_store_that_is_late)),
    ("NoDirtyLook", Harness::Quiet(a_second_store)),
    ("DoubtfulIsShared", Harness::Here(bytes_in_the_inode)),
    ("SetIntentLate", Harness::Here(|subject| killed(subject, &scene("revert with log"), 1))),
];

impl Harness {
    /// The one that is run here, if it can be.
    fn here(&self) -> Option<fn(&Subject) -> Findings> {
        match self {
            Harness::Here(harness) => Some(*harness),
            Harness::Quiet(harness) => (needs_quiet(Case::new().dir()) && needs_late_stores()).then_some(*harness),
            Harness::Power(_) => None,
        }
    }
}

/// The program with bugs in it, where it was built.
fn planted() -> Option<PathBuf> {
    let program = std::env::var_os("MEMSNAP_PLANTED_PROGRAM").map(PathBuf::from);
    if program.is_none() {
        skip("MEMSNAP_PLANTED_PROGRAM does not name a program with planted bugs");
    }
    program.map(|path| path.canonicalize().expect("MEMSNAP_PLANTED_PROGRAM is not there"))
}

#[test]
fn every_bug_has_a_row() {
    let source = include_str!("../../src/planted.rs");
    let list = source.split_once("enum Bug {").unwrap().1.split_once("\n}").unwrap().0;
    let bugs: Vec<_> = list.lines().map(str::trim).filter_map(|line| line.strip_suffix(',')).collect();
    assert!(bugs.len() >= ROWS.len().min(8));
    assert_eq!(bugs, ROWS.iter().map(|(bug, _)| *bug).collect::<Vec<_>>());
}

#[test]
fn every_bug_is_noticed() {
    let Some(program) = planted().filter(|_| needs_strace()) else { return };
    for (bug, harness) in ROWS {
        let Some(harness) = harness.here() else { continue };
        let found = harness(&Subject::planted(program.clone(), bug));
        eprintln!("{bug}: {} of {} points", found.failures.len(), found.points);
        assert!(!found.failures.is_empty(), "{bug} is not noticed at {} points", found.points);
    }
}

#[cfg(feature = "dev")]
#[test]
fn every_lost_sync_is_noticed() {
    let Some(program) = planted() else { return };
    if !needs_mounts() || !needs_strace() || !needs_fuse() {
        return;
    }
    // Two of them stand for all, but for the nightly run.
    let few = ["NoFileSync", "NoTargetSync"];
    for (bug, harness) in ROWS.iter().filter(|(bug, _)| nightly() || few.contains(bug)) {
        let Harness::Power(name) = harness else { continue };
        let (subject, scene) = (Subject::planted(program.clone(), bug), scene(name));
        let stops = shutdown_cuts(&scene, Fs::Ext4, &subject, 20);
        let disks = replayed(&scene, Fs::Ext4, &subject, 40, 1);
        let of = |found: &Findings| format!("{} of {}", found.failures.len(), found.points);
        eprintln!("{bug}, {name}: {} stops, {} disks", of(&stops), of(&disks));
        assert!(!stops.failures.is_empty() || !disks.failures.is_empty(), "{bug} is not noticed");
    }
}

/// In a program that has none of the bugs. The harnesses that cut the power have tests of their own for that.
#[test]
fn without_a_bug_nothing_is_noticed() {
    if !needs_strace() {
        return;
    }
    // kill.rs and disk_faults.rs try the same.
    let tried_elsewhere = |bug: &str| by_size(["NoIntent", "SnapBeforePack", "SyncAgain"].contains(&bug), false, false);
    for (bug, harness) in ROWS.iter().filter(|(bug, _)| !tried_elsewhere(bug)) {
        if let Some(harness) = harness.here() {
            let found = harness(&Subject::sound());
            assert!(found.points > 0, "{bug}");
            found.must_be_none();
        }
    }
}

/// The program that has bugs behaves as the sound one when none is named.
#[test]
fn a_planted_program_without_a_bug_is_sound() {
    let Some(program) = planted().filter(|_| needs_strace()) else { return };
    for (_, harness) in ROWS {
        if let Some(harness) = harness.here() {
            harness(&Subject::planted(program.clone(), "none")).must_be_none();
        }
    }
}

/// A bit of a stored page has changed: a revert to it stops before it writes anything.
fn a_rotten_page(subject: &Subject) -> Findings {
    let mut found = Findings::default();
    for (page, bit) in [(2, 0), (6, 3), (30, 7)] {
        let (_dir, case) = in_memory();
        case.write("f", &noise(1, 40 * PAGE));
        case.ok("snap --compress none f");
        let pack = case.stored(".pack").remove(0);
        let mut bytes = std::fs::read(&pack).unwrap();
        let stored = &noise(1, 40 * PAGE)[page * PAGE..][..64];
        let at = bytes.windows(64).position(|window| window == stored).expect("the page is stored as it is");
        bytes[at] ^= 1 << bit;
        // As rot does: the time stays, which would give it away.
        let then = std::fs::metadata(&pack).unwrap().modified().unwrap();
        std::fs::write(&pack, bytes).unwrap();
        File::options().write(true).open(&pack).unwrap().set_modified(then).unwrap();
        [2, 6, 30].iter().for_each(|page| case.touch(*page, page + 100));
        let before = case.read("f");
        let ran = finish(&mut subject.command(&case, "revert --yes f@1"));
        let same = case.read("f") == before && case.stored("/intent").is_empty();
        let result = if same && ran.code == Some(4) { Ok(()) } else { Err(format!("the change was begun: {ran:?}")) };
        found.note(format!("bit {bit} of page {page}"), result);
    }
    found
}

/// While another process has a history locked, no verb writes in it.
fn another_process_has_the_lock(subject: &Subject) -> Findings {
    let mut found = Findings::default();
    if !has("flock") {
        skip("flock is not there");
        return found;
    }
    let (_dir, case) = in_memory();
    scene("snap later").prepare(&case);
    let lock = case.history().join("lock");
    let mut command = case.command("flock");
    let mut holder = start(command.arg(&lock).args(["sleep", "60"]));
    let held = || finish(case.command("flock").arg("-n").arg(&lock).arg("true")).code == Some(1);
    while !held() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    for words in ["snap f", "revert --yes f@1", "edit --yes f --at 0 --hex 00"] {
        let before = (case.snapshots(), case.read("f"));
        let ran = finish(&mut subject.command(&case, words));
        let same = before == (case.snapshots(), case.read("f"));
        let result = if same && ran.code == Some(75) { Ok(()) } else { Err(format!("{ran:?}")) };
        found.note(words, result);
    }
    end(&case, &mut holder);
    found
}

/// A file that was stored to through a map, and is left alone, is quiet once it is flushed.
fn what_is_dirty(subject: &Subject) -> Findings {
    let (case, mut found) = (Case::with_pages(40), Findings::default());
    let mut map = mapped(&case.path("f"));
    for page in [0, 7, 39] {
        map[page * PAGE] ^= 1;
        let ran = finish(&mut subject.command(&case, "snap --wait 0 f"));
        found.note(format!("page {page}"), graded(&ran, 0, "observed"));
    }
    found
}

/// A store that began before the file was read, and whose byte comes while it is read, moves no time then.
fn a_store_that_is_late(subject: &Subject) -> Findings {
    const PAGES: usize = 8192;
    let (case, mut found) = (Case::with_pages(PAGES), Findings::default());
    let mut map = mapped(&case.path("f"));
    for page in [0, PAGES - 1] {
        let store = LateStore::begin(&mut map, page * PAGE);
        let mut command = subject.command(&case, "snap --always --wait 0 --io pread --limit-rate 16M f");
        let mut child = start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        let counts = format!("/proc/{}/io", child.id());
        // It reads nothing as long before it reads the file.
        let has_begun = || {
            let text = std::fs::read_to_string(&counts).unwrap();
            let read = text.lines().find_map(|line| line.strip_prefix("rchar: "));
            read.and_then(|bytes| bytes.parse::<usize>().ok()).is_some_and(|bytes| bytes > 1 << 20)
        };
        eventually(has_begun);
        store.arrive(5);
        let running = child.try_wait().unwrap().is_none();
        let ran = Ran::of(child.wait_with_output().unwrap(), "snap".into());
        assert!(running, "it came too late: {ran:?}");
        found.note(format!("page {page}"), graded(&ran, 3, "unproven"));
    }
    found
}

fn graded(ran: &Ran, code: i32, grade: &str) -> Result<(), String> {
    let is_so = ran.code == Some(code) && ran.err.contains(&format!("{grade}: "));
    if is_so { Ok(()) } else { Err(format!("not {grade}: {ran:?}")) }
}

/// flock(1) and the command under it, which has the lock as well.
fn end(case: &Case, holder: &mut std::process::Child) {
    finish(case.command("pkill").args(["-P", &holder.id().to_string()]));
    let _ = holder.wait();
}
