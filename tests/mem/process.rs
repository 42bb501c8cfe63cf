//! Views in processes of every kind: with threads, forked, without privileges, without what tracking is made of.
//!
//! What changes a whole process is done in one of its own: the test starts itself again, and finds a word in its
//! environment that says so.
#![allow(unsafe_code, reason = "fork, and a filter of system calls")]

use std::io::{Read, Seek};
use std::os::unix::process::CommandExt;
use std::process::Command;

use memsnap::mem::{ArcView, CowView, MutView, Snapshot, Tracking};

use super::ground::{can, methods, noise, numbers, skip, with};
use super::history::{Model, Step, agree};

const PAGE: usize = 4096;
/// Set where a test was started again.
const PART: &str = "MEMSNAP_TEST_PART";

pub(crate) fn is_part() -> bool {
    std::env::var_os(PART).is_some()
}

/// Runs tests of this program, by the beginning of their names, in a process of its own that `changed` prepares.
fn again(tests: &[&str], changed: impl FnOnce(&mut Command)) {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("mem");
    // Others may not be let through to where it was built.
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let open = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
    std::fs::set_permissions(dir.path(), open.clone()).unwrap();
    std::fs::set_permissions(&program, open).unwrap();
    let mut command = Command::new(&program);
    command.args(tests).args(["--nocapture", "--test-threads=1"]).env(PART, "1").current_dir("/");
    changed(&mut command);
    let done = command.output().unwrap();
    let said = [done.stdout, done.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(done.status.success(), "{}: {said}", done.status);
    assert!(!said.contains("running 0 tests"), "{said}");
    eprintln!("{said}");
}

/// Whether this is the process of its own; if not, the test is run in one.
pub(crate) fn alone(test: &str) -> bool {
    if !is_part() {
        again(&["--exact", test], |_| {});
    }
    is_part()
}

/// Steps that look random, of a view of some dozen pages.
fn steps(seed: u64, many: usize) -> impl Iterator<Item = Step> {
    noise(seed, many * 8)
        .into_iter()
        .collect::<Vec<_>>()
        .chunks(8)
        .map(|b| {
            let at = usize::from(b[1]) * 999 + usize::from(b[2]);
            let len = usize::from(b[3]) * 40 + 1;
            match b[0] % 12 {
                0 | 1 => Step::Snap,
                2 => Step::Revert,
                3 => Step::Apply,
                4 => Step::RevertTo(usize::from(b[1] % 5)),
                5 => Step::RestoreRange { at, len },
                6 => Step::WriteBack { at, len, checkpoint: usize::from(b[4]) },
                _ => Step::Write { at, len, byte: b[5] % 4 },
            }
        })
        .collect::<Vec<_>>()
        .into_iter()
}

pub(crate) fn live_through(snapshot: &Snapshot, tracking: Option<Tracking>, seed: u64) {
    let options = tracking.map_or(Default::default(), with);
    let mut view = snapshot.view_with(&options).unwrap();
    let mut model = Model::new(snapshot);
    for step in steps(seed, 120) {
        step.take(&mut view, &mut model);
        agree(&view, &model);
    }
}

#[test]
fn threads() {
    fn both<T: Send + Sync>() {}
    both::<(Snapshot, CowView<'_>, MutView<'_>, ArcView)>();
    let snapshot = Snapshot::from_slice(&noise(3, 40 * PAGE + 5)).unwrap();
    for tracking in methods() {
        std::thread::scope(|scope| {
            for seed in 0..6 {
                let snapshot = &snapshot;
                scope.spawn(move || live_through(snapshot, Some(tracking), seed));
            }
        });
        // One view, written in one thread, seen from several, moved to another.
        let arc = std::sync::Arc::new(snapshot.clone());
        let mut view = arc.view_arc_with(&with(tracking)).unwrap();
        view.snap().unwrap();
        std::thread::scope(|scope| {
            let (front, back) = view.split_at_mut(20 * PAGE);
            scope.spawn(|| front[5] ^= 1);
            scope.spawn(|| back[5] ^= 1);
        });
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert_eq!(numbers(&view.dirty()), [0, 20]));
            }
        });
        let moved = std::thread::spawn(move || {
            view[PAGE] ^= 1;
            assert_eq!(numbers(&view.dirty()), [0, 1, 20]);
            view.revert();
            view
        });
        assert!(moved.join().unwrap()[..] == snapshot[..]);
    }
}

/// Runs `child` in a forked process, waits for it and gives its status, as wait(2) does.
pub(crate) fn forked(child: impl FnOnce()) -> i32 {
    // SAFETY: the only other thread of this process waits for this one (`alone`) and holds no lock; the child does
    // nothing after `child` but end.
    match unsafe { libc::fork() } {
        0 => {
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
            // SAFETY: ends the process.
            unsafe { libc::_exit(i32::from(ended.is_err())) }
        }
        pid => {
            let mut status = -1;
            assert!(pid > 0);
            // SAFETY: `status` lives through the call.
            assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
            status & 0xff7f // without the word that it left its memory behind
        }
    }
}

#[test]
fn fork() {
    if !alone("process::fork") {
        return;
    }
    for tracking in methods() {
        let snapshot = Snapshot::from_slice(&noise(4, 30 * PAGE + 7)).unwrap();
        let mut view = snapshot.view_with(&with(tracking)).unwrap();
        let mut model = Model::new(&snapshot);
        let mut own = snapshot.clone();
        let mut kept = own.view_mut_with(&with(tracking)).unwrap();
        kept[9] ^= 1;
        for step in steps(5, 60).chain([Step::Snap, Step::Write { at: 9, len: 9, byte: 9 }]) {
            step.take(&mut view, &mut model);
        }
        let status = forked(|| {
            let mut model = model.clone();
            assert!(!matches!(view.tracking(), Tracking::WriteProtect | Tracking::WriteProtectAll));
            agree(&view, &model);
            for step in steps(6, 60) {
                step.take(&mut view, &mut model);
                agree(&view, &model);
            }
            let taken = view.take_snapshot().unwrap();
            assert!(taken[..] == view[..]);
            // New views of the child know of writes again.
            let mut new = taken.view().unwrap();
            assert_eq!(new.tracking(), Snapshot::zeroed(1).unwrap().view().unwrap().tracking());
            assert!(!can(Tracking::WriteProtect) || new.tracking() == Tracking::WriteProtect);
            new.snap().unwrap();
            new[0] ^= 1;
            assert_eq!(numbers(&new.dirty()), [0]);
            live_through(&taken, None, 7);
            drop(view);
            drop(kept);
            let mut own = snapshot.clone();
            own.view_mut().unwrap()[9] ^= 1;
            assert_eq!(own[9], snapshot[9] ^ 1);
        });
        assert_eq!(status, 0, "what failed in the child is above");
    }
}

#[test]
fn a_parent_goes_on() {
    if !alone("process::a_parent_goes_on") {
        return;
    }
    for tracking in methods() {
        let snapshot = Snapshot::from_slice(&noise(4, 30 * PAGE + 7)).unwrap();
        let mut view = snapshot.view_with(&with(tracking)).unwrap();
        let mut model = Model::new(&snapshot);
        for (seed, step) in steps(8, 40).enumerate() {
            step.take(&mut view, &mut model);
            let (view, other) = (std::cell::RefCell::new(&mut view), model.clone());
            let status = forked(|| {
                let mut view = view.borrow_mut();
                agree(&view, &other);
                let mut other = other.clone();
                steps(seed as u64, 9).for_each(|step| step.take(&mut view, &mut other));
                agree(&view, &other);
            });
            assert_eq!(status, 0, "what failed in the child is above");
            assert_eq!(view.borrow().tracking(), tracking);
            agree(&view.borrow(), &model);
        }
    }
}

#[test]
fn what_the_kernel_writes_is_dirty() {
    let dir = tempfile::tempdir_in(".").unwrap(); // a file system of a disk, most likely
    let path = dir.path().join("f");
    std::fs::write(&path, noise(1, 4 * PAGE)).unwrap();
    let mut file = std::fs::File::open(&path).unwrap();
    for tracking in methods() {
        let snapshot = Snapshot::from_slice(&noise(2, 20 * PAGE)).unwrap();
        let mut view = snapshot.view_with(&with(tracking)).unwrap();
        let mut model = Model::new(&snapshot);
        view[5 * PAGE] = 1;
        model.now[5 * PAGE] = 1;
        for round in 0..3 {
            Step::Snap.take(&mut view, &mut model);
            let to = round * PAGE + 100..(round + 4) * PAGE + 100;
            file.rewind().unwrap();
            file.read_exact(&mut view[to.clone()]).unwrap();
            model.now[to].copy_from_slice(&noise(1, 4 * PAGE));
            agree(&view, &model);
            assert!(!view.dirty().is_empty());
        }
        let direct = <std::fs::OpenOptions as std::os::unix::fs::OpenOptionsExt>::custom_flags(
            std::fs::OpenOptions::new().read(true),
            libc::O_DIRECT,
        )
        .open(&path);
        match direct {
            Err(e) => skip(&format!("O_DIRECT: {e}")),
            Ok(mut direct) => {
                Step::Snap.take(&mut view, &mut model);
                let to = 4 * PAGE..8 * PAGE;
                direct.read_exact(&mut view[to.clone()]).unwrap();
                model.now[to].copy_from_slice(&noise(1, 4 * PAGE));
                agree(&view, &model);
            }
        }
        Step::Revert.take(&mut view, &mut model);
        agree(&view, &model);
    }
}

/// Tests that hold whatever the process lacks.
const OF_ALL: [&str; 3] = ["history::", "process::threads", "process::what_can_be_had"];

#[test]
fn without_privileges() {
    if is_part() {
        return;
    }
    if !rustix::process::geteuid().is_root() {
        return eprintln!("not root: all tests run without privileges anyhow");
    }
    again(&OF_ALL, |command| {
        command.uid(65534).gid(65534);
    });
}

/// A method that is not available is an error; the default is the best that is. Prints which.
#[test]
fn what_can_be_had() {
    let snapshot = Snapshot::from_slice(&noise(9, 30 * PAGE)).unwrap();
    for tracking in super::ground::METHODS {
        match snapshot.view_with(&with(tracking)) {
            Ok(view) => assert_eq!(view.tracking(), tracking),
            Err(e) => {
                assert_eq!(e.kind(), std::io::ErrorKind::Unsupported);
                assert!(e.to_string().contains("is not available here: "), "{e}");
            }
        }
    }
    eprintln!("by default: {:?}", snapshot.view().unwrap().tracking());
    live_through(&snapshot, None, 1);
}

#[test]
fn not_dumpable() {
    if !rustix::process::geteuid().is_root() || is_part() {
        // What root may not do is a matter of its privileges: another user it is.
        if !alone("process::not_dumpable") {
            return;
        }
        let no = rustix::process::DumpableBehavior::NotDumpable;
        rustix::process::set_dumpable_behavior(no).unwrap();
        let snapshot = Snapshot::zeroed(30 * PAGE).unwrap();
        assert_eq!(snapshot.view().unwrap().tracking(), Tracking::Compare);
        return what_can_be_had();
    }
    again(&["--exact", "process::not_dumpable"], |command| {
        command.uid(65534).gid(65534);
    });
}

/// Makes userfaultfd(2) fail in this thread and those it starts, as containers do.
fn forbid_userfaultfd() {
    let statement = |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut program = [
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0), // seccomp_data.nr
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, libc::SYS_userfaultfd as u32, 0, 1),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32, 0, 0),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: takes numbers only.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    // SAFETY: the filter and its program live through the call, which copies them.
    let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn under_a_filter() {
    if !alone("process::under_a_filter") {
        return;
    }
    forbid_userfaultfd();
    let snapshot = Snapshot::zeroed(30 * PAGE).unwrap();
    assert_eq!(snapshot.view().unwrap().tracking(), Tracking::Pagemap);
    let error = snapshot.view_with(&with(Tracking::WriteProtect)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
    what_can_be_had();
}
