use super::*;
use crate::error::Error;

fn digest(n: u8) -> Digest {
    Digest([n; 32])
}

fn change() -> SetChange {
    let member = |key: &[u8], from, to, file| SetChangeMember { key: key.to_vec(), from, to, file };
    let members = vec![
        member(b"a-wal", None, Some((digest(1), digest(2))), (0, 0)),
        member(b"sub/\xff", Some((digest(3), digest(4))), None, (5, 6)),
        member(b"a", Some((digest(7), digest(8))), Some((digest(9), digest(10))), (11, u64::MAX)),
    ];
    SetChange { id: digest(200), time_ns: -5, verb: "revert".into(), members }
}

#[test]
fn a_record_comes_back() {
    let change = change();
    assert_eq!(SetChange::decode(&change.encode(), &change.id).unwrap(), change);
    let back = change.reversed();
    assert_eq!((back.id, &back.verb[..]), (change.id, "rollback of revert"));
    assert_eq!((back.members[0].to, back.members[1].from), (None, None));
    assert_eq!(back.members[2].to, change.members[2].from);
    let again = SetChange { time_ns: change.time_ns, ..back.reversed() };
    assert_eq!(again, change);
    let intent = change.intent_of(b"a-wal").unwrap();
    assert_eq!((intent.from, intent.to, intent.set), (Digest::ZERO, digest(1), Some(change.id)));
    assert!(!intent.is_final(), "zeros are no file here, and not content that was not stored");
    assert_eq!(change.intent_of(b"b"), None);
}

#[test]
fn damaged_records_are_refused() {
    let (bytes, id) = (change().encode(), digest(200));
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(SetChange::decode(&flipped, &id), Err(Bad::Damaged(_))), "bit {bit}");
    }
    for len in 0..bytes.len() {
        assert!(SetChange::decode(&bytes[..len], &id).is_err(), "{len} bytes");
    }
    assert!(SetChange::decode(&bytes, &digest(201)).is_err(), "of another name");
    // Right by its check, and impossible.
    let mut twice = change();
    twice.members[1].key = b"a".to_vec();
    let mut nothing = change();
    nothing.members[0].to = None;
    let none = SetChange { members: Vec::new(), ..change() };
    for wrong in [twice, nothing, none] {
        assert!(matches!(SetChange::decode(&wrong.encode(), &id), Err(Bad::Damaged(_))));
    }
}

#[test]
fn records_of_newer_versions_are_not_damaged() {
    let mut bytes = change().encode();
    bytes[10] = 1;
    let end = bytes.len() - 32;
    let check = Digest::of(&bytes[..end]);
    bytes[end..].copy_from_slice(&check.0);
    assert!(matches!(SetChange::decode(&bytes, &digest(200)), Err(Bad::Version(_))));
}

#[test]
fn a_record_is_unfinished_then_the_last_then_garbage() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().canonicalize().unwrap();
    let store = Store::open_or_create(&home.join("store")).unwrap();
    std::fs::create_dir(home.join("sub")).unwrap();
    let change = change();
    let members: Vec<History> =
        change.members.iter().map(|m| store.make_history(&store.target(&m.key)).unwrap()).collect();
    let sets = members[0].set_changes();
    sets.begin(&change).unwrap();
    assert_eq!(sets.unfinished(&change.id).unwrap().as_ref(), Some(&change));
    for history in &members {
        let lock = history.write_lock(std::time::Duration::ZERO).unwrap();
        history.begin_change(&lock, &change.intent_of(history.key()).unwrap()).unwrap();
        assert_eq!(history.intent().unwrap(), change.intent_of(history.key()));
        assert_eq!(history.last_change().unwrap(), None);
    }
    sets.begin(&change.reversed()).unwrap();
    sets.end(&change.id).unwrap();
    sets.sweep(&store);
    assert_eq!(sets.unfinished(&change.id).unwrap(), None);
    for history in &members {
        // The end of the set counts, and its direction, before each member has noted it.
        let last = history.last_change().unwrap().unwrap();
        assert_eq!((history.intent().unwrap(), &last.verb[..]), (None, "rollback of revert"));
        let lock = history.write_lock(std::time::Duration::ZERO).unwrap();
        assert_eq!(history.settled_intent(&lock).unwrap(), None);
        assert_eq!(history.last_change().unwrap(), Some(last));
    }
    sets.sweep(&store);
    assert!(sets.finished(&change.id).is_some());
    for history in &members {
        let lock = history.write_lock(std::time::Duration::ZERO).unwrap();
        let single = Intent {
            set: None,
            from: digest(1),
            from_image: digest(1),
            to: digest(2),
            to_image: digest(2),
            ..change.intent_of(history.key()).unwrap()
        };
        history.begin_change(&lock, &single).unwrap();
        history.end_change(&lock, Some(&single)).unwrap();
    }
    sets.sweep(&store);
    assert!(sets.last(&change.id).unwrap().is_none(), "no member has it as its last change");
    std::fs::write(sets.path(&change.id, UNFINISHED), b"x").unwrap();
    assert!(matches!(sets.unfinished(&change.id), Err(Error::Damaged { .. })));
    assert!(sets.all().unwrap()[0].2.is_err());
}
