//! Makes any text safe to show: no file name, message or process name can move the cursor, change colours or reverse
//! the writing direction.

use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::path::Path;

use memsnap::program::ext::OsStrExt;
use unicode_width::UnicodeWidthChar;

pub(crate) use memsnap::error::{acts, shell_word as shell};

/// `text` with characters that act written as `\u{..}`.
pub(crate) fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push(&mut out, text);
    out
}

/// Bytes that should be UTF-8; others are written as `\xNN`.
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

/// `path` with a REF behind it, `@latest`, quoted for a shell.
pub(crate) fn shell_ref(path: impl Into<OsString>, reference: &str) -> String {
    let mut word = path.into();
    word.push(reference);
    shell(word)
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

/// The columns that `text` takes on a terminal: two for a wide character, none for a combining one.
pub(crate) fn columns(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// The longest start of `text` that fits `columns`, with the combining characters that belong to it.
pub(crate) fn cut(text: &str, columns: usize) -> &str {
    let mut used = 0;
    let fits = |(_, c): &(usize, char)| {
        used += c.width().unwrap_or(0);
        used > columns
    };
    text.char_indices().find(fits).map_or(text, |(end, _)| &text[..end])
}

/// A cell of a table: `text` in at least `width` columns, aligned right or left. Unlike `format!`, whose widths end at
/// 65,535 and count characters, this pads to columns of any width.
pub(crate) fn padded(text: &str, width: usize, right: bool) -> String {
    let space = " ".repeat(width.saturating_sub(columns(text)));
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

    #[test]
    fn wide_and_combining_characters_take_their_columns() {
        assert_eq!(["abc", "\u{6f22}\u{5b57}", "e\u{301}", "\u{1f600}", ""].map(columns), [3, 4, 1, 2, 0]);
        assert_eq!(padded("\u{6f22}", 4, false), "\u{6f22}  ");
        assert_eq!(padded("e\u{301}", 4, true), "   e\u{301}");
        assert_eq!(
            [0, 1, 2, 3, 4].map(|n| cut("a\u{6f22}e\u{301}", n)),
            ["", "a", "a", "a\u{6f22}", "a\u{6f22}e\u{301}"]
        );
    }

    proptest! {
        #[test]
        fn what_is_cut_fits(s in any::<String>(), width in 0usize..40) {
            let s = text(&s);
            let start = cut(&s, width);
            prop_assert!(s.starts_with(start) && columns(start) <= width);
            prop_assert!(columns(&padded(&s, width, true)) >= width);
        }

        #[test]
        fn nothing_that_acts_is_left(raw in prop::collection::vec(any::<u8>(), 0..80), s in any::<String>()) {
            prop_assert!(!bytes(&raw).contains(acts));
            prop_assert!(!text(&s).contains(acts));
        }
    }
}
