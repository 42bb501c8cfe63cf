//! What the attacks share: a file that must never change, a program that must end soon, and things to plant.

use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use super::case::{Case, PAGE, Ran, finish, noise, program};
use super::util::chmod;

/// Seconds after which a run counts as hanging.
const PATIENCE: &str = "10";

/// Files that lie outside of any store: whatever is planted leads to them.
pub(crate) struct Victim {
    dir: PathBuf,
    before: Vec<Seen>,
}

/// What there is to see of a file without reading it for its time of access.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    path: PathBuf,
    mode: u32,
    owner: (u32, u32),
    mtime: (i64, i64),
    ino: u64,
    bytes: Option<Vec<u8>>,
}

impl Victim {
    /// In a directory of its own beside the target; names that a store has, and those of leftover files, are among them.
    pub(crate) fn new(case: &Case) -> Victim {
        let dir = case.path("victim");
        fs::create_dir(&dir).unwrap();
        chmod(&dir, 0o755);
        let kept = ["digests", "evidence", "clone", "cloned", "inode", "intent"];
        for name in ["file", "tmp-1-0123456789abcdef", "tag-gold", "lock"].into_iter().chain(kept) {
            let path = dir.join(name);
            fs::write(&path, b"precious").unwrap();
            let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
            File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        }
        let before = look(&dir);
        Victim { dir, before }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.dir.join("file")
    }

    /// Nothing was written, renamed, made or removed, and no mode or time was set.
    #[track_caller]
    pub(crate) fn is_untouched(&self, what: &str) {
        assert_eq!(look(&self.dir), self.before, "{what}");
    }
}

fn look(dir: &Path) -> Vec<Seen> {
    let mut paths: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    paths.push(dir.into());
    paths.sort();
    let see = |path: PathBuf| {
        let meta = path.symlink_metadata().unwrap();
        let bytes = meta.is_file().then(|| fs::read(&path).unwrap());
        // The mode of the directory counts, its times do not: a test may look into it.
        let mtime = if meta.is_dir() { (0, 0) } else { (meta.mtime(), meta.mtime_nsec()) };
        Seen { mode: meta.mode(), owner: (meta.uid(), meta.gid()), mtime, ino: meta.ino(), bytes, path }
    };
    paths.into_iter().map(see).collect()
}

/// Runs the program, which must end by itself and in good order.
#[track_caller]
pub(crate) fn bounded(case: &Case, verb: &str, what: &str) -> Ran {
    run_bounded(case, verb.split(' '), "unlimited", what)
}

/// As [`bounded`], with no more than 512 MiB of addresses.
#[track_caller]
pub(crate) fn frugal(case: &Case, verb: &str, what: &str) -> Ran {
    run_bounded(case, verb.split(' '), "524288", what)
}

#[track_caller]
fn run_bounded<'a>(case: &Case, args: impl Iterator<Item = &'a str>, kib: &str, what: &str) -> Ran {
    let script = "ulimit -v $1 && shift && exec timeout -k 1 $0 \"$@\"";
    let mut command = case.command("sh");
    command.args(["-c", script, PATIENCE, kib]).arg(program()).args(args);
    let ran = finish(&mut command);
    let end = (ran.code, ran.signal);
    assert!(matches!(ran.code, Some(0..=5 | 75)), "{what}: {end:?}: {}", ran.err);
    ran
}

/// What may stand in the place of a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plant {
    LinkToFile,
    LinkToDirectory,
    Dangling,
    Fifo,
    Device,
    Directory,
    HardLink,
}

impl Plant {
    /// Puts it at `path`, in the place of what is there.
    pub(crate) fn put(self, path: &Path, victim: &Victim) {
        clear(path);
        let node = |kind, dev| mknodat(CWD, path, kind, Mode::from_raw_mode(0o600), dev).unwrap();
        match self {
            Plant::LinkToFile => symlink(victim.file(), path).unwrap(),
            Plant::LinkToDirectory => symlink(victim.dir(), path).unwrap(),
            Plant::Dangling => symlink(victim.dir().join("made"), path).unwrap(),
            Plant::Fifo => node(FileType::Fifo, 0),
            Plant::Device => node(FileType::CharacterDevice, makedev(1, 5)),
            Plant::Directory => fs::create_dir(path).unwrap(),
            Plant::HardLink => fs::hard_link(victim.file(), path).unwrap(),
        }
    }

    /// Whether it is what stands at `path`.
    pub(crate) fn is_at(self, path: &Path, victim: &Victim) -> bool {
        let Ok(meta) = path.symlink_metadata() else { return false };
        let kind = meta.file_type();
        match self {
            Plant::LinkToFile | Plant::LinkToDirectory | Plant::Dangling => kind.is_symlink(),
            Plant::Fifo => kind.is_fifo(),
            Plant::Device => kind.is_char_device(),
            Plant::Directory => kind.is_dir(),
            Plant::HardLink => meta.ino() == victim.file().metadata().unwrap().ino(),
        }
    }
}

/// Removes what is at `path`, whatever it is.
pub(crate) fn clear(path: &Path) {
    match path.symlink_metadata() {
        Err(_) => {}
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path).unwrap(),
        Ok(_) => fs::remove_file(path).unwrap(),
    }
}

/// A store with a file of every kind, kept as a pattern to start over from.
pub(crate) struct Pattern {
    pub(crate) case: Case,
    /// Of the target at the time of the last change.
    bytes: Vec<u8>,
}

impl Pattern {
    pub(crate) fn new() -> Pattern {
        let case = Case::in_memory();
        case.write("f", &noise(1, 6 * PAGE));
        case.ok("snap --tag gold f");
        // Pages here and there among many, until a full map is due.
        let mut bytes = vec![0; 1500 * PAGE];
        for round in 0..30 {
            if !case.stored(".map").is_empty() {
                break;
            }
            let chosen = noise(round, 1500);
            for page in (0..1500).filter(|page| chosen[*page] < 128) {
                bytes[page * PAGE..][..2].copy_from_slice(&noise(round << 16 | page as u64, 2));
            }
            case.write("f", &bytes);
            case.ok("snap --quiet f");
        }
        assert!(!case.stored(".map").is_empty(), "no full map was written");
        case.touch(1, 7);
        case.ok("revert --yes --quiet f@gold");
        case.ok("delta make f@2 f@gold -o d --quiet");
        fs::copy(case.history().join("undo"), case.path("old-intent")).unwrap();
        let bytes = case.read("f");
        fs::rename(case.path(".memsnap"), case.path("pattern")).unwrap();
        Pattern { case, bytes }
    }

    /// The store and the target as they were; with the crash mark, so that the next writer looks for garbage.
    pub(crate) fn renew(&self) {
        clear(&self.case.path(".memsnap"));
        let copied = self.case.command("cp").args(["-a", "pattern", ".memsnap"]).status().unwrap();
        assert!(copied.success());
        self.case.write("f", &self.bytes);
        fs::write(self.case.history().join("lock"), b"w").unwrap();
    }

    /// A place in the store.
    pub(crate) fn at(&self, place: &Path) -> PathBuf {
        let store = self.case.path(".memsnap");
        // Joined with nothing it would end in a slash, and lead through a link.
        if place.as_os_str().is_empty() { store } else { store.join(place) }
    }

    /// Every place of a store where something can be planted, from the store's directory on; `""` is that directory
    /// itself.
    pub(crate) fn places(&self) -> Vec<PathBuf> {
        self.renew();
        let history = PathBuf::from(self.case.history().file_name().unwrap());
        let mut places: Vec<PathBuf> = ["", "format", ".gitignore"].map(PathBuf::from).into();
        places.push(history.clone());
        let own = [
            "lock",
            "names",
            "names/tag-gold",
            "digests",
            "evidence",
            "clone",
            "cloned",
            "inode",
            "target",
            "intent",
            "undo",
            "tmp-1-0123456789abcdef",
        ];
        places.extend(own.iter().map(|name| history.join(name)));
        places.push(history.join("names/tmp-1-0123456789abcdef"));
        for ending in [".snap", ".pack", ".map"] {
            let all = self.case.stored(ending);
            for path in [all.first(), all.last()].into_iter().flatten() {
                places.push(history.join(path.file_name().unwrap()));
            }
        }
        places.dedup();
        places
    }
}
