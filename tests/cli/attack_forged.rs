//! Stored files and deltas made by hand, with checks that are right: no panic, no wrong bytes, little memory.

use std::fs::{self, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;

use super::attack::{Victim, bounded, frugal};
use super::case::{Case, PAGE, noise};
use super::forge::{Forge, SNAP_FIXED, end_of_delta, put};
use super::names::clean;
use super::util::is_tried;

/// Numbers at which something may overflow or be asked for in memory.
const NUMBERS: [u64; 6] = [u64::MAX, 1 << 63, (1 << 63) - 65536, 1 << 51, (1 << 32) - 1, 1 << 30];
const ESC: &str = "\u{1b}[31m\u{202e}\u{9b}x";

/// Verbs over a forged store: they end in good order, and what they give out is what was stored.
fn read_all(forge: &Forge, what: &str) {
    for verb in ["verify", "log f", "revert -n f@2", "diff --stat f@1 f@2"] {
        clean(&frugal(&forge.case, verb, what), what.as_bytes());
    }
    for (number, image) in (1..).zip(&forge.images) {
        let _ = fs::remove_file(forge.case.path("out"));
        let ran = frugal(&forge.case, &format!("restore f@{number} -o out"), what);
        assert!(ran.code != Some(0) || forge.case.read("out") == *image, "{what}: @{number} gives wrong bytes");
    }
}

/// Every number of a snapshot, at its worst.
#[test]
fn numbers_of_snapshots() {
    let forge = Forge::new();
    let wide = [16, 80, 96, 104, 144, 184, 192, 200, 208, 268, 276, 284, 292, 300, 308];
    let narrow = [216, 220, 224, 228, 232, 236, 240, 244, 248, 252, 256, 260, 264];
    for (places, bytes) in [(&wide[..], 8), (&narrow[..], 4)] {
        for at in places {
            let fits = |number: &u64| bytes == 8 || *number <= u64::from(u32::MAX);
            for (_, number) in NUMBERS.iter().enumerate().filter(|(i, n)| fits(n) && is_tried(at / 4 + i)) {
                forge.renew();
                forge.snapshot(&forge.second(), |snap| {
                    snap[*at..at + bytes].copy_from_slice(&number.to_le_bytes()[..bytes]);
                });
                let what = format!("snapshot, {number:#x} at {at}");
                read_all(&forge, &what);
                frugal(&forge.case, "snap --always f", &what);
                frugal(&forge.case, "log f", &what);
            }
        }
    }
}

/// A delta that is false about the length of its base is refused, although the digest of the base is right.
#[test]
fn a_base_of_another_length() {
    let forge = Forge::new();
    let case = &forge.case;
    case.write("g", &forge.images[0]);
    case.ok("snap g");
    let wrong = forge.images[0].len() as u64 - 1;
    case.write("forged", &forge.delta(|delta| delta[16..24].copy_from_slice(&wrong.to_le_bytes())));
    for verb in ["apply --yes g forged", "apply --yes g forged -o out"] {
        let ran = case.run(verb.split(' '));
        assert!(matches!(ran.code, Some(4 | 5)), "{verb}: {ran:?}");
    }
    assert!(case.read("g") == forge.images[0] && !case.path("out").exists());
}

/// And of packs: of the tail, the directory and the block.
#[test]
fn numbers_of_packs() {
    let forge = Forge::new();
    let places = |len: usize| {
        let directory = len - 128;
        // Of the tail; of the row; of the block, which ends where the directory begins.
        [len - 64, len - 56, len - 48, directory, directory + 8, directory + 16, directory + 24]
    };
    for index in 0..7 {
        for (_, number) in NUMBERS.into_iter().enumerate().filter(|(i, _)| is_tried(index + i)) {
            forge.renew();
            forge.pack(|pack| {
                let at = places(pack.len())[index];
                pack[at..at + 8].copy_from_slice(&number.to_le_bytes());
            });
            read_all(&forge, &format!("pack, {number:#x} at place {index}"));
        }
    }
}

#[test]
fn numbers_of_deltas() {
    let forge = Forge::of(Case::new());
    let case = &forge.case;
    // Where files can be as long as that (xfs, memory) a copy is scanned hole by hole, which takes hours.
    case.write("long", b"");
    let long = fs::OpenOptions::new().write(true).open(case.path("long")).unwrap().set_len(1 << 51).is_ok();
    case.write("long", b"");
    let len = case.read("d").len();
    let end = end_of_delta(&case.read("d"));
    let mut places = vec![16, 56, 96];
    places.extend((end..end + 64).step_by(8));
    for at in places {
        let is_endless = |n: &u64| long && at == 56 && (1 << 51..1 << 63).contains(n);
        for (_, number) in NUMBERS.into_iter().enumerate().filter(|(i, n)| !is_endless(n) && is_tried(at / 8 + i)) {
            let bytes = forge.delta(|delta| delta[at..at + 8].copy_from_slice(&number.to_le_bytes()));
            assert_eq!(bytes.len(), len);
            case.write("forged", &bytes);
            case.write("g", &forge.images[0]);
            let what = format!("delta, {number:#x} at {at}");
            for verb in ["delta stat forged", "apply --yes g forged -o out --force", "apply --yes g forged"] {
                clean(&frugal(case, verb, &what), what.as_bytes());
            }
            let now = case.read("g");
            assert!(now == forge.images[0] || now == forge.images[1], "{what}: wrong bytes");
            let _ = fs::remove_dir_all(case.path(".memsnap"));
        }
    }
}

/// Memory is not allocated for files of holes, which cost an attacker nothing.
#[test]
fn holes_that_claim_to_be_much() {
    let forge = Forge::new();
    // A directory of a thousand million rows.
    let pack = forge.case.stored(".pack").remove(0);
    let good = fs::read(&pack).unwrap();
    let size = 1u64 << 37;
    let file = OpenOptions::new().write(true).open(&pack).unwrap();
    file.set_len(size).unwrap();
    let mut tail = good[good.len() - 64..].to_vec();
    tail[..8].copy_from_slice(&64u64.to_le_bytes());
    tail[8..16].copy_from_slice(&((size - 128) / 64).to_le_bytes());
    file.write_all_at(&tail, size - 64).unwrap();
    read_all(&forge, "a pack of holes");
    forge.renew();
    // Ids of packs, and a block of runs: more than there are addresses.
    let hole = 640u32 << 20;
    for what in ["packs", "runs"] {
        forge.renew();
        forge.snapshot_with_hole(hole.into(), |snap| {
            let variable: usize = [232, 236, 240, 244, 248, 256].iter().map(|at| number(snap, *at) as usize).sum();
            let runs_at = SNAP_FIXED + variable + 32 * number(snap, 264) as usize;
            let add = |snap: &mut Vec<u8>, at: usize, n: u32| {
                let n = number(snap, at) + n;
                snap[at..at + 4].copy_from_slice(&n.to_le_bytes());
            };
            match what {
                "packs" => {
                    add(snap, 264, hole / 32);
                    runs_at
                }
                _ => {
                    let end = runs_at + number(snap, 268) as usize;
                    add(snap, 268, hole);
                    add(snap, runs_at + 8, hole);
                    end
                }
            }
        });
        for verb in ["verify", "restore f@2 -o out --force --yes"] {
            frugal(&forge.case, verb, what).exits(4);
        }
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// Texts that act on a terminal, and names that are paths, in all that a snapshot and a delta say.
#[test]
fn texts_that_act_are_shown() {
    let forge = Forge::new();
    let case = &forge.case;
    forge.snapshot(&forge.second(), |snap| {
        // Path, message, reason, host and version, all of them the same; and an attribute.
        let old: usize = [232, 236, 240, 244, 248, 256].iter().map(|at| number(snap, *at) as usize).sum();
        let name = format!("user.{ESC}");
        let attr = [&(name.len() as u16).to_le_bytes()[..], &3u32.to_le_bytes(), name.as_bytes(), b"\x1b]0"].concat();
        let texts = [ESC.repeat(5).as_bytes(), &attr].concat();
        snap.splice(SNAP_FIXED..SNAP_FIXED + old, texts);
        for at in [232, 236, 240, 244, 248] {
            snap[at..at + 4].copy_from_slice(&(ESC.len() as u32).to_le_bytes());
        }
        snap[252..256].copy_from_slice(&1u32.to_le_bytes());
        snap[256..260].copy_from_slice(&(attr.len() as u32).to_le_bytes());
    });
    let shown = ["log f", "-v log f", "--json log f", "verify", "-v diff f@1 f@2", "--json diff f@1 f@2", "-v stat f"];
    for verb in shown.into_iter().chain(["restore f@2 -o out", "-v revert --yes f@1", "undo --yes f", "snap f"]) {
        clean(&bounded(case, verb, "texts"), b"texts");
    }
    assert!(case.run(["log", "f"]).out.contains("\\u{1b}[31m"));
    let delta = forge.delta(|delta| {
        delta[96..98].copy_from_slice(&(ESC.len() as u16).to_le_bytes());
        delta.splice(104..105, ESC.bytes());
    });
    case.write("forged", &delta);
    for verb in ["delta stat forged", "--json delta stat forged", "apply -n base forged", "delta invert forged -o inv"]
    {
        clean(&bounded(case, verb, "texts"), b"texts");
    }
}

/// A history that says it is of a file elsewhere: what that file holds is not touched.
#[test]
fn histories_of_files_elsewhere() {
    let case = Case::with_pages(3);
    let victim = Victim::new(&case);
    case.ok("snap f");
    let history = case.history();
    let keys = ["../victim/file", "victim/../victim/file", victim.file().to_str().unwrap(), "", "/", "..", "a\0b"]
        .map(|key| if key.starts_with("..") { format!("x/{key}") } else { key.to_string() });
    for key in keys {
        let name = key.rsplit('/').next().unwrap();
        let plain: String = name
            .chars()
            .take(40)
            .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' })
            .collect();
        let place = case.path(".memsnap").join(format!("{plain}-{}", &blake3::hash(key.as_bytes()).to_hex()[..16]));
        assert!(
            case.command("cp")
                .args(["-a".as_ref(), history.as_os_str(), place.as_os_str()])
                .status()
                .unwrap()
                .success()
        );
        put(&place.join("target"), key.as_bytes());
        let pack =
            fs::read_dir(&place).unwrap().map(|e| e.unwrap().path()).find(|p| p.extension() == Some("pack".as_ref()));
        let bytes = fs::read(pack.as_ref().unwrap()).unwrap();
        put(&pack.unwrap(), &[&bytes[..100], &[bytes[100] ^ 1], &bytes[101..]].concat());
        for verb in ["log", "verify --repair", "verify", "snap f", "revert --yes f@1"] {
            clean(&bounded(&case, verb, &key), key.as_bytes());
            victim.is_untouched(&format!("{key}: {verb}"));
        }
        fs::remove_dir_all(place).unwrap();
    }
}

/// A snapshot under the id of another, of another target, and one that replaces another as a whole.
#[test]
fn snapshots_that_are_not_what_they_were() {
    let forge = Forge::new();
    let case = &forge.case;
    let second = forge.second();
    let id = second.file_name().unwrap().to_str().unwrap()[9..73].to_string();
    let first = case.stored(".snap").remove(0);
    // The content of one under the name of another.
    fs::copy(&first, &second).unwrap();
    case.exits("restore f@2 -o out", 4).says("its bytes are not what its name says");
    // Another target's, alone: its packs are missing.
    forge.renew();
    case.write("other", &noise(77, 20 * PAGE));
    case.ok("snap --store elsewhere other");
    let theirs = |ending: &str| {
        let history =
            fs::read_dir(case.path("elsewhere")).unwrap().map(|e| e.unwrap().path()).find(|p| p.is_dir()).unwrap();
        let mut all = fs::read_dir(history).unwrap().map(|e| e.unwrap().path());
        all.find(|path| path.as_os_str().as_bytes().ends_with(ending.as_bytes())).unwrap()
    };
    let snap = theirs(".snap");
    let name = snap.file_name().unwrap().to_str().unwrap();
    let planted = case.history().join(format!("00000002{}", &name[8..]));
    fs::remove_file(forge.second()).unwrap();
    fs::copy(&snap, &planted).unwrap();
    case.exits("restore f@2 -o out", 4).says("it is missing");
    case.exits("verify", 4);
    // With them: a whole snapshot takes the place of another, and only an id that is kept elsewhere shows it.
    fs::copy(theirs(".pack"), case.history().join(theirs(".pack").file_name().unwrap())).unwrap();
    case.ok("verify");
    case.exits(&format!("restore f@{id} -o out"), 2).says("no snapshot");
    assert!(!case.path("out").exists());
}

/// A parent that does not exist, or is the next snapshot: it is not followed.
#[test]
fn parents_that_are_none() {
    let forge = Forge::new();
    let later = *blake3::hash(&fs::read(forge.second()).unwrap()).as_bytes();
    for parent in [[0xab; 32], later] {
        forge.renew();
        let first = forge.case.stored(".snap").remove(0);
        forge.snapshot(&first, |snap| snap[56..88].copy_from_slice(&parent));
        read_all(&forge, "a parent");
        bounded(&forge.case, "snap --always f", "a parent").exits(0);
    }
}

/// A cache whose checks are right, and which lies about the pages of a group: it may spoil the snapshot that is made
/// with it, and that is noticed. Without it all is well again.
#[test]
fn a_cache_that_lies() {
    let forge = Forge::new();
    let case = &forge.case;
    // The leaf of group 0 is the first after the digests of 1024 groups; those are after the first page.
    let leaf = PAGE + 32 * 1024;
    for (page, now) in [(5, 5), (5, 6), (2, 2), (2, 9)] {
        forge.renew();
        let mut bytes = forge.images[1].clone();
        bytes[now * PAGE..][..8].copy_from_slice(b"new text");
        case.write("f", &bytes);
        let path = case.history().join("digests");
        let mut cache = fs::read(&path).unwrap();
        // It claims to have known all along what page `page` holds only now.
        let claim = blake3::hash(&bytes[page * PAGE..][..PAGE]);
        let claim = if page == now { *claim.as_bytes() } else { [0xcd; 32] };
        cache[leaf + 32 * page..][..32].copy_from_slice(&claim);
        let check = blake3::Hasher::new()
            .update(&0u64.to_le_bytes())
            .update(&cache[PAGE..PAGE + 32])
            .update(&cache[leaf..leaf + 512])
            .finalize();
        cache[leaf + 512..leaf + 544].copy_from_slice(check.as_bytes());
        put(&path, &cache);
        bounded(case, "snap --require none f", "a cache that lies");
        let restored = case.run(["restore", "f@3", "-o", "-"]);
        let sound = restored.code == Some(0) && restored.bytes == bytes;
        assert!(sound || restored.code == Some(4), "page {page} was lied about: {:?}", restored.code);
        case.exits("verify", if sound { 0 } else { 4 });
        fs::remove_file(&path).unwrap();
        case.ok("snap --require none --always f");
        assert!(case.ok("restore f@latest -o -").bytes == bytes, "page {page} was lied about");
    }
}

/// Records of changes that never were.
#[test]
fn records_that_are_forged() {
    let forge = Forge::new();
    let case = &forge.case;
    case.ok("revert --yes f@1");
    case.ok("undo --yes f");
    let victim = Victim::new(case);
    let undo = fs::read(case.history().join("undo")).unwrap();
    let ids: Vec<[u8; 32]> =
        case.stored(".snap").iter().map(|p| *blake3::hash(&fs::read(p).unwrap()).as_bytes()).collect();
    type Edit<'a> = &'a dyn Fn(&mut Vec<u8>);
    let edits: [(&str, Edit<'_>); 7] = [
        ("nothing to go back to", &|record| record[16..80].fill(0)),
        ("an image without a snapshot", &|record| record[16..48].fill(0)),
        ("unknown snapshots", &|record| record[16..48].fill(0xee)),
        ("wrong images", &|record| record[48..80].fill(0xee)),
        ("another file", &|record| record[144..160].fill(0x11)),
        ("a long verb", &|record| record[168..176].copy_from_slice(&u64::MAX.to_le_bytes())),
        ("a verb that acts", &|record| {
            record[168..176].copy_from_slice(&(ESC.len() as u64).to_le_bytes());
            record.truncate(176);
            record.extend(ESC.bytes());
        }),
    ];
    for (what, edit) in edits {
        for name in ["intent", "undo"] {
            let mut record = undo[..undo.len() - 32].to_vec();
            edit(&mut record);
            let check = blake3::hash(&record);
            record.extend(check.as_bytes());
            put(&case.history().join(name), &record);
            for verb in ["log f", "verify", "snap f", "undo --yes f", "revert --yes f@2", "recover --yes f"] {
                clean(&bounded(case, verb, what), what.as_bytes());
                let now = case.read("f");
                assert!(forge.images.contains(&now), "{what} {name}: {verb} left a mixture");
            }
            victim.is_untouched(what);
            put(&case.history().join("undo"), &undo);
            let _ = fs::remove_file(case.history().join("intent"));
        }
    }
    assert_eq!(ids.len(), 2);
}
