//! Digests of pages, groups and images, and the test for zeros.

use std::fmt;

use super::{GROUP, PAGE};

/// A BLAKE3 hash. Zero bytes stand for a page or group of zeros, which is never hashed.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of a page or group of zeros.
    #[doc(hidden)]
    pub const ZERO: Digest = Digest([0; 32]);

    /// Whether it is [`Digest::ZERO`].
    #[doc(hidden)]
    pub fn is_zero(&self) -> bool {
        *self == Digest::ZERO
    }

    /// Hashes any bytes.
    #[doc(hidden)]
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(*blake3::hash(bytes).as_bytes())
    }

    /// The digest in the first 32 bytes of `bytes`.
    #[doc(hidden)]
    pub fn from_slice(bytes: &[u8]) -> Digest {
        let mut out = [0; 32];
        out.copy_from_slice(&bytes[..32]);
        Digest(out)
    }
}

/// 64 hexadecimal digits; with a precision, so many of them.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
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
        Digest(self.hasher.finalize().into())
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
        assert_eq!(d.to_string().parse::<Digest>().unwrap(), d);
        assert_eq!(format!("{d:.12}"), d.to_string()[..12]);
        assert!(d.to_string().to_uppercase().parse::<Digest>().is_err());
        assert!("12".parse::<Digest>().is_err());
    }
}
