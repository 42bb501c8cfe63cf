//! What else the command line reads: hexadecimal digits, number types, elements and ranges of them, tags.

#[allow(dead_code, reason = "only reading is tried")]
#[path = "../../src/cli/hex.rs"]
mod hex;
#[allow(dead_code, reason = "not all of it is tried")]
#[path = "../../src/cli/number_type.rs"]
mod number_type;
#[allow(dead_code, reason = "not all of it is tried")]
#[path = "../../src/cli/vec/parsers.rs"]
mod vec_parsers;

use memsnap::ops::vec::{Number, Scalar};

/// A text is refused, or what it says, written out, is read as the same.
pub fn check(input: &[u8]) {
    numbers(input);
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(bytes) = hex::parse(text) {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex::parse(&digits).as_ref(), Ok(&bytes));
        assert_eq!(hex::parse(&format!("0x{digits}")), Ok(bytes));
    }
    if let Ok(number_type) = number_type::parse(text) {
        assert_eq!(number_type::parse(&number_type.name()), Ok(number_type));
    }
    if let Ok(tag) = vec_parsers::tag(text) {
        assert!(tag.starts_with(text.as_bytes()) && tag[text.len()..].iter().all(|byte| *byte == 0));
    }
    for scalar in Scalar::ALL {
        let mut element = Vec::new();
        if scalar.parse(text, &mut element).is_ok() {
            assert_eq!(element.len(), scalar.size());
            same(scalar, &element);
        }
    }
    let _ = (vec_parsers::span(text), vec_parsers::number(text), vec_parsers::scalar(text));
    let _ = (vec_parsers::magic(text), vec_parsers::version(text));
}

/// Any bytes are a number of each type.
fn numbers(input: &[u8]) {
    for scalar in Scalar::ALL {
        if let Some(element) = input.get(..scalar.size()) {
            same(scalar, element);
        }
    }
}

/// A number as text is read as the same bytes; of numbers that are none, as one that is none.
fn same(scalar: Scalar, element: &[u8]) {
    let number = scalar.number(element);
    let mut again = Vec::new();
    scalar.parse(&number.to_string(), &mut again).expect("it is a number of this type");
    let none = match number {
        Number::Whole(_) => false,
        Number::Single(n) => n.is_nan(),
        Number::Double(n) => n.is_nan(),
    };
    assert!(again == element || none, "{number}");
}
