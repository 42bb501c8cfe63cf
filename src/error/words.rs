//! Paths in messages, as lossless text.

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

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn what_is_not_seen() {
        assert!(UNSEEN.windows(2).all(|pair| pair[0].1 < pair[1].0) && UNSEEN.iter().all(|(a, b)| a <= b));
        let unseen = "\u{ad}\u{34f}\u{61c}\u{180e}\u{200b}\u{200d}\u{200e}\u{2028}\u{202e}\u{2060}\u{2069}\u{3164}\u{fe0f}\u{feff}\u{ffa0}\u{e0001}\u{e0101}";
        assert!(unseen.chars().all(acts));
        assert!(!" a\u{e9}\u{301}\u{3000}\u{4e00}\u{1f600}".contains(acts));
    }

    #[test]
    fn no_byte_is_lost() {
        assert_eq!(shown(OsStr::from_bytes(b"a\xff\xc3\xa9\xc3")), "a\\xff\u{e9}\\xc3");
    }
}
