//! Leaves of a digest cache that are written to it only when the reading that found them counts: another reading of the
//! same target compares with the cache as it was.

use std::io::{self, Write};
use std::path::Path;

use super::spool::Spool;
use crate::capture::Leaf;
use crate::pack::ReadAt;
use crate::page::{Digest, GROUP_PAGES};

/// Bytes of one: group, its digest, those of its pages.
const BYTES: usize = 8 + 32 + GROUP_PAGES as usize * 32;
/// Leaves that are read at once.
const BATCH: u64 = 256;

/// Leaves, ascending.
#[derive(Debug)]
pub(super) struct DeferredLeaves {
    spool: Spool,
    count: u64,
}

impl DeferredLeaves {
    /// None. If they are many they go to an unnamed file in `dir`.
    pub(super) fn new(dir: &Path) -> DeferredLeaves {
        DeferredLeaves { spool: Spool::new(dir), count: 0 }
    }

    /// Adds some.
    pub(super) fn push(&mut self, leaves: &[Leaf]) -> io::Result<()> {
        for leaf in leaves {
            self.spool.write_all(&leaf.group.to_le_bytes())?;
            for digest in std::iter::once(&leaf.digest).chain(&leaf.pages) {
                self.spool.write_all(&digest.0)?;
            }
            self.count += 1;
        }
        Ok(())
    }

    /// Calls `write` with all of them, some at a time.
    pub(super) fn for_each_batch(&self, mut write: impl FnMut(&[Leaf]) -> io::Result<()>) -> io::Result<()> {
        let mut next = 0;
        while next < self.count {
            let n = BATCH.min(self.count - next);
            let mut bytes = vec![0; n as usize * BYTES];
            self.spool.read_at(&mut bytes, next * BYTES as u64)?;
            write(&bytes.chunks_exact(BYTES).map(decode).collect::<Vec<_>>())?;
            next += n;
        }
        Ok(())
    }
}

fn decode(bytes: &[u8]) -> Leaf {
    let (group, digests) = bytes.split_at(8);
    let mut digests = digests.chunks_exact(32).map(Digest::from_slice);
    let digest = digests.next().expect("the digest of the group");
    let group = u64::from_le_bytes(group.try_into().expect("8 bytes"));
    Leaf { group, digest, pages: std::array::from_fn(|_| digests.next().expect("a digest for each page")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let digest = |n: u64| Digest::of(&n.to_le_bytes());
        let leaf = |group: u64| Leaf {
            group,
            digest: digest(group),
            pages: std::array::from_fn(|page| digest(group * 16 + page as u64 + 1_000_000)),
        };
        for n in [0, 1, 255, 256, 257, 5000] {
            let all: Vec<Leaf> = (0..n).map(|i| leaf(i * 3)).collect();
            let mut deferred = DeferredLeaves::new(dir.path());
            all.chunks(7).for_each(|some| deferred.push(some).unwrap());
            let mut back: Vec<Leaf> = Vec::new();
            deferred
                .for_each_batch(|some| {
                    back.extend_from_slice(some);
                    Ok(())
                })
                .unwrap();
            let key = |leaf: &Leaf| (leaf.group, leaf.digest, leaf.pages);
            assert!(back.iter().map(key).eq(all.iter().map(key)), "{n}");
        }
    }
}
