//! A small file system of one's own, mounted in a scratch directory from a file in memory through a loop device; it
//! goes away with the value, also when a test panics.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use tempfile::TempDir;

use crate::case::{Case, Ran, finish, has, is_root, skip};

/// What is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fs {
    Ext4,
    /// With no order between what files hold and the journal.
    Ext4Writeback,
    Xfs,
    Btrfs,
}

impl Fs {
    fn name(self) -> &'static str {
        match self {
            Fs::Ext4 | Fs::Ext4Writeback => "ext4",
            Fs::Xfs => "xfs",
            Fs::Btrfs => "btrfs",
        }
    }

    /// Nothing is written on the quiet: no commit by the clock, no flush because a rename looks like a save.
    fn options(self) -> &'static str {
        match self {
            Fs::Ext4 => "noauto_da_alloc,commit=300",
            Fs::Ext4Writeback => "noauto_da_alloc,commit=300,data=writeback",
            Fs::Xfs => "defaults",
            Fs::Btrfs => "commit=300",
        }
    }

    /// The least that will do.
    pub(crate) fn len(self) -> u64 {
        match self {
            Fs::Ext4 | Fs::Ext4Writeback => 64 << 20,
            Fs::Xfs => 300 << 20,
            Fs::Btrfs => 160 << 20,
        }
    }

    /// Makes an empty file system in a file or a device that holds zeros.
    pub(crate) fn make(self, on: &Path) {
        let words = match self {
            Fs::Ext4 | Fs::Ext4Writeback => {
                "mkfs.ext4 -q -F -b 4096 -N 1024 -m 0 -J size=16 -E nodiscard,lazy_itable_init=0,lazy_journal_init=1"
            }
            Fs::Xfs => "mkfs.xfs -q -f -K",
            Fs::Btrfs => "mkfs.btrfs -q -f -K",
        };
        run(&[words, &on.display().to_string()]).exits(0);
    }
}

/// Whether file systems can be made and mounted here.
pub(crate) fn needs_mounts() -> bool {
    static WHY_NOT: OnceLock<Option<String>> = OnceLock::new();
    let why_not = WHY_NOT.get_or_init(|| {
        if !is_root() {
            return Some("only root may mount".into());
        }
        let tools = ["losetup", "mkfs.ext4", "mkfs.xfs", "mount", "umount", "xfs_io"];
        if let Some(tool) = tools.iter().find(|tool| !has(tool)) {
            return Some(format!("{tool} is not there"));
        }
        let dir = scratch();
        let image = dir.path().join("image");
        File::create(&image).and_then(|file| file.set_len(Fs::Ext4.len())).unwrap();
        Fs::Ext4.make(&image);
        Device::new(&image).and_then(|device| Mount::new(Fs::Ext4, device)).err()
    });
    why_not.as_ref().is_none_or(|why| {
        skip(why);
        false
    })
}

/// Whether btrfs can be made and mounted here.
pub(crate) fn needs_btrfs() -> bool {
    if !needs_mounts() {
        return false;
    }
    let known = std::fs::read_to_string("/proc/filesystems").is_ok_and(|list| list.contains("btrfs"));
    if !known || !has("mkfs.btrfs") {
        skip("no btrfs, or no mkfs.btrfs, here");
        return false;
    }
    true
}

/// A directory for images and mount points: in memory where there is some.
pub(crate) fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    let usual = std::env::temp_dir();
    tempfile::tempdir_in(if memory.is_dir() { memory } else { &usual }).unwrap()
}

/// Runs words split at spaces, wherever.
fn run(words: &[&str]) -> Ran {
    let mut words = words.iter().flat_map(|words| words.split_whitespace());
    let mut command = Case::at(Path::new("/")).command(words.next().unwrap());
    finish(command.args(words))
}

/// Takes down what is mounted there, as soon as no process uses it.
pub(crate) fn detach(at: &Path) {
    run(&["umount --lazy", &at.display().to_string()]);
}

/// A file as a block device.
#[derive(Debug)]
pub(crate) struct Device {
    path: PathBuf,
}

impl Device {
    pub(crate) fn new(image: &Path) -> Result<Device, String> {
        let ran = run(&["losetup --find --show", &image.display().to_string()]);
        if ran.code == Some(0) { Ok(Device { path: ran.out.trim().into() }) } else { Err(format!("{ran:?}")) }
    }

    /// What the kernel says of its queue.
    pub(crate) fn queue(&self, attribute: &str) -> String {
        let name = self.path.file_name().unwrap().to_string_lossy();
        std::fs::read_to_string(format!("/sys/block/{name}/queue/{attribute}")).unwrap().trim().into()
    }
}

impl Device {
    /// Waits until no file system is on it: one that is mounted in another name space too, as of a container that was
    /// just made, lives on there, and would be what is mounted next, whatever the device holds by then.
    fn wait_until_free(&self) {
        let exclusive = rustix::fs::OFlags::EXCL.bits() as i32;
        let is_free = || File::options().read(true).custom_flags(exclusive).open(&self.path).is_ok();
        let freed = (0..3000).any(|_| {
            let free = is_free();
            if !free {
                std::thread::sleep(Duration::from_millis(10));
            }
            free
        });
        assert!(freed, "{} stays in use", self.path.display());
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // If it is in use still, it goes when that ends.
        run(&["losetup --detach", &self.path.display().to_string()]);
    }
}

/// A mounted file system, which can be taken down and up again.
#[derive(Debug)]
pub(crate) struct Mount {
    fs: Fs,
    up: bool,
    // In this order they go: the device, the directory.
    device: Device,
    at: TempDir,
}

impl Mount {
    /// Mounts what the device holds.
    pub(crate) fn new(fs: Fs, device: Device) -> Result<Mount, String> {
        let mut mount = Mount { fs, up: false, device, at: scratch() };
        mount.up()?;
        Ok(mount)
    }

    /// An empty one of at least `len` bytes, and its image.
    pub(crate) fn empty(fs: Fs, len: u64) -> (Mount, File) {
        let dir = scratch();
        let path = dir.path().join("image");
        let image = File::create_new(&path).unwrap();
        image.set_len(len.max(fs.len())).unwrap();
        fs.make(&path);
        // The device keeps the file, whose name is not needed again.
        (
            Mount::new(fs, Device::new(&path).unwrap()).unwrap(),
            File::options().read(true).write(true).open(path).unwrap(),
        )
    }

    pub(crate) fn at(&self) -> &Path {
        self.at.path()
    }

    /// A case in a directory `ground` of it.
    pub(crate) fn case(&self) -> Case {
        let dir = self.at().join("ground");
        if !dir.is_dir() {
            std::fs::create_dir(&dir).unwrap();
        }
        Case::at(&dir)
    }

    pub(crate) fn is_up(&self) -> bool {
        self.up
    }

    pub(crate) fn up(&mut self) -> Result<(), String> {
        assert!(!self.up);
        let (device, at) = (self.device.path.display().to_string(), self.at().display().to_string());
        let ran = run(&["mount -t", self.fs.name(), "-o", self.fs.options(), &device, &at]);
        self.up = ran.code == Some(0);
        if self.up { Ok(()) } else { Err(format!("{ran:?}")) }
    }

    /// All that was written goes to the device.
    pub(crate) fn sync(&self) {
        rustix::fs::syncfs(File::open(self.at()).unwrap()).unwrap();
    }

    /// From now on nothing reaches the device, not even the journal in memory: all that is not there yet is lost.
    pub(crate) fn shut_down(&self) {
        run(&["xfs_io -x -c shutdown", &self.at().display().to_string()]).exits(0);
    }

    pub(crate) fn down(&mut self) {
        let words = ["umount", &self.at().display().to_string()];
        // A process that another test is just starting may hold one of our files for a moment.
        let done = (0..200).any(|_| {
            let ran = run(&words);
            let done = ran.code == Some(0);
            if !done {
                std::thread::sleep(Duration::from_millis(10));
            }
            done
        });
        assert!(done, "{} stays busy", self.at().display());
        self.up = false;
        self.device.wait_until_free();
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if self.up {
            detach(self.at());
        }
    }
}
