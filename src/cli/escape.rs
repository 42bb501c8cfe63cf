//! Makes any text safe to show: no file name, message or process name can move the cursor, change colours or reverse
//! the writing direction.

use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::path::Path;

use memsnap::program::ext::OsStrExt;
use unicode_width::UnicodeWidthChar;

pub(crate) use memsnap::error::acts;

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

/// A path as one word of a shell: plain, in single quotes, or as `$'..'` if it has characters that act or is not UTF-8.
pub(crate) fn shell(path: impl AsRef<Path>) -> String {
    let raw = path.as_ref().as_os_str().as_bytes();
    // A word that begins with a dash would be an option.
    let dot = if raw.starts_with(b"-") { "./" } else { "" };
    match std::str::from_utf8(raw) {
        Ok(text) if !text.is_empty() && text.chars().all(is_plain) => format!("{dot}{text}"),
        Ok(text) if !text.contains(acts) => format!("'{dot}{}'", text.replace('\'', r"'\''")),
        _ => {
            let mut out = format!("$'{dot}");
            for chunk in raw.utf8_chunks() {
                chunk.valid().chars().for_each(|c| push_quoted(&mut out, c));
                chunk.invalid().iter().for_each(|byte| push_byte(&mut out, *byte));
            }
            out + "'"
        }
    }
}

/// Whether the character means nothing special to a shell.
fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || "_-./@%+=:,".contains(c)
}

/// Within `$'..'`. Three octal digits end by themselves, whatever follows.
fn push_quoted(out: &mut String, c: char) {
    match c {
        '\'' | '\\' => out.extend(['\\', c]),
        c if acts(c) => c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| push_byte(out, byte)),
        c => out.push(c),
    }
}

fn push_byte(out: &mut String, byte: u8) {
    let _ = write!(out, "\\{byte:03o}");
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
    fn words_of_a_shell() {
        assert_eq!(shell("dir/db-1.bin"), "dir/db-1.bin");
        assert_eq!(shell("a b"), "'a b'");
        assert_eq!(shell("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(shell("-x"), "./-x");
        assert_eq!(shell(""), "''");
        assert_eq!(shell("a\n'1\\"), r"$'a\012\'1\\'");
        assert_eq!(shell(OsStr::from_bytes(b"\xff1")), r"$'\3771'");
        assert_eq!(shell("a\u{200b}b"), r"$'a\342\200\213b'");
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
        fn nothing_that_acts_is_in_a_word(raw in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(!shell(OsStr::from_bytes(&raw)).contains(acts));
        }

        #[test]
        fn nothing_that_acts_is_left(raw in prop::collection::vec(any::<u8>(), 0..80), s in any::<String>()) {
            prop_assert!(!bytes(&raw).contains(acts));
            prop_assert!(!text(&s).contains(acts));
        }
    }
}
