//! Sets: `set:ID` as an operand, and how they are shown.

use std::ffi::OsStr;
use std::path::Path;

use memsnap::Result;
use memsnap::ops::set::{SetEntry, set};
use memsnap::sys::id::now_ns;
use serde::Serialize;

use super::escape;
use super::json::{JsonPath, object};
use super::operands::exists;
use super::screen::Screen;
use super::units::{age, count};

/// What follows `set:` in an operand that names a set: the first digits of its id, or `latest`.
pub(crate) fn prefix(arg: &OsStr) -> Option<&str> {
    let prefix = arg.to_str()?.strip_prefix("set:")?;
    let is_id = prefix.len() >= 4 && prefix.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    ((is_id || prefix == "latest") && !exists(Path::new(arg))).then_some(prefix)
}

/// The set that `arg` names; `None` if it does not name one.
pub(crate) fn find(arg: &OsStr, store: Option<&Path>) -> Result<Option<SetEntry>> {
    prefix(arg).map(|prefix| set(prefix, store)).transpose()
}

/// The name of a set: `set:1a2b3c4d5e6f`.
pub(crate) fn name(set: &SetEntry) -> String {
    format!("set:{}", &set.id.to_string()[..12])
}

/// `set:1a2b3c4d5e6f  2 hours ago  3 files  12 MiB  observed  nightly`
pub(crate) fn line(set: &SetEntry, screen: &Screen) -> String {
    let len: u64 = set.members.iter().map(|member| member.len).sum();
    let files = count(set.members.len() as u64, "file");
    let directory = set.directory.as_ref().map_or(String::new(), |path| format!(" of {}", escape::path(path)));
    let message = if set.message.is_empty() { String::new() } else { format!("  {}", escape::text(&set.message)) };
    let age = age(now_ns(), set.time_ns);
    format!("{}  {age}  {files}{directory}  {}  {}{message}", name(set), screen.sizes.show(len), set.grade())
}

/// The set, its members, and what came and went.
pub(crate) fn show(set: &SetEntry, screen: &mut Screen) -> anyhow::Result<()> {
    let heading = line(set, screen);
    screen.line(&heading)?;
    for member in &set.members {
        let (path, len) = (escape::path(&member.path), screen.sizes.show(member.len));
        let id = &member.id.to_string()[..12];
        screen.line(&format!("  {path}@{}  {id}  {len}  {}", member.number, member.grade))?;
    }
    for (files, what) in [(&set.came, "new in the set"), (&set.went, "no longer in the set")] {
        for file in files {
            screen.line(&format!("  {}  {what}", escape::path(file)))?;
        }
    }
    set.faults.iter().for_each(|fault| screen.warn(&format!("{}: {fault}", name(set))));
    Ok(())
}

pub(crate) fn json(set: &SetEntry) -> impl Serialize {
    let paths = |files: &[std::path::PathBuf]| files.iter().map(|file| JsonPath::of(file)).collect::<Vec<_>>();
    let member = |member: &memsnap::ops::set::Member| {
        object! {
            #[serde(flatten)] path: JsonPath::of(&member.path),
            id: member.id.to_string(),
            number: member.number,
            len: member.len,
            grade: member.grade.to_string(),
            log: member.is_log,
        }
    };
    object! {
        schema: "memsnap.set.1",
        id: set.id.to_string(),
        time_ns: set.time_ns,
        directory: set.directory.as_ref().map(|path| path.to_string_lossy()),
        message: &set.message,
        host: &set.host,
        grade: set.grade().to_string(),
        members: set.members.iter().map(member).collect::<Vec<_>>(),
        came: paths(&set.came),
        went: paths(&set.went),
        faults: &set.faults,
    }
}
