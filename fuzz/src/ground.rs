//! A store with one history, for decoders that read files; kept from one input to the next.

use std::path::PathBuf;
use std::time::Duration;

use memsnap::store::{History, Store};
use tempfile::TempDir;

/// A directory with a store in it. It goes with its thread; what a fuzzer that ends at once leaves, `fuzz/run` clears
/// away.
pub(super) struct Ground {
    dir: TempDir,
    pub(super) history: History,
}

thread_local! {
    static GROUND: Ground = {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let store = Store::open_or_create(&dir.path().join("store")).expect("a store can be made");
        let history = store.make_history(&dir.path().join("target")).expect("a history can be made");
        drop(history.write_lock(Duration::ZERO).expect("no other writer")); // now it has all that a history has
        Ground { dir, history }
    };
}

/// Calls `f` with the ground of this thread.
pub(super) fn with<T>(f: impl FnOnce(&Ground) -> T) -> T {
    GROUND.with(f)
}

impl Ground {
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file that is written to, never created again: that takes longer.
    pub(super) fn put(&self, path: &std::path::Path, bytes: &[u8]) {
        std::fs::write(path, bytes).expect("it can be written");
    }
}
