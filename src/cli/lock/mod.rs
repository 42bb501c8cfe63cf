//! `memsnap lock`: flock(1) of util-linux, which also names the process that holds the lock.

mod conflict;
mod target;

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use clap::ValueHint;
use memsnap::Error;
use memsnap::program::ext::ExitStatusExt;
use memsnap::program::lockable::{self, Lockable, Span};
use memsnap::program::{child, signal};
use memsnap::sys::lock::LockMode;
use memsnap::sys::open::OpenMode;

use super::common_flags::Global;
use super::exit::{Coded, Exit};
use super::screen::Screen;
use super::{escape, help, units};
use target::LockTarget;

/// The exit code for usage errors of this verb.
pub(crate) const USAGE: Exit = Exit::Own(64);
const NOT_LOCKABLE: u8 = 65;
const NO_INPUT: u8 = 66;
const CANNOT_RUN: u8 = 69;
const SYSTEM: u8 = 71;
const CANNOT_MAKE: u8 = 73;

/// Run a command while a file is locked, as flock(1) does
///
/// Waits for an exclusive lock on FILE, runs CMD, and exits with its status.
/// FILE may be a directory; a file that does not exist is created. If the only
/// argument is a number, locks that descriptor of the shell, and leaves it
/// locked.
///
/// The lock belongs to the open file, which CMD inherits. It is released when
/// CMD and all processes that inherited it have ended; with -o, when CMD has
/// ended. Signals sent to memsnap are forwarded to CMD.
///
/// If another process holds the lock (with -n), or still holds it after the
/// time to wait (with -w), only the exit status says so, as with flock(1). On a
/// terminal, with -v and with --json, the process that holds the lock is also
/// named, even if it inherited the lock from a process that has ended.
///
/// All options of flock(1) are supported, and come before FILE; everything
/// after FILE belongs to CMD. --fd, to lock a descriptor of the shell and run
/// CMD, is an extension.
///
/// Examples:
///
///   memsnap lock db.bin -- ./migrate db.bin
///   memsnap lock -n /run/job.lock ./job || echo 'still running'
///   memsnap lock -s -w 2.5 db.bin -c 'cat db.bin | wc -c'
///   (memsnap lock -n 9 || exit 1; ./job) 9>job.lock
///   memsnap lock --fd 9 --close ./job 9>job.lock
#[derive(clap::Args)]
#[command(version, verbatim_doc_comment, after_long_help = help::LOCK_EXIT, infer_long_args = true, args_override_self = true)]
#[command(override_usage = "memsnap lock [OPTIONS] FILE [--] CMD [ARG]...
       memsnap lock [OPTIONS] FILE -c SHELL_CMD
       memsnap lock [OPTIONS] DESCRIPTOR")]
pub(crate) struct Args {
    /// The file and the command to run; or the number of a descriptor
    #[arg(value_name = "FILE [CMD]", value_hint = ValueHint::FilePath)]
    #[arg(trailing_var_arg = true)]
    words: Vec<OsString>,
    /// Take a shared lock: others may hold one at the same time
    #[arg(short, long, overrides_with_all = ["exclusive", "unlock"])]
    shared: bool,
    /// Take an exclusive lock (the default; also -e)
    #[arg(short = 'x', long, short_alias = 'e', overrides_with_all = ["shared", "unlock"])]
    exclusive: bool,
    /// Release the lock of a descriptor
    #[arg(short, long, overrides_with_all = ["shared", "exclusive"])]
    unlock: bool,
    /// Fail at once if the lock is held
    #[arg(short, long, aliases = ["nb", "nonblocking"])]
    nonblock: bool,
    /// Wait at most SECS seconds, such as 0.5; 0 is -n (also --wait)
    #[arg(short = 'w', long, value_name = "SECS", alias = "wait", allow_hyphen_values = true)]
    #[arg(value_parser = |text: &str| text.trim_start().parse::<f64>().map_err(|_| "write seconds, such as 10 or 0.5"))]
    timeout: Option<f64>,
    /// Exit with CODE, 0 to 255, if the lock cannot be taken (default 1)
    #[arg(short = 'E', long, value_name = "CODE", default_value = "1", hide_default_value = true)]
    #[arg(allow_hyphen_values = true)]
    #[arg(value_parser = |text: &str| text.trim_start().parse::<u8>().map_err(|_| "exit codes are 0 to 255"))]
    conflict_exit_code: u8,
    /// Close the descriptor that holds the lock before CMD runs
    #[arg(short = 'o', long)]
    close: bool,
    /// Replace memsnap by the command (exec), without a fork
    #[arg(short = 'F', long, conflicts_with = "close")]
    no_fork: bool,
    /// Run CMD with the shell, $SHELL or /bin/sh; after FILE or with --fd
    #[arg(short, long, value_name = "CMD", value_hint = ValueHint::CommandString)]
    command: Option<OsString>,
    /// Use fcntl(2) (an OFD lock), not flock(2)
    #[arg(long)]
    fcntl: bool,
    /// Lock bytes from OFFSET on (implies --fcntl)
    #[arg(long, value_name = "OFFSET", value_parser = units::offset)]
    start: Option<u64>,
    /// Lock SIZE bytes; 0 means to the end (implies --fcntl)
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    length: Option<u64>,
    /// Lock descriptor N; all arguments are the command, if any
    #[arg(long, value_name = "N")]
    fd: Option<i32>,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Exit> {
        let (target, command) = self.read()?;
        let wait = self.wait()?;
        let mut file = self.open(&target, self.access())?;
        let start = Instant::now();
        let watched = screen.terminals.stderr && !global.quiet && !screen.is_json();
        if watched
            && wait.is_none_or(|wait| wait.as_secs() > 0)
            && matches!(self.take(&file, Some(Duration::ZERO)), Ok(false))
        {
            self.tell("waiting: ", &file, &target, screen)?;
        }
        let mut had = self.take(&file, wait);
        if matches!(&had, Err(e) if is_nfs(e))
            && self.kind() != Some(LockMode::Shared)
            && matches!(target, LockTarget::File(_))
        {
            // NFS turns all locks into POSIX locks; exclusive ones need a file that is open for writing.
            if let Ok(again) = self.open(&target, OpenMode::Both) {
                file = again;
                had = self.take(&file, wait);
            }
        }
        match had {
            Ok(true) => {}
            Ok(false) => {
                let why = if wait == Some(Duration::ZERO) {
                    "failed to get lock"
                } else {
                    "timeout while waiting to get lock"
                };
                if global.verbose {
                    screen.tell(&format!("memsnap: {why}"));
                }
                // Otherwise silent, like flock(1): cron would send every message by mail.
                if screen.is_json() || global.verbose || screen.terminals.stderr && !global.quiet {
                    self.tell("", &file, &target, screen)?;
                }
                return Ok(Exit::Own(self.conflict_exit_code));
            }
            Err(source) => return Err(no_lock(&target, source)),
        }
        if global.verbose && !global.json {
            screen.line(&format!("memsnap: getting lock took {:.6} seconds", start.elapsed().as_secs_f64()))?;
        }
        match command {
            Some(command) => self.execute(command, global, screen),
            None => Ok(Exit::Done),
        }
        // `file` is closed here, and its lock released unless a process inherited it.
    }

    /// Reports, after `doing`, which processes hold the lock.
    fn tell(&self, doing: &str, file: &Lockable, target: &LockTarget, screen: &mut Screen) -> anyhow::Result<()> {
        let found = lockable::conflicting(file, self.span(), self.kind().unwrap_or(LockMode::Exclusive));
        conflict::tell(doing, &found, target, self.conflict_exit_code, screen)
    }

    /// What to lock, and what to run then.
    fn read(&self) -> anyhow::Result<(LockTarget, Option<Command>)> {
        let mut words = &self.words[..];
        if self.command.is_some() && self.fd.is_none() {
            // Treated as a command, a file in the wrong place would be run, and a file named like the command created.
            return Err(wrong("-c comes before the file", "put the file first: memsnap lock FILE -c CMD"));
        }
        let target = match (self.fd, words) {
            (Some(fd), _) => LockTarget::Descriptor(fd),
            (None, [only]) => LockTarget::Descriptor(descriptor(only)?),
            (None, [first, rest @ ..]) => {
                words = rest;
                LockTarget::File(first.into())
            }
            (None, []) => {
                return Err(wrong("nothing to lock", "give a file and a command, or the number of a descriptor"));
            }
        };
        if self.fd.is_none() && matches!(target, LockTarget::Descriptor(_)) {
            return Ok((target, None));
        }
        let shell = |line: &OsStr| {
            let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty()).unwrap_or("/bin/sh".into());
            let mut command = Command::new(shell);
            command.arg("-c").arg(line);
            command
        };
        let command = match (&self.command, words) {
            (Some(line), []) => shell(line),
            (Some(_), [more, ..]) => {
                return Err(wrong(
                    format!("-c takes one argument, but {} follows it", escape::os(more)),
                    "quote the command",
                ));
            }
            (None, []) => return Ok((target, None)),
            (None, [flag, line @ ..]) if flag == "-c" || flag == "--command" => match line {
                [line] => shell(line),
                _ => {
                    return Err(wrong(format!("{} takes exactly one argument", escape::os(flag)), "quote the command"));
                }
            },
            (None, words) => {
                let words = if words[0] == "--" { &words[1..] } else { words };
                let Some((program, args)) = words.split_first() else {
                    return Err(wrong("no command after --", "give the command to run"));
                };
                let mut command = Command::new(program);
                command.args(args);
                command
            }
        };
        Ok((target, Some(command)))
    }

    fn kind(&self) -> Option<LockMode> {
        match (self.unlock, self.shared) {
            (true, _) => None,
            (false, true) => Some(LockMode::Shared),
            (false, false) => Some(LockMode::Exclusive),
        }
    }

    fn span(&self) -> Span {
        match self.fcntl || self.start.is_some() || self.length.is_some() {
            true => Span::Bytes { start: self.start.unwrap_or(0), len: self.length.unwrap_or(0) },
            false => Span::Whole,
        }
    }

    fn access(&self) -> OpenMode {
        match (self.span(), self.kind()) {
            (Span::Bytes { .. }, Some(LockMode::Exclusive)) => OpenMode::Write,
            _ => OpenMode::Read,
        }
    }

    /// How long to wait; `None`: without limit.
    fn wait(&self) -> anyhow::Result<Option<Duration>> {
        if self.nonblock {
            return Ok(Some(Duration::ZERO));
        }
        let Some(secs) = self.timeout else { return Ok(None) };
        let time = Duration::try_from_secs_f64(secs).or(match secs.is_finite() && secs > 0.0 {
            true => Ok(Duration::MAX),
            false => Err(coded(SYSTEM, Error::refused(format!("cannot wait for {secs} s"), "use a time of 0 or more"))),
        })?;
        Ok(Some(time))
    }

    fn open(&self, target: &LockTarget, access: OpenMode) -> anyhow::Result<Lockable> {
        let path = target.path();
        let opened = match target {
            LockTarget::File(path) => lockable::open(path, access, !self.close),
            LockTarget::Descriptor(number) => lockable::inherited(*number),
        };
        opened.map_err(|source| {
            let code = match (target, source.kind()) {
                (LockTarget::Descriptor(_), _) => NOT_LOCKABLE,
                (_, ErrorKind::ReadOnlyFilesystem | ErrorKind::StorageFull) => CANNOT_MAKE,
                _ if is_short(&source) => SYSTEM,
                _ => NO_INPUT,
            };
            let doing = match (target, path.exists()) {
                (LockTarget::Descriptor(_), _) => "using",
                (_, true) if access == OpenMode::Write && source.kind() == ErrorKind::PermissionDenied => {
                    let what = format!("opening {} for writing, for an exclusive fcntl lock: {source}", path.display());
                    return coded(code, Error::refused(what, FCNTL_HINT));
                }
                (_, true) => "opening to lock",
                (_, false) => "creating",
            };
            coded(code, Error::Io { doing, path, source })
        })
    }

    /// Takes the lock by one call that waits in the kernel's queue. Returns whether it is ours.
    fn take(&self, file: &Lockable, wait: Option<Duration>) -> io::Result<bool> {
        let (span, kind) = (self.span(), self.kind());
        let waits = wait != Some(Duration::ZERO);
        let start = Instant::now();
        let _alarm = wait.filter(|wait| !wait.is_zero()).map(signal::Alarm::after).transpose()?;
        loop {
            match lockable::ask(file, span, kind, waits) {
                Ok(()) => return Ok(true),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(e) if e.kind() == ErrorKind::Interrupted => {
                    if waits && wait.is_some_and(|wait| start.elapsed() >= wait) {
                        return Ok(false);
                    }
                }
                Err(e) => return Err(e),
            }
        }
    }

    fn execute(&self, mut command: Command, global: &Global, screen: &mut Screen) -> anyhow::Result<Exit> {
        let program = PathBuf::from(command.get_program());
        if global.verbose && !global.json {
            screen.line(&format!("memsnap: executing {}", escape::path(&program)))?;
        }
        screen.flush()?;
        let failed = |source| cannot_run(&program, source);
        if self.no_fork {
            return Err(failed(child::replace(&mut command)));
        }
        // A file that we opened is closed by exec already.
        let ended = child::run(&mut command, self.fd.filter(|_| self.close)).map_err(failed)?;
        if ended.interrupted {
            child::die_of_interrupt();
        }
        let code = ended.status.code().or(ended.status.signal().map(|signal| 128 + signal));
        Ok(Exit::Own(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(SYSTEM)))
    }
}

/// The number of a descriptor, in decimal.
fn descriptor(word: &OsStr) -> anyhow::Result<i32> {
    word.to_str().and_then(|word| word.trim_start().parse().ok()).ok_or_else(|| {
        let what = format!("{} is not a file descriptor, and no command follows it", escape::os(word));
        wrong(what, "give the command to run while the file is locked")
    })
}

fn coded(code: u8, error: Error) -> anyhow::Error {
    Coded { code, error }.into()
}

fn wrong(what: impl Into<String>, hint: impl Into<memsnap::Cause>) -> anyhow::Error {
    coded(USAGE.code(), Error::refused(what, hint))
}

/// The hint for a file that cannot be opened for writing.
const FCNTL_HINT: &str = "use a shared lock (-s), or leave out --fcntl: flock works on any file that can be opened";

fn no_lock(target: &LockTarget, source: io::Error) -> anyhow::Error {
    let code = if is_short(&source) { SYSTEM } else { NOT_LOCKABLE };
    if target.path().is_dir() && is_nfs(&source) {
        let what =
            format!("locking {}, a directory, which cannot be opened for writing: {source}", target.path().display());
        return coded(code, Error::refused(what, FCNTL_HINT));
    }
    coded(code, Error::Io { doing: "locking", path: target.path(), source })
}

fn cannot_run(program: &Path, source: io::Error) -> anyhow::Error {
    let code = if is_short(&source) { SYSTEM } else { CANNOT_RUN };
    let words = program.as_os_str().as_encoded_bytes();
    if words.starts_with(b"-") {
        let what = format!("running {}: {source}", program.display());
        return coded(code, Error::refused(what, "options come before the file; the command follows it"));
    }
    if source.kind() == ErrorKind::PermissionDenied && program.is_file() {
        let what = format!("running {}: {source}", program.display());
        return coded(code, Error::refused(what, "the command must be executable for this user: `chmod +x`"));
    }
    coded(code, Error::Io { doing: "running", path: program.into(), source })
}

/// Whether the system has run out of memory, descriptors, processes or locks.
fn is_short(e: &io::Error) -> bool {
    const ENOLCK: i32 = 37;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    e.kind() == ErrorKind::OutOfMemory
        || e.kind() == ErrorKind::WouldBlock
        || [ENOLCK, ENFILE, EMFILE].contains(&e.raw_os_error().unwrap_or(0))
}

/// Whether this is the error of NFS for an exclusive lock on a file that is not open for writing.
fn is_nfs(e: &io::Error) -> bool {
    const EIO: i32 = 5;
    const EBADF: i32 = 9;
    [EIO, EBADF].contains(&e.raw_os_error().unwrap_or(0))
}
