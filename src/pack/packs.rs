//! Numbers of packs: in memory, runs name a pack by its number.

use std::collections::HashMap;
use std::sync::Arc;

use crate::page::Digest;

/// Distinct pack ids, by number.
#[derive(Clone, Debug, Default)]
pub struct Packs {
    ids: Vec<Digest>,
    places: HashMap<Digest, u32>,
}

/// A pack number that no pack has.
pub const NO_PACK: u32 = u32::MAX;

impl Packs {
    /// Returns the number of a pack; a new pack gets the next one.
    pub fn intern(&mut self, id: Digest) -> u32 {
        *self.places.entry(id).or_insert_with(|| {
            self.ids.push(id);
            self.ids.len() as u32 - 1
        })
    }

    /// Returns the numbers of packs.
    pub(super) fn intern_all(&mut self, ids: Vec<Digest>) -> Arc<[u32]> {
        ids.into_iter().map(|id| self.intern(id)).collect()
    }

    /// Returns the id of the pack with this number.
    pub fn id(&self, number: u32) -> Digest {
        self.ids[number as usize]
    }

    /// Returns all ids, by number.
    pub fn ids(&self) -> &[Digest] {
        &self.ids
    }
}
