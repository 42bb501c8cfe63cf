//! Tips for usage errors, by what was probably meant.

use std::path::Path;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::cli::escape;

/// Verbs of other programs, and the equivalent here.
const KNOWN: [(&[&str], &str); 14] = [
    (&["list", "ls", "history", "snapshots", "ll"], "`memsnap log FILE` lists the snapshots of FILE"),
    (
        &["commit", "save", "snapshot", "backup", "create", "add", "init"],
        "`memsnap snap FILE` takes a snapshot of FILE",
    ),
    (&["tag"], "`memsnap snap --tag TAG FILE` takes a snapshot with a tag"),
    (&["checkout", "export", "extract"], "`memsnap restore FILE@REF -o OUT` writes a snapshot to another file"),
    (&["reset", "rollback", "switch"], "`memsnap revert FILE@REF` restores a snapshot of FILE in place"),
    (&["status", "changes", "compare", "cmp"], "`memsnap diff FILE` shows what changed since the latest snapshot"),
    (&["rm", "remove", "delete", "forget", "prune", "drop", "gc"], "there is no verb that removes a snapshot"),
    (&["check", "fsck", "scrub"], "`memsnap verify FILE` checks all snapshots of FILE"),
    (&["repair"], "`memsnap verify --repair FILE` repairs what can be repaired"),
    (&["show", "cat", "dump", "hexdump", "xxd"], "`memsnap view FILE@REF` shows the bytes of a snapshot"),
    (&["patch", "receive", "import"], "`memsnap apply FILE DELTA` applies a delta to FILE"),
    (&["send", "push"], "`memsnap delta make FILE@A..B -o DELTA` writes a delta for another machine"),
    (&["mv", "move", "rename"], "`memsnap adopt OLD NEW` moves the history of OLD to NEW"),
    (&["flock"], "`memsnap lock FILE COMMAND` runs a command while FILE is locked"),
];

/// As [`KNOWN`], for `memsnap vec`.
const VEC: [(&[&str], &str); 6] = [
    (&["append", "add", "extend", "insert"], "`memsnap vec push FILE VALUE` appends elements"),
    (&["list", "ls", "show", "cat", "print", "view"], "`memsnap vec dump FILE` prints all elements"),
    (&["new", "init", "make"], "`memsnap vec create FILE --type TYPE` creates a vector"),
    (&["shift", "take"], "`memsnap vec pop --front FILE` removes the first element"),
    (&["count", "length", "size"], "`memsnap vec len FILE` prints the number of elements"),
    (&["info"], "`memsnap vec stat FILE` shows type, length and state"),
];

/// As [`KNOWN`], for `memsnap delta`.
const DELTA: [(&[&str], &str); 4] = [
    (&["apply", "patch"], "`memsnap apply FILE DELTA` applies a delta to FILE"),
    (&["create", "new", "diff"], "`memsnap delta make A B -o DELTA` makes a delta"),
    (&["show", "info", "list", "view"], "`memsnap delta stat DELTA` describes a delta"),
    (&["reverse", "revert", "undo"], "`memsnap delta invert DELTA -o OUT` reverses a delta"),
];

/// Replaces clap's suggestion in `error` by what was probably meant, and removes one that cannot help.
pub(crate) fn advise(error: &mut clap::Error) {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    let usage = error.get(ContextKind::Usage).map(ToString::to_string).unwrap_or_default();
    let tip = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let known: &[_] = match () {
                () if usage.contains("memsnap [OPTIONS] <VERB>") => &KNOWN,
                () if usage.contains("memsnap vec [OPTIONS] <VERB>") => &VEC,
                () if usage.contains("memsnap delta [OPTIONS] <VERB>") => &DELTA,
                () => &[],
            };
            let verb = context(ContextKind::InvalidSubcommand);
            known.iter().find(|(verbs, _)| verbs.contains(&&*verb)).map(|(_, tip)| (*tip).to_string())
        }
        ErrorKind::UnknownArgument => {
            let word = context(ContextKind::InvalidArg);
            let within = |verbs: &[&str]| verbs.iter().any(|verb| usage.contains(verb));
            if back(&word) && !within(&["vec "]) {
                Some(format!("to count back from the latest snapshot, use `FILE@{word}`"))
            } else if !word.starts_with('-') && within(&["restore ", "delta make ", "delta invert "]) {
                Some(format!("to name the output, use `-o {}`", escape::shell(&word)))
            } else if !word.starts_with("--") && within(&["vec push ", "vec set "]) {
                Some("write `--` before a value that begins with a minus and is not a number".to_string())
            } else {
                unless_a_file(error, &word);
                None
            }
        }
        _ => None,
    };
    if let Some(tip) = tip {
        error.remove(ContextKind::SuggestedSubcommand);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(tip)]));
    }
}

/// Removes the tip to pass the word as a value after `--`, unless it is the name of a file.
fn unless_a_file(error: &mut clap::Error, word: &str) {
    let Some(ContextValue::StyledStrs(tips)) = error.get(ContextKind::Suggested) else { return };
    let is_of_it = |tip: &StyledStr| tip.to_string().starts_with("to pass ");
    let others: Vec<_> = tips.iter().filter(|tip| !is_of_it(tip)).cloned().collect();
    if others.len() < tips.len() && !Path::new(word).exists() {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(others));
    }
}

/// Whether the word looks like `-1`, the name of a snapshot after the `@`.
fn back(word: &str) -> bool {
    word.strip_prefix('-').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}
