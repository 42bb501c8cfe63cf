//! What must hold of every decoder, whatever bytes it is given: one module a target.
//!
//! Nothing gets past a checksum by chance. So most targets *seal* their input: they put the right checksums over the
//! changed bytes and then decode, as an attacker would make a file. The decoders stay as they are.
//! The tests of memsnap run the same checks over the corpora that are kept here.

pub mod delta;
pub mod digest_cache;
pub mod file_ref;
pub mod format;
mod ground;
pub mod intent;
pub mod map;
pub mod pack;
mod runs;
mod seal;
pub mod snapshot;
pub mod tags;
pub mod vec_header;

pub mod changed_list;
pub mod range;
pub mod words;
