//! Bytes as hexadecimal digits.

use std::fmt::Write;

/// Parses `deadbeef`, also with `0x` before it, and with spaces, `_` or `:` between bytes.
pub(crate) fn parse(text: &str) -> Result<Vec<u8>, String> {
    let text = text.strip_prefix("0x").unwrap_or(text);
    let alone = |(at, digit): (usize, char)| {
        format!("the digit `{digit}` at position {} has no second digit: a byte has two", at + 1)
    };
    let (mut bytes, mut first) = (Vec::new(), None);
    for (at, c) in text.chars().enumerate() {
        match (c.to_digit(16), first.take()) {
            (Some(low), Some((_, high))) => bytes.push((digit(high) << 4 | low) as u8),
            (Some(_), None) => first = Some((at, c)),
            (None, _) if !matches!(c, ' ' | '_' | ':') => {
                return Err(format!("`{c}` at position {} is not a hexadecimal digit", at + 1));
            }
            (None, Some(one)) => return Err(alone(one)),
            (None, None) => {}
        }
    }
    if let Some(one) = first {
        return Err(alone(one));
    }
    if bytes.is_empty() { Err("there are no bytes in it".into()) } else { Ok(bytes) }
}

/// `deadbeef`.
pub(crate) fn digits(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn digit(c: char) -> u32 {
    c.to_digit(16).unwrap_or(0)
}

/// `de ad be ef`.
pub(crate) fn show(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn read_strictly() {
        for text in ["deadBEEF", "de ad be ef", "de:ad:be:ef", "dead_beef", " de ad  beef "] {
            assert_eq!(parse(text), Ok(vec![0xde, 0xad, 0xbe, 0xef]), "{text}");
        }
        for (text, place) in
            [("dea", "`a` at position 3"), ("d e", "`d` at position 1"), ("de:a:d0", "`a` at position 4")]
        {
            assert!(parse(text).unwrap_err().contains(place), "{text}");
        }
        for (text, place) in [("dex0", "`x` at position 3"), ("de,ad", "`,` at position 3"), ("é", "`é` at position 1")]
        {
            assert!(parse(text).unwrap_err().contains(place), "{text}");
        }
        assert_eq!(parse("0xde ad"), Ok(vec![0xde, 0xad]));
        assert!(parse("").is_err() && parse("0x").is_err() && parse(" : ").is_err());
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(bytes in prop::collection::vec(any::<u8>(), 1..40)) {
            prop_assert_eq!(parse(&show(&bytes)), Ok(bytes));
        }

        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,12}") {
            let _ = parse(&text);
        }
    }
}
