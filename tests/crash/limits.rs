//! Little memory, few files, small disks, limits on what may be written, and output that is closed: every verb ends
//! with its verdict or a clean error, and when there is room again, the next try succeeds.

use std::time::Instant;

use crate::case::{Case, PAGE, Ran, finish, has, is_root, noise, program, skip};
use crate::directory::{Kept, in_memory};
use crate::faults::is_clean;
use crate::points::Findings;
use crate::scene::Scene;
use crate::scenes::{scene, scenes};
use crate::trace::Subject;
use crate::util::{by_size, is_tried, nightly};

/// Runs words in a shell that sets limits or turns outputs elsewhere; `$M` is the program.
fn shell(case: &Case, line: &str, words: &str) -> Ran {
    let line = line.replace("WORDS", words);
    finish(case.command("sh").args(["-c", &line]).env("M", program()))
}

/// The loader had too little to bring the program to its feet: nothing of ours was run.
fn never_began(ran: &Ran) -> bool {
    ran.code == Some(127) && ran.err.contains("loading shared libraries")
}

/// Every scene under each of these limits, with what must hold of it afterwards.
fn limited(limits: &[String]) -> Findings {
    let mut found = Findings::default();
    for (number, scene) in scenes().into_iter().enumerate() {
        let (_dir, case) = in_memory();
        let known = scene.know();
        scene.prepare(&case);
        let ground = Kept::of(&case);
        for (_, limit) in limits.iter().enumerate().filter(|(i, _)| is_tried(number + i)) {
            ground.put_back(&case);
            let ran = shell(&case, &format!("{limit}; exec \"$M\" WORDS"), scene.words);
            let result = match never_began(&ran) {
                true => Ok(()),
                false => is_clean(&ran).and_then(|()| scene.check(&case, &known, ran.code == Some(0))),
            };
            found.note(format!("{}, {limit}", scene.name), result);
        }
    }
    found
}

fn survives(limits: &[String]) {
    let began = Instant::now();
    let found = limited(limits);
    eprintln!("{}..: {} points, {:.1} s", limits[0], found.points, began.elapsed().as_secs_f64());
    found.must_be_none();
}

#[test]
fn little_memory() {
    let step = if nightly() { 512 } else { 4096 };
    let limits = (10 << 10..40 << 10).step_by(step).map(|kib| format!("ulimit -v {kib}"));
    // The system ends a program that does not fit at all: a large build.
    let case = Case::new();
    let fits = |limit: &String| shell(&case, &format!("{limit}; exec \"$M\" --version"), "").signal.is_none();
    let limits: Vec<_> = limits.filter(fits).collect();
    assert!(limits.len() >= 5);
    survives(&limits);
}

#[test]
fn few_files() {
    survives(&[4, 5, 6, 7, 8, 10, 12, 16].map(|n| format!("ulimit -n {n}")));
}

/// In blocks of 512 bytes. What is written up to the limit is a short write, and no signal kills.
#[test]
fn files_that_may_not_grow() {
    survives(&[0, 1, 2, 9, 100, 321, 400].map(|blocks| format!("ulimit -f {blocks}")));
}

#[test]
fn a_small_stack() {
    survives(&[256, 1024].map(|kib| format!("ulimit -s {kib}")));
    // Less than the command line needs is an error of the program, not the end of its stack.
    let case = Case::new();
    case.write("f", &noise(1, 10 * PAGE));
    for kib in [64, 96, 128, 255] {
        for words in ["snap f", "stat f", "lock f true", "vec stat f", "--help"] {
            let ran = shell(&case, &format!("ulimit -s {kib}; exec \"$M\" WORDS"), words);
            ran.exits(2).says("stack limit is below 256 KiB").says("hint: raise it (ulimit -s 256)");
        }
    }
    assert!(!case.path(".memsnap").exists());
}

/// No signal can be queued, which timers and waits for children do without.
#[test]
fn no_pending_signals() {
    if !has("prlimit") {
        return skip("prlimit is not there");
    }
    survives(&["exec prlimit --sigpending=0 \"$M\" WORDS".into()]);
    let case = Case::new();
    case.write("f", b"");
    let limited = |words: &str| shell(&case, "exec prlimit --sigpending=0 \"$M\" WORDS", words);
    limited("lock f sh -c 'kill -9 $$'").exits(137);
    limited("lock -w 5 f sh -c 'exit 4'").exits(4);
    limited("lock f prlimit --sigpending=0 \"$M\" lock -w 0.1 -E 9 f true").exits(9);
}

/// A limit on processes does not bind root: an unprivileged user runs it.
#[test]
fn no_threads() {
    if !has("prlimit") || is_root() && !has("setpriv") {
        return skip("prlimit or setpriv is not there");
    }
    let user = is_root().then_some(65534);
    let (_dir, case) = in_memory();
    let there = case.path("memsnap");
    std::fs::copy(program(), &there).unwrap();
    case.write("f", &noise(1, 2000 * PAGE));
    if let Some(user) = user {
        std::os::unix::fs::chown(case.dir(), Some(user), Some(user)).unwrap();
        std::os::unix::fs::chown(case.path("f"), Some(user), Some(user)).unwrap();
    }
    for words in ["snap f", "diff f@1", "verify", "restore f@1 -o -", "delta make f@1 f -o d", "view f", "log f"] {
        let as_user =
            if user.is_some() { "setpriv --reuid 65534 --regid 65534 --clear-groups prlimit" } else { "prlimit" };
        let ran = shell(&case, &format!("exec {as_user} --nproc=1 ./memsnap WORDS"), words);
        is_clean(&ran).unwrap_or_else(|why| panic!("{words}: {why}"));
        if words == "snap f" {
            ran.exits(2).says("starting a thread").says("ulimit -u");
        }
    }
    if !has("python3") {
        return skip("python3 is not there");
    }
    // A bar on a terminal is redrawn by a thread, which may be the one too many. Who has it so slow sees one.
    const PTY: &str = "import os,pty,resource,sys
master,slave=pty.openpty()
pid=os.fork()
if pid==0:
    for fd in (1,2): os.dup2(slave,fd)
    os.closerange(3,99)
    if os.getuid()==0: os.setgroups([]); os.setgid(65534)
    resource.setrlimit(resource.RLIMIT_NPROC,(int(sys.argv[1]),)*2)
    if os.getuid()==0: os.setuid(65534)
    os.execv('./memsnap',['memsnap','snap','--limit-rate','8M','f'])
os.close(slave)
out=b''
try:
    while chunk:=os.read(master,4096): out+=chunk
except OSError: pass
sys.stdout.buffer.write(out)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid,0)[1]))";
    let mut drawn = 0;
    for most in 1..8 {
        let _ = std::fs::remove_dir_all(case.path(".memsnap"));
        let ran = finish(case.command("python3").args(["-c", PTY, &most.to_string()]));
        assert!(matches!(ran.code, Some(0 | 2)) && !ran.out.contains("panicked"), "{most}: {ran:?}");
        drawn += usize::from(ran.code == Some(0) && ran.out.contains("reading"));
    }
    assert!(drawn > 0, "no bar was seen");
}

/// A file system of this many bytes in memory, at `disk` in the directory; unmounted when dropped.
struct Disk<'a>(&'a Case);

impl Disk<'_> {
    fn mount(case: &Case, bytes: usize) -> Option<Disk<'_>> {
        std::fs::create_dir(case.path("disk")).unwrap();
        let options = format!("size={bytes}");
        let mut mount = case.command("mount");
        let ran = finish(mount.args(["-t", "tmpfs", "-o", &options, "tmpfs", "disk"]));
        if ran.code != Some(0) {
            skip(&format!("no file system can be mounted: {}", ran.err.trim()));
            return None;
        }
        Some(Disk(case))
    }

    fn case(&self) -> Case {
        Case::at(&self.0.path("disk").canonicalize().unwrap())
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        finish(self.0.command("umount").arg("disk")).exits(0);
    }
}

/// Takes all space but so many bytes.
fn fill(case: &Case, left: u64) {
    let free = memsnap::sys::fs::space(case.dir()).unwrap().free;
    let filler = noise(9, free.saturating_sub(left) as usize);
    case.write("filler", &filler);
}

#[test]
fn full_disks() {
    let (_dir, outside) = in_memory();
    let Some(disk) = Disk::mount(&outside, 8 << 20) else { return };
    let (began, mut found) = (Instant::now(), Findings::default());
    for (number, scene) in scenes().into_iter().enumerate() {
        found.add(on_a_full_disk(&disk.case(), &scene, number));
    }
    eprintln!("full disks: {} points, {:.1} s", found.points, began.elapsed().as_secs_f64());
    found.must_be_none();
}

fn on_a_full_disk(case: &Case, scene: &Scene, number: usize) -> Findings {
    let mut found = Findings::default();
    let empty = Kept::of(case);
    let known = scene.know();
    scene.prepare(case);
    let ground = Kept::of(case);
    let sizes = [0, 1, 2, 3, 5, 8, 13, 21, 34, 55];
    for (_, pages) in sizes.into_iter().enumerate().filter(|(i, _)| is_tried(number + i)) {
        ground.put_back(case);
        fill(case, pages * PAGE as u64);
        // History that others need is kept free by itself; here there is none to keep.
        let words = scene.words;
        let ran = finish(&mut case.memsnap(words.split_whitespace()));
        std::fs::remove_file(case.path("filler")).unwrap();
        let result = is_clean(&ran).and_then(|()| scene.check(case, &known, ran.code == Some(0)));
        found.note(format!("{}, {pages} pages free", scene.name), result);
    }
    empty.put_back(case);
    found
}

/// The store is elsewhere, and that disk is full; or the disk of the target is.
/// Not only the first snapshot leaves free what is to stay free.
#[test]
fn the_reserve() {
    let case = Case::new();
    let Some(disk) = Disk::mount(&case, 64 << 20) else { return };
    let case = disk.case();
    case.write("f", &noise(1, 4 << 20));
    case.ok("snap f");
    case.write("f", &noise(2, 12 << 20));
    case.exits("snap --reserve 40M f", 2).says("reserve");
    assert!(memsnap::sys::fs::space(case.dir()).unwrap().free >= 40 << 20);
    case.ok("snap --reserve 20M f");
    assert!(memsnap::sys::fs::space(case.dir()).unwrap().free >= 20 << 20);
}

#[test]
fn two_disks() {
    let (_dir, outside) = in_memory();
    let Some(disk) = Disk::mount(&outside, 4 << 20) else { return };
    let full = disk.case();
    let old = noise(1, 40 * PAGE);
    // The store is on the full disk.
    let (_other, case) = in_memory();
    case.write("f", &old);
    let store = full.path("store").display().to_string();
    case.ok(&format!("--store {store} snap f"));
    case.touch(5, 5);
    let new = case.read("f");
    fill(&full, 0);
    for words in ["snap f", "revert --yes f@1", "edit --yes f --at 0 --hex 00"] {
        // It is seen beforehand, or when it is written.
        case.exits(&format!("--store {store} {words}"), 2).says("memsnap: ").says("free");
        assert!(case.read("f") == new, "{words}");
    }
    std::fs::remove_file(full.path("filler")).unwrap();
    case.ok(&format!("--store {store} revert --yes f@1"));
    assert!(case.read("f") == old);
    case.ok(&format!("--store {store} verify"));
    // The target is on the full disk, and short: to be what it was, it must grow.
    full.write("f", &old);
    full.ok(&format!("--store {} snap f", case.path("store").display()));
    full.set_len("f", PAGE as u64);
    fill(&full, 3 * PAGE as u64);
    let store = case.path("store").display().to_string();
    full.exits(&format!("--store {store} revert --yes f@1"), 2).says("memsnap: ").says("free");
    std::fs::remove_file(full.path("filler")).unwrap();
    full.ok(&format!("--store {store} recover --yes f"));
    full.ok(&format!("--store {store} revert --yes f@1"));
    assert!(full.read("f") == old);
    full.ok(&format!("--store {store} verify"));
}

/// A stdout that is closed ends every verb before it has done anything.
const CLOSED: [&str; 2] = ["\"$M\" WORDS >&-", "\"$M\" WORDS >&- 2>&- <&-"];

/// Where a shell can send output, and whether that may change the verdict where there is output.
const OUTLETS: &[(&str, bool)] = &[
    ("\"$M\" WORDS", false),
    ("\"$M\" WORDS <&-", false),
    ("\"$M\" WORDS 2>&-", false),
    ("\"$M\" WORDS 2>/dev/full", false),
    ("{ \"$M\" WORDS; echo $? >code; } | head -c 1 >/dev/null; exit $(cat code)", false),
    ("{ \"$M\" WORDS; echo $? >code; } | true; exit $(cat code)", false),
    ("\"$M\" WORDS >/dev/full", true),
    ("\"$M\" WORDS >/dev/full 2>&1", true),
];

/// Verbs that only look, and their verdicts.
const LOOKING: &[&str] =
    &["log f", "diff f", "diff --pages f", "view f", "stat f", "verify", "restore f@1 -o -", "revert -n f", "--help"];

#[test]
fn output_that_is_closed() {
    let mut found = Findings::default();
    // What is taken from a vector is output, and stays where it cannot be written: tests/cli/streams.rs.
    let scenes = scenes().into_iter().filter(|scene| !scene.words.starts_with("vec pop"));
    for scene in scenes.step_by(by_size(3, 1, 1)) {
        let (_dir, case) = in_memory();
        scene.prepare(&case);
        let known = scene.know();
        let ground = Kept::of(&case);
        outlets(&case, scene.words, &ground, &mut found, &|| scene.check(&case, &known, true));
    }
    let (_dir, case) = in_memory();
    scene("snap later").prepare(&case);
    let ground = Kept::of(&case);
    for words in LOOKING {
        outlets(&case, words, &ground, &mut found, &|| Ok(()));
    }
    eprintln!("outlets: {} points", found.points);
    found.must_be_none();
}

/// Ids that cannot be written are an error; the files are kept all the same, and it is said that they are.
#[test]
fn a_full_output_stops_no_work() {
    let (_dir, case) = in_memory();
    case.write("f", &noise(1, 4 * PAGE));
    case.write("g", &noise(2, 4 * PAGE));
    let ran = shell(&case, "\"$M\" WORDS >/dev/full", "snap f g").exits(2);
    ran.says("No space left").says("f@1").says("g@1");
    for file in ["f", "g"] {
        case.ok(&format!("log {file}")).shows("16 KiB");
    }
}

fn outlets(case: &Case, words: &str, ground: &Kept, found: &mut Findings, check: &dyn Fn() -> Result<(), String>) {
    ground.put_back(case);
    for line in CLOSED {
        let ran = shell(case, line, words);
        let result = match ran.code {
            Some(2) if ground.is_kept(case) => Ok(()),
            code => Err(format!("ended with {code:?}, or did something: {}", ran.err)),
        };
        found.note(format!("{words}: {line}"), result);
    }
    let sound = finish(&mut Subject::sound().command(case, words));
    for (line, full) in OUTLETS {
        ground.put_back(case);
        let ran = shell(case, line, words);
        let _ = std::fs::remove_file(case.path("code"));
        let expected = if *full && !sound.out.is_empty() { Some(2) } else { sound.code };
        // restore to a closed pipe is an early end, which is no verdict on the snapshot.
        let result = match ran.code == expected {
            // It was done, whatever could be printed.
            true => check(),
            false => Err(format!("ended with {:?}, not {expected:?}: {}", ran.code, ran.err)),
        };
        let reported = !ran.err.is_empty() || line.contains('2') || !*full;
        found.note(
            format!("{words}: {line}"),
            result.and(if reported { Ok(()) } else { Err("nothing was said".into()) }),
        );
    }
}
