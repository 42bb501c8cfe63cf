//! `--as TYPE`: bytes read as numbers, in either order of bytes.

use memsnap::ops::vec::{Number, Scalar};

/// A number type, and the order of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Typed {
    scalar: Scalar,
    big: bool,
}

/// Reads `u8`, `i32`, `f64`, also with `le` (the default) or `be` behind.
pub(crate) fn typed(text: &str) -> Result<Typed, String> {
    let (name, big) = match (text.strip_suffix("be"), text.strip_suffix("le")) {
        (Some(name), _) => (name, true),
        (None, name) => (name.unwrap_or(text), false),
    };
    let scalar = Scalar::named(name).ok_or_else(|| {
        let names: Vec<_> = Scalar::ALL.iter().map(|scalar| scalar.name()).collect();
        format!("write one of {}, with be behind it if the high byte comes first", names.join(", "))
    })?;
    Ok(Typed { scalar, big })
}

impl Typed {
    /// Bytes that a number takes.
    pub(crate) fn size(self) -> usize {
        self.scalar.size()
    }

    /// As it is written: `u32`, `u32be`.
    pub(crate) fn name(self) -> String {
        format!("{}{}", self.scalar.name(), if self.big { "be" } else { "" })
    }

    /// A number as it is shown in columns: floats that would be too wide with all their digits have an exponent.
    pub(crate) fn text(self, number: Number) -> String {
        let text = number.to_string();
        match number {
            Number::Single(n) if text.len() > self.width() => format!("{n:e}"),
            Number::Double(n) if text.len() > self.width() => format!("{n:e}"),
            _ => text,
        }
    }

    /// Columns that [`Typed::text`] needs at most.
    pub(crate) fn width(self) -> usize {
        match self.scalar {
            Scalar::U8 => 3,
            Scalar::I8 => 4,
            Scalar::U16 => 5,
            Scalar::I16 => 6,
            Scalar::U32 => 10,
            Scalar::I32 => 11,
            Scalar::U64 | Scalar::I64 => 20,
            Scalar::F32 => 16,
            Scalar::F64 => 24,
        }
    }

    /// The number in so many bytes.
    ///
    /// # Panics
    /// When there are not [`Typed::size`] of them.
    pub(crate) fn number(self, bytes: &[u8]) -> Number {
        let mut element = [0; 8];
        let element = &mut element[..bytes.len()];
        element.copy_from_slice(bytes);
        if self.big != cfg!(target_endian = "big") {
            element.reverse();
        }
        self.scalar.number(element)
    }
}

/// Whether it is not a number.
pub(crate) fn is_nan(number: Number) -> bool {
    match number {
        Number::Whole(_) => false,
        Number::Single(n) => n.is_nan(),
        Number::Double(n) => n.is_nan(),
    }
}

/// The bits of a number as hexadecimal digits, the highest first.
pub(crate) fn bits(number: Number) -> String {
    match number {
        Number::Whole(n) => format!("{n:x}"),
        Number::Single(n) => format!("{:08x}", n.to_bits()),
        Number::Double(n) => format!("{:016x}", n.to_bits()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_number_fits_its_column_and_is_read_back(bytes: [u8; 8], which in 0..10usize) {
            let typed = Typed { scalar: Scalar::ALL[which], big: false };
            let number = typed.number(&bytes[..typed.size()]);
            let text = typed.text(number);
            prop_assert!(text.len() <= typed.width(), "{}", text);
            let same = match number {
                Number::Whole(n) => text.parse() == Ok(n),
                Number::Single(n) => n.is_nan() || text.parse() == Ok(n),
                Number::Double(n) => n.is_nan() || text.parse() == Ok(n),
            };
            prop_assert!(same, "{}", text);
        }
    }

    #[test]
    fn both_orders() {
        let bytes = [0xff, 0x00, 0x00, 0x01];
        let of = |name: &str| typed(name).unwrap().number(&bytes).to_string();
        assert_eq!(["u32", "u32le", "u32be", "i32be"].map(of), ["16777471", "16777471", "4278190081", "-16777215"]);
        assert_eq!(typed("f64be").unwrap().number(&[0x3f, 0xf8, 0, 0, 0, 0, 0, 0]), Number::Double(1.5));
        assert_eq!(typed("f32").unwrap().number(&[0, 0, 0xc0, 0xbf]), Number::Single(-1.5));
        assert_eq!(
            (typed("i8be").unwrap().number(&[0x80]), typed("i8be").unwrap().name()),
            (Number::Whole(-128), "i8be".into())
        );
        assert!(is_nan(typed("f32").unwrap().number(&[0, 0, 0xc0, 0x7f])));
        for bad in ["", "le", "u128", "u32 be", "U8", "u8lebe", "f16"] {
            assert!(typed(bad).is_err(), "{bad}");
        }
    }
}
