//! Paths in messages: as lossless text, and as words of commands that can be pasted into a shell.

use std::fmt::Write;
use std::path::Path;

use crate::sys::ext::OsStrExt;

/// Whether `c` would control the terminal, affect the text around it, or be invisible, instead of being shown. Spaces
/// are shown.
pub fn acts(c: char) -> bool {
    c.is_control() || UNSEEN.iter().any(|(first, last)| (*first..=*last).contains(&(c as u32)))
}

/// Ascending. Of Unicode 16.0: Default_Ignorable_Code_Point (DerivedCoreProperties.txt), the general categories Cf, Zl
/// and Zp (DerivedGeneralCategory.txt); and two characters that are drawn as nothing, U+2800 and U+1D159.
const UNSEEN: [(u32, u32); 28] = [
    (0x00ad, 0x00ad),
    (0x034f, 0x034f),
    (0x0600, 0x0605),
    (0x061c, 0x061c),
    (0x06dd, 0x06dd),
    (0x070f, 0x070f),
    (0x0890, 0x0891),
    (0x08e2, 0x08e2),
    (0x115f, 0x1160),
    (0x17b4, 0x17b5),
    (0x180b, 0x180f),
    (0x200b, 0x200f),
    (0x2028, 0x202e),
    (0x2060, 0x206f),
    (0x2800, 0x2800),
    (0x3164, 0x3164),
    (0xfe00, 0xfe0f),
    (0xfeff, 0xfeff),
    (0xffa0, 0xffa0),
    (0xfff0, 0xfff8),
    (0xfff9, 0xfffb),
    (0x110bd, 0x110bd),
    (0x110cd, 0x110cd),
    (0x13430, 0x1343f),
    (0x1bca0, 0x1bca3),
    (0x1d159, 0x1d159),
    (0x1d173, 0x1d17a),
    (0xe0000, 0xe0fff),
];

/// A path as text, with bytes that are not UTF-8 written as `\xNN`. Characters that [act](acts) are left to the caller.
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

/// A path as one word of a shell: plain, in single quotes, or as `$'..'` if it has characters that act or is not UTF-8.
pub fn shell_word(path: impl AsRef<Path>) -> String {
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

/// A command of this program with a store and a file, quoted for a shell.
pub(crate) fn command(verb: &str, store: Option<&Path>, file: impl AsRef<Path>) -> String {
    let store = store.map(|dir| format!(" --store {}", shell_word(dir))).unwrap_or_default();
    format!("memsnap {verb}{store} {}", shell_word(file))
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
    fn what_is_not_seen() {
        assert!(UNSEEN.windows(2).all(|pair| pair[0].1 < pair[1].0) && UNSEEN.iter().all(|(a, b)| a <= b));
        let unseen = "\u{ad}\u{34f}\u{61c}\u{180e}\u{200b}\u{200d}\u{200e}\u{2028}\u{202e}\u{2060}\u{2069}\u{3164}\u{fe0f}\u{feff}\u{ffa0}\u{e0001}\u{e0101}";
        assert!(unseen.chars().all(acts));
        assert!(!" a\u{e9}\u{301}\u{3000}\u{4e00}\u{1f600}".contains(acts));
        assert_eq!(shell_word("a\u{200b}b"), r"$'a\342\200\213b'");
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
