//! A change that cannot end is not begun: too little space for the target, a limit on its length.

use std::os::unix::fs::MetadataExt;

use super::case::{Case, PAGE, Ran, finish, noise, program, skip};

/// A small file system in memory, at `disk` in the directory; unmounted when dropped.
struct Disk(Case);

impl Disk {
    fn of(bytes: usize) -> Option<Disk> {
        let case = Case::new();
        std::fs::create_dir(case.path("disk")).unwrap();
        let options = format!("size={bytes}");
        let mounted = finish(case.command("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs", "disk"]));
        if mounted.code != Some(0) {
            skip(&format!("no file system can be mounted: {}", mounted.err.trim()));
            return None;
        }
        Some(Disk(case))
    }

    /// Takes all space that is left.
    fn fill(&self) {
        let full = finish(self.0.command("dd").args(["if=/dev/zero", "of=disk/filler", "bs=4096"]));
        assert!(full.err.contains("No space left"), "{}", full.err);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        finish(self.0.command("umount").args(["-l", "disk"]));
    }
}

fn limited(case: &Case, blocks: u32, words: &str) -> Ran {
    let line = format!("ulimit -f {blocks}; exec \"$M\" {words}");
    finish(case.command("sh").args(["-c", &line]).env("M", program()))
}

#[test]
fn holes_that_get_data_are_reserved_first() {
    // The file as it is now: a hole of its whole length, or shorter than it was.
    for now in [256 * PAGE as u64, 3 * PAGE as u64] {
        let Some(disk) = Disk::of(4 << 20) else { return };
        let case = &disk.0;
        let old = noise(1, 256 * PAGE);
        case.write("disk/f", &old);
        case.ok("snap --store store disk/f");
        case.set_len("disk/f", 0);
        case.set_len("disk/f", now);
        case.patch("disk/f", PAGE as u64, &noise(2, PAGE));
        disk.fill();
        // There is room for some of it.
        let fill = |len| std::fs::File::options().write(true).open(case.path("disk/filler")).unwrap().set_len(len);
        let filled = case.path("disk/filler").metadata().unwrap().len();
        fill(filled - 100 * PAGE as u64).unwrap();
        let (before, held) = (case.path("disk/f").metadata().unwrap(), case.read("disk/f"));

        let words = "revert --yes --store store disk/f@1";
        case.exits(words, 2).says("reserving space for").says("free some space on the disk of the file");
        let after = case.path("disk/f").metadata().unwrap();
        assert!(case.read("disk/f") == held);
        assert_eq!((after.blocks(), after.len()), (before.blocks(), before.len()), "what was reserved is given back");
        assert_eq!((after.mtime(), after.mtime_nsec()), (before.mtime(), before.mtime_nsec()));
        case.exits("recover --yes --store store disk/f", 0).says("no change was interrupted");

        fill(0).unwrap();
        case.ok(words);
        assert!(case.read("disk/f") == old);
    }
}

#[test]
fn a_limit_is_found_before_the_first_byte() {
    let case = Case::with_pages(100);
    let old = case.read("f");
    case.ok("snap f");
    case.touch(90, 5);
    // dash counts in blocks of 512 bytes: 200 KiB.
    let untouched = |words: &str, held: &[u8]| {
        limited(&case, 400, words).exits(2).says("File too large").says("ulimit -f");
        assert!(case.read("f") == held);
        case.ok("recover --yes f").says("no change was interrupted");
    };
    let held = case.read("f");
    untouched("revert --yes f@1", &held);
    case.set_len("f", 20 * PAGE as u64);
    let held = case.read("f");
    untouched("revert --yes f@1", &held);
    case.ok("revert --yes f@1");
    assert!(case.read("f") == old);
    // What lies below the limit can be written.
    case.touch(3, 6);
    limited(&case, 400, "revert --yes f@1").exits(0);
    assert!(case.read("f") == old);
}

/// With --grow an input is read up to what fits on the disk of the file, also where that is nothing.
#[test]
fn an_endless_input_ends_at_what_fits() {
    let Some(disk) = Disk::of(4 << 20) else { return };
    let case = &disk.0;
    let old = noise(1, 8 * PAGE);
    case.write("disk/f", &old);
    let words = "edit --store store --yes disk/f --grow --at 4096 --from";
    for input in ["/dev/zero", "/dev/urandom"] {
        for full in [false, true] {
            if full {
                disk.fill();
            }
            let ran = case.exits(&format!("{words} {input}"), 2).says("that fit on the disk of disk/f");
            assert!(ran.err.contains("hint: give fewer") && !ran.err.contains("--grow"), "{ran:?}");
            assert!(case.read("disk/f") == old && !case.path("store").exists());
        }
        std::fs::remove_file(case.path("disk/filler")).unwrap();
    }
    case.write("some", &noise(2, 20 * PAGE));
    case.ok(&format!("{words} some"));
    assert!(case.read("disk/f")[PAGE..] == noise(2, 20 * PAGE));
}
