//! Calls that fail: every system call of every verb, with every error that it may give, once and from then on. Each
//! ends in success or in a clean error, and leaves what a kill may leave.
//!
//! `retval=` stands in for a call that is not made, so it is used only where that is what the kernel may do: a read
//! that finds the end of the file. True short reads and writes are in limits.rs: pipes, full disks, limits.

use std::fmt;
use std::time::Instant;

use crate::case::{Case, Ran, finish};
use crate::directory::{Kept, in_memory};
use crate::points::{Calls, Findings, Point, few};
use crate::scene::{Known, Scene};
use crate::scenes::{scene, scenes};
use crate::trace::{Subject, needs_strace};
use crate::util::by_size;

/// Calls that can fail, and how; by name.
const FAULTS: &[(&str, &[&str])] = &[
    ("open", &["EMFILE", "ENFILE", "EACCES", "EINTR", "EIO", "ENOSPC", "ENOMEM"]),
    ("openat", &["EMFILE", "ENFILE", "EACCES", "EINTR", "EIO", "ENOSPC", "EDQUOT", "ENOMEM"]),
    ("read", &["EIO", "EINTR", "0"]),
    ("pread64", &["EIO", "EINTR", "0"]),
    ("write", &["ENOSPC", "EIO", "EDQUOT", "EINTR"]),
    ("pwrite64", &["ENOSPC", "EIO", "EDQUOT", "EINTR"]),
    ("fsync", &["EIO", "ENOSPC", "EDQUOT", "EINTR"]),
    ("fdatasync", &["EIO", "ENOSPC", "EINTR"]),
    ("ftruncate", &["EIO", "EINTR", "EPERM"]),
    ("fallocate", &["ENOSPC", "EDQUOT", "EIO", "EINTR", "EOPNOTSUPP"]),
    ("copy_file_range", &["EIO", "ENOSPC", "EXDEV"]),
    ("mmap", &["ENOMEM", "EAGAIN"]),
    ("munmap", &["ENOMEM"]),
    ("madvise", &["EINVAL", "EIO"]),
    ("mprotect", &["ENOMEM"]),
    ("fstat", &["EIO", "ENOMEM"]),
    ("newfstatat", &["EIO", "ENOMEM", "EACCES"]),
    ("statx", &["EIO", "ENOMEM", "EACCES"]),
    ("fstatfs", &["EIO", "EINTR", "ENOSYS"]),
    ("statfs", &["EIO", "EINTR"]),
    // ENOENT is that of a directory that is gone: the C library takes it for the end.
    ("getdents64", &["EIO", "ENOMEM"]),
    ("lseek", &["EIO", "EINVAL", "EINTR"]),
    ("ioctl", &["EIO", "ENOTTY"]),
    ("flock", &["ENOLCK", "EINTR", "EIO"]),
    ("fcntl", &["EAGAIN", "EINTR", "ENOLCK", "EINVAL"]),
    ("linkat", &["ENOSPC", "EDQUOT", "EIO", "EINTR", "EMLINK", "EACCES"]),
    ("renameat", &["ENOSPC", "EIO", "EINTR", "EACCES"]),
    ("renameat2", &["ENOSPC", "EIO", "EINTR", "EINVAL"]),
    ("rename", &["ENOSPC", "EIO", "EACCES"]),
    ("unlink", &["EIO", "EACCES", "EINTR"]),
    ("unlinkat", &["EIO", "EACCES", "EINTR"]),
    ("mkdir", &["ENOSPC", "EDQUOT", "EACCES", "EIO"]),
    ("mkdirat", &["ENOSPC", "EDQUOT", "EACCES", "EIO"]),
    ("rmdir", &["EIO", "EACCES"]),
    ("fchmod", &["EIO", "EPERM", "EINTR"]),
    ("fchown", &["EIO", "EPERM", "EINTR"]),
    ("utimensat", &["EIO", "EPERM"]),
    ("fsetxattr", &["ENOSPC", "EIO", "EOPNOTSUPP"]),
    ("fgetxattr", &["EIO", "EOPNOTSUPP"]),
    ("flistxattr", &["EIO", "EOPNOTSUPP"]),
    ("fremovexattr", &["EIO", "EOPNOTSUPP"]),
    ("clone3", &["EAGAIN", "ENOMEM"]),
    // Directories, whose closing std believes in, know no other.
    ("close", &["EINTR"]),
    ("readlink", &["EIO", "EACCES"]),
    ("getcwd", &["ENOENT"]),
    ("fadvise64", &["EINVAL"]),
    ("sync_file_range", &["EIO", "ENOSYS"]),
    ("getrandom", &["EINTR"]),
    ("sched_getaffinity", &["EINVAL"]),
];

/// Verbs that only read, in a directory with two snapshots, a file that differs from both, and a delta.
const READING: &[&str] = &[
    "log f",
    "--json log f",
    "diff f",
    "diff f@1..2",
    "diff --hex f@1",
    "view f",
    "view --raw f@1",
    "stat f",
    "verify",
    "restore f@1 -o -",
    "delta stat d",
    "revert -n f@1",
    "apply -n f d",
];

/// Calls that are made again when a signal has interrupted them; others may say so (std's listing of a directory,
/// `openat`).
const MADE_AGAIN: &[&str] =
    &["open", "read", "pread64", "write", "pwrite64", "fsync", "fdatasync", "ftruncate", "fallocate", "flock"];

/// What a call does instead of its work.
struct Fault {
    point: Point,
    /// As strace writes it.
    what: String,
    /// From that call on.
    on: bool,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}{}", self.what, self.point, if self.on { " on" } else { "" })
    }
}

impl Fault {
    /// A call that was interrupted is made again, where it can be, and the verb succeeds.
    fn is_passed_over(&self, ran: &Ran, sound: Option<i32>) -> Result<(), String> {
        if !self.what.ends_with("EINTR") || !MADE_AGAIN.contains(&&*self.point.call) || ran.code == sound {
            return Ok(());
        }
        Err(format!("ended with {:?}, not {sound:?}: {}", ran.code, ran.err))
    }
}

/// Which errors are tried where: each once, and from there on.
fn all_faults(calls: &Calls) -> Vec<Fault> {
    let mut faults = Vec::new();
    for point in calls.of_main() {
        let (_, errors) = FAULTS.iter().find(|(call, _)| *call == point.call).expect("a call of the list");
        for error in *errors {
            let what = if *error == "0" { "retval=0".into() } else { format!("error={error}") };
            faults.push(Fault { point: point.clone(), what: what.clone(), on: false });
            // A call that is always interrupted is always made again.
            if *error != "EINTR" {
                faults.push(Fault { point: point.clone(), what, on: true });
            }
        }
    }
    faults
}

fn set() -> String {
    FAULTS.iter().map(|(call, _)| format!("?{call}")).collect::<Vec<_>>().join(",")
}

/// Runs the command with this fault, and with a timeout.
fn inject(subject: &Subject, case: &Case, words: &str, fault: &Fault) -> Ran {
    let Fault { point, what, on } = fault;
    let when = format!("inject={}:{what}:when={}{}", point.call, point.nth, if *on { "+" } else { "" });
    let trace = format!("trace={}", point.call);
    let strace = subject.strace(case, &["-o", "/dev/null", "-e", &trace, "-e", &when], words);
    let mut command = case.command("timeout");
    command.args(["-s", "KILL", "30"]).arg(strace.get_program()).args(strace.get_args());
    for (name, value) in strace.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    finish(&mut command)
}

/// What any verb may answer to a fault: a documented code, and words that say what was being done.
pub(crate) fn is_clean(ran: &Ran) -> Result<(), String> {
    let Some(code @ (0..=5 | 75)) = ran.code else {
        return Err(format!("ended with {:?}, signal {:?}: {}", ran.code, ran.signal, ran.err));
    };
    if ran.err.contains("panicked") {
        return Err(format!("it panicked: {}", ran.err));
    }
    let is_error = |line: &str| line.starts_with("memsnap: ") || line.starts_with("{\"schema\":\"memsnap.error.");
    // `verify` lists what it found on stdout, and says why it could not be mended.
    let listed = code == 4 && (ran.out.contains("fault") || ran.err.contains("nothing can be repaired: "));
    let said = listed || ran.err.lines().any(is_error);
    if code >= 2 && code != 3 && !said && !ran.err.is_empty() {
        return Err(format!("code {code}, and it does not say why: {}", ran.err));
    }
    Ok(())
}

/// Ids on stdout are those of snapshots that are there.
fn says_nothing_false(case: &Case, ran: &Ran) -> Result<(), String> {
    let is_id = |word: &&str| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
    for id in ran.out.lines().filter(is_id) {
        let there = case.stored(".snap").iter().any(|path| path.to_string_lossy().contains(id));
        if !there {
            return Err(format!("it printed {id}, and there is no such snapshot"));
        }
    }
    Ok(())
}

/// Faults in the calls of the scene's command: `most` of them, dealt out evenly, or all at full size.
fn faulted(subject: &Subject, scene: &Scene, most: usize, from: usize) -> Findings {
    let (_dir, case) = in_memory();
    let known = scene.know();
    scene.prepare(&case);
    let ground = Kept::of(&case);
    let calls = Calls::of(subject, &case, scene.words, &set());
    let mut found = Findings::default();
    for fault in few(all_faults(&calls), most, from) {
        ground.put_back(&case);
        let ran = inject(subject, &case, scene.words, &fault);
        let result = survived(scene, &case, &known, &ran).and_then(|()| fault.is_passed_over(&ran, calls.code));
        found.note(format!("{}, {fault}", scene.name), result);
    }
    found
}

pub(crate) fn survived(scene: &Scene, case: &Case, known: &Known, ran: &Ran) -> Result<(), String> {
    is_clean(ran)?;
    says_nothing_false(case, ran)?;
    // The grade is as good as the lease that could be had; the snapshot is there.
    let done = matches!(ran.code, Some(0 | 3));
    scene.check(case, known, done).map_err(|why| format!("{why} (ended with {:?}: {})", ran.code, ran.err))
}

/// Of the scenes, those that are even, or odd.
fn faulted_everywhere(odd: usize) {
    if !needs_strace() {
        return;
    }
    let mut all = Findings::default();
    for (number, scene) in scenes().into_iter().enumerate().filter(|(number, _)| number % 2 == odd) {
        let began = Instant::now();
        let found = faulted(&Subject::sound(), &scene, by_size(10, 40, 40), number);
        eprintln!("{}: {} faults, {:.1} s", scene.name, found.points, began.elapsed().as_secs_f64());
        assert!(found.points > 0, "{}", scene.name);
        all.add(found);
    }
    all.must_be_none();
}

#[test]
fn scenes_even() {
    faulted_everywhere(0);
}

#[test]
fn scenes_odd() {
    faulted_everywhere(1);
}

/// What did harm once, at full size, and is tried at each of these calls ever since.
const ONCE_HARMFUL: &[(&str, &str, &[&str])] = &[
    // A page that could not be read just once was given up for damaged, with others that were.
    ("repair", "pread64", &["error=EIO", "retval=0"]),
    // A directory that could not be looked at was taken for one that says whose it is.
    ("snap first", "statx", &["error=ENOMEM"]),
    // A file that ended early was taken for whole.
    ("vec import", "read", &["retval=0"]),
];

#[test]
fn what_did_harm_once() {
    if !needs_strace() {
        return;
    }
    let sound = Subject::sound();
    let mut all = Findings::default();
    for (name, call, whats) in ONCE_HARMFUL {
        let (_dir, case) = in_memory();
        let scene = scene(name);
        let known = scene.know();
        scene.prepare(&case);
        let ground = Kept::of(&case);
        let mut found = Findings::default();
        for point in few(Calls::of(&sound, &case, scene.words, call).of_main(), by_size(20, 200, 200), 0) {
            for (what, on) in whats.iter().flat_map(|what| [(what, false), (what, true)]) {
                ground.put_back(&case);
                let fault = Fault { point: point.clone(), what: (*what).into(), on };
                let ran = inject(&sound, &case, scene.words, &fault);
                found.note(format!("{name}, {fault}"), survived(&scene, &case, &known, &ran));
            }
        }
        assert!(found.points >= 4, "{name}: {}", found.points);
        all.add(found);
    }
    all.must_be_none();
}

#[test]
fn reading_verbs() {
    if !needs_strace() {
        return;
    }
    let (began, mut found) = (Instant::now(), Findings::default());
    let (_dir, case) = in_memory();
    let ground = looked_at(&case);
    for (number, words) in READING.iter().enumerate() {
        found.add(read_with_faults(&case, words, number));
        let same = Kept::of(&case).but_for_hints() == ground.clone().but_for_hints();
        found.note(words, if same { Ok(()) } else { Err("it changed something".into()) });
        ground.put_back(&case);
    }
    eprintln!("reading: {} faults, {:.1} s", found.points, began.elapsed().as_secs_f64());
    found.must_be_none();
}

/// Two snapshots, a file that differs from both, and a delta for it.
fn looked_at(case: &Case) -> Kept {
    scene("snap later").prepare(case);
    case.ok("-q snap f");
    case.touch(20, 20);
    case.ok("-q snap f");
    case.ok("delta make f@2 f@1 -o d");
    case.ok("-q revert --yes f@2");
    Kept::of(case)
}

fn read_with_faults(case: &Case, words: &str, from: usize) -> Findings {
    let subject = Subject::sound();
    let calls = Calls::of(&subject, case, words, &set());
    let sound = case.run(words.split_whitespace());
    let mut found = Findings::default();
    for fault in few(all_faults(&calls), by_size(6, 25, 25), from) {
        let ran = inject(&subject, case, words, &fault);
        let result = is_clean(&ran).and_then(|()| reads_true(words, &ran, &sound));
        found.note(format!("{words}, {fault}"), result.and_then(|()| fault.is_passed_over(&ran, calls.code)));
    }
    found
}

/// A success shows what a success without faults shows; `stat` and `log` may know less.
fn reads_true(words: &str, ran: &Ran, sound: &Ran) -> Result<(), String> {
    let exact = ["restore", "view", "diff"].iter().any(|verb| words.starts_with(verb));
    if exact && ran.code == Some(0) && ran.bytes != sound.bytes {
        return Err(format!("it ended with 0, and shows something else: {}", ran.err));
    }
    Ok(())
}
