//! Targets and outputs that another process swaps for links while a verb runs: what the links lead to never changes.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::attack::{Plant, Victim, bounded, clear};
use super::case::{Case, PAGE, UNPRIVILEGED, finish, has, is_root, noise, program, skip};
use super::util::chmod;

/// Rounds of all verbs.
const ROUNDS: u64 = 25;
const VERBS: [&str; 8] = [
    "snap --quiet --require none",
    "revert --yes --quiet @1",
    "edit --yes --quiet --at 8192 --hex 0102030405",
    "undo --yes --quiet",
    "apply --yes --quiet d",
    "recover --yes",
    "restore --force --yes @1 -o out",
    "diff --stat @1",
];

/// Runs all verbs on `target` while another thread exchanges `one` and `other` all the time.
fn race(case: &Case, store: &str, target: &str, [one, other]: [&str; 2], victim: &Victim) {
    let (over, swaps, done) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
    let (one, other) = (case.path(one), case.path(other));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).unwrap();
                swaps.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(std::time::Duration::from_micros(
                    u64::from(swaps.load(Ordering::Relaxed) % 7) * 150,
                ));
            }
        });
        // Whatever fails, the other thread ends.
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for round in 0..ROUNDS {
                for verb in VERBS {
                    let words: Vec<_> = verb.split(' ').collect();
                    let at = words.iter().find(|word| word.starts_with('@')).copied().unwrap_or_default();
                    let named = format!("{target}{at}");
                    let (head, tail) = words.split_first().unwrap();
                    let tail: Vec<_> = tail.iter().filter(|word| !word.starts_with('@')).copied().collect();
                    let ran = bounded(case, &format!("{store}{head} {named} {}", tail.join(" ")), verb);
                    victim.is_untouched(&format!("round {round}: {verb}: {ran:?}"));
                    assert!(ran.code != Some(2) || ran.err.contains("memsnap: "), "{verb}: {ran:?}");
                    done.fetch_add(u32::from(ran.code == Some(0)), Ordering::Relaxed);
                }
            }
        }));
        over.store(true, Ordering::Relaxed);
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    assert!(swaps.load(Ordering::Relaxed) > 100 && done.load(Ordering::Relaxed) > 10, "nothing happened");
    victim.is_untouched("in the end");
}

/// Where the store is, if it is not the one that is swapped.
const APART: &str = "--store store ";

fn prepare(store: &str, target: &str) -> (Case, Victim) {
    let case = Case::in_memory();
    let victim = Victim::new(&case);
    fs::create_dir(case.path("directory")).unwrap();
    case.write(target, &noise(1, 8 * PAGE));
    case.ok(&format!("{store}snap {target}"));
    case.write("changed", &noise(2, 8 * PAGE));
    case.ok(&format!("delta make {target} changed -o d"));
    (case, victim)
}

#[test]
fn a_target_that_becomes_a_link() {
    let (case, victim) = prepare(APART, "f");
    symlink(victim.file(), case.path("link")).unwrap();
    race(&case, APART, "f", ["f", "link"], &victim);
}

#[test]
fn a_target_that_becomes_another_kind_of_file() {
    let (case, victim) = prepare(APART, "f");
    Plant::Fifo.put(&case.path("other"), &victim);
    race(&case, APART, "f", ["f", "other"], &victim);
}

/// The directory of the target becomes a link to one with a file of the same name.
#[test]
fn a_directory_that_becomes_a_link() {
    let (case, victim) = prepare(APART, "directory/file");
    symlink(victim.dir(), case.path("link")).unwrap();
    race(&case, APART, "directory/file", ["directory", "link"], &victim);
}

/// The store itself becomes a link, in the directory of a user who may rename it: what is made is made in the store.
#[test]
fn a_store_that_becomes_a_link() {
    let (case, victim) = prepare("", "directory/file");
    symlink(victim.dir(), case.path("directory/link")).unwrap();
    race(&case, "", "directory/file", ["directory/.memsnap", "directory/link"], &victim);
}

/// Every verb that writes a file of a given name.
const WRITERS: [&str; 4] = ["restore f@1", "delta make f@1 f", "apply f d", "edit f --at 0 --hex 01"];

/// Writes to `out` with and without `--force`; whether each was done.
fn write_to(case: &Case, writer: &str, out: &str) -> [bool; 2] {
    let yes = if writer.starts_with("restore") || writer.starts_with("apply") { " --yes" } else { "" };
    ["", " --force"].map(|force| {
        let ran = bounded(case, &format!("{writer} -o {out}{force}{yes}"), out);
        assert!(matches!(ran.code, Some(0 | 2)), "{writer} {out}: {ran:?}");
        assert!(ran.code == Some(0) || ran.err.contains(out.rsplit('/').next().unwrap()), "{ran:?}");
        ran.code == Some(0)
    })
}

/// Nothing in a store can be an output, whatever is forced.
#[test]
fn outputs_in_a_store() {
    let case = Case::with_pages(4);
    case.ok("snap f");
    case.write("g", &noise(3, 4 * PAGE));
    case.ok("delta make f g -o d");
    for writer in WRITERS {
        for out in [".memsnap/format", ".memsnap/new"] {
            assert_eq!(write_to(&case, writer, out), [false, false], "{writer} {out}");
        }
    }
    case.ok("verify");
}

#[test]
fn outputs_that_are_there() {
    let case = Case::with_pages(4);
    let victim = Victim::new(&case);
    case.ok("snap f");
    case.write("g", &noise(3, 4 * PAGE));
    case.ok("delta make f g -o d");
    let out = case.path("out");
    for writer in WRITERS {
        for (plant, done) in [
            (Plant::LinkToFile, [false, true]),
            (Plant::LinkToDirectory, [false, true]),
            (Plant::Dangling, [false, true]),
            (Plant::HardLink, [false, true]),
            (Plant::Fifo, [false, false]),
            (Plant::Directory, [false, false]),
        ] {
            plant.put(&out, &victim);
            if plant == Plant::Fifo {
                // One of our own is written through.
                match is_root() {
                    true => std::os::unix::fs::chown(&out, Some(1234), Some(1234)).unwrap(),
                    false => continue,
                }
            }
            assert_eq!(write_to(&case, writer, "out"), done, "{writer} {plant:?}");
            victim.is_untouched(&format!("{writer}: {plant:?}"));
            // The name is replaced, never what it leads to.
            assert_eq!(plant.is_at(&out, &victim), !done[1], "{writer} {plant:?}");
            assert!(!done[1] || out.symlink_metadata().unwrap().is_file());
            clear(&out);
        }
        // Nor is the target, by whatever name.
        symlink("f", &out).unwrap();
        let before = case.read("f");
        assert_eq!(write_to(&case, writer, "out"), [false, false], "{writer}");
        assert!(case.read("f") == before && out.is_symlink());
        clear(&out);
    }
}

/// A directory that all may write to, like /tmp: the names of others are theirs.
#[test]
fn outputs_in_a_sticky_directory() {
    if !is_root() || !has("setpriv") {
        return skip("needs root and setpriv");
    }
    let case = Case::with_pages(4);
    let sticky = case.path("sticky");
    fs::create_dir(&sticky).unwrap();
    chmod(&sticky, 0o1777);
    chmod(case.dir(), 0o755);
    case.write("sticky/theirs", b"precious");
    std::os::unix::fs::chown(sticky.join("theirs"), Some(1234), Some(1234)).unwrap();
    let copy = case.path("memsnap");
    fs::copy(program(), &copy).unwrap();
    let home = case.path("home");
    fs::create_dir(&home).unwrap();
    fs::rename(case.path("f"), home.join("f")).unwrap();
    for path in [home.clone(), home.join("f")] {
        std::os::unix::fs::chown(path, Some(65534), Some(65534)).unwrap();
    }
    let unprivileged = |verb: &str| finish(case.as_user(UNPRIVILEGED, &copy).args(verb.split(' ')));
    unprivileged("snap home/f").exits(0);
    unprivileged("restore home/f@1 -o sticky/mine").exits(0);
    let mine = sticky.join("mine").metadata().unwrap();
    assert_eq!(mine.uid(), 65534);
    unprivileged("restore home/f@1 -o sticky/theirs").exits(2).says("theirs exists");
    unprivileged("restore home/f@1 -o sticky/theirs --force --yes").exits(2).says("theirs");
    assert_eq!(case.read("sticky/theirs"), b"precious");
    // Another user's target there: it can be read, and its store belongs to the reader.
    chmod(sticky.join("theirs"), 0o644);
    let ran = unprivileged("--store home/own snap --require none sticky/theirs").exits(0);
    assert!(ran.err.contains("unproven"), "{ran:?}");
    unprivileged("--store home/own edit --yes sticky/theirs --at 0 --hex 00").exits(2).says("ermission denied");
    assert_eq!(case.read("sticky/theirs"), b"precious");
    assert_no_leftovers(&sticky, 2);
}

fn assert_no_leftovers(dir: &Path, files: usize) {
    let names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), files, "{names:?}");
}
