//! Processes as /proc shows them, and files as its tables name them.

use std::path::Path;

/// The ancestors of this process, its parent first.
pub fn ancestors() -> Vec<u32> {
    imp::ancestors()
}

/// The name of a process, which it can choose itself, unescaped.
pub fn command_of(pid: u32) -> Option<String> {
    // Not all names are UTF-8.
    let name = std::fs::read(Path::new("/proc").join(pid.to_string()).join("comm")).ok()?;
    Some(String::from_utf8_lossy(&name).trim_end_matches('\n').to_owned())
}

#[cfg(target_os = "linux")]
pub(super) use imp::{
    Identity, Inspected, in_initial_namespace, is_stopped, living, pids, scan_fds, stat_fields, unless_gone,
    unseen_from_here,
};

#[cfg(target_os = "linux")]
mod imp {
    use super::{Path, command_of};
    use std::collections::BTreeSet;
    use std::fs::File;
    use std::io;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;

    use crate::sys::mount;
    use crate::sys::unseen::Unseen;
    use rustix::fs::{AtFlags, CWD, StatxFlags, major, makedev, minor, statx};

    /// Files as the tables of /proc name them.
    pub(in crate::sys) struct Identity(Vec<OneFile>);

    struct OneFile {
        dev: u64,
        ino: u64,
        /// Its number in /proc/locks and maps: on overlayfs not always that of stat(2).
        own_ino: u64,
        /// Its devices in /proc/locks and maps: that of the file system, which on btrfs is not that of stat(2), so
        /// both.
        devices: Vec<(u32, u32)>,
    }

    impl Identity {
        pub(in crate::sys) fn of(file: &File) -> Option<Identity> {
            Identity::of_all(&[file])
        }

        pub(in crate::sys) fn of_all(files: &[&File]) -> Option<Identity> {
            files.iter().map(|file| OneFile::of(file)).collect::<Option<Vec<_>>>().map(Identity)
        }

        /// Whether `device` ("fe:00", hex) and `ino` (decimal) name one of these files.
        pub(in crate::sys) fn is(&self, device: &str, ino: &str) -> bool {
            let number = |text| u32::from_str_radix(text, 16).ok();
            let Some((major, minor)) = device.split_once(':') else { return false };
            let (Some(major), Some(minor), Ok(ino)) = (number(major), number(minor), ino.parse::<u64>()) else {
                return false;
            };
            let is =
                |file: &OneFile| (ino == file.ino || ino == file.own_ino) && file.devices.contains(&(major, minor));
            self.0.iter().any(is)
        }

        /// Whether one of them is what `path` names.
        pub(in crate::sys) fn is_at(&self, path: &Path) -> bool {
            // Not synced: a server that does not answer, behind another descriptor, must not block us.
            let Ok(stat) = statx(CWD, path, AtFlags::STATX_DONT_SYNC, StatxFlags::INO) else { return false };
            let dev = makedev(stat.stx_dev_major, stat.stx_dev_minor);
            self.0.iter().any(|file| (file.dev, file.ino) == (dev, stat.stx_ino))
        }
    }

    impl OneFile {
        fn of(file: &File) -> Option<OneFile> {
            let metadata = file.metadata().ok()?;
            let (dev, ino) = (metadata.dev(), metadata.ino());
            let mut devices = vec![(major(dev), minor(dev))];
            devices.extend(mount::of(file).map(|mount| mount.device));
            let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).unwrap_or_default();
            let own_ino = info.lines().find_map(|line| line.strip_prefix("ino:")?.trim().parse().ok()); // Linux 5.14
            Some(OneFile { dev, ino, own_ino: own_ino.unwrap_or(ino), devices })
        }
    }

    /// Whether a process could be inspected.
    #[derive(PartialEq, Eq)]
    pub(in crate::sys) enum Inspected {
        Yes,
        No,
    }

    /// The PIDs of all visible processes.
    pub(in crate::sys) fn pids() -> io::Result<Vec<u32>> {
        let entries = std::fs::read_dir("/proc")?;
        Ok(entries.filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok()).collect())
    }

    /// Calls `found` with number and fdinfo of each descriptor of `pid` that is of the file.
    pub(in crate::sys) fn scan_fds(pid: u32, file: &Identity, mut found: impl FnMut(u32, &str)) -> Inspected {
        let entries = match std::fs::read_dir(format!("/proc/{pid}/fd")) {
            Ok(entries) => entries,
            Err(e) => return unless_gone(pid, &e),
        };
        for entry in entries.filter_map(Result::ok) {
            let Some(fd) = entry.file_name().to_str().and_then(|fd| fd.parse().ok()) else { continue };
            if !file.is_at(&entry.path()) {
                continue;
            }
            if let Ok(info) = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")) {
                found(fd, &info);
            }
        }
        Inspected::Yes
    }

    /// A process that has ended, and a kernel thread, have nothing open.
    pub(in crate::sys) fn unless_gone(pid: u32, error: &io::Error) -> Inspected {
        const PF_KTHREAD: u64 = 0x0020_0000;
        if error.kind() != io::ErrorKind::PermissionDenied {
            return Inspected::Yes;
        }
        let Some(fields) = stat_fields(pid) else { return Inspected::Yes };
        let of_kernel = fields.get(6).and_then(|f| f.parse::<u64>().ok()).is_some_and(|f| f & PF_KTHREAD != 0);
        if of_kernel || has_ended(&fields) { Inspected::Yes } else { Inspected::No }
    }

    /// The fields of /proc/PID/stat after the name, which may contain anything: state, parent, ...
    pub(in crate::sys) fn stat_fields(pid: u32) -> Option<Vec<String>> {
        fields_after_name(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    fn fields_after_name(stat: &[u8]) -> Option<Vec<String>> {
        let after = stat.iter().rposition(|b| *b == b')')? + 1;
        Some(String::from_utf8_lossy(&stat[after..]).split_ascii_whitespace().map(str::to_owned).collect())
    }

    /// Whether no thread of a process can run on its own: all are stopped or traced, or it has ended.
    pub(in crate::sys) fn is_stopped(pid: u32) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().filter_map(Result::ok);
        threads.map(|thread| std::fs::read(thread.path().join("stat")).unwrap_or_default()).all(|stat| {
            let state = fields_after_name(&stat).and_then(|fields| fields.into_iter().next());
            state.is_none_or(|state| ["T", "t", "Z", "X"].contains(&&*state))
        })
    }

    pub(super) fn ancestors() -> Vec<u32> {
        let mut found = Vec::new();
        let mut pid = std::os::unix::process::parent_id();
        // Zero is outside of this container. PIDs may be reused meanwhile: none is taken twice.
        while pid != 0 && !found.contains(&pid) {
            found.push(pid);
            pid = stat_fields(pid).and_then(|fields| fields.get(1)?.parse().ok()).unwrap_or(0);
        }
        found
    }

    /// The name of a process, unless it has ended: then it has nothing open any more.
    pub(in crate::sys) fn living(pid: u32) -> Option<String> {
        match command_of(pid) {
            Some(name) if !name.is_empty() => Some(name),
            // A process that runs may have an empty name.
            name => (!has_ended(&stat_fields(pid)?)).then(|| name.unwrap_or_default()),
        }
    }

    /// Whether it is a zombie, by its fields of /proc/PID/stat.
    fn has_ended(fields: &[String]) -> bool {
        fields.first().is_some_and(|state| state == "Z" || state == "X")
    }

    /// What is known of the processes that have no directory in /proc.
    pub(in crate::sys) fn unseen_from_here() -> Unseen {
        let hidden = !Path::new("/proc/1/stat").exists();
        Unseen { pids: BTreeSet::new(), hidden, outside: !in_initial_namespace() }
    }

    /// Whether all processes have a PID here.
    pub(in crate::sys) fn in_initial_namespace() -> bool {
        const INITIAL: &str = "pid:[4026531836]"; // PROC_PID_INIT_INO, the same on every Linux
        std::fs::read_link("/proc/self/ns/pid").is_ok_and(|ns| ns.as_os_str() == INITIAL)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

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
            let other = tempfile::tempfile().unwrap();
            let identity = Identity::of_all(&[&other, &file]).unwrap();
            assert_eq!(identity.0[1].devices.len(), 2);
            let (device, ino) = (format!("{:02x}:{:02x}", major(dev), minor(dev)), identity.0[1].ino.to_string());
            assert!(identity.is(&device, &ino) && !Identity::of(&other).unwrap().is(&device, &ino));
            assert!(!identity.is("ff:ff", &ino) && !identity.is("", "") && !identity.is("0:", "x"));
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    pub(super) fn ancestors() -> Vec<u32> {
        #[cfg(unix)]
        return vec![std::os::unix::process::parent_id()];
        #[cfg(not(unix))]
        Vec::new()
    }
}
