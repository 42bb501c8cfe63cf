//! What shows of a file that it is the one that was seen before, and was not written since: its ctime, where it is, and
//! that this system had it in its hands all the time.
//!
//! ctime says nothing of what another system, or a writer to the device below, did while the file system was not
//! mounted here. A restart changes the boot id, and each mount gets a number that is never given again.

use std::fs::File;
use std::time::Duration;

/// What is the same as long as a file is the same, and not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Which start of the system it is.
    pub(crate) boot: u128,
    /// Which mount, ever since that start.
    pub(crate) mount: u64,
    /// Device of the file system.
    pub(crate) dev: u64,
    /// Inode number.
    pub(crate) ino: u64,
    /// Last change of contents or metadata, in nanoseconds since 1970.
    pub(crate) ctime_ns: i128,
}

impl Seen {
    /// That of `file` now; none where the system does not report all of it.
    pub(crate) fn of(file: &File) -> Option<Seen> {
        imp::of(file)
    }
}

/// The time since the system started, suspended or not.
pub(crate) fn since_start() -> Option<Duration> {
    imp::since_start()
}

#[cfg(target_os = "linux")]
mod imp {
    use super::{Duration, File, Seen};
    use crate::sys::open::Stamp;

    use rustix::fs::{AtFlags, StatxFlags, statx};
    use rustix::time::{ClockId, clock_gettime};

    /// STATX_MNT_ID_UNIQUE, Linux 6.8.
    const UNIQUE: StatxFlags = StatxFlags::from_bits_retain(0x4000);

    pub(super) fn of(file: &File) -> Option<Seen> {
        let found = statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS | UNIQUE).ok()?;
        // An older kernel knows only numbers that are given again.
        if found.stx_mask & UNIQUE.bits() == 0 {
            return None;
        }
        let stamp = Stamp::from(&file.metadata().ok()?);
        Some(Seen {
            boot: boot_id(&std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?)?,
            mount: found.stx_mnt_id,
            dev: stamp.dev,
            ino: stamp.ino,
            ctime_ns: stamp.ctime_ns,
        })
    }

    pub(super) fn since_start() -> Option<Duration> {
        let now = clock_gettime(ClockId::Boottime);
        Some(Duration::new(now.tv_sec.try_into().ok()?, now.tv_nsec.try_into().ok()?))
    }

    /// `0b85b5b7-6db8-4fd5-9f7c-4a1c3c1f5e5d` and a newline.
    pub(super) fn boot_id(text: &str) -> Option<u128> {
        let digits = text.trim_end().replace('-', "");
        let whole = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        u128::from_str_radix(&digits, 16).ok().filter(|_| whole)
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::{Duration, File, Seen};

    pub(super) fn of(_file: &File) -> Option<Seen> {
        None
    }

    pub(super) fn since_start() -> Option<Duration> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn boot_ids_are_read() {
        assert_eq!(imp::boot_id("00000000-0000-0000-0000-0000000000ff\n"), Some(255));
        for text in ["", "+0000000-0000-0000-0000-0000000000ff", "ff", "none"] {
            assert_eq!(imp::boot_id(text), None, "{text}");
        }
    }

    #[test]
    fn a_file_is_seen_and_a_write_to_it() {
        use std::io::Write;
        let mut file = tempfile::tempfile_in(".").unwrap();
        let Some(before) = Seen::of(&file) else { return crate::sys::skipped("no unique mount ids") };
        assert_eq!(Seen::of(&file), Some(before));
        assert_eq!(Seen::of(&tempfile::tempfile_in(".").unwrap()).map(|other| other.mount), Some(before.mount));
        std::thread::sleep(Duration::from_millis(20));
        file.write_all(b"x").unwrap();
        assert_ne!(Seen::of(&file), Some(before));
    }

    #[test]
    fn the_clock_runs() {
        let first = since_start().unwrap();
        assert!(!first.is_zero() && since_start().unwrap() >= first);
    }
}
