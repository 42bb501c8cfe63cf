//! Random histories of a file, with snapshots and comparisons between: one that was not read holds what it held. And
//! where nothing happened, it is not read.
#![allow(unsafe_code, reason = "a writable map of the file is what is tested")]

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes};
use std::os::unix::fs::FileExt;
use std::time::{Duration, SystemTime};

use memmap2::MmapMut;
use rustix::fs::{FallocateFlags, fallocate};

use super::case::{Case, PAGE, finish, noise};
use super::mount::{Fs, Mount, needs_btrfs, needs_mounts};
use super::util::{Dice, Evidence, by_size, chmod};

const PAGES: usize = 24;

/// What happens to a file, and what is known of it.
struct Story<'a> {
    case: &'a Case,
    dice: Dice,
    /// A program that has it open and mapped.
    writer: Option<(File, MmapMut)>,
    /// What each snapshot holds.
    kept: BTreeMap<u64, Vec<u8>>,
    /// Nothing happened since a sound reading.
    settled: bool,
    log: Vec<String>,
    unread: usize,
}

impl Story<'_> {
    fn open(&mut self) {
        let file = File::options().read(true).write(true).open(self.case.path("f")).unwrap();
        // SAFETY: what is past the end is not stored to: the file is cut only when there is no map.
        let map = unsafe { MmapMut::map_mut(&file) }.unwrap();
        self.writer = Some((file, map));
    }

    fn close(&mut self) {
        self.writer = None;
    }

    /// Something that may change the file, or not.
    fn happen(&mut self) {
        let (path, page) = (self.case.path("f"), self.dice.roll(PAGES / 2));
        let at = (page * PAGE + self.dice.roll(PAGE)) as u64;
        let byte = self.dice.roll(256) as u8;
        let what = self.dice.roll(17);
        self.log.push(format!("{what} at {at}"));
        self.settled &= what == 0;
        let open = || File::options().read(true).write(true).open(&path).unwrap();
        match what {
            0 => {}
            1 | 2 => {
                if self.writer.is_none() {
                    self.open();
                }
                // Twice in one page: the second store moves no time.
                for _ in 0..=self.dice.roll(2) {
                    let (_, map) = self.writer.as_mut().unwrap();
                    map[at as usize] = map[at as usize].wrapping_add(byte | 1);
                }
            }
            3 => {
                if let Some((_, map)) = &self.writer {
                    map.flush().unwrap();
                }
            }
            4 => open().write_all_at(&[byte; 3], at).unwrap(),
            // The same bytes.
            5 => {
                let mut there = [0; 1];
                let file = open();
                file.read_exact_at(&mut there, at).unwrap();
                file.write_all_at(&there, at).unwrap();
            }
            6 => {
                self.close();
                open().set_len(((PAGES / 2 + self.dice.roll(PAGES)) * PAGE) as u64 + at % 7).unwrap();
            }
            7 => {
                let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
                open().set_times(FileTimes::new().set_modified(then)).unwrap();
            }
            8 => {
                fs::rename(&path, self.case.path("g")).unwrap();
                fs::rename(self.case.path("g"), &path).unwrap();
            }
            // Another file with the same bytes, or others.
            9 | 10 => {
                self.close();
                let mut bytes = fs::read(&path).unwrap();
                bytes[at as usize] ^= (what - 9) as u8;
                fs::write(self.case.path("g"), bytes).unwrap();
                fs::rename(self.case.path("g"), &path).unwrap();
            }
            11 => {
                let modes = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                fallocate(open(), modes, (page * PAGE) as u64, PAGE as u64).unwrap();
            }
            12 => chmod(&path, 0o600 | self.dice.roll(64) as u32),
            13 => open().sync_all().unwrap(),
            14 => self.close(),
            // Another start of the system.
            15 => {
                if self.case.history().join("evidence").exists() {
                    let other = format!("{:032x}", 1 + at);
                    Evidence::of(&self.case.history()).with(Evidence::BOOT, &other).put(&self.case.history());
                }
            }
            _ => fs::write("/proc/sys/vm/drop_caches", "1").unwrap_or(()),
        }
    }

    fn snap(&mut self) {
        let leased = self.writer.is_none();
        let ran = self.case.run(["snap", "--json", "--require", "none", "f"]);
        assert_eq!(ran.code, Some(0), "{:?}: {ran:?}", self.log);
        let json = ran.json().remove(0);
        let unread = json["read"] == "nothing";
        self.log.push(format!("snap: {} {}", json["read"], json["read_reason"]));
        let now = fs::read(self.case.path("f")).unwrap();
        let number = json["number"].as_u64().unwrap();
        let new = json["new"] == true;
        let held = self.kept.entry(number).or_insert_with(|| now.clone());
        assert!(*held == now, "@{number} is not what the file holds: {:#?}", self.log);
        assert_eq!(json["len"].as_u64(), Some(now.len() as u64));
        assert!(!unread || !new || json["pages_changed"] == 0, "{:#?}", self.log);
        assert!(!self.settled || unread, "nothing happened, but it was read: {:#?}", self.log);
        self.settled |= leased;
        self.unread += usize::from(unread);
    }

    fn diff(&mut self) {
        let number = *self.kept.keys().nth(self.dice.roll(self.kept.len())).unwrap();
        let ran = self.case.run(["diff", "--json", &format!("f@{number}")]);
        let json = ran.json().pop().unwrap();
        self.log.push(format!("diff @{number}: {} {}", json["read"], json["read_reason"]));
        let now = fs::read(self.case.path("f")).unwrap();
        let (a, b) = (&self.kept[&number], &now);
        let page = |bytes: &[u8], n: usize| {
            let mut page = vec![0; PAGE];
            let there = bytes.get(n * PAGE..).unwrap_or_default();
            let len = there.len().min(PAGE);
            page[..len].copy_from_slice(&there[..len]);
            page
        };
        let differ = (0..a.len().max(b.len()).div_ceil(PAGE)).filter(|n| page(a, *n) != page(b, *n)).count();
        assert_eq!(json["pages_changed"].as_u64(), Some(differ as u64), "{:#?}", self.log);
        assert_eq!(json["same"], a == b, "{:#?}", self.log);
        assert!(!self.settled || json["read"] == "nothing", "it was read: {:#?}", self.log);
        self.unread += usize::from(json["read"] == "nothing");
    }
}

/// Histories on one file system. Returns how often nothing was read.
fn histories(case: &Case, seed: u64, count: usize) -> usize {
    let mut unread = 0;
    for history in 0..count {
        let _ = fs::remove_dir_all(case.path(".memsnap"));
        case.write("f", &noise(history as u64, PAGES * PAGE));
        let dice = Dice(seed + 1000 * history as u64);
        let (kept, log) = (BTreeMap::new(), vec![format!("history {history} of {seed}")]);
        let mut story = Story { case, dice, writer: None, kept, settled: false, log, unread: 0 };
        story.snap();
        for _ in 0..12 {
            for _ in 0..story.dice.roll(3) {
                story.happen();
            }
            if story.dice.roll(3) == 0 { story.diff() } else { story.snap() }
        }
        story.close();
        story.snap();
        story.snap();
        unread += story.unread;
        drop(story);
        finish(case.memsnap(["verify"]).arg("-q")).exits(0);
    }
    unread
}

#[test]
fn what_was_not_read_is_unchanged() {
    if !needs_mounts() {
        return;
    }
    let btrfs = needs_btrfs().then_some((Fs::Btrfs, 3));
    for (fs, seed) in [(Fs::Ext4, 1), (Fs::Xfs, 2)].into_iter().chain(btrfs) {
        let (mount, _image) = Mount::empty(fs, 0);
        let count = by_size(2, 30, 200);
        let unread = histories(&mount.case(), seed, count);
        eprintln!("{fs:?}: {count} histories, {unread} times nothing was read");
        assert!(unread >= 2 * count, "{fs:?}: {unread}");
    }
}
