//! Files of this program, recognized by their first bytes.

use crate::sys::ext::FileExt;
use std::fs::File;
use std::path::Path;

use crate::error::Error;
use crate::pack::FileKind;
use crate::sys::cache;
use crate::vec::{self, ElementType, VecSource};

/// The largest folio that its first bytes may come in.
const BEGINNING: u64 = 2 << 20;

/// What a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// A persistent vector.
    Vec {
        /// What its elements are.
        kind: ElementType,
        /// How many there are.
        len: u64,
    },
    /// A persistent vector that cannot be used, and why. A process may be writing to it.
    BrokenVec(String),
    /// A persistent vector that a newer version made, and how that shows.
    NewerVec(String),
    /// A delta.
    Delta,
    /// A file of a store.
    Stored(&'static str),
}

const STORED: [(FileKind, &str); 5] = [
    (FileKind::Pack, "pack"),
    (FileKind::Map, "map"),
    (FileKind::Snapshot, "snapshot"),
    (FileKind::DigestCache, "digest cache"),
    (FileKind::Intent, "record of a running change"),
];

impl Format {
    /// The format of `file` of `len` bytes, by its first bytes; `None` for all other files, and on errors. Leaves the
    /// page cache as it was, because `stat` reports it.
    pub fn look(file: &File, len: u64) -> Option<Format> {
        let mut magic = [0; 8];
        cache::in_passing(file, 0, len.min(BEGINNING), || file.read_exact_at(&mut magic, 0)).ok()?;
        if vec::is_vec(&magic) {
            // Of a vector whose change was interrupted, the log behind all elements is read too.
            return cache::in_passing(file, 0, len, || Format::of_vec(file, len));
        }
        let is = |kind: FileKind| kind.head(0)[..8] == magic;
        if is(FileKind::Delta) {
            return Some(Format::Delta);
        }
        STORED.iter().find(|(kind, _)| is(*kind)).map(|(_, name)| Format::Stored(name))
    }

    fn of_vec(file: &File, len: u64) -> Option<Format> {
        match vec::Content::read(&VecSource::of_file(file, Path::new("")), len) {
            Ok(content) => Some(Format::Vec { kind: *content.element_type(), len: content.len() }),
            Err(Error::Damaged { what, .. }) => Some(Format::BrokenVec(what)),
            Err(Error::Version { what, .. }) => Some(Format::NewerVec(what)),
            Err(_) => None,
        }
    }
}
