//! Parsers for the arguments of `memsnap vec`.

use memsnap::ops::vec::{self, ElementType, Place, Scalar, Span, Tag};

/// Parses a number of elements.
pub(super) fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "use a number of elements, such as 100".into())
}

/// Parses `3`, `-1`.
pub(super) fn place(text: &str) -> Result<Place, String> {
    let (from_end, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let number = digits.parse().ok().filter(|_| plain).ok_or("use an index such as 3, or -1 for the last element")?;
    match (from_end, number) {
        (true, 0) => Err("there is no element -0; -1 is the last".into()),
        (true, n) => Ok(Place::End(n)),
        (false, n) => Ok(Place::Start(n)),
    }
}

/// Parses an index or a range: `3`, `-1`, `10..20`, `..5`, `5..`, `-3..`.
pub(super) fn span(text: &str) -> Result<Span, String> {
    let Some((start, end)) = text.split_once("..") else {
        return place(text).map(Span::One);
    };
    let end_of = |text: &str| match text {
        "" => Ok(None),
        text => place(text).map(Some).map_err(|_| "use a range such as 10..20, 5.., ..5 or -3..".to_string()),
    };
    Ok(Span::Range(end_of(start)?, end_of(end)?))
}

/// Parses a tag of up to 16 bytes.
pub(super) fn tag(text: &str) -> Result<Tag, String> {
    vec::tag(text).ok_or_else(|| "a name has at most 16 bytes".into())
}

/// Parses the name of a scalar type.
pub(super) fn scalar(text: &str) -> Result<Scalar, String> {
    Scalar::named(text).ok_or_else(|| {
        let names: Vec<_> = Scalar::ALL.iter().map(|scalar| scalar.name()).collect();
        format!("use one of {}", names.join(", "))
    })
}

/// Parses 8 magic bytes, given as text or as 16 hexadecimal digits behind `0x`.
pub(super) fn magic(text: &str) -> Result<[u8; 8], String> {
    let bytes: Option<Vec<u8>> = match text.strip_prefix("0x").filter(|hex| hex.is_ascii() && hex.len() == 16) {
        Some(hex) => (0..8).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).ok()).collect(),
        None => Some(text.as_bytes().into()),
    };
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| "use 8 characters, or 0x and 16 hexadecimal digits".into())
}

/// Parses `1.2.3`.
pub(super) fn version(text: &str) -> Result<[u8; 3], String> {
    let parts: Vec<u8> = text.split('.').map_while(|part| part.parse().ok()).collect();
    let right = text.split('.').count() == 3;
    parts.try_into().ok().filter(|_| right).ok_or_else(|| "use three numbers up to 255, such as 0.1.0".into())
}

/// The name of the type in JSON: that of a scalar, or `other`.
pub(super) fn name_of(kind: &ElementType) -> &'static str {
    kind.scalar.map_or("other", Scalar::name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_spans() {
        let (start, end) = (Place::Start, Place::End);
        let table = [
            ("3", Span::One(start(3))),
            ("-1", Span::One(end(1))),
            ("10..20", Span::Range(Some(start(10)), Some(start(20)))),
            ("..", Span::Range(None, None)),
            ("-3..", Span::Range(Some(end(3)), None)),
            ("..-1", Span::Range(None, Some(end(1)))),
        ];
        for (text, expected) in table {
            assert_eq!(span(text), Ok(expected), "{text}");
        }
        for text in ["", "-", "-0", "+1", "1.", "1...2", "0x3", "a..", "99999999999999999999"] {
            assert!(span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_of_types() {
        assert_eq!(tag("0123456789abcdef"), Ok(*b"0123456789abcdef"));
        assert!(tag("0123456789abcdefg").is_err() && scalar("u128").is_err() && scalar("f64").is_ok());
        assert_eq!((magic("TESTFILE"), magic("0x5445535446494c45")), (Ok(*b"TESTFILE"), Ok(*b"TESTFILE")));
        assert!(magic("short").is_err() && magic("0x5445535446494c4").is_err());
        assert_eq!(version("0.1.255"), Ok([0, 1, 255]));
        assert!(version("0.1").is_err() && version("0.1.256").is_err() && version("0.1.2.3").is_err());
    }
}
