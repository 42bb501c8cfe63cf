//! The grade and the kind of a snapshot, and the compression of a pack.

use std::fmt;

/// How far an image is proven to be point-in-time, ascending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grade {
    /// A program may have written while it was read.
    Unproven,
    /// The caller asserts that every writer honours the lock that was held.
    Claimed,
    /// A program had it open for writing, and no change was seen while it was read.
    Observed,
    /// Guaranteed by the kernel: no process had it open for writing while it was read.
    Proven,
}

impl Grade {
    /// By their number in snapshots.
    const BY_CODE: [Grade; 4] = [Grade::Unproven, Grade::Claimed, Grade::Proven, Grade::Observed];

    pub(super) fn code(self) -> u8 {
        Grade::BY_CODE.iter().position(|grade| *grade == self).expect("each grade has a number") as u8
    }

    pub(super) fn from_code(code: u8) -> Option<Grade> {
        Grade::BY_CODE.get(usize::from(code)).copied()
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Grade::Unproven => "unproven",
            Grade::Claimed => "claimed",
            Grade::Observed => "observed",
            Grade::Proven => "proven",
        })
    }
}

/// Why a snapshot was made. The numbers are those in snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotKind {
    /// A user asked for it.
    Asked = 0,
    /// The content of a target before memsnap changed it, for undo.
    Undo = 1,
    /// The content after a change, if no other snapshot has it.
    Result = 2,
}

impl SnapshotKind {
    pub(super) fn from_code(code: u8) -> Option<SnapshotKind> {
        [SnapshotKind::Asked, SnapshotKind::Undo, SnapshotKind::Result].get(usize::from(code)).copied()
    }

    /// Whether memsnap made it without being asked.
    #[doc(hidden)]
    pub fn is_automatic(self) -> bool {
        self != SnapshotKind::Asked
    }
}

/// How pages are compressed in a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compress {
    /// Not at all.
    None,
    /// By zstd at this level, 1 to 19; what does not shrink stays raw.
    Zstd(i32),
}

impl Default for Compress {
    /// Level 1: 480 MB/s a core on a database at 48 % of its size, and 7 GB/s on what does not compress.
    fn default() -> Compress {
        Compress::Zstd(1)
    }
}
