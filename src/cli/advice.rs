//! What to do next after a usage error, or where a file is gone: by what was meant.

use std::io::ErrorKind as Io;
use std::path::Path;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use memsnap::Error;
use memsnap::ops::log::{Options, log};

use super::escape;

/// Verbs of other programs, and what does here what they do there.
const KNOWN: [(&[&str], &str); 14] = [
    (&["list", "ls", "history", "snapshots", "ll"], "`memsnap log FILE` lists the snapshots of FILE"),
    (
        &["commit", "save", "snapshot", "backup", "create", "add", "init"],
        "`memsnap snap FILE` takes a snapshot of FILE",
    ),
    (&["tag"], "`memsnap snap --tag TAG FILE` takes a snapshot with a tag"),
    (&["checkout", "export", "extract"], "`memsnap restore FILE@REF -o OUT` writes a snapshot to another file"),
    (&["reset", "rollback", "switch"], "`memsnap revert FILE@REF` brings FILE back to a snapshot, in place"),
    (&["status", "changes", "compare", "cmp"], "`memsnap diff FILE` shows what changed since the latest snapshot"),
    (&["rm", "remove", "delete", "forget", "prune", "drop", "gc"], "no verb removes a snapshot"),
    (&["check", "fsck", "scrub"], "`memsnap verify FILE` checks all snapshots of FILE"),
    (&["repair"], "`memsnap verify --repair FILE` repairs what can be repaired"),
    (&["show", "cat", "dump", "hexdump", "xxd"], "`memsnap view FILE@REF` shows the bytes of a snapshot"),
    (&["patch", "receive", "import"], "`memsnap apply FILE DELTA` applies a delta to FILE"),
    (&["send", "push"], "`memsnap delta make FILE@A..B -o DELTA` writes a delta for another machine"),
    (&["mv", "move", "rename"], "`memsnap adopt OLD NEW` continues the history of OLD with NEW"),
    (&["flock"], "`memsnap lock FILE COMMAND` runs a command while it holds a lock"),
];

/// Says in `error` what was meant, where that is known.
pub(crate) fn advise(error: &mut clap::Error) {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    let usage = error.get(ContextKind::Usage).map(ToString::to_string).unwrap_or_default();
    let tip = match error.kind() {
        ErrorKind::InvalidSubcommand if usage.contains("memsnap [OPTIONS] <VERB>") => {
            let verb = context(ContextKind::InvalidSubcommand);
            KNOWN.iter().find(|(verbs, _)| verbs.contains(&&*verb)).map(|(_, tip)| (*tip).to_string())
        }
        ErrorKind::UnknownArgument
            if ["restore ", "delta make ", "delta invert "].iter().any(|v| usage.contains(v)) =>
        {
            let word = context(ContextKind::InvalidArg);
            (!word.starts_with('-'))
                .then(|| format!("the file to be written is named with -o: `-o {}`", escape::shell(&word)))
        }
        ErrorKind::UnknownArgument if back(&context(ContextKind::InvalidArg)) => {
            let word = context(ContextKind::InvalidArg);
            Some(format!("snapshots are counted back with @: `FILE@{word}`"))
        }
        _ => None,
    };
    if let Some(tip) = tip {
        error.remove(ContextKind::SuggestedSubcommand);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(tip)]));
    }
}

/// Whether it is `-1`, as a snapshot is named after the `@`.
fn back(word: &str) -> bool {
    word.strip_prefix('-').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// How a file that is gone comes back, where the error is that it is gone and there are snapshots of it.
pub(crate) fn of_gone(error: &Error, store: Option<&Path>) -> Option<String> {
    let Error::Io { path, source, .. } = error else { return None };
    if source.kind() != Io::NotFound || path.exists() {
        return None;
    }
    let options = Options { store: store.map(Path::to_path_buf), ..Options::default() };
    let kept = log(Some(path), &options).ok()?.iter().any(|history| !history.snapshots.is_empty());
    let mut latest = path.clone().into_os_string();
    latest.push("@latest");
    let store = store.map(|dir| format!(" --store {}", escape::shell(dir))).unwrap_or_default();
    let restore = format!("memsnap restore{store} {} -o {}", escape::shell(latest), escape::shell(path));
    kept.then(|| format!("the file is gone, but its snapshots are not: `{restore}`"))
}
