//! The digest cache. The first byte says whether to seal; then come the length of the image and patches: a byte that
//! says where, the number of a group, the number of bytes, the bytes. So a file of some pages is made by a few bytes.

use memsnap::capture::{Base, KnownDigests};
use memsnap::page::{Digest, GROUP_PAGES, GROUP64, ImageHasher, PageRange, groups_of};
use memsnap::store::DigestCache;

use super::{ground, seal};

/// Groups that patches go to; the cache has 1024 in a stretch.
const GROUPS: usize = 8;
const DIGESTS: usize = 4096;
const LEAVES: usize = DIGESTS + 1024 * 32;
const LEAF: usize = 17 * 32;
const HEAD: usize = 88;

/// A cache is rejected, or all that it says is consistent; no question makes it panic.
pub fn check(input: &[u8]) {
    let Some((how, rest)) = input.split_first() else { return };
    let Some((len, patches)) = rest.split_first_chunk::<8>() else { return };
    let mut bytes = file(u64::from_le_bytes(*len), patches);
    if how & 1 == 1 {
        seal(&mut bytes);
    }
    ground::with(|ground| {
        let path = ground.history.dir().join("digests");
        ground.put(&path, &bytes);
        let Some(cache) = DigestCache::open(&ground.history) else { return };
        let groups = groups_of(cache.len);
        if groups <= 1 << 16 {
            assert!(cache.fold_with(cache.len, &[]).is_ok_and(|image| image == cache.image), "it was proven before");
        }
        let windows = [0, 1008, 1024, groups.saturating_sub(1)];
        for first in windows {
            let known = cache.known(PageRange::new(first * GROUP_PAGES, (first + 32) * GROUP_PAGES));
            let past = first * GROUP64 >= cache.len;
            assert!(known.is_err() || past == matches!(known, Ok(KnownDigests::Nothing)));
        }
        for group in [0, 1, 2, 3, groups.saturating_sub(1), groups] {
            let _ = cache.pages(group); // an error removes the cache
        }
    });
}

fn file(len: u64, mut patches: &[u8]) -> Vec<u8> {
    let groups = groups_of(len).clamp(1, GROUPS as u64) as usize;
    let mut bytes = vec![0; LEAVES + groups * LEAF];
    bytes[..16].copy_from_slice(b"\x89mst\r\n\x1a\n\x01\0\0\0\0\0\0\0");
    bytes[80..HEAD].copy_from_slice(&len.to_le_bytes());
    while let [place, group, n, rest @ ..] = patches {
        let (new, more) = rest.split_at(rest.len().min(usize::from(*n)));
        patches = more;
        let group = usize::from(*group);
        match place % 4 {
            0 => patch(&mut bytes, group % 128, new),
            1 => patch(&mut bytes, DIGESTS + group * 32, new),
            2 => patch(&mut bytes, LEAVES + group % GROUPS * LEAF + group / GROUPS * 17, new),
            _ => bytes.resize(bytes.len().saturating_sub(group * 64), 0),
        }
    }
    bytes
}

fn patch(bytes: &mut [u8], at: usize, new: &[u8]) {
    let end = bytes.len().min(at + new.len());
    if let Some(place) = bytes.get_mut(at..end) {
        place.copy_from_slice(&new[..place.len()]);
    }
}

/// The leaves, the fold of all groups, the head.
fn seal(bytes: &mut [u8]) -> Option<()> {
    let len = seal::number(bytes, 80, 8)? as u64;
    let mut hasher = ImageHasher::new(len);
    for group in 0..groups_of(len).min(1024) {
        let at = DIGESTS + group as usize * 32;
        let digest = Digest::from_slice(bytes.get(at..at + 32)?);
        hasher.push(group, &digest);
        let leaf = LEAVES + group as usize * LEAF;
        if let Some(bytes) = bytes.get_mut(leaf..leaf + LEAF) {
            let (pages, check) = bytes.split_at_mut(LEAF - 32);
            let mut leaf = blake3::Hasher::new();
            leaf.update(&group.to_le_bytes()).update(&digest.0).update(pages);
            check.copy_from_slice(leaf.finalize().as_bytes());
        }
    }
    bytes.get_mut(48..80)?.copy_from_slice(&hasher.finish().0);
    seal::hash(bytes, 0..HEAD, HEAD)
}
