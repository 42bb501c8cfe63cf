//! The names in a history: each snapshot has one number, each number one snapshot, and no other file has such a name.

use std::collections::HashMap;

use super::report::{Check, Fault, Report};
use crate::error::{At, Result};
use crate::ops::Note;
use crate::page::Digest;
use crate::store::SnapName;
use crate::sys::ext::OsStrExt;
use crate::sys::no_follow;

impl Check<'_> {
    /// Names of snapshots that are none, and those that contradict each other.
    pub(super) fn names(&self, names: &[SnapName], report: &mut Report) -> Result<()> {
        let dir = self.history.dir();
        let mut odd = Vec::new();
        for entry in no_follow::read_dir(dir).at("listing", dir)? {
            let name = entry.at("listing", dir)?.file_name();
            if name.as_bytes().ends_with(b".snap") && SnapName::parse(&name).is_none() {
                odd.push(dir.join(name));
            }
        }
        odd.sort();
        report.faults.extend(odd.iter().map(|path| Fault::new(path, "it is not the name of a snapshot")));
        let mut ids: HashMap<Digest, u64> = HashMap::new();
        let (there, next) = self.history.listed_agreed()?;
        let gaps: Vec<_> = missing(&there, next).collect();
        if !gaps.is_empty() {
            let what = format!("{}: snapshots are missing, by number: {}", dir.display(), gaps.join(", "));
            report.notes.push(Note::warning(what));
        }
        let mut before = None;
        for name in names {
            let path = dir.join(name.file_name());
            let mut fault =
                |what| report.faults.push(Fault { snapshots: vec![name.number], ..Fault::new(&path, what) });
            if before.replace(name.number) == Some(name.number) {
                fault(format!("another snapshot also has the number {}", name.number));
            }
            if let Some(other) = ids.insert(name.id, name.number)
                && other != name.number
            {
                fault(format!("it is the same snapshot as @{other} under another number"));
            }
        }
        Ok(())
    }
}

/// The numbers that were given and that no snapshot has: `2`, `5..9`. `next` is the one recorded for the next. Nothing
/// of ours takes a snapshot away.
fn missing(names: &[SnapName], next: u64) -> impl Iterator<Item = String> {
    let numbers = || names.iter().map(|name| name.number);
    let before = std::iter::once(0).chain(numbers());
    before.zip(numbers().chain([next])).filter_map(|(before, number)| match number.saturating_sub(before) {
        0 | 1 => None,
        2 => Some(format!("{}", before + 1)),
        _ => Some(format!("{}..{number}", before + 1)),
    })
}
