//! Digests of pages, groups and images, and the test for zeros. Public BLAKE3 API only.

use std::fmt;

use super::{GROUP, PAGE};

/// A BLAKE3 hash. All zero bytes stand for "zeros": no page or group of zeros is ever hashed.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Stands for a page or group that holds only zeros (or is a hole).
    pub const ZERO: Digest = Digest([0; 32]);

    /// Whether this stands for zeros.
    pub fn is_zero(&self) -> bool {
        *self == Digest::ZERO
    }

    /// Hash of any bytes.
    #[doc(hidden)]
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(*blake3::hash(bytes).as_bytes())
    }

    /// From the first 32 bytes of `bytes`.
    ///
    /// # Panics
    /// When there are fewer.
    #[doc(hidden)]
    pub fn from_slice(bytes: &[u8]) -> Digest {
        let mut out = [0; 32];
        out.copy_from_slice(&bytes[..32]);
        Digest(out)
    }

    /// 64 hexadecimal digits.
    pub fn to_hex(&self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }

    /// From 64 hexadecimal digits in lower case.
    pub fn from_hex(hex: &str) -> Option<Digest> {
        if hex.bytes().any(|b| b.is_ascii_uppercase()) {
            return None;
        }
        blake3::Hash::from_hex(hex).ok().map(|h| Digest(*h.as_bytes()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl From<blake3::Hash> for Digest {
    fn from(hash: blake3::Hash) -> Digest {
        Digest(*hash.as_bytes())
    }
}

/// Whether all bytes are zero. Stops at the first 64-byte block that is not.
pub fn is_zero(bytes: &[u8]) -> bool {
    let (blocks, rest) = bytes.as_chunks::<64>();
    blocks.iter().all(|b| b.iter().fold(0, |a, x| a | x) == 0) && rest.iter().all(|&b| b == 0)
}

/// Digest of a page: of its 4096 bytes, or [`Digest::ZERO`] when all are zero.
pub fn page_digest(page: &[u8; PAGE]) -> Digest {
    if is_zero(page) { Digest::ZERO } else { Digest::of(page) }
}

/// Digest of a group: of its 65536 bytes, or [`Digest::ZERO`] when all are zero.
pub fn group_digest(group: &[u8; GROUP]) -> Digest {
    if is_zero(group) { Digest::ZERO } else { Digest::of(group) }
}

/// Folds group digests, in ascending order, into the digest of an image.
///
/// The image digest is BLAKE3 in its key derivation mode, with the context `memsnap image 1`, over the length
/// (8 bytes) and then, for each group that is not all zeros, its number (8 bytes) and its digest (32 bytes);
/// numbers little-endian. See memsnap-store(5), "Digests".
#[derive(Clone, Debug)]
pub struct ImageHasher {
    hasher: blake3::Hasher,
    next: u64,
}

impl ImageHasher {
    /// For an image of `len` bytes.
    pub fn new(len: u64) -> ImageHasher {
        let mut hasher = blake3::Hasher::new_derive_key("memsnap image 1");
        hasher.update(&len.to_le_bytes());
        ImageHasher { hasher, next: 0 }
    }

    /// Adds a group; one of zeros changes nothing.
    ///
    /// # Panics
    /// When groups do not come in ascending order.
    pub fn push(&mut self, group: u64, digest: &Digest) {
        assert!(group >= self.next, "groups are folded in ascending order");
        self.next = group + 1;
        if !digest.is_zero() {
            let mut entry = [0; 40];
            entry[..8].copy_from_slice(&group.to_le_bytes());
            entry[8..].copy_from_slice(&digest.0);
            self.hasher.update(&entry);
        }
    }

    /// The image digest.
    pub fn finish(&self) -> Digest {
        self.hasher.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_found_wherever_the_one_byte_is() {
        let mut bytes = vec![0u8; 200];
        assert!(is_zero(&bytes));
        for at in 0..bytes.len() {
            bytes[at] = 1;
            assert!(!is_zero(&bytes), "byte {at}");
            bytes[at] = 0;
        }
        assert!(is_zero(&[]));
    }

    #[test]
    fn image_digest_depends_on_length_and_place() {
        let d = Digest::of(b"group");
        let fold = |len, groups: &[u64]| {
            let mut h = ImageHasher::new(len);
            groups.iter().for_each(|g| h.push(*g, &d));
            h.finish()
        };
        assert_ne!(fold(1, &[]), fold(2, &[]));
        assert_ne!(fold(9, &[0]), fold(9, &[1]));
        let mut with_zero = ImageHasher::new(9);
        with_zero.push(0, &Digest::ZERO);
        with_zero.push(1, &d);
        assert_eq!(with_zero.finish(), fold(9, &[1]));
    }

    #[test]
    fn hex_is_strict() {
        let d = Digest::of(b"x");
        assert_eq!(Digest::from_hex(&d.to_hex()), Some(d));
        assert_eq!(Digest::from_hex(&d.to_hex().to_uppercase()), None);
        assert_eq!(Digest::from_hex("12"), None);
    }
}
