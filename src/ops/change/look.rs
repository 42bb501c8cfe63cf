//! What a plan sees of a target: how it differs from a snapshot, and by what it is known that it still does.

use super::metadata::Metadata;
use super::plan::{Options, Summary};
use crate::error::Result;
use crate::ops::Progress;
use crate::ops::compare::{LiveComparison, compare_live};
use crate::ops::input::image::{LiveFile, StoredImage};
use crate::ops::revert::range;
use crate::ops::save::capture::CapturedImage;
use crate::page::{Digest, PageRange};
use crate::store::{History, Image, SnapName};

/// The name of `to`, if bringing what was taken to it would change nothing.
pub(crate) fn if_same(taken: &CapturedImage, to: &Image) -> Option<String> {
    taken.holds(to).then(|| format!("@{}", to.name.number))
}

/// What a plan saw of a target: while it is the same, the plan holds.
pub(crate) struct PlanBasis {
    /// The image digest.
    pub(crate) image: Digest,
    len: u64,
    /// None where it does not change.
    metadata: Option<Metadata>,
}

impl PlanBasis {
    /// Whether that was captured.
    pub(crate) fn is(&self, taken: &CapturedImage) -> bool {
        let same = self.metadata.as_ref().is_none_or(|metadata| *metadata == taken.metadata());
        same && (self.image, self.len) == (taken.image, taken.len)
    }
}

/// Compares the target with a snapshot, and returns what a revert to it writes.
pub(crate) fn look_at(
    history: &History,
    to: SnapName,
    range: Option<(u64, u64)>,
    options: &Options,
    progress: &dyn Progress,
) -> Result<(Summary, PlanBasis)> {
    let live = LiveFile::open(history.target())?;
    let stored = StoredImage { name: format!("@{}", to.number), history: history.clone(), image: history.image(to)? };
    let LiveComparison { set, image, .. } = compare_live(&live, &stored, &options.reading, progress, None)?;
    let target = live.target();
    let (len, set) = match range {
        None => (stored.image.len(), set.runs_within(PageRange::of_len(stored.image.len())).collect()),
        Some(range) => {
            let bytes = range::clip(range, live.len, stored.image.len())?;
            (live.len, range::differing_in(target, &stored.image, &bytes, &set)?)
        }
    };
    let mut changes = Summary::new(&live.path, ("now", live.len), (&stored.name, len), &set);
    let mut metadata = None;
    if range.is_none() {
        let now = Metadata::of(target)?;
        changes.metadata = now.changes(&Metadata::stored(stored.image.meta()), !changes.is_empty());
        metadata = Some(now);
    }
    Ok((changes, PlanBasis { image, len: live.len, metadata }))
}
