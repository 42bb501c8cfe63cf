//! Calls that fail: every system call of every verb, with every error that it may give, once and from then on. Each ends
//! in success or in a clean error, and leaves what a kill may leave.
//!
//! `retval=` stands in for a call that is not made, so it is used only where that is what the kernel may do: a read that
//! finds the end of the file. True short reads and writes are in limits.rs: pipes, full disks, limits.

use std::fmt;
use std::time::Instant;

use crate::case::{Case, Ran, finish};
use crate::folder::{Kept, in_memory};
use crate::points::{Calls, Findings, Point, few};
use crate::scene::{Known, Scene, scene, scenes};
use crate::trace::{Subject, needs_strace};

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
    ("getdents64", &["EIO", "ENOENT"]),
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
    ("close", &["EIO", "EINTR"]),
    ("readlink", &["EIO", "EACCES"]),
    ("getcwd", &["ENOENT"]),
    ("fadvise64", &["EINVAL"]),
    ("sync_file_range", &["EIO", "ENOSYS"]),
    ("getrandom", &["EINTR"]),
    ("sched_getaffinity", &["EINVAL"]),
    ("uname", &["EFAULT"]),
];

/// Verbs that only read, in a folder with two snapshots, a file that differs from both, and a delta.
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

/// Calls that are made again when a signal has interrupted them; others may say so.
const MADE_AGAIN: &[&str] = &[
    "open",
    "openat",
    "read",
    "pread64",
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "ftruncate",
    "fallocate",
    "flock",
];

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
    /// A call that was interrupted is made again, where it can be, and nobody learns of it.
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

/// Runs the words with this fault; not for ever.
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
    let said = ran.err.lines().any(|line| line.starts_with("memsnap: ") && line.len() > 15);
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

fn survived(scene: &Scene, case: &Case, known: &Known, ran: &Ran) -> Result<(), String> {
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
        let found = faulted(&Subject::sound(), &scene, 40, number);
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
        let after = Kept::of(&case);
        found.note(words, if after == ground { Ok(()) } else { Err("it changed something".into()) });
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
    for fault in few(all_faults(&calls), 25, from) {
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

/// An fsync that fails fails the verb, and nobody asks a second time: the kernel tells of a failure once.
pub(crate) fn syncs_that_fail(subject: &Subject, scene: &Scene) -> Findings {
    let (_dir, case) = in_memory();
    let known = scene.know();
    scene.prepare(&case);
    let ground = Kept::of(&case);
    let calls = Calls::of(subject, &case, scene.words, "fsync,fdatasync");
    let mut found = Findings::default();
    for point in calls.all() {
        ground.put_back(&case);
        let log = tempfile::NamedTempFile::new().unwrap();
        let inject = format!("inject={}:error=EIO:when={}", point.call, point.nth);
        let options = ["-y", "-o", log.path().to_str().unwrap(), "-e", "trace=fsync,fdatasync", "-e", &inject];
        let ran = finish(&mut subject.strace(&case, &options, scene.words));
        let trace = std::fs::read_to_string(log.path()).unwrap();
        let result = not_asked_again(&trace).and_then(|()| match ran.code {
            Some(2) => survived(scene, &case, &known, &ran),
            code => Err(format!("ended with {code:?}")),
        });
        found.note(format!("{}, EIO from {point}", scene.name), result);
    }
    found
}

/// A disk that claims writes and does not make them: what is read back shows it.
pub(crate) fn a_disk_that_lies(subject: &Subject) -> Findings {
    let (_dir, case) = in_memory();
    let scene = scene("revert");
    scene.prepare(&case);
    let ground = Kept::of(&case);
    let log = tempfile::NamedTempFile::new().unwrap();
    let options = ["-y", "-o", log.path().to_str().unwrap(), "-e", "trace=pwrite64"];
    finish(&mut subject.strace(&case, &options, scene.words));
    let trace = std::fs::read_to_string(log.path()).unwrap();
    let target = format!("<{}>", case.path("f").display());
    let mut found = Findings::default();
    for (i, line) in trace.lines().enumerate().filter(|(_, line)| line.contains(&target)) {
        ground.put_back(&case);
        let claimed = line.rsplit_once("= ").expect("a whole call").1;
        let ran = subject.inject(&case, scene.words, "pwrite64", &format!("retval={claimed}:when={}", i + 1));
        let result = match ran.code {
            Some(2) if ran.err.contains("read back") => Ok(()),
            _ => Err(format!("it was believed: {ran:?}")),
        };
        found.note(format!("write {}", i + 1), result);
    }
    found
}

fn not_asked_again(trace: &str) -> Result<(), String> {
    // The file between < and >; one without a name is shown by its inode.
    let file = |line: &str| Some(line.split_once("sync(")?.1.split_once('<')?.1.split_once('>')?.0.to_string());
    let mut lines = trace.lines().skip_while(|line| !line.contains("(INJECTED)"));
    let failed = lines.next().and_then(file).ok_or_else(|| format!("nothing was injected: {trace}"))?;
    match lines.find(|line| file(line).as_ref() == Some(&failed)) {
        Some(again) => Err(format!("asked again: {again}")),
        None => Ok(()),
    }
}

#[test]
fn a_disk_that_fails() {
    if !needs_strace() {
        return;
    }
    let mut found = Findings::default();
    for scene in scenes() {
        found.add(syncs_that_fail(&Subject::sound(), &scene));
    }
    eprintln!("fsync: {} failures", found.points);
    assert!(found.points > 50);
    found.must_be_none();
}

/// After an fsync that failed the cache has the new pages, and the disk perhaps not: recovery writes all of them again.
#[test]
fn what_was_not_synced_is_written_again() {
    if !needs_strace() {
        return;
    }
    let subject = Subject::sound();
    let (_dir, case) = in_memory();
    let scene = scene("revert");
    scene.prepare(&case);
    let ground = Kept::of(&case);
    let target = format!("<{}>", case.path("f").display());
    let of_target = |words: &str, extra: &[&str]| -> (Ran, Vec<String>) {
        let log = tempfile::NamedTempFile::new().unwrap();
        let common = ["-y", "-o", log.path().to_str().unwrap(), "-e", "trace=pwrite64,fsync"];
        let ran = finish(&mut subject.strace(&case, &[&common, extra].concat(), words));
        let text = std::fs::read_to_string(log.path()).unwrap();
        (
            ran,
            text.lines().filter(|line| line.contains("fsync(") || line.contains(&target)).map(str::to_owned).collect(),
        )
    };
    let (_, lines) = of_target(scene.words, &[]);
    let syncs = || lines.iter().filter(|line| line.contains("fsync("));
    let nth = syncs().position(|line| line.contains(&target)).expect("the target is synced") + 1;
    let writes = |lines: &[String]| lines.iter().filter(|line| line.contains("pwrite64(")).count();
    let wanted = writes(&lines);
    assert!(wanted >= 4, "{lines:?}");
    ground.put_back(&case);
    let (ran, _) = of_target(scene.words, &["-e", &format!("inject=fsync:error=EIO:when={nth}")]);
    ran.exits(2).says("nput/output error").says("half changed");
    case.ok("log f").says("interrupted");
    case.exits("snap f", 2).says("interrupted");
    let (ran, lines) = of_target("recover --yes f", &[]);
    ran.exits(0);
    assert_eq!(writes(&lines), wanted, "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("fsync(") && line.contains(&target)), "{lines:#?}");
    case.ok("verify");
}
