//! Persistent vectors: a typed, resizable array in a file, whose commits are atomic and durable.
//!
//! After a crash at any moment the file holds the last commit, or the one that was being made: docs/persistent-vec.md
//! describes its bytes and proves that.
//!
//! | to | use |
//! |---|---|
//! | change it like a `Vec<T>`, and commit | [`PersistentVec`] |
//! | read it, or a file of the crate `persistence`, as a `[T]` | [`VecReader`] |
//! | read and change it without a type and without `unsafe` | [`ops::vec`](crate::ops::vec) |

mod commit;
mod content;
mod edits;
mod file;
#[cfg(test)]
mod fixture;
pub(crate) mod format;
mod front;
mod log;
mod persistence;
mod reader;
pub(crate) mod scalar;
mod source;
mod typed;
mod writer;

pub(crate) use commit::VecFileMut;
pub(crate) use content::Content;
pub(crate) use file::VecFile;
pub(crate) use format::{ELEMENTS, ElementType, is_vec};
pub(crate) use log::Edit;
pub(crate) use persistence::PersistenceFile;
pub use reader::VecReader;
pub(crate) use source::VecSource;
pub use typed::{Options, Plain};
pub use writer::PersistentVec;

/// Items that the tests and fuzzers of this crate use; not part of its interface.
#[doc(hidden)]
pub mod internals {
    pub use super::commit::VecFileMut;
    pub use super::content::Content;
    pub use super::file::VecFile;
    pub use super::format::ELEMENTS;
    pub use super::log::Edit;
    pub use super::source::VecSource;
}
