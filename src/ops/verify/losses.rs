//! Which snapshots lose which pages by damaged packs.

use std::collections::{BTreeMap, BTreeSet};

use super::report::{Check, Fault};
use crate::error::Result;
use crate::ops::read::losses::Losses;
use crate::page::PageSet;
use crate::store::SnapName;

impl Check<'_> {
    /// A fault for every damaged pack, and the numbers of all snapshots that lose something.
    pub(super) fn losses(&self, names: &[SnapName], bad: &Losses) -> Result<(Vec<Fault>, BTreeSet<u64>)> {
        let mut costs: BTreeMap<u32, (Vec<u64>, PageSet)> = BTreeMap::new();
        if !bad.broken.is_empty() || !bad.pages.is_empty() {
            for name in names {
                let image = self.history.image(*name)?;
                for run in image.runs() {
                    for (pack, pages) in bad.of(&run.map_err(|e| e.of(image.path()))?) {
                        let (snapshots, set) = costs.entry(pack).or_default();
                        if snapshots.last() != Some(&name.number) {
                            snapshots.push(name.number);
                        }
                        set.insert_range(pages);
                    }
                }
            }
        }
        let hurt = costs.values().flat_map(|(snapshots, _)| snapshots.iter().copied()).collect();
        let faults = bad.broken.keys().chain(bad.pages.keys()).map(|pack| {
            let what = bad.broken.get(pack).cloned().unwrap_or_else(|| {
                let n = bad.pages.get(pack).map_or(0, PageSet::len);
                format!("{n} of its pages cannot be read or do not match their digest")
            });
            let (snapshots, set) = costs.remove(pack).unwrap_or_default();
            let fault = Fault::new(&self.history.packs().pack_path(*pack), what);
            Fault { snapshots, ranges: set.runs().collect(), ..fault }
        });
        Ok((faults.collect(), hurt))
    }
}
