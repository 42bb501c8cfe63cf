//! What all JSON output has in common: one object a line, a field `schema`, paths also if they are not UTF-8. See
//! docs/json.md.

use std::path::Path;

use memsnap::ops::Note;
use memsnap::ops::vec::Number;
use memsnap::page::PageRange;
use memsnap::program::ext::OsStrExt;
use serde::{Serialize, Serializer};

use super::{escape, hints};

/// A JSON object with these fields in this order, as `object! { len: report.len, #[serde(flatten)] path: .. }`. A field
/// that may be absent is a flattened `Option` of an object.
macro_rules! object {
    ($($(#[$meta:meta])* $name:ident $(: $value:expr)?),* $(,)?) => {{
        #[allow(non_camel_case_types, reason = "the type of a field is named like the field")]
        let object = {
            #[derive(serde::Serialize)]
            struct Object<$($name),*> { $($(#[$meta])* $name: $name),* }
            Object { $($name $(: $value)?),* }
        };
        object
    }};
}
pub(crate) use object;

/// A path as text, and its exact bytes if it is not UTF-8.
#[derive(Serialize)]
pub(crate) struct JsonPath {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_b64: Option<String>,
}

impl JsonPath {
    /// The JSON form of `path`.
    pub(crate) fn of(path: &Path) -> JsonPath {
        let bytes = path.as_os_str().as_bytes();
        let exact = std::str::from_utf8(bytes).is_err().then(|| base64(bytes));
        JsonPath { path: path.to_string_lossy().into_owned(), path_b64: exact }
    }
}

/// A range of pages, also in bytes.
#[derive(Serialize)]
pub(crate) struct JsonRange {
    first_page: u64,
    end_page: u64,
    start: u64,
    end: u64,
}

impl JsonRange {
    /// The JSON form of `range`.
    pub(crate) fn of(range: &PageRange) -> JsonRange {
        JsonRange::within(range, u64::MAX)
    }

    /// The JSON form of `range` in a file of `len` bytes.
    pub(crate) fn within(range: &PageRange, len: u64) -> JsonRange {
        let (start, end) = (range.offset(), range.end_offset().min(len));
        JsonRange { first_page: range.start, end_page: range.end, start, end }
    }
}

/// The notes and warnings of a report.
#[derive(Serialize)]
pub(crate) struct JsonNotes {
    notes: Vec<String>,
    warnings: Vec<String>,
}

impl JsonNotes {
    /// The JSON form of `notes`.
    pub(crate) fn of(notes: &[Note]) -> JsonNotes {
        let (warnings, notes): (Vec<_>, Vec<_>) = notes.iter().partition(|note| note.warning);
        let texts = |notes: Vec<&Note>| notes.into_iter().map(hints::of_note).collect();
        JsonNotes { notes: texts(notes), warnings: texts(warnings) }
    }
}

/// A number; what JSON has no number for, such as NaN, is a string.
pub(crate) struct JsonNumber(pub(crate) Number);

impl Serialize for JsonNumber {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Number::Whole(n) => match (u64::try_from(n), i64::try_from(n)) {
                (Ok(n), _) => to.serialize_u64(n),
                (_, Ok(n)) => to.serialize_i64(n),
                _ => to.serialize_str(&n.to_string()),
            },
            Number::Single(n) if n.is_finite() => to.serialize_f32(n),
            Number::Double(n) if n.is_finite() => to.serialize_f64(n),
            other => to.serialize_str(&other.to_string()),
        }
    }
}

/// `value` on one line. Characters that act on a terminal are written as `\u....`, which a parser turns back.
pub(crate) fn line(value: &impl Serialize) -> anyhow::Result<String> {
    use std::fmt::Write;
    let plain = serde_json::to_string(value)?;
    let mut out = String::with_capacity(plain.len() + 1);
    for c in plain.chars() {
        if escape::acts(c) {
            c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(out, "\\u{unit:04x}"))?;
        } else {
            out.push(c);
        }
    }
    out.push('\n');
    Ok(out)
}

/// RFC 4648 base64 with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0, |word, b| word << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn base64_as_everybody_writes_it() {
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn paths_and_what_acts() {
        let text = line(&JsonPath::of(Path::new(OsStr::from_bytes(b"a\xff\x1b")))).unwrap();
        assert_eq!(text, "{\"path\":\"a\u{fffd}\\u001b\",\"path_b64\":\"Yf8b\"}\n");
        let text = line(&"\u{202e}\u{9b}").unwrap();
        assert_eq!(text, "\"\\u202e\\u009b\"\n");
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), "\u{202e}\u{9b}");
        let text = line(&"a\u{e0041}").unwrap();
        assert_eq!(text, "\"a\\udb40\\udc41\"\n");
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), "a\u{e0041}");
    }
}
