//! The processes that have a file open or mapped, as /proc shows them.
//!
//! An empty list proves nothing: processes of other users and containers, and those that a mount of /proc hides, are
//! not visible ([`Unseen`]), and a process may open the file right afterwards. A proof needs a [`super::lease`].

use std::fs::File;

pub use super::process::{ancestors, command_of};
use super::unseen::Unseen;

/// How a process uses a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileUse {
    /// Open for writing.
    OpenWrite,
    /// Open for reading.
    OpenRead,
    /// Mapped shared and writable: written to without a system call.
    MappedWrite,
    /// Mapped otherwise.
    MappedRead,
}

impl FileUse {
    /// Whether the file may be written to in this way.
    pub fn writes(self) -> bool {
        matches!(self, FileUse::OpenWrite | FileUse::MappedWrite)
    }
}

/// A process that has a file open or mapped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Opener {
    /// Its PID; 0 for the kernel itself, which uses it as `command` says.
    pub pid: u32,
    /// Its name, which it can choose itself: to be escaped for a terminal.
    pub command: String,
    /// How it uses the file; there is one entry for each use.
    pub how: FileUse,
}

impl Opener {
    /// Name and PID: `sqlite3 (4711)`, `loop device /dev/loop0`.
    pub fn describe(&self) -> String {
        if self.pid == 0 { self.command.clone() } else { format!("{} ({})", self.command, self.pid) }
    }
}

/// The processes that have a file open or mapped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Openers {
    /// Those that are visible, by PID.
    pub list: Vec<Opener>,
    /// Those that could not be inspected.
    pub unseen: Unseen,
}

impl Openers {
    /// Whether one of those visible can write to the file.
    pub fn any_writer(&self) -> bool {
        self.list.iter().any(|o| o.how.writes())
    }
}

/// All other processes that have `file` open or mapped, loop devices and swap space too: a walk over /proc, some 10 ms
/// for 100 processes.
pub fn of(file: &File) -> Openers {
    imp::of_all(&[file])
}

/// As [`of`], of several files in one walk.
pub fn of_all(files: &[&File]) -> Openers {
    imp::of_all(files)
}

/// Whether the process `pid` has one of the files open or mapped for writing.
pub(super) fn is_writer(pid: u32, files: &[&File]) -> bool {
    imp::is_writer(pid, files)
}

#[cfg(target_os = "linux")]
mod imp {
    use super::{File, FileUse, Opener, Openers, Unseen};
    use std::collections::BTreeSet;

    use crate::sys::kernel_users::{self, KernelUser};
    use crate::sys::proc_maps;
    use crate::sys::process::{Identity, Inspected, living, pids, scan_fds, unseen_from_here};

    pub(super) fn of_all(files: &[&File]) -> Openers {
        let (Some(identity), Ok(pids)) = (Identity::of_all(files), pids()) else {
            return Openers { list: Vec::new(), unseen: Unseen::all() };
        };
        let us = std::process::id();
        let mut ways = BTreeSet::new();
        let mut unseen = unseen_from_here();
        for pid in pids.into_iter().filter(|pid| *pid != us) {
            let (found, inspected) = uses(pid, &identity);
            ways.extend(found.into_iter().map(|how| (pid, how)));
            if inspected == Inspected::No {
                unseen.pids.insert(pid);
            }
        }
        let opener = |(pid, how)| Some(Opener { pid, command: living(pid)?, how });
        let of_kernel = |user: KernelUser| Opener {
            pid: 0,
            command: user.name,
            how: if user.writes { FileUse::OpenWrite } else { FileUse::OpenRead },
        };
        let mut list: Vec<_> = kernel_users::of(&identity).into_iter().map(of_kernel).collect();
        list.extend(ways.into_iter().filter_map(opener));
        Openers { list, unseen }
    }

    /// How one process uses the files.
    fn uses(pid: u32, files: &Identity) -> (BTreeSet<FileUse>, Inspected) {
        let mut ways = BTreeSet::new();
        let fds = scan_fds(pid, files, |_, info| ways.extend(how_open(info)));
        let maps = proc_maps::scan(pid, files, |range| {
            ways.insert(if range.changes_file() { FileUse::MappedWrite } else { FileUse::MappedRead });
        });
        (ways, if fds == Inspected::No { fds } else { maps })
    }

    pub(super) fn is_writer(pid: u32, files: &[&File]) -> bool {
        Identity::of_all(files).is_some_and(|files| uses(pid, &files).0.iter().any(|how| how.writes()))
    }

    fn how_open(info: &str) -> Option<FileUse> {
        const WRITES: u32 = 0o1 | 0o2; // O_WRONLY, O_RDWR
        const PATH: u32 = 0o10_000_000; // O_PATH
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
        let flags = u32::from_str_radix(flags.trim(), 8).ok()?;
        if flags & PATH != 0 {
            return None; // it can neither read nor write
        }
        Some(if flags & WRITES != 0 { FileUse::OpenWrite } else { FileUse::OpenRead })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn flags_are_read() {
            assert_eq!(how_open("pos:\t0\nflags:\t0100002\n"), Some(FileUse::OpenWrite));
            assert_eq!(how_open("flags:\t0100001\n"), Some(FileUse::OpenWrite));
            assert_eq!(how_open("flags:\t02100000\n"), Some(FileUse::OpenRead));
            assert_eq!(how_open("flags:\t012000000\n"), None);
            assert_eq!(how_open("pos:\t0\n"), None);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::{File, Openers, Unseen};

    pub(super) fn of_all(_files: &[&File]) -> Openers {
        Openers { list: Vec::new(), unseen: Unseen::all() }
    }

    pub(super) fn is_writer(_pid: u32, _files: &[&File]) -> bool {
        false
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::sys::eventually;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};

    /// A shell that runs `script` with `$1` the path, and says when it is there.
    fn shell(script: &str, path: &Path) -> Child {
        let script = format!("{script}; echo ready; read end");
        let mut child = Command::new("sh")
            .args(["-c", &script, "sh"])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = [0; 6];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
        child
    }

    fn ways(openers: &Openers, pid: u32) -> Vec<FileUse> {
        openers.list.iter().filter(|o| o.pid == pid).map(|o| o.how).collect()
    }

    #[test]
    fn open_files_are_seen() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(eventually(|| of(file.as_file()).list.is_empty()));
        for (script, expected) in [
            ("exec 7<\"$1\"", vec![FileUse::OpenRead]),
            ("exec 7>>\"$1\"", vec![FileUse::OpenWrite]),
            ("exec 7<\"$1\" 8<>\"$1\" 9>\"$1\"", vec![FileUse::OpenWrite, FileUse::OpenRead]),
        ] {
            let mut child = shell(script, file.path());
            assert!(eventually(|| of(file.as_file()).list.iter().all(|o| o.pid == child.id())));
            let found = of(file.as_file());
            assert_eq!(ways(&found, child.id()), expected, "{script}");
            assert!(found.list.iter().any(|o| o.command == "sh"));
            drop(child.stdin.take());
            child.wait().unwrap();
        }
        assert!(eventually(|| of(file.as_file()).list.is_empty()));
    }

    #[test]
    fn writers_are_told() {
        let opener = |how| Opener { pid: 1, command: String::new(), how };
        let with = |how| Openers { list: vec![opener(FileUse::OpenRead), opener(how)], unseen: Unseen::default() };
        assert!(with(FileUse::OpenWrite).any_writer() && with(FileUse::MappedWrite).any_writer());
        assert!(!with(FileUse::MappedRead).any_writer() && !Openers::default().any_writer());
    }

    #[test]
    fn maps_are_seen() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(4096).unwrap();
        let script = "import mmap,os,sys\nf=os.open(sys.argv[1],os.O_RDWR)\nm=mmap.mmap(f,4096)\nos.close(f)\n\
                      print('ready',flush=True)\nsys.stdin.read()";
        let mut python = Command::new("python3");
        python.args(["-c", script]).arg(file.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let Ok(mut child) = python.spawn() else {
            return crate::sys::skipped("no python3");
        };
        let mut line = [0; 6];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
        let found = ways(&of(file.as_file()), child.id());
        // Python's mmap keeps a descriptor of its own.
        assert!(found.contains(&FileUse::MappedWrite), "{found:?}");
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn we_have_parents() {
        let all = ancestors();
        assert_eq!(all[0], std::os::unix::process::parent_id());
        assert!(!all.contains(&std::process::id()));
        assert!(command_of(std::process::id()).is_some());
        assert_eq!(command_of(u32::MAX), None);
    }
}
