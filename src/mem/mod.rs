//! Memory with a history: snapshots of bytes, copy-on-write views of them, dirty pages, nested checkpoints.
//!
//! | to | use |
//! |---|---|
//! | keep bytes as they are: of a file, a slice, zeros, a stored image | [`Snapshot`] |
//! | make one snapshot of parts of several files | [`Snapshot::compose`] |
//! | change bytes without changing the snapshot | [`Snapshot::view`], [`Snapshot::view_arc`] |
//! | change a snapshot | [`Snapshot::view_mut`] |
//! | know what changed | [`View::dirty`], [`View::dirty_pages`] |
//! | roll back, again and again | [`View::snap`], [`View::revert`], [`View::apply`] |
//!
//! Everything here is safe except two things, whose documentation states the contract: mapping a file that others could
//! change, and taking away access to memory. There is no signal handler, no thread and no mapping for each page.
//!
//! What can fail returns [`std::io::Error`], as most of it has no path to name.

mod arena;
mod bytes;
mod checkpoints;
mod compose;
mod dirty;
mod image;
mod options;
mod overlay;
mod root;
mod snapshot;
mod track;
mod view;

pub use crate::sys::region::Access;
pub use compose::Compose;
pub use dirty::DirtyPage;
pub use options::{Options, page_size};
pub use root::Root;
pub use snapshot::Snapshot;
pub use track::Tracking;
pub use view::{ArcView, CowView, MutView, View};
