//! Rendering of errors: message and hint as text, or one line of JSON.

use std::path::{Path, PathBuf};

use memsnap::Error;
use serde::Serialize;

use super::escape;
use super::exit::{Exit, Hinted};
use super::hints::{self, library};
use super::json::{self, JsonPath};

#[derive(Serialize)]
struct JsonError {
    schema: &'static str,
    error: String,
    hint: String,
    code: u8,
    #[serde(flatten)]
    path: Option<JsonPath>,
}

#[derive(Serialize)]
struct JsonWarning<'a> {
    schema: &'static str,
    warning: &'a str,
}

/// Message and hint, escaped, each on one line; the hint may be empty. Digests are abbreviated unless `verbose`.
pub(crate) fn text(error: &anyhow::Error, verbose: bool, store: Option<&Path>) -> (String, String) {
    let mut message = message(error);
    if let (Some(Error::Base { expected, found, .. }), false) = (library(error), verbose) {
        for id in [expected.to_string(), found.to_string()] {
            message = message.replace(&id, &id[..12]);
        }
    }
    let message = match path_of(error).filter(|path| path.to_str().is_none()) {
        None => escape::text(&message),
        // The library shows paths with replacement characters; here the exact bytes are shown, escaped.
        Some(path) => {
            let parts: Vec<_> = message.split(&path.display().to_string()).map(escape::text).collect();
            parts.join(&escape::path(path))
        }
    };
    (message, escape::text(&hints::of(error, store)))
}

/// An error as one line of JSON.
pub(crate) fn json(error: &anyhow::Error, store: Option<&Path>) -> String {
    let error = JsonError {
        schema: "memsnap.error.1",
        error: message(error),
        hint: hints::of(error, store),
        code: Exit::of(error).code(),
        path: path_of(error).map(JsonPath::of),
    };
    json::line(&error).unwrap_or_default()
}

/// A warning as one line of JSON.
pub(crate) fn warning_json(warning: &str) -> String {
    json::line(&JsonWarning { schema: "memsnap.warning.1", warning }).unwrap_or_default()
}

/// What clap reports as wrong, with exit code `wrong`.
pub(crate) fn usage(error: &clap::Error, wrong: Exit, json: bool, color: bool) -> String {
    let rendered = error.render();
    let plain = rendered.to_string();
    let unsafe_text = plain.contains(|c| c != '\n' && escape::acts(c));
    match json {
        true => usage_json(&plain, wrong),
        false if unsafe_text => plain.lines().map(|line| escape::text(line) + "\n").collect(),
        false if color => rendered.ansi().to_string(),
        false => plain,
    }
}

fn usage_json(plain: &str, wrong: Exit) -> String {
    let said = plain.lines().take_while(|line| !line.starts_with("Usage:")).map(str::trim);
    let (tips, said): (Vec<_>, Vec<_>) = said.partition(|line| line.starts_with("tip: "));
    let error = said.join(" ").trim().trim_start_matches("error: ").to_string();
    let hint = tips.first().map_or("see `memsnap --help`", |tip| &tip["tip: ".len()..]).into();
    let error = JsonError { schema: "memsnap.error.1", error, hint, code: wrong.code(), path: None };
    json::line(&error).unwrap_or_default()
}

/// What was being done, outermost first, down to the library's error, which includes its own causes.
fn message(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let part = without_number(&cause.to_string());
        if !text.is_empty() {
            text += ": ";
        }
        text += &part;
        if cause.is::<Error>() || cause.is::<Hinted>() {
            break;
        }
    }
    text
}

/// Without the ` (os error 13)` that the standard library adds.
pub(super) fn without_number(text: &str) -> String {
    match text.rfind(" (os error ") {
        Some(at) if text.ends_with(')') => text[..at].into(),
        _ => text.into(),
    }
}

fn path_of(error: &anyhow::Error) -> Option<&Path> {
    let path: &PathBuf = match library(error)? {
        Error::Io { path, .. }
        | Error::Reserve { path, .. }
        | Error::Thread { path, .. }
        | Error::Damaged { path, .. }
        | Error::Version { path, .. }
        | Error::Busy { path, .. }
        | Error::Changed { path, .. }
        | Error::Base { path, .. } => path,
        _ => return None,
    };
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;
    use memsnap::program::ext::OsStrExt;
    use std::ffi::OsStr;

    fn denied(path: &OsStr) -> anyhow::Error {
        let source = std::io::Error::from_raw_os_error(13);
        let error = Error::Io { doing: "opening", path: path.into(), source };
        Err::<(), _>(error).context("taking a snapshot of x").unwrap_err()
    }

    #[test]
    fn said_once_with_a_hint() {
        let (message, hint) = text(&denied(OsStr::new("x")), false, None);
        assert_eq!(message, "taking a snapshot of x: opening x: Permission denied");
        assert_eq!(hint, "run as a user who may access it");
        assert_eq!(
            json(&denied(OsStr::new("x")), None),
            "{\"schema\":\"memsnap.error.1\",\"error\":\"taking a snapshot of x: opening x: Permission denied\",\
             \"hint\":\"run as a user who may access it\",\"code\":2,\"path\":\"x\"}\n"
        );
    }

    #[test]
    fn paths_are_shown_as_they_are() {
        let (message, _) = text(&denied(OsStr::from_bytes(b"a\xff\x1b[1m\nb")), false, None);
        assert_eq!(message, "taking a snapshot of x: opening a\\xff\\u{1b}[1m\\u{a}b: Permission denied");
    }
}
