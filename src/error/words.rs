//! Paths in messages: as text that loses no byte, and as words of commands that may be pasted into a shell.

use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Whether `c` would act on a terminal, or on the order of what stands around it, instead of being shown.
pub fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{2028}' | '\u{2029}')
}

/// A path as text, with bytes that are no UTF-8 written as `\xNN`. Characters that act are left for whoever shows it.
pub fn shown(path: impl AsRef<Path>) -> String {
    let mut out = String::new();
    for chunk in path.as_ref().as_os_str().as_bytes().utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// A path as one word of a shell: plain, in single quotes, or as `$'..'` where it holds what acts or is not UTF-8.
pub fn shell_word(path: impl AsRef<Path>) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::ffi::OsStr;

    #[test]
    fn words_of_a_shell() {
        assert_eq!(shell_word("dir/db-1.bin"), "dir/db-1.bin");
        assert_eq!(shell_word("a b"), "'a b'");
        assert_eq!(shell_word("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(shell_word("-x"), "./-x");
        assert_eq!(shell_word(""), "''");
        assert_eq!(shell_word("a\n'1\\"), r"$'a\012\'1\\'");
        assert_eq!(shell_word(OsStr::from_bytes(b"\xff1")), r"$'\3771'");
    }

    #[test]
    fn no_byte_is_lost() {
        assert_eq!(shown(OsStr::from_bytes(b"a\xff\xc3\xa9\xc3")), "a\\xff\u{e9}\\xc3");
    }

    proptest! {
        #[test]
        fn nothing_that_acts_is_in_a_word(raw in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(!shell_word(OsStr::from_bytes(&raw)).contains(acts));
        }
    }
}
