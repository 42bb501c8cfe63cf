//! The numbers that the program can parse and print.

use std::any::TypeId;
use std::fmt;

/// Declares the types of numbers from one table: name, number in the file, type in Rust.
macro_rules! scalars {
    ($($name:ident = $number:literal: $type:ident,)*) => {
        /// A type of elements that are numbers; the values are those in the file.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "their names are those of Rust")]
        #[repr(u8)]
        pub enum Scalar {
            $($name = $number,)*
        }

        impl Scalar {
            /// All types.
            pub const ALL: [Scalar; 10] = [$(Scalar::$name,)*];

            /// Returns its name in Rust.
            pub fn name(self) -> &'static str {
                match self { $(Scalar::$name => stringify!($type),)* }
            }

            /// Returns its bytes, which are its alignment in a file too, on every machine.
            pub fn size(self) -> usize {
                match self { $(Scalar::$name => size_of::<$type>(),)* }
            }

            /// Returns the scalar that `T` is, if it is one.
            pub(super) fn of<T: 'static>() -> Option<Scalar> {
                let types = [$((TypeId::of::<$type>(), Scalar::$name),)*];
                types.into_iter().find(|(id, _)| *id == TypeId::of::<T>()).map(|(_, scalar)| scalar)
            }
        }
    };
}

scalars! {
    U8 = 1: u8,
    U16 = 2: u16,
    U32 = 3: u32,
    U64 = 4: u64,
    I8 = 5: i8,
    I16 = 6: i16,
    I32 = 7: i32,
    I64 = 8: i64,
    F32 = 9: f32,
    F64 = 10: f64,
}

/// The value of an element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Of any of the integer types.
    Whole(i128),
    /// An `f32`.
    Single(f32),
    /// An `f64`.
    Double(f64),
}

/// Writes a form that [`Scalar::parse`] reads as the same number.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Whole(n) => write!(f, "{n}"),
            Number::Single(n) => write!(f, "{n:?}"),
            Number::Double(n) => write!(f, "{n:?}"),
        }
    }
}

impl Scalar {
    /// Returns the type of that name.
    pub fn named(name: &str) -> Option<Scalar> {
        Scalar::ALL.into_iter().find(|scalar| scalar.name() == name)
    }

    /// Returns the type of that number in the file.
    pub(super) fn numbered(number: u8) -> Option<Scalar> {
        Scalar::ALL.into_iter().find(|scalar| *scalar as u8 == number)
    }

    /// Returns the least and the greatest value of an integer type.
    fn limits(self) -> (i128, i128) {
        let bits = self.size() as u32 * 8;
        match self {
            Scalar::U8 | Scalar::U16 | Scalar::U32 | Scalar::U64 => (0, (1 << bits) - 1),
            _ => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
        }
    }

    /// Parses a number, and appends its bytes in the order of this machine: integers in decimal or `0x` hexadecimal,
    /// floats also as `nan` and `inf`.
    ///
    /// # Errors
    /// What is wrong with `text`, and what to write instead.
    #[allow(clippy::host_endian_bytes, reason = "elements are in the file as in memory")]
    pub fn parse(self, text: &str, out: &mut Vec<u8>) -> Result<(), String> {
        match self {
            Scalar::F32 => {
                let value: f32 = text.parse().map_err(|_| self.no_float(text))?;
                self.not_too_large(text, value.is_infinite(), f64::from(f32::MAX))?;
                out.extend(value.to_ne_bytes());
            }
            Scalar::F64 => {
                let value: f64 = text.parse().map_err(|_| self.no_float(text))?;
                self.not_too_large(text, value.is_infinite(), f64::MAX)?;
                out.extend(value.to_ne_bytes());
            }
            _ => {
                let (min, max) = self.limits();
                let value = whole(text).filter(|value| (min..=max).contains(value));
                let value = value.ok_or_else(|| {
                    format!("`{text}` is not a {}: write a whole number from {min} to {max}", self.name())
                })?;
                let mut bytes = value.to_le_bytes()[..self.size()].to_vec();
                if cfg!(target_endian = "big") {
                    bytes.reverse();
                }
                out.extend(bytes);
            }
        }
        Ok(())
    }

    fn no_float(self, text: &str) -> String {
        format!("`{text}` is not a {}: write a number such as 1.5 or -2e9, or nan, inf or -inf", self.name())
    }

    fn not_too_large(self, text: &str, infinite: bool, max: f64) -> Result<(), String> {
        if infinite && text.contains(|c: char| c.is_ascii_digit()) {
            return Err(format!("`{text}` is too large for {}: its limits are -{max:e} and {max:e}", self.name()));
        }
        Ok(())
    }

    /// Returns the number in the [`Scalar::size`] bytes of an element.
    ///
    /// # Panics
    /// When `bytes` has another length.
    #[allow(clippy::host_endian_bytes, reason = "elements are in the file as in memory")]
    pub fn number(self, bytes: &[u8]) -> Number {
        assert_eq!(bytes.len(), self.size(), "an element has the size of its type");
        match self {
            Scalar::F32 => return Number::Single(f32::from_ne_bytes(bytes.try_into().expect("4 bytes"))),
            Scalar::F64 => return Number::Double(f64::from_ne_bytes(bytes.try_into().expect("8 bytes"))),
            _ => {}
        }
        let mut wide = [0; 16];
        wide[..bytes.len()].copy_from_slice(bytes);
        if cfg!(target_endian = "big") {
            wide[..bytes.len()].reverse();
        }
        let (_, max) = self.limits();
        let value = i128::from_le_bytes(wide);
        Number::Whole(if value > max { value - (1 << (bytes.len() * 8)) } else { value })
    }
}

/// Parses an integer, in decimal or hexadecimal, with or without a sign.
fn whole(text: &str) -> Option<i128> {
    let (minus, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let value = match rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X")) {
        Some(hex) if hex.starts_with(|c: char| c.is_ascii_hexdigit()) => i128::from_str_radix(hex, 16).ok()?,
        None if rest.starts_with(|c: char| c.is_ascii_digit()) => rest.parse().ok()?,
        _ => return None,
    };
    Some(if minus { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(scalar: Scalar, text: &str) -> Result<Number, String> {
        let mut bytes = Vec::new();
        scalar.parse(text, &mut bytes).map(|()| scalar.number(&bytes))
    }

    #[test]
    fn limits_are_kept() {
        for scalar in Scalar::ALL.into_iter().filter(|s| !matches!(s, Scalar::F32 | Scalar::F64)) {
            let (min, max) = scalar.limits();
            for value in [min, max, 0, 1] {
                assert_eq!(read(scalar, &value.to_string()), Ok(Number::Whole(value)));
            }
            for value in [min - 1, max + 1, i128::MAX, i128::MIN] {
                let said = read(scalar, &value.to_string()).unwrap_err();
                assert!(said.contains(&format!("from {min} to {max}")), "{said}");
            }
        }
        assert_eq!(read(Scalar::I8, "-0x80"), Ok(Number::Whole(-128)));
        assert_eq!(read(Scalar::U64, "0xffffffffffffffff"), Ok(Number::Whole(u64::MAX.into())));
        for bad in ["", "-", "0x", "0x-1", "--1", "+-1", "1.0", "1e3", " 1", "1 ", "1_0", "ten"] {
            assert!(read(Scalar::I64, bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn floats() {
        assert_eq!(read(Scalar::F32, "1.5"), Ok(Number::Single(1.5)));
        assert_eq!(read(Scalar::F64, "-inf"), Ok(Number::Double(f64::NEG_INFINITY)));
        assert!(matches!(read(Scalar::F64, "nan"), Ok(Number::Double(n)) if n.is_nan()));
        assert!(read(Scalar::F32, "1e39").unwrap_err().contains("3.4028"));
        assert!(read(Scalar::F64, "1e999").is_err() && read(Scalar::F64, "0x10").is_err());
        assert_eq!(read(Scalar::F64, "1e300").unwrap().to_string(), "1e300");
    }

    #[test]
    fn types_are_known() {
        for scalar in Scalar::ALL {
            assert_eq!(Scalar::named(scalar.name()), Some(scalar));
            assert_eq!(Scalar::numbered(scalar as u8), Some(scalar));
        }
        assert_eq!((Scalar::of::<f32>(), Scalar::of::<i8>()), (Some(Scalar::F32), Some(Scalar::I8)));
        assert_eq!((Scalar::of::<[u8; 4]>(), Scalar::numbered(0), Scalar::numbered(11)), (None, None, None));
    }

    proptest! {
        #[test]
        fn numbers_come_back(bits: u64, which in 0..10usize) {
            let scalar = Scalar::ALL[which];
            let bytes = &bits.to_le_bytes()[..scalar.size()];
            let number = scalar.number(bytes);
            let mut again = Vec::new();
            scalar.parse(&number.to_string(), &mut again).unwrap();
            let nan = matches!(number, Number::Single(n) if n.is_nan()) || matches!(number, Number::Double(n) if n.is_nan());
            prop_assert!(nan || again == bytes);
        }
    }
}
