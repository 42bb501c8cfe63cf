//! What a target is known to hold without being read: what its last sound reading found, if nothing of it has changed
//! since.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Target;
use crate::capture::{Companion, is_unchanged};
use crate::error::Result;
use crate::ops::Reading;
use crate::pack::Grade;
use crate::store::{Evidence, History, Image, Means};
use crate::sys::seen;

/// After how long a target is read again all the same, by what the last reading rests on.
const REREAD: [(Means, Duration); 2] =
    [(Means::Excluded, Duration::from_secs(7 * 86_400)), (Means::Quiet, Duration::from_secs(86_400))];

/// How much of a file was read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HowRead {
    /// All of it; why it could not be left out.
    All(String),
    /// Nothing; why it is known all the same.
    Nothing(String),
}

impl HowRead {
    /// One word for it.
    pub fn word(&self) -> &'static str {
        match self {
            HowRead::All(_) => "all",
            HowRead::Nothing(_) => "nothing",
        }
    }

    /// The reason.
    pub fn why(&self) -> &str {
        match self {
            HowRead::All(why) | HowRead::Nothing(why) => why,
        }
    }
}

/// The stored image that a target is known to hold.
#[derive(Clone, Debug)]
pub(crate) struct KnownImage {
    pub(crate) image: Image,
    pub(crate) evidence: Evidence,
}

impl KnownImage {
    /// How far it is proven that the target held it at one moment, and the reason: as far as that was when it was read.
    /// `together`: the files captured at the same moment.
    pub(crate) fn grade(&self, path: &Path, together: &[&Path]) -> (Grade, String) {
        if let Some(log) = Companion::others_beside(path, |log| together.contains(&log)).next() {
            return (Grade::Unproven, log.reason());
        }
        let since = format!("it was read for @{}, nor since (change time, dirty pages)", self.image.name.number);
        match self.evidence.means {
            Means::Excluded => (Grade::Proven, format!("no process wrote to it while {since}")),
            Means::Quiet => (Grade::Observed, format!("no change was seen while {since}")),
        }
    }

    /// Whether the target still holds it; otherwise why that is not known.
    ///
    /// # Errors
    /// When the target cannot be flushed to the disk.
    pub(crate) fn still(&self, history: &History, target: Target<'_>) -> Result<std::result::Result<(), String>> {
        is_unchanged((target.file, target.path), &dirs(history, target), &self.evidence.seen)
    }

    /// Why nothing need be read for it.
    pub(crate) fn why(&self) -> String {
        format!("no change was seen since it was read for @{} (change time, dirty pages)", self.image.name.number)
    }
}

/// Directories on the file system of a target, perhaps, where a file can be made.
pub(crate) fn dirs(history: &History, target: Target<'_>) -> [PathBuf; 2] {
    [target.path.parent().unwrap_or(target.path).into(), history.dir().into()]
}

/// The image that the target of `history` is known to hold; otherwise why it must be read.
///
/// # Errors
/// When the target cannot be flushed to the disk.
pub(crate) fn known_image(
    history: &History,
    target: Target<'_>,
    reading: &Reading,
) -> Result<std::result::Result<KnownImage, String>> {
    match of_evidence(history, reading) {
        Ok(known) => Ok(known.still(history, target)?.map(|()| known)),
        Err(why) => Ok(Err(why.into())),
    }
}

/// The image that the evidence names, if it is not too old.
fn of_evidence(history: &History, reading: &Reading) -> std::result::Result<KnownImage, &'static str> {
    if reading.rescan {
        return Err("so it was asked for");
    }
    let evidence = history.evidence().ok_or("no sound reading of it is recorded")?;
    let most = reading.reread.or(REREAD.iter().find(|(means, _)| *means == evidence.means).map(|(_, most)| *most));
    // A clock that goes backwards is that of another system, or of a container.
    let age = seen::since_start().and_then(|now| now.checked_sub(evidence.read));
    if age.zip(most).is_none_or(|(age, most)| age >= most) {
        return Err("it was read too long ago");
    }
    let names = history.snapshots().map_err(|_| "the history cannot be listed")?;
    let name = names.into_iter().find(|name| name.id == evidence.snapshot).ok_or("its snapshot is gone")?;
    let image = history.image(name).map_err(|_| "its snapshot is damaged")?;
    Ok(KnownImage { image, evidence })
}
