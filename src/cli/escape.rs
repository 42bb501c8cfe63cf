//! Makes any text safe to show: nothing that a file name, a message or a process name holds can move the cursor,
//! change colours or turn the reading direction round.

use std::ffi::OsStr;
use std::fmt::Write;
use std::path::Path;

use memsnap::program::ext::OsStrExt;

pub(crate) use memsnap::error::{acts, shell_word as shell};

/// `text` with characters that act written as `\u{..}`.
pub(crate) fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push(&mut out, text);
    out
}

/// Bytes that should be UTF-8, with those that are not written as `\xNN`.
pub(crate) fn bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        push(&mut out, chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// A path, on one line.
pub(crate) fn path(path: impl AsRef<Path>) -> String {
    os(path.as_ref().as_os_str())
}

/// An argument or a file name.
pub(crate) fn os(text: &OsStr) -> String {
    bytes(text.as_bytes())
}

fn push(out: &mut String, text: &str) {
    for c in text.chars() {
        if acts(c) {
            let _ = write!(out, "\\u{{{:x}}}", c as u32);
        } else {
            out.push(c);
        }
    }
}

/// A cell of a table: `text` in at least `width` characters, to the right or to the left. Any width will do; the widths of
/// `format!` end at 65,535.
pub(crate) fn padded(text: &str, width: usize, right: bool) -> String {
    let space = " ".repeat(width.saturating_sub(text.chars().count()));
    if right { space + text } else { text.to_owned() + &space }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_acts_is_spelled_out() {
        assert_eq!(text("a\x1b[31mb\n"), "a\\u{1b}[31mb\\u{a}");
        assert_eq!(text("\u{7f}\u{9b}\u{202e}\u{2066}\u{61c}"), "\\u{7f}\\u{9b}\\u{202e}\\u{2066}\\u{61c}");
        assert_eq!(bytes(b"a\xff\xc3\xa9\xc3"), "a\\xff\u{e9}\\xc3");
        assert_eq!(path("plain name-\u{e9}.bin"), "plain name-\u{e9}.bin");
    }

    #[test]
    fn escaping_twice_changes_nothing() {
        let once = bytes(b"a\xff\n\x07");
        assert_eq!(text(&once), once);
    }

    proptest! {
        #[test]
        fn nothing_that_acts_is_left(raw in prop::collection::vec(any::<u8>(), 0..80), s in any::<String>()) {
            prop_assert!(!bytes(&raw).contains(acts));
            prop_assert!(!text(&s).contains(acts));
        }
    }
}
