//! Persistent vectors: a typed, resizable array in a file, whose commits are atomic and durable.
//!
//! The file always holds the last commit, whole, whatever happens at whatever moment: see docs/persistent-vec.md for
//! its bytes and for what is argued from them. [`VecFile`] and [`VecFileMut`] read and commit by offsets, with no map
//! and no type, and so with nothing that could be unsafe.

mod commit;
mod file;
#[cfg(test)]
mod fixture;
mod format;
mod log;
mod open;
mod persistence;
mod scalar;

pub use commit::VecFileMut;
pub use file::VecFile;
pub use format::{ELEMENTS, ElementType, Fault, Tag};
pub use log::Edit;
pub use open::{Content, ReadAt};
pub use persistence::{PersistenceFile, persistence_header_len};
pub use scalar::{Number, Scalar};
