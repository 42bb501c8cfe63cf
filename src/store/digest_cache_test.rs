//! A truncated cache.

use super::super::DigestCacheUpdate;
use super::*;
use crate::page::ImageHasher;
use crate::store::Store;

/// A cache of an image of two stretches, of which only the first group holds anything.
fn cache() -> (tempfile::TempDir, History, u64) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_or_create(&dir.path().join("store")).unwrap();
    let history = store.make_history(&dir.path().canonicalize().unwrap().join("f")).unwrap();
    let len = 2 * STRETCH * GROUP64;
    let leaf = Leaf { group: 0, digest: Digest::of(b"group"), pages: [Digest::of(b"page"); 16] };
    let mut hasher = ImageHasher::new(len);
    hasher.push(leaf.group, &leaf.digest);
    let mut update = DigestCacheUpdate::new(&history, None);
    update.put(&[leaf]);
    update.finish(&Digest::of(b"snapshot"), &hasher.finish(), len);
    (dir, history, len)
}

#[test]
fn a_cache_is_read_to_its_end() {
    let (_dir, history, len) = cache();
    let cache = DigestCache::open(&history).unwrap();
    assert_eq!(cache.fold_with(len, &[]).unwrap(), cache.image);
}

/// The fold does not change when only zeros are cut off, but reading them would fail the verb.
#[test]
fn a_truncated_cache_is_not_used() {
    let (_dir, history, _) = cache();
    let file = std::fs::OpenOptions::new().write(true).open(history.dir().join(NAME)).unwrap();
    let whole = file.metadata().unwrap().len();
    for cut in [whole - 1, whole - LEAF as u64, stretch_at(STRETCH) + 5, stretch_at(STRETCH), leaf_at(0) + LEAF as u64]
    {
        file.set_len(cut).unwrap();
        assert!(DigestCache::open(&history).is_none(), "cut to {cut}");
    }
    file.set_len(whole).unwrap();
    assert!(DigestCache::open(&history).is_some());
}
