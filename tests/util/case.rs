//! A directory of its own for each test, the program run in it, and what it answered.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tempfile::TempDir;

#[allow(unused_imports, reason = "shared")]
pub(crate) use crate::util::{noise, skip};

#[path = "schemas.rs"]
pub(crate) mod schemas;

pub(crate) const PAGE: usize = 4096;

/// The user id of `nobody`.
pub(crate) const UNPRIVILEGED: u32 = 65534;

/// Held while a process is started, and while a target is open here: between fork and exec a child has all our
/// files open, and for that moment the kernel would say that another process has the target open.
static FORKS: Mutex<()> = Mutex::new(());

pub(crate) fn no_forks() -> MutexGuard<'static, ()> {
    FORKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a program can be started.
pub(crate) fn has(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|dir| dir.join(program).is_file())
}

/// Whether a program can be started; skips the test if not.
pub(crate) fn needs(program: &str) -> bool {
    has(program) || {
        skip(&format!("{program} is not there"));
        false
    }
}

pub(crate) fn is_root() -> bool {
    memsnap::sys::id::euid() == 0
}

/// The program under test.
pub(crate) fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_memsnap").into()
}

/// A new directory where leases prove something: the usual place for scratch, or else that of the build.
fn directory() -> TempDir {
    let proves = |dir: &Path| {
        File::open(dir).and_then(|f| memsnap::sys::fs::kind(&f)).is_ok_and(|kind| kind.lease_proves_no_writes())
    };
    let (usual, build) = (std::env::temp_dir(), PathBuf::from(env!("CARGO_TARGET_TMPDIR")));
    let dir = if proves(&usual) || !proves(&build) { usual } else { build };
    tempfile::tempdir_in(dir).unwrap()
}

/// A directory with files in it.
pub(crate) struct Case {
    dir: PathBuf,
    _removed_at_the_end: Option<TempDir>,
}

impl Case {
    pub(crate) fn new() -> Case {
        Case::owning(directory())
    }

    fn owning(dir: TempDir) -> Case {
        Case { dir: dir.path().into(), _removed_at_the_end: Some(dir) }
    }

    /// In a directory that the caller owns and removes.
    #[allow(dead_code, reason = "for tests/crash")]
    pub(crate) fn at(dir: &Path) -> Case {
        Case { dir: dir.into(), _removed_at_the_end: None }
    }

    /// In memory, where bringing to the disk costs nothing; elsewhere as [`Case::new`].
    pub(crate) fn in_memory() -> Case {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Case::owning(tempfile::tempdir_in(memory).unwrap()) } else { Case::new() }
    }

    /// With `f` of so many pages of noise.
    pub(crate) fn with_pages(pages: usize) -> Case {
        let case = Case::new();
        case.write("f", &noise(1, pages * PAGE));
        case
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir().join(name)
    }

    pub(crate) fn write(&self, name: impl AsRef<Path>, bytes: &[u8]) {
        let _alone = no_forks();
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// Writes into a file, in place.
    pub(crate) fn patch(&self, name: impl AsRef<Path>, at: u64, bytes: &[u8]) {
        let _alone = no_forks();
        let file = OpenOptions::new().write(true).open(self.path(name)).unwrap();
        file.write_all_at(bytes, at).unwrap();
    }

    /// Gives a page of `f` other bytes.
    pub(crate) fn touch(&self, page: u64, seed: u64) {
        self.patch("f", page * PAGE as u64, &noise(seed, PAGE));
    }

    pub(crate) fn set_len(&self, name: &str, len: u64) {
        let _alone = no_forks();
        OpenOptions::new().write(true).open(self.path(name)).unwrap().set_len(len).unwrap();
    }

    pub(crate) fn read(&self, name: impl AsRef<Path>) -> Vec<u8> {
        let path = self.path(name);
        // A write lease is refused where any process has the file open, also for reading. (A pipe may wait for a writer.)
        let _alone = path.is_file().then(no_forks);
        std::fs::read(path).unwrap()
    }

    /// Any command, in this directory.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.dir()).stdin(Stdio::null());
        for name in ["MEMSNAP_STORE", "NO_COLOR", "CLICOLOR_FORCE", "COLUMNS"] {
            command.env_remove(name);
        }
        command
    }

    /// A command run by an unprivileged user; needs root and setpriv.
    pub(crate) fn as_user(&self, uid: u32, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.command("setpriv");
        command.args([&format!("--reuid={uid}"), &format!("--regid={uid}"), "--clear-groups"]).arg(program);
        command
    }

    /// Runs a line of bash, in which `$M` is the program.
    pub(crate) fn shell(&self, line: &str) -> Ran {
        finish(self.command("bash").args(["-c", line]).env("M", program()))
    }

    /// The program with these arguments, not yet started.
    pub(crate) fn memsnap<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, args: I) -> Command {
        let mut command = self.command(program());
        command.args(args);
        command
    }

    /// Runs the program.
    pub(crate) fn run<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, args: I) -> Ran {
        finish(&mut self.memsnap(args))
    }

    /// Runs the program with words split at spaces; it must end with `code`.
    pub(crate) fn ok(&self, words: &str) -> Ran {
        self.exits(words, 0)
    }

    pub(crate) fn exits(&self, words: &str, code: i32) -> Ran {
        self.run(words.split_whitespace()).exits(code)
    }

    fn histories(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.path(".memsnap")).into_iter().flatten();
        entries.map(|e| e.unwrap().path()).filter(|path| path.is_dir()).collect()
    }

    /// The history of the only target.
    pub(crate) fn history(&self) -> PathBuf {
        let mut histories = self.histories();
        assert_eq!(histories.len(), 1, "{histories:?}");
        histories.remove(0)
    }

    /// Files in histories with this ending.
    pub(crate) fn stored(&self, ending: &str) -> Vec<PathBuf> {
        let list = |history| std::fs::read_dir(history).unwrap().map(|e| e.unwrap().path());
        let mut files: Vec<_> = self.histories().into_iter().flat_map(list).collect();
        files.retain(|path| path.to_string_lossy().ends_with(ending));
        files.sort();
        files
    }

    pub(crate) fn snapshots(&self) -> usize {
        self.stored(".snap").len()
    }
}

/// Sends a signal (`TERM`, `KILL`, ...) to a process.
pub(crate) fn signal(name: &str, child: &Child) {
    let mut command = Command::new("sh");
    finish(command.args(["-c", &format!("kill -{name} {}", child.id())])).exits(0);
}

/// Starts a command; no other thread starts one or writes a target meanwhile.
pub(crate) fn start(command: &mut Command) -> Child {
    let _alone = no_forks();
    command.spawn().unwrap()
}

/// Runs a command to its end.
pub(crate) fn finish(command: &mut Command) -> Ran {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Ran::of(start(command).wait_with_output().unwrap(), format!("{command:?}"))
}

/// Runs a command with this on its stdin.
pub(crate) fn finish_with(command: &mut Command, input: &[u8]) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = start(command);
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // It may end before it has read all.
        scope.spawn(move || drop(stdin.write_all(input)));
        Ran::of(child.wait_with_output().unwrap(), format!("{command:?}"))
    })
}

/// What a command answered.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) out: String,
    pub(crate) err: String,
    what: String,
}

impl Ran {
    pub(crate) fn of(output: Output, what: String) -> Ran {
        Ran {
            code: output.status.code(),
            signal: output.status.signal(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            bytes: output.stdout,
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            what,
        }
    }

    /// It must have ended with this code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Ran {
        assert!(
            self.code == Some(code),
            "{}\nended with {:?}{}, not {code}\n--- stdout\n{}\n--- stderr\n{}",
            self.what,
            self.code,
            self.signal.map_or(String::new(), |n| format!(" (signal {n})")),
            self.out.chars().take(2000).collect::<String>(),
            self.err,
        );
        self
    }

    /// stderr must say this.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Ran {
        assert!(self.err.contains(text), "{}\ndoes not say {text:?} but\n{}", self.what, self.err);
        self
    }

    /// stdout must show this.
    #[track_caller]
    pub(crate) fn shows(self, text: &str) -> Ran {
        assert!(self.out.contains(text), "{}\ndoes not show {text:?} but\n{}", self.what, self.out);
        self
    }

    /// The JSON objects on stdout; each is as docs/json.md says.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<Value> {
        json_lines(&self.out)
    }
}

#[track_caller]
pub(crate) fn json_lines(text: &str) -> Vec<Value> {
    let parse = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        schemas::check(&value);
        value
    };
    text.lines().map(parse).collect()
}
