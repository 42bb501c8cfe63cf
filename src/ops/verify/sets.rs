//! The sets of a store: each is what its name says, and each snapshot that it names is there.

use std::collections::HashSet;

use super::report::{Fault, Report};
use crate::error::Result;
use crate::page::Digest;
use crate::store::Store;

/// Adds the faults of the sets to the report.
pub(super) fn check(store: &Store, report: &mut Report) -> Result<()> {
    for (path, _, change) in store.set_changes().all()? {
        report.files += 1;
        report.faults.extend(change.err().map(|e| Fault::of(&e, &path)));
    }
    let ids = store.set_ids()?;
    if ids.is_empty() {
        return Ok(());
    }
    let mut there: HashSet<Digest> = HashSet::new();
    for history in store.histories()?.0 {
        there.extend(history.snapshots()?.into_iter().map(|name| name.id));
    }
    for id in ids {
        report.files += 1;
        let path = store.set_path(&id);
        match store.set(&id) {
            Err(e) => report.faults.push(Fault::of(&e, &path)),
            Ok(set) => {
                let gone = set.members.iter().filter(|member| !there.contains(&member.snapshot)).count();
                if gone > 0 {
                    let what = format!("snapshots that it names are not in the store: {gone}");
                    report.faults.push(Fault::new(&path, what));
                }
            }
        }
    }
    Ok(())
}
