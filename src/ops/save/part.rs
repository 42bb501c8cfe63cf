//! Which part of a target is read: all of it, or what is not known to be as in its parent.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use super::capture::CaptureOptions;
use super::clone::Cloned;
use crate::capture::{Scope, differences};
use crate::page::{GROUP_PAGES, GROUP64, groups_of};
use crate::store::{History, Image, KeptClone};
use crate::sys::ext::MetadataExt;
use crate::sys::id;

/// Groups that are looked at where the caller says that they did not change: one in so many, and at least so many.
const ONE_IN: u64 = 100;
const LEAST: u64 = 64;
/// Most of them: 64 GiB.
const MOST: u64 = 1 << 20;

/// After how long all of a target is read again, whatever its clones share.
const REREAD: Duration = Duration::from_secs(7 * 86_400);

/// The part of a target that is read.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) scope: Scope,
    /// Why it is known that the rest is as in the parent.
    pub(super) why: String,
    /// What the caller says is all that changed: the rest of the scope is a sample, and must be as in the parent.
    pub(super) claimed: Option<Scope>,
}

/// The part of a target of `len` bytes that has to be read, or why all of it.
pub(super) fn of(
    history: &History,
    cloned: Option<&Cloned>,
    (how, changed): (&CaptureOptions<'_>, Option<&[Range<u64>]>),
    parent: &Image,
    len: u64,
) -> Result<Part, String> {
    match (changed, cloned) {
        (Some(ranges), _) => Ok(claimed(ranges, parent.len(), len)),
        (None, Some(cloned)) if how.keeps() => shared(history, how, cloned, parent, len),
        _ => Err(String::new()),
    }
}

fn claimed(ranges: &[Range<u64>], before: u64, len: u64) -> Part {
    let claimed = Scope::new(ranges.iter().cloned(), before, len);
    let groups = groups_of(len);
    let gaps = gaps(&claimed, groups);
    let others: u64 = gaps.iter().map(|gap| gap.end - gap.start).sum();
    let wanted = (groups / ONE_IN).clamp(LEAST, MOST).min(others);
    let bytes = |group: u64| group * GROUP64..(group + 1) * GROUP64;
    let ranges = claimed.ranges().iter().map(|pages| pages.offset()..pages.end_offset());
    let scope = Scope::new(ranges.chain(sample(&gaps, others, wanted).map(bytes)), len, len);
    let why = format!(
        "the caller says that of {groups} groups no more than {} changed; {wanted} of the others were looked at",
        groups - others
    );
    Part { scope, why, claimed: Some(claimed) }
}

/// The groups that `claimed` does not hold.
fn gaps(claimed: &Scope, groups: u64) -> Vec<Range<u64>> {
    let mut gaps = Vec::new();
    let mut at = 0;
    for pages in claimed.ranges() {
        gaps.push(at..pages.start / GROUP_PAGES);
        at = pages.end / GROUP_PAGES;
    }
    gaps.push(at..groups);
    gaps.retain(|gap| !gap.is_empty());
    gaps
}

/// So many different groups, at least, of the `all` in `gaps`, chosen at random.
fn sample(gaps: &[Range<u64>], all: u64, wanted: u64) -> impl Iterator<Item = u64> {
    let mut chosen = BTreeSet::new();
    if wanted * 2 >= all {
        chosen.extend(0..all);
    }
    while (chosen.len() as u64) < wanted {
        let random = u64::from_le_bytes(id::random16()[..8].try_into().unwrap_or_default());
        chosen.insert(random % all);
    }
    let (mut gaps, mut before) = (gaps.iter().peekable(), 0);
    chosen.into_iter().filter_map(move |n| {
        while let Some(gap) = gaps.next_if(|gap| before + (gap.end - gap.start) <= n) {
            before += gap.end - gap.start;
        }
        gaps.peek().map(|gap| gap.start + (n - before))
    })
}

/// What does not share its blocks with the kept clone.
fn shared(
    history: &History,
    how: &CaptureOptions<'_>,
    cloned: &Cloned,
    parent: &Image,
    len: u64,
) -> Result<Part, String> {
    let kept = KeptClone::open(history).ok_or("no clone was kept")?;
    if !kept.is_of(&parent.name.id, &parent.digest(), parent.len()) {
        return Err("the kept clone is not of the parent snapshot".into());
    }
    if how.reading.rescan {
        return Err("so it was asked for".into());
    }
    let age = id::now_ns().checked_sub(kept.read_ns()).and_then(|age| u64::try_from(age).ok());
    if age.is_none_or(|age| Duration::from_nanos(age) >= how.reading.reread.unwrap_or(REREAD)) {
        return Err("all of it is read from time to time".into());
    }
    let file = cloned.file.file();
    let found = differences(kept.file(), file, len.min(kept.size())).map_err(|e| e.to_string())?;
    let count = found.len();
    let scope = Scope::new(found, kept.size(), len);
    let data = file.metadata().map_or(len, |found| (found.blocks() * 512).min(len));
    // Reading in order costs less for each byte.
    if scope.bytes() / 4 * 3 > data && scope.bytes() > 1 << 20 {
        return Err(format!("most of it may have changed: {} bytes of {data} in {count} places", scope.bytes()));
    }
    let why = format!(
        "{} bytes were read, in {count} places; all else shares its blocks with the clone of @{}",
        scope.bytes(),
        parent.name.number
    );
    Ok(Part { scope, why, claimed: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_sample_is_of_what_is_not_claimed(
            ranges in prop::collection::vec((0u64..20_000_000, 0u64..9_000_000), 0..5), len in 0u64..30_000_000)
        {
            let ranges: Vec<_> = ranges.into_iter().map(|(start, len)| start..start + len).collect();
            let part = claimed(&ranges, len, len);
            let (groups, claimed) = (groups_of(len), part.claimed.unwrap());
            let of = |held: &Scope| (0..groups).filter(|group| held.holds(*group)).count() as u64;
            prop_assert_eq!(&claimed, &Scope::new(ranges, len, len));
            prop_assert!((0..groups).all(|group| !claimed.holds(group) || part.scope.holds(group)));
            let looked_at = of(&part.scope) - of(&claimed);
            let others = groups - of(&claimed);
            prop_assert!(looked_at >= others.min(64).max((groups / 100).min(others)), "{} of {}", looked_at, others);
            prop_assert!(looked_at <= 2 * 64.max(groups / 100));
        }
    }

    #[test]
    fn a_sample_of_the_longest_file_is_bounded() {
        let part = claimed(&[], crate::page::MAX_LEN, crate::page::MAX_LEN);
        assert_eq!(part.scope.bytes() / GROUP64, MOST);
        let all = claimed(&[0..u64::MAX], crate::page::MAX_LEN, crate::page::MAX_LEN);
        assert_eq!(all.scope.ranges().len(), 1);
    }
}
