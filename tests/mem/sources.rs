//! Snapshots of files that change afterwards or shrink meanwhile, of holes, and of files that are mapped.
#![allow(unsafe_code, reason = "files that do not change, mapped; protection; a name space of mounts")]

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use memsnap::mem::{Access, Snapshot};

use super::ground::{methods, noise, numbers, skip, with};
use super::process::{alone, forked};

const PAGE: usize = 4096;
const MIB: usize = 1 << 20;

fn file_of(dir: &Path, bytes: &[u8]) -> (PathBuf, File) {
    let path = dir.join("f");
    std::fs::write(&path, bytes).unwrap();
    let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    (path, file)
}

/// A snapshot of a file whose copies are in `dir`.
fn in_scratch(file: &File, dir: &Path) -> Snapshot {
    let len = file.metadata().unwrap().len() as usize;
    let compose = Snapshot::compose(len).scratch(dir).and_then(|compose| compose.file(0, file, 0, len));
    compose.unwrap().build().unwrap()
}

/// Snapshots of a file, by every way.
fn all_ways(path: &Path, file: &File) -> Vec<Snapshot> {
    let dir = path.parent().unwrap();
    vec![Snapshot::open(path).unwrap(), Snapshot::from_file(file).unwrap(), in_scratch(file, dir)]
}

/// Every snapshot stays what the file was, whatever becomes of it.
fn stays(dir: &Path) {
    for len in [0, 1, PAGE - 1, 3 * PAGE, MIB, 3 * MIB + 5] {
        let bytes = noise(len as u64, len);
        let (path, file) = file_of(dir, &bytes);
        let snapshots = all_ways(&path, &file);
        file.write_all_at(&vec![1; len + 7], 0).unwrap();
        assert!(snapshots.iter().all(|snapshot| snapshot[..] == bytes[..]), "{len} bytes, then written");
        let mut views: Vec<_> = snapshots.iter().map(|snapshot| snapshot.view().unwrap()).collect();
        file.set_len(0).unwrap();
        std::fs::remove_file(&path).unwrap();
        for view in &mut views {
            assert!(view[..] == bytes[..] && view.dirty().is_empty(), "{len} bytes, then cut");
            view.fill(9);
        }
        assert!(snapshots.iter().all(|snapshot| snapshot[..] == bytes[..]));
    }
}

#[test]
fn a_file_that_changes() {
    stays(tempfile::tempdir().unwrap().path());
    if Path::new("/dev/shm").is_dir() {
        stays(tempfile::tempdir_in("/dev/shm").unwrap().path());
    }
}

#[test]
fn the_position_in_the_file_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (path, mut file) = file_of(dir.path(), &noise(1, 9 * PAGE));
    file.seek(SeekFrom::Start(5)).unwrap();
    all_ways(&path, &file);
    assert_eq!(file.stream_position().unwrap(), 5);
}

#[test]
fn what_is_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let error = Snapshot::open(&dir.path().join("none")).unwrap_err().to_string();
    assert!(error.contains("none"), "{error}");
    assert!(Snapshot::open(dir.path()).is_err());
    assert!(Snapshot::from_file(File::open(dir.path()).unwrap()).is_err());
    let pipe = dir.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert!(Snapshot::open(&pipe).is_err());
    let (reader, _writer) = std::io::pipe().unwrap();
    let error = Snapshot::from_file(std::os::fd::OwnedFd::from(reader)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

/// A file that is cut while it is copied is an error, also where what was cut off comes after a hole.
#[test]
fn a_file_that_is_cut_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let many = 24 * MIB;
    for micros in [0, 100, 300, 1000, 2000, 4000, 8000] {
        let (_, file) = file_of(dir.path(), &noise(1, many));
        let end = (many + 8 * MIB) as u64;
        file.write_all_at(&[7; PAGE], end).unwrap();
        let begun = std::sync::Barrier::new(2);
        let made = std::thread::scope(|scope| {
            scope.spawn(|| {
                begun.wait();
                std::thread::sleep(std::time::Duration::from_micros(micros));
                file.set_len(many as u64).unwrap();
            });
            begun.wait();
            Snapshot::from_file(&file)
        });
        match made {
            Ok(made) if made.len() == many => {} // cut before
            Ok(made) => assert!(made[end as usize..] == [7; PAGE], "zeros that were never there"),
            Err(e) => assert_eq!(e.kind(), ErrorKind::UnexpectedEof),
        }
    }
}

/// Bytes on the disk of what a process has open and no name.
fn kept() -> u64 {
    let all = std::fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path());
    let nameless = all.filter(|fd| std::fs::read_link(fd).is_ok_and(|to| to.to_string_lossy().ends_with(" (deleted)")));
    nameless.map(|fd| std::fs::metadata(fd).unwrap().blocks() * 512).sum()
}

#[test]
fn holes_stay_holes() {
    if !alone("sources::holes_stay_holes") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (path, file) = file_of(dir.path(), b"");
    let len = 2 << 30;
    file.set_len(len).unwrap();
    let places = [0, 77 * MIB, 78 * MIB + 100, (2 << 30) - 5];
    places.iter().for_each(|at| file.write_all_at(b"here", *at as u64).unwrap());
    if file.metadata().unwrap().blocks() > 1 << 10 {
        return skip("no holes here");
    }
    let before = kept();
    for snapshot in all_ways(&path, &file) {
        assert_eq!(snapshot.len() as u64, len);
        assert!(places.iter().all(|at| snapshot[*at..*at + 4] == *b"here"));
        assert!(snapshot[MIB..77 * MIB].iter().all(|b| *b == 0));
        let mut view = snapshot.view().unwrap();
        view[100 * MIB] = 1;
        assert_eq!(view.take_snapshot().unwrap()[100 * MIB], 1);
        assert_eq!(numbers(&view.dirty()), [25600]);
    }
    let snapshots = all_ways(&path, &file);
    assert!(snapshots.iter().all(|snapshot| snapshot[places[3]..] == *b"here\0"));
    assert!(kept() - before < 256 << 10, "{} bytes", kept() - before);
}

/// On file systems that share blocks a snapshot of a long file takes none.
#[test]
fn blocks_are_shared() {
    for (program, kind) in [("mkfs.xfs", "xfs"), ("mkfs.btrfs", "btrfs")] {
        let there = Command::new(program).arg("-V").output();
        if !rustix::process::geteuid().is_root() || there.is_err() {
            return skip(&format!("needs root and {program}"));
        }
        if !alone("sources::blocks_are_shared") {
            return;
        }
        // SAFETY: touches no memory. The mounts of this thread, and of what it starts, are not seen by other processes, and
        // end with it.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNS) }, 0, "{}", Error::last_os_error());
        let dir = tempfile::tempdir().unwrap();
        let (disk, at) = (dir.path().join("disk"), dir.path().join("at"));
        std::fs::create_dir(&at).unwrap();
        File::create(&disk).unwrap().set_len(512 << 20).unwrap();
        let run = |command: &mut Command| {
            let done = command.output().unwrap();
            assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
        };
        run(Command::new("mount").args(["--make-rprivate", "/"]));
        run(Command::new(program).arg("-q").arg(&disk));
        run(Command::new("mount").args(["-t", kind, "-o", "loop"]).arg(&disk).arg(&at));
        stays(&at);
        let (path, file) = file_of(&at, &noise(5, 40 * MIB));
        file.sync_all().unwrap();
        let free = || rustix::fs::statvfs(&at).unwrap().f_bavail * rustix::fs::statvfs(&at).unwrap().f_frsize;
        let before = free();
        let snapshots = all_ways(&path, &file);
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let of_disk = maps.lines().filter(|line| line.contains(at.to_str().unwrap())).count();
        assert_eq!(of_disk, snapshots.len(), "{kind}: {maps}");
        assert!(before - free() < 4 << 20, "{kind}: {} bytes", before - free());
        drop((snapshots, file));
        run(Command::new("umount").arg(&at));
    }
}

#[test]
fn whatever_has_a_descriptor_can_be_the_source() {
    use std::os::fd::{AsFd, OwnedFd};
    let dir = tempfile::tempdir().unwrap();
    let (_, mut file) = file_of(dir.path(), b"some bytes");
    file.seek(SeekFrom::Start(5)).unwrap();
    let owned = OwnedFd::from(file.try_clone().unwrap());
    let all = [
        Snapshot::from_file(&owned),
        Snapshot::from_file(owned.as_fd()),
        Snapshot::from_file(Arc::new(file.try_clone().unwrap())),
        Snapshot::from_file(owned),
    ];
    assert!(all.iter().all(|snapshot| snapshot.as_ref().is_ok_and(|s| s[..] == *b"some bytes")), "{all:?}");
    assert_eq!(file.stream_position().unwrap(), 5);
}

/// Nothing is copied: what a view does not write is the file's.
#[test]
fn a_file_itself() {
    let dir = tempfile::tempdir().unwrap();
    for len in [0, 5, 2 * MIB, 2 * MIB + 5] {
        let bytes = noise(6, len);
        let (path, _) = file_of(dir.path(), &bytes);
        // SAFETY: no process writes to the file.
        let snapshot = unsafe { Snapshot::share_file(File::open(&path).unwrap()) }.unwrap();
        assert!(snapshot[..] == bytes[..]);
        for tracking in methods() {
            let mut view = snapshot.view_with(&with(tracking)).unwrap();
            view.fill(1);
            assert!(snapshot[..] == bytes[..]);
        }
        let mut again = Vec::new();
        File::open(&path).unwrap().read_to_end(&mut again).unwrap();
        assert!(again == bytes);
    }
}

#[test]
fn protection_is_lifted_by_restore() {
    for tracking in methods() {
        let snapshot = Snapshot::from_slice(&noise(7, 8 * PAGE + 9)).unwrap();
        let mut view = snapshot.view_with(&with(tracking)).unwrap();
        view[3 * PAGE] ^= 1;
        view.snap().unwrap();
        for (range, access) in [(PAGE..3 * PAGE, Access::NONE), (8 * PAGE..8 * PAGE + 9, Access::READ)] {
            // SAFETY: the range is not looked at until protection is lifted.
            unsafe { view.protect(range, access) }.unwrap();
        }
        for range in [1..PAGE, PAGE..PAGE + 1, 0..9 * PAGE] {
            // SAFETY: refused.
            let refused = unsafe { view.protect(range, Access::NONE) }.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        }
        view.restore().unwrap();
        assert!(view[..] == snapshot[..]);
        assert_eq!(numbers(&view.dirty()), [3]);
        view.fill(1);
        view.revert();
        assert_eq!(numbers(&view.dirty()), [3]);
    }
}

#[test]
fn protection_is_real() {
    if !alone("sources::protection_is_real") {
        return;
    }
    let snapshot = Snapshot::zeroed(PAGE).unwrap();
    for (access, write, dies) in [(Access::NONE, false, true), (Access::READ, true, true), (Access::READ, false, false)]
    {
        let mut view = snapshot.view().unwrap();
        let at = view.as_mut_ptr();
        // SAFETY: from here on only touched through a pointer; the child may die of it, which is what is tested.
        unsafe { view.protect(.., access) }.unwrap();
        let status = forked(|| {
            if write {
                // SAFETY: a byte of the view, which lives.
                unsafe { at.write_volatile(1) }
            } else {
                // SAFETY: as above.
                assert_eq!(unsafe { at.read_volatile() }, 0);
            }
        });
        assert_eq!(status, if dies { libc::SIGSEGV } else { 0 });
    }
}
