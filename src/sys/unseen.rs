//! Processes that could not be looked at, and what that means for a count of those that were.

use std::collections::BTreeSet;

/// Processes that were out of sight.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unseen {
    /// Those that have a number here and could not be looked at.
    pub pids: BTreeSet<u32>,
    /// Whether a mount of /proc hides processes (hidepid), or /proc is not there.
    pub hidden: bool,
    /// Whether there may be processes without a number here: we are in a container.
    pub outside: bool,
}

impl Unseen {
    /// Where no process at all can be looked at.
    pub(super) fn all() -> Unseen {
        Unseen { hidden: true, ..Unseen::default() }
    }

    /// Whether all processes could be inspected.
    pub fn is_empty(&self) -> bool {
        *self == Unseen::default()
    }

    /// Whether there may be users of a file among those of this system, or container, that were out of sight. The first
    /// process of a system maps and opens no files of others, so it does not count.
    pub fn may_use_files(&self) -> bool {
        self.hidden || self.pids.iter().any(|pid| *pid != 1 || self.outside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_process_counts_in_a_container_only() {
        let unseen = |pids: &[u32], hidden, outside| Unseen { pids: pids.iter().copied().collect(), hidden, outside };
        assert!(unseen(&[], false, false).is_empty() && !unseen(&[1], false, false).is_empty());
        for (unseen, may) in [
            (unseen(&[], false, false), false),
            (unseen(&[1], false, false), false),
            (unseen(&[1, 7], false, false), true),
            (unseen(&[], true, false), true),
            (unseen(&[], false, true), false),
            (unseen(&[1], false, true), true),
        ] {
            assert_eq!(unseen.may_use_files(), may, "{unseen:?}");
        }
    }
}
