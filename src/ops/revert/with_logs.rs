//! A database and its logs, which belong together: a revert brings back those that the snapshot has, and removes a hot
//! log that it does not have, which undo brings back.

use std::path::Path;

use crate::capture::Companion;
use crate::error::Result;
use crate::ops::change::several::{MemberGoal, Several};
use crate::ops::change::{Options, Request};
use crate::ops::restore::stored_logs;
use crate::store::{History, SnapName, Store};
use crate::sys::no_follow;

/// The revert of `history` and the logs beside its target to `wanted`; `None` if there is none, then and now.
pub(super) fn revert(
    history: &History,
    wanted: SnapName,
    named: &Path,
    options: &Options,
) -> Result<Option<Request<'static>>> {
    // With --force a log is left as it is; an interrupted change is ended first, whatever lies beside it.
    if options.force || history.intent()?.is_some() {
        return Ok(None);
    }
    let Some(mut members) = logs_of(history, wanted)? else { return Ok(None) };
    if members.is_empty() {
        return Ok(None);
    }
    members.push(MemberGoal { history: history.clone(), wanted: Some(wanted), base: None, always: true });
    let to = format!("@{}", wanted.number);
    Ok(Some(Request::new(Several::new("revert", named, to, members, options))))
}

/// The logs of a database as `wanted` has them; `None` if there is one that cannot be changed with it.
pub(super) fn logs_of(history: &History, wanted: SnapName) -> Result<Option<Vec<MemberGoal>>> {
    let target = history.target();
    let goal = |history, wanted| MemberGoal { history, wanted, base: None, always: false };
    let stored = stored_logs(history, &history.image(wanted)?)?;
    let mut members: Vec<_> = stored.into_iter().map(|log| goal(log.history, Some(log.image.name))).collect();
    let known: Vec<_> = members.iter().map(|member| member.history.target().to_path_buf()).collect();
    let store = Store::open(no_follow::parent(history.dir()))?;
    let owner = no_follow::metadata_if_any(target)?;
    for log in Companion::others_beside(target, |path| known.iter().any(|known| known == path)) {
        if owner.as_ref().is_some_and(|database| !log.belongs_to(database)) {
            return Ok(None); // it is refused
        }
        members.push(goal(store.history_to_be(&log.path)?, None));
    }
    Ok(Some(members))
}
