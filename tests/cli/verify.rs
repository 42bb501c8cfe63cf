//! `verify`: finds every damage, names what it costs, repairs what can be.

use super::case::{Case, PAGE};
use super::trace::{Subject, needs_strace};

fn three() -> Case {
    let case = Case::with_pages(40);
    case.ok("snap f");
    case.touch(3, 9);
    case.ok("snap f");
    case.touch(30, 9);
    case.ok("snap f");
    case
}

fn flip(path: &std::path::Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// The pack of the first snapshot is the largest.
fn first_pack(case: &Case) -> std::path::PathBuf {
    case.stored(".pack").into_iter().max_by_key(|p| p.metadata().unwrap().len()).unwrap()
}

#[test]
fn all_good() {
    let case = three();
    case.ok("verify").shows("all good").shows("3 snapshots");
    case.ok("verify f");
    case.ok("verify f@2");
    case.ok("verify --quick f");
    let json = case.ok("verify --json").json();
    assert_eq!((json[0]["snapshots"].as_u64(), json[0]["faults"].as_u64()), (Some(3), Some(0)));
}

#[test]
fn a_page_and_what_it_costs() {
    let case = three();
    flip(&first_pack(&case), 20 * PAGE);
    let ran = case.exits("verify", 4);
    assert!(ran.out.contains("@1") && ran.out.contains("@3"), "{}", ran.out);
    let json = case.exits("verify --json f", 4).json();
    let fault = &json[0];
    assert_eq!(fault["schema"], "memsnap.verify.fault.1");
    assert!(fault["snapshots"].as_array().unwrap().len() == 3 && !fault["ranges"].as_array().unwrap().is_empty());
    case.ok("verify --quick");
}

#[test]
fn all_faults_are_listed() {
    let case = three();
    flip(&first_pack(&case), 20 * PAGE);
    flip(&case.stored(".snap")[1], 40);
    let small = case.stored(".pack").into_iter().find(|path| *path != first_pack(&case)).unwrap();
    std::fs::remove_file(small).unwrap();
    let json = case.exits("verify --json", 4).json();
    let faults = json.iter().filter(|line| line["schema"] == "memsnap.verify.fault.1").count();
    assert!(faults >= 3, "{json:?}");
}

#[test]
fn repair_from_the_live_file() {
    let case = three();
    flip(&first_pack(&case), 20 * PAGE);
    case.exits("verify f", 4);
    case.ok("verify --repair f").shows("repaired");
    case.ok("verify").shows("all good");
    case.ok("restore f@1 -o out");
}

#[test]
fn why_nothing_could_be_repaired() {
    let case = three();
    flip(&first_pack(&case), 3 * PAGE);
    case.touch(2, 77);
    case.touch(3, 77);
    case.exits("verify --repair f", 4).shows("; not repaired: the file no longer holds these pages");
    let small = case.stored(".pack").into_iter().find(|path| *path != first_pack(&case)).unwrap();
    std::fs::remove_file(small).unwrap();
    let ran = case.exits("verify --repair f", 4).shows("; not repaired: without its index");
    assert!(ran.out.lines().count() > 2, "{}", ran.out);
    assert!(!case.exits("verify f", 4).out.contains("not repaired"));
    std::fs::remove_file(case.path("f")).unwrap();
    case.exits("verify --repair f", 4).shows("; not repaired: opening");
    let fault = &case.exits("verify --repair --json f", 4).json()[0];
    assert!(fault["unrepaired"].as_str().unwrap().starts_with("opening"), "{fault}");
}

#[test]
fn the_next_snap_heals() {
    let case = three();
    // A pack is suspect when it is younger than the snapshot, by the clock of the file system, which ticks every few ms.
    std::thread::sleep(std::time::Duration::from_millis(50));
    flip(&first_pack(&case), 20 * PAGE);
    case.touch(8, 8);
    case.ok("snap f");
    let ran = case.run(["verify", "f@latest"]);
    ran.exits(0);
    case.ok("restore f@latest -o out");
    assert!(case.read("out") == case.read("f"));
}

#[test]
fn leftover_files_are_counted_and_removed() {
    let case = three();
    std::fs::write(case.history().join("tmp-1-0123456789abcdef"), b"half").unwrap();
    std::fs::write(case.history().join(format!("{}.pack", "ab".repeat(32))), b"unnamed").unwrap();
    // A hint makes the next writer look, as no process was killed here.
    case.ok("verify").says("2 files");
    assert_eq!(std::fs::read(case.history().join("lock")).unwrap(), b"w");
    case.ok("snap f");
    let ran = case.ok("verify");
    assert!(!ran.err.contains("left by an interrupted"), "{}", ran.err);
}

#[test]
fn leftover_files_are_removed_by_repair() {
    let case = three();
    let leftovers =
        [case.history().join("tmp-1-0123456789abcdef"), case.history().join(format!("{}.map", "ab".repeat(32)))];
    leftovers.iter().for_each(|path| std::fs::write(path, b"half").unwrap());
    let before = case.stored("").len();
    case.ok("verify --repair").says("removed 2 files left by an interrupted command");
    assert_eq!(case.stored("").len(), before - 2);
    assert!(!leftovers.iter().any(|path| path.exists()));
    let ran = case.ok("verify");
    assert!(!ran.err.contains("left by an interrupted"), "{}", ran.err);
    case.ok("restore f@3 -o out");
}

#[test]
fn nothing_there() {
    let case = Case::with_pages(2);
    case.exits("verify", 2).says("no store");
    case.exits("verify f", 2);
}

/// Nothing of ours takes a snapshot away: a number without one is worth a word.
#[test]
fn missing_snapshots_are_told_of() {
    let case = three();
    std::fs::remove_file(&case.stored(".snap")[1]).unwrap();
    case.ok("verify").says("snapshots are missing, by number: 2");
    std::fs::remove_file(&case.stored(".snap")[0]).unwrap();
    case.ok("verify").says("by number: 1..3");
}

/// A bit in the number of the format is damage: a store has one format, and says which.
#[test]
fn a_flipped_format_is_damage() {
    for kind in [".snap", ".pack"] {
        let case = Case::with_pages(30);
        case.ok("snap f");
        let path = case.stored(kind).remove(0);
        case.patch(&path, 9, &[0x21]);
        case.exits("restore f@1 -o out", 4);
        case.exits("verify", 4);
        if kind == ".pack" {
            case.exits("verify --repair", 4);
        }
        case.exits("snap f", 4);
        case.ok("snap f");
        case.ok("restore f@2 -o out");
        assert!(case.read("out") == case.read("f"));
    }
}

/// What a reader found is not forgotten because a clock was ahead when the snapshot was made.
#[test]
fn damage_is_remembered_whatever_the_clock_said() {
    let case = Case::with_pages(30);
    case.ok("snap f");
    let pack = case.stored(".pack").remove(0);
    case.patch(&pack, 2000, b"flipped");
    let ahead = std::time::SystemTime::now() + std::time::Duration::from_secs(100_000_000);
    for path in case.stored("") {
        std::fs::File::open(path).unwrap().set_times(std::fs::FileTimes::new().set_modified(ahead)).unwrap();
    }
    case.exits("verify", 4);
    case.ok("snap f").says("stored again");
    case.ok("verify");
}

/// The files that identify a store are derived from what is in it.
#[test]
fn the_files_that_say_whose_it_is_are_made_again() {
    for (name, words) in [("format", "f"), ("format", ""), ("target", "f")] {
        let case = three();
        let path = if name == "format" { case.path(".memsnap").join(name) } else { case.history().join(name) };
        for damage in [|path: &std::path::Path| flip(path, 0), |path: &_| std::fs::remove_file(path).unwrap()] {
            damage(&path);
            if name == "format" {
                for verb in ["snap f", "log f", "restore f@1 -o -", "revert --yes f@1", "diff f"] {
                    case.exits(verb, 4).says("format is damaged");
                }
            }
            case.exits("verify f", 4).shows(name).says("--repair");
            case.ok(&format!("verify --repair {words}")).shows(name).shows("; repaired");
            case.ok("verify f");
            case.ok("verify");
            case.ok("restore f@1 -o out --force --yes");
        }
        case.ok("snap f");
    }
}

#[test]
fn what_cannot_be_proven_is_not_made_again() {
    let case = three();
    flip(&case.history().join("target"), 0);
    case.exits("verify --repair", 4).shows("not repaired").shows("--repair FILE");
    case.ok("verify --repair f");
    // Of which format this store is, nothing says.
    case.stored(".snap").iter().for_each(|path| flip(path, 8));
    let format = case.path(".memsnap").join("format");
    std::fs::remove_file(&format).unwrap();
    case.exits("verify --repair f", 4).shows("not repaired: no snapshot can be read");
    assert!(!format.exists());
    // Nor is a directory a store because an option says so.
    std::fs::remove_dir_all(case.history()).unwrap();
    case.exits("verify --repair", 2).says("no store");
}

/// That it cannot be made again takes nothing from what else was found.
#[test]
fn what_could_not_be_made_again_says_why() {
    if !needs_strace() {
        return;
    }
    let case = three();
    let format = case.path(".memsnap").join("format");
    flip(&format, 0);
    let ran = Subject::sound().inject(&case, "verify --repair f", "fsync", "error=EIO");
    ran.exits(4).shows("format").shows("not repaired: writing").shows("3 snapshots");
    assert_eq!(std::fs::read(&format).unwrap()[0], b'm' ^ 1, "it stays as it was");
    case.ok("verify --repair f");
}
