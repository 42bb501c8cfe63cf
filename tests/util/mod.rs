//! What all tests share. Beside it: the program run in a directory (`case`), under strace (`trace`) and on small file
//! systems (`mount`); the library with plain options (`ground`).

use std::fs::{Metadata, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// Bytes that do not shrink, the same for the same seed.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut out);
    out
}

/// Numbers by Marsaglia's xorshift64.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}

/// Whether tests run at full size.
pub(crate) fn nightly() -> bool {
    std::env::var_os("MEMSNAP_NIGHTLY").is_some_and(|set| set == "1")
}

/// How much of something is tried: a sample by default, more in `.ci/run` (`MEMSNAP_CI=1`), all at full size.
pub(crate) fn by_size<T>(sample: T, ci: T, full: T) -> T {
    if nightly() {
        full
    } else if std::env::var_os("MEMSNAP_CI").is_some() {
        ci
    } else {
        sample
    }
}

/// Whether number `n` of many combinations is tried: by default a fifth of them.
pub(crate) fn is_tried(n: usize) -> bool {
    n.is_multiple_of(by_size(5, 1, 1))
}

/// Says why a test does not run here; where all must run, that is a failure.
pub(crate) fn skip(why: &str) {
    assert!(std::env::var_os("MEMSNAP_CI").is_none(), "skipped where nothing may be: {why}");
    eprintln!("skipped: {why}");
}

/// Waits until it is so, for a minute at most.
#[track_caller]
pub(crate) fn eventually(mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(60), "it never was so");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Aborts the process when a test does not end within ten minutes.
pub(crate) struct Alarm(Sender<()>);

impl Alarm {
    pub(crate) fn new(what: &'static str) -> Alarm {
        let (sender, over) = channel();
        std::thread::spawn(move || {
            if over.recv_timeout(Duration::from_secs(600)) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{what} does not end");
                std::process::abort();
            }
        });
        Alarm(sender)
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

pub(crate) fn chmod(path: impl AsRef<Path>, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Calls `each` with all that is below a directory; a directory comes before its content.
pub(crate) fn walk(dir: &Path, each: &mut dyn FnMut(&Path, &Metadata)) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let meta = path.symlink_metadata().unwrap();
        each(&path, &meta);
        if meta.is_dir() {
            walk(&path, each);
        }
    }
}

/// The file `evidence` of a history, word by word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Evidence(Vec<String>);

impl Evidence {
    pub(crate) const SNAPSHOT: usize = 0;
    pub(crate) const BOOT: usize = 1;
    pub(crate) const MOUNT: usize = 2;
    pub(crate) const INODE: usize = 4;
    pub(crate) const CTIME: usize = 5;
    pub(crate) const MEANS: usize = 6;
    pub(crate) const READ: usize = 7;

    /// What is there.
    pub(crate) fn of(history: &Path) -> Evidence {
        let text = std::fs::read_to_string(history.join("evidence")).unwrap();
        let words: Vec<_> = text.trim_end().split(' ').map(str::to_owned).collect();
        assert_eq!(words.len(), 9, "{text}");
        Evidence(words[..8].into())
    }

    /// The same with another word.
    pub(crate) fn with(&self, n: usize, word: &str) -> Evidence {
        let mut other = self.clone();
        other.0[n] = word.into();
        other
    }

    /// The same of a file as it is now.
    pub(crate) fn now(&self, file: &Path) -> Evidence {
        let found = std::fs::metadata(file).unwrap();
        self.with(Evidence::CTIME, &format!("{}{:09}", found.ctime(), found.ctime_nsec()))
    }

    /// Writes it, with the check that it has then.
    pub(crate) fn put(&self, history: &Path) {
        let words = self.0.join(" ");
        let check = blake3::hash(format!("memsnap evidence 1\n{words}").as_bytes()).to_hex();
        std::fs::write(history.join("evidence"), format!("{words} {check}\n")).unwrap();
    }
}
