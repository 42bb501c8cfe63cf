//! Makes any text safe to show: nothing that a file name, a message or a process name holds can move the cursor,
//! change colours or turn the reading direction round.

use std::ffi::OsStr;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Whether `c` would act on a terminal, or on the order of what stands around it, instead of being shown.
pub(crate) fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{2028}' | '\u{2029}')
}

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

/// A path as one word of a shell: plain, in single quotes, or as `$'..'` where it holds what acts or is not UTF-8.
pub(crate) fn shell(path: impl AsRef<Path>) -> String {
    let raw = path.as_ref().as_os_str().as_bytes();
    // What starts with a dash would be a flag.
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

/// Means nothing to a shell.
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

fn push(out: &mut String, text: &str) {
    for c in text.chars() {
        if acts(c) {
            let _ = write!(out, "\\u{{{:x}}}", c as u32);
        } else {
            out.push(c);
        }
    }
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
            prop_assert!(!shell(OsStr::from_bytes(&raw)).contains(acts));
        }
    }
}
