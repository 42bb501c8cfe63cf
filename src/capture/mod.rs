//! Getting the bytes out of a live target: read once, on every core, in bounded memory, without disturbing other
//! programs, and graded by how far they are proven to be point-in-time.
//!
//! A target that shrinks or is replaced meanwhile is an error; one that grows is taken at its first length.

mod companion;
mod grade;
mod read;
mod scan;
mod watch;
mod window;

pub use companion::Companion;
pub(crate) use grade::{grade, settled};
pub use read::Io;
pub use scan::{Base, ScannedWindow, ScanOptions, KnownDigests, Leaf, NoBase, scan};
pub use watch::CaptureWatch;
pub(crate) use window::Rate;
