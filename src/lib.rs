//! Page-level history for big files that are changed in place: snapshot, diff, revert, undo, restore, verify, deltas.
//!
//! A *target* is a file known by its path. It is looked at in *pages* of 4096 bytes. A *snapshot* is an image of it at
//! one moment, of which only the pages are stored that changed since the one before. Snapshots are kept in a *store*,
//! a folder named `.memsnap` beside the target unless another is chosen; its format is defined in memsnap-store(5).
//!
//! ```
//! use memsnap::ops::{Quiet, diff, operand::Operand, snap};
//! use std::os::unix::fs::FileExt;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("state.bin");
//! std::fs::write(&path, vec![7; 1 << 20])?;
//!
//! let first = snap::snap(&path, &snap::Options::default(), &Quiet)?;
//! assert_eq!((first.number, first.pages_changed), (1, 256));
//!
//! std::fs::File::options().write(true).open(&path)?.write_all_at(b"changed", 10 * 4096)?;
//!
//! // The latest snapshot against the file as it is now.
//! let file = Operand { path, at: None, doubt: None };
//! let mut ranges = Vec::new();
//! let found = diff::diff(&file, None, &diff::Options::default(), &Quiet, &mut |range| ranges.push(range))?;
//! assert!(!found.same);
//! assert_eq!((ranges[0].start, ranges[0].end), (10, 11));
//! # Ok(())
//! # }
//! ```
//!
//! # Rooms
//!
//! | module | what it holds | knows of |
//! |---|---|---|
//! | [`page`] | pages, ranges, sets, digests: pure arithmetic | nothing |
//! | [`sys`] | the kernel: maps, leases, locks, holes, files that appear whole | nothing |
//! | [`pack`] | the codecs of all that is stored | `page` |
//! | [`capture`] | getting the bytes out of a live file, and grading them | `page`, `sys` |
//! | [`mem`] | memory with a history: snapshots, copy-on-write views, checkpoints | `page`, `sys` |
//! | [`store`] | layout, names, images, records | `pack`, and `capture`'s view of a base |
//! | [`ops`] | one verb a file: plain options in, a plain report out | all of these |
//!
//! Programs use [`ops`], and the types of the others that it gives out. The command line stands on top, in the program;
//! the library knows no terminal, no environment, no exit codes, and prints nothing. Long work tells an
//! [`ops::Progress`] how far it is.
//!
//! # What to know
//!
//! * A report's grade says how far an image is proven to be of one moment. [`ops::snap`] keeps an image of any grade
//!   unless `strict` is set; `below` in the report says that it is less than was required.
//! * A lease, which proves a capture, needs that this process has the target open nowhere else for writing.
//! * Mapped reading needs a guard against SIGBUS, for the process as a whole: [`sys::map::guard_install`]. Without it
//!   files are read by `pread`. No other signal handler is installed.
//! * `flock` belongs to an open file: a lock that the calling process holds on another descriptor of the target is in
//!   the way of verbs that take one.
//! * The modification time of a file is never taken as proof that nothing changed.
//! * Linux only, so far, where leases, holes and names without replacing are concerned.

pub mod capture;
pub mod error;
pub mod mem;
pub mod ops;
pub mod pack;
pub mod page;
pub mod store;
pub mod sys;

pub use error::{At, Error, Result};

/// The examples of the README are compiled with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
