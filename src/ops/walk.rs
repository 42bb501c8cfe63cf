//! Walks over the runs of stored images.

use std::path::Path;

use crate::error::{Error, Result};
use crate::pack::{Bad, Run, RunStream, differing};
use crate::page::{PageRange, PageSet, pages_of};
use crate::store::Image;

/// An error of ours, or of a map being read.
pub(crate) enum Stop {
    /// One of ours.
    Ours(Error),
    /// One of a map.
    Bad(Bad),
}

impl From<Bad> for Stop {
    fn from(bad: Bad) -> Stop {
        Stop::Bad(bad)
    }
}

impl Stop {
    /// The error of the library; `path` is that of the map.
    pub(crate) fn of(self, path: &Path) -> Error {
        match self {
            Stop::Ours(e) => e,
            Stop::Bad(bad) => bad.of(path),
        }
    }
}

/// Calls `each` with the runs of `image` that lie in `wanted`, which ascends.
pub(crate) fn runs_in(
    image: &Image,
    wanted: impl Iterator<Item = PageRange>,
    mut each: impl FnMut(Run) -> Result<()>,
) -> Result<()> {
    let mut wanted = wanted.peekable();
    let Some(first) = wanted.peek() else { return Ok(()) };
    let mut runs = image.runs_from(first.start);
    let mut head: Option<Run> = None;
    for wanted in wanted {
        loop {
            let run = match head.take() {
                Some(run) => run,
                None => match runs.next_run().map_err(|e| e.of(image.path()))? {
                    Some(run) => run,
                    None => return Ok(()),
                },
            };
            let part = run.clip(&wanted);
            if !part.pages.is_empty() {
                each(part)?;
            }
            if run.pages.end >= wanted.end {
                head = Some(run);
                break;
            }
        }
    }
    Ok(())
}

/// The pages within the length of `to` that `from` holds otherwise.
pub(crate) fn pages_between(from: &Image, to: &Image) -> Result<PageSet> {
    let mut set = PageSet::new();
    let end = pages_of(to.len());
    differing(from.runs(), to.runs(), |step| {
        for page in step.pages.start..step.pages.end.min(end) {
            let n = page - step.pages.start;
            if from.packs().page_digest(step.a.advance(n)).map_err(Stop::Ours)?
                != from.packs().page_digest(step.b.advance(n)).map_err(Stop::Ours)?
            {
                set.insert(page);
            }
        }
        Ok(())
    })
    .map_err(|e: Stop| e.of(to.path()))?;
    Ok(set)
}
