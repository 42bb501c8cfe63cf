//! Stores in which an attacker planted something: what lies outside is never touched, and nothing hangs.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::attack::{Pattern, Plant, Victim, bounded, clear};
use super::case::{Case, UNPRIVILEGED, finish, has, is_root, program, skip};
use super::util::{chmod, is_tried};

/// Every verb that reads or writes in a store. Those that write come first: they do most harm.
const VERBS: [&str; 13] = [
    "revert --yes --quiet f@2",
    "snap --always --tag gold -m x f",
    "edit --yes --quiet f --at 0 --hex 0102",
    "undo --yes --quiet f",
    "recover --yes f",
    "apply --yes --quiet f d",
    "adopt g f",
    "restore --force --yes --quiet f@gold -o out",
    "delta make --force --quiet f@gold f -o d2",
    "diff --stat f@gold f",
    "log f",
    "verify --repair",
    "verify",
];

/// The verbs that are tried at a place; between them, all kinds of plants try every verb at every place.
fn verbs(number: usize) -> impl Iterator<Item = &'static str> {
    VERBS.into_iter().enumerate().filter(move |(i, _)| is_tried(number + i)).map(|(_, verb)| verb)
}

/// Plants `plant` at every place in turn, and runs verbs there.
fn everywhere(plant: Plant) {
    let pattern = Pattern::new();
    let case = &pattern.case;
    let victim = Victim::new(case);
    for (number, place) in pattern.places().into_iter().enumerate() {
        pattern.renew();
        let path = pattern.at(&place);
        let what = format!("{plant:?} at {}", place.display());
        for verb in verbs(number + plant as usize) {
            // A verb may put a file of ours in its place, which is as good; here the attacker does not give up.
            if !plant.is_at(&path, &victim) && path.parent().is_some_and(Path::exists) {
                plant.put(&path, &victim);
            }
            let ran = bounded(case, verb, &what);
            victim.is_untouched(&format!("{what}: {verb}"));
            if matches!(ran.code, Some(2 | 4)) {
                let said = format!("{}{}", ran.out, ran.err);
                assert!(said.contains(case.dir().to_str().unwrap()) || said.contains(" f"), "{what}: {verb}: {said}");
                assert!(ran.code == Some(4) || said.contains("hint: "), "{what}: {verb} says no way on: {said}");
            }
        }
        clear(&path);
    }
}

#[test]
fn links_to_files() {
    everywhere(Plant::LinkToFile);
}

#[test]
fn links_to_directories() {
    everywhere(Plant::LinkToDirectory);
}

#[test]
fn links_to_nothing() {
    everywhere(Plant::Dangling);
}

#[test]
fn pipes() {
    everywhere(Plant::Fifo);
}

#[test]
fn directories() {
    everywhere(Plant::Directory);
}

#[test]
fn devices() {
    if !is_root() {
        return skip("only root makes devices");
    }
    everywhere(Plant::Device);
}

#[test]
fn hard_links() {
    let pattern = Pattern::new();
    let case = &pattern.case;
    let victim = Victim::new(case);
    for (number, place) in pattern.places().into_iter().enumerate() {
        pattern.renew();
        let path = pattern.at(&place);
        if path.is_dir() {
            continue;
        }
        for verb in verbs(number + Plant::HardLink as usize) {
            if !Plant::HardLink.is_at(&path, &victim) {
                Plant::HardLink.put(&path, &victim);
            }
            bounded(case, verb, &format!("hard link at {}", place.display()));
            victim.is_untouched(&format!("hard link at {}: {verb}", place.display()));
        }
    }
}

/// A copy of a store made of hard links, as `cp -al` makes it: whatever the one store does, the other stays as it was.
#[test]
fn a_copy_of_hard_links_stays_as_it_is() {
    let pattern = Pattern::new();
    let case = &pattern.case;
    pattern.renew();
    fs::remove_file(case.history().join("lock")).unwrap();
    clear(&case.path("pattern"));
    let copied = case.command("cp").args(["-al", ".memsnap", "copy"]).status().unwrap();
    assert!(copied.success());
    let see = || {
        let mut all = Vec::new();
        let history = case.path("copy").join(case.history().file_name().unwrap());
        for entry in fs::read_dir(history).unwrap().map(|entry| entry.unwrap()).filter(|e| e.path().is_file()) {
            let meta = entry.metadata().unwrap();
            all.push((entry.file_name(), fs::read(entry.path()).unwrap(), meta.mtime_nsec(), meta.mode()));
        }
        all.sort();
        all
    };
    let before = see();
    case.touch(2, 99);
    for verb in ["snap f", "revert --yes f@gold", "undo --yes f", "verify"] {
        bounded(case, verb, "a copy of hard links");
    }
    // Damage is found, and no hint is left on a file that has another name, too.
    let pack = case.stored(".pack").into_iter().find(|p| p.metadata().unwrap().nlink() > 1).unwrap();
    let good = fs::read(&pack).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&pack).unwrap();
    file.set_len(good.len() as u64 - 1).unwrap();
    let bad = see();
    case.exits("verify", 4);
    assert!(see() == bad, "a fault was marked on a file with another name");
    fs::write(&pack, &good).unwrap();
    let times = |list: Vec<(std::ffi::OsString, Vec<u8>, i64, u32)>| {
        list.into_iter().map(|(name, bytes, _, mode)| (name, bytes, mode)).collect::<Vec<_>>()
    };
    assert!(times(see()) == times(before), "the copy was changed");
}

/// Modes that let others write make a directory unfit; those of files inside of it are of no use to others.
#[test]
fn modes_that_let_others_write() {
    let pattern = Pattern::new();
    let case = &pattern.case;
    let victim = Victim::new(case);
    for place in pattern.places() {
        pattern.renew();
        let path = pattern.at(&place);
        let Ok(meta) = path.symlink_metadata() else { continue };
        for bits in [0o020, 0o002] {
            chmod(&path, meta.mode() & 0o777 | bits);
            for verb in ["revert --yes f@2", "snap --always --tag gold f", "log f", "restore f@gold -o -"] {
                let ran = bounded(case, verb, "mode");
                if meta.is_dir() {
                    let ran = ran.exits(2).says("others can write to");
                    assert!(ran.err.contains("hint: chmod go-w"), "{ran:?}");
                }
                victim.is_untouched("mode");
            }
        }
    }
}

/// Files of another user in our store, and our verbs on the store of another user.
#[test]
fn other_owners() {
    if !is_root() || !has("setpriv") {
        return skip("needs root and setpriv");
    }
    let case = Case::with_pages(3);
    let victim = Victim::new(&case);
    chmod(case.dir(), 0o777);
    let copy = case.path("memsnap");
    fs::copy(program(), &copy).unwrap();
    std::os::unix::fs::chown(case.path("f"), Some(65534), Some(65534)).unwrap();
    let unprivileged = |verb: &str| {
        let mut command = case.as_user(UNPRIVILEGED, "timeout");
        finish(command.args(["-k", "1", "10"]).arg(&copy).args(verb.split(' ')))
    };
    // The store of an unprivileged user: root works on it, and what root makes belongs to that user.
    unprivileged("snap --tag gold f").exits(0);
    case.touch(1, 5);
    for verb in ["snap f", "revert --yes f@1", "undo --yes f", "verify"] {
        bounded(&case, verb, "root on another's store").exits(0);
    }
    let foreign = case.stored("").into_iter().find(|path| path.metadata().unwrap().uid() != 65534);
    assert_eq!(foreign, None, "what root makes belongs to the owner of the store");
    unprivileged("snap --always f").exits(0);
    // A third user's: refused to all but root.
    for path in [case.path(".memsnap"), case.history()] {
        std::os::unix::fs::chown(&path, Some(1234), Some(1234)).unwrap();
        chmod(&path, 0o755);
        for verb in ["snap --always f", "revert --yes f@1", "log f", "verify"] {
            let ran = unprivileged(verb);
            assert!(matches!(ran.code, Some(2 | 4)), "{verb}: {ran:?}");
            assert!(format!("{}{}", ran.err, ran.out).contains("belongs to user 1234"), "{verb}: {ran:?}");
        }
        std::os::unix::fs::chown(&path, Some(65534), Some(65534)).unwrap();
    }
    victim.is_untouched("other owners");
}
