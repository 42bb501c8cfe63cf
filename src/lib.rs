//! Page-level history for big files that are changed in place: snapshot, diff, revert, undo, restore, verify, deltas.
//!
//! A *target* is a file known by its path. It is looked at in *pages* of 4096 bytes. A *snapshot* is an image of it at
//! one moment, of which only the pages are stored that changed since the one before. Snapshots are kept in a *store*,
//! a directory named `.memsnap` beside the target unless another is chosen; its format is defined in memsnap-store(5).
//!
//! ```
//! use memsnap::ops::{Quiet, diff, operand::Operand, snap};
//! use std::os::unix::fs::FileExt;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let directory = tempfile::tempdir()?;
//! let path = directory.path().join("state.bin");
//! std::fs::write(&path, vec![7; 1 << 20])?;
//!
//! let first = snap::snap(&path, &snap::Options::default(), &Quiet)?;
//! assert_eq!((first.number, first.pages_changed), (1, 256));
//!
//! std::fs::File::options().write(true).open(&path)?.write_all_at(b"changed", 10 * 4096)?;
//!
//! // The latest snapshot against the file as it is now.
//! let file = Operand { path, at: None, ambiguity: None };
//! let mut ranges = Vec::new();
//! let found = diff::diff(&file, None, &diff::Options::default(), &Quiet, &mut |range| ranges.push(range))?;
//! assert!(!found.same);
//! assert_eq!((ranges[0].start, ranges[0].end), (10, 11));
//! # Ok(())
//! # }
//! ```
//!
//! # Which type when
//!
//! | you have | you want | use |
//! |---|---|---|
//! | a file that is changed in place | its history on disk | [`ops`]: one module a verb, as on the command line |
//! | bytes: a file, a slice, zeros | them to stay as they are | [`mem::Snapshot`] |
//! | a snapshot | to change the bytes, and not the snapshot | [`Snapshot::view`](mem::Snapshot::view), [`view_arc`](mem::Snapshot::view_arc) |
//! | a snapshot | to change it | [`Snapshot::view_mut`](mem::Snapshot::view_mut) |
//! | a view | to know what changed | [`View::dirty`](mem::View::dirty), [`dirty_pages`](mem::View::dirty_pages) |
//! | a view | to go back, often | [`View::snap`](mem::View::snap), [`revert`](mem::View::revert), [`apply`](mem::View::apply) |
//! | parts of many files | one range of memory | [`Snapshot::compose`](mem::Snapshot::compose) |
//! | an array of plain values | it on disk, each commit whole | [`mem::vec::PersistentVec`] |
//! | a stored image | a view of it, and its changes stored | [`ops::memory`] |
//!
//! Who comes from `crumbles`, `memsnap` 0.1 or `persistence` finds each of their calls in docs/migration.md. What all
//! of it costs is in docs/memory.md.
//!
//! Memory that knows which of its pages were written:
//!
//! ```
//! use memsnap::mem::{Options, Snapshot};
//!
//! # fn main() -> std::io::Result<()> {
//! let memory = Snapshot::zeroed(65536 * 65536)?; // 4 GiB of addresses, no memory yet
//! let mut view = memory.view_with(&Options { page_size: Some(65536), ..Options::default() })?;
//! assert_eq!(view.dirty_pages().count(), 0);
//! view[24] = 42;
//! assert_eq!(view.dirty_pages().count(), 1);
//!
//! view.snap()?;
//! view[24] = 43;
//! view.revert()?;
//! assert_eq!(view[24], 42);
//! # Ok(())
//! # }
//! ```
//!
//! Views do not change their snapshot, except mutable ones:
//!
//! ```
//! use memsnap::mem::Snapshot;
//!
//! # fn main() -> std::io::Result<()> {
//! let mut snapshot = Snapshot::from_slice(b"Hello, World!")?;
//! let mut cow_view = snapshot.view()?;
//! cow_view[0] = b'h';
//! assert_eq!(&cow_view[..5], b"hello");
//! assert_eq!(&snapshot[..5], b"Hello"); // a snapshot can be read like a slice
//! drop(cow_view);
//!
//! let mut mut_view = snapshot.view_mut()?;
//! mut_view[0] = b'J';
//! mut_view[7] = b'R';
//! mut_view.finish();
//! assert_eq!(&snapshot[..], b"Jello, Rorld!"); // exactly as long as it was made
//! # Ok(())
//! # }
//! ```
//!
//! A snapshot of a file is one: what is written to the file later does not show. A view with an [`Arc`](std::sync::Arc)
//! can go to other threads:
//!
//! ```
//! use memsnap::mem::Snapshot;
//! use std::sync::Arc;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let directory = tempfile::tempdir()?;
//! let path = directory.path().join("example.txt");
//! std::fs::write(&path, "Hello, File!")?;
//! let snapshot = Arc::new(Snapshot::open(&path)?);
//! std::fs::write(&path, "overwritten")?;
//!
//! let view = snapshot.view_arc()?;
//! let thread = std::thread::spawn(move || view[..12] == *b"Hello, File!");
//! assert!(thread.join().unwrap());
//! # Ok(())
//! # }
//! ```
//!
//! What a view has now becomes a snapshot of its own, which shares all that did not change:
//!
//! ```
//! use memsnap::mem::Snapshot;
//!
//! # fn main() -> std::io::Result<()> {
//! let mut snapshot1 = Snapshot::from_slice(b"Original")?;
//! let mut view1 = snapshot1.view_mut()?;
//! view1[0] = b'M';
//! let snapshot2 = view1.take_snapshot()?;
//! view1[1] = b'X';
//! assert_eq!(&snapshot2[..], b"Mriginal");
//! assert_eq!(&view1[..], b"MXiginal");
//! # Ok(())
//! # }
//! ```
//!
//! A vector in a file:
//!
//! ```
//! use memsnap::mem::vec::{Options, PersistentVec};
//!
//! # #[allow(unsafe_code)]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let directory = tempfile::tempdir()?;
//! let path = directory.path().join("numbers.vec");
//! // SAFETY: nobody else writes to this file while it is open.
//! let mut numbers = unsafe { PersistentVec::<u64>::create(&path, &Options::default()) }?;
//! numbers.extend(1..=1000)?;
//! numbers.commit()?; // durable, and whole, whatever happens from here on
//! numbers[0] = 7;
//! drop(numbers); // not committed
//!
//! // SAFETY: as above.
//! let numbers = unsafe { PersistentVec::<u64>::open(&path, &Options::default()) }?;
//! assert_eq!((numbers.len(), numbers[0], numbers[999]), (1000, 1, 1000));
//! # Ok(())
//! # }
//! ```
//!
//! # Modules
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
//! * Mapped reading needs a guard against SIGBUS, for the process as a whole: the feature `program` has it as
//!   `program::guard::install`. Without it files are read by `pread`. The library installs no signal handler.
//! * `flock` belongs to an open file: a lock that the calling process holds on another descriptor of the target is in
//!   the way of verbs that take one.
//! * The modification time of a file is never taken as proof that nothing changed.
//! * Leases, holes and what `/proc` reports are Linux only, so far; on other systems of the Unix family the answer is that
//!   nothing is proven. On Windows there are only [`page`] and [`pack`].

#![cfg_attr(not(unix), allow(dead_code, unused_imports, reason = "parts are there for modules that are left out"))]

#[cfg(unix)]
pub mod capture;
pub mod error;
#[cfg(unix)]
pub mod mem;
#[cfg(unix)]
pub mod ops;
pub mod pack;
pub mod page;
mod planted;
#[cfg(unix)]
pub mod store;
#[cfg(unix)]
pub mod sys;
#[cfg(not(unix))]
#[path = "sys/windows.rs"]
pub mod sys;

pub use error::{At, Error, Result};
#[cfg(all(unix, feature = "program"))]
#[doc(hidden)]
pub use sys::program;

/// The examples of the README are compiled with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
