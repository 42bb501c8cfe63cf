//! Packs by number: runs name them by a small number instead of their id.

use std::collections::HashMap;

use crate::page::Digest;

/// Pack ids by number, each once.
#[derive(Clone, Debug, Default)]
pub struct Packs {
    ids: Vec<Digest>,
    places: HashMap<Digest, u32>,
}

/// A pack number that no pack has.
pub const NO_PACK: u32 = u32::MAX;

impl Packs {
    /// The number of a pack.
    pub fn intern(&mut self, id: Digest) -> u32 {
        *self.places.entry(id).or_insert_with(|| {
            self.ids.push(id);
            self.ids.len() as u32 - 1
        })
    }

    /// The pack of a number.
    ///
    /// # Panics
    /// When [`Packs::intern`] did not give it out.
    pub fn id(&self, number: u32) -> Digest {
        self.ids[number as usize]
    }

    /// All ids, by number.
    pub fn ids(&self) -> &[Digest] {
        &self.ids
    }
}
