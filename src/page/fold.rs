//! The digest of an image in which some groups have changed.

use std::iter::Peekable;

use super::{Digest, ImageHasher};

/// Folds the groups of an image, some of which have new digests.
#[derive(Debug)]
pub struct Refold<'a> {
    hasher: ImageHasher,
    new: Peekable<std::slice::Iter<'a, (u64, Digest)>>,
}

impl<'a> Refold<'a> {
    /// A fold of an image of `len` bytes; `new` ascends.
    pub fn new(len: u64, new: &'a [(u64, Digest)]) -> Refold<'a> {
        Refold { hasher: ImageHasher::new(len), new: new.iter().peekable() }
    }

    /// Adds the old digest of a group; groups ascend.
    pub fn push(&mut self, group: u64, digest: &Digest) {
        while let Some((before, new)) = self.new.next_if(|(new, _)| *new < group) {
            self.hasher.push(*before, new);
        }
        let digest = self.new.next_if(|(new, _)| *new == group).map_or(digest, |(_, new)| new);
        self.hasher.push(group, digest);
    }

    /// The image digest.
    pub fn finish(mut self) -> Digest {
        self.new.for_each(|(group, digest)| self.hasher.push(*group, digest));
        self.hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_fold_with_other_groups_is_that_of_the_other_image(
            old in prop::collection::btree_map(0u64..40, any::<u8>(), 0..20),
            new in prop::collection::btree_map(0u64..40, any::<u8>(), 0..20),
        ) {
            // A seed of 0 stands for zeros.
            let digest = |seed: &u8| if *seed == 0 { Digest::ZERO } else { Digest::of(&[*seed]) };
            let changed: Vec<_> = new.iter().map(|(group, seed)| (*group, digest(seed))).collect();
            let mut fold = Refold::new(1 << 22, &changed);
            old.iter().for_each(|(group, seed)| fold.push(*group, &digest(seed)));
            let mut all = old.clone();
            all.extend(new.iter().map(|(group, seed)| (*group, *seed)));
            let mut plain = ImageHasher::new(1 << 22);
            all.iter().for_each(|(group, seed)| plain.push(*group, &digest(seed)));
            prop_assert_eq!(fold.finish(), plain.finish());
        }
    }
}
