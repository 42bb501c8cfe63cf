//! Bugs that can be planted, to prove that the tests that interrupt the program would notice them (tests/crash).
//!
//! They exist only in a build with `--cfg planted`; any other answers "no" while it is compiled. There, the environment
//! variable `MEMSNAP_PLANTED` names the bug.

/// What can be left out, or done in the wrong order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(planted), allow(dead_code, reason = "its name is looked at only where bugs are planted"))]
pub(crate) enum Bug {
    /// A new file of a store is named before its bytes are on the disk.
    NoFileSync,
    /// Names in a directory are not brought to the disk.
    NoDirSync,
    /// A target is not brought to the disk before its change counts as done.
    NoTargetSync,
    /// A target is changed without an intent.
    NoIntent,
    /// A snapshot appears before the pack that it names.
    SnapBeforePack,
    /// Stored pages are not checked against their digests.
    NoPageCheck,
    /// A persistent vector is not brought to the disk.
    NoVecSync,
    /// A failed fsync is tried again, and the second answer trusted.
    SyncAgain,
    /// What was written to a target is not read back.
    NoReadBack,
    /// A set appears before the snapshots that it names.
    SetBeforeParts,
    /// The right to write in a history is not waited for.
    NoLock,
    /// A file that is seen to be quiet is not flushed before.
    NoQuietFlush,
    /// Nobody looks for dirty pages at the end of a quiet window.
    NoQuietEnd,
    /// A file that has dirty pages counts as unchanged where its ctime is the same.
    NoDirtyLook,
    /// Extents of which it is not known where their bytes are count as shared where they look the same.
    DoubtfulIsShared,
    /// The change of several targets is recorded after the first of them was written.
    SetIntentLate,
}

/// Whether this bug is planted.
#[cfg(not(planted))]
pub(crate) const fn planted(_: Bug) -> bool {
    false
}

/// Whether this bug is planted.
#[cfg(planted)]
pub(crate) fn planted(bug: Bug) -> bool {
    static NAME: std::sync::LazyLock<Option<String>> =
        std::sync::LazyLock::new(|| std::env::var("MEMSNAP_PLANTED").ok());
    NAME.as_deref() == Some(&*format!("{bug:?}"))
}

/// Brings a file to the disk, by `sync`; without a bug, once: the kernel reports a failure once, and the pages
/// that it was about count as written then.
pub(crate) fn sync_once(left_out: Bug, sync: impl Fn() -> std::io::Result<()>) -> std::io::Result<()> {
    if planted(left_out) {
        return Ok(());
    }
    match sync() {
        Err(_) if planted(Bug::SyncAgain) => sync(),
        done => done,
    }
}
