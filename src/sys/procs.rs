//! Who has a file open or mapped, as far as /proc shows it.
//!
//! What is not seen proves nothing: processes of others, of other containers, and those that a mount of /proc hides are
//! out of sight, and somebody may open the file right after. Hence [`Unseen`]; proof is for [`super::lease`].

use std::fs::File;
use std::path::Path;

use super::unseen::Unseen;

/// How a process has a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    /// Open for writing.
    OpenWrite,
    /// Open for reading.
    OpenRead,
    /// Mapped shared and writable: written without a system call.
    MappedWrite,
    /// Mapped in any other way.
    MappedRead,
}

/// A process that has a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Opener {
    /// Its number; 0: the kernel itself, for what `command` says.
    pub pid: u32,
    /// Its name, as it calls itself: to be escaped before a terminal sees it.
    pub command: String,
    /// How it has the file; one entry for each way.
    pub how: How,
}

impl Opener {
    /// Name and number: `sqlite3 (4711)`, `loop device /dev/loop0`.
    pub fn describe(&self) -> String {
        if self.pid == 0 { self.command.clone() } else { format!("{} ({})", self.command, self.pid) }
    }
}

/// Who has a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Openers {
    /// Those that were seen, by number.
    pub list: Vec<Opener>,
    /// Who could not be looked at.
    pub unseen: Unseen,
}

impl Openers {
    /// Whether one of those seen can write to the file.
    pub fn any_writer(&self) -> bool {
        self.list.iter().any(|o| matches!(o.how, How::OpenWrite | How::MappedWrite))
    }
}

/// Everybody but this process who has `file` open or mapped, loop devices and swap space too: a walk over /proc, some
/// 10 ms for 100 processes.
pub fn openers(file: &File) -> Openers {
    imp::openers(file)
}

/// The processes that we run under, nearest first: our parent, its parent, and so on.
pub fn ancestors() -> Vec<u32> {
    imp::ancestors()
}

/// The name of a process as it calls itself, unescaped.
pub fn command_of(pid: u32) -> Option<String> {
    // Not all names are UTF-8: any process may choose its own.
    let name = std::fs::read(Path::new("/proc").join(pid.to_string()).join("comm")).ok()?;
    Some(String::from_utf8_lossy(&name).trim_end_matches('\n').to_owned())
}

#[cfg(target_os = "linux")]
pub(super) use imp::{
    Identity, Seen, in_initial_namespace, living, pids, scan_fds, stat_fields, unless_gone, unseen_from_here,
};

#[cfg(target_os = "linux")]
mod imp {
    use super::{File, How, Opener, Openers, Path, Unseen, command_of};
    use std::collections::BTreeSet;
    use std::io;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;

    use crate::sys::{kernel_users, maps, mount};
    use rustix::fs::{AtFlags, CWD, StatxFlags, major, makedev, minor, statx};

    /// A file as the different tables of /proc name it.
    pub(in crate::sys) struct Identity {
        dev: u64,
        ino: u64,
        /// As the kernel numbers it in /proc/locks and maps: on overlayfs not always the number of stat(2).
        own_ino: u64,
        /// `major:minor` in hex, as in /proc/locks and maps: the file system's own number, which on btrfs is not the
        /// one of stat(2), so both are taken.
        devices: Vec<(u32, u32)>,
    }

    impl Identity {
        pub(in crate::sys) fn of(file: &File) -> Option<Identity> {
            let metadata = file.metadata().ok()?;
            let (dev, ino) = (metadata.dev(), metadata.ino());
            let mut devices = vec![(major(dev), minor(dev))];
            devices.extend(mount::of(file).map(|mount| mount.device));
            let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).unwrap_or_default();
            let own_ino = info.lines().find_map(|line| line.strip_prefix("ino:")?.trim().parse().ok()); // Linux 5.14
            Some(Identity { dev, ino, own_ino: own_ino.unwrap_or(ino), devices })
        }

        /// Whether `device` ("fe:00", hex) and `ino` (decimal) name this file.
        pub(in crate::sys) fn is(&self, device: &str, ino: &str) -> bool {
            let number = |text| u32::from_str_radix(text, 16).ok();
            let Some((major, minor)) = device.split_once(':') else { return false };
            let (Some(major), Some(minor)) = (number(major), number(minor)) else { return false };
            ino.parse().is_ok_and(|ino: u64| ino == self.ino || ino == self.own_ino)
                && self.devices.contains(&(major, minor))
        }
    }

    /// Whether a process could be looked at.
    #[derive(PartialEq, Eq)]
    pub(in crate::sys) enum Seen {
        Yes,
        No,
    }

    /// All processes here, or none when /proc cannot be read.
    pub(in crate::sys) fn pids() -> io::Result<Vec<u32>> {
        let entries = std::fs::read_dir("/proc")?;
        Ok(entries.filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok()).collect())
    }

    /// Calls `found` with number and fdinfo of each descriptor of `pid` that is open on the file.
    pub(in crate::sys) fn scan_fds(pid: u32, file: &Identity, mut found: impl FnMut(u32, &str)) -> Seen {
        let entries = match std::fs::read_dir(format!("/proc/{pid}/fd")) {
            Ok(entries) => entries,
            Err(e) => return unless_gone(pid, &e),
        };
        for entry in entries.filter_map(Result::ok) {
            let Some(fd) = entry.file_name().to_str().and_then(|fd| fd.parse().ok()) else { continue };
            if !is_the_file(&entry.path(), file) {
                continue;
            }
            if let Ok(info) = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")) {
                found(fd, &info);
            }
        }
        Seen::Yes
    }

    impl Identity {
        /// Whether it is what `path` names.
        pub(in crate::sys) fn is_at(&self, path: &Path) -> bool {
            is_the_file(path, self)
        }
    }

    fn is_the_file(link: &Path, file: &Identity) -> bool {
        // Not synced: a dead server behind somebody's other descriptor must not hold us up.
        let Ok(stat) = statx(CWD, link, AtFlags::STATX_DONT_SYNC, StatxFlags::INO) else { return false };
        stat.stx_ino == file.ino && makedev(stat.stx_dev_major, stat.stx_dev_minor) == file.dev
    }

    /// A process that has ended, or that is of the kernel itself, has nothing open.
    pub(in crate::sys) fn unless_gone(pid: u32, error: &io::Error) -> Seen {
        const PF_KTHREAD: u64 = 0x0020_0000;
        if error.kind() != io::ErrorKind::PermissionDenied {
            return Seen::Yes;
        }
        let Some(fields) = stat_fields(pid) else { return Seen::Yes };
        let of_kernel = fields.get(6).and_then(|f| f.parse::<u64>().ok()).is_some_and(|f| f & PF_KTHREAD != 0);
        if of_kernel || has_ended(&fields) { Seen::Yes } else { Seen::No }
    }

    /// The fields of /proc/PID/stat after the name, which may hold anything: state, parent, ...
    pub(in crate::sys) fn stat_fields(pid: u32) -> Option<Vec<String>> {
        let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
        let after = stat.iter().rposition(|b| *b == b')')? + 1;
        Some(String::from_utf8_lossy(&stat[after..]).split_ascii_whitespace().map(str::to_owned).collect())
    }

    pub(super) fn ancestors() -> Vec<u32> {
        let mut found = Vec::new();
        let mut pid = std::os::unix::process::parent_id();
        // Zero is outside of this container. Numbers may be reused while we walk: never twice the same.
        while pid != 0 && !found.contains(&pid) {
            found.push(pid);
            pid = stat_fields(pid).and_then(|fields| fields.get(1)?.parse().ok()).unwrap_or(0);
        }
        found
    }

    pub(super) fn openers(file: &File) -> Openers {
        let (Some(identity), Ok(pids)) = (Identity::of(file), pids()) else {
            return Openers { list: Vec::new(), unseen: Unseen::everybody() };
        };
        let us = std::process::id();
        let mut ways = BTreeSet::new();
        let mut unseen = unseen_from_here();
        for pid in pids.into_iter().filter(|pid| *pid != us) {
            let fds = scan_fds(pid, &identity, |_, info| ways.extend(how_open(info).map(|how| (pid, how))));
            let maps = maps::scan(pid, &identity, |range| {
                let how = if range.changes_file() { How::MappedWrite } else { How::MappedRead };
                ways.insert((pid, how));
            });
            if fds == Seen::No || maps == Seen::No {
                unseen.pids.insert(pid);
            }
        }
        let opener = |(pid, how)| Some(Opener { pid, command: living(pid)?, how });
        let mut list = kernel_users::of(&identity);
        list.extend(ways.into_iter().filter_map(opener));
        Openers { list, unseen }
    }

    /// The name of a process, unless it has ended since: then it has nothing open any more.
    pub(in crate::sys) fn living(pid: u32) -> Option<String> {
        match command_of(pid) {
            Some(name) if !name.is_empty() => Some(name),
            // Any process may call itself nothing, and go on.
            name => (!has_ended(&stat_fields(pid)?)).then(|| name.unwrap_or_default()),
        }
    }

    /// By its fields of /proc/PID/stat: what is left of it waits for its parent.
    fn has_ended(fields: &[String]) -> bool {
        fields.first().is_some_and(|state| state == "Z" || state == "X")
    }

    /// The processes that have no directory in /proc, before any is looked at.
    pub(in crate::sys) fn unseen_from_here() -> Unseen {
        let hidden = !Path::new("/proc/1/stat").exists();
        Unseen { pids: BTreeSet::new(), hidden, outside: !in_initial_namespace() }
    }

    /// Whether there are no processes but those that we have numbers for.
    pub(in crate::sys) fn in_initial_namespace() -> bool {
        const INITIAL: &str = "pid:[4026531836]"; // PROC_PID_INIT_INO, the same on every Linux
        std::fs::read_link("/proc/self/ns/pid").is_ok_and(|ns| ns.as_os_str() == INITIAL)
    }

    fn how_open(info: &str) -> Option<How> {
        const WRITES: u32 = 0o1 | 0o2; // O_WRONLY, O_RDWR
        const PATH: u32 = 0o10_000_000; // O_PATH
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
        let flags = u32::from_str_radix(flags.trim(), 8).ok()?;
        if flags & PATH != 0 {
            return None; // a name for the file, not a way into it
        }
        Some(if flags & WRITES != 0 { How::OpenWrite } else { How::OpenRead })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn flags_are_read() {
            assert_eq!(how_open("pos:\t0\nflags:\t0100002\n"), Some(How::OpenWrite));
            assert_eq!(how_open("flags:\t0100001\n"), Some(How::OpenWrite));
            assert_eq!(how_open("flags:\t02100000\n"), Some(How::OpenRead));
            assert_eq!(how_open("flags:\t012000000\n"), None);
            assert_eq!(how_open("pos:\t0\n"), None);
        }

        #[test]
        fn the_dead_are_not_named() {
            assert!(living(std::process::id()).is_some_and(|name| !name.is_empty()));
            assert_eq!(living(u32::MAX), None);
            let fields = |state: &str| vec![state.to_owned(), "1".to_owned()];
            assert!(has_ended(&fields("Z")) && has_ended(&fields("X")) && !has_ended(&fields("S")));
        }

        #[test]
        fn the_mount_knows_its_device() {
            let file = tempfile::tempfile().unwrap();
            let dev = file.metadata().unwrap().dev();
            let identity = Identity::of(&file).unwrap();
            assert_eq!(identity.devices.len(), 2);
            assert!(identity.is(&format!("{:02x}:{:02x}", major(dev), minor(dev)), &identity.ino.to_string()));
            assert!(
                !identity.is("ff:ff", &identity.ino.to_string()) && !identity.is("", "") && !identity.is("0:", "x")
            );
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::{File, Openers, Unseen};

    pub(super) fn openers(_file: &File) -> Openers {
        Openers { list: Vec::new(), unseen: Unseen::everybody() }
    }

    pub(super) fn ancestors() -> Vec<u32> {
        vec![std::os::unix::process::parent_id()]
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::sys::eventually;
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

    fn ways(openers: &Openers, pid: u32) -> Vec<How> {
        openers.list.iter().filter(|o| o.pid == pid).map(|o| o.how).collect()
    }

    #[test]
    fn open_files_are_seen() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(eventually(|| openers(file.as_file()).list.is_empty()));
        for (script, expected) in [
            ("exec 7<\"$1\"", vec![How::OpenRead]),
            ("exec 7>>\"$1\"", vec![How::OpenWrite]),
            ("exec 7<\"$1\" 8<>\"$1\" 9>\"$1\"", vec![How::OpenWrite, How::OpenRead]),
        ] {
            let mut child = shell(script, file.path());
            assert!(eventually(|| openers(file.as_file()).list.iter().all(|o| o.pid == child.id())));
            let found = openers(file.as_file());
            assert_eq!(ways(&found, child.id()), expected, "{script}");
            assert!(found.list.iter().any(|o| o.command == "sh"));
            drop(child.stdin.take());
            child.wait().unwrap();
        }
        assert!(eventually(|| openers(file.as_file()).list.is_empty()));
    }

    #[test]
    fn writers_are_told() {
        let opener = |how| Opener { pid: 1, command: String::new(), how };
        let with = |how| Openers { list: vec![opener(How::OpenRead), opener(how)], unseen: Unseen::default() };
        assert!(with(How::OpenWrite).any_writer() && with(How::MappedWrite).any_writer());
        assert!(!with(How::MappedRead).any_writer() && !Openers::default().any_writer());
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
        let found = ways(&openers(file.as_file()), child.id());
        // Python's mmap keeps a descriptor of its own.
        assert!(found.contains(&How::MappedWrite), "{found:?}");
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
