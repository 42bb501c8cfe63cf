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
        let room = &ground.room;
        let (intent, undo) = (room.dir().join("intent"), room.dir().join("undo"));
        ground.put(&intent, &bytes);
        let read = |path| std::fs::read(path).expect("it can be read");
        if let Some(found) = room.intent().ok().flatten() {
            let writing = room.write(Duration::ZERO).expect("nobody else writes");
            room.begin_change(&writing, &found).expect("it can be written");
            assert!(read(&intent) == bytes, "written again it is the same");
            room.end_change(&writing, Some(&found)).expect("it can be ended");
            assert!(room.intent().is_ok_and(|none| none.is_none()));
            if found.is_final() {
                assert!(!undo.exists() && room.last_change().is_ok_and(|none| none.is_none()));
            } else {
                assert!(read(&undo) == bytes);
                assert_eq!(room.last_change().expect("it was just read"), Some(found));
            }
        }
    });
}
