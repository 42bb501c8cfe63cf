//! Runs, read to their end, checked, and written again.

use std::sync::Arc;

use memsnap::pack::{Bad, Packs, ReadAt, Run, RunStream, RunsReader, RunsWriter, Section};
use memsnap::page::{MAX_LEN, PAGE64};

/// All runs: ascending, none empty, within the longest image.
pub(super) fn all<R: ReadAt>(mut reader: RunsReader<R>) -> Result<Vec<Run>, Bad> {
    let (mut runs, mut at) = (Vec::<Run>::new(), 0);
    while let Some(run) = reader.next_run()? {
        assert!(run.pages.start >= at && !run.pages.is_empty(), "runs ascend");
        at = run.pages.end;
        assert!(at <= MAX_LEN / PAGE64, "runs are within the longest image");
        runs.push(run);
    }
    Ok(runs)
}

/// What [`all`] gives, with neighbours joined where they are one.
pub(super) fn joined(runs: &[Run]) -> Vec<Run> {
    let mut out: Vec<Run> = Vec::new();
    for run in runs {
        match out.last().and_then(|last| last.join(run)) {
            Some(both) => *out.last_mut().expect("one to join with") = both,
            None => out.push(*run),
        }
    }
    out
}

/// The runs from `page` on are what skipping to it leaves; but for the runs of the block that it is in.
pub(super) fn skipping<R: ReadAt>(mut reader: RunsReader<R>, runs: &[Run]) {
    let Some(middle) = runs.get(runs.len() / 2) else { return };
    reader.skip_to(middle.pages.start).expect("all blocks were read before");
    let rest = all(reader).expect("all blocks were read before");
    assert!(runs.ends_with(&rest) && rest.contains(middle), "skipping loses nothing behind");
}

/// Writes runs; `order` are the packs that have their numbers already. Gives the packs in the order of the file, too.
pub(super) fn write(runs: &[Run], order: &[u32]) -> (Section, Vec<u32>, Vec<u8>) {
    let mut writer = RunsWriter::continuing(Vec::new(), order.to_vec());
    runs.iter().for_each(|run| writer.push(*run).expect("memory takes all"));
    writer.finish().expect("memory takes all")
}

/// Runs that were written come back the same.
pub(super) fn again(runs: &[Run], order: &[u32]) {
    let (section, order, bytes) = write(runs, order);
    let back = all(RunsReader::new(bytes, 0, section, Arc::from(order))).expect("what was written can be read");
    assert_eq!(back, joined(runs), "runs come back as they were");
}

/// A number that no pack of `packs` has yet.
pub(super) fn fresh(packs: &mut Packs) -> u32 {
    packs.intern(memsnap::page::Digest::of(b"a pack that no input names"))
}
