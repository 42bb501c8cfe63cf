//! Operands of verbs, with what is wrong or ambiguous about them.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use memsnap::ops::Operand;

use super::escape;
use super::screen::Screen;

/// Parses an operand of a verb that only reads: an ambiguous name is a warning. `whole` is the REF that names a file
/// with an `@` in its name as a whole: `now` for verbs that read live files, else `latest`.
pub(crate) fn reading(arg: &OsStr, at: Option<&str>, whole: &str, screen: &mut Screen) -> anyhow::Result<Operand> {
    let operand = Operand::parse(arg, at, &exists)?;
    warn_of_ambiguity(&operand, whole, screen);
    Ok(operand)
}

/// Parses `FILE@A..B` for a verb that only reads the file.
pub(crate) fn reading_pair(arg: &OsStr, screen: &mut Screen) -> anyhow::Result<Option<(Operand, Operand)>> {
    let pair = Operand::parse_pair(arg, &exists)?;
    if let Some((a, _)) = &pair {
        warn_of_ambiguity(a, "now", screen);
    }
    Ok(pair)
}

/// The two sides of a comparison: `A B`, `FILE@A..B`, or one file with `--at` for each side. `A` alone has no second
/// side.
pub(crate) fn two_sides(
    a: &OsStr,
    b: Option<&OsString>,
    at: &[String],
    screen: &mut Screen,
) -> anyhow::Result<(Operand, Option<Operand>)> {
    let (at_a, at_b) = (at.first().map(String::as_str), at.get(1).map(String::as_str));
    if b.is_none()
        && at.is_empty()
        && let Some((a, b)) = reading_pair(a, screen)?
    {
        return Ok((a, Some(b)));
    }
    // A file alone is compared with its latest snapshot.
    let alone = b.is_none() && at_b.is_none();
    let first = reading(a, at_a, if alone { "latest" } else { "now" }, screen)?;
    let second = match (b, at_b) {
        (Some(b), _) => Some(reading(b, at_b, "now", screen)?),
        (None, Some(at_b)) => Some(reading(a, Some(at_b), "now", screen)?),
        (None, None) => None,
    };
    Ok((first, second))
}

/// Parses an operand of a verb that writes to the file: an ambiguous name is an error.
pub(crate) fn writing(arg: &OsStr, at: Option<&str>) -> anyhow::Result<Operand> {
    let operand = Operand::parse(arg, at, &exists)?;
    if let (Some(whole), Some(at)) = (&operand.ambiguity, &operand.at) {
        let (whole, path) = (escape::shell(whole), escape::shell(&operand.path));
        return Err(memsnap::Error::refused(
            format!("`{whole}` is ambiguous: snapshot @{at} of {path}, or the file {whole}"),
            format!("use `{path} --at {at}` for the snapshot, `{whole} --at latest` for the file"),
        )
        .into());
    }
    Ok(operand)
}

/// Explains the error of a `verb` that takes no `@REF`, if `file` has one and does not exist.
pub(crate) fn without_ref(e: memsnap::Error, file: &Path, verb: &str) -> memsnap::Error {
    let is_missing = match &e {
        memsnap::Error::Missing { .. } => true,
        memsnap::Error::Io { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    };
    if !is_missing || exists(file) {
        return e;
    }
    match Operand::parse(file.as_os_str(), None, &exists) {
        Ok(Operand { path, at: Some(at), .. }) if exists(&path) => memsnap::Error::refused(
            format!("{verb} takes a file, not a snapshot of it: @{at}"),
            format!("name the file: {}", escape::shell(path)),
        ),
        _ => e,
    }
}

fn warn_of_ambiguity(operand: &Operand, now: &str, screen: &mut Screen) {
    if let (Some(whole), Some(at)) = (&operand.ambiguity, &operand.at) {
        let (whole, path) = (escape::path(whole), escape::path(&operand.path));
        screen.warn(&format!("using snapshot @{at} of {path}; for the file {whole}, add --at {now}"));
    }
}

/// Whether there is a file, or a link to nothing.
pub(crate) fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
