//! What there is of a target beside its content, and how much of that was read.

use crate::error::{At, Cause, Error, Result};
use crate::ops::input::Target;
use crate::pack::fits_time;
use crate::page::MAX_LEN;
use crate::store::ChangeMarker;
use crate::sys::open::{self, Stamp};
use crate::sys::xattr;

/// How much of a target was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Read {
    /// So many bytes, in whole groups; none for all of it.
    pub(crate) bytes: Option<u64>,
    /// Why; empty where nothing else was wanted.
    pub(crate) why: String,
}

/// What there is of a target beside its content.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) stamp: Stamp,
    pub(super) attrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The state of a target, where a snapshot can hold it.
pub(super) fn state_of(target: Target<'_>) -> Result<State> {
    let stamp = stamp_of(target)?;
    let mut attrs = xattr::list(target.file).at("reading the attributes of", target.path)?;
    attrs.retain(|(name, _)| !ChangeMarker::is_name(name));
    Ok(State { stamp, attrs })
}

/// The stamp of a target, where a snapshot can hold it.
fn stamp_of(target: Target<'_>) -> Result<Stamp> {
    let stamp = open::stamp(target.file, target.path)?;
    if stamp.len > MAX_LEN {
        let what =
            format!("{} is {} bytes long, and no image may be longer than {MAX_LEN}", target.path.display(), stamp.len);
        return Err(Error::refused(what, "cut it: the end of a file of that length can only be a hole"));
    }
    if !fits_time(stamp.mtime_ns) || !fits_time(stamp.atime_ns) {
        let what = format!("the times of {} are beyond what a snapshot can hold", target.path.display());
        return Err(Error::refused(what, Cause::OddTimes(target.path.into())));
    }
    Ok(stamp)
}
