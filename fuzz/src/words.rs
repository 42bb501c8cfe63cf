//! What else the command line reads: hexadecimal digits, number types, elements and ranges of them, tags.

#[allow(dead_code, reason = "only reading is tried")]
#[path = "../../src/cli/hex.rs"]
mod hex;
#[allow(dead_code, reason = "not all of it is tried")]
#[path = "../../src/cli/typed.rs"]
mod typed;
#[allow(dead_code, reason = "not all of it is tried")]
#[path = "../../src/cli/vec/words.rs"]
mod words_of_vec;

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
    if let Ok(typed) = typed::typed(text) {
        assert_eq!(typed::typed(&typed.name()), Ok(typed));
    }
    if let Ok(tag) = words_of_vec::tag(text) {
        assert!(tag.starts_with(text.as_bytes()) && tag[text.len()..].iter().all(|byte| *byte == 0));
    }
    for scalar in Scalar::ALL {
        let mut element = Vec::new();
        if scalar.parse(text, &mut element).is_ok() {
            assert_eq!(element.len(), scalar.size());
            same(scalar, &element);
        }
    }
    let _ = (words_of_vec::span(text), words_of_vec::number(text), words_of_vec::scalar(text));
    let _ = (words_of_vec::magic(text), words_of_vec::version(text));
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
