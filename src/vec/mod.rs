//! Persistent vectors: a typed, resizable array in a file, whose commits are atomic and durable.
//!
//! The file always holds the last commit, whole, whatever happens at whatever moment: see docs/persistent-vec.md for
//! its bytes and for what is argued from them.
//!
//! | to | use |
//! |---|---|
//! | work on it as on a `Vec<T>`, and commit | [`PersistentVec`] |
//! | read it as a `[T]` | [`VecReader`] |
//! | read and commit by offsets, of any type; nothing of this is unsafe, as nothing is mapped | [`VecFile`], [`VecFileMut`] |
//! | read one that is part of something else, such as a stored image | [`Content`] |
//! | read a file of the crate `persistence` | [`PersistenceFile`] |

mod commit;
mod edits;
mod file;
#[cfg(test)]
mod fixture;
mod format;
mod front;
mod log;
mod open;
mod persistence;
mod reader;
mod scalar;
mod typed;
mod writer;

pub use commit::VecFileMut;
pub use file::VecFile;
pub(crate) use format::is_vec;
pub use format::{ELEMENTS, ElementType, Tag, tag};
pub use log::Edit;
pub use open::{Content, VecSource};
pub use persistence::{PersistenceFile, persistence_header_len};
pub use reader::VecReader;
pub use scalar::{Number, Scalar};
pub use typed::{Options, Plain};
pub use writer::PersistentVec;
