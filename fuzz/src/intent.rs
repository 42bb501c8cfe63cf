//! Records of changes: the first byte says whether to seal the others.

use std::time::Duration;

use super::{ground, seal};

/// A record is refused, or written again it is the same, byte for byte; so are intent and undo. After a change without
/// undo there is no undo.
pub fn check(input: &[u8]) {
    let Some((how, bytes)) = input.split_first() else { return };
    let mut bytes = bytes.to_vec();
    if how & 1 == 1
        && let Some(at) = bytes.len().checked_sub(32)
    {
        seal::hash(&mut bytes, 0..at, at);
    }
    ground::with(|ground| {
        let history = &ground.history;
        let (intent, undo) = (history.dir().join("intent"), history.dir().join("undo"));
        ground.put(&intent, &bytes);
        let read = |path| std::fs::read(path).expect("it can be read");
        if let Some(found) = history.intent().ok().flatten() {
            let writing = history.write_lock(Duration::ZERO).expect("no other writer");
            history.begin_change(&writing, &found).expect("it can be written");
            assert!(read(&intent) == bytes, "written again it is the same");
            history.end_change(&writing, Some(&found)).expect("it can be ended");
            assert!(history.intent().is_ok_and(|none| none.is_none()));
            if found.is_final() {
                assert!(!undo.exists() && history.last_change().is_ok_and(|none| none.is_none()));
            } else {
                assert!(read(&undo) == bytes);
                assert_eq!(history.last_change().expect("it was just read"), Some(found));
            }
        }
    });
}
