//! What lies behind an error or a note, as data. The program makes its hints of it, in `src/cli/hints`.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// A file and the store that was chosen for it, both as the caller named them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInStore {
    /// The file.
    pub file: PathBuf,
    /// The store, unless it is the one beside the file.
    pub store: Option<PathBuf>,
}

impl FileInStore {
    /// A file in the store that was `chosen`, if one was.
    pub(crate) fn new(file: impl Into<PathBuf>, chosen: Option<&Path>) -> FileInStore {
        FileInStore { file: file.into(), store: chosen.map(Into::into) }
    }
}

/// A log that a database keeps beside its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// A write-ahead log of SQLite.
    SqliteWal,
    /// A rollback journal of SQLite.
    SqliteJournal,
    /// A write-ahead log of DuckDB.
    DuckDb,
}

/// A log that its database will play into the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HotLog {
    /// Which log it is.
    pub kind: Log,
    /// Where it is.
    pub path: PathBuf,
    /// The file that it belongs to.
    pub database: PathBuf,
}

/// The situation behind an [`Error`](crate::Error) or a [note](crate::ops::Note), as data. A program chooses its advice
/// by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The message says everything.
    Stated,
    /// The remedy, in words that name no program, verb or option.
    Remedy(Cow<'static, str>),

    // What was named.
    /// The text behind an `@` names no snapshot.
    NoRef,
    /// The file and the history were named in the wrong order.
    HistoryNamedSecond {
        /// The path that has the history, named as the new one.
        history: FileInStore,
        /// The file, which was named first.
        file: PathBuf,
    },
    /// The file and the delta were named in the wrong order.
    DeltaNamedFirst {
        /// The file, named as the delta.
        file: PathBuf,
        /// The delta, named as the file.
        delta: PathBuf,
    },
    /// A pipe or device can only be read from front to back.
    Stream(PathBuf),
    /// The kernel makes the content when it is read: there is no length.
    MadeByKernel(PathBuf),
    /// A directory has the name of the output.
    IsDirectory(PathBuf),

    // How a target is read.
    /// A clone of the target was asked for, and none can be made.
    NoClone,
    /// A clone is to be kept, and only what is said to have changed is to be read.
    KeepOrClaim,
    /// What is said to have changed is not all that did.
    NotClaimed,

    // What was looked for.
    /// There is no store at that path.
    NoStore,
    /// Making the store was interrupted: it has no snapshots.
    EmptyStore,
    /// The directory has files, but is not a store.
    NotAStore,
    /// The directory in which a store was to be made has other files.
    NotEmpty,
    /// The file has a history without snapshots.
    NoSnapshots(FileInStore),
    /// The file has no history in the store that was searched.
    NoHistory(FileInStore),
    /// No store that was searched has a history of the path.
    NoHistoryThere,
    /// There is no such file, and no history of it.
    NoFile {
        /// The store that was searched, if there is one.
        store: Option<PathBuf>,
    },
    /// The file has snapshots, but not that one.
    NoSnapshot(FileInStore),
    /// No change of the file can be undone.
    NoChange {
        /// The target.
        file: FileInStore,
        /// Whether the target is gone.
        gone: bool,
    },

    // Stores.
    /// A store belongs to another user.
    ForeignStore,
    /// A history belongs to a user other than the owner of the file.
    ForeignHistory {
        /// The directory of the history.
        dir: PathBuf,
        /// The user and the group that own the file.
        owner: (u32, u32),
    },
    /// The path of the store is not a directory.
    StoreNotDirectory(PathBuf),
    /// The mode of a store lets its owner not enter it.
    CannotEnter(PathBuf),
    /// The mode of a store lets others write to it.
    OthersCanWrite(PathBuf),
    /// The mode of a history gives others rights that the file does not give.
    OthersHaveRights(PathBuf),
    /// Modes are those of the mount, and give others rights to a store.
    ModesOfMount,
    /// The numbers of a history are used up.
    NoNumberLeft,
    /// Files that are to be captured together would have different stores.
    TwoStores,
    /// There is no set with this id.
    NoSet,
    /// A snapshot that a set names is gone.
    NoSnapshotOfSet,
    /// A history cannot be moved to a store on another file system; this is its store.
    OtherFileSystem(PathBuf),
    /// The new path has a history with snapshots, in this directory.
    HasHistory(PathBuf),
    /// There is too little space for what is to be stored.
    NoSpace {
        /// Whether part of what is free is reserved.
        reserve: bool,
        /// Whether it is needed only for undo.
        for_undo: bool,
    },
    /// The file was renamed from a path that has a history.
    Renamed {
        /// The path that has the history.
        from: FileInStore,
        /// The path of the file.
        to: PathBuf,
    },
    /// The file may have been renamed from a path that has a history; it has one of its own now.
    MayBeRenamed {
        /// The path that has the history.
        from: FileInStore,
        /// The path of the file.
        to: PathBuf,
        /// The directory of the new history.
        history: PathBuf,
    },
    /// A stored image is damaged.
    Damage,
    /// The label of a history is damaged: which file it belongs to is not known.
    NoLabel,
    /// The message was not stored, as the file did not change.
    Unchanged,

    // Interrupted changes.
    /// A change of the file was interrupted.
    Interrupted(FileInStore),
    /// A change was interrupted, and is recorded in a history that is being checked.
    InterruptedThere,
    /// A change of the old path was interrupted, and its history is to be moved.
    InterruptedBeforeMove,
    /// A change of the file was interrupted under another path.
    InterruptedElsewhere {
        /// The file as it is named in the record.
        was: FileInStore,
        /// Where it is now.
        file: PathBuf,
    },
    /// A change of the file was interrupted, and its record is gone.
    RecordGone(PathBuf),
    /// The file is a copy of one that was half changed.
    CopyOfHalfChanged(PathBuf),
    /// The file is not the one whose change was interrupted.
    OtherFile,
    /// The file was written to after its change was interrupted.
    WrittenSince,
    /// An interrupted change is to be finished before another begins.
    FinishFirst,
    /// The interrupted change was begun without undo.
    OnlyForward,
    /// A snapshot that the record of an interrupted change names is gone.
    SnapshotGone,

    // Changes, and who else has the file open.
    /// Other processes have the file open.
    Open {
        /// How many are visible.
        processes: usize,
        /// The devices of those that are loop devices.
        loop_devices: Vec<PathBuf>,
        /// Whether one may write to it.
        may_write: bool,
    },
    /// The file was opened by others before the change had ended.
    OpenedEarly {
        /// The file.
        file: PathBuf,
        /// The number of the snapshot that was written to it.
        number: u64,
    },
    /// A process that this one runs under holds a shared lock, and an exclusive one is needed.
    LentShared,
    /// A process holds a lease on the file.
    Leased,
    /// The file is a program that runs.
    Executed,
    /// The file is marked as immutable or append-only.
    Marked {
        /// The file.
        file: PathBuf,
        /// The letter of the attribute.
        letter: char,
    },
    /// The file was changed after the change that is to be undone.
    ChangedSince(FileInStore),
    /// The file is not the base of the delta.
    NotTheBase {
        /// The file.
        file: FileInStore,
        /// The number of the newest snapshot that is the base.
        number: Option<u64>,
        /// Whether the file itself was to be changed.
        in_place: bool,
    },
    /// An edit ends behind the end of the file.
    PastEnd,
    /// The file or the snapshot ends before the range.
    RangePastEnd,
    /// The times of the file are beyond what a snapshot holds.
    OddTimes(PathBuf),
    /// A hot log lies beside a file that is to be changed.
    LogBesideTarget(HotLog),
    /// A hot log lies beside a file that is half changed.
    LogBesideHalfChanged(HotLog),
    /// A hot log lies beside an output that exists.
    LogBesideOutput(HotLog),
    /// A hot log lies beside an output that does not exist.
    LogWithoutDatabase(HotLog),
    /// A hot log lies beside a file of which a snapshot was taken.
    LogBesideSnapshot(HotLog),

    // Outputs and deltas.
    /// There is a file of the output's name.
    OutputExists,
    /// The output is the target itself.
    OutputIsTarget,
    /// The file is not a delta.
    NotADelta,
    /// The delta carries one direction only.
    NotReversible,
    /// The view was not opened from a store.
    NotFromStore,

    // Persistent vectors.
    /// The file is not a persistent vector.
    NotAVector,
    /// The file is too short for a persistent vector.
    ShorterThanVector,
    /// The elements have the other byte order.
    OtherByteOrder,
    /// Two vectors have elements of different types.
    OtherElements,
    /// The input is a persistent vector, with a header.
    InputIsVector,
    /// The input is not text.
    InputNotText,
    /// The elements are not numbers.
    NotNumbers,
    /// Elements were to be set behind the last one.
    PastElements,
    /// The vector has fewer elements.
    FewerElements(PathBuf),
}

impl From<&'static str> for Cause {
    fn from(remedy: &'static str) -> Cause {
        if remedy.is_empty() { Cause::Stated } else { Cause::Remedy(remedy.into()) }
    }
}

impl From<String> for Cause {
    fn from(remedy: String) -> Cause {
        Cause::Remedy(remedy.into())
    }
}
