//! References to snapshots, and the rules for tags.

use std::fmt;
use std::str::FromStr;

use super::file_names::SnapName;
use super::history::History;
use crate::error::{Cause, Error, Result, acts};

/// Longest tag, in bytes: it is also a file name in the store.
const TAG_MAX: usize = 64;
/// Digits of an id.
const ID_DIGITS: usize = 64;
/// Fewest digits of an id in a reference.
const PREFIX_MIN: usize = 4;

/// A reference to a snapshot of a file, or to the file itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ref {
    /// `@latest`: the newest snapshot.
    Latest,
    /// `@3`: the snapshot with this number.
    Number(u64),
    /// `@-1`: the snapshot this many before the newest.
    Back(u64),
    /// `@1a2b`: the snapshot whose id begins with these digits, in lower case.
    Prefix(String),
    /// `@before-upgrade`: the snapshot with this tag.
    Tag(String),
    /// `@now`: the file as it is.
    Now,
}

impl FromStr for Ref {
    type Err = Error;

    /// Parses what follows the `@`.
    fn from_str(text: &str) -> Result<Ref> {
        match text {
            "latest" => return Ok(Ref::Latest),
            "now" => return Ok(Ref::Now),
            _ => {}
        }
        if let Some(back) = text.strip_prefix('-') {
            return number(back).map(Ref::Back).ok_or_else(|| no_ref(text, "a number must follow the -"));
        }
        if is_digits(text) && text.len() != ID_DIGITS {
            return match number(text) {
                Some(0) => Err(no_ref(text, "snapshots are numbered from 1")),
                Some(n) => Ok(Ref::Number(n)),
                None => Err(no_ref(text, "the number is too large")),
            };
        }
        if is_hex(text) {
            return match text.len() {
                ..PREFIX_MIN => Err(no_ref(text, "an id needs at least 4 digits")),
                PREFIX_MIN..=ID_DIGITS => Ok(Ref::Prefix(text.to_ascii_lowercase())),
                _ => Err(no_ref(text, "an id has 64 digits")),
            };
        }
        if text.starts_with(['~', '^']) {
            return Err(no_ref(text, "snapshots are counted back with -"));
        }
        if !text.starts_with(char::is_alphabetic) {
            return Err(no_ref(text, "it is not a number or an id, and a tag starts with a letter"));
        }
        tag_fault(text).map_or_else(|| Ok(Ref::Tag(text.into())), |why| Err(no_ref(text, why)))
    }
}

impl fmt::Display for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ref::Latest => f.write_str("latest"),
            Ref::Now => f.write_str("now"),
            Ref::Number(n) => write!(f, "{n}"),
            Ref::Back(n) => write!(f, "-{n}"),
            Ref::Prefix(text) | Ref::Tag(text) => f.write_str(text),
        }
    }
}

/// Checks that `tag` can be a tag.
#[doc(hidden)]
pub fn check_tag(tag: &str) -> Result<()> {
    let why = match tag.contains(acts) {
        true => Some("it has a control character or an invisible one"),
        false => known_tag_fault(tag),
    };
    match why {
        None => Ok(()),
        Some(why) => Err(Error::refused(
            format!("`{tag}` cannot be a tag: {why}"),
            "a tag starts with a letter, is not a hexadecimal number, has at most 64 bytes and none of @ : / ~ or ..",
        )),
    }
}

/// As [`tag_fault`], for tags in stores of all versions: tags made by 0.1 may contain invisible characters.
pub(super) fn known_tag_fault(tag: &str) -> Option<&'static str> {
    let reserved = ["latest", "now"].contains(&tag);
    reserved.then_some("it is a reserved name").or_else(|| tag_fault(tag))
}

fn tag_fault(tag: &str) -> Option<&'static str> {
    if !tag.starts_with(char::is_alphabetic) {
        Some("it does not start with a letter")
    } else if is_hex(tag) {
        Some("it looks like an id")
    } else if tag.len() > TAG_MAX {
        Some("it is longer than 64 bytes")
    } else if tag.contains(['@', ':', '/', '~']) || tag.contains("..") {
        Some("it has one of @ : / ~ or ..")
    } else if tag.contains(char::is_control) {
        Some("it has a control character")
    } else {
        None
    }
}

/// The error for a reference that names no snapshot.
pub(crate) fn no_ref(text: &str, why: &str) -> Error {
    Error::refused(format!("`@{text}` names no snapshot: {why}"), Cause::NoRef)
}

fn number(text: &str) -> Option<u64> {
    if is_digits(text) { text.parse().ok() } else { None }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit())
}

impl History {
    /// The snapshot `back` before the latest of those that a user asked for. Automatic snapshots have a number, but
    /// count here only if there are no others.
    fn asked(&self, all: &[SnapName], back: u64) -> Option<SnapName> {
        let back = usize::try_from(back).ok()?;
        // A snapshot that cannot be read counts: the verb that opens it reports the error.
        let is_automatic = |name: &SnapName| self.snapshot(*name).is_ok_and(|s| s.meta().kind.is_automatic());
        let mut asked = all.iter().rev().filter(|name| !is_automatic(name)).peekable();
        if asked.peek().is_none() {
            return all.iter().rev().nth(back).copied();
        }
        asked.nth(back).copied()
    }

    /// Returns the snapshot that `reference` names.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is none, or several ids begin with the prefix; [`Error::Damaged`] for a damaged
    /// tag.
    pub fn resolve(&self, reference: &Ref) -> Result<SnapName> {
        let all = self.snapshots()?;
        if all.is_empty() {
            let what = format!("{} has no snapshots yet", self.target().display());
            return Err(Error::missing(what, Cause::NoSnapshots(self.named.clone())));
        }
        let missing = |what: String| Error::missing(what, Cause::NoSnapshot(self.named.clone()));
        let none = || missing(format!("{} has no snapshot @{reference}", self.target().display()));
        match reference {
            Ref::Latest => self.asked(&all, 0).ok_or_else(none),
            Ref::Back(n) => self.asked(&all, *n).ok_or_else(none),
            Ref::Number(n) => all.iter().find(|s| s.number == *n).copied().ok_or_else(none),
            Ref::Tag(tag) => {
                let id = self.tagged(tag)?.ok_or_else(none)?;
                let gone = || missing(format!("tag {tag} names snapshot {id}, which does not exist"));
                all.iter().find(|s| s.id == id).copied().ok_or_else(gone)
            }
            Ref::Prefix(prefix) => {
                let found: Vec<_> = all.iter().filter(|s| s.id.to_string().starts_with(prefix)).collect();
                match found[..] {
                    [one] => Ok(*one),
                    [] => Err(none()),
                    _ => {
                        let ids: Vec<_> = found.iter().map(|s| format!("@{}", s.number)).collect();
                        Err(missing(format!("several snapshots have ids that begin with {prefix}: {}", ids.join(", "))))
                    }
                }
            }
            Ref::Now => Err(Error::refused("@now is the live file, not a snapshot", "name a snapshot")),
        }
    }
}
