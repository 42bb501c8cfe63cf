//! The ways to name a snapshot, and which one is meant.

use std::fmt;

use super::room::{Room, SnapName};
use crate::error::{Error, Result};

/// What stands behind the `@` of `FILE@REF`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ref {
    /// The one with the highest number.
    Latest,
    /// By its number in the room.
    Number(u64),
    /// This many before the latest.
    Back(u64),
    /// The beginning of its id, at least four digits.
    Prefix(String),
    /// A name somebody gave it.
    Tag(String),
    /// No snapshot: the live file.
    Now,
}

impl fmt::Display for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ref::Latest => write!(f, "latest"),
            Ref::Number(n) => write!(f, "{n}"),
            Ref::Back(n) => write!(f, "-{n}"),
            Ref::Prefix(text) | Ref::Tag(text) => write!(f, "{text}"),
            Ref::Now => write!(f, "now"),
        }
    }
}

impl Room {
    /// The snapshot that `reference` names.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is none, or more than one id begins so; [`Error::Damaged`] for a broken tag.
    pub fn resolve(&self, reference: &Ref) -> Result<SnapName> {
        let all = self.snapshots()?;
        let missing = |what: String| Error::missing(what, format!("`memsnap log` lists what {} has", self.label()));
        let none = || missing(format!("{} has no snapshot @{reference}", self.target().display()));
        match reference {
            Ref::Latest => all.last().copied().ok_or_else(none),
            Ref::Back(n) => {
                let place = usize::try_from(*n).ok().and_then(|n| all.len().checked_sub(n + 1));
                place.map(|i| all[i]).ok_or_else(none)
            }
            Ref::Number(n) => all.iter().find(|s| s.number == *n).copied().ok_or_else(none),
            Ref::Tag(tag) => {
                let id = self.tagged(tag)?.ok_or_else(none)?;
                let gone = || missing(format!("tag {tag} names snapshot {id}, which is not there"));
                all.iter().find(|s| s.id == id).copied().ok_or_else(gone)
            }
            Ref::Prefix(prefix) => {
                let found: Vec<_> = all.iter().filter(|s| s.id.to_hex().starts_with(prefix)).collect();
                match found[..] {
                    [one] => Ok(*one),
                    [] => Err(none()),
                    _ => {
                        let ids: Vec<_> = found.iter().map(|s| format!("@{}", s.number)).collect();
                        Err(missing(format!("{prefix} begins the ids of several snapshots: {}", ids.join(", "))))
                    }
                }
            }
            Ref::Now => Err(Error::refused("@now is the live file, not a snapshot", "name a snapshot")),
        }
    }
}
