//! What lets a file go unread: wherever a snapshot was killed, and whatever is stored to pages that are dirty, a file
//! that changed is read.

use crate::case::{Case, PAGE, finish, noise};
use crate::points::{Calls, Findings, sample};
use crate::quiet_util::{mapped, needs_quiet};
use crate::trace::{MUTATING, Subject, needs_strace, was_killed};
use crate::util::{Evidence, by_size};

/// A page is dirty when the evidence is taken, and is stored to after that, which moves no time.
pub(crate) fn a_second_store(subject: &Subject) -> Findings {
    let (case, mut found) = (Case::with_pages(40), Findings::default());
    case.ok("snap f");
    let mut map = mapped(&case.path("f"));
    for page in [0, 7, 39] {
        let was = map[page * PAGE];
        // Somebody else may bring the page to the disk at any moment.
        let unseen = (0..20).any(|_| {
            map[page * PAGE] = !was;
            map[page * PAGE] = was;
            let evidence = Evidence::of(&case.history()).now(&case.path("f"));
            evidence.put(&case.history());
            map[page * PAGE] = !was;
            evidence == evidence.now(&case.path("f"))
        });
        assert!(unseen, "each store moved ctime: this shows nothing");
        let ran = finish(&mut subject.command(&case, "diff --json f@1"));
        let result = if ran.code == Some(1) { Ok(()) } else { Err(format!("it counts as unchanged: {ran:?}")) };
        found.note(format!("page {page}"), result);
        map[page * PAGE] = was;
    }
    found
}

/// A file of which there is evidence, and that has changed since.
fn ground(changed: bool) -> Case {
    let case = Case::with_pages(30);
    case.ok("snap f");
    if changed {
        case.touch(3, 3);
    }
    case
}

#[test]
fn a_killed_snapshot_leaves_no_false_evidence() {
    let dir = Case::new();
    if !needs_strace() || !needs_quiet(dir.dir()) {
        return;
    }
    let (subject, mut found) = (Subject::sound(), Findings::default());
    for (words, changed) in [("snap f", true), ("snap --rescan f", false), ("snap --always f", false)] {
        let points = Calls::of(&subject, &ground(changed), words, MUTATING).all();
        for point in sample(points, by_size(7, 1, 1), 0) {
            let case = ground(changed);
            let ran = subject.inject(&case, words, &point.call, &format!("signal=SIGKILL:when={}", point.nth));
            assert!(was_killed(&ran), "{words} at {point}: {ran:?}");
            found.note(format!("{words} killed at {point}"), is_right(&case));
        }
    }
    found.must_be_none();
}

/// What is captured is what the file holds, read or not; and what changes after that is seen.
fn is_right(case: &Case) -> Result<(), String> {
    for seed in [0, 5] {
        if seed > 0 {
            case.patch("f", 9 * PAGE as u64, &noise(seed, 100));
        }
        let ran = case.run(["snap", "f"]);
        if ran.code != Some(0) || case.run(["restore", "f@latest", "-o", "-"]).bytes != case.read("f") {
            return Err(format!("it is not what the file holds: {ran:?}"));
        }
    }
    let unread = case.run(["snap", "f"]);
    if unread.err.contains("(not read)") { Ok(()) } else { Err(format!("it was read: {unread:?}")) }
}
