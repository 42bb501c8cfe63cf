//! The runs of a part of an image, and what lies past the end of the one before it.

use super::take::Part;
use crate::pack::{Run, Source};
use crate::page::PageRange;

/// Adds a run, joined to the last where it follows it.
pub(super) fn push_run(runs: &mut Vec<Run>, run: Run) {
    match runs.last_mut().and_then(|last| last.join(&run).map(|joined| (last, joined))) {
        Some((last, joined)) => *last = joined,
        None => runs.push(run),
    }
}

/// The runs of a part, and those of zeros past the parent's end: there the parent's map may say anything.
pub(super) fn with_grown(part: &Part, parent_pages: u64, end: u64) -> Vec<Run> {
    let from = part.window.start.max(parent_pages);
    let to = part.window.end.min(end);
    if from >= to {
        return part.runs.clone();
    }
    let mut runs = Vec::new();
    let mut at = from;
    let fill = |runs: &mut Vec<Run>, at: u64, stop: u64| {
        for hole in &part.holes {
            let hole = hole.intersect(&PageRange { start: at, end: stop.max(at) });
            if !hole.is_empty() {
                push_run(runs, Run { pages: hole, source: Source::Hole });
            }
        }
    };
    for run in &part.runs {
        if run.pages.start > at {
            fill(&mut runs, at, run.pages.start.min(to));
        }
        push_run(&mut runs, *run);
        at = at.max(run.pages.end);
    }
    fill(&mut runs, at, to);
    zero_gaps(runs, from, to)
}

/// Fills what no run says anything of, from page `from` to `to`, with zeros.
fn zero_gaps(runs: Vec<Run>, from: u64, to: u64) -> Vec<Run> {
    let mut out = Vec::new();
    let mut at = from;
    for run in runs {
        if run.pages.start > at {
            push_run(&mut out, Run { pages: PageRange::new(at, run.pages.start), source: Source::Zero });
        }
        at = at.max(run.pages.end);
        push_run(&mut out, run);
    }
    if at < to {
        push_run(&mut out, Run { pages: PageRange::new(at, to), source: Source::Zero });
    }
    out
}
