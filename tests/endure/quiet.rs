//! Quiet windows under torture: threads store through maps, write, sync and give space back, in bursts and silences.
//! Where a window says that nothing was seen to change, what was read twice in it must be the same.
#![allow(unsafe_code, reason = "a writable map of the file is what is tested")]

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use memmap2::MmapMut;
use memsnap::capture::{GRACE, NotQuiet, QuietWindow};
use rustix::fs::{FallocateFlags, fallocate};

use super::mount::{Fs, Mount, needs_btrfs, needs_mounts};
use super::quiet_util::{LateStore, mapped, needs_late_stores};
use super::util::{Dice, by_size};

const PAGE: usize = 4096;
const PAGES: usize = 512;
/// No run takes longer, however few windows are quiet.
const MOST: Duration = Duration::from_secs(900);

/// What a writer does in a burst.
type Write = fn(&File, &mut MmapMut, &mut Dice);

/// One burst of each kind; between two come up to 120 ms of silence, and now and then a second.
const WRITES: [Write; 5] = [
    |_, map, dice| map[dice.roll(PAGES) * PAGE + dice.roll(PAGE)] ^= 1,
    // A page that stays dirty and hot.
    |_, map, _| map[7 * PAGE] = map[7 * PAGE].wrapping_add(1),
    |file, _, dice| {
        let bytes = vec![dice.roll(256) as u8; 1 + dice.roll(3 * PAGE)];
        file.write_all_at(&bytes, (dice.roll(PAGES - 4) * PAGE + dice.roll(PAGE)) as u64).unwrap();
    },
    |_, map, dice| {
        map[dice.roll(PAGES) * PAGE] ^= 1;
        map.flush().unwrap();
    },
    |file, _, dice| {
        let at = (dice.roll(PAGES - 1) * PAGE) as u64;
        fallocate(file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, at, PAGE as u64).unwrap();
    },
];

fn write_until(stop: &AtomicBool, path: &Path, write: Write, seed: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    // SAFETY: the file is not cut while the map lives, and what it shows is only flipped.
    let mut map = unsafe { MmapMut::map_mut(&file) }.unwrap();
    let mut dice = Dice(seed);
    while !stop.load(Relaxed) {
        for _ in 0..=dice.roll(40) {
            write(&file, &mut map, &mut dice);
        }
        let silence = if dice.roll(4) == 0 { 1000 } else { dice.roll(120) };
        std::thread::sleep(Duration::from_millis(silence as u64));
    }
}

fn read(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; PAGES * PAGE];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// Looks for `wanted` quiet windows while all writers write. Returns how many there were, and how many were refused.
fn torture(dir: &Path, wanted: usize) -> (usize, usize) {
    let path = dir.join("tortured");
    std::fs::write(&path, vec![1; PAGES * PAGE]).unwrap();
    let (stop, began) = (AtomicBool::new(false), Instant::now());
    let (mut quiet, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        for (i, write) in WRITES.into_iter().enumerate() {
            let (stop, path) = (&stop, &path);
            scope.spawn(move || write_until(stop, path, write, 77 + i as u64));
        }
        let file = File::open(&path).unwrap();
        while quiet < wanted && began.elapsed() < MOST {
            let opened = QuietWindow::begin(&file, &[dir.into()]).and_then(|window| {
                std::thread::sleep(GRACE);
                window.open().map(|()| window)
            });
            let (first, second, seen) = match opened {
                Ok(window) => (read(&file), read(&file), window.end()),
                Err(why) => (Vec::new(), Vec::new(), Err(why)),
            };
            match seen {
                Ok(_) => {
                    quiet += 1;
                    if first != second {
                        stop.store(true, Relaxed);
                        panic!("window {quiet} on {} is false", dir.display());
                    }
                }
                Err(NotQuiet::Written) => refused += 1,
                Err(NotQuiet::Blind(why)) => {
                    stop.store(true, Relaxed);
                    panic!("{}: {why}", dir.display());
                }
            }
        }
        stop.store(true, Relaxed);
    });
    (quiet, refused)
}

fn kinds() -> Vec<Fs> {
    let mut kinds = vec![Fs::Ext4, Fs::Xfs];
    kinds.extend(needs_btrfs().then_some(Fs::Btrfs));
    kinds
}

#[test]
fn what_is_read_twice_in_a_quiet_window_is_the_same() {
    if !needs_mounts() {
        return;
    }
    let kinds = kinds();
    let wanted = by_size(60, 501, 10_000) / kinds.len();
    for fs in kinds {
        let (mount, _image) = Mount::empty(fs, 64 << 20);
        let (quiet, refused) = torture(mount.at(), wanted);
        eprintln!("{fs:?}: {quiet} quiet windows, {refused} refused");
        assert!(quiet == wanted && refused > 0, "{fs:?}: {quiet} of {wanted}, {refused} refused");
    }
}

/// Opens a window on a file that nothing writes to at the time.
fn window<'a>(file: &'a File, dir: &Path) -> QuietWindow<'a> {
    let window = QuietWindow::begin(file, &[dir.into()]).unwrap();
    std::thread::sleep(GRACE);
    window.open().unwrap();
    window
}

/// One of each kind of writing to the file at this path, mapped, after a window began.
#[allow(clippy::type_complexity, reason = "a table")]
const ONE_OF_EACH: [(&str, fn(&Path, &mut MmapMut)); 9] = [
    ("a store to a page of the file", |_, map| map[7 * PAGE] ^= 1),
    ("a store to a hole", |_, map| map[(PAGES - 1) * PAGE] ^= 1),
    ("write(2)", |path, _| writable(path).write_all_at(b"x", 9).unwrap()),
    ("write(2) of the same byte", |path, _| writable(path).write_all_at(&[1], 0).unwrap()),
    ("a direct write", |path, map| {
        let file = File::options().write(true).custom_flags(libc::O_DIRECT).open(path).unwrap();
        let page = MmapMut::map_anon(PAGE).unwrap();
        assert_ne!(map[3 * PAGE], 0);
        file.write_all_at(&page, 3 * PAGE as u64).unwrap();
    }),
    ("a write that is on the disk", |path, _| {
        let file = writable(path);
        file.write_all_at(b"x", 9).unwrap();
        file.sync_all().unwrap();
    }),
    ("a store that is on the disk", |_, map| {
        map[7 * PAGE] ^= 1;
        map.flush().unwrap();
    }),
    ("a hole that is punched", |path, _| {
        let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(writable(path), how, 5 * PAGE as u64, PAGE as u64).unwrap();
    }),
    ("a longer file", |path, _| writable(path).set_len((PAGES * PAGE) as u64 + 1).unwrap()),
];

fn writable(path: &Path) -> File {
    File::options().write(true).open(path).unwrap()
}

/// A file whose last page is a hole.
fn with_hole(dir: &Path) -> PathBuf {
    let path = dir.join("written once");
    std::fs::write(&path, vec![1; (PAGES - 1) * PAGE]).unwrap();
    writable(&path).set_len((PAGES * PAGE) as u64).unwrap();
    path
}

#[test]
fn each_way_to_write_ends_a_window() {
    if !needs_mounts() {
        return;
    }
    for fs in kinds() {
        let (mount, _image) = Mount::empty(fs, 64 << 20);
        for (what, write) in ONE_OF_EACH {
            let path = with_hole(mount.at());
            let (file, mut map) = (File::open(&path).unwrap(), mapped(&path));
            // What is stored before does not count: it is flushed.
            map[PAGE] ^= 1;
            window(&file, mount.at()).end().unwrap_or_else(|why| panic!("{fs:?}: {why:?}"));
            let now = window(&file, mount.at());
            write(&path, &mut map);
            assert!(matches!(now.end(), Err(NotQuiet::Written)), "{fs:?}: {what}");
            std::fs::remove_file(path).unwrap();
        }
    }
}

/// The page was made writable, and ctime moved, before the window began: only that it is dirty at the end shows the store.
#[test]
fn a_store_that_was_late_ends_a_window() {
    if !needs_mounts() || !needs_late_stores() {
        return;
    }
    for fs in kinds() {
        let (mount, _image) = Mount::empty(fs, 64 << 20);
        let path = with_hole(mount.at());
        let (file, mut map) = (File::open(&path).unwrap(), mapped(&path));
        let ctime = || file.metadata().map(|meta| (meta.ctime(), meta.ctime_nsec())).unwrap();
        let store = LateStore::begin(&mut map, 7 * PAGE);
        let now = window(&file, mount.at());
        let (first, began) = (read(&file), ctime());
        store.arrive(9);
        assert!(first != read(&file) && ctime() == began, "{fs:?}: the store is late, and moves no time");
        assert!(matches!(now.end(), Err(NotQuiet::Written)), "{fs:?}");
    }
}
