//! Codecs of packs, maps, snapshots and deltas. They work on bytes, through [`ReadAt`] and [`std::io::Write`]: no path,
//! no clock.
//!
//! memsnap-store(5) defines the layout, with the same names of fields.

mod block;
mod cursor;
mod delta;
mod delta_write;
mod directory;
mod frame;
mod kinds;
mod map;
mod overlay;
mod packs;
mod read;
mod runs;
mod snapshot;
pub(crate) mod wire;
mod write;

pub use block::BLOCK_ENTRIES;
pub use cursor::Cursor;
pub use delta::{
    DeltaHead, DeltaReader, DirectionReader, ImageId, MOST_HEAD, MOST_NAME, MOST_NEWER, OldPage, PageChange,
};
pub use delta_write::{DeltaWriter, DirectionWriter, invert};
pub use frame::{FRAME_PAGES, Frame, FrameCounts, FrameKind, decode_frame, encode_frame, encode_frame_against};
pub use kinds::{Compress, Grade, SnapshotKind};
pub use map::{MapFile, write_map};
pub use overlay::{Difference, Differences, Overlay};
pub use packs::{NO_PACK, Packs};
pub use read::{Block, PackReader};
pub use runs::{Run, RunStream, RunsReader, RunsWriter, Section, Source};
pub use snapshot::{Changed, Meta, SnapshotFile, SnapshotWriter, Stored, fits_time};
pub use wire::{Bad, Fields, FileKind, RangeReader, ReadAt, hash_file};
pub use write::{PackSummary, PackWriter};
