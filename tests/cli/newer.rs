//! What a newer version has written: it is distinguished from damage, and left as it is.

use std::fs;
use std::path::{Path, PathBuf};

use super::case::{Case, PAGE, finish_with};
use super::forge::{Forge, put};

/// All files of a store that a verb could touch, with their bytes and the time of their last change.
fn all(case: &Case) -> Vec<(PathBuf, Vec<u8>, std::time::SystemTime)> {
    let kept = |path: &PathBuf| {
        [".snap", ".pack", ".map", "intent", "undo"].iter().any(|end| path.to_string_lossy().ends_with(end))
    };
    let files = case.stored("").into_iter().filter(kept);
    files
        .map(|path| (path.clone(), fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap()))
        .collect()
}

/// A reader of the second snapshot ends with 2 and says why; nothing of the store changes, whatever is tried.
fn is_left_alone(forge: &Forge, what: &str) {
    let (case, before) = (&forge.case, all(&forge.case));
    // With it, no verb needs the packs of earlier snapshots.
    let _ = fs::remove_file(case.history().join("digests"));
    for verb in ["restore f@2 -o out", "verify", "verify --repair f", "snap --always f", "revert --yes f@2"] {
        let ran = case.exits(verb, 2);
        let said = format!("{}{}", ran.out, ran.err);
        assert!(said.contains("made by a newer memsnap"), "{what}: {verb} says {said}");
        assert!(!said.contains("damaged"), "{what}: {verb} says {said}");
        assert!(all(case) == before, "{what}: {verb} changed the store");
    }
    if !what.contains("pack") && what != "frame" && what != "source" {
        case.exits("log f", 2).says("made by a newer memsnap").shows("first");
    }
    let fault = &case.exits("verify --json", 2).json()[0];
    assert_eq!((&fault["newer"], &fault["snapshots"]), (&true.into(), &vec![2].into()), "{what}");
    assert_eq!(case.ok("restore f@1 -o -").bytes, forge.images[0], "{what}: @1 is not touched by it");
}

#[test]
fn snapshots() {
    let forge = Forge::new();
    for (at, byte, what) in [(8, 2, "format"), (10, 1, "flag"), (11, 0x80, "flag"), (228, 4, "grade"), (229, 3, "kind")]
    {
        forge.renew();
        forge.snapshot(&forge.second(), |snap| snap[at] = byte);
        is_left_alone(&forge, what);
    }
}

/// A run from a source with a free code, in the difference from the map.
#[test]
fn sources() {
    let forge = Forge::new();
    forge.snapshot(&forge.second(), |snap| {
        let number = |snap: &[u8], at: usize| u32::from_le_bytes(snap[at..at + 4].try_into().unwrap()) as usize;
        let variable: usize = [232, 236, 240, 244, 248, 256].iter().map(|at| number(snap, *at)).sum();
        let block = 320 + variable + 32 * number(snap, 264);
        let (runs, raw, coded) = (number(snap, block), number(snap, block + 4), number(snap, block + 8));
        let mut columns = zstd::bulk::decompress(&snap[block + 32..block + 32 + coded], raw).unwrap();
        // Small numbers, a byte each; the codes are the third column.
        columns[2 * runs] = 2;
        let new = zstd::bulk::compress(&columns, 3).unwrap();
        snap[block + 8..block + 12].copy_from_slice(&(new.len() as u32).to_le_bytes());
        let bytes = (number(snap, 268) + new.len() - coded) as u64;
        snap[268..276].copy_from_slice(&bytes.to_le_bytes());
        snap.splice(block + 32..block + 32 + coded, new);
    });
    is_left_alone(&forge, "source");
}

#[test]
fn packs() {
    let forge = Forge::new();
    for (at, byte) in [(8, 2), (10, 1), (11, 0x80)] {
        forge.renew();
        forge.pack(|pack| pack[at] = byte);
        is_left_alone(&forge, "head of a pack");
    }
    forge.renew();
    forge.pack(|pack| {
        // The block ends with the rows of its frames and its check, where the only row of the directory begins.
        let directory = pack.len() - 128;
        let block = u64::from_le_bytes(pack[directory..directory + 8].try_into().unwrap()) as usize;
        pack[directory - 32 - 16 + 3] = 9;
        let check = blake3::hash(&pack[block..directory - 32]);
        pack[directory - 32..directory].copy_from_slice(check.as_bytes());
    });
    is_left_alone(&forge, "frame");
}

#[test]
fn deltas() {
    let forge = Forge::new();
    let case = &forge.case;
    for (at, byte) in [(8, 2), (10, 3), (11, 0x80)] {
        case.write("forged", &forge.delta(|delta| delta[at] = byte));
        let mut flipped = case.read("d");
        flipped[at] = byte;
        case.write("flipped", &flipped);
        for verb in ["delta stat", "apply --yes base", "delta invert -o out"] {
            case.exits(&format!("{verb} forged"), 2).says("made by a newer memsnap");
            case.exits(&format!("{verb} flipped"), 4);
        }
        // A stream is judged by its end marker too.
        let stat = |name: &str| finish_with(&mut case.memsnap(["delta", "stat", "-"]), &case.read(name));
        stat("forged").exits(2).says("made by a newer memsnap");
        stat("flipped").exits(4);
        assert!(case.read("base") == forge.images[0]);
    }
}

fn flagged(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[10] = 0x80;
    let at = bytes.len() - 32;
    let check = blake3::hash(&bytes[..at]);
    bytes[at..].copy_from_slice(check.as_bytes());
    put(path, &bytes);
}

/// Nothing is changed before the record, or in the place of one, that a newer version wrote.
#[test]
fn records() {
    for name in ["undo", "intent"] {
        let case = Case::with_pages(20);
        case.ok("snap f");
        case.touch(3, 5);
        case.ok("revert --yes f@1");
        case.touch(4, 6);
        let (history, now) = (case.history(), case.read("f"));
        if name == "intent" {
            fs::rename(history.join("undo"), history.join("intent")).unwrap();
        }
        flagged(&history.join(name));
        let record = fs::read(history.join(name)).unwrap();
        for verb in ["revert --yes f@1", "edit --yes f --at 1 --hex 00", "recover --abandon --yes f", "undo --yes f"] {
            if name == "undo" && verb.starts_with("recover") {
                continue;
            }
            case.exits(verb, 2).says("made by a newer memsnap");
        }
        case.exits("verify", 2).shows("made by a newer memsnap");
        assert!(case.read("f") == now && fs::read(history.join(name)).unwrap() == record, "{name}");
    }
}

/// The cache is only a cache: one that cannot be used is made again.
#[test]
fn digests() {
    let case = Case::with_pages(20);
    case.ok("snap f");
    let cache = case.history().join("digests");
    let mut bytes = fs::read(&cache).unwrap();
    bytes[10] = 1;
    let check = blake3::hash(&bytes[..88]);
    bytes[88..120].copy_from_slice(check.as_bytes());
    put(&cache, &bytes);
    case.ok("verify");
    case.touch(2, 9);
    case.ok("snap f");
    case.ok("diff f");
    assert_eq!(fs::read(&cache).unwrap()[10], 0);
}

fn format(case: &Case, line: &str) {
    case.write(".memsnap/format", format!("{line} {}\n", blake3::hash(line.as_bytes())).as_bytes());
}

/// A store says what its readers must know, and which version of memsnap knows it.
#[test]
fn features() {
    let case = Case::with_pages(3);
    case.ok("snap f");
    let line = format!("memsnap 1 {} 0.3.0 packed-maps sets", "0".repeat(32));
    format(&case, &line);
    let before = case.read(".memsnap/format");
    for verb in ["snap f", "log f", "verify", "verify --repair f", "restore f@1 -o out", "revert --yes f@1"] {
        case.exits(verb, 2).says("packed-maps, sets").says("needs memsnap 0.3.0 or newer");
    }
    assert!(case.read(".memsnap/format") == before);
    format(&case, &format!("memsnap 1 {} 0.3.0", "0".repeat(32)));
    case.ok("verify");
}

/// A line that was lost cannot be written again by a version that does not know what it required.
#[test]
fn features_that_were_lost() {
    let forge = Forge::new();
    let case = &forge.case;
    forge.snapshot(&forge.second(), |snap| snap[10] = 1);
    case.patch(".memsnap/format", 3, b"?");
    let before = case.read(".memsnap/format");
    case.exits("verify --repair f", 4).shows("not repaired").shows("made by a newer memsnap");
    assert!(case.read(".memsnap/format") == before);
    forge.renew();
    case.patch(".memsnap/format", 3, b"?");
    case.ok("verify --repair f");
    assert!(case.read("f").len() == 20 * PAGE);
}
