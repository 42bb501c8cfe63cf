//! Page-level history for big files that are changed in place: snapshot, diff, revert, undo, restore, verify, deltas.
//!
//! A *target* is a file known by its path, divided into *pages* of 4096 bytes. A *snapshot* is a point-in-time image of
//! it, of which only the pages that changed since the previous snapshot are stored. Snapshots are stored in a *store*,
//! a directory named `.memsnap` beside the target by default; memsnap-store(5) defines its format.
//!
//! ```
//! use memsnap::ops::{Operand, Quiet, diff, snap};
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
//! // Compare the latest snapshot with the file as it is now.
//! let file = Operand::new(path, None);
//! let found = diff::diff(&file, None, &diff::Options::default(), &Quiet)?;
//! assert!(!found.report().same);
//! assert!(found.pages().pages().eq([10]));
//! # Ok(())
//! # }
//! ```
//!
//! # Which type to use
//!
//! | you have | you want | use |
//! |---|---|---|
//! | a file that is changed in place | its history on disk | [`ops`]: a function for each verb of the command line |
//! | bytes: a file, a slice, zeros | an immutable copy | [`mem::Snapshot`] |
//! | a snapshot | to change the bytes, but not the snapshot | [`Snapshot::view`](mem::Snapshot::view), [`view_arc`](mem::Snapshot::view_arc) |
//! | a snapshot | to change it | [`Snapshot::view_mut`](mem::Snapshot::view_mut) |
//! | a view | to know what changed | [`View::dirty`](mem::View::dirty), [`dirty_pages`](mem::View::dirty_pages) |
//! | a view | to save and restore states | [`View::snap`](mem::View::snap), [`revert`](mem::View::revert), [`apply`](mem::View::apply) |
//! | parts of many files | one range of memory | [`Snapshot::compose`](mem::Snapshot::compose) |
//! | an array of plain values | it on disk, with atomic commits | [`vec::PersistentVec`] |
//! | a stored image | a view of it, and its changes stored | [`ops::memory`] |
//!
//! For migrating from `crumbles`, `memsnap` 0.1 or `persistence`, see docs/migration.md; docs/memory.md has
//! measurements.
//!
//! Tracking which pages of memory were written:
//!
//! ```
//! use memsnap::mem::{Options, Snapshot};
//!
//! # fn main() -> std::io::Result<()> {
//! let memory = Snapshot::zeroed(65536 * 65536)?; // 4 GiB of addresses, no memory yet
//! let mut view = memory.view_with(&Options::default().page_size(65536))?;
//! assert_eq!(view.dirty_pages().count(), 0);
//! view[24] = 42;
//! assert_eq!(view.dirty_pages().count(), 1);
//!
//! view.snap()?;
//! view[24] = 43;
//! view.revert();
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
//! drop(mut_view);
//! assert_eq!(&snapshot[..], b"Jello, Rorld!"); // exactly as long as it was made
//! # Ok(())
//! # }
//! ```
//!
//! A snapshot of a file is point-in-time: later writes to the file do not appear in it. A view with an
//! [`Arc`](std::sync::Arc) can be sent to other threads:
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
//! The current content of a view becomes a snapshot of its own, which shares all unchanged pages:
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
//! A persistent vector:
//!
//! ```
//! use memsnap::vec::{Options, PersistentVec};
//!
//! # #[allow(unsafe_code)]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let directory = tempfile::tempdir()?;
//! let path = directory.path().join("numbers.vec");
//! // SAFETY: no other program writes to this file while it is open.
//! let mut numbers = unsafe { PersistentVec::<u64>::create(&path, &Options::default()) }?;
//! numbers.extend(1..=1000)?;
//! numbers.commit()?; // durable and complete, whatever happens from here on
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
//! | module | what it holds | imports |
//! |---|---|---|
//! | [`page`] | pages, ranges, sets, digests: pure arithmetic | - |
//! | [`sys`] | the kernel: maps, leases, locks, holes, files that appear atomically | - |
//! | [`pack`] | the codecs of everything that is stored | `page` |
//! | [`capture`] | the scan of a live file, and its grade | `page`, `sys` |
//! | [`mem`] | memory with a history: snapshots, copy-on-write views, checkpoints | `page`, `sys` |
//! | [`mod@vec`] | persistent vectors: typed arrays in files | `mem`, `page`, `sys` |
//! | [`store`] | layout, names, images, records | `pack`, and from `capture` the trait `Base` |
//! | [`ops`] | one file for each verb: options in, a report out | all of these |
//!
//! Programs use [`ops`], and the types of other modules that it returns. The command line is part of the program, not
//! of the library, which uses no terminal, environment or exit codes, and prints nothing. Long operations report to an
//! [`ops::Progress`].
//!
//! # Notes
//!
//! * The message of an [`Error`] says what went wrong with which file; its [`Cause`] is the situation as data, by which
//!   a program can advise its users. [Notes](ops::Note) have one too.
//! * The grade in a report says whether an image is guaranteed to be consistent (point-in-time). [`ops::snap`] stores an
//!   image of any grade unless one is required.
//! * A lease, which proves a capture, is granted only if this process has the target open for writing nowhere else.
//! * Mapped reading needs a guard against SIGBUS for the whole process: the feature `program` has it as
//!   `program::guard::install`. Without it, files are read by `pread`. The library installs no signal handler.
//! * `flock` belongs to an open file: a lock that the calling process holds on another descriptor of the target blocks
//!   verbs that take one.
//! * The modification time of a file is never taken as proof that nothing changed.
//! * Leases, holes and what `/proc` reports need Linux so far; other Unix systems report that nothing is proven. On
//!   Windows there are only [`page`], [`pack`], [`mem`] and [`mod@vec`]: a snapshot of a file is read into memory, which
//!   pages were written is found by comparing them, and [`View::protect`](mem::View::protect) returns `Unsupported`.

#![cfg_attr(
    not(feature = "program"),
    allow(dead_code, unreachable_pub, unused_imports, reason = "internal modules are public with the feature program")
)]
#![cfg_attr(not(unix), allow(dead_code, unused_imports, reason = "parts are there for modules that are left out"))]

/// Declares modules that are public for the program, and for the tests, benches and fuzzers of this crate: with the
/// feature `program`, and without any promise of stability.
macro_rules! internal {
    ($($(#[$attribute:meta])* mod $name:ident;)*) => {$(
        #[cfg(feature = "program")]
        #[doc(hidden)]
        $(#[$attribute])*
        pub mod $name;
        #[cfg(not(feature = "program"))]
        $(#[$attribute])*
        mod $name;
    )*};
}
pub(crate) use internal;

internal! {
    #[cfg(unix)]
    mod capture;
    mod error;
    mod pack;
    mod page;
    #[cfg(unix)]
    mod store;
    mod sys;
}
pub mod mem;
#[cfg(unix)]
pub mod ops;
mod planted;
pub mod vec;

pub use error::{Cause, Error, FileInStore, HotLog, Log, Result};
pub use pack::{Compress, Grade, SnapshotKind};
pub use page::{Digest, PageRange, PageSet};
#[cfg(unix)]
pub use store::{History, Image, ImageReader, Ref, SnapName, Store};
#[cfg(all(unix, feature = "program"))]
#[doc(hidden)]
pub use sys::program;

/// The examples of the README and of the documents are compiled with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[doc = include_str!("../docs/memory.md")]
#[doc = include_str!("../docs/persistent-vec.md")]
pub struct Readme;
