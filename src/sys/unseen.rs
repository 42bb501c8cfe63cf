//! Processes that could not be inspected.

use std::collections::BTreeSet;

/// Processes that could not be inspected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unseen {
    /// Those that have a PID here.
    pub pids: BTreeSet<u32>,
    /// Whether a mount of /proc hides processes (hidepid), or /proc is not there.
    pub hidden: bool,
    /// Whether there may be processes without a PID here: this process is in a container.
    pub outside: bool,
}

impl Unseen {
    /// Where no process can be inspected.
    pub(super) fn all() -> Unseen {
        Unseen { hidden: true, ..Unseen::default() }
    }

    /// Whether all processes could be inspected.
    pub fn is_empty(&self) -> bool {
        *self == Unseen::default()
    }

    /// Whether there may be users of a file among those of this system or container. The first process of a system maps
    /// and opens no files of users, so it does not count.
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
