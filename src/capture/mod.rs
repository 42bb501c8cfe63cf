//! Reading a live target: once, on every core, in bounded memory, without disturbing other programs. The image gets a
//! grade: how far it is proven to be point-in-time.
//!
//! A target that shrinks or is replaced meanwhile is an error; of one that grows, the first length counts.

mod companion;
mod grade;
mod quiet;
mod read;
mod scan;
mod scope;
mod shared;
mod unchanged;
mod watch;
mod window;

pub use companion::Companion;
pub(crate) use grade::{grade, settled};
pub use quiet::{GRACE, NotQuiet, QuietWindow};
pub use read::Io;
pub use scan::{Base, KnownDigests, Leaf, NoBase, ScanOptions, ScannedWindow, scan};
pub use scope::Scope;
pub use shared::{NotCompared, differences};
pub(crate) use unchanged::{is_unchanged, remember};
pub(crate) use watch::{CaptureWatch, Patience, Watchable, Watched};
pub(crate) use window::Rate;
