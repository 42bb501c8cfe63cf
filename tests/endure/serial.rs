//! Whether the result of concurrent processes is that of some serial order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use memsnap::ops::{Operand, Quiet, restore};
use memsnap::store::Ref;

use super::case::{Case, PAGE, Ran};

const PAGES: usize = 8;

/// Something that was done, and how it ended.
pub(crate) struct Act {
    pub(crate) target: &'static str,
    /// The stamp that it was to write.
    pub(crate) written: Option<u64>,
    pub(crate) ran: Ran,
}

impl Act {
    /// The snapshot that was acknowledged: number and id.
    pub(crate) fn snapshot(&self) -> Option<(u64, String)> {
        let said = self.said("memsnap.snap.1")?;
        Some((said["number"].as_u64()?, said["id"].as_str()?.into()))
    }

    /// The change that was acknowledged: the numbers of the snapshots from which it came and to which it led.
    fn change(&self) -> Option<(u64, u64)> {
        let said = ["edit", "revert", "undo"].iter().find_map(|verb| self.said(&format!("memsnap.{verb}.1")))?;
        let number = |name: &str| said[name].as_str()?.strip_prefix('@')?.parse().ok();
        said["done"].as_bool()?.then(|| Some((number("from")?, number("to")?))).flatten()
    }

    fn said(&self, schema: &str) -> Option<serde_json::Value> {
        if self.ran.code != Some(0) {
            return None;
        }
        self.ran.json().into_iter().find(|said| said["schema"] == schema)
    }
}

/// All bytes of an image: one number, again and again.
pub(crate) fn image(stamp: u64) -> Vec<u8> {
    stamp.to_le_bytes().repeat(PAGES * PAGE / 8)
}

/// The number of which an image consists; none when it is a mixture.
pub(crate) fn stamp_of(bytes: &[u8]) -> Option<u64> {
    let stamp = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    (bytes == image(stamp)).then_some(stamp)
}

/// Compares the history of a target, which began as 0 and was then changed to `first`, with what was acknowledged.
pub(crate) fn check(case: &Case, target: &str, first: u64, acts: &[&Act]) {
    let entries = case.ok(&format!("--store store --json log {target}")).json();
    let named: Vec<(u64, &str)> =
        entries.iter().map(|e| (e["number"].as_u64().unwrap(), e["id"].as_str().unwrap())).collect();
    let numbers: Vec<u64> = named.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "{target}: numbers have gaps, or come twice");
    for (number, id) in acts.iter().filter_map(|act| act.snapshot()) {
        assert_eq!(named[number as usize - 1], (number, id.as_str()), "{target}: an acknowledged snapshot is lost");
    }
    let written: BTreeSet<u64> = acts.iter().filter_map(|act| act.written).chain([0, first]).collect();
    let mut stamps = BTreeMap::new();
    for number in numbers {
        let stamp = stamp_of(&stored(case, target, number));
        assert!(stamp.is_some_and(|stamp| written.contains(&stamp)), "{target}@{number} is torn: {stamp:?}");
        stamps.insert(number, stamp.unwrap());
    }
    let last = stamp_of(&case.read(target)).expect("the target is a mixture");
    let changes: Vec<_> = acts.iter().filter_map(|act| act.change()).collect();
    for act in acts.iter().filter(|act| act.change().is_some()) {
        let (_, to) = act.change().unwrap();
        assert!(act.written.is_none_or(|stamp| stamp == stamps[&to]), "{target}@{to}: {:?}", act.ran);
    }
    let steps: Vec<_> = changes.iter().map(|(from, to)| (stamps[from], stamps[to])).collect();
    assert!(is_one_path(first, last, &steps), "{target}: no order of {steps:?} leads from {first} to {last}");
}

/// Whether all steps can be taken once each, one after the other, from `first` to `last`: as many must come in as go
/// out wherever the path neither begins nor ends, and all must hang together (Euler).
fn is_one_path(first: u64, last: u64, steps: &[(u64, u64)]) -> bool {
    let mut balance: BTreeMap<u64, i64> = BTreeMap::new();
    *balance.entry(first).or_default() -= 1;
    *balance.entry(last).or_default() += 1;
    for (from, to) in steps {
        *balance.entry(*from).or_default() += 1;
        *balance.entry(*to).or_default() -= 1;
    }
    let mut reached = BTreeSet::from([first]);
    while let Some((from, to)) = steps.iter().find(|(a, b)| reached.contains(a) != reached.contains(b)) {
        reached.extend([*from, *to]);
    }
    balance.values().all(|n| *n == 0) && steps.iter().all(|(from, _)| reached.contains(from))
}

fn stored(case: &Case, target: &str, number: u64) -> Vec<u8> {
    let what = Operand::new(case.path(target), Ref::Number(number));
    let options = restore::Options::default().store(case.path("store"));
    let mut out = Vec::new();
    restore::restore(&what, restore::Out::Stream(&mut out), &options, &Quiet).unwrap();
    out
}

/// Nothing half done lies in the store.
pub(crate) fn no_leftovers(store: &Path) {
    for entry in std::fs::read_dir(store).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        assert!(!name.contains("tmp") && name != "intent", "left: {}", path.display());
        if path.is_dir() {
            no_leftovers(&path);
        } else if name == "lock" {
            assert_eq!(entry.metadata().unwrap().len(), 0, "{} says that a writer was killed", path.display());
        }
    }
}

#[test]
fn only_paths_are_paths() {
    assert!(is_one_path(1, 1, &[]) && !is_one_path(1, 2, &[]));
    assert!(is_one_path(1, 3, &[(2, 3), (1, 2)]) && is_one_path(1, 1, &[(1, 2), (2, 1), (1, 3), (3, 1)]));
    // Two that both began at the same state: one was lost. A circle that hangs nowhere.
    assert!(!is_one_path(1, 3, &[(1, 2), (1, 3)]) && !is_one_path(1, 2, &[(1, 2), (5, 6), (6, 5)]));
    assert_eq!(stamp_of(&[image(1), image(2)].concat()), None);
}
