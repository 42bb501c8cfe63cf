//! Users of a file that are not processes: loop devices, and the kernel that swaps to it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::mount::unescaped;
use super::process::Identity;

/// A user of a file that is not a process.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KernelUser {
    /// `loop device /dev/loop0`.
    pub(super) name: String,
    /// Whether it can write to the file.
    pub(super) writes: bool,
}

/// The users that have `file` open.
pub(super) fn of(file: &Identity) -> Vec<KernelUser> {
    let mut found = loop_devices(file);
    let swaps = std::fs::read("/proc/swaps").unwrap_or_default();
    if swap_files(&swaps).iter().any(|path| file.is_at(path)) {
        found.push(KernelUser { name: "the kernel, as swap space".into(), writes: true });
    }
    found
}

fn loop_devices(file: &Identity) -> Vec<KernelUser> {
    let entries = std::fs::read_dir("/sys/block").into_iter().flatten().filter_map(Result::ok);
    let mut found: Vec<_> = entries.filter_map(|entry| loop_device(&entry.path(), file)).collect();
    found.sort();
    found
}

/// The loop device with this directory in /sys/block, if the file is behind it.
fn loop_device(dir: &Path, file: &Identity) -> Option<KernelUser> {
    let mut path = std::fs::read(dir.join("loop/backing_file")).ok()?;
    path.pop(); // the end of the line
    if !file.is_at(Path::new(&OsString::from_vec(path))) {
        return None;
    }
    let reads = std::fs::read(dir.join("ro")).is_ok_and(|ro| ro.starts_with(b"1"));
    let name = format!("loop device /dev/{}", dir.file_name()?.to_string_lossy());
    Some(KernelUser { name, writes: !reads })
}

/// The paths in /proc/swaps.
fn swap_files(swaps: &[u8]) -> Vec<PathBuf> {
    let lines = swaps.split(|byte| *byte == b'\n').skip(1);
    let fields = lines.filter_map(|line| line.split(u8::is_ascii_whitespace).next()).filter(|field| !field.is_empty());
    fields.map(|field| PathBuf::from(OsString::from_vec(unescaped(field)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_swap_files() {
        let swaps = b"Filename\t\t\t\tType\t\tSize\n/a\\040b\\134c   file\t4092 0 -2\n/dev/sda2 partition 1 0 -3\n";
        assert_eq!(swap_files(swaps), [Path::new("/a b\\c"), Path::new("/dev/sda2")]);
        assert!(swap_files(b"").is_empty());
    }
}
