//! Killed (-9) at the entry of every system call that changes something; and the recovery after it, killed at every
//! one of its own. A kill lands before the call has taken effect, so that "after it" is the entry of the next.

use std::time::Instant;

use crate::case::Case;
use crate::directory::{Kept, in_memory};
use crate::points::{Calls, Findings, sample};
use crate::scene::{Held, Known, Scene};
use crate::scenes::{scene, scenes};
use crate::trace::{MUTATING, Subject, needs_strace, was_killed};
use crate::util::{by_size, nightly};

/// After one kill, the recovery is killed at one of so many calls: at another one after the next kill.
const STEP: usize = 12;

/// The scene's command, killed at every point; and, after each kill, the recovery.
pub(crate) fn killed(subject: &Subject, scene: &Scene, step: usize) -> Findings {
    let (_dir, case) = in_memory();
    let known = scene.know();
    scene.prepare(&case);
    let ground = Kept::of(&case);
    let calls = Calls::of(subject, &case, scene.words, MUTATING);
    let mut found = Findings::default();
    found.failures.extend(calls.shared().err().map(|why| format!("{}: {why}", scene.name)));
    if calls.code != Some(0) {
        found.failures.push(format!("{}, not killed, ended with {:?}", scene.name, calls.code));
    }
    let (mut old, mut new) = (0, 0);
    for (i, point) in sample(calls.all(), step, 0).into_iter().enumerate() {
        ground.put_back(&case);
        let what = format!("{} killed at {point}", scene.name);
        let ran = subject.inject(&case, scene.words, &point.call, &format!("signal=SIGKILL:when={}", point.nth));
        if !was_killed(&ran) {
            found.note(what, Err(format!("it was not: {ran:?}")));
            continue;
        }
        match scene.held(&case, &known) {
            Held::Old => old += 1,
            Held::New => new += 1,
            Held::Neither => {}
        }
        if scene.can_be_recovered(&case) {
            let killed = Kept::of(&case);
            found.add(recovery_killed(scene, &case, &known, &killed, (&what, i)));
            killed.put_back(&case);
        }
        found.note(what, scene.check(&case, &known, false));
    }
    // All kills on one side of the moment at which it counts would not be kills at every call.
    if step == 1 && scene.has_sides(&known) && (old == 0 || new == 0) {
        found.note(scene.name, Err(format!("{old} kills left the old state, {new} the new one")));
    }
    found
}

/// The recovery, killed itself, at every call or some.
fn recovery_killed(scene: &Scene, case: &Case, known: &Known, state: &Kept, (what, from): (&str, usize)) -> Findings {
    let (sound, words) = (Subject::sound(), scene.recovery());
    // What is put back has no holes: then the calls that are counted must not reserve any either.
    case.patch(scene.watched(), 0, &case.read(scene.watched()));
    let calls = Calls::of(&sound, case, words, MUTATING);
    let mut found = Findings::default();
    for point in sample(calls.all(), STEP, from) {
        state.put_back(case);
        let what = format!("{what}, then `{words}` at {point}");
        let ran = sound.inject(case, words, &point.call, &format!("signal=SIGKILL:when={}", point.nth));
        let result = match was_killed(&ran) {
            true => scene.check(case, known, false),
            false => Err(format!("it was not: {ran:?}")),
        };
        found.note(what, result);
    }
    found
}

fn killed_everywhere(name: &str) {
    if !needs_strace() {
        return;
    }
    let began = Instant::now();
    let step = by_size(6, 1, 1);
    let found = killed(&Subject::sound(), &scene(name), step);
    let kills = found.points - found.failures.len();
    eprintln!("{name}: {} points, {kills} kills survived, {:.1} s", found.points, began.elapsed().as_secs_f64());
    assert!(found.points * step >= 8, "{name}: only {} points", found.points);
    found.must_be_none();
}

/// A test for each scene, so that they run side by side.
macro_rules! scenes {
    ($($test:ident: $name:literal),* $(,)?) => {
        $(#[test] fn $test() { killed_everywhere($name); })*

        #[test]
        fn no_scene_is_forgotten() {
            let names: Vec<_> = scenes().iter().map(|scene| scene.name).collect();
            assert_eq!(names, [$($name),*]);
        }
    };
}

scenes! {
    snap_first: "snap first",
    snap_later: "snap later",
    repair: "repair",
    adopt: "adopt",
    snap_a_set: "snap a set",
    revert: "revert",
    revert_without_undo: "revert without undo",
    undo: "undo",
    apply: "apply",
    edit: "edit",
    recover: "recover",
    roll_back: "roll back",
    revert_with_log: "revert with log",
    undo_with_log: "undo with log",
    recover_with_log: "recover with log",
    roll_back_with_log: "roll back with log",
    restore: "restore",
    restore_over: "restore over",
    delta_make: "delta make",
    apply_to: "apply to",
    vec_create: "vec create",
    vec_push: "vec push",
    vec_set: "vec set",
    vec_truncate: "vec truncate",
    vec_pop_front: "vec pop front",
    vec_import: "vec import",
}

#[test]
fn full_size_is_every_point() {
    let all: Vec<usize> = (0..100).collect();
    let mut seen: Vec<usize> = (0..STEP).flat_map(|from| sample(all.clone(), STEP, from)).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, all);
    assert!(!nightly() || sample(all.clone(), STEP, 3) == all);
}
