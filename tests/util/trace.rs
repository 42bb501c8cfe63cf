//! The program under strace(1), which kills it at a system call, or lets the call fail.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use super::case::{Case, Ran, finish, has, program, skip};

/// Calls that change files, or the order in which changes reach the disk.
pub(crate) const MUTATING: &str = "write,pwrite64,pwritev,pwritev2,linkat,renameat,renameat2,rename,unlink,unlinkat,\
                                   rmdir,mkdir,mkdirat,ftruncate,fallocate,fsync,fdatasync,sync_file_range,fchmod,\
                                   fchmodat,fchown,fchownat,utimensat,fsetxattr,fremovexattr,copy_file_range,flock";

/// What is run: the program as it is, or with a bug planted in it.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    program: PathBuf,
    bug: Option<&'static str>,
}

impl Subject {
    /// The program as it is.
    pub(crate) fn sound() -> Subject {
        Subject { program: program(), bug: None }
    }

    /// The program that was built to have bugs planted, with this one.
    pub(crate) fn planted(program: PathBuf, bug: &'static str) -> Subject {
        Subject { program, bug: Some(bug) }
    }

    /// The program with these words, as it is.
    pub(crate) fn command(&self, case: &Case, words: &str) -> Command {
        self.with_bug(case.command(&self.program), words)
    }

    fn with_bug(&self, mut command: Command, words: &str) -> Command {
        command.args(words.split_whitespace());
        if let Some(bug) = self.bug {
            command.env("MEMSNAP_PLANTED", bug);
        }
        command
    }

    /// The program with these words, under strace with these options.
    pub(crate) fn strace(&self, case: &Case, options: &[&str], words: &str) -> Command {
        let mut command = case.command("strace");
        command.args(["-f", "-qq"]).args(options).arg(&self.program);
        self.with_bug(command, words)
    }

    /// Runs it with a fault in a call: `calls` as for `-e trace=`, `fault` as what follows them in `-e inject=`.
    pub(crate) fn inject(&self, case: &Case, words: &str, calls: &str, fault: &str) -> Ran {
        // strace injects only into calls that it also traces.
        let (trace, fault) = (format!("trace={calls}"), format!("inject={calls}:{fault}"));
        finish(&mut self.strace(case, &["-o", "/dev/null", "-e", &trace, "-e", &fault], words))
    }
}

/// Whether processes can be traced here.
pub(crate) fn needs_strace() -> bool {
    static TRACED: OnceLock<bool> = OnceLock::new();
    let works = *TRACED.get_or_init(|| {
        has("strace") && {
            let case = Case::new();
            finish(case.command("strace").args(["-f", "-qq", "-o", "/dev/null", "true"])).code == Some(0)
        }
    });
    if !works {
        skip("strace is not there, or may not trace");
    }
    works
}

pub(crate) fn was_killed(ran: &Ran) -> bool {
    ran.signal == Some(9) || ran.code == Some(137)
}

/// A target with a change to be reverted, in several separate runs of pages; and what it was.
pub(crate) fn changed() -> (Case, Vec<u8>) {
    let case = Case::with_pages(40);
    let old = case.read("f");
    case.ok("snap f");
    [2, 6, 10, 30].iter().for_each(|page| case.touch(*page, page + 100));
    (case, old)
}

/// A revert that was killed between its writes: the directory, and the two images that the target lies between.
pub(crate) fn interrupted() -> (Case, Vec<u8>, Vec<u8>) {
    for n in 1..30 {
        let (case, old) = changed();
        let new = case.read("f");
        let ran = Subject::sound().inject(&case, "revert --yes f@1", "pwrite64", &format!("signal=SIGKILL:when={n}"));
        assert!(was_killed(&ran), "{ran:?}");
        let now = case.read("f");
        if now != old && now != new {
            return (case, old, new);
        }
    }
    panic!("no kill fell between the writes");
}
