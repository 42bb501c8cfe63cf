//! Applying a delta to a view.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{Error, Result};
use crate::mem::{Root, View};
use crate::ops::delta::changed_pages::{ChangedPage, dirty_in, regroup};
use crate::ops::delta::{Delta, Input, Stat, open_delta, pages_in, stat_of};
use crate::ops::memory::{Origin, group_in};
use crate::pack::{Bad, PageChange};
use crate::page::{Digest, PAGE, PAGE64, PageNo};

/// New pages; none: zeros.
type Pages = Vec<(PageNo, Option<Box<[u8; PAGE]>>)>;

/// Brings `view`, which must hold the base of `delta` now, to its result. All of the delta is decoded to memory and
/// proven; then it is written.
///
/// # Errors
/// [`Error::Base`] when the view holds anything else, [`Error::Damaged`] when the delta is not whole or does not make
/// what it promises, [`Error::Refused`] when it changes the length, or `view` is none of `origin`. Then the view is as
/// it was.
pub fn apply<S: Root>(delta: Input, origin: &Origin, view: &mut View<S>) -> Result<Stat> {
    origin.check(view)?;
    let (delta, name) = open_delta(delta, &tempfile::env::temp_dir())?;
    let head = &delta.head;
    let present = regrouped(&dirty_in(view), origin.snapshot())?;
    let found = digest_with(origin, &present);
    if found != head.base.digest || head.base.len != origin.image.len {
        return Err(Error::base(Path::new("the view"), head.base.digest, found));
    }
    if head.result.len != head.base.len {
        return Err(Error::refused(
            format!("{} changes the length, and a view stays as long as its snapshot", name.display()),
            "apply it to a file, and open that",
        ));
    }
    let pages = decode(&delta, &name, view.as_slice())?;
    let mut result = present;
    result.extend(regrouped(&as_dirty(&pages), view.as_slice())?);
    if digest_with(origin, &result) != head.result.digest {
        return Err(Error::damaged(&name, "what it makes of its base is not the result that it promises"));
    }
    let stat = stat_of(&delta, &name)?;
    for (page, bytes) in &pages {
        let at = (*page * PAGE64) as usize;
        let end = view.len().min(at + PAGE);
        match bytes {
            Some(bytes) => view.as_mut_slice()[at..end].copy_from_slice(&bytes[..end - at]),
            None => view.as_mut_slice()[at..end].fill(0),
        }
    }
    Ok(stat)
}

/// The digests of the groups that `pages` lie in, in place of those of `bytes`.
fn regrouped(pages: &[ChangedPage<'_>], bytes: &[u8]) -> Result<BTreeMap<u64, Digest>> {
    Ok(regroup(pages, |group| Ok(group_in(bytes, group)))?.into_iter().collect())
}

fn digest_with(origin: &Origin, groups: &BTreeMap<u64, Digest>) -> Digest {
    let groups: Vec<_> = groups.iter().map(|(group, digest)| (*group, *digest)).collect();
    origin.digest_with(&groups)
}

/// The pages of the delta, each proven.
fn decode(delta: &Delta, name: &Path, bytes: &[u8]) -> Result<Pages> {
    // Runs within the result only; their number is checked before they are taken one by one.
    pages_in(delta, name)?;
    let mut old = |page: PageNo, out: &mut [u8; PAGE]| {
        let there = &bytes[bytes.len().min((page * PAGE64) as usize)..];
        let n = there.len().min(PAGE);
        out[..n].copy_from_slice(&there[..n]);
        Ok::<_, Bad>(())
    };
    let mut direction = delta.direction(false).map_err(|e| e.of(name))?;
    let mut pages = Pages::new();
    while let Some(item) = direction.next(&mut old).map_err(|e| e.of(name))? {
        match item {
            PageChange::Page(page, _, bytes) => pages.push((page, Some(Box::new(*bytes)))),
            PageChange::Zeros(run) => pages.extend((run.pages.start..run.pages.end).map(|page| (page, None))),
        }
    }
    Ok(pages)
}

/// As changed pages, to be hashed.
fn as_dirty(pages: &Pages) -> Vec<ChangedPage<'_>> {
    const ZEROS: &[u8; PAGE] = &[0; PAGE];
    let all = pages.iter().map(|(page, bytes)| (*page, bytes.as_deref().unwrap_or(ZEROS)));
    all.map(|(page, now)| ChangedPage { page, now, before: &[] }).collect()
}
